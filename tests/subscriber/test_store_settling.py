"""What is learned of attempts after they were closed: messages that failed, and answers that came too late."""

from __future__ import annotations

import pytest

from subscriber.deliveries import DeliveryState, Done, GiveUp, Outcome, Reason, RetryAt, Why
from subscriber.errors import LeaseLost
from subscriber.store import Closed, Store
from tests.support.clock import START_US, FakeClock
from tests.support.receipted import CHANNEL, NETWORK, TIMEOUT, UNDELIVERED, Flight, Sender, taken

SOON = RetryAt(START_US + 60_000_000)
LIMITED = Outcome(Reason.RATE_LIMITED, "too fast", code="63018")


@pytest.fixture
def sender(store: Store, clock: FakeClock) -> Sender:
    return Sender(store, clock)


def balanced(sender: Sender) -> bool:
    audit = sender.store.audit()
    assert audit.faults == ()
    return audit.balanced


# --- messages that failed after their acceptance ----------------------------------------------------------------


def test_failed_receipts_tell_what_has_to_be_decided(sender: Sender) -> None:
    alert = sender.add()
    flight = sender.begin()
    sender.end(flight, Outcome(Reason.ACCEPTED, provider_message_id="SM1", by_template=True))
    sender.clock.advance(9)
    sender.tell("failed", code="63016", detail="outside the window", at_us=START_US + 5)
    failed = sender.failed()
    assert (failed.attempt, failed.opened_us, failed.by_template) == (flight.attempt, START_US, True)
    told = failed.receipt
    assert (told.message_id, told.state, told.code, told.detail, told.at_us) == (
        "SM1",
        "failed",
        "63016",
        "outside the window",
        START_US + 5,
    )
    (delivery,) = failed.deliveries
    assert (delivery.alert, delivery.channel, delivery.state, delivery.retries) == (
        alert,
        CHANNEL,
        DeliveryState.ACCEPTED,
        0,
    )


def test_failed_receipts_are_those_of_known_messages_of_these_channels(sender: Sender) -> None:
    sender.add()
    sender.send()
    sender.tell("failed", "SM9")
    sender.tell("sent")
    assert sender.store.failed_receipts([CHANNEL]) == []
    sender.tell("failed")
    assert sender.store.failed_receipts(["telegram"]) == []
    assert sender.store.failed_receipts([]) == []
    assert len(sender.store.failed_receipts(["telegram", CHANNEL])) == 1


def test_failed_receipts_of_an_attempt_that_is_open_wait_for_its_end(sender: Sender) -> None:
    """Settled before, the acceptance that is about to be recorded would stand for good."""
    sender.add()
    flight = sender.begin()
    sender.tell("failed", reference=flight.reference)
    assert sender.store.failed_receipts([CHANNEL]) == []
    sender.end(flight, taken())
    assert len(sender.store.failed_receipts([CHANNEL])) == 1


@pytest.mark.parametrize(
    ("outcome", "decision", "expected"),
    [
        (UNDELIVERED, SOON, ("pending", 1, None)),
        (LIMITED, RetryAt(SOON.due_at_us, counts=False), ("pending", 0, None)),
        (UNDELIVERED, GiveUp(DeliveryState.DEAD), ("dead", 1, START_US + 9_000_000)),
        (UNDELIVERED, GiveUp(DeliveryState.EXPIRED), ("expired", 1, START_US + 9_000_000)),
    ],
)
def test_settle_failed_makes_a_failed_attempt_of_it(
    sender: Sender, outcome: Outcome, decision: RetryAt | GiveUp, expected: tuple[str, int, int | None]
) -> None:
    alert = sender.add()
    flight = sender.send()
    sender.tell("failed")
    sender.clock.advance(9)
    assert sender.settle(decision, outcome=outcome) == Closed(DeliveryState(expected[0]))
    delivery = sender.delivery(alert)
    assert (delivery["status"], delivery["retries"], delivery["finished_at"]) == expected
    assert (delivery["last_reason"], delivery["last_code"]) == (outcome.reason.value, outcome.code)
    if isinstance(decision, RetryAt):
        assert delivery["due_at"] == decision.due_at_us
    row = sender.attempt(flight)
    assert (row.reason, row.code, row.detail, row.receipt, bool(row.in_doubt)) == (
        outcome.reason.value,
        outcome.code,
        outcome.detail,
        "failed",
        False,
    )
    assert sender.store.failed_receipts([CHANNEL]) == []
    assert balanced(sender)


def test_settle_failed_lets_it_be_sent_again(sender: Sender) -> None:
    alert = sender.add()
    sender.send()
    sender.tell("failed")
    sender.settle(RetryAt(sender.clock.now_us()))
    sender.send("SM2")
    sender.tell("delivered", "SM2")
    assert sender.state(alert) == "delivered"
    assert balanced(sender)


