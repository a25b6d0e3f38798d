"""The rules of Grafana's dashboard-linter, by its names, written anew: its program is not to be had everywhere.

They hold for every type of panel (the original leaves some out), and a counter is one by its name, also in a histogram.
The two rules about LogQL are left out: nothing here asks Loki. Exceptions are in `dashboard.lint`, each with its
reason; one that excuses nothing is a fault too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]
from grafana_foundation_sdk.models import units
from promql_parser import Call, MatrixSelector, VectorSelector

from tests.dashboards.asked import panels
from tests.dashboards.promql_read import RATE_INTERVAL, nodes, of_menu, parsed, selectors, windows

EXCEPTIONS: Final = Path(__file__).with_name("dashboard.lint")
Board = dict[str, Any]

_UNITS: Final = frozenset(value for name, value in vars(units).items() if name[0].isupper() and isinstance(value, str))
_DATA_SOURCES: Final = {"datasource": "Data source", "prometheus_datasource": "Prometheus data source"}
_CHOSEN: Final = tuple(form for name in _DATA_SOURCES for form in (f"${name}", f"${{{name}}}"))
_COUNTING: Final = ("_total", "_bucket", "_sum", "_count")
_OVER_TIME: Final = frozenset({"rate", "irate", "increase"})
#: `refresh` of a menu that is read anew with the time shown.
_ON_TIME_RANGE: Final = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found."""

    rule: str
    where: str  #: a panel's title, a menu's name, or `dashboard`
    problem: str


def lint(board: Board) -> list[Finding]:
    """Return what all rules find in a dashboard."""
    return [Finding(name, where, problem) for name, rule in RULES.items() for where, problem in rule(board)]


def unexcused(found: list[Finding], exceptions: Path = EXCEPTIONS) -> list[Finding]:
    """Return what no exception excuses, and each exception that excuses nothing or has no reason."""
    excluded = (yaml.safe_load(exceptions.read_text(encoding="utf-8")) or {}).get("exclusions") or {}
    left = list(found)
    for rule, exclusion in excluded.items():
        for entry in exclusion["entries"]:
            excused = [finding for finding in left if (finding.rule, finding.where) == (rule, entry["panel"])]
            left = [finding for finding in left if finding not in excused]
            if not excused:
                left.append(Finding(rule, entry["panel"], "an exception excuses what is not there"))
            if not str(entry.get("reason") or "").strip():
                left.append(Finding(rule, entry["panel"], "an exception without a reason"))
    return left


# --- the dashboard and its menus ------------------------------------------------------------------------------

Problems = Iterator[tuple[str, str]]


def _uneditable(board: Board) -> Problems:
    if board.get("editable") is not False:
        yield "dashboard", "can be edited in Grafana, where the next provisioning undoes it"


def _template_datasource(board: Board) -> Problems:
    found = [menu for menu in _menus(board) if menu["type"] == "datasource"]
    if not found:
        yield "dashboard", "no menu of the data sources"
    for menu in found:
        label = _DATA_SOURCES.get(menu["name"])
        if label is None:
            yield menu["name"], f"the menu's name is none of {', '.join(_DATA_SOURCES)}"
        elif menu.get("label") != label:
            yield menu["name"], f"its label is not {label!r}"
        if menu.get("query") != "prometheus":
            yield menu["name"], "offers other than Prometheus"


def _template_job(board: Board) -> Problems:
    yield from _target_menu(board, "job", "Job")


def _template_instance(board: Board) -> Problems:
    yield from _target_menu(board, "instance", "Instance")


def _target_menu(board: Board, name: str, label: str) -> Problems:
    menu = next((menu for menu in _menus(board) if menu["name"] == name), None)
    if menu is None:
        yield "dashboard", f"no menu {name}"
        return
    wanted = {"type": "query", "label": label, "multi": True, "includeAll": True, "allValue": ".+"}
    for key, value in wanted.items():
        if menu.get(key) != value:
            yield name, f"{key} is not {value!r}"
    if (menu.get("datasource") or {}).get("uid") not in _CHOSEN:
        yield name, "does not ask the chosen data source"


def _template_label_promql(board: Board) -> Problems:
    for menu in _query_menus(board):
        try:
            inner, _label = of_menu(menu["query"])
            if inner:
                parsed(inner)
        except ValueError as error:
            yield menu["name"], str(error)


