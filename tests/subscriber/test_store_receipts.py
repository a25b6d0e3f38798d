"""Receipts: stored whenever they come, applied in any order, and what is known to have arrived is not sent again."""

from __future__ import annotations

import pytest

from subscriber.deliveries import DeliveryState, GiveUp, Outcome, Reason, RetryAt
from subscriber.errors import LeaseLost
from subscriber.receipts import ReceiptMode
from subscriber.store import Closed, Noted, Store
from tests.support.clock import START_US, FakeClock
from tests.support.receipted import CHANNEL, NETWORK, TIMEOUT, Sender, taken

DAY_US = 86_400_000_000


@pytest.fixture
def sender(store: Store, clock: FakeClock) -> Sender:
    return Sender(store, clock)


def balanced(sender: Sender) -> bool:
    audit = sender.store.audit()
    assert audit.faults == ()
    return audit.balanced


# --- what an acceptance notes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (ReceiptMode.NONE, (None, None, None, None)),
        (ReceiptMode.OFF, (None, None, None, None)),
        (ReceiptMode.WEBHOOK, ("queued", START_US, None, START_US + DAY_US)),
        (ReceiptMode.POLLING, ("queued", START_US, START_US + 2_000_000, START_US + DAY_US)),
    ],
)
def test_close_attempt_expects_a_receipt_where_the_channel_hears_of_any(
    store: Store, clock: FakeClock, mode: ReceiptMode, expected: tuple[str | None, int | None, int | None, int | None]
) -> None:
    """A polled message is first asked for after two seconds."""
    sender = Sender(store, clock, mode)
    sender.add()
    flight = sender.begin()
    assert sender.end(flight, taken()) == Closed(DeliveryState.ACCEPTED)
    row = sender.attempt(flight)
    assert (row.receipt, row.receipt_us, row.receipt_due, row.receipt_until) == expected


@pytest.mark.parametrize("outcome", [TIMEOUT, NETWORK, Outcome(Reason.ACCEPTED)])
def test_close_attempt_without_a_message_expects_no_receipt(sender: Sender, outcome: Outcome) -> None:
    sender.add()
    flight = sender.begin()
    sender.end(flight, outcome)
    assert sender.attempt(flight).receipt is None


def test_close_attempt_notes_that_a_template_was_used(sender: Sender) -> None:
    alert = sender.add()
    flight = sender.begin()
    sender.end(flight, Outcome(Reason.ACCEPTED, provider_message_id="SM1", by_template=True))
    assert sender.delivery(alert)["attempts"][0]["by_template"] is True


@pytest.mark.parametrize(
    ("decision", "state"),
    [
        (RetryAt(START_US), None),
        (RetryAt(START_US, in_doubt=True), DeliveryState.IN_DOUBT),
        (GiveUp(DeliveryState.DEAD), DeliveryState.DEAD),
    ],
)
def test_close_attempt_returns_what_the_delivery_is_now(
    sender: Sender, decision: RetryAt | GiveUp, state: DeliveryState | None
) -> None:
    """None where it stays what it was."""
    sender.add()
    assert sender.end(sender.begin(), NETWORK, decision) == Closed(state)


# --- receipts after the acceptance ------------------------------------------------------------------------------


def test_note_receipt_delivered_ends_the_delivery(sender: Sender) -> None:
    alert = sender.add()
    flight = sender.send()
    sender.clock.advance(3)
    noted = sender.tell("delivered", at_us=START_US + 1_000_000)
    assert noted == Noted(new=True, channel=CHANNEL, delivered=1, accepted_us=START_US, alert_id=alert.id)
    delivery = sender.delivery(alert)
    assert (delivery["status"], delivery["finished_at"]) == ("delivered", START_US)
    row = sender.attempt(flight)
    assert (row.receipt, row.receipt_us, row.receipt_due) == ("delivered", START_US + 1_000_000, None)
    assert balanced(sender)


def test_story_tells_the_receipts_of_each_attempt(sender: Sender) -> None:
    """With the provider's time, or ours where it says none."""
    alert = sender.add()
    sender.send()
    sender.clock.advance(1)
    sender.tell("sent", at_us=START_US + 5)
    sender.tell("failed", code="63024", detail="not on WhatsApp\0")
    (attempt,) = sender.delivery(alert)["attempts"]
    assert (attempt["receipt"], attempt["receipt_at"]) == ("failed", START_US + 1_000_000)
    assert attempt["receipts"] == [
        {"state": "sent", "at": START_US + 5, "code": None, "detail": ""},
        {"state": "failed", "at": START_US + 1_000_000, "code": "63024", "detail": "not on WhatsApp�"},
    ]
    assert not {"receipt_due", "receipt_until"} & attempt.keys()


