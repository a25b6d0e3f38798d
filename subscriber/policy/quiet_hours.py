"""Quiet hours: weekly windows in which alerts are held, and told together when they end. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from subscriber.policy.market_hours import MarketHours

#: Whatever is held by quiet hours that follow each other is told after so long at the latest.
LONGEST_US: Final = 8 * 86_400 * 1_000_000

_MINUTE_US: Final = 60 * 1_000_000
_MOST_KEPT: Final = 256
_UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class QuietHours:
    """One set of windows by its name."""

    name: str
    hours: MarketHours
    channels: tuple[str, ...] = ()  #: that always keep to them, whatever the route says
    holds_critical: bool = False  #: whether a CRITICAL is held, too; it is never dropped
    drops_others: bool = False  #: whether the rest is dropped instead of held
    #: What `end_us` found out, by minute: a storm asks for the same one again and again.
    _ends: dict[int, int | None] = field(init=False, repr=False, compare=False, default_factory=dict)

    @property
    def batch(self) -> str:
        """The word that what they hold is told under."""
        return f"quiet:{self.name}"

    def end_us(self, moment_us: int) -> int | None:
        """Return when they end; None where they are not in force then. Nothing changes within a minute."""
        minute = moment_us // _MINUTE_US
        found = self._ends.get(minute, _UNKNOWN)
        if found == _UNKNOWN:
            found = self.hours.end_us(moment_us)
            if len(self._ends) >= _MOST_KEPT:
                self._ends.clear()
            self._ends[minute] = found
        return found

    def concerns(self, *, critical: bool) -> bool:
        """Say whether they hold, or drop, such an alert at all."""
        return self.holds_critical or not critical

    def drops(self, *, critical: bool) -> bool:
        """Say whether such an alert is dropped."""
        return self.drops_others and not critical

    def fields(self) -> dict[str, Any]:
        """Return them as plain data."""
        return {
            "name": self.name,
            "windows": str(self.hours),
            "channels": list(self.channels),
            "critical": "held" if self.holds_critical else "through",
            "others": "dropped" if self.drops_others else "held",
        }


def quiet_now(quiet: Iterable[QuietHours], now_us: int, *, critical: bool) -> QuietHours | None:
    """Return the quiet hours that hold or drop an alert now: of several those that end last."""
    found = [
        (end_us, each)
        for each in quiet
        if each.concerns(critical=critical) and (end_us := each.end_us(now_us)) is not None
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def quiet_until(quiet: Iterable[QuietHours], moment_us: int, *, critical: bool) -> int:
    """Return the first moment from then on at which none of them is in force; eight days later at the latest."""
    concerned = [each for each in quiet if each.concerns(critical=critical)]
    at_us = moment_us
    while at_us < moment_us + LONGEST_US:
        end_us = max((end for each in concerned if (end := each.end_us(at_us)) is not None), default=None)
        if end_us is None:
            return at_us
        at_us = end_us
    return moment_us + LONGEST_US
