"""Digests of a channel with receipts: what is told later of one message is true of all that it told."""

from __future__ import annotations

import pytest

from subscriber.deliveries import DeliveryState, GiveUp, Reason, RetryAt
from subscriber.errors import LeaseLost
from subscriber.receipts import Receipt, ReceiptMode, ReceiptState
from subscriber.store import Closed, Store
from tests.support.clock import FakeClock
from tests.support.folding import DEAD, GONE, TEXT, Flight, Folder
from tests.support.receipted import CHANNEL, PROVIDER, TIMEOUT, UNDELIVERED, taken


@pytest.fixture
def folder(store: Store, clock: FakeClock) -> Folder:
    return Folder(store, clock, ReceiptMode.POLLING)


def tell(folder: Folder, state: str, message_id: str = "SM1", flight: Flight | None = None) -> int:
    """Note a receipt; return how many deliveries it made `delivered`."""
    reference = "" if flight is None else folder.store.reference_of(flight.attempt)
    receipt = Receipt(message_id, ReceiptState(state), reference=reference)
    return folder.store.note_receipt(PROVIDER, [CHANNEL], receipt, polling=True).delivered


def settle(folder: Folder, decision: RetryAt | GiveUp, *fallbacks: str) -> Closed | None:
    (failed,) = folder.store.failed_receipts([CHANNEL])
    return folder.store.settle_failed(failed, UNDELIVERED, decision, fallbacks=fallbacks)


def test_receipt_of_a_digest_that_arrived_leaves_its_members_folded(folder: Folder) -> None:
    folder.told()
    assert tell(folder, "delivered") == 0
    assert folder.counts() == {"folded": 3}
    assert folder.balanced()


@pytest.mark.parametrize("word", ["sent", "delivered"])
def test_receipt_of_a_digest_in_doubt_folds_it(folder: Folder, word: str) -> None:
    """Its provider took it after all, so nothing of it is sent again."""
    folder.add(3)
    flight = folder.begin()
    folder.end(flight, TIMEOUT)
    tell(folder, word, flight=flight)
    assert folder.counts() == {"folded": 3}
    assert folder.digests() == [("told", 3, None)]
    assert folder.store.claim(CHANNEL, "worker", 60, 1) == []
    assert folder.balanced()


def test_receipt_that_came_before_the_end_of_a_digests_attempt_folds_it(folder: Folder) -> None:
    folder.add(3)
    flight = folder.begin()
    tell(folder, "delivered", flight=flight)
    assert folder.end(flight, TIMEOUT) == Closed(DeliveryState.FOLDED)
    assert folder.counts() == {"folded": 3}
    assert folder.balanced()


def test_receipt_that_came_before_a_digest_was_refused_keeps_it_whole(folder: Folder) -> None:
    folder.add(3)
    flight = folder.begin()
    tell(folder, "delivered", flight=flight)
    assert folder.end(flight, UNDELIVERED) == Closed(DeliveryState.FOLDED)
    assert folder.digests() == [("told", 3, None)]
    assert folder.balanced()


def test_receipt_of_a_digest_whose_worker_died_folds_it_when_it_is_claimed(folder: Folder) -> None:
    """The member that leads has ended with the others, and none of them is left behind without one."""
    folder.add(3)
    tell(folder, "delivered", flight=folder.begin(GONE))
    assert folder.store.claim(CHANNEL, "other", 60, 10) == []
    assert folder.counts() == {"folded": 3}
    assert folder.balanced()


def test_receipt_of_a_digest_that_was_split_since_folds_the_halves(folder: Folder) -> None:
    """A first try was in doubt, a second one refused; the first one had arrived."""
    folder.add(3)
    first = folder.begin()
    folder.end(first, TIMEOUT)
    folder.end(folder.again(folder.held()), UNDELIVERED)
    assert folder.digests() == [("split", 3, None), ("open", 2, 1)]
    tell(folder, "delivered", flight=first)
    assert folder.counts() == {"folded": 2, "delivered": 1}
    assert folder.digests() == [("split", 3, None), ("told", 2, 1)]
    assert folder.balanced()


def test_receipt_of_a_digest_that_is_being_sent_again_waits_for_the_end_of_that(folder: Folder) -> None:
    folder.add(3)
    first = folder.begin()
    folder.end(first, TIMEOUT)
    again = folder.again(folder.held())
    tell(folder, "delivered", flight=first)
    assert folder.counts() == {"in_doubt": 3}
    assert folder.end(again, UNDELIVERED) == Closed(DeliveryState.FOLDED)
    assert folder.counts() == {"folded": 3}
    assert folder.balanced()


