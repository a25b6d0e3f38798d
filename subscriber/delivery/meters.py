"""The paces of all channels of a daemon under one lock: channels of one bot, number or chat share what it allows."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from subscriber.deliveries import Limit
from subscriber.policy.pacing import Pacing, Scopes


class Meters:
    """What the channels share; one for a daemon."""

    def __init__(self) -> None:
        """Begin without any channel."""
        self._lock = threading.Lock()
        self._scopes = Scopes()

    def pace(self, limits: Iterable[Limit]) -> Pace:
        """Return the pace of one more channel.

        Raises:
            ValueError: A limit has no messages, no time or no burst.
        """
        with self._lock:
            return Pace(self._lock, Pacing(limits, self._scopes))


class Pace:
    """One channel's limits, its own and the shared ones; safe for all threads. Times are monotonic seconds."""

    def __init__(self, lock: threading.Lock, pacing: Pacing) -> None:
        """Keep what is needed.

        Args:
            lock: Of all paces that share something.
            pacing: The limits.
        """
        self._lock = lock
        self._pacing = pacing

    @property
    def memory_seconds(self) -> float:
        """For how long a message counts; 0 without limits."""
        with self._lock:
            return self._pacing.memory_seconds

    @property
    def held_until(self) -> float:
        """Until when nothing is sent because the provider asked for it."""
        with self._lock:
            return self._pacing.held_until

    @property
    def interval_seconds(self) -> float:
        """Between two messages in the long run, by the slowest of the limits; 0 without limits."""
        with self._lock:
            return self._pacing.interval_seconds

    def slots(self, now: float, most: int, within_seconds: float, longest_gap: float | None) -> list[float]:
        """Return when further messages could go after one that goes now, in seconds from now (`Pacing.slots`)."""
        with self._lock:
            return self._pacing.slots(now, most, within_seconds, longest_gap)

    def turn(self, now: float) -> float:
        """Take a turn in all limits at once, or in none: then return the seconds until there may be one."""
        with self._lock:
            wait = self._pacing.wait_needed(now)
            if wait <= 0:
                self._pacing.take(now)
            return wait

    def wait_needed(self, now: float, longest_gap: float | None = None) -> float:
        """Return the seconds until there may be a turn, and take none (`Pacing.wait_needed`)."""
        with self._lock:
            return self._pacing.wait_needed(now, longest_gap)

    def ended(self, taken_at: float, now: float) -> None:
        """Say that what took its turn then has been answered now."""
        with self._lock:
            self._pacing.ended(taken_at, now)

    def hold_until(self, moment: float) -> None:
        """Send nothing before this time; an earlier one never shortens a hold."""
        with self._lock:
            self._pacing.hold_until(moment)

    def lift_hold(self) -> None:
        """Send again before the time that the provider asked for, on all channels that share the hold."""
        with self._lock:
            self._pacing.lift_hold()

    def seed(self, moments: Iterable[float], now: float) -> None:
        """Count the messages of an earlier run."""
        with self._lock:
            self._pacing.seed(moments, now)
