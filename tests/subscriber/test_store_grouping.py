"""Grouping: what is alike waits a little, and is told in one message; then not again for a while."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import pytest

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import Dedup, DeliveryState, Grouping, PlannedDelivery, Why
from subscriber.store import Store
from tests.support.alerts import STREAM, incoming, risk_event, system_event
from tests.support.clock import START_US, FakeClock
from tests.support.counted import ALIKE, Stored

WAIT, INTERVAL = 10, 60
GROUPING = Grouping(WAIT * MICROSECONDS, INTERVAL * MICROSECONDS)
GROUP = "group:desk:TNA"


@pytest.fixture
def stored(store: Store, clock: FakeClock) -> Stored:
    return Stored(store, clock)


def due(stored: Stored, dedup: Dedup | None = None, batch: str = GROUP, **planned: Any) -> float:
    """Store the next alert of a group; return after how many seconds since the start it is due."""
    alert = stored.add(dedup=dedup, batch=batch, grouping=GROUPING, **planned)
    return float((stored.row(alert).due_at - START_US) / MICROSECONDS)


def test_first_of_a_group_waits_and_the_others_wait_with_it(stored: Stored, clock: FakeClock) -> None:
    assert due(stored) == WAIT
    clock.advance(WAIT - 1)
    assert due(stored) == WAIT
    assert {row.batch for row in stored.rows()} == {GROUP}


def test_next_message_of_a_group_keeps_its_distance(stored: Stored, clock: FakeClock) -> None:
    due(stored)
    clock.advance(WAIT)
    for _ in range(3):
        assert due(stored) == WAIT + INTERVAL
        clock.advance(1)


def test_group_after_a_long_time_waits_as_the_first_did(stored: Stored, clock: FakeClock) -> None:
    due(stored)
    clock.advance(1000)
    assert due(stored) == 1000 + WAIT


def test_groups_of_one_batch_are_told_together(stored: Stored) -> None:
    items = [stored.item("telegram", "desk", dedup=None, batch=GROUP, grouping=GROUPING) for _ in range(2000)]
    other = stored.item(dedup=None, batch="group:desk:UPRO", grouping=GROUPING)
    stored.accept(*items, other)
    assert {row.due_at for row in stored.rows()} == {START_US + WAIT * MICROSECONDS}
    assert sorted((row.channel, row.batch) for row in stored.rows("group_window")) == [
        ("desk", GROUP),
        ("telegram", GROUP),
        ("telegram", "group:desk:UPRO"),
    ]


def test_restart_keeps_the_groups_time(stored: Stored, store_url: str, clock: FakeClock) -> None:
    due(stored)
    clock.advance(WAIT)
    with Store(store_url, clock) as another:
        item = stored.item(dedup=None, batch=GROUP, grouping=GROUPING)
        stored.accept(item, store=another)
    assert stored.row(item.alert.id).due_at == START_US + (WAIT + INTERVAL) * MICROSECONDS


def test_critical_waits_for_nobody(stored: Stored) -> None:
    planned = (PlannedDelivery("telegram", START_US, batch=GROUP, grouping=GROUPING),)
    stored.accept(incoming(risk_event(severity="CRITICAL"), 1, planned=planned))
    assert stored.rows()[0].due_at == START_US
    assert stored.rows("group_window") == []


def test_own_events_of_the_daemon_are_grouped_as_well(stored: Stored) -> None:
    planned = (PlannedDelivery("telegram", START_US, batch=GROUP, grouping=GROUPING),)
    event: Alert = system_event(severity="WARNING")
    stored.accept(incoming(event, None, stream=None, planned=planned))
    assert stored.rows()[0].due_at == START_US + WAIT * MICROSECONDS


@pytest.mark.parametrize(
    "planned",
    [{"state": DeliveryState.SUPPRESSED, "why": Why.OFF}, {"batch": "quiet:night"}, {"batch": "silence:1"}],
)
def test_what_is_suppressed_or_held_takes_no_part(stored: Stored, planned: dict[str, Any]) -> None:
    assert due(stored, **{"batch": GROUP, **planned}) == 0
    assert stored.rows("group_window") == []


def test_dedup_decides_first(stored: Stored, clock: FakeClock) -> None:
    """What is sent joins its group; what tells at the window's end does so when the group is told next."""
    assert due(stored, dedup=ALIKE) == WAIT
    clock.advance(1)
    assert due(stored, dedup=ALIKE) == WAIT + 5 * INTERVAL
    clock.advance(1)
    assert due(stored, dedup=ALIKE) == WAIT + 5 * INTERVAL
    assert stored.states() == ["pending", "dedup", "pending"]
    assert {row.batch for row in stored.rows()} == {GROUP}
    clock.advance(WAIT)
    assert due(stored) == WAIT + INTERVAL


def test_names_with_nul_characters_are_one_group(stored: Stored, clock: FakeClock) -> None:
    for _ in range(2):
        assert due(stored, batch="group:a\0") == WAIT
        clock.advance(1)


def test_clock_of_another_machine_that_was_set_back_lets_nobody_wait_long(stored: Stored, clock: FakeClock) -> None:
    due(stored)
    clock.step(-86_400)
    assert -86_400 < due(stored) <= -86_400 + INTERVAL


def test_replay_moves_no_group(stored: Stored, clock: FakeClock) -> None:
    item = stored.item(dedup=None, batch=GROUP, grouping=GROUPING)
    stored.accept(item)
    clock.advance(WAIT)
    stored.accept(item)
    assert stored.rows("group_window")[0].flush_us == START_US + WAIT * MICROSECONDS
    assert stored.store.position(STREAM).up_to == 1


def test_group_that_was_quiet_is_told_at_the_end_of_a_window(stored: Stored, clock: FakeClock) -> None:
    """Nothing else of it is due: the message about what was counted waits for nobody."""
    due(stored, dedup=ALIKE)
    clock.advance(200)
    assert due(stored, dedup=ALIKE) == 300


def test_what_was_counted_and_is_replaced_keeps_the_time_of_its_group(stored: Stored, clock: FakeClock) -> None:
    for _ in range(8):
        newest = due(stored, dedup=ALIKE)
        clock.advance(30)
    assert newest == WAIT + 5 * INTERVAL
    assert stored.rows()[-1].more == 6
    assert stored.balanced()


@pytest.mark.parametrize("seed", range(8))
def test_messages_of_a_group_keep_their_distance_whatever_is_counted(
    stored: Stored, clock: FakeClock, seed: int
) -> None:
    """Many kinds of alerts with windows of their own, shorter and longer than the interval, in any order."""
    rng = Random(seed)
    windows = [rng.choice([5, 45, 90, 300, 1000]) for _ in range(8)]
    for _ in range(150):
        kind = rng.randrange(9)
        dedup = None if kind == 8 else Dedup(bytes([kind]) * 16, windows[kind] * MICROSECONDS)
        told = due(stored, dedup=dedup)
        assert told <= clock.now_us() / MICROSECONDS - START_US / MICROSECONDS + 1000 + WAIT + INTERVAL
        if dedup is None:
            assert told <= (clock.now_us() - START_US) / MICROSECONDS + INTERVAL
        clock.advance(rng.choice([0, 1, 7, 30, 120]))
    times = sorted({row.due_at for row in stored.rows() if row.status == "pending"})
    assert all(later - sooner >= INTERVAL * MICROSECONDS for sooner, later in pairwise(times))
