"""A clock that a test moves by hand."""

from __future__ import annotations

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
