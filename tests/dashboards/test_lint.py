"""The dashboard keeps the rules of Grafana's dashboard-linter, and each rule reports a dashboard that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest

from tests.dashboards.asked import board, panels, targets
from tests.dashboards.lint import EXCEPTIONS, RULES, Finding, lint, unexcused

Board = dict[str, Any]


def first_panel(of: Board) -> dict[str, Any]:
    return panels(of)[0]


def panel_of_type(of: Board, kind: str) -> dict[str, Any]:
    return next(panel for panel in panels(of) if panel["type"] == kind)


def menu(of: Board, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(menu for menu in of["templating"]["list"] if menu["name"] == name)
    return found


def ask(of: Board, expression: str, kind: str = "stat") -> None:
    """Let one panel ask something else."""
    panel_of_type(of, kind)["targets"][0]["expr"] = expression


def drop_menu(of: Board, name: str) -> None:
    of["templating"]["list"].remove(menu(of, name))


def unit_of_heatmap(of: Board, unit: str) -> None:
    panel_of_type(of, "heatmap")["options"]["yAxis"]["unit"] = unit


def drop_unit(of: Board, kind: str) -> None:
    """Take the unit from a panel, and the words that would do in its place."""
    panel = panel_of_type(of, kind)
    panel["fieldConfig"]["defaults"].pop("unit", None)
    panel["fieldConfig"]["defaults"].pop("mappings", None)
    panel["options"].pop("yAxis", None)


CHOSEN: Final = 'job=~"$job", instance=~"$instance"'

#: Each rule, with dashboards that break it, each in one way.
BROKEN: Final[dict[str, list[Callable[[Board], object]]]] = {
    "uneditable-dashboard-rule": [lambda of: of.update(editable=True), lambda of: of.pop("editable")],
    "template-datasource-rule": [
        lambda of: drop_menu(of, "datasource"),
        lambda of: menu(of, "datasource").update(name="source"),
        lambda of: menu(of, "datasource").update(label="Source"),
        lambda of: menu(of, "datasource").update(query="loki"),
    ],
    "template-job-rule": [
        lambda of: drop_menu(of, "job"),
        lambda of: menu(of, "job").update(label="job"),
        lambda of: menu(of, "job").update(multi=False),
        lambda of: menu(of, "job").update(includeAll=False),
        lambda of: menu(of, "job").update(type="custom"),
    ],
    "template-instance-rule": [
        lambda of: drop_menu(of, "instance"),
        lambda of: menu(of, "instance").update(allValue=".*"),
        lambda of: menu(of, "instance")["datasource"].update(uid="prometheus"),
        lambda of: menu(of, "instance").pop("datasource"),
    ],
    "template-label-promql-rule": [
        lambda of: menu(of, "channel").update(query="label_values(alertbus_channel_enabled{, channel)"),
        lambda of: menu(of, "channel").update(query="alertbus_channel_enabled"),
    ],
    "template-on-time-change-reload-rule": [
        lambda of: menu(of, "channel").update(refresh=1),
        lambda of: menu(of, "job").pop("refresh"),
    ],
    "panel-datasource-rule": [
        lambda of: first_panel(of).pop("datasource"),
        lambda of: first_panel(of)["targets"][0]["datasource"].update(uid="a1b2"),
        lambda of: panel_of_type(of, "heatmap")["datasource"].update(uid="${DS_PROMETHEUS}"),
    ],
    "panel-title-description-rule": [
        lambda of: first_panel(of).pop("description"),
        lambda of: panel_of_type(of, "heatmap").update(description=" "),
        lambda of: first_panel(of).update(title=""),
    ],
    "panel-units-rule": [
        lambda of: drop_unit(of, "stat"),
        lambda of: drop_unit(of, "timeseries"),
        lambda of: drop_unit(of, "heatmap"),
        lambda of: unit_of_heatmap(of, "secs"),
    ],
    "panel-no-targets-rule": [
        lambda of: first_panel(of).update(targets=[]),
        lambda of: first_panel(of).pop("targets"),
    ],
    "target-promql-rule": [
        lambda of: ask(of, "sum by (channel (alertbus_channel_up)"),
        lambda of: ask(of, "", "heatmap"),
    ],
    "target-rate-interval-rule": [
        lambda of: ask(of, f"rate(alertbus_alerts_lost_total{{{CHOSEN}}}[5m])"),
        lambda of: ask(of, f"sum (irate(alertbus_alerts_lost_total{{{CHOSEN}}}[$__range]))", "timeseries"),
    ],
    "target-job-rule": [
        lambda of: ask(of, 'alertbus_dry_run{instance=~"$instance"}'),
        lambda of: ask(of, 'alertbus_dry_run{job="$job", instance=~"$instance"}'),
        lambda of: ask(of, f"alertbus_dry_run{{{CHOSEN}}} and alertbus_build_info", "heatmap"),
    ],
    "target-instance-rule": [
        lambda of: ask(of, 'alertbus_dry_run{job=~"$job"}'),
        lambda of: ask(of, 'alertbus_dry_run{job=~"$job", instance=~"$job"}'),
    ],
    "target-counter-agg-rule": [
        lambda of: ask(of, f"sum (alertbus_alerts_lost_total{{{CHOSEN}}})"),
        lambda of: ask(of, f"max_over_time(alertbus_alerts_lost_total{{{CHOSEN}}}[$__range])", "timeseries"),
        lambda of: ask(of, f"alertbus_end_to_end_seconds_bucket{{{CHOSEN}}}", "heatmap"),
    ],
}


@pytest.fixture
def copy() -> Board:
    """Return a copy of the committed dashboard, to be broken."""
    return deepcopy(board())


def test_dashboard_keeps_all_rules_but_for_what_is_excused(record_property: Callable[[str, object], None]) -> None:
    found = lint(board())
    assert unexcused(found) == []
    line = f"dashboard lint: {len(panels())} panels, {len(targets())} queries, {len(RULES)} rules, "
    record_property("ci_line", f"{line}{len(found)} findings, all excused")


def test_every_rule_has_a_dashboard_that_breaks_it() -> None:
    assert BROKEN.keys() == RULES.keys()


@pytest.mark.parametrize(
    ("rule", "break_it"),
    [
        pytest.param(rule, break_it, id=f"{rule}-{number}")
        for rule, ways in BROKEN.items()
        for number, break_it in enumerate(ways, start=1)
    ],
)
def test_rule_reports_a_dashboard_that_breaks_it(rule: str, break_it: Callable[[Board], object], copy: Board) -> None:
    """That rule finds what was broken, and nothing in the rest."""
    break_it(copy)
    assert len({finding.where for finding in lint(copy) if finding.rule == rule}) == 1


def test_rule_reads_panels_of_a_collapsed_row_too(copy: Board) -> None:
    """Grafana keeps them inside the row."""
    row, panel = copy["panels"][:2]
    row.update(collapsed=True, panels=[panel])
    copy["panels"].remove(panel)
    panel["targets"] = []
    assert [(finding.rule, finding.where) for finding in lint(copy)] == [("panel-no-targets-rule", panel["title"])]


def test_value_mappings_stand_for_a_unit(copy: Board) -> None:
    """Where words are shown there is nothing to measure."""
    panel = panel_of_type(copy, "stat")
    assert panel["fieldConfig"]["defaults"]["mappings"]
    del panel["fieldConfig"]["defaults"]["unit"]
    assert lint(copy) == []


# --- exceptions -----------------------------------------------------------------------------------------------

FOUND: Final = Finding("target-promql-rule", "Channels", "a problem")


def exceptions(folder: Path, entry: str) -> Path:
    """Write exceptions with one entry of one rule."""
    written = folder / "dashboard.lint"
    written.write_text(f"exclusions:\n  target-promql-rule:\n    entries:\n      - {entry}\n", encoding="utf-8")
    return written


def test_exception_with_a_reason_excuses_its_panel_alone(tmp_path: Path) -> None:
    other = Finding("target-promql-rule", "Another", "a problem")
    written = exceptions(tmp_path, '{panel: Channels, reason: "It has to be so."}')
    assert unexcused([FOUND, other], written) == [other]


def test_exception_without_a_reason_is_reported(tmp_path: Path) -> None:
    (reported,) = unexcused([FOUND], exceptions(tmp_path, '{panel: Channels, reason: " "}'))
    assert "without a reason" in reported.problem


def test_exception_that_excuses_nothing_is_reported(tmp_path: Path) -> None:
    (reported,) = unexcused([], exceptions(tmp_path, '{panel: Channels, reason: "It has to be so."}'))
    assert "is not there" in reported.problem


def test_finding_that_nothing_excuses_is_reported() -> None:
    assert unexcused([FOUND], EXCEPTIONS) == [FOUND]
