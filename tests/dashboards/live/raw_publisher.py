"""A publisher of raw sockets for the day: it tells true times, and may fall ill."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from bus.alerts import Alert
from tests.support.scripted_publisher import ScriptedPublisher


class RawPublisher(ScriptedPublisher):
    """What a test makes of it: `says` goes into each heartbeat; without `answers` it replays nothing."""

    def __init__(self, endpoints: tuple[str, str], *, stream: bytes, source: str) -> None:
        """Offer nothing yet.

        Args:
            endpoints: Data and control of a daemon.
            stream: 16 bytes.
            source: Its name.
        """
        super().__init__(endpoints, stream=stream, source=source)
        self.says: dict[str, Any] = {}
        self.clock_ahead_seconds = 0.0
        self.answers = True
        #: How often each number was sent, on whichever connection.
        self.sent: Counter[int] = Counter()
        self._published_at: dict[int, float] = {}

    def offer(self, number: int, alert: Alert, at: float) -> None:
        """Hold an alert that was published at a time in Unix seconds."""
        self.alerts[number] = alert
        self._published_at[number] = at

    def frames(self, number: int, **header: Any) -> list[bytes]:
        """Return a number's three frames."""
        self.sent[number] += 1
        at = self._published_at.setdefault(number, time.time())
        return super().frames(number, **{"published_us": round(at * 1e6), **header})

    def beat(self, **fields: Any) -> None:
        """Send a heartbeat."""
        clock_us = round((time.time() + self.clock_ahead_seconds) * 1e6)
        super().beat(**{"clock_us": clock_us, **self.says, **fields})

    def turn(self) -> None:
        """Do what a publisher does now and then: beat, and answer what is asked for."""
        self.beat()
        if self.answers:
            self.answer()
