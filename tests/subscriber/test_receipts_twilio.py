"""Receipts of real channels: worker, keeper and webhooks over real HTTP, to the stand-in of Twilio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from bus.alerts import Alert
from subscriber.channels.building import build_channel, build_webhooks
from subscriber.channels.channel import TwilioConfig
from subscriber.channels.memory import ChannelMemory
from subscriber.deliveries import Remembered
from subscriber.delivery.desk import ChannelDesk
from subscriber.store import Store
from tests.support.clock import FakeClock
from tests.support.ports import free_port
from tests.support.provider_faults import error, hang
from tests.support.provider_server import (
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_OUTSIDE_WINDOW,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)
from tests.support.receipts_bench import ReceiptsBench
from tests.support.twilio_rules import TWILIO_CONTENT_SID, TWILIO_NOT_JOINED, TWILIO_SANDBOX_SENDER
from tests.support.waiting import wait_until
from tests.support.webhook_site import PUBLIC_URL, webhook_site
from tests.support.worker_bench import ScriptedChannel

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

MakeDesk = Callable[..., ChannelDesk]


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[ReceiptsBench]:
    with ReceiptsBench(store, clock) as made:
        yield made


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def make_desk(bench: ReceiptsBench, server: ProviderServer, clock: FakeClock) -> Iterator[MakeDesk]:
    """Make a desk of Twilio's; changes are fields of TwilioConfig, and `inbound_us` of what is remembered."""
    with ExitStack() as opened:

        def make(inbound_us: int | None = None, **changes: Any) -> ChannelDesk:
            memory = ChannelMemory(Remembered(inbound_us=inbound_us))
            config = replace(twilio(server), **changes)
            channel = build_channel(config, environ={}, memory=memory, now_us=clock.now_us)
            opened.callback(channel.close)
            bench.metrics.add_channel(config.name, enabled=True, receipts=True)
            return ChannelDesk(channel, clock)

        yield make


def twilio(server: ProviderServer) -> TwilioConfig:
    return TwilioConfig(
        TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT, base_url=server.url, deadline_seconds=5
    )


def wait_for(bench: ReceiptsBench, clock: FakeClock, alert: Alert, state: str) -> dict[str, Any]:
    """Let time pass until a delivery is in a state; return it."""

    def reached() -> bool:
        clock.advance(0.5)
        return bench.state(alert) == state

    wait_until(reached)
    return bench.delivery(alert, "whatsapp")


def test_message_is_followed_until_it_is_delivered(
    bench: ReceiptsBench, server: ProviderServer, make_desk: MakeDesk, clock: FakeClock
) -> None:
    server.twilio.rules.course = ("queued", "sent", "delivered")
    desk = make_desk()
    bench.start(desk)
    bench.start_keeper(desk)
    delivery = wait_for(bench, clock, bench.add(None, "whatsapp"), "delivered")
    (attempt,) = delivery["attempts"]
    assert [receipt["state"] for receipt in attempt["receipts"]] == ["queued", "sent", "delivered"]
    assert len(server.twilio.accepted) == 1
    assert bench.metric("deliveries_total", channel="whatsapp", state="delivered") == 1


def test_message_that_fails_on_its_way_is_sent_again(
    bench: ReceiptsBench, server: ProviderServer, make_desk: MakeDesk, clock: FakeClock
) -> None:
    server.twilio.rules.course = ("sent",)
    desk = make_desk()
    bench.start(desk)
    bench.start_keeper(desk)
    alert = bench.add(None, "whatsapp")
    bench.wait_for(alert, "accepted", "whatsapp")
    server.twilio.rules.course = ("delivered",)
    server.twilio.rules.report(server.twilio.accepted[0].message_id, "undelivered", code=63012)
    delivery = wait_for(bench, clock, alert, "delivered")
    first, second = delivery["attempts"]
    assert (first["code"], first["receipt"], second["receipt"]) == ("63012", "failed", "delivered")
    assert len(server.twilio.accepted) == 2


def test_text_outside_the_window_is_sent_again_by_template(
    bench: ReceiptsBench, server: ProviderServer, make_desk: MakeDesk, clock: FakeClock
) -> None:
    """We thought that the window was open; Twilio finds out otherwise after it took the text."""
    desk = make_desk(clock.now_us(), recipient=TWILIO_OUTSIDE_WINDOW, content_sid=TWILIO_CONTENT_SID)
    bench.start(desk)
    bench.start_keeper(desk)
    delivery = wait_for(bench, clock, bench.add(None, "whatsapp"), "delivered")
    text, template = server.twilio.accepted
    assert (text.template, template.template) == (None, TWILIO_CONTENT_SID)
    assert [attempt["by_template"] for attempt in delivery["attempts"]] == [False, True]
    assert delivery["attempts"][0]["code"] == "63016"


