"""How fast a channel may send: several limits at once, with the time passed in. Pure.

A token bucket alone breaks a provider's rule: with a burst of 20 and 20 tokens a minute it lets 39 messages go within
one minute. So each limit is kept twice: a sliding window over the last sends holds the strict reading (never
more than `messages` in any `seconds`), and a bucket of `burst` tokens spreads them within it.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from itertools import chain, dropwhile
from typing import Final

from subscriber.deliveries import Limit

#: Messages that one limit may count: a send time is kept for each.
MOST_MESSAGES: Final = 100_000
#: A message of an earlier run that seems to be sent later than now was sent before a clock was set back; by more than
#: this, nobody knows when.
_AHEAD_SECONDS: Final = 60.0
#: Sums of parts of a second miss a whole burst by less; only the strict window is kept to the last digit.
_ROUNDING_SECONDS: Final = 1e-6
_PACE: Final = re.compile(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s*/\s*(\d{1,6}(?:\.\d{1,6})?)?\s*(s|min|h)\s*", re.ASCII)
_UNIT_SECONDS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0}
_FORM: Final = (
    f'must be messages per time, such as "20/s", "1/6s" or "20/min", above 0 and at most {MOST_MESSAGES} messages'
)


class Meter:
    """One limit: the times of the last messages, and a bucket told as the time at which it is full again.

    Times are monotonic seconds. Not locked.
    """

    def __init__(self, limit: Limit) -> None:
        """Begin as if nothing had been sent.

        Raises:
            ValueError: The limit has no messages, no time or no burst, or too many messages.
        """
        if not (limit.messages > 0 and 0 < limit.seconds < math.inf and limit.burst >= 1):
            raise ValueError("a limit needs messages and seconds above 0 and a burst of at least 1")
        if limit.messages > MOST_MESSAGES:
            raise ValueError(f"a limit counts at most {MOST_MESSAGES} messages")
        self.limit = limit
        whole = max(1, math.floor(limit.messages))
        # Half a message a second is one in two seconds; 2.5 a second is at most 2 in any second.
        self._window_seconds = limit.seconds * max(1.0, 1 / limit.messages)
        self._most = whole
        self._sent: deque[float] = deque(maxlen=whole)
        self._interval = limit.seconds / limit.messages
        self._ahead = (limit.burst - 1) * self._interval
        self._full_at = -math.inf

    @property
    def memory_seconds(self) -> float:
        """For how long a message counts."""
        return max(self._window_seconds, self._ahead + self._interval)

    def ready_at(self) -> float:
        """Return when the next message may go."""
        oldest = self._sent[0] if len(self._sent) == self._sent.maxlen else -math.inf
        return max(oldest + self._window_seconds, self._full_at - self._ahead - _ROUNDING_SECONDS)

    @property
    def interval_seconds(self) -> float:
        """Between two messages in the long run."""
        return self._interval

    def spread_at(self, now: float, longest_gap: float) -> float:
        """Return when the next message may go so that no later one has to wait for much longer than a gap.

        A burst that takes all that a window holds leaves nothing for the rest of it: minutes, with Twilio. So what is
        left of a window is kept for the time until it holds more again; never slower than the limit in the long run.
        """
        over = now - self._window_seconds
        counting = list(dropwhile(lambda sent: sent <= over, self._sent))
        if not counting:
            return -math.inf
        left = self._most - len(counting)
        return counting[0] + self._window_seconds - left * max(longest_gap, self._interval)

    def take(self, now: float) -> None:
        """Count a message as sent at this time."""
        self._sent.append(now)
        self._full_at = max(self._full_at, now) + self._interval

    def ended(self, taken_at: float, now: float) -> None:
        """Let a message count as sent now, when its answer came: the provider counted it at some time before.

        Where the first of a window is slow and the last one quick, the provider sees less between them than we do.
        """
        for place in range(len(self._sent) - 1, -1, -1):
            if self._sent[place] == taken_at:
                del self._sent[place]
                self._insert(now)
                return

    def seed(self, moments: Iterable[float], now: float) -> None:
        """Count messages that were sent before now, in any order; those that are counted already may be later.

        However many they are, the bucket is no emptier than after a whole burst that went now.
        """
        merged = sorted([*self._sent, *moments])
        full_at = self._full_at
        self._sent.clear()
        self._full_at = -math.inf
        for moment in merged:
            self.take(moment)
        emptied = now + self._ahead + self._interval
        self._full_at = max(min(self._full_at, emptied), full_at)

    def _insert(self, moment: float) -> None:
        place = len(self._sent)
        while place > 0 and self._sent[place - 1] > moment:
            place -= 1
        self._sent.insert(place, moment)


class Hold:
    """Until when a provider asked to be left alone, in monotonic seconds."""

    def __init__(self) -> None:
        """Begin without one."""
        self.until = -math.inf


class Scopes:
    """The meters and holds that channels share: of a bot, of a chat. Not locked."""

    def __init__(self) -> None:
        """Begin without any."""
        self._meters: dict[str, list[Meter]] = {}
        self._holds: dict[str, Hold] = {}

    def meters(self, scope: str) -> list[Meter]:
        """Return the meters of a scope, which is the same list for all: what comes later holds for all as well."""
        return self._meters.setdefault(scope, [])

    def add(self, limit: Limit) -> None:
        """Keep a limit of a scope; one that is known is the same meter, another one holds beside it.

        Raises:
            ValueError: The limit has no messages, no time or no burst, or too many messages.
        """
        meters = self.meters(limit.scope)
        if all(meter.limit != limit for meter in meters):
            meters.append(Meter(limit))

    def hold(self, scope: str) -> Hold:
        """Return the hold of a scope."""
        return self._holds.setdefault(scope, Hold())


class Pacing:
    """The limits of one channel, its own and those that it shares. Not locked: `delivery.meters` has the lock.

    A hold is one of the narrowest scope that the channel has, the longest, as scopes are made by adding to the one
    around them: a provider that asks for patience means the chat first of all, and asks each chat by itself when it
    means the bot. Channels of the same chat share it; one that has no scope keeps its own.

    Times are monotonic seconds.
    """

    def __init__(self, limits: Iterable[Limit], scopes: Scopes | None = None) -> None:
        """Begin as if this channel had sent nothing.

        Args:
            limits: The channel's.
            scopes: What the channels of a daemon share; without them nothing is shared.

        Raises:
            ValueError: A limit has no messages, no time or no burst.
        """
        known = Scopes() if scopes is None else scopes
        own: list[Meter] = []
        names: set[str] = set()
        for limit in limits:
            if limit.scope:
                known.add(limit)
                names.add(limit.scope)
            else:
                own.append(Meter(limit))
        self._groups = (own, *(known.meters(name) for name in sorted(names)))
        self._hold = known.hold(max(sorted(names), key=len)) if names else Hold()

    @property
    def memory_seconds(self) -> float:
        """For how long a message counts in any of the limits; 0 without limits."""
        return max((meter.memory_seconds for meter in self._meters()), default=0.0)

    @property
    def held_until(self) -> float:
        """Until when nothing is sent because the provider asked for it."""
        return self._hold.until

    @property
    def interval_seconds(self) -> float:
        """Between two messages in the long run, by the slowest of the limits; 0 without limits."""
        return max((meter.interval_seconds for meter in self._meters()), default=0.0)

    def wait_needed(self, now: float, longest_gap: float | None = None) -> float:
        """Return the seconds until the next message may go; 0 when it may go now.

        Args:
            now: The time.
            longest_gap: For how many seconds, about, no later message is to wait for the limits, where they allow it:
                the next one waits a little instead (`Meter.spread_at`). None: bursts may use up all that there is.
        """
        ready_at = max((meter.ready_at() for meter in self._meters()), default=-math.inf)
        ready_at = max(ready_at, self._hold.until, now)
        return (ready_at if longest_gap is None else _spread(list(self._meters()), ready_at, longest_gap)) - now

    def slots(self, now: float, most: int, within_seconds: float, longest_gap: float | None = None) -> list[float]:
        """Return when further messages could go after one that goes now, in seconds from now.

        Args:
            now: The time.
            most: How many to look for.
            within_seconds: What comes later than that is left out.
            longest_gap: As for `wait_needed`.
        """
        meters = [deepcopy(meter) for meter in self._meters()]
        found: list[float] = []
        moment = now
        while len(found) < most:
            for meter in meters:
                meter.take(moment)
            moment = max((meter.ready_at() for meter in meters), default=moment)
            moment = max(moment, now) if longest_gap is None else _spread(meters, max(moment, now), longest_gap)
            if moment - now > within_seconds:
                break
            found.append(moment - now)
        return found

    def take(self, now: float) -> None:
        """Count a message as sent at this time; one that did not wait makes the next ones wait longer."""
        for meter in self._meters():
            meter.take(now)

    def ended(self, taken_at: float, now: float) -> None:
        """Let a message that was taken then count as sent now, when its answer came."""
        for meter in self._meters():
            meter.ended(taken_at, now)

    def seed(self, moments: Iterable[float], now: float) -> None:
        """Count the messages of an earlier run: those a little ahead of now as sent now, others ahead not at all."""
        sent = [min(moment, now) for moment in moments if moment <= now + _AHEAD_SECONDS]
        for meter in self._meters():
            meter.seed(sent, now)

    def hold_until(self, moment: float) -> None:
        """Send nothing before this time, as the provider asked; an earlier time never shortens a hold."""
        self._hold.until = max(self._hold.until, moment)

    def lift_hold(self) -> None:
        """Send again, for all who share the hold."""
        self._hold.until = -math.inf

    def _meters(self) -> Iterator[Meter]:
        return chain.from_iterable(self._groups)


def _spread(meters: Sequence[Meter], moment: float, longest_gap: float) -> float:
    """Return the first time from a moment on at which all limits let a message go and keep enough for later ones."""
    while True:
        later = max((meter.spread_at(moment, longest_gap) for meter in meters), default=moment)
        if later <= moment + _ROUNDING_SECONDS:
            return moment
        moment = later


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
