"""The `[[routes]]` of the TOML file, checked whole: every fault is collected, and named by its place. Pure.

What comes in is what `tomllib` made of the file; whether the channels exist is `RouteTable`'s question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from bus.alerts import Action, Severity
from bus.errors import ConfigurationError
from subscriber.policy.matching import KINDS, Match, at_least
from subscriber.policy.routing import Route

_ROUTE_KEYS: Final = ("name", "match", "channels", "continue")
_MATCH_KEYS: Final = ("severity", "action", "kind", "event_type", "symbol", "agent_name", "source")
_AT_LEAST: Final = ">="

_Value = TypeVar("_Value")


def parse_routes(document: Mapping[str, object]) -> tuple[Route, ...] | None:
    """Read the routes of a parsed TOML file.

    Returns:
        The routes in the file's order, or None where the file has none and the default routes hold.

    Raises:
        ConfigurationError: All faults at once, each with its place, for example `routes[0].match.severity`.
    """
    if "routes" not in document:
        return None
    reader = _Reader()
    routes = reader.routes(document["routes"])
    if reader.problems:
        raise ConfigurationError(*reader.problems)
    return routes


class _Reader:
    """Reads on after a fault, so that a person hears of all of them in one run."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def routes(self, value: object) -> tuple[Route, ...]:
        if not isinstance(value, list):
            self._fault("routes", "must be tables, each begun by [[routes]]")
            return ()
        routes = tuple(self._route(f"routes[{index}]", item) for index, item in enumerate(value))
        names: set[str] = set()
        for index, route in enumerate(routes):
            if route.name in names:
                self._fault(f"routes[{index}].name", "is the name of an earlier route")
            names.add(route.name)
        return routes

    def _route(self, place: str, value: object) -> Route:
        table = self._table(place, value, _ROUTE_KEYS)
        name = table.get("name", place)
        if not isinstance(name, str) or not name.strip():
            self._fault(f"{place}.name", "must be a text that is not empty")
            name = place
        continue_ = table.get("continue", False)
        if not isinstance(continue_, bool):
            self._fault(f"{place}.continue", "must be true or false")
        return Route(
            name=name,
            match=self._match(f"{place}.match", table.get("match", {})),
            channels=self._channels(f"{place}.channels", table.get("channels")),
            continue_=continue_ is True,
        )

    def _channels(self, place: str, value: object) -> tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(name, str) and name.strip() for name in value):
            return tuple(value)
        self._fault(place, "must be a list of channel names; an empty list keeps the alert in the history only")
        return ()

    def _match(self, place: str, value: object) -> Match:
        table = self._table(place, value, _MATCH_KEYS)

        def read(key: str, parse: Callable[[str], _Value | None], allowed: str) -> frozenset[_Value] | None:
            return self._values(f"{place}.{key}", table[key], parse, allowed) if key in table else None

        def read_texts(key: str) -> frozenset[str] | None:
            return read(key, str, "any text that is not empty")

        return Match(
            severities=self._severities(f"{place}.severity", table["severity"]) if "severity" in table else None,
            actions=read("action", _action, ", ".join(Action)),
            kinds=read("kind", _kind, ", ".join(KINDS)),
            event_types=read_texts("event_type"),
            symbols=read_texts("symbol"),
            agent_names=read_texts("agent_name"),
            sources=read_texts("source"),
        )

    def _severities(self, place: str, value: object) -> frozenset[Severity] | None:
        if isinstance(value, str) and value.strip().startswith(_AT_LEAST):
            lowest = _severity(value.strip().removeprefix(_AT_LEAST))
            if lowest is not None:
                return at_least(lowest)
        return self._values(place, value, _severity, f"{', '.join(Severity)}, or one of them behind {_AT_LEAST}")

    def _values(
        self, place: str, value: object, parse: Callable[[str], _Value | None], allowed: str
    ) -> frozenset[_Value]:
        items = value if isinstance(value, list) else [value]
        parsed = [parse(item) if isinstance(item, str) and item.strip() else None for item in items]
        values = frozenset(item for item in parsed if item is not None)
        if not items or None in parsed:
            self._fault(place, f"must be a text or a list of texts that is not empty; allowed: {allowed}")
        return values

    def _table(self, place: str, value: object, keys: tuple[str, ...]) -> Mapping[str, object]:
        if not isinstance(value, dict):
            self._fault(place, "must be a table")
            return {}
        for key in value:
            if key not in keys:
                self._fault(f"{place}.{key}", f"is not known; known here: {', '.join(keys)}")
        return value

    def _fault(self, place: str, what: str) -> None:
        self.problems.append(f"{place} {what}.")


def _severity(text: str) -> Severity | None:
    try:
        return Severity(text)
    except ValueError:
        return None


def _action(text: str) -> Action | None:
    try:
        return Action(text)
    except ValueError:
        return None


def _kind(text: str) -> str | None:
    return text if text in KINDS else None
