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


def to_us(moment: datetime) -> int:
    """Turn an aware datetime into microseconds since 1970, without a float's rounding."""
    return (moment - _EPOCH) // _ONE_MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Turn microseconds since 1970 into a datetime in UTC.

    Raises:
        OverflowError: The number lies outside the years 1 to 9999.
    """
    return _EPOCH + timedelta(microseconds=microseconds)
