"""Time as alertbus measures it: whole microseconds of UTC for records, monotonic seconds for waits."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol, Self

MICROSECONDS = 1_000_000
_BOOT_FILE: Final = Path("/proc/sys/kernel/random/boot_id")
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


@dataclass(frozen=True, slots=True)
class Moment:
    """What this machine's clocks said at one moment; kept on disk, it tells later whether the wall clock was set."""

    wall_us: int
    monotonic_us: int
    boot: str  #: which start of the machine that was; empty where the system does not say

    @classmethod
    def now(cls, clock: Clock, boot: str | None = None) -> Self:
        """Read the clocks."""
        return cls(clock.now_us(), int(clock.monotonic() * MICROSECONDS), boot_id() if boot is None else boot)

    def unset_us(self, now: Moment) -> int | None:
        """Return what the wall clock would say now if nobody had set it since; None after a restart of the machine."""
        if not self.boot or self.boot != now.boot:
            return None
        return self.wall_us + now.monotonic_us - self.monotonic_us

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps([self.wall_us, self.monotonic_us, self.boot])

    @classmethod
    def of(cls, text: str) -> Self:
        """Read what `text` returned.

        Raises:
            ValueError: It is something else.
        """
        match json.loads(text):
            case [int(wall_us), int(monotonic_us), str(boot)]:
                return cls(wall_us, monotonic_us, boot)
        raise ValueError("this is no moment")


@lru_cache(maxsize=4)
def boot_id(file: Path = _BOOT_FILE) -> str:
    """Return what tells this start of the machine from others; empty where the system does not say."""
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


class SteadyClock:
    """A clock that nobody can set: it goes on by the monotonic clock, until its owner says `anchor`.

    So a wall clock that is set while a program runs makes nothing old, due or overdue that is not.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin with another clock's time."""
        self._clock = clock
        self._anchor = (clock.now_us(), clock.monotonic())
        #: By how much `anchor` has moved this clock since the start, in microseconds.
        self.shift_us = 0

    def now_us(self) -> int:
        """Return UTC in microseconds since 1970, as steadily as the monotonic clock."""
        anchor_us, anchored_at = self._anchor
        return anchor_us + int((self._clock.monotonic() - anchored_at) * MICROSECONDS)

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for waits and limits."""
        return self._clock.monotonic()

    def step_us(self) -> int:
        """Return by how many microseconds the wall clock was set forward since; negative when it was set back."""
        return self._clock.now_us() - self.now_us()

    def anchor(self) -> None:
        """Take the wall clock's time over."""
        self.shift_us += self.step_us()
        self._anchor = (self._clock.now_us(), self._clock.monotonic())


def shift_of(clock: Clock) -> int:
    """Return by how much a clock was moved since the start: times read before and after differ by as much."""
    return clock.shift_us if isinstance(clock, SteadyClock) else 0


def to_us(moment: datetime) -> int:
    """Turn an aware datetime into microseconds since 1970, without a float's rounding."""
    return (moment - _EPOCH) // _ONE_MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Turn microseconds since 1970 into a datetime in UTC.

    Raises:
        OverflowError: The number lies outside the years 1 to 9999.
    """
    return _EPOCH + timedelta(microseconds=microseconds)
