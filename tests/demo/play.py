"""What happens in the demo, and when: a price walk with trades, and troubles at fixed times.

Pure: the same seed makes the same steps, half a second apart. One round takes two minutes and is followed by another,
in which the prices go on; `tests.demo.stage` carries the steps out.

     0 s  calm: trades, a volatility warning           64 s  the trading loop hangs, and moves again
    18 s  WhatsApp's provider fails (breaker opens)    78 s  the Telegram chat blocks the bot (channel pauses)
    34 s  the market crashes (CRITICAL)                90 s  a silence, and what falls in it
    46 s  the provider is back                         98 s  a message is refused for good, another one's receipt fails
    50 s  a storm of warnings, told as a digest       102 s  the trader dies, is missed (CRITICAL), and comes back
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

TICK_SECONDS: Final = 0.5
ROUND_SECONDS: Final = 120.0

_START_PRICES: Final = {"TNA": 41.2, "UPRO": 88.5, "SPXL": 171.3}
_AGENT: Final = "ppo-1"
_CRASH: Final = range(34, 40)
_RECOVERY: Final = range(56, 64)
_STORM: Final = range(50, 53)
_HANG: Final = range(64, 76)
_DEATH: Final = range(102, 112)
#: Warnings in each tick of the storm.
_STORM_RATE: Final = 8


@dataclass(frozen=True)
class Risk:
    """The trader publishes a risk event."""

    fields: dict[str, Any]


@dataclass(frozen=True)
class Trade:
    """The trader publishes what an agent did."""

    fields: dict[str, Any]


@dataclass(frozen=True)
class Progress:
    """The trading loop says that it moves."""


@dataclass(frozen=True)
class Fault:
    """A provider fails: `failing`, `blocked`, `refuses_next`, `fails_next_later`, or `well` again."""

    provider: str
    kind: str


@dataclass(frozen=True)
class Person:
    """Somebody does something over the API: `resume`, `silence` or `acknowledge`."""

    does: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trader:
    """The trading process itself: `dies` as by kill -9, or `starts`."""

    does: str


Step = Risk | Trade | Progress | Fault | Person | Trader

_ONCE: Final[dict[float, tuple[Step, ...]]] = {
    0.0: (Trader("starts"),),
    18.0: (Fault("twilio", "failing"),),
    46.0: (Fault("twilio", "well"),),
    60.0: (Person("acknowledge", {"author": "Ada", "note": "reducing by hand", "via": "api"}),),
    78.0: (Fault("telegram", "blocked"),),
    87.0: (Fault("telegram", "well"), Person("resume", {"channel": "telegram"})),
    90.0: (
        Person(
            "silence",
            {"match": {"event_type": "SPREAD_WIDE"}, "seconds": 20, "author": "Ada", "reason": "known since the open"},
        ),
    ),
    97.0: (Fault("twilio", "refuses_next"),),
    100.0: (Fault("twilio", "fails_next_later"),),
    102.0: (Trader("dies"),),
    112.0: (Trader("starts"),),
}
#: Risk events at their second: severity, type, symbol, text.
_EVENTS: Final[dict[float, tuple[str, str, str, str]]] = {
    8.0: ("WARNING", "VOLATILITY_HIGH", "TNA", "Realised volatility 3.1 % is above its limit of 2.5 %."),
    20.0: ("WARNING", "DRAWDOWN", "TNA", "Drawdown 2.4 % of the day's high."),
    23.0: ("WARNING", "EXPOSURE_HIGH", "SPXL", "Net exposure 82 % is above its limit of 80 %."),
    26.0: ("WARNING", "SLIPPAGE", "UPRO", "Filled 0.4 % away from the price that was decided on."),
    30.0: ("WARNING", "DRAWDOWN", "UPRO", "Drawdown 4.1 % of the day's high; new entries are halved."),
    36.0: ("CRITICAL", "DRAWDOWN_BREACH", "TNA", "Drawdown 8.7 % passed its limit of 5 %: entries are blocked."),
    80.0: ("WARNING", "MARGIN_LOW", "SPXL", "Margin cushion 12 % is below 15 %."),
    84.0: ("WARNING", "DATA_LATE", "UPRO", "The last bar is 42 s old."),
    92.0: ("WARNING", "SPREAD_WIDE", "TNA", "Spread 14 basis points."),
    94.0: ("WARNING", "SPREAD_WIDE", "UPRO", "Spread 17 basis points."),
    98.0: ("WARNING", "NEWS_RISK", "SPXL", "An earnings call begins in ten minutes."),
    100.5: ("WARNING", "EXPOSURE_HIGH", "TNA", "Net exposure 85 % is above its limit of 80 %."),
    115.0: ("INFO", "RECOVERED", "TNA", "Drawdown 1.2 %: entries are allowed again."),
}


class Market:
    """The walk of the prices, and what an agent makes of it."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._prices = dict(_START_PRICES)
        self._position = dict.fromkeys(_START_PRICES, 0)

    def move(self, drift: float) -> None:
        """Move each price by chance around a drift, both as a share of it."""
        for symbol, price in self._prices.items():
            self._prices[symbol] = max(1.0, price * (1 + drift + self._chance.gauss(0, 0.001)))

    def decide(self) -> Trade:
        """Let the agent decide on one symbol."""
        symbol = self._chance.choice(sorted(self._prices))
        holds = self._position[symbol]
        action = "SELL" if holds else self._chance.choice(["BUY", "HOLD", "HOLD"])
        quantity = 0 if action == "HOLD" else 10
        self._position[symbol] = 10 if action == "BUY" else 0 if action == "SELL" else holds
        return Trade(
            {
                "agent_name": _AGENT,
                "symbol": symbol,
                "action": action,
                "quantity": quantity,
                "price": round(self._prices[symbol], 2),
                "confidence": round(self._chance.uniform(0.55, 0.95), 2),
                "position": self._position[symbol],
            }
        )

    def price(self, symbol: str) -> float:
        """Return the last price."""
        return round(self._prices[symbol], 2)

    def storm(self, number: int) -> list[Step]:
        """Return a tick of a storm: warnings that differ, so that none of them is a repeat."""
        symbols = sorted(self._prices)
        return [
            Risk(
                {
                    "severity": "WARNING",
                    "event_type": f"ORDER_REJECTED_{number}_{index}",
                    "symbol": symbols[index % len(symbols)],
                    "agent_name": _AGENT,
                    "description": f"The broker refused order {100 * number + index}: too many requests.",
                    "value": self._chance.randint(1, 500),
                }
            )
            for index in range(_STORM_RATE)
        ]


def play(seed: int) -> Iterator[list[Step]]:
    """Yield what happens in each tick, without end."""
    market = Market(seed)
    while True:
        for number in range(int(ROUND_SECONDS / TICK_SECONDS)):
            yield _tick(market, number * TICK_SECONDS)


def _tick(market: Market, now: float) -> list[Step]:
    second = int(now)
    market.move(-0.012 if second in _CRASH else 0.008 if second in _RECOVERY else 0.0)
    steps = list(_ONCE.get(now, ()))
    if second in _DEATH:
        return steps
    if second not in _HANG:
        steps.append(Progress())
        if now % 3 == 1:
            steps.append(market.decide())
    if now in _EVENTS:
        severity, event, symbol, text = _EVENTS[now]
        steps.append(
            Risk(
                {
                    "severity": severity,
                    "event_type": event,
                    "symbol": symbol,
                    "agent_name": _AGENT,
                    "description": text,
                    "value": market.price(symbol),
                }
            )
        )
    if second in _STORM:
        steps += market.storm(int(now / TICK_SECONDS))
    return steps
