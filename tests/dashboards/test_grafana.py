"""The dashboard asks only what a daemon can answer, of the chosen data source, and says what each panel means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from dashboards.grafana import UID, build_dashboard, dashboard_json
from tests.dashboards.asked import (
    DASHBOARD,
    TARGET_LABELS,
    answers,
    board,
    expressions,
    groupings,
    panels,
    selectors,
    targets,
)

EVERY_EXPRESSION = pytest.mark.parametrize("expression", sorted(set(expressions())))
EVERY_PANEL = pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
BUCKETS_BY_CHANNEL = (
    'histogram_quantile(0.95, sum by (le, channel) (rate(a_bucket{job=~"$job", state=~"dead|expired"}[$__range])))'
)


def data_sources(value: Any) -> Iterator[Any]:
    """Find every data source that anything in the dashboard names."""
    match value:
        case dict():
            for key, inner in value.items():
                if key == "datasource":
                    yield inner
                yield from data_sources(inner)
        case list():
            for inner in value:
                yield from data_sources(inner)


def unit_of(panel: dict[str, Any]) -> str:
    """Return a panel's unit; a heatmap has it at its axis."""
    if panel["type"] == "heatmap":
        return str(panel["options"]["yAxis"]["unit"])
    return str(panel["fieldConfig"]["defaults"]["unit"])


# --- the file -------------------------------------------------------------------------------------------------


def test_committed_json_is_what_the_code_builds() -> None:
    """A stale file would show people something else than was reviewed."""
    assert DASHBOARD.read_text(encoding="utf-8") == dashboard_json(), "run `python -m dashboards build`"


def test_build_is_called_twice_gives_same_text() -> None:
    assert dashboard_json() == dashboard_json()


def test_dashboard_has_a_fixed_address_and_no_edits_in_grafana() -> None:
    """Links to it stay, and a change made in Grafana would be lost with the next provisioning."""
    assert build_dashboard().uid == UID == board()["uid"]
    assert board()["editable"] is False


def test_rows_are_in_the_order_in_which_people_ask() -> None:
    rows = [panel["title"] for panel in board()["panels"] if panel["type"] == "row"]
    assert rows == ["Is it well?", "From trader to phone", "Queue", "Bus", "Process"]


# --- what is asked --------------------------------------------------------------------------------------------


def test_selectors_are_found_with_metric_and_matchers() -> None:
    """The finder itself, since the tests below would pass on nothing found."""
    (found,) = selectors(BUCKETS_BY_CHANNEL)
    assert found.metric == "a_bucket"
    assert list(found.literals()) == [("state", "dead"), ("state", "expired")]
    assert groupings(BUCKETS_BY_CHANNEL) == {"le", "channel"}


@EVERY_EXPRESSION
def test_expression_names_only_metrics_that_a_daemon_has(expression: str) -> None:
    """And only labels, and values of labels, that it has; samples by their full names (`_bucket`, `_total`)."""
    assert set(re.findall(r"\b(?:alertbus|process|python)_\w+", expression)) <= answers().keys()
    for selector in selectors(expression):
        labels = answers()[selector.metric]
        for label, _operator, _value in selector.matchers:
            assert label in labels.keys() | TARGET_LABELS
        for label, value in selector.literals():
            assert value in labels[label]


@EVERY_EXPRESSION
def test_expression_groups_by_labels_that_its_metrics_have(expression: str) -> None:
    known = {label for selector in selectors(expression) for label in answers()[selector.metric]} | TARGET_LABELS
    assert groupings(expression) <= known


@pytest.mark.parametrize("target", targets(), ids=lambda target: target["legendFormat"] + " " + target["refId"])
def test_legend_names_labels_that_the_expression_keeps(target: dict[str, Any]) -> None:
    kept = groupings(target["expr"]) | {"instance"}
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept


@pytest.mark.parametrize("expression", sorted({target["expr"] for target in targets()}))
def test_query_follows_the_menus_of_job_and_instance(expression: str) -> None:
    """Every mention of a metric has both matchers; a metric of channels follows that menu too."""
    found = selectors(expression)
    assert len(found) == len(re.findall(r"\b(?:alertbus|process|python)_\w+", expression)) > 0
    for selector in found:
        wanted = {("job", "=~", "$job"), ("instance", "=~", "$instance")}
        if "channel" in answers()[selector.metric]:
            wanted.add(("channel", "=~", "$channel"))
        assert wanted <= set(selector.matchers)


@EVERY_EXPRESSION
def test_expression_uses_known_variables_only(expression: str) -> None:
    assert set(re.findall(r"\$\{?(\w+)", expression)) <= {"job", "instance", "channel", "__rate_interval", "__range"}


@EVERY_EXPRESSION
def test_expression_takes_counters_and_buckets_only_as_rate_or_increase(expression: str) -> None:
    """A counter's own value says only how long its daemon runs."""
    raw = re.sub(r"(?:rate|increase)\(\w+\{[^}]*\}\[\$__(?:rate_interval|range)\]\)", "", expression)
    assert not re.findall(r"\w+_(?:total|bucket|sum|count)\{", raw)


@EVERY_EXPRESSION
def test_expression_of_the_process_is_limited_to_daemons(expression: str) -> None:
    """Other programs have metrics of the same names."""
    if "process_" in expression:
        assert " and on (job, instance) alertbus_build_info{" in expression


# --- what is shown --------------------------------------------------------------------------------------------


@EVERY_PANEL
def test_panel_has_title_description_and_unit(panel: dict[str, Any]) -> None:
    assert panel["title"].strip()
    assert panel["description"].strip().endswith(".")
    assert unit_of(panel)


@EVERY_PANEL
def test_panel_asks_and_names_its_answers(panel: dict[str, Any]) -> None:
    assert panel["targets"]
    assert all(target["legendFormat"] for target in panel["targets"])
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)


def test_titles_and_numbers_of_panels_are_unique() -> None:
    titles = [panel["title"] for panel in board()["panels"]]
    numbers = [panel["id"] for panel in board()["panels"]]
    assert len(set(titles)) == len(titles)
    assert len(set(numbers)) == len(numbers)


def test_panels_lie_side_by_side_on_the_grid() -> None:
    places = [panel["gridPos"] for panel in board()["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


# --- the data source and the menus ----------------------------------------------------------------------------


def test_data_source_is_the_chosen_one_everywhere() -> None:
    """`__inputs` would only be resolved by an import by hand, not by provisioning."""
    found = list(data_sources(board()))
    asking = len(panels()) + len(targets()) + len(board()["annotations"]["list"]) + 3
    assert found == [{"type": "prometheus", "uid": "${datasource}"}] * asking
    assert "__inputs" not in board()


def test_menus_are_data_source_job_instance_and_channel() -> None:
    menus = board()["templating"]["list"]
    assert [menu["name"] for menu in menus] == ["datasource", "job", "instance", "channel"]
    assert [menu["label"] for menu in menus] == ["Data source", "Job", "Instance", "Channel"]
    assert (menus[0]["type"], menus[0]["query"]) == ("datasource", "prometheus")


def test_menus_offer_all_and_are_read_anew_with_the_time_shown() -> None:
    for menu in board()["templating"]["list"][1:]:
        assert menu["multi"]
        assert menu["includeAll"]
        assert menu["allValue"] == ".+"
        assert menu["refresh"] == 2
