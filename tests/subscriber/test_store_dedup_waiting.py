"""Dedup while a message waits longer than its window: its channel is down, somebody sends it, or a clock is set."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from bus.clock import MICROSECONDS
from subscriber.deliveries import (
    Delivery,
    DeliveryState,
    Done,
    GiveUp,
    Grouping,
    Outcome,
    Reason,
    RetryAt,
)
from subscriber.store import Store
from tests.support.books import ACCEPTED, NETWORK, REJECTED, TIMEOUT
from tests.support.clock import START_US, FakeClock
from tests.support.counted import ALIKE, CHANNEL, WINDOW_SECONDS, Stored

WINDOW_US = WINDOW_SECONDS * MICROSECONDS
GROUPING = Grouping(120 * MICROSECONDS, 120 * MICROSECONDS)
RATE_LIMITED = Outcome(Reason.RATE_LIMITED, status=429)


@pytest.fixture
def stored(store: Store, clock: FakeClock) -> Stored:
    return Stored(store, clock)


def claim(stored: Stored, channel: str = CHANNEL) -> list[Delivery]:
    return stored.store.claim(channel, "worker", 60.0, 100)


def send(
    stored: Stored, outcome: Outcome = ACCEPTED, decision: Done | RetryAt | GiveUp | None = None
) -> list[Delivery]:
    """Make one attempt for each delivery that is due."""
    claimed = claim(stored)
    for delivery in claimed:
        attempt = stored.store.open_attempt([delivery])
        stored.store.close_attempt(attempt, [delivery], outcome, decision or Done(), 0.1)
    return claimed


def test_waiting_message_of_a_channel_that_is_down_is_replaced_and_stays_due(stored: Stored, clock: FakeClock) -> None:
    """An outage of a day leaves two messages, not one for each window."""
    stored.add()
    for _ in range(50):
        stored.add()
        clock.advance(WINDOW_SECONDS / 2)
    newest = stored.rows()[-1]
    assert (newest.due_at, newest.more) == (START_US + WINDOW_US, 49)
    assert stored.states() == ["pending", *["dedup"] * 49, "pending"]
    assert len(send(stored)) == 2
    told_us = clock.now_us()
    clock.advance(1)
    due_us = stored.row(stored.add()).due_at
    assert told_us < due_us <= told_us + WINDOW_US
    assert stored.balanced()


@pytest.mark.parametrize("held", ["leased", "open", "retried", "in_doubt", "handed_over", "digest"])
def test_message_that_somebody_sends_is_not_replaced(stored: Stored, clock: FakeClock, held: str) -> None:
    """The next one tells at the end of the window that this one began."""
    stored.add()
    stored.add()
    clock.advance(WINDOW_SECONDS)
    waiting = stored.rows()[1]
    if held in {"handed_over", "digest"}:
        value = "1" if held == "digest" else "true"
        with stored.store.database.writing() as connection:
            connection.execute(text(f"UPDATE notification_queue SET {held} = {value} WHERE id = {waiting.id}"))
    else:
        claimed = claim(stored)
        if held != "leased":
            attempts = [(stored.store.open_attempt([each]), each) for each in claimed]
        if held in {"retried", "in_doubt"}:
            for attempt, each in attempts:
                outcome = TIMEOUT if held == "in_doubt" else NETWORK
                decision = RetryAt(clock.now_us(), in_doubt=held == "in_doubt")
                stored.store.close_attempt(attempt, [each], outcome, decision, 0.1)
    before = stored.rows()[1]
    newest = stored.row(stored.add())
    assert stored.rows()[1] == before
    assert (newest.status, newest.due_at, newest.more) == ("pending", START_US + 2 * WINDOW_US, 0)
    last = stored.row(stored.add())
    assert (last.due_at, last.more) == (START_US + 2 * WINDOW_US, 1)
    assert held == "digest" or stored.balanced()


def test_message_that_nobody_else_can_tell_is_replaced(stored: Stored, clock: FakeClock) -> None:
    """Its channel was down, and was looked at: there is no other one. What is counted goes on all the same."""
    stored.add()
    stored.add()
    clock.advance(WINDOW_SECONDS + 1)
    assert stored.store.hand_over_overdue(CHANNEL, clock.now_us(), (), 10) == {}
    assert stored.rows()[1].handed_over is False
    newest = stored.row(stored.add())
    assert (newest.due_at, newest.more) == (START_US + WINDOW_US, 1)
    assert stored.balanced()


def test_message_at_the_end_of_a_window_grows_no_older_meanwhile(stored: Stored, clock: FakeClock) -> None:
    """Its age is 60 s after the window, whether it waited for all of it or took the place of another."""
    age_us = 60 * MICROSECONDS
    for _ in range(3):
        row = stored.row(stored.add(max_age_us=age_us))
        assert row.expires_at == row.due_at + age_us
        clock.advance(100)
    clock.advance(30)
    assert stored.store.expire(CHANNEL, clock.now_us()) == 1  # the first one alone, which nobody sent
    assert stored.states() == ["expired", "dedup", "pending"]
    assert stored.row(stored.add(dedup=None, batch="group:a", grouping=GROUPING, max_age_us=age_us)).expires_at == (
        clock.now_us() + 120 * MICROSECONDS + age_us
    )


def test_message_whose_lease_ran_out_untried_is_replaced(stored: Stored, clock: FakeClock) -> None:
    """Its worker went away before it began; should it come back, it has nothing to send."""
    stored.add()
    stored.add()
    clock.advance(WINDOW_SECONDS)
    with stored.store.database.writing() as connection:
        connection.execute(
            text("UPDATE notification_queue SET lease = 'x', lease_owner = 'w', lease_until = 1, lease_length = 1")
        )
    stored.add()
    row = stored.rows()[1]
    assert (row.why, row.lease, row.lease_owner, row.lease_until) == ("dedup", None, None, None)
    assert stored.balanced()


def test_message_that_its_provider_put_off_is_replaced(stored: Stored, clock: FakeClock) -> None:
    """A rate limit is no try: when it ends, one message is enough."""
    stored.add()
    stored.add()
    clock.advance(WINDOW_SECONDS)
    send(stored, RATE_LIMITED, RetryAt(clock.now_us() + MICROSECONDS, counts=False))
    newest = stored.row(stored.add())
    assert (newest.due_at, newest.more) == (clock.now_us() + MICROSECONDS, 1)
    assert stored.balanced()


def test_message_that_was_refused_for_good_is_no_carrier_any_more(stored: Stored, clock: FakeClock) -> None:
    stored.add()
    stored.add()
    clock.advance(WINDOW_SECONDS)
    send(stored, REJECTED, GiveUp(DeliveryState.DEAD))
    assert stored.row(stored.add()).due_at == START_US + 2 * WINDOW_US
    assert stored.balanced()


def test_message_that_was_told_late_begins_its_window_late(stored: Stored, clock: FakeClock) -> None:
    stored.add()
    stored.add()
    clock.advance(3.5 * WINDOW_SECONDS)
    assert len(send(stored)) == 2
    clock.advance(1)
    assert stored.row(stored.add()).due_at == START_US + 4 * WINDOW_US


def test_message_that_a_person_ended_leaves_the_window_as_it_is(stored: Stored, clock: FakeClock) -> None:
    stored.add()
    stored.add()
    clock.advance(10)
    stored.store.mark_notification_sent(stored.rows()[1].id, "suppressed")
    row = stored.row(stored.add())
    assert (row.due_at, row.more) == (START_US + WINDOW_US, 0)
    assert stored.balanced()


def test_message_that_is_gone_leaves_the_window_as_it_is(stored: Stored, clock: FakeClock) -> None:
    """As after retention."""
    stored.add()
    stored.add()
    with stored.store.database.writing() as connection:
        connection.execute(text("UPDATE dedup_window SET carrier = :gone"), {"gone": b"nobody's alert.."})
    assert stored.row(stored.add()).due_at == START_US + WINDOW_US


@pytest.mark.parametrize("carried", [False, True])
def test_clock_of_another_machine_that_was_set_back_lets_nobody_wait_for_longer_than_a_window(
    store_url: str, stored: Stored, clock: FakeClock, carried: bool
) -> None:
    stored.add()
    if carried:
        stored.add()
    clock.step(-86_400)
    assert stored.row(stored.add()).due_at == clock.now_us() + WINDOW_US


def test_shorter_window_of_a_reload_holds_at_once(stored: Stored, clock: FakeClock) -> None:
    stored.add()
    short = replace(ALIKE, window_us=10 * MICROSECONDS)
    assert stored.row(stored.add(dedup=short)).due_at == START_US + short.window_us
