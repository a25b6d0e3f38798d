"""A wrong clock, the trader's or our own, makes no alert old: slow, ahead or set, with a heartbeat or before one."""

from __future__ import annotations

import pytest

from bus.clock import MICROSECONDS
from subscriber.intake.publisher_clock import PublisherClock
from tests.support.clock import START_US

SECOND = MICROSECONDS
HOUR = 3600 * SECOND
YEAR = 365 * 24 * HOUR
#: Our monotonic clock when our wall clock shows START_US.
MONO = 7 * HOUR


class Heard:
    """A publisher's clock as we know it; times are ours, in microseconds after START_US."""

    def __init__(self) -> None:
        self.clock = PublisherClock()
        #: By how much our own wall clock was set since.
        self.set_us = 0

    def beat(self, clock_us: int, last: int | None, at: int) -> None:
        self.clock.told(clock_us, last, MONO + at)

    def age(self, sequence: int, stamp_us: int, at: int, *, live: bool = False) -> int:
        """Return how old an alert counts as."""
        now_us = START_US + at + self.set_us
        return now_us - self.clock.published_us(sequence, stamp_us, now_us, MONO + at, live=live)


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_published_with_a_clock_that_agrees_is_believed(heard: Heard) -> None:
    heard.beat(START_US, 4, SECOND // 2)
    assert heard.age(5, START_US + 3 * SECOND, 4 * SECOND) == SECOND


def test_published_before_any_heartbeat_is_believed_when_asked_for(heard: Heard) -> None:
    assert heard.age(1, START_US - HOUR, 0) == HOUR


def test_published_before_any_heartbeat_came_a_moment_ago_when_live(heard: Heard) -> None:
    """A daemon that starts with a clock years ahead hears alerts before heartbeats."""
    assert heard.age(1, START_US - SECOND, 0, live=True) == SECOND
    assert heard.age(1, START_US - YEAR, 0, live=True) == 900 * SECOND


@pytest.mark.parametrize("ahead", [-YEAR, -HOUR, -5 * SECOND])
def test_published_by_a_clock_that_is_behind_is_moved(heard: Heard, ahead: int) -> None:
    """The heartbeat that waited least is the nearest to the truth."""
    for waited in (3 * SECOND, SECOND // 100, SECOND):
        heard.beat(START_US + ahead - waited, 4, 0)
    assert abs(heard.age(3, START_US + ahead - 30 * SECOND, 0) - 30 * SECOND) <= SECOND // 100


@pytest.mark.parametrize("ahead", [5 * SECOND, HOUR, YEAR])
def test_published_by_a_clock_that_is_ahead_is_moved_where_it_must_be_wrong(heard: Heard, ahead: int) -> None:
    """A stamp in the future can't be right; one in the past may be from before the clock was set."""
    heard.beat(START_US + ahead, 4, 0)
    assert heard.age(3, START_US + ahead - 3 * SECOND, 0) == 3 * SECOND
    assert heard.age(3, START_US - 30 * SECOND, 0) == 30 * SECOND


def test_published_is_never_later_than_now(heard: Heard) -> None:
    assert heard.age(1, START_US + YEAR, 0) == 0


def test_published_above_what_a_heartbeat_told_of_is_not_older_than_that(heard: Heard) -> None:
    """Its clock was years behind when it published, and was put right before the next heartbeat."""
    heard.beat(START_US, 4, 0)
    heard.beat(START_US + HOUR, 9, HOUR)
    assert heard.age(5, START_US - YEAR, 2 * HOUR) == 2 * HOUR
    assert heard.age(10, START_US - YEAR, 2 * HOUR) == HOUR
    assert heard.age(3, START_US - HOUR, 2 * HOUR) == 3 * HOUR


def test_published_after_a_heartbeat_that_waited_is_as_old_as_it_says(heard: Heard) -> None:
    """A daemon that was busy for some seconds must not look quicker than it was."""
    heard.beat(START_US, 4, 2 * SECOND)
    assert heard.age(5, START_US + SECOND, 3 * SECOND) == 2 * SECOND


@pytest.mark.parametrize("step", [-YEAR, -HOUR, HOUR, YEAR])
def test_published_while_our_own_clock_was_set_is_as_old_as_it_is(heard: Heard, step: int) -> None:
    """What we know is kept in monotonic time; heartbeats from before the step count like those after it."""
    heard.beat(START_US, 4, 0)
    heard.set_us = step
    assert heard.age(5, START_US + 10 * SECOND, 11 * SECOND) == SECOND


def test_gave_out_remembers_the_store_before_this_daemon_heard_anything(heard: Heard) -> None:
    """Published during the daemon's outage: after the last heartbeat that any daemon noted."""
    heard.clock.gave_out(100, MONO)
    assert heard.age(150, START_US - YEAR, HOUR) == HOUR


def test_adopter_says_what_time_it_is_and_not_when_the_stream_ended(heard: Heard) -> None:
    """Its clock is that of the machine on which the dead publisher ran."""
    heard.beat(START_US - YEAR, None, 0)
    assert heard.age(5, START_US - YEAR - HOUR, 0) == HOUR


def test_gave_out_very_often_keeps_a_coarse_memory_of_the_past(heard: Heard) -> None:
    """A bound for every age, however long the stream: less exact, the longer ago."""
    for second in range(10_000):
        heard.beat(START_US + second * SECOND, second, second * SECOND)
    assert len(heard.clock._marks) <= 128
    for number in (50, 5_000, 9_990):
        age = heard.age(number, START_US - YEAR, 10_000 * SECOND)
        assert (10_000 - number) * SECOND <= age <= 10_000 * SECOND
