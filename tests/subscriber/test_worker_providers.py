"""Workers over Apprise's own plugins and real HTTP, to the stand-in of Telegram and Twilio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from bus.clock import SystemClock
from subscriber.channels.building import build_channel
from subscriber.channels.channel import ChannelConfig, TelegramConfig, TwilioConfig
from subscriber.delivery.desk import ChannelDesk
from subscriber.policy.retry import RetryPolicy
from subscriber.policy.wording import REPEAT_TEXT
from subscriber.store import Store
from tests.support.alerts import risk_event
from tests.support.provider_faults import accept_then_drop, error, hang, rate_limited
from tests.support.provider_server import (
    TELEGRAM_BLOCKED_CHAT,
    TELEGRAM_CHAT,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)
from tests.support.waiting import wait_until
from tests.support.worker_bench import Bench

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

#: Between attempts nearly nothing, for these tests go by the real clock.
EAGER = RetryPolicy(backoff_base_seconds=0.01, backoff_cap_seconds=0.01)
MakeDesk = Callable[[ChannelConfig], ChannelDesk]


@pytest.fixture
def bench(store_url: str) -> Iterator[Bench]:
    with Store(store_url) as store, Bench(store, SystemClock()) as made:
        yield made


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def make_desk(bench: Bench, server: ProviderServer) -> Iterator[MakeDesk]:
    with ExitStack() as opened:

        def make(config: ChannelConfig) -> ChannelDesk:
            channel = build_channel(config, environ={})
            opened.callback(channel.close)
            return bench.desk(channel)

        yield make


def telegram(server: ProviderServer, chat: str = TELEGRAM_CHAT) -> TelegramConfig:
    return TelegramConfig(TELEGRAM_TOKEN, chat, base_url=server.url, deadline_seconds=5)


def twilio(server: ProviderServer, deadline_seconds: float = 5) -> TwilioConfig:
    return TwilioConfig(
        TWILIO_ACCOUNT_SID,
        TWILIO_AUTH_TOKEN,
        TWILIO_SENDER,
        TWILIO_RECIPIENT,
        base_url=server.url,
        deadline_seconds=deadline_seconds,
    )


def test_delivery_by_telegram_arrives_once_with_the_providers_id(
    bench: Bench, server: ProviderServer, make_desk: MakeDesk
) -> None:
    bench.start(make_desk(telegram(server)))
    alert = bench.add()
    delivery = bench.wait_for(alert, "accepted")
    (message,) = server.telegram.accepted
    assert "DRAWDOWN_BREACHED" in message.text
    (attempt,) = delivery["attempts"]
    assert attempt["status"] == 200
    assert attempt["provider_message_id"]


def test_delivery_dropped_after_acceptance_is_repeated_and_says_so(
    bench: Bench, server: ProviderServer, make_desk: MakeDesk
) -> None:
    """Nobody can know whether it arrived; the second message tells the person."""
    server.telegram.script(accept_then_drop())
    bench.start(make_desk(telegram(server)), policy=EAGER)
    delivery = bench.wait_for(bench.add(), "accepted")
    first, second = server.telegram.accepted
    assert (REPEAT_TEXT in first.text, REPEAT_TEXT in second.text) == (False, True)
    assert [attempt["reason"] for attempt in delivery["attempts"]] == ["timeout", "accepted"]


def test_delivery_rate_limited_by_telegram_keeps_its_wait(
    bench: Bench, server: ProviderServer, make_desk: MakeDesk
) -> None:
    server.telegram.script(rate_limited(35))
    desk = make_desk(telegram(server))
    bench.start(desk)
    delivery = bench.wait_for_attempts(bench.add(), 1)
    assert (delivery["status"], delivery["retries"], delivery["last_code"]) == ("pending", 0, "429")
    (attempt,) = delivery["attempts"]
    assert delivery["due_at"] - attempt["closed_us"] > 34_000_000
    wait_until(lambda: desk.wait_needed() > 30)
    assert len(server.telegram.requests) == 1


def test_delivery_to_a_chat_that_blocked_the_bot_pauses_the_channel(
    bench: Bench, server: ProviderServer, make_desk: MakeDesk
) -> None:
    """The alert waits; the provider is not asked again and again."""
    desk = make_desk(telegram(server, TELEGRAM_BLOCKED_CHAT))
    bench.start(desk)
    alert, _ = bench.add(), bench.add()
    bench.wait_for_attempts(alert, 1)
    wait_until(lambda: bench.announced)
    assert desk.paused
    assert TELEGRAM_TOKEN not in bench.announced[0].description
    assert (len(server.telegram.requests), bench.delivery(alert)["status"]) == (1, "pending")


def test_delivery_while_the_provider_fails_arrives_when_it_works_again(
    bench: Bench, server: ProviderServer, make_desk: MakeDesk
) -> None:
    server.telegram.script(error(502), error(500))
    desk = make_desk(telegram(server))
    bench.start(desk, policy=EAGER)
    delivery = bench.wait_for(bench.add(), "accepted")
    assert (delivery["retries"], len(server.telegram.accepted), desk.up) == (2, 1, True)
    assert bench.metric("attempts_total", channel="telegram", outcome="unavailable") == 2


def test_delivery_by_a_hung_whatsapp_does_not_delay_telegram(
    bench: Bench, server: ProviderServer, make_desk: MakeDesk
) -> None:
    """Ten alerts are on Telegram before WhatsApp has answered the first."""
    stuck = hang()
    server.twilio.script(stuck)
    bench.start(make_desk(twilio(server)), "whatsapp")
    bench.start(make_desk(telegram(server)), "telegram")
    first = bench.add(None, "whatsapp", "telegram")
    server.wait_for_requests(1, provider="twilio")
    bench.wait_for(first, "accepted", "telegram")
    bench.wait_for(bench.add(None, "whatsapp", "telegram"), "accepted", "telegram")
    assert server.twilio.accepted == []
    stuck.release()
    bench.wait_for(first, "accepted", "whatsapp")


def test_delivery_that_hangs_ends_at_its_deadline_in_doubt(
    bench: Bench, server: ProviderServer, make_desk: MakeDesk
) -> None:
    server.twilio.script(hang())
    bench.start(make_desk(twilio(server, deadline_seconds=0.2)), policy=EAGER)
    delivery = bench.wait_for(bench.add(None, "whatsapp"), "accepted", "whatsapp")
    assert [attempt["reason"] for attempt in delivery["attempts"]] == ["timeout", "accepted"]
    assert delivery["possible_repeat"]


def test_worker_stopped_while_the_provider_is_slow_records_its_answer(
    bench: Bench, server: ProviderServer, make_desk: MakeDesk
) -> None:
    slow = hang()
    server.telegram.script(slow)
    worker = bench.start(make_desk(telegram(server)))
    alert = bench.add()
    server.wait_for_requests(1, provider="telegram")
    worker.ask_to_stop()
    slow.release()
    assert worker.join(60)
    assert bench.delivery(alert)["status"] == "accepted"
    assert len(server.telegram.accepted) == 1


@pytest.mark.parametrize("provider", ["telegram", "whatsapp"])
def test_storm_is_taken_by_a_strict_provider_in_one_message(
    bench: Bench, server: ProviderServer, make_desk: MakeDesk, provider: str
) -> None:
    """Its markup and its length are what the provider takes, whatever the alerts hold."""
    desk = make_desk(telegram(server) if provider == "telegram" else twilio(server))
    hostile = [
        risk_event(severity="WARNING", symbol=f"<b>{number}&_*", description="`<i>" * 99) for number in range(200)
    ]
    bench.add_all([*hostile, risk_event(symbol="C<1")], provider)
    worker = bench.worker(desk, max_delay_seconds=30.0)
    for _ in range(2):
        worker.turn()
    taken = server.telegram.accepted if provider == "telegram" else server.twilio.accepted
    assert len(taken) == 2
    assert "200 alerts" in taken[1].text
    assert {bench.delivery(alert, provider)["status"] for alert in hostile} == {"folded"}
