"""When heartbeats are due: each interval, at once when a burst ends, and often to a daemon that is away. Pure."""

from __future__ import annotations

from typing import Final

#: Heartbeats after a burst: at once, and soon again, so that a lost tail is found in a fraction of a second.
BURST_BEATS_SECONDS: Final = (0.0, 0.1, 0.3)
#: The closest that two rounds of heartbeats come for a burst, and how often a daemon that is away is tried.
SHORTEST_SECONDS: Final = 0.1


class Beats:
    """The schedule; the monotonic time is passed in."""

    def __init__(self, interval_seconds: float) -> None:
        """Begin with a round that is due at once."""
        self._interval = interval_seconds
        self._burst: list[float] = []
        self._last_round = float("-inf")
        self._last_try = float("-inf")

    def burst_ended(self, now: float) -> None:
        """Plan the rounds that follow a burst."""
        start = max(now, self._last_round + SHORTEST_SECONDS)
        self._burst = [start + later for later in BURST_BEATS_SECONDS]

    def round_due(self, now: float) -> bool:
        """Whether every daemon gets a heartbeat now; the answer True starts the next wait."""
        if now < self._last_round + self._interval and not (self._burst and now >= self._burst[0]):
            return False
        self._burst = [due for due in self._burst if due > now]
        self._last_round = self._last_try = now
        return True

    def try_due(self, now: float) -> bool:
        """Whether daemons that are away are tried now; the answer True starts the next wait."""
        if now < self._last_try + SHORTEST_SECONDS:
            return False
        self._last_try = now
        return True
