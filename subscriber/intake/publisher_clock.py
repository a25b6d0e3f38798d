"""When an alert was published, by the daemon's clock: a publisher's clock may be wrong, or be set. Pure.

Two things are known of it. Each heartbeat says what time it is there. And whatever has a higher number than a heartbeat
told of was published after that heartbeat came, whatever its stamp says; that bound needs no clock but our own.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from bus.clock import MICROSECONDS

#: A difference up to this is what a message may wait on its way, and no wrong clock.
_TOLERANCE_US: Final = 2 * MICROSECONDS
#: A heartbeat may have waited for a daemon that was busy: only a stamp that is older than this by far is not believed.
_WAIT_US: Final = 60 * MICROSECONDS
#: Heartbeats whose difference counts: the one that waited least is the nearest to the truth.
_SAMPLES: Final = 8
#: Heartbeats that are remembered with the last number that each told of.
_MARKS: Final = 64


class PublisherClock:
    """What is known of one publisher's clock."""

    def __init__(self) -> None:
        """Believe it until a heartbeat comes."""
        self._ahead: deque[int] = deque(maxlen=_SAMPLES)
        self._marks: deque[tuple[int, int]] = deque(maxlen=_MARKS)

    def told(self, clock_us: int, last: int, now_us: int) -> None:
        """Take a heartbeat of the publisher itself: its time, and the highest number that it has given out."""
        self._ahead.append(clock_us - now_us)
        self.gave_out(last, now_us)

    def gave_out(self, last: int, now_us: int) -> None:
        """Note that everything above a number was published later than now."""
        if self._marks and now_us <= self._marks[-1][1]:
            return
        if self._marks and self._marks[-1][0] >= last:
            self._marks.pop()  # the later moment says more
        self._marks.append((last, now_us))

    def published_us(self, sequence: int, stamp_us: int, now_us: int) -> int:
        """Return when an alert was published, in microseconds by our own clock; never later than now.

        Args:
            sequence: Its number.
            stamp_us: The time that it carries.
            now_us: Our own.
        """
        ahead = max(self._ahead, default=0)
        moved = stamp_us - ahead if abs(ahead) > _TOLERANCE_US else stamp_us
        earliest = next((at for last, at in reversed(self._marks) if last < sequence), moved)
        return min(now_us, moved if earliest - moved <= _WAIT_US else earliest)
