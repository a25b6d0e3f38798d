"""A message that was accepted and failed later is a failed attempt: tried again, told elsewhere, or it pauses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from subscriber.deliveries import DeliveryState, Outcome, Reason
from subscriber.delivery.desk import ChannelDesk
from subscriber.receipts import Receipt, ReceiptMode, ReceiptState
from subscriber.store import Store
from tests.support.alerts import risk_event
from tests.support.clock import FakeClock
from tests.support.receipts_bench import AskedChannel, ReceiptsBench
from tests.support.waiting import wait_until
from tests.support.worker_bench import ScriptedChannel

SECOND = 1_000_000
UNAUTHORIZED = Outcome(Reason.UNAUTHORIZED, "the phone has not joined the sandbox", code="63015")
TOO_FAST = Outcome(Reason.RATE_LIMITED, "too fast for WhatsApp", code="63018")
PASSING = Outcome(Reason.UNAVAILABLE, "an error of WhatsApp", code="63012")
WINDOW = Outcome(Reason.REJECTED, "outside of the window", code="63016", template_instead=True)


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[ReceiptsBench]:
    with ReceiptsBench(store, clock) as made:
        yield made


def failing(bench: ReceiptsBench, verdict: Outcome) -> ChannelDesk:
    """Make a channel whose messages fail by webhook, for one reason."""
    return bench.asked_desk(AskedChannel(mode=ReceiptMode.WEBHOOK, verdict=verdict))


def fail(bench: ReceiptsBench, message_id: str = "SM1", code: str = "63005") -> None:
    receipt = Receipt(message_id, ReceiptState.FAILED, code=code)
    bench.store.note_receipt("twilio", ["whatsapp"], receipt)


def test_failed_for_good_is_dead_and_told_by_the_fallback(
    bench: ReceiptsBench, caplog: pytest.LogCaptureFixture
) -> None:
    desk = failing(bench, Outcome(Reason.REJECTED, "it was refused", code="63005"))
    alert = bench.accepted(desk)
    other = ScriptedChannel("telegram")
    bench.start(bench.desk(other))
    fail(bench)
    bench.keeper(desk, fallbacks=("telegram",))._turn()
    delivery = bench.delivery(alert, "whatsapp")
    assert (delivery["status"], delivery["last_code"], delivery["last_detail"]) == ("dead", "63005", "it was refused")
    told = bench.wait_for(alert, "accepted", "telegram")
    assert (told["step"], len(other.sent), bench.woken) == ("fallback", 1, ["telegram"])
    assert bench.metric("deliveries_total", channel="whatsapp", state="dead") == 1
    assert bench.metric("deliveries_total", channel="telegram", state="pending") == 1
    (record,) = [each for each in caplog.records if "accepted, but failed later" in each.getMessage()]
    assert (record.levelname, record.__dict__["alert_id"]) == ("ERROR", str(alert.id))
    fields = ("outcome", "code", "detail", "state", "fallback")
    assert [record.__dict__[name] for name in fields] == ["rejected", "63005", "it was refused", "dead", "telegram"]
    assert bench.store.audit().balanced


def test_failed_on_its_way_is_tried_again_and_arrives(bench: ReceiptsBench, clock: FakeClock) -> None:
    desk = failing(bench, PASSING)
    bench.start(desk)
    alert = bench.add(None, "whatsapp")
    bench.wait_for(alert, "accepted", "whatsapp")
    fail(bench)
    bench.keeper(desk)._turn()
    delivery = bench.delivery(alert, "whatsapp")
    assert (delivery["status"], delivery["retries"], delivery["possible_repeat"]) == ("pending", 1, False)
    assert bench.woken == ["whatsapp"]
    clock.advance(1)
    wait_until(lambda: len(bench.delivery(alert, "whatsapp")["attempts"]) == 2)
    bench.wait_for(alert, "accepted", "whatsapp")
    bench.store.note_receipt("twilio", ["whatsapp"], Receipt("SM2", ReceiptState.DELIVERED))
    assert bench.state(alert) == "delivered"
    first, second = bench.delivery(alert, "whatsapp")["attempts"]
    assert (first["reason"], first["code"], first["receipt"]) == ("unavailable", "63012", "failed")
    assert (second["reason"], second["receipt"]) == ("accepted", "delivered")
    assert bench.store.audit().balanced


def test_failed_outside_the_window_goes_by_template_at_once(bench: ReceiptsBench, clock: FakeClock) -> None:
    """A try by template is due now, not after a pause: a person is to know within seconds."""
    desk = failing(bench, WINDOW)
    alert = bench.accepted(desk)
    fail(bench, code="63016")
    now_us = clock.now_us()
    bench.keeper(desk, fallbacks=("telegram",))._turn()
    delivery = bench.delivery(alert, "whatsapp")
    assert (delivery["status"], delivery["due_at"]) == ("pending", now_us)
    assert set(bench.deliveries(alert)) == {"whatsapp"}


def test_failed_that_was_sent_by_template_says_so_to_the_channel(bench: ReceiptsBench) -> None:
    channel = AskedChannel(mode=ReceiptMode.WEBHOOK)
    channel.answers.append(Outcome(Reason.ACCEPTED, provider_message_id="SM0", by_template=True))
    desk = bench.asked_desk(channel)
    bench.accepted(desk)
    bench.accepted(desk)
    fail(bench, "SM0")
    fail(bench, "SM1")
    bench.keeper(desk)._turn()
    assert [(receipt.message_id, by_template) for receipt, by_template in channel.judged] == [
        ("SM0", True),
        ("SM1", False),
    ]


def test_failed_by_its_target_pauses_the_channel_and_tells_it_once(bench: ReceiptsBench) -> None:
    desk = failing(bench, UNAUTHORIZED)
    alerts = [bench.accepted(desk) for _ in range(10)]
    for number in range(1, 11):
        fail(bench, f"SM{number}", "63015")
    bench.keeper(desk)._turn()
    assert desk.paused
    assert {bench.state(alert) for alert in alerts} == {"pending"}
    (event,) = bench.announced
    assert event.event_type == "CHANNEL_UNAUTHORIZED"
    assert "the phone has not joined the sandbox" in event.description
    assert bench.metric("channel_up", channel="whatsapp") == 0


def test_failed_because_it_was_too_fast_holds_the_channel(bench: ReceiptsBench, clock: FakeClock) -> None:
    desk = failing(bench, TOO_FAST)
    alert = bench.accepted(desk)
    fail(bench, code="63018")
    bench.keeper(desk)._turn()
    delivery = bench.delivery(alert, "whatsapp")
    assert (delivery["status"], delivery["retries"]) == ("pending", 0)
    assert desk.wait_needed() >= 10
    assert delivery["due_at"] - clock.now_us() >= 10 * SECOND
    assert not desk.paused


def test_failed_on_its_way_says_nothing_of_the_channel(bench: ReceiptsBench) -> None:
    """Three in a row are no reason to stop sending: the provider took every one of them."""
    desk = failing(bench, PASSING)
    for number in range(1, 5):
        bench.accepted(desk)
        fail(bench, f"SM{number}")
    bench.keeper(desk)._turn()
    assert (desk.up, desk.wait_needed(), bench.announced) == (True, 0, [])


def test_failed_hours_late_of_what_is_too_old_expires(bench: ReceiptsBench, clock: FakeClock) -> None:
    desk = failing(bench, PASSING)
    alert = bench.accepted(desk, risk_event(severity="WARNING"))
    critical = bench.accepted(desk)
    clock.advance(25 * 3600)
    fail(bench, "SM1")
    fail(bench, "SM2")
    bench.keeper(desk)._turn()
    assert (bench.state(alert), bench.state(critical)) == ("expired", "pending")


def test_failed_noted_before_a_crash_is_settled_by_the_next_daemon(
    bench: ReceiptsBench, store: Store, clock: FakeClock
) -> None:
    """Between the receipt and what follows from it nothing is in memory alone."""
    desk = failing(bench, PASSING)
    alert = bench.accepted(desk)
    fail(bench)
    with ReceiptsBench(store, clock) as later:
        again = later.asked_desk(AskedChannel(mode=ReceiptMode.WEBHOOK, verdict=PASSING))
        later.start_keeper(again)
        wait_until(lambda: later.state(alert) == "pending")


def test_failed_is_settled_once_by_whichever_daemon(bench: ReceiptsBench) -> None:
    desk = failing(bench, Outcome(Reason.REJECTED, code="63005"))
    alerts = [bench.accepted(desk) for _ in range(60)]
    keepers = [bench.start_keeper(desk) for _ in range(2)]
    for number in range(1, 61):
        fail(bench, f"SM{number}")
        keepers[number % 2].look()
    wait_until(lambda: {bench.state(alert) for alert in alerts} == {"dead"})
    wait_until(lambda: bench.metric("deliveries_total", channel="whatsapp", state="dead") == 60)


def test_failed_that_arrives_after_all_while_it_is_judged_stays_delivered(
    bench: ReceiptsBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def arrives(channel: AskedChannel, receipt: Receipt, *, by_template: bool) -> Outcome:
        bench.store.note_receipt("twilio", ["whatsapp"], Receipt(receipt.message_id, ReceiptState.DELIVERED))
        return PASSING

    desk = failing(bench, PASSING)
    alert = bench.accepted(desk)
    fail(bench)
    monkeypatch.setattr(AskedChannel, "judge_receipt", arrives)
    bench.keeper(desk)._turn()
    assert bench.state(alert) == "delivered"
    assert bench.woken == []
    assert bench.metric("deliveries_total", channel="whatsapp", state="pending") == 0


def test_failed_whose_alert_a_person_has_ended_puts_only_the_record_right(bench: ReceiptsBench) -> None:
    desk = failing(bench, PASSING)
    alert = bench.accepted(desk)
    assert bench.store.mark_notification_sent(bench.delivery(alert, "whatsapp")["id"], "dead")
    fail(bench)
    bench.keeper(desk)._turn()
    assert bench.state(alert) == "dead"
    assert bench.metric("deliveries_total", channel="whatsapp", state=DeliveryState.PENDING.value) == 0
    assert bench.store.failed_receipts(["whatsapp"]) == []


def test_failed_that_the_channel_can_not_judge_is_tried_again(
    bench: ReceiptsBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_to_judge(*_args: object, **_fields: object) -> Outcome:
        raise ZeroDivisionError

    monkeypatch.setattr(AskedChannel, "judge_receipt", fail_to_judge)
    desk = failing(bench, PASSING)
    alert = bench.accepted(desk)
    fail(bench)
    bench.keeper(desk)._turn()
    assert bench.state(alert) == "pending"


def test_failed_more_than_one_look_takes_are_all_settled_at_once(bench: ReceiptsBench) -> None:
    desk = failing(bench, PASSING)
    alerts = [bench.accepted(desk) for _ in range(51)]
    for number in range(1, 52):
        fail(bench, f"SM{number}")
    keeper = bench.keeper(desk)
    assert keeper._turn() == 0
    keeper._turn()
    assert {bench.state(alert) for alert in alerts} == {"pending"}
