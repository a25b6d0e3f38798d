"""A failure that is told late: of what was sent before a person put things right, or of what has moved on meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from subscriber.deliveries import Decision, Outcome, Reason, RetryAt
from subscriber.delivery.breaker import BreakerState
from subscriber.delivery.desk import ChannelDesk
from subscriber.receipts import Receipt, ReceiptMode, ReceiptState
from subscriber.store import Store
from subscriber.store.receipts import Closed, FailedReceipt
from tests.support.clock import FakeClock
from tests.support.receipts_bench import AskedChannel, ReceiptsBench
from tests.support.waiting import wait_until

UNAUTHORIZED = Outcome(Reason.UNAUTHORIZED, "the phone has not joined the sandbox", code="63015")
TOO_FAST = Outcome(Reason.RATE_LIMITED, "too fast for WhatsApp", code="63018")
REFUSED = Outcome(Reason.REJECTED, "it was refused", code="63005")


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[ReceiptsBench]:
    with ReceiptsBench(store, clock) as made:
        yield made


def failing(bench: ReceiptsBench, verdict: Outcome) -> ChannelDesk:
    return bench.asked_desk(AskedChannel(mode=ReceiptMode.WEBHOOK, verdict=verdict))


def fail(bench: ReceiptsBench, message_id: str = "SM1", code: str = "63015") -> None:
    bench.store.note_receipt("twilio", ["whatsapp"], Receipt(message_id, ReceiptState.FAILED, code=code))


def test_failed_of_what_was_sent_before_the_resume_is_only_tried_again(bench: ReceiptsBench, clock: FakeClock) -> None:
    """The person has joined the sandbox; what fails of before must not undo that."""
    desk = failing(bench, UNAUTHORIZED)
    first, second = bench.accepted(desk), bench.accepted(desk)
    keeper = bench.keeper(desk)
    fail(bench, "SM1")
    keeper._turn()
    assert (desk.paused, bench.state(first), len(bench.announced)) == (True, "pending", 1)
    clock.advance(60)
    desk.resume()
    fail(bench, "SM2")
    now_us = clock.now_us()
    keeper._turn()
    delivery = bench.delivery(second, "whatsapp")
    assert (delivery["status"], delivery["due_at"], desk.paused) == ("pending", now_us, False)
    assert (len(bench.announced), bench.metric("channel_up", channel="whatsapp")) == (1, 1)


def test_failed_of_what_was_sent_after_the_resume_pauses_again(bench: ReceiptsBench, clock: FakeClock) -> None:
    desk = failing(bench, UNAUTHORIZED)
    clock.advance(60)
    desk.resume()
    clock.advance(1)
    bench.accepted(desk)
    fail(bench)
    bench.keeper(desk)._turn()
    assert (desk.paused, len(bench.announced)) == (True, 1)


def test_failed_of_what_an_earlier_daemon_sent_pauses_nothing(
    bench: ReceiptsBench, store: Store, clock: FakeClock
) -> None:
    """It was ended to be given the right credentials."""
    alert = bench.accepted(failing(bench, UNAUTHORIZED))
    clock.advance(12 * 3600)
    with ReceiptsBench(store, clock) as later:
        desk = failing(later, UNAUTHORIZED)
        fail(later)
        later.keeper(desk)._turn()
        assert (desk.paused, later.state(alert), later.announced) == (False, "pending", [])


def test_failed_because_it_was_too_fast_leaves_an_open_breaker_open(bench: ReceiptsBench) -> None:
    desk = failing(bench, TOO_FAST)
    bench.accepted(desk)
    for _ in range(3):
        desk.note(Outcome(Reason.NETWORK))
    fail(bench, code="63018")
    bench.keeper(desk)._turn()
    assert desk.breaker.state is BreakerState.OPEN
    assert desk.wait_needed() >= 10


def test_failed_because_it_was_too_fast_again_and_again_is_left_alone_for_longer(
    bench: ReceiptsBench, clock: FakeClock
) -> None:
    """Each message was accepted before it was refused, which is no sign that the provider is content."""
    desk = failing(bench, TOO_FAST)
    keeper = bench.keeper(desk)
    alert = bench.add(None, "whatsapp")
    worker = bench.start(desk)
    waits = []
    for number in range(1, 5):
        bench.wait_for_attempts(alert, number, "whatsapp")
        bench.wait_for(alert, "accepted", "whatsapp")
        fail(bench, f"SM{number}", "63018")
        keeper._turn()
        waits.append(desk.wait_needed())
        clock.advance(waits[-1])
    assert waits == [12.5, 50, 200, 600]
    worker.ask_to_stop()


def test_failed_that_asks_for_patience_for_days_tells_it(bench: ReceiptsBench) -> None:
    desk = failing(bench, Outcome(Reason.RATE_LIMITED, "too fast", retry_after_seconds=86_400))
    bench.accepted(desk)
    fail(bench)
    bench.keeper(desk)._turn()
    (event,) = bench.announced
    assert (event.event_type, desk.up) == ("CHANNEL_HELD", False)
    assert bench.metric("channel_up", channel="whatsapp") == 0


class Settled:
    """Stands before the store's `settle_failed`: notes what it is told, and may do something first."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, *answers: Closed | None) -> None:
        self.told: list[tuple[Decision, Sequence[str]]] = []
        self._real = store.settle_failed
        self._answers = list(answers)
        monkeypatch.setattr(store, "settle_failed", self)

    def __call__(
        self, failed: FailedReceipt, outcome: Outcome, decision: Decision, *args: Any, fallbacks: Sequence[str]
    ) -> Closed | None:
        self.told.append((decision, fallbacks))
        return (
            self._answers.pop(0) if self._answers else self._real(failed, outcome, decision, *args, fallbacks=fallbacks)
        )


