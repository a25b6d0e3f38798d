"""What the TOML file says of the policy, read and checked as a whole: routes, quiet hours and templates. Pure.

Every fault is told at once, with its place and its line; what looks like a mistake and is allowed is a hint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from subscriber.deliveries import Escalation
from subscriber.errors import RoutingError
from subscriber.policy.hours_file import Zones, read_quiet_hours
from subscriber.policy.matching import KINDS
from subscriber.policy.quiet_hours import LONGEST_US, QuietHours, quiet_until
from subscriber.policy.reading import Path, PolicyDocument, Reader
from subscriber.policy.routes_file import Known, read_routes
from subscriber.policy.routing import Defaults, Route, default_routes
from subscriber.policy.rules import Rules, TemplateText
from subscriber.policy.templates import check_template

#: The tables of the file that are the policy's.
POLICY_TABLES: Final = ("routes", "quiet_hours", "templates")

_TEMPLATE_KEYS: Final = ("text", "kinds", "channels")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_NAME_RULE: Final = "must have a name of 1 to 32 letters, digits, - and _"
_LONGEST_TEMPLATE: Final = 10_000
#: A week in winter and one in summer: in these, quiet hours that are never over together show it.
_WEEKS_US: Final = (1_767_571_200_000_000, 1_783_296_000_000_000)


def rules_of(document: PolicyDocument, channels: Iterable[str], *, defaults: Defaults, zones: Zones) -> Rules:
    """Read the rules.

    Args:
        document: The tables that concern the policy; without any the built-in rules hold.
        channels: Every channel there is.
        defaults: What holds where a route says nothing.
        zones: Of windows.

    Raises:
        RoutingError: All faults at once; no value is shown.
    """
    reader = Reader(document)
    names = tuple(dict.fromkeys(channels))
    tables = document.tables
    quiet = reader.tables(("quiet_hours",), tables.get("quiet_hours", {}))
    templates = reader.tables(("templates",), tables.get("templates", {}))
    built_in = "routes" not in tables
    if built_in:
        routes = default_routes(names, defaults)
    else:
        routes = read_routes(reader, tables["routes"], Known(names, quiet, templates), defaults)
    found = {name: _quiet(reader, name, table, zones, names) for name, table in quiet.items()}
    rules = Rules(
        routes,
        names,
        defaults,
        {name: each for name, each in found.items() if each is not None},
        {name: _template(reader, name, table, names) for name, table in templates.items()},
        built_in=built_in,
    )
    if not reader.problems:
        _check(reader, rules)
    if not any(_tells_critical(route) for route in routes):
        reader.problems.append(
            "No route takes CRITICAL alerts to a channel: add one whose match allows severity CRITICAL and whose "
            "channels are not empty."
        )
    if reader.problems:
        raise RoutingError(*reader.problems)
    return replace(rules, hints=tuple(reader.hints))


def _quiet(reader: Reader, name: str, table: object, zones: Zones, channels: tuple[str, ...]) -> QuietHours | None:
    if not _NAME.fullmatch(name):
        reader.fault(("quiet_hours", name), _NAME_RULE)
    return read_quiet_hours(reader, name, table, zones, channels)


def _template(reader: Reader, name: str, value: object, channels: tuple[str, ...]) -> TemplateText:
    path: Path = ("templates", name)
    if not _NAME.fullmatch(name):
        reader.fault(path, _NAME_RULE)
    table = reader.table(path, value, _TEMPLATE_KEYS)
    text = reader.text((*path, "text"), table.get("text")) if isinstance(value, dict) else ""
    if len(text) > _LONGEST_TEMPLATE:
        reader.fault((*path, "text"), f"must be a text of {_LONGEST_TEMPLATE} characters at most")
    elif (wrong := check_template(text) if text else None) is not None:
        reader.fault((*path, "text"), f"must be a template that can be used: {wrong}")
    kinds = reader.names((*path, "kinds"), table["kinds"], KINDS, "kind") if "kinds" in table else None
    return TemplateText(
        name, text, kinds, reader.names((*path, "channels"), table.get("channels", []), channels, "channel")
    )


def _tells_critical(route: Route) -> bool:
    """Whether there can be a CRITICAL that this route, or one below it, sends to a channel."""
    if not route.match.may_take_critical():
        return False
    return bool(route.treatment.channels) or any(map(_tells_critical, route.children))


def _check(reader: Reader, rules: Rules) -> None:
    """Look at what only shows in the whole: quiet hours that are never over, routes that are never reached."""
    for name, quiet in rules.quiet_hours.items():
        _check_end(reader, rules, ("quiet_hours", name, "channels"), (name,), quiet.channels)
    _check_routes(reader, rules, ("routes",), rules.routes, ())


def _check_end(reader: Reader, rules: Rules, path: Path, names: tuple[str, ...], channels: tuple[str, ...]) -> None:
    """Report quiet hours that take turns, so that what they hold would never be told."""
    for channel in channels:
        quiet = [each for name, each in rules.quiet_hours.items() if name in names or channel in each.channels]
        if any(quiet_until(quiet, week_us, critical=False) - week_us >= LONGEST_US for week_us in _WEEKS_US):
            reader.fault(path, "must leave some time in the week that is not quiet, also together with others")
            return


def _check_routes(reader: Reader, rules: Rules, path: Path, routes: Sequence[Route], above: tuple[Route, ...]) -> None:
    for index, route in enumerate(routes):
        place = (*path, index)
        if any(each.match.excludes(route.match) for each in above):
            reader.hint(place, "is never reached: nothing that the route above it takes fits its match")
        elif (earlier := _taker(routes[:index], route)) is not None:
            reader.hint(place, f'is never reached: the route "{earlier.name}" takes all that it would take')
        treatment, inherited = route.treatment, above[-1].treatment if above else rules.defaults.treatment()
        takes_critical = all(each.match.may_take_critical() for each in (*above, route))
        if treatment.quiet_hours != inherited.quiet_hours:
            _check_end(reader, rules, (*place, "quiet_hours"), treatment.quiet_hours, treatment.channels)
        if treatment.critical_max_age_us != inherited.critical_max_age_us and takes_critical:
            reader.hint((*place, "max_age"), "holds for CRITICAL, too: one that is older is told late, with others")
        if treatment.escalation not in {None, inherited.escalation} and not takes_critical:
            reader.hint((*place, "escalate"), "does nothing: only a CRITICAL is escalated, and the route takes none")
        elif takes_critical and (rival := _escalates_first(routes[:index], route)) is not None:
            told = f'does nothing for what the route "{rival.name}" takes, too: the first route that escalates counts'
            reader.hint((*place, "escalate"), told)
        _check_routes(reader, rules, (*place, "routes"), route.children, (*above, route))


def _taker(earlier: Iterable[Route], route: Route) -> Route | None:
    return next((each for each in earlier if not each.continue_ and each.match.covers(route.match)), None)


def _escalates_first(earlier: Iterable[Route], route: Route) -> Route | None:
    """Return a route that escalates, otherwise, what this one would escalate too, and lets it continue."""
    wanted = _escalations(route)
    return next(
        (
            each
            for each in earlier
            if each.continue_
            and each.match.may_take_critical()
            and not each.match.excludes(route.match)
            and (first := _escalations(each))
            and wanted - first
        ),
        None,
    )


def _escalations(route: Route) -> set[Escalation]:
    return {each.treatment.escalation for each in route.all() if each.treatment.escalation is not None}
