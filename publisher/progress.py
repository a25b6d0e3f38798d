"""The trading loop's own sign of life, as heartbeats carry it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from bus.clock import MICROSECONDS

#: What a limit is cut to, so that no odd number stops the heartbeats.
_LIMITS_SECONDS: Final = (1.0, 366 * 86_400.0)


@dataclass(frozen=True, slots=True)
class Progress:
    """When the loop moved, by the monotonic clock: a step of the other one accuses nobody."""

    at: float  #: monotonic seconds
    limit_us: int  #: how long it may stand still

    @classmethod
    def made(cls, at: float, limit_seconds: float) -> Self:
        """Note that the loop moves now; the limit is cut to what is sensible, whatever it is."""
        shortest, longest = _LIMITS_SECONDS
        return cls(at, int(min(max(shortest, limit_seconds), longest) * MICROSECONDS))

    def at_us(self, clock_us: int, now: float) -> int:
        """Return when that was by another clock, in microseconds.

        Args:
            clock_us: Now, by that clock.
            now: The same moment in monotonic seconds.
        """
        return max(clock_us - int((now - self.at) * MICROSECONDS), 0)
