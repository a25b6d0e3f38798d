"""Whose message a receipt is about, and which messages are to be asked for."""

from __future__ import annotations

import pytest

from bus.clock import Moment
from subscriber.receipts import ReceiptMode
from subscriber.store import Store
from tests.support.clock import START_US, FakeClock
from tests.support.receipted import CHANNEL, TIMEOUT, UNDELIVERED, Flight, Sender, taken
from tests.support.running_intake import on_sqlite

DAY = 86_400


@pytest.fixture
def sender(store: Store, clock: FakeClock) -> Sender:
    return Sender(store, clock)


# --- names of attempts ------------------------------------------------------------------------------------------


def test_reference_of_an_attempt_is_read_back(store: Store) -> None:
    reference = store.reference_of(17)
    assert reference == f"{store.store_id.replace('-', '')[:12]}.17"
    assert store.attempt_of(reference) == 17


@pytest.mark.parametrize(
    "reference", ["", "17", ".17", "{}.", "{}.0", "{}.-1", "{}.1x", "{}.9999999999999999999", "x{}.1"]
)
def test_reference_that_is_none_of_ours_is_nobodys(store: Store, reference: str) -> None:
    assert store.attempt_of(reference.format(store.reference_of(1).partition(".")[0])) is None


def test_reference_of_another_store_is_nobodys(store: Store) -> None:
    assert store.attempt_of("0123456789ab.1") is None


def test_receipt_that_names_an_attempt_with_another_message_is_not_its_own(sender: Sender) -> None:
    """A database that was restored gives the same number to another message."""
    alert = sender.add()
    flight = sender.send("SM1")
    assert sender.tell("delivered", "SM9", reference=flight.reference).channel is None
    assert sender.state(alert) == "accepted"


# --- asking -----------------------------------------------------------------------------------------------------


def test_due_receipts_are_taken_once(sender: Sender) -> None:
    """Another daemon that looks at the same time finds none."""
    sender.add()
    flight = sender.send()
    assert sender.store.due_receipts(CHANNEL) == []
    sender.clock.advance(2)
    (waiting,) = sender.store.due_receipts(CHANNEL, again_seconds=30)
    assert (waiting.attempt, waiting.message_id, waiting.accepted_us) == (flight.attempt, "SM1", START_US)
    assert sender.store.due_receipts(CHANNEL) == []
    sender.clock.advance(30)
    assert [again.attempt for again in sender.store.due_receipts(CHANNEL)] == [flight.attempt]


def test_due_receipts_are_those_of_one_channel_the_longest_due_first(sender: Sender) -> None:
    for number in range(3):
        sender.add()
        sender.send(f"SM{number}")
        sender.clock.advance(5)
    assert sender.store.due_receipts("telegram") == []
    assert [waiting.message_id for waiting in sender.store.due_receipts(CHANNEL, 2)] == ["SM0", "SM1"]
    assert [waiting.message_id for waiting in sender.store.due_receipts(CHANNEL, 2)] == ["SM2"]


def test_postpone_receipt_says_when_to_ask_again(sender: Sender) -> None:
    sender.add()
    flight = sender.send()
    sender.store.postpone_receipt(flight.attempt, sender.later(100))
    sender.clock.advance(99)
    assert sender.store.due_receipts(CHANNEL) == []
    sender.clock.advance(1)
    assert len(sender.store.due_receipts(CHANNEL)) == 1
    sender.store.postpone_receipt(flight.attempt, None)
    sender.clock.advance(1000)
    assert sender.store.due_receipts(CHANNEL) == []


@pytest.mark.parametrize("word", ["delivered", "read", "failed"])
def test_postpone_receipt_of_what_is_known_already_changes_nothing(sender: Sender, word: str) -> None:
    """The receipt came by another way while we asked."""
    sender.add()
    flight = sender.send()
    sender.tell(word)
    sender.store.postpone_receipt(flight.attempt, sender.later(1))
    assert sender.attempt(flight).receipt_due is None


def test_receipts_waiting_are_counted_for_a_day(sender: Sender) -> None:
    for number in range(3):
        sender.add()
        sender.send(f"SM{number}")
    assert sender.store.receipts_waiting() == {CHANNEL: 3}
    sender.tell("sent", "SM0")
    sender.tell("delivered", "SM1")
    assert sender.store.receipts_waiting() == {CHANNEL: 2}
    sender.clock.advance(86_400)
    sender.add()
    sender.send("SM9")
    sender.clock.advance(1)
    assert sender.store.receipts_waiting() == {CHANNEL: 1}


