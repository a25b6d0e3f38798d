"""Switching a channel off while somebody sends: the attempt ends as it ends, and leaves nothing that waits."""

from __future__ import annotations

from typing import Final

import pytest

from bus.alerts import Alert
from subscriber.deliveries import (
    Delivery,
    DeliveryState,
    Dialect,
    DigestKind,
    Done,
    GiveUp,
    Message,
    Outcome,
    Reason,
    RetryAt,
)
from subscriber.errors import LeaseLost
from subscriber.store import Store
from subscriber.store.digests import NewDigest
from tests.support.clock import FakeClock
from tests.support.switch_books import CHANNELS, DISABLED, WAITS, Books

ACCEPTED: Final = Outcome(Reason.ACCEPTED)
UNAVAILABLE: Final = Outcome(Reason.UNAVAILABLE, "bad gateway", status=502)
TIMEOUT: Final = Outcome(Reason.TIMEOUT, "no answer", in_doubt=True)
REJECTED: Final = Outcome(Reason.REJECTED, "too long", status=400)
SAID: Final = Message("2 alerts", "2 alerts", Dialect.PLAIN)


@pytest.fixture
def books(store: Store) -> Books:
    return Books(store)


# --- what is being sent -------------------------------------------------------------------------------------


def test_what_a_worker_holds_is_left_to_it_and_what_was_taken_stays_accepted(books: Books) -> None:
    warning = books.add("telegram", severity="WARNING")
    held = [books.claim()]
    attempt = books.store.open_attempt(held)
    books.off("telegram")
    assert books.settle() == ({}, {})
    closed = books.store.close_attempt(attempt, held, ACCEPTED, Done(), 0.1, fallbacks=["whatsapp"])
    assert (closed.state, closed.switched_off) == (DeliveryState.ACCEPTED, None)
    assert books.story(warning) == {("telegram", "first"): ("accepted", None)}
    books.balanced()


@pytest.mark.parametrize(("outcome", "doubtful"), [(UNAVAILABLE, False), (TIMEOUT, True)], ids=["refused", "in doubt"])
def test_attempt_that_would_be_retried_ends_suppressed_and_keeps_its_doubt(
    books: Books, clock: FakeClock, outcome: Outcome, doubtful: bool
) -> None:
    warning = books.add("telegram", severity="WARNING")
    held = [books.claim()]
    attempt = books.store.open_attempt(held)
    books.off("telegram")
    again = RetryAt(clock.now_us(), in_doubt=outcome.in_doubt)
    closed = books.store.close_attempt(attempt, held, outcome, again, 0.1, fallbacks=["whatsapp"])
    assert closed.switched_off is not None
    assert (dict(closed.switched_off.suppressed), dict(closed.switched_off.handed_over)) == ({"telegram": 1}, {})
    (row,) = books.rows(warning.id)
    assert (row["status"], row["why"], row["possible_repeat"]) == (*DISABLED, doubtful)
    assert [each["reason"] for each in row["attempts"]] == [outcome.reason.value]
    books.balanced()


def test_critical_whose_attempt_would_be_retried_is_handed_over_as_a_possible_repeat(
    books: Books, clock: FakeClock
) -> None:
    critical = books.add("telegram")
    held = [books.claim()]
    attempt = books.store.open_attempt(held)
    books.off("telegram")
    again = RetryAt(clock.now_us(), in_doubt=True)
    closed = books.store.close_attempt(attempt, held, TIMEOUT, again, 0.1, fallbacks=["whatsapp"])
    assert closed.switched_off is not None
    assert dict(closed.switched_off.handed_over) == {"whatsapp": 1}
    assert books.story(critical) == {("telegram", "first"): DISABLED, ("whatsapp", "fallback"): WAITS}
    assert books.claim("whatsapp").possible_repeat
    books.balanced()


def test_critical_whose_attempt_would_be_retried_waits_where_no_channel_is_left(books: Books, clock: FakeClock) -> None:
    critical = books.add("telegram")
    held = [books.claim()]
    attempt = books.store.open_attempt(held)
    books.off(*CHANNELS)
    assert books.store.uncovered_critical() == 0  # it is being sent
    again = RetryAt(clock.now_us(), in_doubt=True)
    assert books.store.close_attempt(attempt, held, TIMEOUT, again, 0.1).switched_off is None
    assert (books.story(critical), books.store.uncovered_critical()) == ({("telegram", "first"): ("in_doubt", None)}, 1)
    books.on("telegram")
    assert books.claim().possible_repeat
    books.balanced()


