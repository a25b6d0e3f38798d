"""Dedup: the first of what is alike is told at once, the newest of the others at the window's end, all are counted."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bus.clock import MICROSECONDS
from subscriber.deliveries import (
    Delivery,
    DeliveryState,
    Done,
    GiveUp,
    Outcome,
    PlannedDelivery,
    RetryAt,
    Step,
    Why,
)
from subscriber.store import Store
from tests.support.alerts import STREAM, agent_action, incoming, system_event
from tests.support.books import ACCEPTED
from tests.support.clock import START_US, FakeClock
from tests.support.counted import ALIKE, CHANNEL, OTHERS, WINDOW_SECONDS, Stored, older

WINDOW_US = WINDOW_SECONDS * MICROSECONDS


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


# --- the story ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 5, 43])
def test_alerts_that_are_alike_become_two_messages_in_a_window(stored: Stored, clock: FakeClock, batch: int) -> None:
    """The first one, and 42 more within five minutes: the second message tells the newest, and of 41 more."""
    items = []
    told = []
    for number in range(43):
        items.append(stored.item())
        if len(items) == batch or number == 42:
            stored.accept(*items)
            items = []
            told += send(stored)
        if batch < 43:
            clock.advance(7)
    assert len(told) == 1
    clock.advance(WINDOW_SECONDS)
    told += send(stored)
    assert len(told) == 2
    first, last = (stored.row(delivery.alert.id) for delivery in told)
    rows = stored.rows()
    assert (first.id, last.id) == (rows[0].id, rows[42].id)
    assert (first.more, last.more, last.more_since) == (None, 41, rows[1].published_us)
    assert last.due_at == START_US + WINDOW_US + (0 if batch != 5 else 28 * MICROSECONDS)
    assert stored.states() == ["accepted", *["dedup"] * 41, "accepted"]
    assert all(row.finished_at is not None for row in rows)
    assert stored.balanced()
    clock.advance(2 * WINDOW_SECONDS)
    assert claim(stored) == []


def test_thousands_of_one_batch_become_two_messages(stored: Stored) -> None:
    items = [stored.item() for _ in range(3000)]
    accepted = stored.accept(*items)
    assert accepted.deliveries == {CHANNEL: 3000}
    assert accepted.states == {(CHANNEL, DeliveryState.PENDING): 2, (CHANNEL, DeliveryState.SUPPRESSED): 2998}
    assert accepted.replaced == {}
    last = stored.row(items[-1].alert.id)
    assert (last.status, last.more, last.due_at) == ("pending", 2998, START_US + WINDOW_US)
    assert {row.told_by for row in stored.rows()} == {None, items[-1].alert.id.bytes}
    assert stored.balanced()


def test_alone_alert_is_told_at_once_and_says_nothing_of_others(stored: Stored, clock: FakeClock) -> None:
    for _ in range(3):
        alert = stored.add()
        assert (stored.row(alert).due_at, stored.row(alert).more) == (clock.now_us(), None)
        clock.advance(WINDOW_SECONDS)


def test_second_alert_of_a_window_waits_for_its_end(stored: Stored, clock: FakeClock) -> None:
    stored.add()
    clock.advance(10)
    row = stored.row(stored.add())
    assert (row.status, row.due_at, row.more, row.more_since) == ("pending", START_US + WINDOW_US, 0, None)


def test_newer_alert_takes_the_place_of_the_one_that_waits(stored: Stored, clock: FakeClock) -> None:
    stored.add()
    clock.advance(10)
    second = stored.add()
    clock.advance(10)
    item = stored.item()
    accepted = stored.accept(item)
    assert accepted.replaced == {CHANNEL: 1}
    row, newest = stored.row(second), stored.row(item.alert.id)
    assert (row.status, row.why, row.told_by, row.finished_at) == (
        "suppressed",
        "dedup",
        item.alert.id.bytes,
        clock.now_us(),
    )
    assert (newest.due_at, newest.more, newest.more_since) == (START_US + WINDOW_US, 1, row.published_us)


def test_windows_of_a_storm_follow_each_other(stored: Stored, clock: FakeClock) -> None:
    """One message in each window, however long it goes on; the sums are those of all alerts."""
    told: list[Delivery] = []
    times = []
    for _ in range(60):
        stored.add()
        for delivery in send(stored):
            told.append(delivery)
            times.append(clock.now_us() - START_US)
        clock.advance(60)
    assert times == [number * WINDOW_US for number in range(12)]
    clock.advance(WINDOW_SECONDS)
    told += send(stored)
    assert len(told) + sum(stored.row(delivery.alert.id).more or 0 for delivery in told) == 60
    assert stored.balanced()


def test_quiet_time_after_a_window_lets_the_next_alert_go_at_once(stored: Stored, clock: FakeClock) -> None:
    """What was told at a window's end began another one; when that is over nothing is counted any more."""
    for _ in range(2):
        stored.add()
    clock.advance(WINDOW_SECONDS)
    assert len(send(stored)) == 2
    clock.advance(WINDOW_SECONDS - 1)
    waiting = stored.add()
    assert stored.row(waiting).due_at == START_US + 2 * WINDOW_US
    clock.advance(1)
    send(stored)
    clock.advance(WINDOW_SECONDS)
    assert stored.row(stored.add()).due_at == clock.now_us()


