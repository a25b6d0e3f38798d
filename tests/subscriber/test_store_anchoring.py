"""A clock that is set moves all that waits, and nothing that people chose by the clock."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from bus.clock import MICROSECONDS, Moment
from subscriber.deliveries import DeliveryState, Escalation, Grouping, PlannedDelivery, Why
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.clock import START_US, FakeClock
from tests.support.counted import ALIKE, WINDOW_SECONDS, Stored

pytestmark = pytest.mark.parametrize("step", [-3600, 3600])
ON_SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
END = 7200  #: when quiet hours or a silence end, in seconds after the start


@pytest.fixture
def stored(store: Store, clock: FakeClock) -> Stored:
    return Stored(store, clock)


def move(stored: Stored, step: int) -> None:
    """Set the wall clock, as `subscriber.timekeeping` notices it."""
    stored.clock.step(step)
    stored.store.move_waiting(step * MICROSECONDS, Moment(stored.clock.now_us(), 0, "this start"))


def seconds(moment_us: int | None) -> float | None:
    return None if moment_us is None else (moment_us - START_US) / MICROSECONDS


def held(stored: Stored, batch: str, end: int = END) -> Any:
    planned = (PlannedDelivery("telegram", START_US + end * MICROSECONDS, batch=batch, max_age_us=9 * MICROSECONDS),)
    stored.accept(incoming(risk_event(), 100, planned=planned))
    return stored.rows()[-1]


@ON_SQLITE
def test_set_clock_moves_windows_and_what_waits_in_them(stored: Stored, step: int) -> None:
    for _ in range(3):
        stored.add(max_age_us=1000 * MICROSECONDS)
    before = stored.rows()[2]
    move(stored, step)
    row = stored.rows()[2]
    expires = WINDOW_SECONDS + 1000  # what its window holds grows no older meanwhile
    assert (seconds(row.due_at), seconds(row.expires_at)) == (WINDOW_SECONDS + step, expires + step)
    assert seconds(row.more_since) == (seconds(before.more_since) or 0) + step
    (window,) = stored.rows("dedup_window")
    assert seconds(window.until_us) == WINDOW_SECONDS + step
    stored.clock.advance(1)
    newest = stored.row(stored.add())
    assert (seconds(newest.due_at), newest.more) == (WINDOW_SECONDS + step, 2)
    assert stored.balanced()


@ON_SQLITE
def test_set_clock_moves_groups_and_escalations(stored: Stored, step: int) -> None:
    grouping = Grouping(10 * MICROSECONDS, 60 * MICROSECONDS)
    stored.add(dedup=None, batch="group:desk:TNA", grouping=grouping)
    planned = (PlannedDelivery("telegram", START_US, escalation=Escalation(300 * MICROSECONDS, ("desk",))),)
    stored.accept(incoming(risk_event(), 100, planned=planned))
    move(stored, step)
    assert seconds(stored.rows()[0].due_at) == 10 + step
    assert seconds(stored.rows("group_window")[0].flush_us) == 10 + step
    assert seconds(stored.rows("escalation")[0].due_us) == 300 + step
    with stored.store.database.writing() as connection:
        connection.execute(text("UPDATE escalation SET ended_us = 1"))
    move(stored, step)
    assert seconds(stored.rows("escalation")[0].due_us) == 300 + step


@ON_SQLITE
@pytest.mark.parametrize("batch", ["quiet:night", "silence:7"])
def test_set_clock_leaves_the_ends_that_people_chose(stored: Stored, step: int, batch: str) -> None:
    held(stored, batch)
    move(stored, step)
    row = stored.rows()[0]
    assert (seconds(row.due_at), seconds(row.published_us), seconds(row.expires_at)) == (END, step, 9 + step)


@ON_SQLITE
def test_set_clock_moves_what_was_held_and_is_due(stored: Stored, step: int) -> None:
    """Its window is over: a clock that is set back makes nobody wait for another end."""
    held(stored, "quiet:night", 60)
    stored.clock.advance(61)
    move(stored, step)
    assert len(stored.store.claim("telegram", "worker", 60, 10)) == 1


@ON_SQLITE
def test_set_clock_moves_the_next_try_of_what_was_held(stored: Stored, step: int) -> None:
    held(stored, "quiet:night")
    with stored.store.database.writing() as connection:
        connection.execute(text("UPDATE notification_queue SET last_reason = 'network', retries = 1"))
    move(stored, step)
    assert seconds(stored.rows()[0].due_at) == END + step


@ON_SQLITE
def test_set_clock_leaves_what_has_ended(stored: Stored, step: int) -> None:
    stored.add(state=DeliveryState.SUPPRESSED, why=Why.OFF, max_age_us=1)
    before = stored.rows()
    move(stored, step)
    assert stored.rows() == before


@pytest.mark.parametrize("batch", ["quiet:night", "silence:7", "group:desk:TNA", None])
def test_alert_that_was_planned_before_the_clock_was_set_moves_unless_it_is_held(
    stored: Stored, step: int, batch: str | None
) -> None:
    due_us = START_US + END * MICROSECONDS
    planned = (PlannedDelivery("telegram", due_us, batch=batch, max_age_us=9 * MICROSECONDS, dedup=ALIKE),)
    moved = incoming(risk_event(), 1, planned=planned).rebased(step * MICROSECONDS)
    (delivery,) = moved.planned
    assert seconds(delivery.due_at_us) == (END + step if batch in {None, "group:desk:TNA"} else END)
    assert seconds(moved.published_us) == step
    stored.accept(incoming(risk_event(), 1, planned=planned))


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_set_clock_moves_nothing_that_other_machines_share(stored: Stored, step: int) -> None:
    for _ in range(3):
        stored.add(max_age_us=1000 * MICROSECONDS, batch="group:a", grouping=Grouping(1, 1))
    before = stored.rows(), stored.rows("dedup_window"), stored.rows("group_window")
    move(stored, step)
    assert (stored.rows(), stored.rows("dedup_window"), stored.rows("group_window")) == before
