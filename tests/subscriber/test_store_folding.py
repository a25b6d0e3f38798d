"""Gathering what is told in one message: what belongs together, what does not, and nothing is fixed by it."""

from __future__ import annotations

import pytest

from subscriber.deliveries import DeliveryState, DigestKind, RetryAt
from subscriber.errors import LeaseLost
from subscriber.store import Store
from tests.support.clock import START_US, FakeClock
from tests.support.folding import GONE, LEASE, TEXT, Folder, routed
from tests.support.receipted import CHANNEL, NETWORK, TIMEOUT, taken


@pytest.fixture
def folder(store: Store, clock: FakeClock) -> Folder:
    return Folder(store, clock)


def test_fold_takes_all_of_the_same_class_in_order_of_serving(folder: Folder) -> None:
    """CRITICAL and the rest are never mixed."""
    warnings = folder.add(3)
    infos = folder.add(2, severity="INFO")
    criticals = folder.add(2, severity="CRITICAL")
    assert [delivery.alert for delivery in folder.fold()] == criticals
    members = folder.fold()
    assert [delivery.alert for delivery in members] == [*warnings, *infos]
    assert len({delivery.lease for delivery in members}) == 1
    assert folder.store.claim(CHANNEL, "other", LEASE, 10) == []


def test_fold_takes_at_most_its_limit_with_the_head(folder: Folder) -> None:
    alerts = folder.add(5)
    assert [delivery.alert for delivery in folder.fold(limit=3)] == alerts[:3]
    assert [delivery.alert for delivery in folder.fold(limit=1)] == alerts[3:4]


def test_fold_of_a_batch_takes_what_is_due_of_it_and_nothing_else(folder: Folder) -> None:
    """What is held in quiet hours is told together, whatever its class."""
    folder.add(2)
    held = folder.add(2, batch="quiet:night") + folder.add(1, severity="CRITICAL", batch="quiet:night")
    folder.add(1, batch="quiet:noon")
    folder.add(1, channel="telegram", batch="quiet:night")
    head = folder.head()
    assert head.alert == held[2]
    members = folder.store.fold(head, "worker", LEASE, 10)
    assert [delivery.alert for delivery in members] == [held[2], *held[:2]]
    assert {delivery.batch for delivery in members} == {"quiet:night"}


def test_fold_leaves_what_was_tried_is_late_is_too_old_or_is_held(folder: Folder) -> None:
    head, other = folder.add(2)
    tried = folder.add(1)[0]
    attempt = folder.store.open_attempt([folder.head()])
    folder.store.release_worker("worker")
    assert folder.row(head)["status"] == "in_doubt", attempt
    folder.store.mark_notification_sent(folder.row(tried)["id"], "pending")
    folder.add(1, max_age_us=1)
    folder.clock.advance(1)
    last = folder.add(1)[0]
    held = folder.add(1)
    rows = folder.store.claim(CHANNEL, "other", LEASE, 10)
    folder.store.release([row for row in rows if row.alert != held[0]])
    first = folder.head()
    assert first.alert == head
    assert folder.store.fold(first, "worker", LEASE, 10) == [first]  # it may have arrived: it goes alone
    assert [delivery.alert for delivery in folder.fold()] == [other, last]


@pytest.mark.parametrize("batch", [None, "group:desk:TNA"])
def test_fold_leaves_what_a_worker_that_died_may_have_told(folder: Folder, batch: str | None) -> None:
    """Its lease ran out with its attempt open: it is told again alone, as a possible repeat."""
    (told,) = folder.add(1, severity="INFO", batch=batch)
    attempt = folder.store.open_attempt([folder.head("dead", GONE)])
    others = folder.add(5, batch=batch)
    assert len(folder.store.backlog(CHANNEL, critical=False, limit=10)) == (0 if batch else 5)
    flight = folder.begin()
    assert [delivery.alert for delivery in flight.deliveries] == others
    folder.end(flight, taken())
    again = folder.head()
    assert (again.alert, again.possible_repeat) == (told, True)
    assert [row["closed_us"] is None for row in folder.rows("SELECT * FROM attempt ORDER BY id")] == [False, False]
    assert folder.rows("SELECT in_doubt FROM attempt WHERE id = :id", id=attempt)[0]["in_doubt"]
    assert folder.balanced()


