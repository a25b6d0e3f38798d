"""A storm for one chat and one group, sent by real workers to a provider that enforces Telegram's limits to the letter,
and one for one person by WhatsApp, whose providers enforce the limit of a pair.

Minutes of pacing take seconds, because everybody goes by one clock that is faster than time. The same storm in real
time, six and a half minutes of it, and a wait over the death of a real process, are marked as benchmarks:

    python -m pytest -m benchmark tests/subscriber/test_pacing_truth.py
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Final
from unittest.mock import patch

import pytest

from bus.clock import Clock, SystemClock
from subscriber.channels.channel import ChannelConfig, MetaConfig, TelegramConfig, TwilioConfig
from subscriber.deliveries import PlannedDelivery
from subscriber.desks import set_up_desks
from subscriber.service import RunOptions
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.clock import FakeClock, FastClock
from tests.support.daemon import daemon_environ, provider_environ
from tests.support.provider_faults import rate_limited
from tests.support.provider_server import (
    META_PHONE_ID,
    META_RECIPIENT,
    META_TOKEN,
    TELEGRAM_CHAT,
    TELEGRAM_GROUP,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)
from tests.support.running_service import daemon_process, running_service
from tests.support.strict_limits import CHAT_BURST, PAIR_BURST, PairLimits, StrictLimits
from tests.support.telegram_rules import TelegramRules
from tests.support.waiting import wait_until
from tests.support.worker_bench import Bench

ALERTS: Final = 120
CHATS: Final = {"telegram": TELEGRAM_CHAT, "group": TELEGRAM_GROUP}
#: For one person: more than any pace of ours lets go at once.
PAIR_ALERTS: Final = 40
#: How much faster than time the storm goes: a group's message each 3 s is one in a tenth of a second.
SPEED: Final = 30.0
#: The same for a wait of 35 s, in which a daemon is started anew.
WAIT_SPEED: Final = 10.0
RETRY_AFTER: Final = 35
#: Real seconds; a storm takes 13, and a busy machine may take long.
PATIENCE_SECONDS: Final = 120.0


class Telegrams:
    """A strict Telegram and the limits that it enforces."""

    def __init__(self, clock: Clock) -> None:
        self.limits = StrictLimits(clock)
        self.server = ProviderServer(telegram=TelegramRules(limits=self.limits))

    def accepted(self, chat: str) -> list[str]:
        """Return the texts that a chat was sent, in order."""
        return [message.text for message in self.server.telegram.accepted if message.target == chat]

    def requested_at(self, chat: str) -> list[float]:
        """Return when messages for a chat were asked for, accepted or not, in real monotonic seconds."""
        return [
            request.at
            for request in self.server.telegram.requests
            if request.endpoint == "sendMessage" and str((request.request.json_object() or {}).get("chat_id")) == chat
        ]


def configs(url: str) -> list[ChannelConfig]:
    """Return the chat and the group, two channels of one bot."""
    return [TelegramConfig(TELEGRAM_TOKEN, chat, name=name, base_url=url) for name, chat in CHATS.items()]


@contextmanager
def storm(folder: Path, clock: Clock, alerts: int) -> Iterator[Telegrams]:
    """Have real workers send alerts to the chat and the group, to the end."""
    telegrams = Telegrams(clock)
    with ExitStack() as stack:
        stack.enter_context(telegrams.server)
        store = stack.enter_context(Store(f"sqlite:///{folder / 'storm.db'}", clock))
        bench = stack.enter_context(Bench(store, clock))
        desks = set_up_desks(
            configs(telegrams.server.url), store, metrics=bench.metrics, clock=clock, rng=Random(1), rehearsal=False
        )
        for desk in desks.values():
            stack.callback(desk.channel.close)
        for number in range(alerts):
            bench.add(risk_event(description=f"Drawdown number {number} of the storm"), *CHATS)
        for desk in desks.values():
            bench.start(desk, f"worker of {desk.name}")
        yield telegrams


def test_storm_for_a_chat_and_a_group_never_meets_a_limit(tmp_path: Path) -> None:
    """Each of 120 alerts arrives in both once, in order, and not one request is refused."""
    check_storm(tmp_path, FastClock(SPEED), PATIENCE_SECONDS)


@pytest.mark.benchmark
def test_storm_in_real_time_never_meets_a_limit(tmp_path: Path) -> None:
    """The same by the clock on the wall: six and a half minutes."""
    check_storm(tmp_path, SystemClock(), 600.0)


def check_storm(folder: Path, clock: Clock, patience_seconds: float) -> None:
    """Have the storm, and see that no limit was met."""
    with storm(folder, clock, ALERTS) as telegrams:
        telegrams.server.wait_for_accepted(2 * ALERTS, provider="telegram", timeout=patience_seconds)
        assert telegrams.limits.refusals == []
        for chat in CHATS.values():
            texts = telegrams.accepted(chat)
            numbers = [number for text in texts for number in range(ALERTS) if f"number {number} of" in text]
            assert numbers == list(range(ALERTS))
        assert {request.status for request in telegrams.server.telegram.requests} == {200}


def test_storm_without_a_pace_is_refused(tmp_path: Path) -> None:
    """The provider's limits are no check that can't fail."""
    with patch("subscriber.channels.telegram.limits_of", return_value=()), storm(tmp_path, FakeClock(), 8) as seen:
        wait_until(lambda: len(seen.limits.refusals) == len(CHATS))  # then both are held, and the clock stands still
        assert {(refusal.chat, refusal.rule) for refusal in seen.limits.refusals} == {
            (chat, "chat") for chat in CHATS.values()
        }
        assert [len(seen.accepted(chat)) for chat in CHATS.values()] == [CHAT_BURST] * len(CHATS)


class Pairs:
    """WhatsApp by Twilio and by Meta, both strict about what one person gets."""

    def __init__(self, clock: Clock) -> None:
        self.limits = {"twilio": PairLimits(clock), "meta": PairLimits(clock)}
        self.server = ProviderServer()
        self.server.twilio.rules.pairs = self.limits["twilio"]
        self.server.meta.rules.pairs = self.limits["meta"]

    def config(self, provider: str) -> ChannelConfig:
        """Return a channel that writes to one person."""
        url = self.server.url
        if provider == "meta":
            return MetaConfig(META_TOKEN, META_PHONE_ID, META_RECIPIENT, name=provider, base_url=url)
        return TwilioConfig(
            TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT, name=provider, base_url=url
        )


@contextmanager
def pair_storm(folder: Path, clock: Clock, provider: str, alerts: int) -> Iterator[Pairs]:
    """Have a real worker send alerts to one person, to the end."""
    pairs = Pairs(clock)
    with ExitStack() as stack:
        stack.enter_context(pairs.server)
        store = stack.enter_context(Store(f"sqlite:///{folder / 'pair.db'}", clock))
        bench = stack.enter_context(Bench(store, clock))
        desks = set_up_desks(
            [pairs.config(provider)], store, metrics=bench.metrics, clock=clock, rng=Random(1), rehearsal=False
        )
        stack.callback(desks[provider].channel.close)
        for number in range(alerts):
            bench.add(risk_event(description=f"Drawdown number {number} of the storm"), provider)
        bench.start(desks[provider], "worker")
        yield pairs


@pytest.mark.parametrize("provider", ["twilio", "meta"])
def test_storm_for_a_person_never_meets_the_limit_of_a_pair(tmp_path: Path, provider: str) -> None:
    """Each of the alerts is taken once, and none is refused, at once (131056) or later (63018)."""
    with pair_storm(tmp_path, FastClock(SPEED), provider, PAIR_ALERTS) as pairs:
        pairs.server.wait_for_accepted(PAIR_ALERTS, provider=provider, timeout=PATIENCE_SECONDS)
        assert pairs.limits[provider].refusals == []
        assert [message.failed_code for message in pairs.server.accepted] == [None] * PAIR_ALERTS
        texts = [message.text for message in pairs.server.accepted]
        assert [f"number {number} of" in text for number, text in enumerate(texts)] == [True] * PAIR_ALERTS


@pytest.mark.parametrize("provider", ["twilio", "meta"])
def test_storm_for_a_person_without_a_pace_is_refused(tmp_path: Path, provider: str) -> None:
    """The limit of a pair is no check that can't fail."""
    lifted = patch(f"subscriber.channels.{provider}.limits_of", return_value=())
    with lifted, pair_storm(tmp_path, FakeClock(), provider, PAIR_BURST + 1) as pairs:
        wait_until(lambda: len(pairs.limits[provider].refusals) == 1)
        delivered = [message for message in pairs.server.accepted if message.failed_code is None]
        assert len(delivered) == PAIR_BURST


