"""What a desk knows of storms, of its pace in the long run, and of whether it is down."""

from __future__ import annotations

import pytest

from bus.clock import MICROSECONDS
from subscriber.deliveries import Limit, Outcome, Reason
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.meters import Meters
from tests.support.clock import FakeClock
from tests.support.worker_bench import ACCEPTED, HighestJitter, ScriptedChannel

NETWORK = Outcome(Reason.NETWORK)
UNAUTHORIZED = Outcome(Reason.UNAUTHORIZED, status=401)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def desk(clock: FakeClock) -> ChannelDesk:
    return ChannelDesk(ScriptedChannel(pace=(Limit(messages=1, seconds=6),)), clock, rng=HighestJitter())


def test_interval_counts_what_is_shared_with_other_channels(clock: FakeClock) -> None:
    meters = Meters()
    shared = Limit(messages=20, seconds=60, burst=5, scope="bot:chat")
    desk = ChannelDesk(ScriptedChannel(pace=(Limit(messages=1, seconds=1, scope="bot:chat"),)), clock, meters=meters)
    assert desk.interval_seconds == 1
    ChannelDesk(ScriptedChannel("other", pace=(shared,)), clock, meters=meters)
    assert desk.interval_seconds == 3
    assert ChannelDesk(ScriptedChannel("free"), clock, meters=meters).interval_seconds == 0


def test_slots_begin_after_one_that_goes_now(desk: ChannelDesk) -> None:
    assert desk.slots(10, 20.0) == [6.0, 12.0, 18.0]
    assert desk.slots(2, 20.0) == [6.0, 12.0]


def test_desk_is_down_from_the_failure_that_opens_the_breaker_until_it_works(desk: ChannelDesk) -> None:
    told = []
    for outcome in (NETWORK, NETWORK, NETWORK, ACCEPTED):
        desk.note(outcome)
        told.append(desk.up)
    assert told == [True, True, False, True]


def test_desk_is_down_while_it_is_paused(desk: ChannelDesk) -> None:
    desk.note(UNAUTHORIZED)
    desk.note(ACCEPTED)  # of another thread's send
    assert not desk.up
    desk.resume()
    assert desk.up


def test_desk_is_down_for_a_long_hold_and_not_for_a_short_one(desk: ChannelDesk, clock: FakeClock) -> None:
    told: list[bool] = []
    for hold, later in ((300, 0), (3600, 100), (0, 3500)):
        desk.hold(hold)
        clock.advance(later)
        told.append(desk.up)
    assert told == [True, False, True]


def test_storm_of_a_new_channel_was_never(desk: ChannelDesk) -> None:
    assert (desk.storm.since_seconds, desk.storm.collects_seconds) == (None, 0.0)
    desk.storm.seed(None)
    assert desk.storm.since_seconds is None


def test_storm_told_counts_from_then(desk: ChannelDesk, clock: FakeClock) -> None:
    desk.storm.told()
    clock.advance(12)
    clock.step(-3600)  # a wall clock that is set makes no storm longer
    assert desk.storm.since_seconds == 12


@pytest.mark.parametrize(("ago", "since"), [(20, 20), (0, 0), (-50, 0)])
def test_storm_of_an_earlier_run_is_known(desk: ChannelDesk, clock: FakeClock, ago: int, since: float) -> None:
    """One that seems to lie ahead was told before a clock was set back."""
    desk.storm.seed(clock.now_us() - ago * MICROSECONDS)
    assert desk.storm.since_seconds == since


def test_storm_of_another_daemon_is_looked_for_once_a_second(desk: ChannelDesk, clock: FakeClock) -> None:
    """What this daemon told later still counts."""
    looks = []

    def look() -> int:
        looks.append(clock.now_us())
        return looks[0] - 5 * MICROSECONDS

    for _ in range(8):
        desk.storm.follow(look)
        clock.advance(0.25)
    assert (len(looks), desk.storm.since_seconds) == (2, 7)
    desk.storm.told()
    clock.advance(1)
    desk.storm.follow(look)
    assert (len(looks), desk.storm.since_seconds) == (3, 1)


def test_storm_collects_for_its_time(desk: ChannelDesk, clock: FakeClock) -> None:
    desk.storm.collect(2.5)
    clock.advance(1)
    assert desk.storm.collects_seconds == 1.5
    clock.advance(2)
    assert desk.storm.collects_seconds == 0