def test_fold_after_a_refusal_that_does_not_count_is_still_a_second_try(folder: Folder) -> None:
    """All attempts of a member are its digest's, so what is learned of one is true of each member."""
    folder.add(2)
    head = folder.head()
    attempt = folder.store.open_attempt([head])
    again = RetryAt(folder.clock.now_us(), counts=False)
    folder.store.close_attempt(attempt, [head], NETWORK, again, 0.1)
    assert len(folder.fold()) == 1
    assert len(folder.fold()) == 1


def test_fold_of_a_head_that_was_taken_over_is_refused(folder: Folder) -> None:
    folder.add(2)
    head = folder.head("a", GONE)
    folder.head("b")
    with pytest.raises(LeaseLost):
        folder.store.fold(head, "a", LEASE, 10)


def test_fold_and_then_a_crash_fixes_nothing(folder: Folder) -> None:
    """The leases run out, and the next one folds anew, with what came meanwhile."""
    folder.add(3)
    assert len(folder.fold(GONE)) == 3
    folder.add(1)
    members = folder.fold()
    assert [(delivery.state, delivery.retries, delivery.digest) for delivery in members] == [
        (DeliveryState.PENDING, 0, None)
    ] * 4
    assert folder.digests() == []
    assert folder.balanced()


def test_claimed_delivery_knows_what_its_row_says(folder: Folder) -> None:
    said = routed(silent=True, template="short", fallbacks=("desk",))
    folder.add(1, handling=said, batch="group:desk:TNA", max_age_us=5_000_000)
    head = folder.head()
    assert (head.handling, head.batch, head.expires_at_us) == (said, "group:desk:TNA", START_US + 5_000_000)
    assert (head.step, head.digest, head.more, head.more_since_us) == ("first", None, 0, None)


def test_claim_in_a_storm_leaves_only_what_it_collects(folder: Folder) -> None:
    """What has a line of its own, what was held, and what was begun before does not stand behind it."""
    folder.add(2)
    (critical,) = folder.add(1, severity="CRITICAL")
    (held,) = folder.add(1, batch="quiet:night")
    claimed = folder.store.claim(CHANNEL, "worker", LEASE, 10, storm=True)
    assert [delivery.alert for delivery in claimed] == [critical, held]
    assert folder.store.claim(CHANNEL, "worker", LEASE, 10, storm=True) == []


def test_backlog_tells_what_could_be_told_now_by_class(folder: Folder) -> None:
    """Neither batches, nor what is tried, held, late or too old, nor what is in a digest."""
    store, us = folder.store, folder.clock.now_us
    folder.add(2, severity="CRITICAL")
    told = us()
    folder.clock.advance(1)
    folder.add(3)
    folder.add(1, batch="quiet:night")
    folder.add(1, max_age_us=0)
    assert store.backlog(CHANNEL, critical=True, limit=10) == [told] * 2
    assert store.backlog(CHANNEL, critical=False, limit=10) == [us()] * 3
    assert store.backlog(CHANNEL, critical=False, limit=2) == [us()] * 2
    assert store.backlog("telegram", critical=True, limit=10) == []
    folder.end(folder.begin(), TIMEOUT)
    assert store.backlog(CHANNEL, critical=True, limit=10) == []
    folder.head()
    assert store.backlog(CHANNEL, critical=True, limit=10) == []


def test_last_digest_is_the_newest_of_its_kind_and_no_half(folder: Folder) -> None:
    assert folder.store.last_digest_us(CHANNEL, DigestKind.STORM) is None
    folder.told()
    made_us = folder.clock.now_us()
    folder.clock.advance(10)
    folder.add(4)
    folder.end(folder.begin(kind=DigestKind.GROUP), taken("SM2"))
    assert folder.store.last_digest_us(CHANNEL, DigestKind.STORM) == made_us
    assert folder.store.last_digest_us(CHANNEL, DigestKind.GROUP) == folder.clock.now_us()
    assert folder.store.last_digest_us("telegram", DigestKind.STORM) is None
    folder.add(4)
    folder.begin(kind=DigestKind.QUIET)
    split_us = folder.clock.now_us()
    folder.store.release_worker("worker")
    folder.clock.advance(10)
    folder.refuse()
    assert folder.store.last_digest_us(CHANNEL, DigestKind.QUIET) == split_us


def test_next_due_of_a_channel_looks_at_who_leads_a_digest(folder: Folder) -> None:
    """The others of a digest are never claimed alone, so nobody has to wake up for them."""
    folder.add(3)
    soon = folder.later(30)
    folder.end(folder.begin(), NETWORK, RetryAt(soon))
    assert folder.store.next_due_us(CHANNEL) == soon
    folder.clock.advance(30)
    held = folder.held()
    assert held.message is not None
    assert held.message.body == TEXT.body
