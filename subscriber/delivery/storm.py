"""When a channel last told a storm in one message, and until when it collects what comes since."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bus.clock import MICROSECONDS, Clock

#: Between two looks at what other daemons told.
_LOOK_SECONDS: Final = 1.0


class Storm:
    """The storms of one channel; its threads share it, and each attribute is one value."""

    def __init__(self, clock: Clock) -> None:
        """Begin without a storm.

        Args:
            clock: The daemon's.
        """
        self._clock = clock
        self._told_at: float | None = None
        self._collects_until = float("-inf")
        self._look_at = float("-inf")

    @property
    def since_seconds(self) -> float | None:
        """How long ago the last message that told a storm was begun; None where there was none."""
        told_at = self._told_at
        return None if told_at is None else max(self._clock.monotonic() - told_at, 0.0)

    @property
    def collects_seconds(self) -> float:
        """For how long only CRITICAL, and what does not belong to the storm, is told; 0 where there is none."""
        return max(self._collects_until - self._clock.monotonic(), 0.0)

    def seed(self, told_us: int | None) -> None:
        """Go on with the storm of an earlier run, or of another daemon.

        Args:
            told_us: When its last message was begun, by the daemon's clock; None where there was none.
        """
        if told_us is not None:
            ago = max(self._clock.now_us() - told_us, 0) / MICROSECONDS
            told_at = self._clock.monotonic() - ago
            self._told_at = told_at if self._told_at is None else max(self._told_at, told_at)

    def follow(self, told_us: Callable[[], int | None]) -> None:
        """Look, at most once a second, whether another daemon told of it.

        Args:
            told_us: Reads what `seed` takes.

        Raises:
            StoreError: It can't be read at the moment.
        """
        now = self._clock.monotonic()
        if now >= self._look_at:
            self.seed(told_us())
            self._look_at = now + _LOOK_SECONDS

    def told(self) -> None:
        """Say that a message is begun that tells a storm."""
        self._told_at = self._clock.monotonic()

    def collect(self, seconds: float) -> None:
        """Tell nothing that belongs to the storm for so long."""
        self._collects_until = self._clock.monotonic() + seconds
