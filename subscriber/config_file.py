"""Reads the TOML file: further channels by their Apprise URL, market hours, and routes, handed on as they are.

A fault names the table and the key, or the line of a syntax error, and never quotes the file: it may hold a secret.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any, Final

from bus.errors import ConfigurationError
from bus.settings import SettingsReader, did_you_mean
from subscriber.channel_settings import BUILT_IN
from subscriber.channels.channel import AppriseConfig, Limit
from subscriber.policy.market_hours import MarketHours, Span, parse_window
from subscriber.policy.pacing import parse_pace
from subscriber.policy.routes_file import parse_routes
from subscriber.setting_groups import zone_of

CONFIG_NAME: Final = "ALERTBUS_CONFIG"

CONCURRENCY: Final = range(1, 65)

_TABLES: Final = ("channels", "market_hours", "routes")
_CHANNEL_KEYS: Final = ("url", "pace", "concurrency")
_HOURS_KEYS: Final = ("timezone", "windows", "closed")
#: `all` is what `alertbus-subscriber test` calls every channel.
_RESERVED: Final = (*BUILT_IN, "all")
_CHANNEL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_PLACE: Final = re.compile(r"\(at (line \d+, column \d+|end of document)\)")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What the TOML file says."""

    channels: tuple[AppriseConfig, ...] = ()
    routes: list[dict[str, Any]] | None = None  #: for `parse_routes`; None where the file has none
    market_hours: MarketHours | None = None  #: None where the file has none, and every hour counts
    variables: frozenset[str] = frozenset()  #: environment variables that it refers to


def read_config_file(
    path: Path, reader: SettingsReader, *, explicit: bool, deadline_seconds: float, zone: tzinfo
) -> ConfigFile:
    """Read the file; its faults, all of them, are kept by the reader.

    Args:
        path: The file; paths inside it are relative to its folder.
        reader: Knows the environment that `env:NAME` refers to.
        explicit: Whether somebody named the file: only then is its absence a fault.
        deadline_seconds: For every channel.
        zone: Of market hours that name no time zone.
    """
    document = _document(path, reader, explicit=explicit)
    for name in sorted(document.keys() - set(_TABLES)):
        reader.fault(f"{CONFIG_NAME} [{name}]", f"is no table of alertbus{did_you_mean(name, _TABLES)}")
    tables = document.get("channels", {})
    if not isinstance(tables, dict):
        reader.fault(f"{CONFIG_NAME} [channels]", "must be tables like [channels.desk]")
        tables = {}
    built = _Channels(path.parent, reader, deadline_seconds)
    channels = [built.channel(name, table) for name, table in tables.items()]
    try:
        parse_routes(document)
    except ConfigurationError as error:
        reader.problems += [f"{CONFIG_NAME} {problem.rstrip('.')}." for problem in error.problems]
    return ConfigFile(
        tuple(channel for channel in channels if channel is not None),
        document.get("routes"),
        _MarketHours(reader, zone).read(document["market_hours"]) if "market_hours" in document else None,
        frozenset(built.variables),
    )