def _template_on_time_change_reload(board: Board) -> Problems:
    for menu in _query_menus(board):
        if menu.get("refresh") != _ON_TIME_RANGE:
            yield menu["name"], "is not read anew with the time shown"


# --- panels ---------------------------------------------------------------------------------------------------


def _panel_datasource(board: Board) -> Problems:
    for panel in panels(board):
        for asking in (panel, *_targets(panel)):
            if (asking.get("datasource") or {}).get("uid") not in _CHOSEN:
                yield panel["title"], "does not ask the chosen data source"


def _panel_title_description(board: Board) -> Problems:
    for panel in panels(board):
        for key in ("title", "description"):
            if not (panel.get(key) or "").strip():
                yield panel.get("title") or f"panel {panel['id']}", f"no {key}"


def _panel_units(board: Board) -> Problems:
    for panel in panels(board):
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        axis = panel.get("options", {}).get("yAxis", {})  # where a heatmap has it
        unit = axis.get("unit") or defaults.get("unit")
        if not unit and not defaults.get("mappings"):
            yield panel["title"], "no unit"
        elif unit and unit not in _UNITS:
            yield panel["title"], f"Grafana has no unit {unit!r}"


def _panel_no_targets(board: Board) -> Problems:
    for panel in panels(board):
        if not _targets(panel):
            yield panel["title"], "asks nothing"


# --- what panels ask ------------------------------------------------------------------------------------------


def _target_promql(board: Board) -> Problems:
    for panel in panels(board):
        for target in _targets(panel):
            try:
                parsed(target["expr"])
            except ValueError as error:
                yield panel["title"], str(error)


def _target_rate_interval(board: Board) -> Problems:
    for title, expression in _readable(board):
        if any(window != RATE_INTERVAL for window in windows(expression, "rate", "irate")):
            yield title, "a rate over other than $__rate_interval"


def _target_job(board: Board) -> Problems:
    yield from _chosen_by(board, "job")


def _target_instance(board: Board) -> Problems:
    yield from _chosen_by(board, "instance")


def _chosen_by(board: Board, name: str) -> Problems:
    for title, expression in _readable(board):
        for selector in selectors(expression):
            if (name, "=~", f"${name}") not in selector.matchers:
                yield title, f'{selector.metric} without {name}=~"${name}"'


def _target_counter_agg(board: Board) -> Problems:
    for title, expression in _readable(board):
        for node, above in nodes(parsed(expression)):
            if isinstance(node, VectorSelector) and (node.name or "").endswith(_COUNTING):
                match above[-2:]:
                    case (Call(func=function), MatrixSelector()) if function.name in _OVER_TIME:
                        pass
                    case _:
                        yield title, f"{node.name} outside of {', '.join(sorted(_OVER_TIME))}"


def _menus(board: Board) -> list[Any]:
    found: list[Any] = board["templating"]["list"]
    return found


def _query_menus(board: Board) -> list[Any]:
    return [menu for menu in _menus(board) if menu["type"] == "query"]


def _targets(panel: dict[str, Any]) -> list[Any]:
    return panel.get("targets") or []


def _readable(board: Board) -> Iterator[tuple[str, str]]:
    """Yield what is PromQL; `target-promql-rule` tells of what is not."""
    for panel in panels(board):
        for target in _targets(panel):
            try:
                parsed(target["expr"])
            except ValueError:
                continue
            yield panel["title"], target["expr"]


RULES: Final[dict[str, Callable[[Board], Problems]]] = {
    "uneditable-dashboard-rule": _uneditable,
    "template-datasource-rule": _template_datasource,
    "template-job-rule": _template_job,
    "template-instance-rule": _template_instance,
    "template-label-promql-rule": _template_label_promql,
    "template-on-time-change-reload-rule": _template_on_time_change_reload,
    "panel-datasource-rule": _panel_datasource,
    "panel-title-description-rule": _panel_title_description,
    "panel-units-rule": _panel_units,
    "panel-no-targets-rule": _panel_no_targets,
    "target-promql-rule": _target_promql,
    "target-rate-interval-rule": _target_rate_interval,
    "target-job-rule": _target_job,
    "target-instance-rule": _target_instance,
    "target-counter-agg-rule": _target_counter_agg,
}
