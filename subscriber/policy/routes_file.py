"""The `[[routes]]` of the TOML file: a tree, read as a whole, every fault named by its place. Pure.

A route below another one has all from it but `name`, `match` and `continue`, unless it says otherwise; each key as a
whole. So only a route that stands in no other must say its channels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from subscriber.deliveries import Escalation
from subscriber.policy.durations import MICROSECONDS
from subscriber.policy.fingerprints import DEFAULT_FIELDS, FIELDS
from subscriber.policy.match_file import read_match
from subscriber.policy.reading import Path, Reader, place_of
from subscriber.policy.routing import Counting, Defaults, Group, Level, Route, Treatment

#: Turns of one escalation.
MOST_TURNS: Final = 50

_DAY_US: Final = 86_400 * MICROSECONDS
_YEAR_US: Final = 365 * _DAY_US
_OWN_KEYS: Final = ("name", "match", "continue", "routes")
_MOST_LEVELS: Final = 8
_LONGEST_NAME: Final = 64
_DEFAULT_WAIT_US: Final = 10 * MICROSECONDS
_DEFAULT_INTERVAL_US: Final = 60 * MICROSECONDS
_DEFAULT_ACK_US: Final = 300 * MICROSECONDS


@dataclass(frozen=True, slots=True)
class Known:
    """What routes may name."""

    channels: Collection[str]
    quiet_hours: Collection[str]
    templates: Collection[str]


def read_routes(reader: Reader, value: object, known: Known, defaults: Defaults) -> tuple[Route, ...]:
    """Read the routes; their faults are the reader's."""
    return _Routes(reader, known, defaults).list(("routes",), value, None)