@pytest.mark.parametrize("verdict", [UNAUTHORIZED, TOO_FAST], ids=lambda outcome: str(outcome.reason))
def test_failed_that_another_settles_teaches_nothing_here(
    bench: ReceiptsBench, monkeypatch: pytest.MonkeyPatch, verdict: Outcome
) -> None:
    """It arrived after all, or another daemon has it: that one knows what it says of the channel."""
    desk = failing(bench, verdict)
    bench.accepted(desk)
    fail(bench)
    Settled(bench.store, monkeypatch, None)
    bench.keeper(desk)._turn()
    assert (desk.paused, desk.wait_needed(), desk.holds.unsaid, bench.announced) == (False, 0, 0, [])


def test_failed_whose_deliveries_have_changed_is_looked_at_again(
    bench: ReceiptsBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store refuses a decision about other deliveries; the next look takes it up by itself."""
    desk = failing(bench, REFUSED)
    alert = bench.accepted(desk)
    fail(bench, code="63005")
    settled = Settled(bench.store, monkeypatch, None)
    bench.start_keeper(desk)
    wait_until(lambda: bench.state(alert) == "dead")
    assert len(settled.told) == 2


def test_failed_that_tells_nothing_any_more_gives_up_nothing(
    bench: ReceiptsBench, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    """Whatever it means: with no delivery to give up, a decision to give up could only hit one that came since."""
    desk = failing(bench, REFUSED)
    alert = bench.accepted(desk)
    assert bench.store.mark_notification_sent(bench.delivery(alert, "whatsapp")["id"], "sent")
    fail(bench, code="63005")
    settled = Settled(bench.store, monkeypatch)
    bench.keeper(desk, fallbacks=("telegram",))._turn()
    assert settled.told == [(RetryAt(clock.now_us(), counts=False), ("telegram",))]
    assert (bench.state(alert), set(bench.deliveries(alert)), bench.woken) == ("accepted", {"whatsapp"}, [])
    assert bench.store.failed_receipts(["whatsapp"]) == []
