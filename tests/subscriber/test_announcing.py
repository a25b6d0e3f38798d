"""The daemon's own alerts: stored and routed like everybody's, once, and kept while the database is away."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from bus.errors import ConfigurationError
from bus.wire import decode_alert
from subscriber.deliveries import PlannedDelivery, system_event_id
from subscriber.intake import announcing
from subscriber.intake.announcing import Announcer
from subscriber.store import schema
from tests.support.alerts import system_event
from tests.support.clock import START_US, FakeClock
from tests.support.running_intake import FaultyStore, Intake, on_sqlite


@pytest.fixture
def store(store_url: str, clock: FakeClock) -> Iterator[FaultyStore]:
    with FaultyStore(store_url, clock) as opened:
        yield opened


@pytest.fixture
def parts(store: FaultyStore, clock: FakeClock) -> Intake:
    """The parts of an intake that is not started: the announcer needs no bus."""
    return Intake(store, clock, ("", ""))


@pytest.fixture
def announcer(parts: Intake) -> Announcer:
    return parts.announcer


def test_announce_event_is_stored_and_routed(announcer: Announcer, parts: Intake, store: FaultyStore) -> None:
    """It is an alert like any other, without a stream; its workers are woken, and its deliveries counted."""
    event = system_event(description="The channel is paused.")
    assert announcer.announce(event)
    with store.database.reading() as connection:
        row = connection.execute(select(schema.alert)).one()
        queued = connection.execute(select(schema.notification_queue.c.channel)).scalars().all()
    assert (row.stream, row.sequence, row.published_us, row.topic) == (None, None, START_US, "severity.CRITICAL.")
    assert decode_alert(row.body) == event
    assert (queued, parts.woken) == (["telegram"], ["telegram"])
    assert parts.metric("deliveries_total", channel="telegram", state="pending") == 1


@on_sqlite
def test_announce_with_a_plan_of_its_own_goes_there(announcer: Announcer, parts: Intake) -> None:
    """A test message goes to the channel that is tested, whatever the routes say."""
    assert announcer.announce(system_event(), (PlannedDelivery("desk", START_US),))
    assert parts.woken == ["desk"]


@on_sqlite
def test_announce_that_nobody_wants_is_kept_as_not_routed(announcer: Announcer, store: FaultyStore) -> None:
    """It is in the history."""
    assert announcer.announce(system_event(severity="INFO"))
    with store.database.reading() as connection:
        assert connection.scalars(select(schema.alert.c.marks)).all() == ["not_routed"]


def test_announce_same_id_is_told_once(announcer: Announcer, parts: Intake) -> None:
    """Every daemon derives the same id from what it tells, so repeats are known, after a restart too."""
    event = system_event(id=system_event_id("PUBLISHER_SILENT", "trader-1"))
    for _ in range(3):
        assert announcer.announce(event)
    assert len(parts.told("PUBLISHER_SILENT")) == 1
    assert parts.metric("deliveries_total", channel="telegram", state="pending") == 1


@on_sqlite
@pytest.mark.parametrize("error", [None, ConfigurationError("The password was changed.")])
def test_announce_while_the_database_is_away_waits(
    announcer: Announcer,
    parts: Intake,
    store: FaultyStore,
    error: Exception | None,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing that the daemon has to say is forgotten; its log does not fill with it."""
    store.break_down("accept", error=error)
    assert not announcer.announce(system_event(event_type="FIRST"))
    assert not announcer.announce(system_event(event_type="SECOND"))
    assert not announcer.retry()
    assert len(caplog.records) == 1
    clock.advance(61.0)
    assert not announcer.retry()
    assert [record.__dict__["held_back"] for record in caplog.records] == [0, 2]
    assert parts.metric("store_errors_total") == 4
    store.failing.clear()
    assert announcer.retry()
    assert len(parts.told("FIRST")) == len(parts.told("SECOND")) == 1
    assert parts.woken == ["telegram"]
    assert announcer.retry()
    assert store.calls["accept"] == 5  # nothing waits any more


@on_sqlite
def test_announce_more_than_can_wait_is_logged_and_not_called_stored(
    announcer: Announcer,
    parts: Intake,
    store: FaultyStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A log is all that is left; what waited before is told all the same."""
    monkeypatch.setattr(announcing, "_MOST_WAITING", 2)
    store.break_down("accept")
    for event_type in ("FIRST", "SECOND"):
        announcer.announce(system_event(event_type=event_type))
    store.failing.clear()
    assert not announcer.announce(system_event(event_type="THIRD"))
    assert "dropped: THIRD" in caplog.text
    assert [len(parts.told(name)) for name in ("FIRST", "SECOND", "THIRD")] == [1, 1, 0]
    assert announcer.announce(system_event(event_type="THIRD"))


def test_announce_from_many_threads_tells_each_once(announcer: Announcer, parts: Intake) -> None:
    """Workers, intake and housekeeping announce and retry at once."""
    events = [system_event(event_type=f"EVENT_{number}") for number in range(4)]

    def tell() -> None:
        for event in events:
            announcer.announce(event)
            announcer.retry()

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(parts.told(event.event_type)) for event in events] == [1] * 4
    assert parts.metric("deliveries_total", channel="telegram", state="pending") == 4
