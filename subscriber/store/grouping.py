"""Decides when a group is told: never more than one message in an interval, whatever comes, and whatever was counted.

While a time lies ahead at which a group is told, it is told only at times that are whole steps before or after that
one. So what a window of dedup lets go long from now keeps its distance from all that is told until then. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from subscriber.deliveries import Grouping


@dataclass(slots=True)
class Group:
    """One group at one channel, while a batch is stored."""

    flush_us: int  #: the last of the times at which it is told, as far as is known; it may lie behind us
    moved: bool = False  #: since it was read

    def next_us(self, grouping: Grouping, now_us: int) -> int:
        """Return when an alert is told that may be told as soon as its group is."""
        if now_us < self.flush_us:
            return self._in_step(grouping, now_us + 1)
        return self._move(max(now_us + grouping.wait_us, self.flush_us + grouping.interval_us))

    def after_us(self, grouping: Grouping, ready_us: int, now_us: int) -> int:
        """Return when an alert is told that is counted until a time, which lies ahead."""
        goes_on = now_us < self.flush_us + step_us(grouping)
        return self._move(self._in_step(grouping, ready_us) if goes_on else ready_us)

    def _in_step(self, grouping: Grouping, ready_us: int) -> int:
        step = step_us(grouping)
        return ready_us + (self.flush_us - ready_us) % step

    def _move(self, flush_us: int) -> int:
        if flush_us > self.flush_us:
            self.flush_us, self.moved = flush_us, True
        return flush_us


def step_us(grouping: Grouping) -> int:
    """Return for how long, at most, a group holds what it could tell."""
    return max(grouping.wait_us, grouping.interval_us, 1)
