"""For how long a channel's provider wants to be left alone, and how often it said so without saying how long."""

from __future__ import annotations

import threading
from typing import Final

from bus.clock import MICROSECONDS, Clock
from subscriber.channels.channel import Channel
from subscriber.deliveries import Outcome, Reason
from subscriber.delivery.meters import Pace
from subscriber.policy.retry import (
    LONGEST_DUE_WAIT_SECONDS,
    LONGEST_UNSAID_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    says_wait,
)

#: Where a refusal may come by receipt, an acceptance says nothing: it came before each of them. Only when the longest
#: hold and as long a time again passed without one is the provider content.
_CONTENT_AFTER_SECONDS: Final = 2 * LONGEST_UNSAID_WAIT_SECONDS


class Holds:
    """The holds of one channel; safe for all threads.

    A hold is shared by all channels that share the narrowest scope of this one's limits: those of the same chat.
    """

    def __init__(self, channel: Channel, pace: Pace, clock: Clock) -> None:
        """Go on with the hold of an earlier run; one beyond any provider's is a clock's doing, and is forgotten.

        Args:
            channel: Whose, with its memory.
            pace: Its pace, which keeps the hold while the daemon runs.
            clock: The daemon's.
        """
        self._memory = channel.memory
        self._told_by_receipt = channel.receipts.comes
        self._pace = pace
        self._clock = clock
        self._lock = threading.Lock()
        self._unsaid = 0
        self._unsaid_at = float("-inf")
        until_us = self._memory.values.held_until_us
        if until_us is not None and not self._absurd(until_us):
            self._pace.hold_until(clock.monotonic() + (until_us - clock.now_us()) / MICROSECONDS)
        self._told_until = self._pace.held_until  # people heard of it in the earlier run

    @property
    def seconds_left(self) -> float:
        """For how long nothing is to be sent any more; 0 without a hold."""
        return max(self._pace.held_until - self._clock.monotonic(), 0.0)

    @property
    def long(self) -> bool:
        """Whether it lasts for longer yet than any that a person need not know of."""
        return self.seconds_left > LONGEST_DUE_WAIT_SECONDS

    @property
    def unsaid(self) -> int:
        """How often in a row, before the next time, the provider said "too fast" without saying how long.

        Threads that were sending when the first of them was told so are told the same thing, and it counts once.
        """
        with self._lock:
            return max(self._unsaid - (self.seconds_left > 0), 0)

    def note(self, outcome: Outcome, seconds: float) -> None:
        """Take what an attempt, or a receipt, says of the provider's patience.

        Args:
            outcome: How it ended.
            seconds: How long nothing is to be sent after it.
        """
        now = self._clock.monotonic()
        with self._lock:
            if outcome.reason is Reason.RATE_LIMITED and not says_wait(outcome):
                self._unsaid += self.seconds_left <= 0
                self._unsaid_at = now
            if seconds > 0:  # before another thread's turn; what is remembered of it may take a while
                self._pace.hold_until(now + seconds)
            if outcome.accepted and not (self._told_by_receipt and now - self._unsaid_at <= _CONTENT_AFTER_SECONDS):
                self._unsaid = 0
        if seconds > 0:
            self.hold(seconds)

    def hold(self, seconds: float) -> None:
        """Send nothing for so long, as the provider asked; kept over a restart."""
        self._pace.hold_until(self._clock.monotonic() + seconds)
        until_us = self._clock.now_us() + round(seconds * MICROSECONDS)
        known_us = self._memory.values.held_until_us
        if known_us is not None and self._absurd(known_us):
            self._memory.change(held_until_us=until_us)
        else:
            self._memory.latest("held_until_us", until_us)

    def lift(self) -> None:
        """Send again, because a person says so."""
        with self._lock:
            self._pace.lift_hold()
            self._told_until = float("-inf")  # should it ask again, that is news
        if self._memory.values.held_until_us is not None:
            self._memory.change(held_until_us=None)

    def take_untold(self) -> float | None:
        """Return until when a long hold lasts of which people were not told yet, and count it as told; or None.

        In monotonic seconds. One that grows by as much as makes a hold long is told again.
        """
        with self._lock:
            until = self._pace.held_until
            if until - max(self._told_until, self._clock.monotonic()) <= LONGEST_DUE_WAIT_SECONDS:
                return None
            self._told_until = until
            return until

    def _absurd(self, held_until_us: int) -> bool:
        return held_until_us - self._clock.now_us() > LONGEST_WAIT_SECONDS * MICROSECONDS
