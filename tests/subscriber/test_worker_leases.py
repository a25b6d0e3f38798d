"""Two workers on one database while a provider hangs: the lease passes only with a mark, and never before its time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bus.clock import SystemClock
from subscriber.channels.building import build_channel
from subscriber.channels.channel import TwilioConfig
from subscriber.deliveries import Message, Outcome
from subscriber.policy.retry import RetryPolicy
from subscriber.policy.wording import REPEAT_TEXT
from subscriber.store import Store
from tests.support.provider_faults import hang
from tests.support.provider_server import (
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)
from tests.support.waiting import wait_until
from tests.support.worker_bench import ACCEPTED, Bench, ScriptedChannel

EAGER = RetryPolicy(backoff_base_seconds=0.01, backoff_cap_seconds=0.01)


@pytest.fixture
def benches(store_url: str) -> Iterator[tuple[Bench, Bench]]:
    """Two daemons of one database, each with a store of its own, by the real clock."""
    with ExitStack() as opened:
        yield (
            opened.enter_context(Bench(opened.enter_context(Store(store_url)), SystemClock())),
            opened.enter_context(Bench(opened.enter_context(Store(store_url)), SystemClock())),
        )


def test_send_that_hangs_until_its_deadline_keeps_its_lease(benches: tuple[Bench, Bench]) -> None:
    """The other worker looks all the time and finds nothing to claim; the repeat comes after the end, marked."""
    first, second = benches
    with ProviderServer() as server, ExitStack() as opened:
        server.twilio.script(hang())
        channels = [build_channel(_twilio(server), environ={}) for _ in benches]
        for channel in channels:
            opened.callback(channel.close)
        desks = [bench.desk(channel) for bench, channel in zip(benches, channels, strict=True)]
        alert = first.add(None, "whatsapp")
        first.start(desks[0], "daemon-1", lease_seconds=5.0, policy=EAGER)
        server.wait_for_requests(1, provider="twilio")
        second.start(desks[1], "daemon-2", lease_seconds=5.0, policy=EAGER)
        delivery = first.wait_for(alert, "accepted", "whatsapp")
        attempts = delivery["attempts"]
        assert [attempt["reason"] for attempt in attempts] == ["timeout", "accepted"]
        assert attempts[0]["seconds"] >= 0.5  # closed by the worker that sent, and not by one that took over
        assert attempts[1]["opened_us"] >= attempts[0]["closed_us"]
        assert (attempts[0]["possible_repeat"], attempts[1]["possible_repeat"]) == (False, True)
        (message,) = server.twilio.accepted
        assert REPEAT_TEXT in message.text
        assert (first.metric("leases_lost_total"), second.metric("leases_lost_total")) == (0, 0)


def test_send_that_hangs_beyond_its_lease_is_taken_over_with_a_mark(benches: tuple[Bench, Bench]) -> None:
    """Whatever keeps a thread from ending: the next holder knows that an attempt was open, and the person is told."""
    first, second = benches
    began, may_end = threading.Event(), threading.Event()

    def stuck(_message: Message) -> Outcome:
        began.set()
        assert may_end.wait(20)
        return ACCEPTED

    channels = ScriptedChannel("telegram", stuck), ScriptedChannel("telegram")
    desks = first.desk(channels[0]), second.desk(channels[1])
    alert = first.add()
    first.start(desks[0], "daemon-1", lease_seconds=0.3)
    assert began.wait(10)
    second.start(desks[1], "daemon-2", lease_seconds=5.0)
    delivery = second.wait_for(alert, "accepted")
    may_end.set()
    wait_until(lambda: first.metric("leases_lost_total") == 1)
    assert [(attempt["reason"], attempt["in_doubt"]) for attempt in delivery["attempts"]] == [
        ("timeout", True),
        ("accepted", False),
    ]
    assert delivery["possible_repeat"]
    assert [REPEAT_TEXT in message.text for channel in channels for message in channel.sent] == [False, True]
    # What the first one found out in the end is recorded too, and changes nothing more.
    wait_until(lambda: [attempt["reason"] for attempt in second.delivery(alert)["attempts"]] == ["accepted"] * 2)
    ended = second.delivery(alert)
    assert (ended["status"], ended["possible_repeat"], ended["retries"]) == ("accepted", True, delivery["retries"] - 1)


def _twilio(server: ProviderServer) -> TwilioConfig:
    return TwilioConfig(
        TWILIO_ACCOUNT_SID,
        TWILIO_AUTH_TOKEN,
        TWILIO_SENDER,
        TWILIO_RECIPIENT,
        base_url=server.url,
        deadline_seconds=0.6,
    )