def test_digest_that_failed_later_waits_again_as_it_is(folder: Folder) -> None:
    folder.told()
    tell(folder, "failed")
    assert settle(folder, RetryAt(folder.clock.now_us())) == Closed(DeliveryState.PENDING)
    assert folder.digests() == [("open", 3, None)]
    assert folder.balanced()
    held = folder.held()
    assert (held.message, len(held.deliveries)) == (TEXT, 3)
    folder.end(folder.again(held), taken("SM2"))
    assert folder.counts() == {"folded": 3}
    assert folder.balanced()


def test_digest_that_failed_later_for_good_is_split(folder: Folder) -> None:
    folder.told(3)
    tell(folder, "failed")
    assert settle(folder, DEAD, "telegram") == Closed(DeliveryState.PENDING, None, split=True)
    assert folder.counts() == {"pending": 3}
    assert folder.digests() == [("split", 3, None), ("open", 2, 1)]
    assert "telegram" not in folder.store.channel_counts()
    assert folder.balanced()


def test_digest_that_failed_later_leaves_who_was_set_by_hand(folder: Folder) -> None:
    told = folder.told(3)
    folder.store.mark_notification_sent(told.deliveries[0].id, "sent")
    folder.clock.advance(1)
    tell(folder, "failed")
    assert settle(folder, RetryAt(folder.clock.now_us())) == Closed(DeliveryState.PENDING)
    assert folder.counts() == {"accepted": 1, "pending": 2}
    assert len(folder.held().deliveries) == 2
    assert folder.balanced()


def test_digest_of_which_one_is_left_and_that_failed_later_is_dead(folder: Folder) -> None:
    told = folder.told(2)
    folder.store.mark_notification_sent(told.deliveries[0].id, "sent")
    folder.clock.advance(1)
    tell(folder, "failed")
    assert settle(folder, DEAD, "telegram") == Closed(DeliveryState.DEAD, "telegram")
    assert folder.counts() == {"accepted": 1, "dead": 1}
    assert folder.balanced()


def test_digest_that_failed_later_does_not_expire(folder: Folder) -> None:
    folder.told(2)
    tell(folder, "failed")
    with pytest.raises(ValueError, match="expired"):
        settle(folder, GiveUp(DeliveryState.EXPIRED))
    assert folder.counts() == {"folded": 2}


def test_orphaned_digest_is_not_split_for_nobody_would_send_the_halves(folder: Folder) -> None:
    folder.told(3)
    tell(folder, "failed")
    assert folder.store.settle_orphans(["telegram"], ["telegram"]) == 1
    assert folder.counts() == {"dead": 3}
    assert folder.counts("telegram") == {"pending": 3}
    assert folder.digests() == [("split", 3, None)]
    assert folder.balanced()


def test_late_acceptance_of_a_digest_folds_it(folder: Folder) -> None:
    folder.add(3)
    flight = folder.begin()
    folder.end(flight, TIMEOUT)
    closed = folder.store.settle_late(flight.attempt, taken(), receipts=folder.mode)
    assert closed == Closed(DeliveryState.FOLDED)
    assert folder.digests() == [("told", 3, None)]
    assert {row["retries"] for row in folder.rows("SELECT retries FROM notification_queue")} == {0}
    assert folder.balanced()


def test_late_acceptance_before_the_worker_gave_up_ends_the_digest(folder: Folder) -> None:
    folder.add(3)
    flight = folder.begin()
    assert folder.store.settle_late(flight.attempt, taken(), receipts=folder.mode) == Closed(DeliveryState.FOLDED)
    with pytest.raises(LeaseLost):
        folder.end(flight, TIMEOUT)
    assert folder.counts() == {"folded": 3}
    assert folder.balanced()


def test_late_refusal_of_a_digest_is_its_attempts_true_end(folder: Folder) -> None:
    folder.add(3)
    flight = folder.begin()
    folder.end(flight, TIMEOUT)
    assert folder.store.settle_late(flight.attempt, UNDELIVERED, receipts=folder.mode) == Closed()
    (row,) = folder.rows("SELECT reason FROM attempt")
    assert row["reason"] == Reason.REJECTED.value
    assert folder.counts() == {"in_doubt": 3}
    assert folder.balanced()
