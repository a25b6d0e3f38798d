"""When a channel last told a storm in one message, and until when it collects what comes since."""

from __future__ import annotations

from bus.clock import MICROSECONDS, Clock


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
        """Go on with the storm of an earlier run.

        Args:
            told_us: When its last message was begun, by the daemon's clock; None where there was none.
        """
        if told_us is not None:
            ago = max(self._clock.now_us() - told_us, 0) / MICROSECONDS
            self._told_at = self._clock.monotonic() - ago

    def told(self) -> None:
        """Say that a message is begun that tells a storm."""
        self._told_at = self._clock.monotonic()

    def collect(self, seconds: float) -> None:
        """Tell nothing that belongs to the storm for so long."""
        self._collects_until = self._clock.monotonic() + seconds
