"""Receipts of digests: one that failed for good is told in halves, one that failed for now is told again as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bus.alerts import Alert
from subscriber.deliveries import Outcome, PlannedDelivery, Reason
from subscriber.receipts import Receipt, ReceiptMode, ReceiptState
from subscriber.store import Store
from tests.support.alerts import risk_event
from tests.support.clock import FakeClock
from tests.support.receipts_bench import AskedChannel, ReceiptsBench
from tests.support.worker_bench import drive

REJECTED = Outcome(Reason.REJECTED, "it was refused", code="63005")
PASSING = Outcome(Reason.UNAVAILABLE, "an error of WhatsApp", code="63012")


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[ReceiptsBench]:
    with ReceiptsBench(store, clock) as made:
        yield made


def told_together(bench: ReceiptsBench, clock: FakeClock, channel: AskedChannel) -> list[Alert]:
    """Have four alerts accepted in one message, which then fails."""
    alerts: list[Alert] = [risk_event(severity="WARNING", symbol=f"S{number}") for number in range(4)]
    bench.add_all(alerts, planned=(PlannedDelivery("whatsapp", clock.now_us(), batch="group:desk:"),))
    worker = bench.worker(bench.asked_desk(channel), "first")
    worker.turn()
    assert {bench.state(alert) for alert in alerts} == {"folded"}
    bench.store.note_receipt("twilio", ["whatsapp"], Receipt("SM1", ReceiptState.FAILED, code="63005"))
    return alerts


def test_digest_that_failed_for_good_is_told_in_halves(
    bench: ReceiptsBench, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    channel = AskedChannel(mode=ReceiptMode.WEBHOOK, verdict=REJECTED)
    alerts = told_together(bench, clock, channel)
    desk = bench.asked_desk(channel)
    bench.keeper(desk, fallbacks=("telegram",))._turn()
    assert {bench.state(alert) for alert in alerts} == {"pending"}
    assert bench.woken == ["whatsapp"]
    assert bench.metric("deliveries_total", channel="whatsapp", state="dead") == 0
    (record,) = [each for each in caplog.records if "failed later" in each.getMessage()]
    assert record.__dict__["told_together"] == 4
    drive(bench.worker(desk, interval_seconds=1.0), clock, 3)
    assert len(channel.sent) == 3
    assert {bench.state(alert) for alert in alerts} == {"folded"}
    assert bench.store.audit().balanced


def test_digest_that_failed_for_now_is_told_again_as_it_was(bench: ReceiptsBench, clock: FakeClock) -> None:
    channel = AskedChannel(mode=ReceiptMode.WEBHOOK, verdict=PASSING)
    alerts = told_together(bench, clock, channel)
    desk = bench.asked_desk(channel)
    bench.keeper(desk)._turn()
    drive(bench.worker(desk, interval_seconds=1.0), clock, 70)
    first, again = channel.sent
    assert again.text == first.text
    assert {bench.state(alert) for alert in alerts} == {"folded"}
    assert bench.store.audit().balanced
