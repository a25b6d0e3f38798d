"""Time as alertbus measures it: whole microseconds of UTC for records, monotonic seconds for waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """What tells the time; tests pass one that they move by hand."""

    def now_us(self) -> int:
        """Return the UTC wall clock in microseconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for waits and limits."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now_us(self) -> int:
        """Return the UTC wall clock in microseconds since 1970."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for waits and limits."""
        return time.monotonic()


class SteadyClock:
    """A clock that nobody can set: it goes on by the monotonic clock, until its owner says `anchor`.

    So a wall clock that is set while a program runs makes nothing old, due or overdue that is not.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin with another clock's time."""
        self._clock = clock
        self._anchor = (clock.now_us(), clock.monotonic())

    def now_us(self) -> int:
        """Return UTC in microseconds since 1970, as steadily as the monotonic clock."""
        anchor_us, anchored_at = self._anchor
        return anchor_us + round((self._clock.monotonic() - anchored_at) * MICROSECONDS)

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for waits and limits."""
        return self._clock.monotonic()

    def step_us(self) -> int:
        """Return by how many microseconds the wall clock was set forward since; negative when it was set back."""
        return self._clock.now_us() - self.now_us()

    def anchor(self) -> None:
        """Take the wall clock's time over."""
        self._anchor = (self._clock.now_us(), self._clock.monotonic())


def to_us(moment: datetime) -> int:
    """Turn an aware datetime into microseconds since 1970, without a float's rounding."""
    return (moment - _EPOCH) // _ONE_MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Turn microseconds since 1970 into a datetime in UTC.

    Raises:
        OverflowError: The number lies outside the years 1 to 9999.
    """
    return _EPOCH + timedelta(microseconds=microseconds)
