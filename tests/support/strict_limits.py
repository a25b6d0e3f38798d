"""Telegram's limits on how fast a bot may send, enforced to the letter.

Source: core.telegram.org/bots/faq, "My bot is hitting limits, how do I avoid this?": not more than one message a
second in one chat, where "short bursts that go over this limit" may pass, "but eventually you'll begin receiving 429
errors"; not more than 20 messages a minute in a group; about 30 messages a second for the whole bot. How long a burst
may be is not said; five are let through here, and each takes a second to be forgotten.

Stricter than Telegram in two places: minutes and seconds are sliding windows, not ones of the clock, and a chat that
was told to wait is refused until it has, whatever else would let the message pass.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

from bus.clock import Clock

CHAT_BURST = 5
GROUP_MESSAGES, GROUP_SECONDS = 20, 60.0
BOT_MESSAGES, BOT_SECONDS = 30, 1.0
PAIR_BURST, PAIR_SECONDS = 45, 6.0


@dataclass(frozen=True)
class Refusal:
    """One message that came too fast: by which rule (`chat`, `group`, `bot`, `waiting`), and the seconds to wait."""

    chat: str
    rule: str
    retry_after: int
    at: float  #: by the clock's monotonic seconds


class StrictLimits:
    """Counts what one bot sends; safe for threads."""

    def __init__(self, clock: Clock) -> None:
        """Begin as if nothing had been sent; all times are the clock's monotonic seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._all: deque[float] = deque(maxlen=BOT_MESSAGES)
        self._chats: dict[str, _Chat] = {}
        #: Every message that was refused, in order.
        self.refusals: list[Refusal] = []

    def wait_asked(self, chat: str) -> int | None:
        """Count a message for a chat; return the whole seconds to wait where it came too fast, and None otherwise."""
        with self._lock:
            now = self._clock.monotonic()
            known = self._chats.setdefault(chat, _Chat(is_group=chat.startswith("-")))
            rule, ready_at = max(
                ("waiting", known.waits_until),
                ("chat", known.burst_ready_at()),
                ("group", known.minute_ready_at()),
                ("bot", _next_in(self._all, BOT_SECONDS)),
                key=lambda one: one[1],
            )
            if ready_at <= now:
                known.take(now)
                self._all.append(now)
                return None
            refusal = Refusal(chat, rule, max(1, math.ceil(ready_at - now)), now)
            known.waits_until = max(known.waits_until, now + refusal.retry_after)
            self.refusals.append(refusal)
            return refusal.retry_after


class _Chat:
    """What one chat was sent."""

    def __init__(self, *, is_group: bool) -> None:
        self.waits_until = -math.inf
        self._forgotten_at = -math.inf  # when the last burst is
        self._minute: deque[float] | None = deque(maxlen=GROUP_MESSAGES) if is_group else None

    def burst_ready_at(self) -> float:
        return self._forgotten_at - (CHAT_BURST - 1)

    def minute_ready_at(self) -> float:
        return -math.inf if self._minute is None else _next_in(self._minute, GROUP_SECONDS)

    def take(self, now: float) -> None:
        self._forgotten_at = max(self._forgotten_at, now) + 1.0
        if self._minute is not None:
            self._minute.append(now)


class PairLimits:
    """WhatsApp's limit of what one business writes to one person: a message in 6 s, of which a burst borrows.

    The pair rate limit of developers.facebook.com/documentation/business-messaging/whatsapp/throughput: up to 45
    messages at once, after which as many times 6 s must pass before the next burst. Safe for threads.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin as if nothing had been sent; all times are the clock's monotonic seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._paid_at: dict[tuple[str, str], float] = {}  # when nothing is borrowed any more
        #: The person of every message that was refused, in order.
        self.refusals: list[str] = []

    def takes(self, sender: str, recipient: str) -> bool:
        """Count a message where it may pass, and say whether it may."""
        with self._lock:
            now = self._clock.monotonic()
            paid_at = max(now, self._paid_at.get((sender, recipient), now))
            if paid_at - now > (PAIR_BURST - 1) * PAIR_SECONDS:
                self.refusals.append(recipient)
                return False
            self._paid_at[sender, recipient] = paid_at + PAIR_SECONDS
            return True


def _next_in(times: deque[float], seconds: float) -> float:
    """Return when a sliding window has room again."""
    return times[0] + seconds if len(times) == times.maxlen else -math.inf
