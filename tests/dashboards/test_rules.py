"""The rules are written as they should be: their names, texts and bounds; and what they ask, a daemon can answer."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import Final

import pytest
from promql_parser import Call, MatrixSelector, VectorSelector, parse_duration

from dashboards.places import RULES, RUNBOOKS_URL, runbooks_folder
from subscriber.monitoring.metrics import END_TO_END_BUCKETS
from tests.dashboards.asked import TARGET_LABELS, answers
from tests.dashboards.promql_read import kept, nodes, parsed, selectors
from tests.dashboards.rules_read import (
    WATCHDOG,
    alerts,
    document,
    labels_in_rules,
    records,
    rules,
    unit_tests,
)
from tests.support.tools import needed

SEVERITIES: Final = frozenset({"critical", "warning"})
ANNOTATIONS: Final = frozenset({"summary", "description", "runbook_url"})
#: level:metric:operations, the window at the end.
RECORD_NAME: Final = re.compile(r"(?P<level>[a-z_]+):alertbus_[a-z_]+:[a-z_]+?(?P<window>\d+[mhd])")
#: What Prometheus has of a target that does not answer; every other series of it is gone then.
OF_TARGETS: Final = "up"
#: A label that a text names without asking whether there is one.
BARE_LABEL: Final = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
EXPRESSIONS: Final = tuple((rule.get("alert") or rule["record"], rule["expr"]) for rule in rules())

by_rule = pytest.mark.parametrize(("name", "expression"), EXPRESSIONS, ids=[name for name, _ in EXPRESSIONS])
by_alert = pytest.mark.parametrize("name", alerts())
by_record = pytest.mark.parametrize("name", records())


def test_promtool_finds_nothing_to_say(record_property: Callable[[str, object], None]) -> None:
    promtool = needed("promtool", "apt install prometheus")
    done = subprocess.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", str(RULES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(rules())} rules found" in done.stdout
    line = f"promtool check rules: {len(alerts())} alerts and {len(records())} recording rules, no findings"
    record_property("ci_line", line)


def test_a_name_is_given_once() -> None:
    assert len(alerts()) + len(records()) == len(rules())


@by_alert
def test_an_alert_says_what_it_is_and_where_its_runbook_is(name: str) -> None:
    rule = alerts()[name]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in (SEVERITIES if name != WATCHDOG else {"none"})
    assert rule["annotations"].keys() == ANNOTATIONS
    assert rule["annotations"]["runbook_url"] == f"{RUNBOOKS_URL}/{name}.md"
    assert (runbooks_folder() / f"{name}.md").is_file()


@by_alert
def test_texts_are_whole_lines_and_the_description_tells_the_value_and_what_to_do_first(name: str) -> None:
    texts = alerts()[name]["annotations"]
    for text in texts.values():
        assert text == " ".join(text.split())
    assert texts["summary"].endswith(".")
    assert len(texts["summary"]) <= 120
    if name != WATCHDOG:
        assert "First " in texts["description"]


@by_alert
def test_each_label_that_a_text_names_is_there_when_it_fires(name: str) -> None:
    named = {label for text in alerts()[name]["annotations"].values() for label in BARE_LABEL.findall(text)}
    expected = [
        alert for test in unit_tests() for found, fires in test.expectations() if found == name for alert in fires
    ]
    for alert in expected:
        missing = named - alert["exp_labels"].keys()
        # a text may choose by the labels that there are: then promtool compares what it says in each case
        assert not missing or "{{ with $labels" in alerts()[name]["annotations"]["description"], missing


@by_rule
def test_what_a_rule_asks_a_daemon_can_answer(name: str, expression: str) -> None:
    for selector in selectors(expression):
        labels = labels_in_rules(selector.metric)
        for label, _operator, _value in selector.matchers:
            assert label in labels, f"{name}: {selector}"
        for label, value in selector.literals():
            assert value in answers()[selector.metric][label], f"{name}: {selector}"


@by_rule
def test_a_rule_groups_and_joins_by_labels_that_there_are(name: str, expression: str) -> None:
    assert kept(parsed(expression), labels_in_rules) >= frozenset(), name


@by_rule
def test_no_rule_names_a_job_or_an_instance(name: str, expression: str) -> None:
    matched = {label for selector in selectors(expression) for label, _operator, _value in selector.matchers}
    assert not matched & TARGET_LABELS, name


@by_alert
def test_no_alert_looks_at_one_scrape_alone_so_that_a_missed_one_changes_nothing(name: str) -> None:
    tree = parsed(alerts()[name]["expr"])
    for node, above in nodes(tree):
        if isinstance(node, VectorSelector) and node.name != OF_TARGETS and node.name not in records():
            assert above
            assert isinstance(above[-1], MatrixSelector), f"{name}: {node.prettify()}"


@by_record
def test_a_recorded_series_is_called_by_its_labels_its_metric_and_its_window(name: str) -> None:
    found = RECORD_NAME.fullmatch(name)
    assert found is not None
    expression = records()[name]
    assert set(found["level"].split("_")) == kept(parsed(expression), labels_in_rules)
    ranges = {node.range for node, _ in nodes(parsed(expression)) if isinstance(node, MatrixSelector)}
    assert ranges == {parse_duration(found["window"])}


@by_record
def test_a_recorded_series_is_used_and_uses_its_own_window_only(name: str) -> None:
    users = [
        (user, expression) for user, expression in EXPRESSIONS if name in {s.metric for s in selectors(expression)}
    ]
    assert users
    window = RECORD_NAME.fullmatch(name)
    for user, _ in users:
        recorded = RECORD_NAME.fullmatch(user)
        assert recorded is None or window is None or recorded["window"] == window["window"]


def test_the_alerts_use_what_the_groups_before_them_record() -> None:
    known: set[str] = set()
    for group in document()["groups"]:
        for rule in group["rules"]:
            asked = {selector.metric for selector in selectors(rule["expr"])} & records().keys()
            assert asked <= known, rule
            known |= {rule["record"]} if "record" in rule else set()


def test_bounds_in_seconds_lie_on_edges_of_buckets_and_are_told() -> None:
    promised = {}
    for name, expression in records().items():
        edges = {value for found in selectors(expression) for label, value in found.literals() if label == "le"}
        for alert in [rule for rule in alerts().values() if edges and name in rule["expr"]]:
            promised[alert["alert"]] = edges
    assert promised == {"AlertbusCriticalLate": {"10.0"}, "AlertbusWarningLate": {"60.0"}}
    for alert, (edge,) in promised.items():
        assert float(edge) in END_TO_END_BUCKETS
        assert f"later than {float(edge):g} s " in alerts()[alert]["annotations"]["description"]
    (waited,) = re.findall(r"time\(\) - .* > (\d+)$", alerts()["AlertbusQueueOverdue"]["expr"], re.MULTILINE)
    assert float(waited) in END_TO_END_BUCKETS


#: Alarms that ask a counter itself in the first hour of a daemon: `increase` never sees what came before a scrape.
SINCE_START = {"AlertbusAlertsLost", "AlertbusDeadLetters", "AlertbusExpired"}


def test_counters_are_read_by_increase_and_gauges_are_not() -> None:
    for name, expression in EXPRESSIONS:
        for node, above in nodes(parsed(expression)):
            if not isinstance(node, MatrixSelector):
                continue
            call = above[-1]
            assert isinstance(call, Call)
            metric = node.vector_selector.name or ""
            counts = metric.endswith(("_total", "_count", "_bucket"))
            if call.func.name == "last_over_time" and counts:
                assert name in SINCE_START
                assert "alertbus_start_timestamp_seconds" in expression
                continue
            assert (call.func.name == "increase") is counts, f"{name}: {metric}"