def _document(path: Path, reader: SettingsReader, *, explicit: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.expanduser().read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        if explicit:
            reader.fault(CONFIG_NAME, "names a file that does not exist; create it, or unset the variable")
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        reader.fault(CONFIG_NAME, f"the file is no valid TOML at {place[1] if place else 'some line'}; correct it")
    except OSError as error:
        reader.fault(CONFIG_NAME, f"the file can't be read ({error.strerror or type(error).__name__})")
    except (ValueError, RuntimeError):
        reader.fault(CONFIG_NAME, "must name a UTF-8 text file")
    return {}


class _Channels:
    """Builds channels from their tables."""

    def __init__(self, folder: Path, reader: SettingsReader, deadline_seconds: float) -> None:
        self._folder = folder
        self._reader = reader
        self._deadline_seconds = deadline_seconds
        self.variables: set[str] = set()

    def channel(self, name: str, table: Any) -> AppriseConfig | None:
        """Return a channel, or None when its table has a fault."""
        place = f"{CONFIG_NAME} [channels.{name}]"
        before = len(self._reader.problems)
        if name in _RESERVED:
            self._reader.fault(place, "is a name that alertbus uses itself; choose another one")
        elif not _CHANNEL_NAME.fullmatch(name):
            self._reader.fault(place, "must have a name of 1 to 32 lower-case letters, digits, - and _")
        if not isinstance(table, dict):
            self._reader.fault(place, "must be a table with a url")
            return None
        for key in sorted(table.keys() - set(_CHANNEL_KEYS)):
            self._reader.fault(f"{place} {key}", f"is no key of a channel{did_you_mean(key, _CHANNEL_KEYS)}")
        url = self._url(f"{place} url", table.get("url"))
        limits = self._limits(f"{place} pace", table.get("pace"))
        concurrency = self._concurrency(f"{place} concurrency", table.get("concurrency", 1))
        if url is None or len(self._reader.problems) > before:
            return None
        return AppriseConfig(name, url, limits, concurrency, self._deadline_seconds)

    def _url(self, place: str, value: object) -> str | None:
        if not isinstance(value, str) or not value.strip():
            self._reader.fault(place, 'must be an Apprise URL in quotes, "env:NAME" or "file:PATH"')
            return None
        kind, _, rest = value.strip().partition(":")
        url: str | None = value.strip()
        if kind == "env":
            url = self._from_environment(place, rest.strip())
        elif kind == "file":
            file = Path(rest.strip())
            url = self._reader.secret_file(place, file if rest.strip().startswith("~") else self._folder / file)
        if url is not None and not _URL.fullmatch(url):
            self._reader.fault(place, "must come to an Apprise URL such as json://127.0.0.1:9000/")
        return url

    def _from_environment(self, place: str, name: str) -> str | None:
        self.variables.add(name)
        url = self._reader.environment.get(name, "").strip()
        if not url:
            self._reader.fault(place, f"names the variable {name} by env:, which is not set; set it to the Apprise URL")
        return url or None

    def _limits(self, place: str, value: object) -> tuple[Limit, ...]:
        if value is None:
            return ()
        try:
            return (parse_pace(str(value)),)
        except ValueError as error:
            self._reader.fault(place, str(error))
            return ()

    def _concurrency(self, place: str, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value in CONCURRENCY:
            return value
        self._reader.fault(place, f"must be a whole number from {CONCURRENCY[0]} to {CONCURRENCY[-1]}")
        return 1


class _MarketHours:
    """Builds the market hours from their table."""

    def __init__(self, reader: SettingsReader, zone: tzinfo) -> None:
        self._reader = reader
        self._zone = zone
        self._place = f"{CONFIG_NAME} [market_hours]"

    def read(self, table: Any) -> MarketHours | None:
        """Return the hours, or None when the table has a fault."""
        before = len(self._reader.problems)
        if not isinstance(table, dict):
            self._reader.fault(self._place, "must be one table, with windows")
            return None
        for key in sorted(table.keys() - set(_HOURS_KEYS)):
            self._fault(key, f"is no key of the market hours{did_you_mean(key, _HOURS_KEYS)}")
        zone = self._read_zone(table["timezone"]) if "timezone" in table else self._zone
        spans = self._spans(table.get("windows"))
        closed = self._closed(table.get("closed", []))
        return MarketHours.of(zone, spans, closed) if len(self._reader.problems) == before else None

    def _read_zone(self, name: object) -> tzinfo:
        try:
            return zone_of(name if isinstance(name, str) else "")
        except ValueError as error:
            self._fault("timezone", str(error))
            return self._zone

    def _spans(self, windows: object) -> list[Span]:
        # Without any window the market would never open, and silence would never be told.
        if not isinstance(windows, list) or not windows:
            self._fault("windows", 'must be a list of windows, such as ["Mon-Fri 09:30-16:00"]')
            return []
        spans: list[Span] = []
        for index, window in enumerate(windows):
            try:
                spans += parse_window(window if isinstance(window, str) else "")
            except ValueError as error:
                self._fault(f"windows[{index}]", str(error))
        return spans

    def _closed(self, days: object) -> list[date]:
        if isinstance(days, list) and all(isinstance(day, date) and not isinstance(day, datetime) for day in days):
            return days
        self._fault("closed", "must be a list of dates without quotes, such as [2026-12-25]")
        return []

    def _fault(self, key: str, sentence: str) -> None:
        self._reader.fault(f"{self._place} {key}", sentence)
