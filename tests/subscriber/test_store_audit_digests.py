"""What the audit has to find in digests that somebody changed."""

from __future__ import annotations

import pytest

from subscriber.store import Store
from subscriber.store.ledger import FaultKind
from tests.support.books import spoil
from tests.support.clock import FakeClock
from tests.support.folding import Folder
from tests.support.receipted import NETWORK, UNDELIVERED, taken


@pytest.fixture
def folder(store: Store, clock: FakeClock) -> Folder:
    return Folder(store, clock)


def found(folder: Folder) -> set[FaultKind]:
    return {fault.kind for fault in folder.store.audit().faults}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE digest SET members = 4",
        "UPDATE digest SET kind = 'heap'",
        "UPDATE digest SET state = 'lost'",
        "UPDATE digest SET state = 'told'",
        "UPDATE digest SET state = 'split'",
        "UPDATE digest SET channel = 'telegram'",
        "UPDATE digest SET finished_us = 5",
        "UPDATE notification_queue SET follows = NULL",
        "UPDATE notification_queue SET follows = true",
        "UPDATE notification_queue SET digest = NULL WHERE follows",
        "UPDATE notification_queue SET digest = NULL WHERE follows IS NULL",
        "UPDATE notification_queue SET digest = 77 WHERE follows IS NULL",
        "UPDATE notification_queue SET digest = NULL, follows = NULL",
        "UPDATE notification_queue SET status = 'suppressed', finished_at = 5 WHERE follows IS NULL",
        "DELETE FROM digest",
    ],
)
def test_audit_finds_an_open_digest_that_was_changed(folder: Folder, change: str) -> None:
    folder.add(3)
    folder.end(folder.begin(), NETWORK)
    assert folder.balanced()
    spoil(folder.store, change)
    assert found(folder) == {FaultKind.WRONG_DIGEST}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE digest SET members = 2",
        "UPDATE digest SET state = 'open'",
        "UPDATE digest SET finished_us = NULL",
        "UPDATE notification_queue SET follows = true WHERE id = 1",
        "UPDATE notification_queue SET digest = NULL WHERE id = 1",
        "UPDATE notification_queue SET status = 'accepted' WHERE id = 1",
        "DELETE FROM digest",
    ],
)
def test_audit_finds_a_told_digest_that_was_changed(folder: Folder, change: str) -> None:
    folder.told()
    assert folder.balanced()
    spoil(folder.store, change)
    assert found(folder) == {FaultKind.WRONG_DIGEST}


def test_audit_finds_a_told_digest_whose_attempt_left_somebody_out(folder: Folder) -> None:
    """It is said to have been told, and no message was sent for it."""
    folder.told()
    spoil(folder.store, "DELETE FROM attempt_delivery WHERE delivery_id = 2")
    assert found(folder) == {FaultKind.WRONG_DIGEST, FaultKind.TWO_STATES}


def test_audit_finds_a_told_digest_whose_attempt_was_made_for_others_too(folder: Folder) -> None:
    folder.told()
    folder.add(2)
    folder.end(folder.begin(), taken("SM2"))
    assert folder.balanced()
    spoil(folder.store, "INSERT INTO attempt_delivery (attempt_id, delivery_id) VALUES (1, 4)")
    assert found(folder) == {FaultKind.WRONG_DIGEST}


def test_audit_of_halves_balances_and_finds_who_is_still_in_the_whole(folder: Folder) -> None:
    folder.add(4)
    folder.end(folder.begin(), UNDELIVERED)
    assert folder.balanced()
    spoil(folder.store, "UPDATE notification_queue SET digest = 1 WHERE id = 2")
    assert found(folder) == {FaultKind.WRONG_DIGEST}


def test_audit_finds_a_folded_delivery_that_is_in_no_digest(folder: Folder) -> None:
    """Nobody was told of it, whatever its state says."""
    told = folder.told()
    spoil(folder.store, "UPDATE notification_queue SET digest = NULL")
    spoil(folder.store, "UPDATE digest SET members = 0")
    faults = folder.store.audit().faults
    assert [fault.kind for fault in faults] == [FaultKind.WRONG_DIGEST] * len(told.deliveries)


def test_audit_finds_an_open_attempt_of_a_member_that_has_ended(folder: Folder) -> None:
    """Whoever takes a digest over settles all of it."""
    folder.add(2)
    flight = folder.begin()
    spoil(
        folder.store,
        "UPDATE attempt SET closed_us = 5, reason = 'timeout', in_doubt = true, "
        "detail = 'the worker ended before the answer was recorded' WHERE id = :id",
        id=flight.attempt,
    )
    assert found(folder) == {FaultKind.TWO_STATES}
