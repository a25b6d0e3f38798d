"""Reads the rules and their unit tests: what is recorded, what alarms, and what promtool is told to expect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped] # has no types

from dashboards.places import RULES
from tests.dashboards.asked import labels_of
from tests.dashboards.promql_read import kept, parsed

FOLDER: Final = Path(__file__).parent / "rules"
#: The one that never stops.
WATCHDOG: Final = "AlertbusWatchdog"


@dataclass(frozen=True, slots=True)
class UnitTest:
    """One test of a file of promtool."""

    path: Path
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """What it is about."""
        return str(self.document["name"])

    def expectations(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield each alert that is looked at with those that are to fire then."""
        for looked in self.document.get("alert_rule_test", []):
            yield looked["alertname"], looked.get("exp_alerts", [])

    def answers(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield each expression that is asked with the samples that are to come."""
        for asked in self.document.get("promql_expr_test", []):
            yield asked["expr"], asked.get("exp_samples", [])

    def about(self, alert: str) -> dict[str, Any] | None:
        """Return as much of it as looks at one alert; None where nothing does."""
        looked = [one for one in self.document.get("alert_rule_test", []) if one["alertname"] == alert]
        asked = [one for one in self.document.get("promql_expr_test", []) if f'alertname="{alert}"' in one["expr"]]
        if not looked and not asked:
            return None
        return {**self.document, "alert_rule_test": looked, "promql_expr_test": asked}


@cache
def document() -> dict[str, Any]:
    """Return the file of rules."""
    loaded: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return loaded


@cache
def rules() -> list[dict[str, Any]]:
    """Return all rules in the order of the file."""
    return [rule for group in document()["groups"] for rule in group["rules"]]


@cache
def alerts() -> dict[str, dict[str, Any]]:
    """Return each alert by its name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


@cache
def records() -> dict[str, str]:
    """Return each recorded series by its name with its expression."""
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


@cache
def test_files() -> dict[Path, dict[str, Any]]:
    """Return each file of unit tests."""
    return {path: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yml"))}


@cache
def unit_tests() -> list[UnitTest]:
    """Return all unit tests."""
    return [UnitTest(path, test) for path, found in test_files().items() for test in found["tests"]]


def labels_in_rules(metric: str) -> frozenset[str]:
    """Return the labels that a metric has for a rule: of a daemon, of Prometheus, or recorded by another rule.

    Raises:
        KeyError: There is no such metric.
    """
    if metric == "up":
        return frozenset({"job", "instance"})
    if metric in records():
        return kept(parsed(records()[metric]), labels_in_rules)
    return labels_of(metric)


# what pytest would otherwise take for a test where it is imported
test_files.__test__ = False  # type: ignore[attr-defined] # an attribute that pytest looks for