def test_settle_failed_twice_is_done_once(sender: Sender) -> None:
    """Two daemons draw the same conclusion."""
    sender.add()
    sender.send()
    sender.tell("failed")
    failed = sender.failed()
    assert sender.store.settle_failed(failed, UNDELIVERED, SOON) is not None
    assert sender.store.settle_failed(failed, UNDELIVERED, GiveUp(DeliveryState.DEAD)) is None
    assert sender.store.channel_counts() == {CHANNEL: {"pending": 1}}


def test_settle_failed_of_what_arrived_after_all_does_nothing(sender: Sender) -> None:
    alert = sender.add()
    sender.send()
    sender.tell("failed")
    failed = sender.failed()
    sender.tell("delivered")
    assert sender.store.settle_failed(failed, UNDELIVERED, SOON) is None
    assert sender.state(alert) == "delivered"
    assert balanced(sender)


@pytest.mark.parametrize("decision", [SOON, GiveUp(DeliveryState.DEAD)])
def test_message_that_arrives_after_its_failure_was_settled_is_not_sent_again(
    sender: Sender, decision: RetryAt | GiveUp
) -> None:
    alert = sender.add()
    sender.send()
    sender.tell("failed")
    sender.settle(decision)
    sender.clock.advance(1)
    assert sender.tell("delivered").delivered == 1
    delivery = sender.delivery(alert)
    assert (delivery["status"], delivery["retries"]) == ("delivered", 0)
    assert balanced(sender)


def test_settle_failed_leaves_what_a_later_attempt_has_told(sender: Sender) -> None:
    """Sent again by hand, and accepted: the first message's failure says nothing of the second."""
    alert = sender.add()
    sender.send("SM1")
    sender.clock.advance(1)
    sender.store.mark_notification_sent(sender.delivery(alert)["id"], "pending")
    sender.send("SM2")
    sender.tell("failed", "SM1")
    assert sender.failed().deliveries == ()
    assert sender.settle(SOON) == Closed()
    assert sender.state(alert) == "accepted"
    assert balanced(sender)


def test_settle_failed_of_what_had_arrived_in_an_earlier_message_says_that_it_arrived(sender: Sender) -> None:
    """A person had it sent again, and only that second message failed."""
    alert = sender.add()
    sender.send()
    sender.tell("delivered")
    sender.clock.advance(1)
    sender.store.mark_notification_sent(sender.delivery(alert)["id"], "pending")
    sender.send("SM2")
    sender.clock.advance(1)
    sender.tell("failed", "SM2")
    assert sender.settle(SOON) == Closed()
    assert sender.state(alert) == "delivered"
    assert balanced(sender)


def test_settle_failed_leaves_what_a_person_has_set(sender: Sender) -> None:
    alert = sender.add()
    sender.send()
    sender.tell("failed")
    sender.clock.advance(1)
    sender.store.mark_notification_sent(sender.delivery(alert)["id"], "sent")
    sender.clock.advance(1)
    assert sender.settle(SOON) == Closed()
    assert sender.state(alert) == "accepted"
    assert balanced(sender)


def test_settle_failed_of_other_deliveries_than_those_decided_upon_does_nothing(sender: Sender) -> None:
    """Two messages told it, and the second one fails between the decision on the first one and its record."""
    alert = sender.add()
    first = sender.begin()
    sender.end(first, TIMEOUT)
    second = sender.begin()
    sender.end(second, taken("SM2"))
    late(sender, first, taken("SM1"))
    sender.tell("failed", "SM1")
    failed = sender.failed()
    assert failed.deliveries == ()
    sender.tell("failed", "SM2")
    assert sender.store.settle_failed(failed, UNDELIVERED, GiveUp(DeliveryState.DEAD)) is None
    assert sender.state(alert) == "accepted"
    again, other = sender.store.failed_receipts([CHANNEL])
    assert [[delivery.alert for delivery in each.deliveries] for each in (again, other)] == [[alert], [alert]]
    assert sender.store.settle_failed(again, UNDELIVERED, SOON) == Closed(DeliveryState.PENDING)
    assert sender.store.settle_failed(other, UNDELIVERED, GiveUp(DeliveryState.DEAD)) is None
    assert sender.settle(GiveUp(DeliveryState.DEAD)) == Closed()
    assert sender.state(alert) == "pending"
    assert balanced(sender)


def test_settle_failed_as_done_is_refused(sender: Sender) -> None:
    sender.add()
    sender.send()
    sender.tell("failed")
    with pytest.raises(ValueError, match="is not done"):
        sender.settle(Done())


# --- answers that came after the deadline -----------------------------------------------------------------------


@pytest.fixture
def in_doubt(sender: Sender) -> Flight:
    """A send that was given up at its deadline."""
    sender.add()
    flight = sender.begin()
    sender.end(flight, TIMEOUT)
    sender.clock.advance(1)
    return flight


def late(sender: Sender, flight: Flight, outcome: Outcome) -> Closed | None:
    return sender.store.settle_late(flight.attempt, outcome, receipts=sender.mode)