def test_note_receipt_twice_is_no_news(sender: Sender) -> None:
    sender.add()
    sender.send()
    assert sender.tell("sent").new
    assert sender.tell("sent") == Noted(new=False, channel=CHANNEL)
    assert sender.tell("delivered").delivered == 1
    assert sender.tell("delivered").delivered == 0
    assert [row.state for row in sender.receipts()] == ["sent", "delivered"]


def test_note_receipt_out_of_order_never_moves_back(sender: Sender) -> None:
    alert = sender.add()
    flight = sender.send()
    for state in ("read", "delivered", "sent", "failed", "queued"):
        assert sender.tell(state).new
        assert sender.attempt(flight).receipt == "read"
        assert sender.state(alert) == "delivered"
    assert sender.store.failed_receipts([CHANNEL]) == []
    assert balanced(sender)


def test_note_receipt_of_another_providers_channel_is_stored_and_belongs_to_nobody(sender: Sender) -> None:
    alert = sender.add("telegram")
    (delivery,) = sender.store.claim("telegram", "worker", 60, 1)
    sender.store.close_attempt(
        sender.store.open_attempt([delivery]), [delivery], taken(), RetryAt(0), 0.1, receipts=ReceiptMode.NONE
    )
    assert sender.tell("delivered") == Noted(new=True)
    assert sender.state(alert, "telegram") == "pending"


# --- receipts before our own commit -----------------------------------------------------------------------------


@pytest.mark.parametrize("named", [False, True], ids=["by message", "by reference"])
@pytest.mark.parametrize(
    ("states", "receipt", "state"),
    [
        (("queued",), "queued", "accepted"),
        (("sent",), "sent", "accepted"),
        (("delivered",), "delivered", "delivered"),
        (("read", "sent"), "read", "delivered"),
        (("failed",), "failed", "accepted"),
        (("failed", "delivered"), "delivered", "delivered"),
    ],
)
def test_receipt_before_the_acceptance_is_recorded_is_applied_with_it(
    sender: Sender, named: bool, states: tuple[str, ...], receipt: str, state: str
) -> None:
    """Whether the receipt names our attempt, or only the provider's message, which nobody knows yet."""
    alert = sender.add()
    flight = sender.begin()
    for word in states:
        noted = sender.tell(word, reference=flight.reference if named else "")
        assert noted == Noted(new=True, channel=CHANNEL if named else None, alert_id=alert.id if named else None)
    assert sender.state(alert) == "pending"
    assert sender.end(flight, taken()) == Closed(DeliveryState(state))
    assert (sender.state(alert), sender.attempt(flight).receipt) == (state, receipt)
    due = sender.attempt(flight).receipt_due
    assert (due is None) is (receipt not in {"queued", "sent"})
    assert [failed.attempt for failed in sender.store.failed_receipts([CHANNEL])] == (
        [flight.attempt] if receipt == "failed" else []
    )
    assert all(row.attempt_id == flight.attempt for row in sender.receipts())
    assert balanced(sender)


def test_receipt_that_names_its_attempt_brings_those_that_did_not(sender: Sender) -> None:
    """The first came without our reference, and before the attempt was recorded in doubt."""
    alert = sender.add()
    flight = sender.begin()
    sender.tell("sent")
    sender.end(flight, TIMEOUT)
    assert sender.tell("delivered", reference=flight.reference).delivered == 1
    assert sender.state(alert) == "delivered"
    assert {row.attempt_id for row in sender.receipts()} == {flight.attempt}
    assert balanced(sender)


# --- what is in doubt, given up, or being sent again ------------------------------------------------------------


@pytest.mark.parametrize(("word", "state"), [("delivered", "delivered"), ("read", "delivered"), ("sent", "accepted")])
def test_receipt_of_an_attempt_in_doubt_ends_the_doubt(sender: Sender, word: str, state: str) -> None:
    """It is not sent again, and its attempt was an acceptance."""
    alert = sender.add()
    flight = sender.begin()
    sender.end(flight, TIMEOUT)
    sender.clock.advance(1)
    assert sender.tell(word, reference=flight.reference).delivered == (state == "delivered")
    delivery = sender.delivery(alert)
    assert (delivery["status"], delivery["retries"], delivery["last_reason"]) == (state, 0, "accepted")
    (attempt,) = delivery["attempts"]
    assert (attempt["reason"], attempt["in_doubt"], attempt["provider_message_id"]) == ("accepted", False, "SM1")
    assert sender.store.claim(CHANNEL, "worker", 60, 1) == []
    assert balanced(sender)


