"""Weekly windows with a time zone, as `[market_hours]` and `[quiet_hours.NAME]` write them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any, Final

from subscriber.policy.market_hours import MarketHours, Span, parse_window
from subscriber.policy.quiet_hours import QuietHours
from subscriber.policy.reading import Path, Reader

_WEEK_MINUTES: Final = 7 * 24 * 60
_MARKET_KEYS: Final = ("timezone", "windows", "closed")
_QUIET_KEYS: Final = ("timezone", "windows", "channels", "critical", "others")


@dataclass(frozen=True, slots=True)
class Zones:
    """Time zones by their names."""

    default: tzinfo
    named: Callable[[str], tzinfo]  #: raises ValueError for a name that no zone has


def read_market_hours(reader: Reader, value: object, zones: Zones) -> MarketHours | None:
    """Read the market's hours; None after a fault, which is the reader's."""
    path: Path = ("market_hours",)
    if not isinstance(value, dict):
        reader.fault(path, "must be one table, with windows")
        return None
    before = len(reader.problems)
    table = reader.table(path, value, _MARKET_KEYS)
    zone, spans = _weekly(reader, path, table, zones, '["Mon-Fri 09:30-16:00"]')
    closed = _closed(reader, (*path, "closed"), table.get("closed", []))
    hours = MarketHours.of(zone, spans, closed)
    return hours if len(reader.problems) == before else None


def read_quiet_hours(
    reader: Reader, name: str, value: object, zones: Zones, channels: tuple[str, ...]
) -> QuietHours | None:
    """Read one set of quiet hours; None after a fault, which is the reader's."""
    path: Path = ("quiet_hours", name)
    before = len(reader.problems)
    table = reader.table(path, value, _QUIET_KEYS)
    if not isinstance(value, dict):
        return None
    hours = MarketHours.of(*_weekly(reader, path, table, zones, '["Mon-Sun 22:00-07:00"]'))
    if hours.spans == ((0, _WEEK_MINUTES),):
        reader.fault((*path, "windows"), "must leave some time in the week that is not quiet")
    quiet = QuietHours(
        name,
        hours,
        reader.names((*path, "channels"), table.get("channels", []), channels, "channel"),
        reader.choice((*path, "critical"), table.get("critical", "through"), ("through", "held")) == "held",
        reader.choice((*path, "others"), table.get("others", "held"), ("held", "dropped")) == "dropped",
    )
    return quiet if len(reader.problems) == before else None


def _weekly(reader: Reader, path: Path, table: Any, zones: Zones, example: str) -> tuple[tzinfo, list[Span]]:
    zone = zones.default
    if "timezone" in table:
        name = table["timezone"]
        try:
            zone = zones.named(name if isinstance(name, str) else "")
        except ValueError as error:
            reader.fault((*path, "timezone"), str(error))
    return zone, _spans(reader, (*path, "windows"), table.get("windows"), example)


def _spans(reader: Reader, path: Path, windows: object, example: str) -> list[Span]:
    # Without any window a market would never open, and silence would never be told.
    if not isinstance(windows, list) or not windows:
        reader.fault(path, f"must be a list of windows, such as {example}")
        return []
    spans: list[Span] = []
    for index, window in enumerate(windows):
        try:
            spans += parse_window(window if isinstance(window, str) else "")
        except ValueError as error:
            reader.fault((*path, index), str(error))
    return spans


def _closed(reader: Reader, path: Path, days: object) -> tuple[date, ...]:
    if isinstance(days, list) and all(isinstance(day, date) and not isinstance(day, datetime) for day in days):
        return tuple(days)
    reader.fault(path, "must be a list of dates without quotes, such as [2026-12-25]")
    return ()
