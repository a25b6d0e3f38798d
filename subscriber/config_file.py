"""Reads the TOML file: further channels by their Apprise URL, market hours, and the policy, handed on as it is.

A fault names the line, the table and the key, and never quotes the file: it may hold a secret.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

from bus.settings import SettingsReader, did_you_mean
from subscriber.channel_settings import BUILT_IN
from subscriber.channels.channel import AppriseConfig, Limit
from subscriber.policy.hours_file import Zones, read_market_hours
from subscriber.policy.market_hours import MarketHours
from subscriber.policy.pacing import parse_pace
from subscriber.policy.reading import Path as Place
from subscriber.policy.reading import PolicyDocument, Reader
from subscriber.policy.rules_file import POLICY_TABLES
from subscriber.setting_groups import zone_of
from subscriber.toml_lines import lines_of

CONFIG_NAME: Final = "ALERTBUS_CONFIG"

CONCURRENCY: Final = range(1, 65)

_TABLES: Final = ("channels", "market_hours", *POLICY_TABLES)
_CHANNEL_KEYS: Final = ("url", "pace", "concurrency")
#: `all` is what `alertbus-subscriber test` calls every channel.
_RESERVED: Final = (*BUILT_IN, "all")
_CHANNEL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_PLACE: Final = re.compile(r"\(at (line \d+, column \d+|end of document)\)")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What the TOML file says."""

    channels: tuple[AppriseConfig, ...] = ()
    policy: PolicyDocument = field(default_factory=PolicyDocument)  #: for `rules_of`
    market_hours: MarketHours | None = None  #: None where the file has none, and every hour counts
    variables: frozenset[str] = frozenset()  #: environment variables that it refers to
    names: tuple[str, ...] = ()  #: of all channels, also of those with a fault


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
    document = _document(_text(path, reader, explicit=explicit), reader)
    tables = document.tables
    for name in sorted(tables.keys() - set(_TABLES)):
        reader.fault(document.place((name,)), f"is no table of alertbus{did_you_mean(name, _TABLES)}")
    given = tables.get("channels", {})
    if not isinstance(given, dict):
        reader.fault(document.place(("channels",)), "must be tables like [channels.desk]")
        given = {}
    built = _Channels(path.parent, reader, document, deadline_seconds)
    channels = [built.channel(name, table) for name, table in given.items()]
    return ConfigFile(
        tuple(channel for channel in channels if channel is not None),
        PolicyDocument(
            {name: table for name, table in tables.items() if name in POLICY_TABLES},
            {place: line for place, line in document.lines.items() if place[0] in POLICY_TABLES},
            CONFIG_NAME,
        ),
        _market_hours(document, reader, zone) if "market_hours" in tables else None,
        frozenset(built.variables),
        tuple(given),
    )


def _text(path: Path, reader: SettingsReader, *, explicit: bool) -> str:
    try:
        # As tomllib counts lines; a BOM is Windows' way of saying UTF-8.
        return path.expanduser().read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        if explicit:
            reader.fault(CONFIG_NAME, "names a file that does not exist; create it, or unset the variable")
    except OSError as error:
        reader.fault(CONFIG_NAME, f"the file can't be read ({error.strerror or type(error).__name__})")
    except (ValueError, RuntimeError):
        reader.fault(CONFIG_NAME, "must name a UTF-8 text file")
    return ""


def _document(text: str, reader: SettingsReader) -> PolicyDocument:
    try:
        return PolicyDocument(tomllib.loads(text), lines_of(text), CONFIG_NAME)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        reader.fault(CONFIG_NAME, f"the file is no valid TOML at {place[1] if place else 'some line'}; correct it")
    except RecursionError:
        reader.fault(CONFIG_NAME, "the file has lists or tables that are too deep in each other; correct it")
    return PolicyDocument()


def _market_hours(document: PolicyDocument, reader: SettingsReader, zone: tzinfo) -> MarketHours | None:
    tables = Reader(document)
    hours = read_market_hours(tables, document.tables["market_hours"], Zones(zone, zone_of))
    reader.problems += tables.problems
    return hours


class _Channels:
    """Builds channels from their tables."""

    def __init__(self, folder: Path, reader: SettingsReader, document: PolicyDocument, deadline_seconds: float) -> None:
        self._folder = folder
        self._reader = reader
        self._document = document
        self._deadline_seconds = deadline_seconds
        self.variables: set[str] = set()

    def channel(self, name: str, table: Any) -> AppriseConfig | None:
        """Return a channel, or None when its table has a fault."""
        path: Place = ("channels", name)
        place = self._document.place(path)
        before = len(self._reader.problems)
        if name in _RESERVED:
            self._reader.fault(place, "is a name that alertbus uses itself; choose another one")
        elif not _CHANNEL_NAME.fullmatch(name):
            self._reader.fault(place, "must have a name of 1 to 32 lower-case letters, digits, - and _")
        if not isinstance(table, dict):
            self._reader.fault(place, "must be a table with a url")
            return None
        for key in sorted(table.keys() - set(_CHANNEL_KEYS)):
            sentence = f"is no key of a channel{did_you_mean(key, _CHANNEL_KEYS)}"
            self._reader.fault(self._document.place((*path, key)), sentence)
        url = self._url(self._document.place((*path, "url")), table.get("url"))
        limits = self._limits(self._document.place((*path, "pace")), table.get("pace"))
        concurrency = self._concurrency(self._document.place((*path, "concurrency")), table.get("concurrency", 1))
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