@on_sqlite
@pytest.mark.parametrize("days", [-2, 2])
def test_message_that_waits_grows_no_older_when_the_clock_is_set(sender: Sender, days: int) -> None:
    """It is asked for, and counted, until a day has passed, whatever the clock says meanwhile."""
    alert = sender.add()
    flight = sender.send()
    sender.add()
    sender.send("SM2")
    sender.clock.advance(60)
    sender.clock.step(days * DAY)
    sender.store.move_waiting(days * DAY * 1_000_000, Moment.now(sender.clock, "this start"))
    waiting, _other = sender.store.due_receipts(CHANNEL)
    assert (waiting.attempt, waiting.accepted_us) == (flight.attempt, sender.later(-60))
    assert sender.store.receipts_waiting() == {CHANNEL: 2}
    assert sender.tell("delivered").accepted_us == sender.later(-60)
    assert sender.state(alert) == "delivered"
    sender.clock.advance(DAY - 60)
    assert sender.store.receipts_waiting() == {CHANNEL: 1}
    sender.clock.advance(1)
    assert sender.store.receipts_waiting() == {}


# --- what was in doubt, and is followed once its provider tells of it -------------------------------------------


def check_followed(sender: Sender, flight: Flight) -> None:
    """It is asked for two seconds after it was told of, and counted as one whose receipt is still to come."""
    assert sender.attempt(flight).reason == "accepted"
    assert sender.store.receipts_waiting() == {CHANNEL: 1}
    told_us = sender.clock.now_us()
    sender.clock.advance(2)
    (waiting,) = sender.store.due_receipts(CHANNEL)
    assert (waiting.attempt, waiting.message_id, waiting.accepted_us) == (flight.attempt, "SM1", told_us)


@pytest.mark.parametrize("word", ["queued", "sent"])
def test_receipt_that_ends_a_doubt_makes_the_message_be_followed(sender: Sender, word: str) -> None:
    sender.add()
    flight = sender.begin()
    sender.end(flight, TIMEOUT)
    sender.clock.advance(60)
    sender.tell(word, reference=flight.reference)
    check_followed(sender, flight)


def test_receipt_before_the_answer_stays_away_makes_the_message_be_followed(sender: Sender) -> None:
    sender.add()
    flight = sender.begin()
    sender.tell("sent", reference=flight.reference)
    sender.end(flight, TIMEOUT)
    check_followed(sender, flight)


def test_receipt_before_the_worker_died_makes_the_message_be_followed(sender: Sender) -> None:
    """Nobody who finds the open attempt knows how its channel hears of receipts."""
    sender.add()
    flight = sender.begin()
    sender.tell("sent", reference=flight.reference)
    sender.store.release_worker("worker")
    check_followed(sender, flight)


def test_late_refusal_leaves_a_message_that_its_provider_knows_followed(sender: Sender) -> None:
    """Its provider has said both; only what it says of the message itself can settle that."""
    sender.add()
    flight = sender.begin()
    sender.tell("sent", reference=flight.reference)
    sender.end(flight, UNDELIVERED)
    sender.clock.advance(2)
    assert [waiting.attempt for waiting in sender.store.due_receipts(CHANNEL)] == [flight.attempt]


def test_acceptance_after_its_first_receipt_is_asked_for_from_its_own_time(sender: Sender) -> None:
    sender.add()
    flight = sender.begin()
    sender.tell("sent", reference=flight.reference)
    sender.clock.advance(1)
    sender.end(flight, taken())
    check_followed(sender, flight)


@pytest.mark.parametrize("word", ["delivered", "failed"])
def test_last_word_on_what_was_in_doubt_leaves_nothing_to_ask(sender: Sender, word: str) -> None:
    sender.add()
    flight = sender.begin()
    sender.end(flight, TIMEOUT)
    sender.tell(word, reference=flight.reference)
    sender.clock.advance(60)
    assert sender.store.due_receipts(CHANNEL) == []
    assert sender.store.receipts_waiting() == {}


def test_receipt_that_ends_a_doubt_is_followed_by_webhooks_where_those_come(store: Store, clock: FakeClock) -> None:
    """It is waited for, and not asked for."""
    sender = Sender(store, clock, ReceiptMode.WEBHOOK)
    sender.add()
    flight = sender.begin()
    sender.end(flight, TIMEOUT)
    sender.tell("sent", reference=flight.reference)
    sender.clock.advance(60)
    assert sender.store.receipts_waiting() == {CHANNEL: 1}
    assert sender.store.due_receipts(CHANNEL) == []
