"""A storm of alerts, one stream that feeds whoever is measured, and the limits that each chat keeps to.

The stream is the same each time: as many alerts as asked for, evenly over its seconds, a hundredth of them CRITICAL at
places of a seeded choice. No two CRITICALs have the same event and symbol, and the rest have a few alerts for each of
some thousands of fingerprints, so that counting what repeats is not what makes it small.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from bus.alerts import RiskEvent
from bus.clock import Clock
from tests.support.strict_limits import PairLimits

ALERTS: Final = 10_000
SECONDS: Final = 60.0
SYMBOLS: Final = tuple(f"SYM{number:02d}" for number in range(50))
CRITICAL_SHARE: Final = 0.01
#: Seconds for which a chat, and a person on WhatsApp, are busy with one message.
CHAT_SECONDS: Final = 1.0
PERSON_SECONDS: Final = 6.0
#: How many may come at once: one more than anybody's own pace sends, who counts from before the way to the provider.
BURST: Final = 6

_SOURCE: Final = "desk/storm"
_AGENTS: Final = tuple(f"agent-{number}" for number in range(6))
_CRITICALS: Final = ("MARGIN_CALL", "DRAWDOWN_LIMIT", "BROKER_DISCONNECTED")
_WARNINGS: Final = (
    ("VOLATILITY_HIGH", "realised volatility is above its limit"),
    ("EXPOSURE_LIMIT", "net exposure is above its limit"),
    ("STOP_LOSS_HIT", "the stop loss was hit"),
    ("SLIPPAGE_HIGH", "the slippage of the last fills is above its limit"),
    ("DATA_STALE", "the last bar is older than it may be"),
    ("ORDER_REJECTED", "the broker has rejected orders"),
    ("LATENCY_HIGH", "orders take longer than they may"),
    ("POSITION_DRIFT", "the position is not what was asked for"),
    ("SPREAD_WIDE", "the spread is wider than it may be"),
    ("FILL_PARTIAL", "orders were filled in part only"),
)
#: How often the feed looks for what is due.
_BEAT_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class StormAlert:
    """One alert of the storm."""

    number: int  #: its place, from 0
    at_seconds: float  #: when it is published, since the storm began
    critical: bool
    event_type: str
    symbol: str
    agent_name: str
    description: str
    value: float

    def event(self) -> RiskEvent:
        """Build it, as happening now."""
        return RiskEvent(
            event_type=self.event_type,
            severity="CRITICAL" if self.critical else "WARNING",
            description=self.description,
            agent_name=self.agent_name,
            symbol=self.symbol,
            value=self.value,
            threshold=10.0,
            source=_SOURCE,
        )


def storm(alerts: int = ALERTS, seconds: float = SECONDS, seed: int = 5) -> list[StormAlert]:
    """Return a storm in order of time; the same for the same arguments."""
    rng = Random(seed)
    places = set(rng.sample(range(alerts), round(alerts * CRITICAL_SHARE)))
    kinds = [(event, symbol) for event in _CRITICALS for symbol in SYMBOLS]
    rng.shuffle(kinds)
    found = []
    for number in range(alerts):
        critical = number in places
        if critical:
            event, symbol = kinds.pop()
            text = "act now"
        else:
            event, text = rng.choice(_WARNINGS)
            symbol = rng.choice(SYMBOLS)
        found.append(
            StormAlert(
                number=number,
                at_seconds=number * seconds / alerts,
                critical=critical,
                event_type=event,
                symbol=symbol,
                agent_name=rng.choice(_AGENTS),
                description=f"{symbol}: {text} (number {number})",
                value=round(10.0 + rng.expovariate(0.2), 2),
            )
        )
    return found


@dataclass(slots=True)
class Feed:
    """What was published when, in monotonic seconds."""

    begun_at: float
    published_at: dict[int, float] = field(default_factory=dict)  #: by the alert's number

    @property
    def ended_at(self) -> float:
        """When the last one was published."""
        return max(self.published_at.values())


def feed(alerts: Sequence[StormAlert], take: Callable[[Sequence[StormAlert]], None], begin_at: float) -> Feed:
    """Hand a storm over in its own time, what is due together at once; return when each was handed over."""
    told = Feed(begin_at)
    done = 0
    while done < len(alerts):
        past = time.monotonic() - begin_at
        due = done
        while due < len(alerts) and alerts[due].at_seconds <= past:
            due += 1
        if due > done:
            now = time.monotonic()
            take(alerts[done:due])
            told.published_at.update((alert.number, now) for alert in alerts[done:due])
            done = due
        time.sleep(_BEAT_SECONDS)  # the pace is what is asked for
    return told


class Turnstile:
    """Lets one message through each so many seconds, of which a few may come at once; safe for threads."""

    def __init__(self, clock: Clock, seconds: float, burst: int = BURST) -> None:
        """Begin as if nothing had come; all times are the clock's monotonic seconds."""
        self._clock = clock
        self._seconds = seconds
        self._ahead = (burst - 1) * seconds
        self._free_at = -math.inf
        self._lock = threading.Lock()
        self.taken = 0
        self.refused = 0

    def wait_asked(self) -> int | None:
        """Count a message; return the whole seconds to wait where it came too fast, and None where it passed."""
        with self._lock:
            now = self._clock.monotonic()
            wait = self._free_at - self._ahead - now
            if wait > 0:
                self.refused += 1
                return max(1, math.ceil(wait))
            self._free_at = max(self._free_at, now) + self._seconds
            self.taken += 1
            return None


class StrictPair(PairLimits):
    """WhatsApp's limit with a far smaller burst than Meta's own: one message in 6 s, whoever asks."""

    def __init__(self, clock: Clock) -> None:
        """Begin as if nothing had been sent."""
        super().__init__(clock)
        self._turnstile = Turnstile(clock, PERSON_SECONDS)

    def takes(self, sender: str, recipient: str) -> bool:
        """Count a message where it may pass, and say whether it may."""
        passes = self._turnstile.wait_asked() is None
        if not passes:
            self.refusals.append(recipient)
        return passes