def test_settle_late_acceptance_ends_the_doubt(sender: Sender, in_doubt: Flight) -> None:
    assert late(sender, in_doubt, taken()) == Closed(DeliveryState.ACCEPTED)
    delivery = sender.delivery(in_doubt.delivery.alert)
    assert (delivery["status"], delivery["retries"], delivery["last_reason"]) == ("accepted", 0, "accepted")
    row = sender.attempt(in_doubt)
    assert (row.reason, bool(row.in_doubt), row.provider_message_id, row.receipt) == (
        "accepted",
        False,
        "SM1",
        "queued",
    )
    assert row.receipt_due == sender.later(2)
    assert row.seconds == 0.2
    assert sender.tell("delivered").delivered == 1
    assert balanced(sender)


def test_settle_late_twice_is_done_once(sender: Sender, in_doubt: Flight) -> None:
    assert late(sender, in_doubt, taken()) is not None
    assert late(sender, in_doubt, taken()) is None
    assert sender.delivery(in_doubt.delivery.alert)["retries"] == 0


def test_settle_late_acceptance_takes_the_receipts_that_came_first(sender: Sender, in_doubt: Flight) -> None:
    sender.tell("delivered")
    assert late(sender, in_doubt, taken()) == Closed(DeliveryState.DELIVERED)
    assert sender.state(in_doubt.delivery.alert) == "delivered"
    assert balanced(sender)


def test_settle_late_acceptance_of_what_is_being_sent_again_leaves_that(sender: Sender, in_doubt: Flight) -> None:
    """Nobody can call a request back; it keeps its own end."""
    second = sender.begin()
    assert late(sender, in_doubt, taken("SM1")) == Closed()
    assert sender.attempt(in_doubt).reason == "accepted"
    assert balanced(sender)
    assert sender.end(second, taken("SM2")) == Closed(DeliveryState.ACCEPTED)
    assert balanced(sender)


def test_settle_late_acceptance_takes_it_from_who_has_not_begun(sender: Sender, in_doubt: Flight) -> None:
    (claimed,) = sender.store.claim(CHANNEL, "worker", 60, 1)
    assert late(sender, in_doubt, taken()) == Closed(DeliveryState.ACCEPTED)
    with pytest.raises(LeaseLost):
        sender.store.open_attempt([claimed])


@pytest.mark.parametrize("outcome", [UNDELIVERED, LIMITED, Outcome(Reason.UNAVAILABLE, "502", 502, in_doubt=True)])
def test_settle_late_refusal_is_the_attempts_true_end(sender: Sender, in_doubt: Flight, outcome: Outcome) -> None:
    """The delivery is tried again as it was decided."""
    assert late(sender, in_doubt, outcome) == Closed()
    row = sender.attempt(in_doubt)
    assert (row.reason, row.code, bool(row.in_doubt)) == (outcome.reason.value, outcome.code, outcome.in_doubt)
    assert sender.state(in_doubt.delivery.alert) == "in_doubt"
    assert balanced(sender)


@pytest.mark.parametrize("outcome", [NETWORK, taken()])
def test_settle_late_of_what_was_never_in_doubt_does_nothing(sender: Sender, outcome: Outcome) -> None:
    sender.add()
    flight = sender.begin()
    sender.end(flight, outcome)
    assert late(sender, flight, UNDELIVERED) is None
    assert sender.attempt(flight).reason == outcome.reason.value


def test_settle_late_of_an_unknown_attempt_does_nothing(sender: Sender) -> None:
    assert sender.store.settle_late(99, taken()) is None


def test_settle_late_acceptance_of_what_a_worker_is_about_to_close_ends_it(sender: Sender) -> None:
    """The answer came between the deadline and its record."""
    sender.add()
    flight = sender.begin()
    assert late(sender, flight, UNDELIVERED) is None
    assert late(sender, flight, taken()) == Closed(DeliveryState.ACCEPTED)
    with pytest.raises(LeaseLost):
        sender.end(flight, TIMEOUT)
    assert sender.delivery(flight.delivery.alert)["retries"] == 0
    assert balanced(sender)


@pytest.mark.parametrize("state", ["dead", "expired", "suppressed"])
def test_settle_late_acceptance_of_what_was_given_up_says_that_it_was_taken(
    sender: Sender, in_doubt: Flight, state: str
) -> None:
    (claimed,) = sender.store.claim(CHANNEL, "worker", 60, 1)
    why = Why.DISABLED if state == "suppressed" else None
    sender.store.finish(claimed, DeliveryState(state), why)
    assert late(sender, in_doubt, taken()) == Closed(DeliveryState.ACCEPTED)
    delivery = sender.delivery(in_doubt.delivery.alert)
    assert (delivery["status"], delivery["why"]) == ("accepted", None)
    assert balanced(sender)


def test_settle_late_acceptance_leaves_what_a_person_has_set(sender: Sender, in_doubt: Flight) -> None:
    alert = in_doubt.delivery.alert
    sender.store.mark_notification_sent(sender.delivery(alert)["id"], "pending")
    assert late(sender, in_doubt, taken()) == Closed()
    assert sender.state(alert) == "pending"
    assert balanced(sender)
