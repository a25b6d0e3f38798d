"""A wall clock that is set makes nothing due, overdue or too old; a daemon that was down notices it at its start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from bus.clock import MICROSECONDS, SteadyClock, shift_of
from subscriber.channels.memory import ChannelMemory
from subscriber.deliveries import Outcome, Reason, Remembered, RetryAt
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


def keeper_of(store: Store, steady: SteadyClock, boot: str = "this start") -> Timekeeper:
    return Timekeeper(store, steady, boot)


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
    keeper = keeper_of(store, steady)
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
@pytest.mark.parametrize("step", [-3600, 90_000])
def test_look_between_a_decision_and_its_record_moves_the_decision_too(
    store: Store, steady: SteadyClock, clock: FakeClock, step: int
) -> None:
    """The answer came by one clock, and is written down by another."""
    keeper = keeper_of(store, steady)
    store.accept([incoming(risk_event(), 1, "telegram")])
    (delivery,) = store.claim("telegram", "worker", 60.0, 1)
    attempt = store.open_attempt([delivery])
    shift_us = shift_of(steady)
    retry = RetryAt(steady.now_us() + 30 * MICROSECONDS)
    clock.step(step)
    keeper.look()
    store.close_attempt(attempt, [delivery], Outcome(Reason.NETWORK), retry, 0.1, shift_us)
    assert times(store) == (30 + step, step)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("step", [-3600, 90_000])
def test_look_before_an_alert_is_stored_moves_its_times_too(
    store: Store, steady: SteadyClock, clock: FakeClock, step: int
) -> None:
    """It came, and was planned, before the clock was set."""
    keeper = keeper_of(store, steady)
    came = incoming(risk_event(), 1, "telegram")
    clock.step(step)
    keeper.look()
    store.accept([came])
    assert times(store) == (step, step)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_look_while_somebody_sends_leaves_him_his_lease(store: Store, steady: SteadyClock, clock: FakeClock) -> None:
    keeper = keeper_of(store, steady)
    store.accept([incoming(risk_event(), 1, "telegram")])
    (delivery,) = store.claim("telegram", "worker", 60.0, 1)
    clock.step(7200)
    keeper.look()
    assert store.claim("telegram", "another", 60.0, 1) == []
    store.open_attempt([delivery])


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_look_at_a_clock_that_is_slewed_moves_nothing(store: Store, steady: SteadyClock, clock: FakeClock) -> None:
    keeper = keeper_of(store, steady)
    store.accept([incoming(risk_event(), 1, "telegram")])
    for _ in range(100):
        clock.advance(1.0)
        clock.step(0.5)
        keeper.look()
    assert times(store) == (0, 0)
    assert steady.now_us() == clock.now_us()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("step", [-3600, 3600, 365 * 86_400])
def test_begin_after_the_clock_was_set_moves_what_waits(
    store: Store, steady: SteadyClock, clock: FakeClock, step: int
) -> None:
    """The daemon was down when somebody did it: the monotonic clock knows for how long."""
    keeper_of(store, steady).begin()
    store.accept([incoming(risk_event(), 1, "telegram")])
    clock.advance(60.0)
    clock.step(step)
    steady.anchor()
    for _ in range(2):
        keeper_of(store, steady).begin()
        assert times(store) == (step, step)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("step", "moved"), [(-3600, -3600), (3600, 0)])
def test_begin_after_the_machine_was_started_anew_notices_only_a_clock_that_went_back(
    store: Store, steady: SteadyClock, clock: FakeClock, step: int, moved: int
) -> None:
    """A clock that was set forward can't be told from a long outage."""
    keeper_of(store, steady).begin()
    store.accept([incoming(risk_event(), 1, "telegram")])
    clock.step(step)
    steady.anchor()
    keeper_of(store, steady, "another start").begin()
    assert times(store) == (moved, moved)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_begin_where_starts_can_not_be_told_apart_takes_a_step_forward_for_an_outage(
    store: Store, steady: SteadyClock, clock: FakeClock
) -> None:
    """As on Windows."""
    keeper_of(store, steady, "").begin()
    store.accept([incoming(risk_event(), 1, "telegram")])
    clock.step(3600)
    steady.anchor()
    keeper_of(store, steady, "").begin()
    assert times(store) == (0, 0)


def test_trusts_the_clock_a_day_after_it_was_set(store: Store, steady: SteadyClock, clock: FakeClock) -> None:
    """What can't be undone waits: somebody may set it right again."""
    keeper = keeper_of(store, steady)
    keeper.begin()
    keeper.look()
    assert keeper.trusts()
    clock.step(400 * 86_400)
    keeper.look()
    assert not keeper.trusts()
    clock.advance(86_300)
    keeper.look()
    assert not keeper_of(store, steady).trusts()
    clock.advance(200)
    keeper.look()
    assert keeper.trusts()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_begin_after_an_outage_moves_nothing(store: Store, steady: SteadyClock, clock: FakeClock) -> None:
    """What is old after it is old."""
    keeper_of(store, steady).begin()
    store.accept([incoming(risk_event(), 1, "telegram")])
    clock.advance(86_400)
    keeper_of(store, steady).begin()
    assert times(store) == (0, 0)


def test_look_on_postgresql_moves_nothing(postgresql: PostgresqlServer, clock: FakeClock) -> None:
    """Other daemons' clocks were not set."""
    steady = SteadyClock(clock)
    with Store(postgresql.new_database(), steady) as store:
        keeper = keeper_of(store, steady)
        keeper.begin()
        store.accept([incoming(risk_event(), 1, "telegram")])
        clock.step(-3600)
        keeper.look()
        keeper_of(store, steady).begin()
        assert times(store) == (0, 0)
        assert steady.now_us() == START_US - _HOUR_US


@pytest.mark.parametrize("step", [-3600, 3600])
def test_look_after_the_clock_was_set_lets_what_channels_remember_follow(
    store: Store, steady: SteadyClock, clock: FakeClock, step: int
) -> None:
    """WhatsApp's window closes 24 hours after the person's message, whatever somebody does to the clock."""
    keeper = keeper_of(store, steady)
    keeper.begin()
    memory = ChannelMemory(Remembered(inbound_us=START_US, moved_to="1"))
    keeper.on_step = memory.moved
    clock.step(step)
    keeper.look()
    assert memory.values == Remembered(inbound_us=START_US + step * MICROSECONDS, moved_to="1")