# --- who takes part ----------------------------------------------------------------------------------------------


def test_channels_and_fingerprints_have_windows_of_their_own(stored: Stored) -> None:
    for _ in range(2):
        stored.add("telegram", "desk")
        stored.add("telegram", dedup=OTHERS)
    assert [(row.channel, row.due_at > START_US) for row in stored.rows()] == [
        ("telegram", False),
        ("desk", False),
        ("telegram", False),
        ("telegram", True),
        ("desk", True),
        ("telegram", True),
    ]
    assert len(stored.rows("dedup_window")) == 3


@pytest.mark.parametrize("why", [Why.OFF, Why.DISABLED, Why.SILENCE, Why.DRY_RUN])
def test_suppressed_plans_take_no_part(stored: Stored, why: Why) -> None:
    for _ in range(3):
        stored.add(state=DeliveryState.SUPPRESSED, why=why)
    assert stored.states() == [why.value] * 3
    assert stored.rows("dedup_window") == []


@pytest.mark.parametrize("batch", ["quiet:night", "silence:7"])
def test_what_is_held_takes_no_part(stored: Stored, batch: str) -> None:
    for _ in range(3):
        stored.add(batch=batch)
    assert [(row.status, row.batch, row.due_at) for row in stored.rows()] == [("pending", batch, START_US)] * 3
    assert stored.rows("dedup_window") == []


def test_own_events_of_the_daemon_take_no_part(stored: Stored) -> None:
    for _ in range(3):
        planned = (PlannedDelivery(CHANNEL, START_US, dedup=ALIKE),)
        stored.accept(incoming(system_event(), None, stream=None, planned=planned))
    assert stored.states() == ["pending"] * 3


def test_fallbacks_take_no_part(stored: Stored) -> None:
    for _ in range(2):
        stored.add(step=Step.FALLBACK)
    assert [row.due_at for row in stored.rows()] == [START_US] * 2


def test_what_is_too_old_already_takes_no_part(stored: Stored) -> None:
    """It would stand for newer ones, and expire with them."""
    stored.add(age=3600, max_age_us=60 * MICROSECONDS)
    fresh = stored.add(max_age_us=60 * MICROSECONDS)
    assert stored.row(fresh).due_at == START_US


def test_plan_that_names_a_channel_twice_is_counted_once(stored: Stored) -> None:
    for _ in range(3):
        stored.add(CHANNEL, CHANNEL)
    assert stored.states() == ["pending", "dedup", "pending"]
    assert stored.rows()[2].more == 1
    assert stored.balanced()


# --- order, replays, restarts ------------------------------------------------------------------------------------


def test_replay_changes_nothing(stored: Stored) -> None:
    items = [stored.item() for _ in range(4)]
    stored.accept(*items)
    before = stored.rows(), stored.rows("dedup_window")
    for item in (*items, items[0]):
        accepted = stored.accept(item)
        assert (accepted.states, accepted.replaced) == ({}, {})
    assert (stored.rows(), stored.rows("dedup_window")) == before


@pytest.mark.parametrize("one_batch", [True, False])
def test_alert_that_comes_late_is_counted_and_does_not_tell_old_values(
    stored: Stored, clock: FakeClock, one_batch: bool
) -> None:
    """A replay after an outage brings what is old after what is new."""
    stored.add()
    newest, late, later = stored.item(), older(stored.item(), 60), older(stored.item(), 90)
    for batch in [(newest, late, later)] if one_batch else [(newest,), (late,), (later,)]:
        assert stored.accept(*batch).replaced == {}
    row = stored.row(newest.alert.id)
    assert (row.status, row.more, row.more_since) == ("pending", 2, later.published_us)
    assert {stored.row(item.alert.id).told_by for item in (late, later)} == {newest.alert.id.bytes}
    assert stored.balanced()
    clock.advance(1)
    last = stored.add()
    assert (stored.row(last).more, stored.row(last).more_since) == (3, later.published_us)
    assert stored.balanced()


def test_late_and_newer_alerts_of_one_batch_are_counted_once(stored: Stored, clock: FakeClock) -> None:
    stored.add()
    clock.advance(1)
    waiting = stored.add()
    clock.advance(1)
    late, newer, newest = older(stored.item(), 60), stored.item(), stored.item()
    assert stored.accept(late, newer, newest).replaced == {CHANNEL: 1}
    assert stored.row(waiting).more == 0
    assert stored.row(newest.alert.id).more == 3
    assert stored.balanced()


def test_restart_in_a_window_changes_nothing(stored: Stored, store_url: str, clock: FakeClock) -> None:
    for _ in range(3):
        with Store(store_url, clock) as another:
            stored.accept(stored.item(), store=another)
        clock.advance(1)
    assert stored.states() == ["pending", "dedup", "pending"]
    assert stored.rows()[2].more == 1


def test_trades_without_dedup_are_all_told(stored: Stored) -> None:
    for number in (1, 2, 3):
        stored.accept(incoming(agent_action(), number, CHANNEL, stream=STREAM))
    assert [row.due_at for row in stored.rows()] == [START_US] * 3
    assert all(one.id < other.id for one, other in pairwise(stored.rows()))
