"""When an alert was published, by the daemon's clock: a publisher's clock may be wrong, or be set. Pure.

Three things are known of it. Each heartbeat says what time it is there. Whatever has a higher number than a heartbeat
told of was published after that heartbeat came, whatever its stamp says. And what comes on the data connection was
published a moment ago, or has waited in a pipe. Where they leave room, an alert counts as the younger one: it is worse
not to tell of something than to tell it late.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from bus.clock import MICROSECONDS

#: A difference up to this is what a message may wait on its way, and no wrong clock.
_TOLERANCE_US: Final = 2 * MICROSECONDS
#: A heartbeat may have waited for a daemon that was busy: only a stamp that is older than this by far is not believed.
_WAIT_US: Final = 60 * MICROSECONDS
#: How long something may wait in the pipes of a daemon that was paused, before any heartbeat confirms its stamp.
_PIPE_US: Final = 900 * MICROSECONDS
#: Heartbeats whose difference counts: the one that waited least is the nearest to the truth.
_SAMPLES: Final = 8
#: Heartbeats that are remembered with the last number that each told of; beyond it, every second one is forgotten.
_MARKS: Final = 128


class PublisherClock:
    """What is known of one publisher's clock. Its memory is in monotonic time, so that our own clock may be set."""

    def __init__(self) -> None:
        """Begin without a heartbeat."""
        self._ahead: deque[int] = deque(maxlen=_SAMPLES)
        self._marks: list[tuple[int, int]] = []

    def told(self, clock_us: int, last: int | None, monotonic_us: int) -> None:
        """Take a heartbeat: the time where the stream was written, and the highest number given out so far.

        Args:
            clock_us: The publisher's clock, or that of whoever adopted its journal on the same machine.
            last: None from an adopter, whose stream has ended: it says nothing about when that was.
            monotonic_us: Our own monotonic clock, in microseconds.
        """
        self._ahead.append(clock_us - monotonic_us)
        if last is not None:
            self.gave_out(last, monotonic_us)

    def ahead_us(self, now_us: int, monotonic_us: int) -> int:
        """Return by how many microseconds it is ahead of ours; negative when it is behind, 0 before any heartbeat.

        Args:
            now_us: Our own time.
            monotonic_us: The same by our monotonic clock.
        """
        return max(self._ahead) + monotonic_us - now_us if self._ahead else 0

    def gave_out(self, last: int, monotonic_us: int) -> None:
        """Note that everything above a number was published later than that."""
        if self._marks and monotonic_us <= self._marks[-1][1]:
            return
        if self._marks and self._marks[-1][0] >= last:
            self._marks.pop()  # the later moment says more
        elif len(self._marks) >= _MARKS:
            del self._marks[1::2]
        self._marks.append((last, monotonic_us))

    def published_us(self, sequence: int, stamp_us: int, now_us: int, monotonic_us: int, *, live: bool) -> int:
        """Return when an alert was published, in microseconds by our own clock; never later than now.

        Args:
            sequence: Its number.
            stamp_us: The time that it carries.
            now_us: Our own time.
            monotonic_us: The same by our monotonic clock.
            live: Whether it came by itself, and not because we asked for it again.
        """
        published_us = self._moved(stamp_us, now_us, monotonic_us)
        after_us = next((at for last, at in reversed(self._marks) if last < sequence), None)
        if after_us is not None and now_us - monotonic_us + after_us - published_us > _WAIT_US:
            published_us = now_us - monotonic_us + after_us
        if live and not self._ahead:
            published_us = max(published_us, now_us - _PIPE_US)
        return min(now_us, published_us)

    def _moved(self, stamp_us: int, now_us: int, monotonic_us: int) -> int:
        """Move a stamp to our clock; one that may be right as it is counts as whatever is younger."""
        if not self._ahead:
            return stamp_us
        ahead_us = self.ahead_us(now_us, monotonic_us)
        if abs(ahead_us) <= _TOLERANCE_US:
            return stamp_us
        moved_us = stamp_us - ahead_us
        return moved_us if stamp_us > now_us else max(stamp_us, moved_us)
