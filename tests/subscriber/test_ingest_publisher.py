"""The real publisher and the real intake: every alert arrives exactly once, whoever comes and goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bus.alerts import RiskEvent, Severity
from bus.clock import SystemClock
from publisher import Publisher, PublisherSettings
from subscriber.store import Store, schema
from tests.support.running_intake import Intake, free_endpoints, on_sqlite, running_intake
from tests.support.waiting import wait_until

pytestmark = on_sqlite
_CLOCK = SystemClock()


class Trader:
    """Publishes alerts that say their number, and asks the store for them."""

    def __init__(self, folder: Path, endpoints: tuple[str, str], store: Store) -> None:
        self.endpoints = endpoints
        self._store = store
        self._settings = PublisherSettings(
            journal=folder,
            data_endpoints=endpoints[0],
            control_endpoints=endpoints[1],
            source="trader-1",
            heartbeat_interval_seconds=0.2,
        )
        self.published = 0

    def publisher(self) -> Publisher:
        return Publisher(self._settings)

    def publish(self, publisher: Publisher, count: int) -> None:
        for number in range(self.published + 1, self.published + count + 1):
            assert publisher.publish(RiskEvent(event_type=f"TEST_{number}", severity=Severity.INFO))
        self.published += count

    def wait_for_all(self) -> None:
        """Wait until every alert is there, and check that none is there twice, lost or told."""
        wait_until(lambda: self._count() >= self.published)
        with self._store.database.reading() as connection:
            stored = list(connection.scalars(select(schema.alert.c.event_type)))
            marks = connection.execute(select(schema.stream_mark)).all()
        assert sorted(stored) == sorted(f"TEST_{number}" for number in range(1, self.published + 1))
        assert marks == []

    def _count(self) -> int:
        with self._store.database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(schema.alert)) or 0


@pytest.fixture
def trader(tmp_path: Path, store: Store) -> Trader:
    return Trader(tmp_path / "journal", free_endpoints(), store)


@pytest.fixture
def intake(trader: Trader, store: Store) -> Iterator[Intake]:
    with running_intake(store, _CLOCK, trader.endpoints) as running:
        yield running


def test_alerts_published_at_once_before_the_daemon_exists_arrive(trader: Trader, store: Store) -> None:
    """ZeroMQ alone would deliver none of them."""
    with trader.publisher() as publisher:
        trader.publish(publisher, 2000)
        assert publisher.flush(10.0)
        with running_intake(store, _CLOCK, trader.endpoints) as intake:
            trader.wait_for_all()
            wait_until(lambda: publisher.stats().journal_alerts == 0)
            assert intake.metric("alerts_lost_total") == 0


def test_alerts_published_at_once_after_the_start_arrive(trader: Trader, intake: Intake) -> None:
    """The first ones are sent before the connection stands."""
    with trader.publisher() as publisher:
        trader.publish(publisher, 500)
        trader.wait_for_all()


def test_alerts_of_a_restarted_publisher_arrive(trader: Trader, store: Store) -> None:
    """What a publisher left in its folder is offered by the next one."""
    for _ in range(3):
        with trader.publisher() as publisher:
            trader.publish(publisher, 100)
    with running_intake(store, _CLOCK, trader.endpoints) as intake, trader.publisher() as publisher:
        trader.publish(publisher, 100)
        trader.wait_for_all()
        wait_until(lambda: [view["journal_alerts"] for view in intake.correspondence.publishers()] == [0])
        assert sorted(state.goodbye or "" for state in store.streams()) == ["", "closed", "closed", "closed"]
        assert intake.metric("publisher_up", source="trader-1") == 1


def test_alerts_while_the_daemon_restarts_arrive(trader: Trader, store: Store) -> None:
    """What was sent while there was no daemon, or lost in its sockets, is asked for by the next one."""
    with trader.publisher() as publisher:
        for _ in range(3):
            with running_intake(store, _CLOCK, trader.endpoints):
                trader.publish(publisher, 300)
                wait_until(lambda: publisher.stats().acknowledged)
            trader.publish(publisher, 300)
            assert publisher.flush(10.0)
        with running_intake(store, _CLOCK, trader.endpoints):
            trader.wait_for_all()
            wait_until(lambda: publisher.stats().journal_alerts == 0)


def test_alerts_published_right_before_the_close_arrive(trader: Trader, intake: Intake, store: Store) -> None:
    """The close waits until the daemon has them and has heard the goodbye."""
    publisher = trader.publisher().start()
    trader.publish(publisher, 300)
    assert publisher.close(timeout=20.0)
    trader.wait_for_all()
    assert [state.goodbye for state in store.streams()] == ["closed"]
    assert intake.metric("publisher_up", source="trader-1") == 0


def test_alert_that_is_waited_for_is_stored(trader: Trader, intake: Intake) -> None:
    """`publish(wait=…)` returns True when a daemon has stored it."""
    with trader.publisher() as publisher:
        alert = RiskEvent(event_type="TEST_1", severity=Severity.CRITICAL)
        assert publisher.publish(alert, wait=10.0)
        trader.published = 1
        trader.wait_for_all()
        assert intake.metric("deliveries_total", channel="telegram", state="pending") == 1


def test_flood_of_live_alerts_asks_for_no_replay(trader: Trader, intake: Intake) -> None:
    """Heartbeats run ahead of the data under load; that is no loss, and nothing is asked for."""
    with trader.publisher() as publisher:
        replayed = -1
        while publisher.stats().replayed != replayed:  # until the connection stands, alerts are lost on it
            replayed = publisher.stats().replayed
            trader.publish(publisher, 1)
            trader.wait_for_all()
        trader.publish(publisher, 10_000)
        trader.wait_for_all()
        assert publisher.stats().replayed == replayed
    assert intake.metric("alerts_duplicate_total") == 0


def test_flush_of_what_is_in_memory_only_is_no_promise(tmp_path: Path, store: Store) -> None:
    """The journal's folder can't be made; once a daemon has stored everything, nothing depends on the process."""
    (tmp_path / "file").touch()
    trader = Trader(tmp_path / "file" / "journal", free_endpoints(), store)
    with trader.publisher() as publisher:
        trader.publish(publisher, 3)
        assert not publisher.flush(10.0)
        with running_intake(store, _CLOCK, trader.endpoints):
            wait_until(lambda: publisher.flush(10.0))
    with store.database.reading() as connection:
        assert set(connection.scalars(select(schema.alert.c.event_type))) >= {"TEST_1", "TEST_2", "TEST_3"}