def test_failed_receipt_of_an_attempt_in_doubt_leaves_the_retry(sender: Sender) -> None:
    alert = sender.add()
    flight = sender.begin()
    sender.end(flight, TIMEOUT)
    sender.tell("failed", reference=flight.reference)
    assert sender.state(alert) == "in_doubt"
    assert sender.failed().deliveries == ()
    assert balanced(sender)


def test_receipt_before_the_answer_stays_away_ends_the_doubt_before_it_begins(sender: Sender) -> None:
    """The message arrived, and the answer to our request never came."""
    alert = sender.add()
    flight = sender.begin()
    sender.tell("delivered", reference=flight.reference)
    assert sender.end(flight, TIMEOUT) == Closed(DeliveryState.DELIVERED)
    assert sender.state(alert) == "delivered"
    assert sender.attempt(flight).reason == "accepted"
    assert balanced(sender)


@pytest.mark.parametrize(("word", "state"), [("delivered", "delivered"), ("sent", "accepted")])
def test_receipt_of_an_attempt_whose_worker_died_keeps_it_from_being_sent_again(
    sender: Sender, word: str, state: str
) -> None:
    alert = sender.add()
    flight = sender.begin(lease_seconds=0.0)
    sender.tell(word, reference=flight.reference)
    sender.clock.advance(1)
    if sender.store.database.is_postgresql:
        assert sender.store.release_worker("worker") == 1
    assert sender.store.claim(CHANNEL, "next", 60, 5) == []
    assert sender.state(alert) == state
    assert balanced(sender)


def test_receipt_of_an_attempt_whose_worker_died_is_found_when_its_leases_are_given_back(sender: Sender) -> None:
    alert = sender.add()
    flight = sender.begin()
    sender.tell("delivered", reference=flight.reference)
    sender.store.release_worker("worker")
    assert sender.state(alert) == "delivered"
    assert balanced(sender)


def test_receipt_of_what_was_claimed_again_takes_it_away(sender: Sender) -> None:
    """Its worker has not begun yet, and finds that it must send nothing."""
    alert = sender.add()
    first = sender.begin()
    sender.end(first, TIMEOUT)
    (claimed,) = sender.store.claim(CHANNEL, "worker", 60, 1)
    sender.tell("delivered", reference=first.reference)
    with pytest.raises(LeaseLost):
        sender.store.open_attempt([claimed])
    assert sender.state(alert) == "delivered"
    assert balanced(sender)


@pytest.mark.parametrize("outcome", [TIMEOUT, NETWORK, taken("SM2")])
def test_receipt_of_what_is_being_sent_again_waits_for_the_end_of_that(sender: Sender, outcome: Outcome) -> None:
    """Nobody can call a request back; but however it ends, it was the last one."""
    alert = sender.add()
    first = sender.begin()
    sender.end(first, TIMEOUT)
    second = sender.begin()
    assert sender.tell("delivered", reference=first.reference).delivered == 0
    assert sender.state(alert) == "in_doubt"
    assert balanced(sender)
    sender.clock.advance(1)
    assert sender.end(second, outcome) == Closed(DeliveryState.DELIVERED)
    assert sender.state(alert) == "delivered"
    assert all(row.settled_us is not None for row in sender.receipts())
    assert balanced(sender)


@pytest.mark.parametrize("state", ["dead", "expired"])
def test_receipt_of_what_was_given_up_in_doubt_says_that_it_arrived(sender: Sender, state: str) -> None:
    alert = sender.add()
    flight = sender.begin()
    sender.end(flight, TIMEOUT, GiveUp(DeliveryState(state)))
    sender.clock.advance(3600)
    assert sender.tell("delivered", reference=flight.reference).delivered == 1
    assert sender.state(alert) == "delivered"
    assert balanced(sender)


@pytest.mark.parametrize("state", ["pending", "dead", "suppressed"])
def test_receipt_leaves_what_a_person_has_set(sender: Sender, state: str) -> None:
    """Sent again by hand: the person wants it so."""
    alert = sender.add()
    sender.send()
    sender.clock.advance(1)
    assert sender.store.mark_notification_sent(sender.delivery(alert)["id"], state)
    assert sender.tell("delivered").delivered == 0
    assert sender.state(alert) == state
    assert balanced(sender)


def test_what_is_sent_again_by_hand_has_receipts_of_its_own(sender: Sender) -> None:
    """Those of the first message, which were drawn before, say nothing of the second."""
    alert = sender.add()
    sender.send("SM1")
    sender.tell("delivered")
    assert sender.store.mark_notification_sent(sender.delivery(alert)["id"], "pending")
    second = sender.begin()
    assert sender.end(second, taken("SM2")) == Closed(DeliveryState.ACCEPTED)
    assert sender.tell("delivered", "SM2").delivered == 1
    assert balanced(sender)
