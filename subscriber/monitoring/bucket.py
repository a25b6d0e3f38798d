"""Bounds how often something is done: so many at once, and one more after each pause."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Bucket:
    """A bucket of turns that fills up by itself. Any thread may take one."""

    def __init__(self, most: int, seconds_each: float, monotonic: Callable[[], float]) -> None:
        """Begin with a full one.

        Args:
            most: Turns that it holds, at least 1.
            seconds_each: How long one more turn takes to come, above 0.
            monotonic: Says the time, in seconds.

        Raises:
            ValueError: It could hold no turn, or would never fill.
        """
        if most < 1 or seconds_each <= 0:
            raise ValueError("A bucket holds at least one turn, and fills up.")
        self._most = most
        self._seconds_each = seconds_each
        self._monotonic = monotonic
        self._turns = float(most)
        self._at = monotonic()
        self._lock = threading.Lock()

    def take(self) -> float:
        """Take a turn; return 0, or the seconds until there is one where there is none now."""
        with self._lock:
            now = self._monotonic()
            self._turns = min(self._most, self._turns + max(now - self._at, 0.0) / self._seconds_each)
            self._at = now
            if self._turns < 1:
                return (1 - self._turns) * self._seconds_each
            self._turns -= 1
            return 0.0
