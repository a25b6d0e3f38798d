"""What docs/monitoring.md says of this tree, beside Alertmanager's own mixin, is counted here."""

from __future__ import annotations

import re
from typing import Any

import yaml  # type: ignore[import-untyped]

from dashboards.places import RULES
from subscriber.monitoring.metrics import END_TO_END_BUCKETS, Metrics
from tests.dashboards.asked import ROOT, panels

PAGE = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")


def row(title: str) -> str:
    """Return what the table says of alertbus in one row."""
    (found,) = re.findall(rf"^\| {re.escape(title)} \|[^|]*\| (.+) \|$", PAGE, re.MULTILINE)
    return str(found)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def unit_tests() -> int:
    """Count what promtool is asked to see: each evaluation of an expression, or of an alert, at a moment."""
    files = sorted((ROOT / "tests" / "dashboards" / "rules").glob("*.yml"))
    tests = [test for path in files for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]]
    return sum(len(test.get("alert_rule_test", ())) + len(test.get("promql_expr_test", ())) for test in tests)


def test_numbers_of_the_dashboard_are_those_of_its_json() -> None:
    assert row("Panels") == str(len(panels()))
    heatmaps = [panel for panel in panels() if panel["type"] == "heatmap"]
    assert row("Heatmap of latencies") == f"yes, {len(heatmaps)}"


def test_numbers_of_the_rules_are_those_of_their_file() -> None:
    assert row("Alerts") == str(sum("alert" in rule for rule in rules()))
    assert row("Recording rules") == str(sum("record" in rule for rule in rules()))
    assert row("Tests of rules") == f"{unit_tests()} evaluations by promtool"
    runbooks = [path for path in (ROOT / "docs" / "runbooks").glob("*.md") if path.stem.startswith("Alertbus")]
    assert row("Runbooks, linked from alerts") == str(len(runbooks))


def test_histograms_of_latencies_are_as_the_table_says() -> None:
    """Each of those has the alert's id as its exemplar (tests/subscriber/test_metrics_fed.py)."""
    families = [family.name for family in Metrics().registry.collect() if family.type == "histogram"]
    of_alerts = {name for name in families if name != "alertbus_store_batch_seconds"}
    assert row("Exemplars") == f"the alert's id, at all {len(of_alerts)} histograms of an alert's way"
    first, last = END_TO_END_BUCKETS[0], END_TO_END_BUCKETS[-1]
    assert row("Bounds of latencies") == f"{first:g} s to {last:g} s, the promised ones on edges"