def waiting_environ(server: ProviderServer, folder: Path, clock: Clock) -> dict[str, str]:
    """Return the environment of a daemon in whose database an alert waits for the chat."""
    environ = daemon_environ(provider_environ(server, "telegram"), folder)
    with Store(environ["ALERTBUS_DATABASE_URL"], clock) as store:
        now_us = clock.now_us()
        store.accept([incoming(risk_event(), published_us=now_us, planned=(PlannedDelivery("telegram", now_us),))])
    return environ


def refused(environ: dict[str, str], clock: Clock) -> bool:
    """Whether the first attempt is written down as refused for its pace."""
    with Store(environ["ALERTBUS_DATABASE_URL"], clock) as store:
        (entry,) = store.history(1)
        return bool(entry["deliveries"][0]["last_reason"] == "rate_limited")


def test_wait_that_the_provider_asks_for_is_kept_over_a_restart(tmp_path: Path) -> None:
    """Retry after 35: nothing reaches that chat before, although another daemon runs by then; then all of it does."""
    clock = FastClock(WAIT_SPEED)
    telegrams = Telegrams(clock)
    telegrams.server.telegram.script(rate_limited(RETRY_AFTER))
    options = RunOptions(interval_seconds=0.005)
    with telegrams.server as server:
        environ = waiting_environ(server, tmp_path, clock)
        with running_service(environ, tmp_path, options=options, clock=clock):
            wait_until(lambda: refused(environ, clock))
        with running_service(environ, tmp_path, options=options, clock=clock) as again:
            server.wait_for_accepted(1, provider="telegram", timeout=PATIENCE_SECONDS)
            wait_until(lambda: again.states() == {"telegram": ["accepted"]})
        first, second = (clock.at(real) for real in telegrams.requested_at(TELEGRAM_CHAT))
    assert second - first >= RETRY_AFTER


@pytest.mark.benchmark
def test_wait_that_the_provider_asks_for_is_kept_over_the_death_of_a_process(tmp_path: Path) -> None:
    """The same in real time with a process that is killed as soon as it has written the refusal down."""
    clock = SystemClock()
    telegrams = Telegrams(clock)
    telegrams.server.telegram.script(rate_limited(RETRY_AFTER))
    with telegrams.server as server:
        environ = waiting_environ(server, tmp_path, clock)
        with daemon_process(environ, tmp_path) as daemon:
            wait_until(lambda: refused(environ, clock))
            daemon.kill()
        with daemon_process(environ, tmp_path) as again:
            server.wait_for_accepted(1, provider="telegram", timeout=2 * RETRY_AFTER)
            wait_until(lambda: again.states() == {"telegram": ["accepted"]})
        first, second = telegrams.requested_at(TELEGRAM_CHAT)
    assert second - first >= RETRY_AFTER
