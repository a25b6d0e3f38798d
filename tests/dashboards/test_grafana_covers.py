"""All that a daemon tells is on the dashboard or in a rule; each alarm's runbook is beside the panel that shows it."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from promql_parser import NumberLiteral

from dashboards.places import RULES, RUNBOOKS_URL
from tests.dashboards.asked import OF_LINUX, board, marks, metrics, panels, targets
from tests.dashboards.promql_read import nodes, parsed, selectors

#: Families that neither a panel nor a rule asks for, and why.
NOT_ASKED: Final = {
    "process_start_time_seconds": "alertbus_start_timestamp_seconds tells the same on every platform",
    "process_virtual_memory_bytes": "what is only reserved is no trouble; the resident memory is shown",
    "python_gc_collections": "of use to who looks for a leak, not to who is woken",
    "python_gc_objects_collected": "of use to who looks for a leak, not to who is woken",
    "python_gc_objects_uncollectable": "of use to who looks for a leak, not to who is woken",
}
#: Alarms that no panel shows, and why.
NOT_SHOWN: Final = {"AlertbusWatchdog": "always fires: it shows that the alarms' own way works"}
#: Bounds that a panel and an alarm's rule share.
BOUNDS: Final = [
    ("AlertbusQueueOverdue", "Age of the oldest overdue", 300),
    ("AlertbusClockSkew", "Publishers' clocks", 30),
    ("AlertbusCriticalUnacknowledged", "Age of the oldest unacknowledged CRITICAL", 1800),
]


@cache
def rules() -> dict[str, str]:
    """Return the expression of each alarm."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"] if "alert" in rule}


def of_rules() -> set[str]:
    """Return every metric that a rule asks for."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    found = [selectors(rule["expr"]) for group in groups for rule in group["rules"]]
    return {selector.metric for of_rule in found for selector in of_rule}


def of_dashboard() -> set[str]:
    """Return every metric that a panel or an annotation asks for."""
    asked = [target["expr"] for target in targets()] + [mark["expr"] for mark in marks()]
    return {selector.metric for expression in asked for selector in selectors(expression)}


def families() -> dict[str, set[str]]:
    """Return the families of a daemon, each with the names of its samples."""
    found = {family.name: {sample.name for sample in family.samples} for family in metrics().registry.collect()}
    return {name.removesuffix("_total"): {name} for name in OF_LINUX} | found


def links() -> dict[str, list[str]]:
    """Return the titles of the panels that link to each alarm's runbook."""
    found: dict[str, list[str]] = {}
    for panel in panels():
        for link in panel.get("links") or []:
            name = link["title"].removeprefix("Runbook: ")
            assert link["url"] == f"{RUNBOOKS_URL}/{name}.md"
            assert link["targetBlank"]
            found.setdefault(name, []).append(panel["title"])
    return found


# --- metrics --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", sorted(families()))
def test_family_is_asked_for_or_excused(family: str) -> None:
    """What nobody asks for is either superfluous or a trouble that nobody sees."""
    assert bool(families()[family] & (of_dashboard() | of_rules())) != (family in NOT_ASKED)


def test_excuse_names_a_family_that_there_is() -> None:
    assert NOT_ASKED.keys() <= families().keys()


def test_every_metric_of_a_rule_that_alarms_is_on_the_dashboard() -> None:
    """Who is woken by a figure wants to see it."""
    alarming = {selector.metric for expression in rules().values() for selector in selectors(expression)}
    of_daemons = {metric for metric in alarming if ":" not in metric}
    assert of_daemons - of_dashboard() == {"up"}  # Prometheus' own; `Daemons that answer` shows what comes of it


# --- alarms ---------------------------------------------------------------------------------------------------


def test_every_alarm_has_its_runbook_beside_a_panel() -> None:
    assert links().keys() == rules().keys() - NOT_SHOWN.keys()
    assert NOT_SHOWN.keys() <= rules().keys()


@pytest.mark.parametrize("alarm", sorted(set(rules()) - set(NOT_SHOWN)))
def test_panel_beside_a_runbook_shows_what_the_alarm_is_about(alarm: str) -> None:
    """One of them at least asks for a family that the rule, or what it is recorded from, asks for."""
    recorded = {
        rule["record"]: rule["expr"]
        for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    wanted: set[str] = set()
    waiting = [rules()[alarm]]
    while waiting:
        for selector in selectors(waiting.pop()):
            if selector.metric in recorded:
                waiting.append(recorded[selector.metric])
            else:
                wanted.add(selector.metric)
    beside = [panel for panel in panels() if panel["title"] in links()[alarm]]
    shown = {
        selector.metric for panel in beside for target in panel["targets"] for selector in selectors(target["expr"])
    }
    assert shown & wanted


def test_dashboard_links_to_the_runbooks() -> None:
    (link,) = board()["links"]
    assert link["url"] == f"{RUNBOOKS_URL}/README.md"
    assert link["targetBlank"]


@pytest.mark.parametrize(("alarm", "title", "bound"), BOUNDS)
def test_line_in_a_graph_is_where_the_alarm_begins(alarm: str, title: str, bound: float) -> None:
    panel: dict[str, Any] = next(panel for panel in panels() if panel["title"] == title)
    assert bound in [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
    numbers = [node.val for node, _above in nodes(parsed(rules()[alarm])) if isinstance(node, NumberLiteral)]
    assert bound in numbers