def test_text_outside_the_window_without_a_template_is_told_by_the_fallback(
    bench: ReceiptsBench, make_desk: MakeDesk, clock: FakeClock
) -> None:
    desk = make_desk(recipient=TWILIO_OUTSIDE_WINDOW)
    other = ScriptedChannel("telegram")
    bench.start(desk)
    bench.start(bench.desk(other), "other")
    bench.start_keeper(desk, fallbacks=("telegram",))
    alert = bench.add(None, "whatsapp")
    assert wait_for(bench, clock, alert, "dead")["last_code"] == "63016"
    assert bench.wait_for(alert, "accepted", "telegram")["step"] == "fallback"
    assert len(other.sent) == 1


def test_phone_that_left_the_sandbox_pauses_the_channel_until_it_is_resumed(
    bench: ReceiptsBench, server: ProviderServer, make_desk: MakeDesk, clock: FakeClock
) -> None:
    desk = make_desk(sender=TWILIO_SANDBOX_SENDER, recipient=TWILIO_NOT_JOINED)
    bench.start(desk)
    bench.start_keeper(desk)
    alert = bench.add(None, "whatsapp")

    def paused() -> bool:
        clock.advance(0.5)
        return desk.paused and bool(bench.announced)

    wait_until(paused)
    wait_until(lambda: bench.state(alert) == "pending")
    sent = len(server.twilio.accepted)
    clock.advance(3600)
    assert desk.resume()

    def sent_again() -> bool:
        clock.advance(0.5)  # where the next try had begun just before the pause, its receipt comes first
        return len(server.twilio.accepted) > sent

    wait_until(sent_again)  # and is refused again, until the phone has joined


def test_question_that_hangs_delays_no_message(
    bench: ReceiptsBench, server: ProviderServer, make_desk: MakeDesk, clock: FakeClock
) -> None:
    desk = make_desk()
    worker = bench.start(desk)
    first = bench.add(None, "whatsapp")
    bench.wait_for(first, "accepted", "whatsapp")
    stuck = hang()
    server.twilio.script(
        replace(error(503), method="GET"), replace(stuck, method="GET")
    )  # for the list of what the person wrote, and for the message
    bench.start_keeper(desk)
    clock.advance(2)
    server.wait_for_requests(3, provider="twilio")
    for _ in range(5):
        bench.wait_for(bench.add(None, "whatsapp"), "accepted", "whatsapp")
    assert bench.state(first) == "accepted"
    stuck.release()
    wait_for(bench, clock, first, "delivered")
    worker.ask_to_stop()


def test_questions_that_fail_are_repeated_after_a_wait(
    bench: ReceiptsBench, server: ProviderServer, make_desk: MakeDesk, clock: FakeClock
) -> None:
    desk = make_desk()
    bench.start(desk)
    alert = bench.add(None, "whatsapp")
    bench.wait_for(alert, "accepted", "whatsapp")
    server.twilio.always(replace(error(500), method="GET"))
    keeper = bench.keeper(desk)
    clock.advance(2)
    keeper._turn()
    server.twilio.behave()
    asked = len(server.twilio.requests)
    clock.advance(4)
    keeper._turn()
    assert len(server.twilio.requests) == asked
    for _ in range(60):
        clock.advance(2)
        keeper._turn()
    assert bench.state(alert) == "delivered"


def test_callback_of_twilios_own_tells_it_at_once_and_polling_stays_the_net_under_it(
    bench: ReceiptsBench, server: ProviderServer, make_desk: MakeDesk, store: Store, clock: FakeClock
) -> None:
    server.twilio.rules.course = ("sent",)
    desk = make_desk(public_url=PUBLIC_URL)
    bench.start(desk)
    config = replace(twilio(server), public_url=PUBLIC_URL)
    first, second = (bench.add(None, "whatsapp") for _ in range(2))
    for alert in (first, second):
        bench.wait_for(alert, "accepted", "whatsapp")
    ids = [message.message_id for message in server.twilio.accepted]
    with webhook_site(store, clock, build_webhooks([config])) as site:
        answer = server.twilio.rules.report(ids[0], "delivered", via=str(site.http.base_url))
        assert answer is not None
        assert (answer.status, answer.body.endswith(b"<Response/>")) == (200, True)
        assert (bench.state(first), bench.state(second)) == ("delivered", "accepted")
        server.twilio.rules.inbound_url = f"{PUBLIC_URL}/webhooks/twilio"
        server.twilio.rules.receive(TWILIO_RECIPIENT, via=str(site.http.base_url))
        assert [channels for channels, _ in site.inbound] == [("whatsapp",)]
    with pytest.raises(OSError, match=r"."):  # nobody is there any more to be called
        server.twilio.rules.report(ids[1], "delivered", via=f"http://127.0.0.1:{free_port()}")
    bench.start_keeper(desk)
    wait_for(bench, clock, second, "delivered")
