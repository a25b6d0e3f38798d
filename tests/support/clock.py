"""Clocks for tests: one that a test moves by hand, and one that runs faster than time."""

from __future__ import annotations

import time

from bus.clock import MICROSECONDS

START_US = 1_760_000_000 * MICROSECONDS  # 2025-10-09


class FakeClock:
    """Stands still until a test says `advance`."""

    def __init__(self, now_us: int = START_US) -> None:
        self._now_us = now_us
        self._monotonic = 1000.0

    def now_us(self) -> int:
        return self._now_us

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass: both the wall clock and the monotonic one."""
        self._now_us += round(seconds * MICROSECONDS)
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back, as a person or NTP does; the monotonic one does not notice."""
        self._now_us += round(seconds * MICROSECONDS)


class FastClock:
    """Runs `speed` times as fast as this machine's clocks, so that minutes of pacing take a test seconds.

    Whoever waits in real seconds must wait briefly and look again: a real millisecond is `speed` of its own.
    """

    def __init__(self, speed: float, now_us: int = START_US) -> None:
        self.speed = speed
        self._started_us = now_us
        self._started_at = time.monotonic()

    def now_us(self) -> int:
        return self._started_us + round((time.monotonic() - self._started_at) * self.speed * MICROSECONDS)

    def monotonic(self) -> float:
        return self.at(time.monotonic())

    def at(self, real: float) -> float:
        """Return what `monotonic` said when this machine's own monotonic clock said `real`."""
        return self._started_at + (real - self._started_at) * self.speed