def test_attempt_that_was_refused_for_good_ends_dead_and_its_fallback_tells_it(books: Books) -> None:
    warning = books.add("telegram", severity="WARNING")
    held = [books.claim()]
    attempt = books.store.open_attempt(held)
    books.off("telegram")
    given_up = GiveUp(DeliveryState.DEAD, fallback=True)
    closed = books.store.close_attempt(attempt, held, REJECTED, given_up, 0.1, fallbacks=["whatsapp"])
    assert (closed.state, closed.fallback, closed.switched_off) == (DeliveryState.DEAD, "whatsapp", None)
    assert books.story(warning) == {("telegram", "first"): ("dead", None), ("whatsapp", "fallback"): WAITS}


def test_what_a_dead_worker_held_is_settled_when_its_lease_ends_and_may_have_arrived(
    books: Books, clock: FakeClock
) -> None:
    warning = books.add("telegram", severity="WARNING")
    books.store.open_attempt([books.claim(lease_seconds=0.0 if books.store.database.is_postgresql else 30.0)])
    books.off("telegram")
    clock.advance(31)
    assert books.settle() == ({"telegram": 1}, {})
    (row,) = books.rows(warning.id)
    assert (row["status"], row["why"], row["possible_repeat"]) == (*DISABLED, True)
    books.balanced()


def test_claim_that_was_made_before_and_given_back_is_settled(books: Books) -> None:
    books.add("telegram", severity="WARNING")
    held = books.claim()
    books.off("telegram")
    assert books.settle() == ({}, {})
    books.store.release([held])
    assert books.settle() == ({"telegram": 1}, {})
    with pytest.raises(LeaseLost):
        books.store.open_attempt([held])


# --- digests ------------------------------------------------------------------------------------------------


def folded(books: Books, *severities: str) -> tuple[list[Alert], list[Delivery], int]:
    """Open the attempt of a digest on telegram."""
    alerts = [books.add("telegram", severity=severity) for severity in severities]
    head = books.claim()
    held = books.store.fold(head, "worker", 60.0, 10)
    return alerts, held, books.store.open_attempt(held, digest=NewDigest(DigestKind.STORM, SAID))


def test_members_of_a_digest_that_waits_to_be_retried_are_suppressed(books: Books, clock: FakeClock) -> None:
    alerts, held, attempt = folded(books, "WARNING", "WARNING", "WARNING")
    books.store.close_attempt(attempt, held, UNAVAILABLE, RetryAt(clock.now_us()), 0.1)
    books.off("telegram")
    assert books.settle() == ({"telegram": 3}, {})
    assert [books.story(alert) for alert in alerts] == [{("telegram", "first"): DISABLED}] * 3
    books.balanced()


@pytest.mark.parametrize("outcome", [UNAVAILABLE, TIMEOUT, REJECTED], ids=["refused", "in doubt", "split"])
def test_members_of_a_digest_whose_attempt_ends_are_suppressed(
    books: Books, clock: FakeClock, outcome: Outcome
) -> None:
    alerts, held, attempt = folded(books, "WARNING", "WARNING", "WARNING")
    books.off("telegram")
    again = RetryAt(clock.now_us(), in_doubt=outcome.in_doubt)
    decision = GiveUp(DeliveryState.DEAD, fallback=True) if outcome is REJECTED else again
    closed = books.store.close_attempt(attempt, held, outcome, decision, 0.1, fallbacks=["whatsapp"])
    assert closed.switched_off is not None
    assert dict(closed.switched_off.suppressed) == {"telegram": 3}
    assert [books.story(alert) for alert in alerts] == [{("telegram", "first"): DISABLED}] * 3
    books.balanced()


def test_critical_members_of_a_digest_are_handed_over_each_once(books: Books, clock: FakeClock) -> None:
    alerts, held, attempt = folded(books, "CRITICAL", "CRITICAL")
    books.off("telegram")
    closed = books.store.close_attempt(attempt, held, UNAVAILABLE, RetryAt(clock.now_us()), 0.1, fallbacks=["desk"])
    assert closed.switched_off is not None
    assert dict(closed.switched_off.handed_over) == {"desk": 2}
    both = {("telegram", "first"): DISABLED, ("desk", "fallback"): WAITS}
    assert [books.story(alert) for alert in alerts] == [both, both]
    books.balanced()


def test_critical_members_of_a_digest_wait_for_it_where_no_channel_is_left(books: Books, clock: FakeClock) -> None:
    _, held, attempt = folded(books, "CRITICAL", "CRITICAL")
    books.off(*CHANNELS)
    books.store.close_attempt(attempt, held, UNAVAILABLE, RetryAt(clock.now_us()), 0.1)
    assert (books.settle(), books.store.uncovered_critical()) == (({}, {}), 2)
    books.on("telegram")
    found = books.store.claim_digest(books.claim(), "worker", 60.0)
    assert found is not None
    assert len(found.deliveries) == 2
    books.balanced()