class _Routes:
    """Reads routes, and those below them."""

    def __init__(self, reader: Reader, known: Known, defaults: Defaults) -> None:
        self._reader = reader
        self._known = known
        self._defaults = defaults
        self._names: set[str] = set()
        self._parts: Mapping[str, Callable[[Path, Any, Treatment], Treatment]] = {
            "channels": self._channels,
            "max_age": self._max_age,
            "group": self._group,
            "dedup": self._dedup,
            "quiet_hours": self._quiet_hours,
            "template": self._template,
            "fallback": self._fallback,
            "escalate": self._escalate,
        }

    def list(self, path: Path, value: object, above: Treatment | None) -> tuple[Route, ...]:
        if not isinstance(value, list):
            header = ".".join(part for part in path if isinstance(part, str))
            self._reader.fault(path, f"must be tables, each begun by [[{header}]]")
            return ()
        if path.count("routes") > _MOST_LEVELS:
            self._reader.fault(path, f"must not be more than {_MOST_LEVELS} levels deep")
            return ()
        return tuple(self._route((*path, index), item, above) for index, item in enumerate(value))

    def _route(self, path: Path, value: object, above: Treatment | None) -> Route:
        table = self._reader.table(path, value, (*_OWN_KEYS, *self._parts))
        name = self._name(path, table.get("name"), given="name" in table)
        match = read_match(self._reader, (*path, "match"), table.get("match", {}))
        continue_ = self._reader.flag((*path, "continue"), table.get("continue", False))
        treatment = above or self._defaults.treatment()
        if above is None and "channels" not in table:
            self._channels((*path, "channels"), None, treatment)
        for key, read in self._parts.items():
            if key in table:
                treatment = read((*path, key), table[key], treatment)
        children = self.list((*path, "routes"), table["routes"], treatment) if "routes" in table else ()
        return Route(name, match, treatment, continue_, children)

    def _name(self, path: Path, value: object, *, given: bool) -> str:
        place = (*path, "name")
        name = self._reader.text(place, value, place_of(path)) if given else place_of(path)
        if given and (len(name) > _LONGEST_NAME or not name.isprintable()):
            self._reader.fault(place, f"must be a text of {_LONGEST_NAME} characters at most, in one line")
        if name in self._names:
            self._reader.fault(place, "is the name of an earlier route")
        self._names.add(name)
        return name

    def _channels(self, path: Path, value: object, treatment: Treatment) -> Treatment:
        if isinstance(value, dict):
            levels = []
            for name, level in value.items():
                self._reader.known((*path, name), name, self._known.channels, "channel")
                levels.append((name, Level(self._reader.choice((*path, name), level, tuple(Level)))))
            return replace(treatment, levels=tuple(levels))
        if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
            self._reader.fault(
                path,
                'must be a list of channel names, or a table such as { telegram = "silent" }; an empty list keeps the '
                "alert in the history only",
            )
            return treatment
        names = self._reader.names(path, value, self._known.channels, "channel")
        return replace(treatment, levels=tuple((name, Level.ON) for name in names))

    def _max_age(self, path: Path, value: object, treatment: Treatment) -> Treatment:
        age_us = self._reader.duration(path, value, MICROSECONDS, _YEAR_US)
        return replace(treatment, max_age_us=age_us, critical_max_age_us=age_us)

    def _group(self, path: Path, value: object, treatment: Treatment) -> Treatment:
        if value is False:
            return replace(treatment, group=None)
        table = self._switchable(path, value, ("by", "wait", "interval"))
        group = Group(
            by=self._fields((*path, "by"), table.get("by", [])),
            wait_us=self._span(path, "wait", table, _DEFAULT_WAIT_US),
            interval_us=self._span(path, "interval", table, _DEFAULT_INTERVAL_US),
        )
        return replace(treatment, group=group)

    def _dedup(self, path: Path, value: object, treatment: Treatment) -> Treatment:
        if value is False:
            return replace(treatment, counting=None)
        table = self._switchable(path, value, ("by", "window", "critical"))
        by = self._fields((*path, "by"), table.get("by", list(DEFAULT_FIELDS)))
        if not by:
            self._reader.fault((*path, "by"), "must name at least one field")
        counting = Counting(
            by=by,
            window_us=self._window(path, "window", table, self._defaults.dedup_us),
            critical_us=self._window(path, "critical", table, self._defaults.dedup_critical_us),
        )
        return replace(treatment, counting=counting)

    def _quiet_hours(self, path: Path, value: object, treatment: Treatment) -> Treatment:
        names = self._reader.names(path, value, self._known.quiet_hours, "quiet hours")
        return replace(treatment, quiet_hours=names)

    def _template(self, path: Path, value: object, treatment: Treatment) -> Treatment:
        if value is False:
            return replace(treatment, template=None)
        name = self._reader.text(path, value)
        if name:
            self._reader.known(path, name, self._known.templates, "template")
        return replace(treatment, template=name or None)

    def _fallback(self, path: Path, value: object, treatment: Treatment) -> Treatment:
        return replace(treatment, fallbacks=self._reader.names(path, value, self._known.channels, "channel"))

    def _escalate(self, path: Path, value: object, treatment: Treatment) -> Treatment:
        if value is False:
            return replace(treatment, escalation=None)
        table = self._switchable(path, value, ("ack_within", "to", "rounds"))
        channels = self._reader.names((*path, "to"), table.get("to"), self._known.channels, "channel")
        if not channels and table.get("to") == []:
            self._reader.fault((*path, "to"), "must name at least one channel")
        rounds = table.get("rounds", 1)
        if not isinstance(rounds, int) or isinstance(rounds, bool) or not 1 <= rounds <= MOST_TURNS:
            self._reader.fault((*path, "rounds"), f"must be a whole number from 1 to {MOST_TURNS}")
            rounds = 1
        if len(channels) * rounds > MOST_TURNS:
            self._reader.fault(path, f"must come to {MOST_TURNS} turns at most: channels times rounds")
            rounds = 1
        ack_us = self._span(path, "ack_within", table, _DEFAULT_ACK_US)
        return replace(treatment, escalation=Escalation(ack_us, channels * rounds))

    def _switchable(self, path: Path, value: object, keys: tuple[str, ...]) -> Mapping[str, Any]:
        if isinstance(value, dict):
            return self._reader.table(path, value, keys)
        self._reader.fault(path, f"must be a table with {', '.join(keys)}, or false")
        return {}

    def _span(self, path: Path, key: str, table: Mapping[str, Any], default_us: int) -> int:
        return self._reader.bounded((*path, key), table[key], MICROSECONDS, _DAY_US) if key in table else default_us

    def _window(self, path: Path, key: str, table: Mapping[str, Any], default_us: int | None) -> int | None:
        if table.get(key) is False:
            return None
        return self._reader.bounded((*path, key), table[key], MICROSECONDS, _DAY_US) if key in table else default_us

    def _fields(self, path: Path, value: object) -> tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(name, str) and name in FIELDS for name in value):
            return tuple(dict.fromkeys(value))
        self._reader.fault(path, f"must be a list of fields; there are: {', '.join(FIELDS)}")
        return ()
