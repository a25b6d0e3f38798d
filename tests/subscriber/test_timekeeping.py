"""A wall clock that is set makes nothing due, overdue or too old; a daemon that was down notices it at its start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from bus.clock import MICROSECONDS, SteadyClock
from subscriber.deliveries import Outcome, Reason, RetryAt
from subscriber.store import Store, schema
from subscriber.timekeeping import Timekeeper
from tests.subscriber.conftest import PostgresqlServer
from tests.support.alerts import incoming, risk_event
from tests.support.clock import START_US, FakeClock

_HOUR_US = 3600 * MICROSECONDS


@pytest.fixture
def steady(clock: FakeClock) -> SteadyClock:
    return SteadyClock(clock)


@pytest.fixture
def store(store_url: str, steady: SteadyClock) -> Iterator[Store]:
    with Store(store_url, steady) as opened:
        yield opened


def times(store: Store) -> tuple[int, int]:
    """Return when the one delivery is due and was published, in seconds after the start."""
    queue = schema.notification_queue.c
    with store.database.reading() as connection:
        row = connection.execute(select(queue.due_at, queue.published_us)).one()
    return tuple((moment - START_US) // MICROSECONDS for moment in row)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("step", [-3600, 3600])
def test_look_after_the_clock_was_set_moves_what_waits(
    store: Store, steady: SteadyClock, clock: FakeClock, step: int
) -> None:
    """Its age and the wait before its next try stay what they were."""
    keeper = Timekeeper(store, steady)
    keeper.begin()
    store.accept([incoming(risk_event(), 1, "telegram")])
    (delivery,) = store.claim("telegram", "worker", 60.0, 1)
    attempt = store.open_attempt([delivery])
    retry = RetryAt(START_US + 30 * MICROSECONDS)
    store.close_attempt(attempt, [delivery], Outcome(Reason.NETWORK), retry, 0.1)
    clock.step(step)
    clock.advance(1.0)
    keeper.look()
    assert times(store) == (30 + step, step)
    assert steady.now_us() == clock.now_us()
    assert store.claim("telegram", "worker", 60.0, 1) == []
    clock.advance(29.0)
    keeper.look()
    assert len(store.claim("telegram", "worker", 60.0, 1)) == 1


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_look_while_somebody_sends_leaves_him_his_lease(store: Store, steady: SteadyClock, clock: FakeClock) -> None:
    keeper = Timekeeper(store, steady)
    store.accept([incoming(risk_event(), 1, "telegram")])
    (delivery,) = store.claim("telegram", "worker", 60.0, 1)
    clock.step(7200)
    keeper.look()
    assert store.claim("telegram", "another", 60.0, 1) == []
    store.open_attempt([delivery])


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_look_at_a_clock_that_is_slewed_moves_nothing(store: Store, steady: SteadyClock, clock: FakeClock) -> None:
    keeper = Timekeeper(store, steady)
    store.accept([incoming(risk_event(), 1, "telegram")])
    for _ in range(100):
        clock.advance(1.0)
        clock.step(0.5)
        keeper.look()
    assert times(store) == (0, 0)
    assert steady.now_us() == clock.now_us()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_begin_after_the_clock_was_set_back_moves_what_waits(
    store: Store, steady: SteadyClock, clock: FakeClock
) -> None:
    """The daemon was down when somebody did it: what was due in a minute must not wait for an hour."""
    keeper = Timekeeper(store, steady)
    keeper.begin()
    store.accept([incoming(risk_event(), 1, "telegram")])
    clock.step(-3600)
    steady.anchor()
    Timekeeper(store, steady).begin()
    assert times(store) == (-3600, -3600)
    Timekeeper(store, steady).begin()
    assert times(store) == (-3600, -3600)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_begin_after_an_outage_moves_nothing(store: Store, steady: SteadyClock, clock: FakeClock) -> None:
    """What is old after it is old."""
    Timekeeper(store, steady).begin()
    store.accept([incoming(risk_event(), 1, "telegram")])
    clock.advance(86_400)
    Timekeeper(store, steady).begin()
    assert times(store) == (0, 0)


def test_look_on_postgresql_moves_nothing(postgresql: PostgresqlServer, clock: FakeClock) -> None:
    """Other daemons' clocks were not set."""
    steady = SteadyClock(clock)
    with Store(postgresql.new_database(), steady) as store:
        keeper = Timekeeper(store, steady)
        keeper.begin()
        store.accept([incoming(risk_event(), 1, "telegram")])
        clock.step(-3600)
        keeper.look()
        Timekeeper(store, steady).begin()
        assert times(store) == (0, 0)
        assert steady.now_us() == START_US - _HOUR_US
