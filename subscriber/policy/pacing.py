"""How fast a channel may send: several limits at once, with the time passed in. Pure.

A token bucket alone breaks a provider's rule: with a burst of 20 and 20 tokens a minute it lets 39 messages go within
one minute. So each limit is kept twice: a sliding window over the last sends holds the strict reading (never
more than `messages` in any `seconds`), and a bucket of `burst` tokens spreads them within it.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterable
from typing import Final

from subscriber.deliveries import Limit

#: Messages that one limit may count: a send time is kept for each.
MOST_MESSAGES: Final = 100_000
_PACE: Final = re.compile(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s*/\s*(\d{1,6}(?:\.\d{1,6})?)?\s*(s|min|h)\s*", re.ASCII)
_UNIT_SECONDS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0}
_FORM: Final = (
    f'must be messages per time, such as "20/s", "1/6s" or "20/min", above 0 and at most {MOST_MESSAGES} messages'
)


class Pacing:
    """The limits of one channel. Not locked: several threads of one channel share it under a lock of their own.

    Times are monotonic seconds. After a restart, `take` the times of the last sends, oldest first.
    """

    def __init__(self, limits: Iterable[Limit]) -> None:
        """Begin as if nothing had been sent.

        Raises:
            ValueError: A limit has no messages, no time or no burst.
        """
        self._meters = tuple(_Meter(limit) for limit in limits)
        self._held_until = -math.inf

    def wait_needed(self, now: float) -> float:
        """Return the seconds until the next message may go; 0 when it may go now."""
        ready_at = max((meter.ready_at() for meter in self._meters), default=-math.inf)
        return max(0.0, max(ready_at, self._held_until) - now)

    def take(self, now: float) -> None:
        """Count a message as sent at this time; one that did not wait makes the next ones wait longer."""
        for meter in self._meters:
            meter.take(now)

    def hold_until(self, moment: float) -> None:
        """Send nothing before this time, as the provider asked; an earlier time never shortens a hold."""
        self._held_until = max(self._held_until, moment)


class _Meter:
    """One limit: the times of the last sends, and a bucket told as the time at which it is full again."""

    def __init__(self, limit: Limit) -> None:
        if not (limit.messages > 0 and 0 < limit.seconds < math.inf and limit.burst >= 1):
            raise ValueError("a limit needs messages and seconds above 0 and a burst of at least 1")
        if limit.messages > MOST_MESSAGES:
            raise ValueError(f"a limit counts at most {MOST_MESSAGES} messages")
        whole = max(1, math.floor(limit.messages))
        # Half a message a second is one in two seconds; 2.5 a second is at most 2 in any second.
        self._window_seconds = limit.seconds * max(1.0, 1 / limit.messages)
        self._sent: deque[float] = deque(maxlen=whole)
        self._interval = limit.seconds / limit.messages
        self._ahead = (limit.burst - 1) * self._interval
        self._full_at = -math.inf

    def ready_at(self) -> float:
        oldest = self._sent[0] if len(self._sent) == self._sent.maxlen else -math.inf
        return max(oldest + self._window_seconds, self._full_at - self._ahead)

    def take(self, now: float) -> None:
        self._sent.append(now)
        self._full_at = max(self._full_at, now) + self._interval


def parse_pace(text: str) -> Limit:
    """Read a pace such as "20/s", "1/6s" or "20/min"; messages are spread evenly (a burst of 1).

    Raises:
        ValueError: The text has another form; the message says which form is meant and never shows the text.
    """
    found = _PACE.fullmatch(text)
    if found is None:
        raise ValueError(_FORM)
    messages = float(found[1])
    seconds = float(found[2] or 1) * _UNIT_SECONDS[found[3]]
    if not 0 < messages <= MOST_MESSAGES or seconds <= 0:
        raise ValueError(_FORM)
    return Limit(messages=messages, seconds=seconds)
