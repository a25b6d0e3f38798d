"""A channel's circuit breaker: after failures in a row it asks gently instead of hammering. Pure: no clock of its own.

closed ── 3 failures in a row ──► open ── its wait is over ──► half open: a probe, then one delivery
  ▲                                ▲                               │
  │                                └────── fails: longer ──────────┤
  └──────────────── any answer that a provider gives who works ────┘
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from random import Random
from typing import Final

#: Failures in a row that open it.
OPENS_AFTER: Final = 3
#: Seconds from the opening to the first probe, at most; doubled with each failure, up to the longest.
FIRST_WAIT_SECONDS: Final = 5.0
LONGEST_WAIT_SECONDS: Final = 30.0
#: While another thread finds out, the others look again after so long; they are woken when it is closed.
_BUSY_WAIT_SECONDS: Final = 1.0


class BreakerState(StrEnum):
    """Whether a channel sends; a closed set, shown in the status."""

    CLOSED = "closed"  #: as ever
    OPEN = "open"  #: nothing is sent
    HALF_OPEN = "half_open"  #: one thread finds out


class Go(Enum):
    """What a thread may do."""

    SEND = auto()
    PROBE = auto()  #: ask the provider without sending anything, then `probed`
    TRIAL = auto()  #: make one delivery


class Breaker:
    """The state. Not locked; times are monotonic seconds."""

    def __init__(self, rng: Random) -> None:
        """Begin closed.

        Args:
            rng: For the waits: several daemons are not to probe in step.
        """
        self._rng = rng
        self._state = BreakerState.CLOSED
        self._failures = 0
        self._openings = 0
        self._until = 0.0
        self._probed = False
        self._answers_probes = False
        self._who: str | None = None

    @property
    def state(self) -> BreakerState:
        """Whether the channel sends."""
        return self._state

    @property
    def next_probe_at(self) -> float | None:
        """When it asks next; None where it is not open."""
        return self._until if self._state is BreakerState.OPEN else None

    def ask(self, who: str, now: float) -> Go | float:
        """Say what a thread may do now, or how many seconds it is to wait; it says `leave` after it has done so.

        Args:
            who: The thread's name: while it is half open, one of them acts at a time.
            now: The time.
        """
        if self._state is BreakerState.CLOSED:
            return Go.SEND
        if self._state is BreakerState.OPEN:
            if now < self._until:
                return self._until - now
            self._state = BreakerState.HALF_OPEN
            self._probed = self._answers_probes = False
        if self._who not in {None, who}:
            return _BUSY_WAIT_SECONDS
        self._who = who
        return Go.TRIAL if self._probed else Go.PROBE

    def leave(self, who: str) -> None:
        """Let another thread act, where this was the one; what it did not find out, the next one does."""
        if self._who == who:
            self._who = None

    def probed(self, now: float, *, well: bool, answered: bool) -> None:
        """Take what a probe found.

        Args:
            now: The time.
            well: Whether one delivery may go.
            answered: Whether the provider itself said so; False for a service that can't be probed.
        """
        if not well:
            self.failed(now)
        elif self._state is BreakerState.HALF_OPEN:
            self._probed, self._answers_probes = True, answered

    def nothing_to_send(self) -> None:
        """Close it after a good probe where no delivery waits that could be the trial: the Error would never end."""
        if self._state is BreakerState.HALF_OPEN and self._probed and self._answers_probes:
            self.close()

    def failed(self, now: float) -> None:
        """Count a send or a probe to which no provider answered."""
        self._failures += 1
        if self._state is BreakerState.OPEN or self._failures < OPENS_AFTER:
            return
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0**self._openings)
        if longest < LONGEST_WAIT_SECONDS:
            self._openings += 1
        self._until = now + self._rng.uniform(longest / 2, longest)
        self._state = BreakerState.OPEN

    def close(self) -> None:
        """Send as ever: the provider talks, or a person says that it does."""
        self._state = BreakerState.CLOSED
        self._failures = self._openings = 0

    def hurry(self, now: float) -> None:
        """Ask now instead of later."""
        self._until = min(self._until, now)
