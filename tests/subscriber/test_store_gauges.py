"""What the store tells for the gauges: what is overdue, dead or unacknowledged, and what room it all takes."""

from __future__ import annotations

import os
from pathlib import Path
from shutil import disk_usage

import pytest

from bus.clock import MICROSECONDS
from subscriber.deliveries import DeliveryState, Outcome, PlannedDelivery, Reason, RetryAt
from subscriber.errors import StoreError
from subscriber.store import Store, asking
from tests.support.alerts import incoming, risk_event
from tests.support.books import spoil
from tests.support.clock import FakeClock
from tests.support.running_intake import on_sqlite

HOUR_US = 3600 * MICROSECONDS
LATER = ("quiet:night", "silence:1", "group:1", None)


def add(store: Store, clock: FakeClock, number: int, *, due_us: int = 0, batch: str | None = None) -> int:
    """Store a WARNING for telegram that is due so much later; return when it was published."""
    now_us = clock.now_us()
    planned = (PlannedDelivery("telegram", now_us + due_us, batch=batch),)
    store.accept([incoming(risk_event(severity="WARNING"), number, planned=planned, published_us=now_us)])
    return now_us


@pytest.mark.parametrize("batch", LATER)
def test_overdue_begins_when_what_is_held_until_later_is_due(store: Store, clock: FakeClock, batch: str | None) -> None:
    """Whatever holds it: nobody expects its channel to tell it before."""
    published_us = add(store, clock, 1, due_us=HOUR_US, batch=batch)
    assert store.queue_oldest_us("telegram") == published_us
    assert store.queue_overdue_us("telegram") is None
    clock.advance(3600)
    assert store.queue_overdue_us("telegram") == published_us
    assert store.queue_overdue_us("whatsapp") is None


def test_overdue_is_the_oldest_that_nothing_holds(store: Store, clock: FakeClock) -> None:
    """Older ones are held, younger ones wait behind it, and a CRITICAL goes first without being the oldest."""
    add(store, clock, 1, due_us=HOUR_US, batch="quiet:night")
    clock.advance(1)
    expected_us = add(store, clock, 2)
    clock.advance(1)
    add(store, clock, 3)
    store.accept([incoming(risk_event(severity="CRITICAL"), 4, "telegram", published_us=clock.now_us())])
    assert store.queue_overdue_us("telegram") == expected_us


@pytest.mark.parametrize(
    ("outcome", "counts", "in_doubt"),
    [
        (Outcome(Reason.NETWORK), True, False),
        (Outcome(Reason.TIMEOUT, in_doubt=True), True, True),
        (Outcome(Reason.RATE_LIMITED), False, False),
    ],
    ids=["backoff", "in doubt", "rate limited"],
)
def test_overdue_counts_what_waits_for_its_next_try(
    store: Store, clock: FakeClock, outcome: Outcome, counts: bool, in_doubt: bool
) -> None:
    """A channel that fails again and again is what an operator has to hear of, however far off its next try is."""
    published_us = add(store, clock, 1)
    claimed = store.claim("telegram", "worker", 60, 1)
    attempt = store.open_attempt(claimed)
    again = RetryAt(clock.now_us() + HOUR_US, counts=counts, in_doubt=in_doubt)
    store.close_attempt(attempt, claimed, outcome, again, 0.1)
    assert store.queue_overdue_us("telegram") == published_us


def test_overdue_is_nothing_when_all_has_ended(store: Store, clock: FakeClock) -> None:
    add(store, clock, 1)
    (claimed,) = store.claim("telegram", "worker", 60, 1)
    assert store.queue_overdue_us("telegram") is not None  # being sent is not told
    store.finish(claimed, DeliveryState.EXPIRED)
    assert store.queue_overdue_us("telegram") is None


def test_dead_counts_name_every_channel_and_only_what_is_dead(store: Store, clock: FakeClock) -> None:
    assert store.dead_counts() == {}
    for number, channel in enumerate(("a", "b", "b", "c", "c"), start=1):
        store.accept([incoming(risk_event(), number, channel, published_us=clock.now_us())])
    spoil(store, "UPDATE notification_queue SET status = 'dead', finished_at = 1 WHERE id IN (1, 2, 3)")
    spoil(store, "UPDATE notification_queue SET status = 'expired', finished_at = 1 WHERE id = 4")
    assert store.dead_counts() == {"a": 1, "b": 2, "c": 0}


def test_unacknowledged_tells_since_when_the_oldest_is_stored(store: Store, clock: FakeClock) -> None:
    """An alert that came late has waited for a person since it is here, not since it was published."""
    assert tuple(store.unacknowledged_since(0)) == (0, None)
    early_us = clock.now_us() - HOUR_US
    alerts = [risk_event(), risk_event(), risk_event(severity="WARNING")]
    stored_us = []
    for number, alert in enumerate(alerts, start=1):
        store.accept([incoming(alert, number, "telegram", published_us=early_us)])
        stored_us.append(clock.now_us())
        clock.advance(5)
    assert tuple(store.unacknowledged_since(early_us)) == (2, stored_us[0])
    store.acknowledge(alerts[0].id, "kim", "api")
    assert tuple(store.unacknowledged_since(early_us)) == (1, stored_us[1])
    assert tuple(store.unacknowledged_since(early_us + 1)) == (0, None)
    assert store.unacknowledged_critical(early_us) == 1


def test_room_is_what_the_files_take_and_the_disk_has(store: Store, store_url: str) -> None:
    """On PostgreSQL the server says the first, and nobody the second."""
    room = store.room()
    if store.database.is_postgresql:
        assert room.database > 1_000_000
        assert (room.disk_free, room.disk_size) == (None, None)
        return
    file = Path(store_url.removeprefix("sqlite:///"))
    log = Path(f"{file}-wal")
    assert room.database == file.stat().st_size + (log.stat().st_size if log.exists() else 0)
    assert room.disk_size == disk_usage(file.parent).total
    assert 0 < (room.disk_free or 0) <= (room.disk_size or 0)


def test_room_of_a_database_named_as_a_file_uri_is_that_of_its_file(tmp_path: Path, clock: FakeClock) -> None:
    file = tmp_path / "named.db"
    with Store(f"sqlite:///file:{file}?uri=true", clock) as store:
        assert store.room().database >= file.stat().st_size


@on_sqlite
def test_room_of_a_disk_that_can_not_be_asked_is_an_error_without_a_path(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_path: Path) -> None:
        raise OSError(5, os.strerror(5), "a path of somebody's")

    monkeypatch.setattr("subscriber.store.sizing.disk_usage", gone)
    with pytest.raises(StoreError) as caught:
        store.room()
    assert "somebody" not in str(caught.value)


@on_sqlite
def test_open_counts_read_only_what_is_open(store: Store) -> None:
    """Each second, also where a million deliveries have ended: by the index of what is open, and by no other."""
    statement = str(asking._open_counts.compile(store.database.engine))
    with store.database.reading() as connection:
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
    assert [step for step in plan if "notification_queue_claim" in step] == plan
