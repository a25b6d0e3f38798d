"""Many alerts counted by what happened and to which symbol, the worst first. Pure.

A count is never a guess: every alert is in exactly one tally. The worst value is the one farthest beyond its
threshold, in the direction in which that threshold was crossed: the lowest of those below, the highest of those above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from bus.alerts import Action, AgentAction, Alert, RiskEvent
from subscriber.deliveries import Delivery, event_of, severity_of
from subscriber.policy.cleaning import clean_line
from subscriber.policy.figures import compared_text, gain_text, number_text
from subscriber.policy.wording import sign_of

#: Characters of an event's name and of a symbol, where many stand in one message.
_EVENT_LIMIT: Final = 48
_SYMBOL_LIMIT: Final = 24
#: Names that were cleaned are kept: a storm has few, thousands of times.
_NAMES_KEPT: Final = 2048
_TRADES: Final = "trades"
_TRADES_SIGN: Final = "🟢"
_NO_SYMBOL: Final = "no symbol"
_SIDES: Final = ((Action.BUY, 1), (Action.SELL, -1))

_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class Tally:
    """Alerts of which the same happened."""

    sign: str
    rank: int  #: of their severity
    event: str
    symbol: str  #: empty where they have none, or were counted by event alone
    deliveries: tuple[Delivery, ...]

    @property
    def more(self) -> int:
        """How many alerts like these were counted instead of sent."""
        return sum(delivery.more for delivery in self.deliveries)

    def figures(self) -> Iterator[str]:
        """Say the worst values, what was traded, and the profit or loss."""
        alerts = [delivery.alert for delivery in self.deliveries]
        yield from _worst([alert for alert in alerts if isinstance(alert, RiskEvent)], named=not self.symbol)
        trades = [alert for alert in alerts if isinstance(alert, AgentAction) and alert.executed]
        yield from _traded(trades, of_one_symbol=len({trade.symbol for trade in trades}) == 1)
        gains = [alert.pnl for alert in alerts if isinstance(alert, RiskEvent | AgentAction) and alert.pnl is not None]
        if gains and len(trades) == len(alerts):
            yield f"P&L {_gain(sum(gains))} in all"
        elif gains:
            yield f"{'worst ' if len(gains) > 1 else ''}P&L {_gain(min(gains))}"

    def symbols(self, most: int) -> str:
        """Say how many alerts each symbol has, the most frequent first; those beyond `most` in one number."""
        counted = sorted(_by(self.deliveries, lambda each: symbol_of(each.alert)).items(), key=_most_first)
        if len(counted) == 1:
            return counted[0][0]
        if not most:
            return f"{len(counted):,} symbols"
        named = [f"{symbol or _NO_SYMBOL} {len(members):,}" for symbol, members in counted[:most]]
        left = counted[most:]
        alerts = sum(len(members) for _, members in left)
        return ", ".join([*named, f"{alerts:,} in {len(left):,} more"] if left else named)


def tallies_of(deliveries: Iterable[Delivery], *, by_symbol: bool) -> list[Tally]:
    """Count alerts by severity, event and, where asked for, symbol: the worst first, then the most frequent."""
    grouped = _by(deliveries, lambda each: (*_what(each.alert), symbol_of(each.alert) if by_symbol else ""))
    tallies = [
        Tally(sign, rank, event, symbol, tuple(members)) for (rank, sign, event, symbol), members in grouped.items()
    ]
    return sorted(tallies, key=lambda each: (-each.rank, -len(each.deliveries), each.event, each.symbol))


def symbol_of(alert: Alert) -> str:
    """Return an alert's symbol as it stands among others; empty where it has none."""
    return short_symbol(alert.symbol)


def event_text(alert: Alert) -> str:
    """Return the word for what happened as it stands among others."""
    return short_event(event_of(alert))


@lru_cache(maxsize=_NAMES_KEPT)
def short_symbol(symbol: str | None) -> str:
    """Return a symbol, cleaned, in at most 24 characters."""
    return clean_line(symbol or "", _SYMBOL_LIMIT)


@lru_cache(maxsize=_NAMES_KEPT)
def short_event(event: str) -> str:
    """Return the name of an event, cleaned, in at most 48 characters."""
    return clean_line(event, _EVENT_LIMIT) or "UNNAMED"


def _what(alert: Alert) -> tuple[int, str, str]:
    rank = severity_of(alert).rank
    if isinstance(alert, AgentAction) and alert.executed:
        return rank, _TRADES_SIGN, _TRADES
    nothing_traded = isinstance(alert, AgentAction) and alert.action is not Action.HOLD
    return rank, sign_of(alert), event_text(alert) + (", nothing traded" if nothing_traded else "")


def _worst(events: Sequence[RiskEvent], *, named: bool) -> Iterator[str]:
    """Say the worst value below a threshold and the worst above one; where none has a threshold, from where to where.

    Args:
        events: Of one kind.
        named: Whether to say of which symbol it is.
    """
    breaches = [
        _Breach(event.value, event.threshold, event)
        for event in events
        if event.value is not None and event.threshold is not None
    ]
    relative = all(breach.threshold for breach in breaches)
    ordered = sorted(breaches, key=lambda each: each.distance(relative=relative), reverse=True)
    worst = {breach.value < breach.threshold: breach for breach in reversed(ordered)}
    for breach in sorted(worst.values(), key=ordered.index):
        symbol = f"{symbol_of(breach.event)} " if named and breach.event.symbol else ""
        told = compared_text(breach.value, breach.threshold)
        yield f"worst {symbol}{told}" if len(events) > 1 else told
    values = [event.value for event in events if event.value is not None]
    if values and not breaches:
        low, high = number_text(min(values)), number_text(max(values))
        yield f"value {low}" if low == high else f"value {low} to {high}"


def _traded(trades: Sequence[AgentAction], *, of_one_symbol: bool) -> Iterator[str]:
    """Say how much was bought and sold in how many trades; quantities of several symbols are not added up."""
    net, sides = 0.0, 0
    for side, sign in _SIDES:
        own = [trade for trade in trades if trade.action is side]
        known = [abs(trade.quantity) for trade in own if trade.quantity is not None]
        if not own:
            continue
        if not of_one_symbol or not known:
            yield f"{side.value} in {len(own):,}"
            continue
        unknown = f" ({len(own) - len(known):,} of unknown quantity)" if len(known) < len(own) else ""
        yield f"{side.value} {number_text(sum(known))} in {len(own):,}{unknown}"
        net += sign * sum(known)
        sides += 1
    if sides == len(_SIDES) and all(trade.quantity is not None for trade in trades):
        yield f"net {'+' if net > 0 else ''}{number_text(net)}"


@dataclass(frozen=True, slots=True)
class _Breach:
    value: float
    threshold: float
    event: RiskEvent

    def distance(self, *, relative: bool) -> float:
        beyond = abs(self.value - self.threshold)
        return beyond / abs(self.threshold) if relative else beyond


def _gain(number: float) -> str:
    """Say a profit or loss among many: to the cent, where it is as much as that."""
    return gain_text(round(number, 2) if abs(number) >= 1 else number)


def _by(deliveries: Iterable[Delivery], key: Callable[[Delivery], _Key]) -> dict[_Key, list[Delivery]]:
    grouped: dict[_Key, list[Delivery]] = {}
    for delivery in deliveries:
        grouped.setdefault(key(delivery), []).append(delivery)
    return grouped


def _most_first(counted: tuple[str, list[Delivery]]) -> tuple[int, str]:
    return -len(counted[1]), counted[0]
