"""Whose message a receipt is about, and which messages are to be asked for."""

from __future__ import annotations

import pytest

from subscriber.store import Store
from tests.support.clock import START_US, FakeClock
from tests.support.receipted import CHANNEL, Sender


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
