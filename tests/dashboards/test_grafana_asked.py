"""The dashboard asks only what a daemon can answer, for what the menus chose, and so that the answer is true."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from promql_parser import AggregateExpr, BinaryExpr, Call, Expr, VectorSelector

from subscriber.monitoring.metrics import Metrics
from tests.dashboards.asked import (
    OF_LINUX,
    TARGET_LABELS,
    answers,
    expressions,
    labels_of,
    marks,
    menus,
    panels,
    targets,
)
from tests.dashboards.promql_read import RANGE, RATE_INTERVAL, kept, nodes, of_menu, parsed, selectors, windows
from tests.support.tools import needed

#: Everything that is PromQL; of a menu what stands inside its `label_values(…)`.
PROMQL = sorted(
    {
        *(target["expr"] for target in targets()),
        *(mark["expr"] for mark in marks()),
        *(of_menu(menu["query"])[0] for menu in menus()),
    }
)
EVERY_EXPRESSION = pytest.mark.parametrize("expression", PROMQL)
EVERY_QUERY = pytest.mark.parametrize("expression", sorted({target["expr"] for target in targets()}))
#: The one panel that says what it is when no daemon runs.
OF_NO_DAEMON = "Daemons that answer"
_COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
_COUNTING = ("_total", "_bucket", "_sum", "_count")


def may_be_empty(tree: Expr, from_the_start: frozenset[str]) -> bool:
    """Say whether a daemon that runs may give no answer: by a comparison that fails, or for want of a series."""
    match tree:
        case VectorSelector():
            return tree.name not in from_the_start
        case BinaryExpr() if str(tree.op) == "or":
            return may_be_empty(tree.lhs, from_the_start) and may_be_empty(tree.rhs, from_the_start)
        case BinaryExpr() if str(tree.op) in _COMPARISONS and not (tree.modifier and tree.modifier.return_bool):
            return True
        case _:
            below = [node for node, above in nodes(tree) if above and above[-1] is tree]
            return any(may_be_empty(node, from_the_start) for node in below)


def names_of(metrics: Metrics) -> frozenset[str]:
    return frozenset(sample.name for family in metrics.registry.collect() for sample in family.samples)


# --- the finders themselves, since the tests below would pass on nothing found ---------------------------------


def test_selectors_are_found_with_metric_and_matchers() -> None:
    buckets = 'a_bucket{job=~"$job", state=~"dead|expired"}'
    (found,) = selectors(f"histogram_quantile(0.95, sum by (le, channel) (rate({buckets}[$__range]))) >= 0")
    assert found.metric == "a_bucket"
    assert list(found.literals()) == [("state", "dead"), ("state", "expired")]


def test_windows_are_found_by_function() -> None:
    expression = "rate(a_total[$__rate_interval]) + increase(a_total[$__range]) + rate(b_total[5m])"
    assert windows(expression, "increase") == [RANGE]
    assert RATE_INTERVAL in windows(expression, "rate")
    assert len(windows(expression, "rate")) == 2


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ("a", {"x", "y", "le"}),
        ("sum (a)", set()),
        ("sum by (x) (rate(a[5m]))", {"x"}),
        ("max without (x) (a)", {"y", "le"}),
        ("histogram_quantile(0.5, sum by (le, x) (a)) >= 0", {"x"}),
        ("60 * sum by (x) (a) / (sum by (x) (a) > 0)", {"x"}),
        ("a and on (x) sum by (x) (a)", {"x", "y", "le"}),
        ("sum by (x, y) (a) or sum by (x) (a)", {"x"}),
    ],
)
def test_labels_that_an_expression_keeps_are_found(expression: str, labels: set[str]) -> None:
    assert kept(parsed(expression), {"a": frozenset({"x", "y", "le"})}.__getitem__) == labels


@pytest.mark.parametrize("expression", ["sum by (z) (a)", "a / on (z) a", "sum by (y) (sum by (x) (a))"])
def test_label_that_is_not_there_is_reported(expression: str) -> None:
    with pytest.raises(ValueError, match="by"):
        kept(parsed(expression), {"a": frozenset({"x", "y"})}.__getitem__)


# --- what there is --------------------------------------------------------------------------------------------


@EVERY_EXPRESSION
def test_expression_names_only_metrics_and_labels_that_a_daemon_has(expression: str) -> None:
    """And only values of labels that it has; samples by their full names (`_bucket`, `_total`)."""
    found = selectors(expression)
    assert found
    for selector in found:
        labels = answers()[selector.metric]
        assert {label for label, _operator, _value in selector.matchers} <= labels.keys() | TARGET_LABELS
        for label, value in selector.literals():
            assert value in labels[label]


@EVERY_EXPRESSION
def test_expression_groups_by_labels_that_are_there(expression: str) -> None:
    kept(parsed(expression), labels_of)


@pytest.mark.parametrize("menu", menus(), ids=lambda menu: menu["name"])
def test_menu_offers_a_label_that_is_there(menu: dict[str, Any]) -> None:
    expression, label = of_menu(menu["query"])
    assert label == menu["name"]
    assert label in kept(parsed(expression), labels_of)


@pytest.mark.parametrize("target", targets(), ids=lambda target: target["legendFormat"] + " " + target["refId"])
def test_legend_names_all_labels_that_the_expression_keeps(target: dict[str, Any]) -> None:
    """One more in the legend would stay empty; one less, and two series would have one name."""
    named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    assert named == kept(parsed(target["expr"]), labels_of) - {"job"}


@pytest.mark.parametrize("mark", marks(), ids=lambda mark: mark["name"])
def test_annotation_names_labels_that_the_expression_keeps(mark: dict[str, Any]) -> None:
    assert set(re.findall(r"\{\{(\w+)\}\}", mark["textFormat"])) == kept(parsed(mark["expr"]), labels_of)


def test_promtool_takes_all_expressions(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Prometheus' own parser and its check of types, on all of them at once; and it refuses a broken one."""
    promtool = needed("promtool", "apt install prometheus")
    readable = [expression.replace("$__rate_interval", "1m").replace("$__range", "6h") for expression in PROMQL]

    def check(name: str, queries: list[str]) -> subprocess.CompletedProcess[str]:
        rules = [{"record": f"asked:{number}", "expr": query} for number, query in enumerate(queries)]
        path = tmp_path / name
        path.write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}), encoding="utf-8")
        return subprocess.run(
            [promtool, "check", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False
        )

    result = check("asked.json", readable)
    assert result.returncode == 0, result.stderr
    assert f"{len(readable)} rules found" in result.stdout
    assert check("broken.json", [*readable, "rate(alertbus_dry_run)"]).returncode == 1
    record_property("ci_line", f"promtool check rules: all {len(readable)} expressions of the dashboard")


# --- for what the menus chose ---------------------------------------------------------------------------------


@EVERY_QUERY
def test_query_follows_the_menus_that_its_metrics_know(expression: str) -> None:
    for selector in selectors(expression):
        wanted = {("job", "=~", "$job"), ("instance", "=~", "$instance")}
        if "channel" in answers()[selector.metric]:
            wanted.add(("channel", "=~", "$channel"))
        assert wanted <= set(selector.matchers)


@pytest.mark.parametrize("expression", expressions())
def test_expression_uses_known_variables_only(expression: str) -> None:
    assert set(re.findall(r"\$\{?(\w+)", expression)) <= {"job", "instance", "channel", "__rate_interval", "__range"}


@EVERY_EXPRESSION
def test_expression_of_the_process_is_limited_to_daemons(expression: str) -> None:
    """Other programs have metrics of the same names."""
    tree = parsed(expression)
    if any(selector.metric.startswith("process_") for selector in selectors(expression)):
        assert isinstance(tree, BinaryExpr)
        assert str(tree.op) == "and"
        assert [selector.metric for selector in selectors(tree.rhs.prettify())] == ["alertbus_build_info"]


# --- so that it is true ---------------------------------------------------------------------------------------


@EVERY_EXPRESSION
def test_expression_makes_no_answer_up(expression: str) -> None:
    """`or vector(0)` would show that all is well where nothing was asked."""
    called = {node.func.name for node, _above in nodes(parsed(expression)) if isinstance(node, Call)}
    assert not called & {"vector", "absent", "absent_over_time"}


@EVERY_EXPRESSION
def test_expression_sums_counters_alone(expression: str) -> None:
    """Gauges of a database are the same in all daemons that share it: a sum would count them twice."""
    for node, _above in nodes(parsed(expression)):
        if isinstance(node, AggregateExpr) and str(node.op) in {"sum", "avg"}:
            below = [inner.name or "" for inner, _ in nodes(node) if isinstance(inner, VectorSelector)]
            assert all(name.endswith(_COUNTING) for name in below)


@pytest.mark.parametrize("target", targets(), ids=lambda target: target["legendFormat"] + " " + target["refId"])
def test_window_fits_what_is_shown(target: dict[str, Any]) -> None:
    """A figure is of the whole time shown; a line is of each moment."""
    found = windows(target["expr"], "rate", "increase", "irate")
    assert set(found) <= ({RANGE} if target.get("instant") else {RATE_INTERVAL})
    assert bool(target.get("instant")) != bool(target.get("range"))


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_panel_that_may_be_empty_says_what_that_means(panel: dict[str, Any]) -> None:
    """All others show figures from a daemon's first scrape on."""
    plain = Metrics()
    plain.add_channel("desk", enabled=True)
    from_the_start = names_of(plain) - OF_LINUX
    empty = panel["title"] == OF_NO_DAEMON or all(
        may_be_empty(parsed(target["expr"]), from_the_start) for target in panel["targets"]
    )
    assert bool(panel["fieldConfig"]["defaults"].get("noValue")) == empty or panel["type"] == "heatmap"
