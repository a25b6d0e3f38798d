"""A trader's wrong clock makes no alert old: not one that is slow, not one that was set, heartbeat or not."""

from __future__ import annotations

import pytest

from bus.clock import MICROSECONDS
from subscriber.intake.publisher_clock import PublisherClock
from tests.support.clock import START_US

SECOND = MICROSECONDS
HOUR = 3600 * SECOND
YEAR = 365 * 24 * HOUR


def test_published_with_a_clock_that_agrees_is_believed() -> None:
    clock = PublisherClock()
    clock.told(START_US, 4, START_US + SECOND // 2)
    assert clock.published_us(5, START_US + 3 * SECOND, START_US + 4 * SECOND) == START_US + 3 * SECOND


def test_published_before_any_heartbeat_is_believed() -> None:
    assert PublisherClock().published_us(1, START_US, START_US + HOUR) == START_US


@pytest.mark.parametrize("ahead", [-YEAR, -HOUR, -5 * SECOND, 5 * SECOND, HOUR, YEAR])
def test_published_by_a_clock_that_is_wrong_is_moved(ahead: int) -> None:
    """The heartbeat that waited least is the nearest to the truth."""
    clock = PublisherClock()
    for waited in (3 * SECOND, SECOND // 100, SECOND):
        clock.told(START_US + ahead - waited, 4, START_US)
    moved = clock.published_us(3, START_US + ahead - 30 * SECOND, START_US)
    assert abs(moved - (START_US - 30 * SECOND)) <= SECOND // 100


def test_published_is_never_later_than_now() -> None:
    clock = PublisherClock()
    assert clock.published_us(1, START_US + YEAR, START_US) == START_US


def test_published_above_what_a_heartbeat_told_of_is_not_older_than_that() -> None:
    """Its clock was years behind when it published, and was put right before the next heartbeat."""
    clock = PublisherClock()
    clock.told(START_US, 4, START_US)
    clock.told(START_US + HOUR, 9, START_US + HOUR)
    now = START_US + 2 * HOUR
    assert clock.published_us(5, START_US - YEAR, now) == START_US
    assert clock.published_us(10, START_US - YEAR, now) == START_US + HOUR
    assert clock.published_us(3, START_US - HOUR, now) == START_US - HOUR


def test_published_after_a_heartbeat_that_waited_is_as_old_as_it_says() -> None:
    """A daemon that was busy for some seconds must not look quicker than it was."""
    clock = PublisherClock()
    clock.told(START_US, 4, START_US + 2 * SECOND)
    assert clock.published_us(5, START_US + SECOND, START_US + 3 * SECOND) == START_US + SECOND


def test_gave_out_remembers_the_store_before_this_daemon_heard_anything() -> None:
    """Published during the daemon's outage: after the last heartbeat that any daemon noted."""
    clock = PublisherClock()
    clock.gave_out(100, START_US)
    assert clock.published_us(150, START_US - YEAR, START_US + HOUR) == START_US
