"""A real Prometheus and a real Alertmanager watch a driven daemon: every panel shows what was driven, alerts arrive."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from copy import deepcopy

import pytest

from tests.dashboards.asked import board, expressions
from tests.dashboards.live.alarms import NOT_PROVOKED, PROVOKED, RESOLVED
from tests.dashboards.live.day import Day
from tests.dashboards.live.expected import TABLE
from tests.dashboards.live.judged import Judge, disagreements, queries
from tests.dashboards.live.substituted import label_and_selector, substituted
from tests.dashboards.live.town import Town

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a daemon's process tells of itself on Linux only")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Live the day once for all tests."""
    with Town(tmp_path_factory.mktemp("town")) as lived:
        Day(lived).live()
        yield lived


@pytest.fixture
def judge(town: Town) -> Judge:
    return Judge(town.prometheus, town.ledger)


# --- the dashboard --------------------------------------------------------------------------------------------


def test_table_has_each_query_of_the_dashboard_and_no_other() -> None:
    assert TABLE.keys() == queries().keys()


def test_dashboard_of_a_driven_day_every_expression_returns_numbers(
    town: Town, judge: Judge, record_property: Callable[[str, object], None]
) -> None:
    """Panels over the day at every scrape; menus their values; annotations their moments."""
    empty = [query for query, expression in queries().items() if not judge.curve(expression)]
    dawn, end = town.ledger.moments["dawn"], town.ledger.moments["end"]
    menus = [menu["query"] for menu in board()["templating"]["list"] if menu["type"] == "query"]
    for menu in menus:
        label, selector = label_and_selector(menu)
        asked = substituted(selector, range_seconds=end - dawn, step_seconds=1.0)
        if not town.prometheus.label_values(label, asked, dawn, end):
            empty.append((menu, label))
    marks = [mark["expr"] for mark in board()["annotations"]["list"]]
    empty += [(mark, "") for mark in marks if not judge.curve(mark)]
    assert not empty
    asked_in_all = len(queries()) + len(menus) + len(marks)
    assert asked_in_all == len(expressions())
    fired = len(PROVOKED & town.alarms.names("firing"))
    line = (
        f"dashboard: {asked_in_all} expressions run live, {asked_in_all - len(empty)} returned data; "
        f"{len({title for title, _letter in TABLE})} panels compared; {fired} alerts fired through Alertmanager"
    )
    record_property("ci_line", line)


def test_panels_of_a_driven_day_show_what_was_driven(judge: Judge) -> None:
    assert disagreements(judge, TABLE) == {}


def test_panels_held_against_another_ledger_are_complained_of(town: Town) -> None:
    """The comparison can fail: one more alert lost, one receipt less, another answer, one CRITICAL more."""
    other = deepcopy(town.ledger)
    other.counts["lost"] += 1
    other.receipts["whatsapp", "failed"] -= 1
    other.attempts["telegram", "unavailable"] += 1
    other.levels["paused", "unacknowledged"] += 1
    found = disagreements(Judge(town.prometheus, other), TABLE)
    right = disagreements(Judge(town.prometheus, town.ledger), TABLE)
    assert found.keys() - right.keys() == {
        ("Alerts lost", "A"),
        ("Missing and repeated alerts", "D"),
        ("Receipts by what they say", "A"),
        ("Failed attempts by reason", "A"),
        ("CRITICALs that need a person", "A"),
    }


# --- single alerts --------------------------------------------------------------------------------------------


def test_exemplars_of_end_to_end_name_alerts_whose_story_is_told(town: Town) -> None:
    moments = town.ledger.moments
    found = town.prometheus.exemplars("alertbus_end_to_end_seconds_bucket", moments["dawn"], moments["end"])
    named = {exemplar["labels"]["alert_id"] for exemplar in found}
    published = named & {str(sent.alert.id) for sent in town.ledger.sent}
    assert published
    for alert_id in published:
        assert town.daemon.get(f"/alerts/{alert_id}")["alert"]["id"] == alert_id


# --- the alarms -----------------------------------------------------------------------------------------------


def test_rules_in_prometheus_are_well_and_each_alert_is_on_one_list(town: Town) -> None:
    rules = town.prometheus.rules()
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    alerts = {rule["name"] for rule in rules if rule["type"] == "alerting"}
    assert alerts == PROVOKED | NOT_PROVOKED.keys()
    assert not PROVOKED & NOT_PROVOKED.keys()


def test_alerts_that_the_day_provokes_reach_the_webhook_and_no_others(town: Town) -> None:
    assert town.alarms.names("firing") == PROVOKED


def test_alerts_at_the_webhook_say_what_to_do(town: Town) -> None:
    for told in town.alarms.told:
        assert told.labels["severity"] in {"critical", "warning", "none"}
        assert told.annotations["summary"]
        assert told.annotations["description"]
        assert told.annotations["runbook_url"].endswith(f"/runbooks/{told.name}.md")


def test_alerts_at_the_webhook_name_whom_they_are_about(town: Town) -> None:
    firing = [told for told in town.alarms.told if told.status == "firing"]
    about = {(told.name, told.labels.get("channel") or told.labels.get("source")) for told in firing}
    assert ("AlertbusChannelDown", "telegram") in about
    assert ("AlertbusPublisherSilent", "night_trader") in about
    assert ("AlertbusPublisherHung", "looper") in about
    assert ("AlertbusPublisherVolatile", "ill") in about
    assert ("AlertbusClockSkew", "ahead") in about
    assert ("AlertbusDeadLetters", "whatsapp") in about
    assert ("AlertbusExpired", "desk") in about


def test_alerts_go_to_the_receivers_of_the_example(town: Town) -> None:
    receivers = {(told.receiver, told.labels["severity"]) for told in town.alarms.told}
    assert receivers == {("page-and-mail", "critical"), ("mail", "warning"), ("dead-mans-switch", "none")}


def test_alerts_that_are_over_are_told_to_be(town: Town) -> None:
    assert town.alarms.names("resolved") >= RESOLVED
