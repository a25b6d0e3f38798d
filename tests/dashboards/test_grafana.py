"""The dashboard is what its code builds, lies well on the grid, and says what each panel means and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import pytest

from dashboards.grafana import UID, build_dashboard, dashboard_json
from tests.dashboards.asked import DASHBOARD, board, marks, menus, panels, targets

EVERY_PANEL = pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])


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
    rows = [panel for panel in board()["panels"] if panel["type"] == "row"]
    assert [row["title"] for row in rows] == ["Is it well?", "From trader to phone", "Queue", "Bus", "Process"]
    assert not any(row["collapsed"] for row in rows)


def test_panels_are_numbered_within_their_row() -> None:
    """A panel more in one row leaves the addresses of the others' panels as they are."""
    begun = [place for place, panel in enumerate(board()["panels"]) if panel["type"] == "row"]
    for row, (begin, end) in enumerate(pairwise([*begun, len(board()["panels"])]), start=1):
        numbers = [panel["id"] for panel in board()["panels"][begin:end]]
        assert numbers == list(range(row * 100, row * 100 + end - begin))


# --- what is shown --------------------------------------------------------------------------------------------


@EVERY_PANEL
def test_panel_is_described_in_sentences(panel: dict[str, Any]) -> None:
    assert panel["description"].strip().endswith(".")


@EVERY_PANEL
def test_panel_names_its_answers(panel: dict[str, Any]) -> None:
    assert all(target["legendFormat"] for target in panel["targets"])
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    legends = [target["legendFormat"] for target in panel["targets"]]
    assert len(set(legends)) == len(legends)


@pytest.mark.parametrize(
    "panel", [panel for panel in panels() if panel["type"] == "timeseries"], ids=lambda panel: panel["title"]
)
def test_graph_shows_its_legend(panel: dict[str, Any]) -> None:
    """The builder's own default hides it."""
    assert panel["options"]["legend"]["showLegend"] is True


@pytest.mark.parametrize(
    "panel", [panel for panel in panels() if panel["type"] == "stat"], ids=lambda panel: panel["title"]
)
def test_figure_is_the_last_value_in_a_colour_that_says_something(panel: dict[str, Any]) -> None:
    """Only what a person can't judge by a bound is blue: a version, a moment."""
    assert panel["options"]["reduceOptions"]["calcs"] == ["lastNotNull"]
    defaults = panel["fieldConfig"]["defaults"]
    judged = bool(defaults.get("mappings")) or len(defaults["thresholds"]["steps"]) > 1
    assert judged or defaults["unit"] == "dateTimeFromNow" or panel["options"]["textMode"] == "name"


def test_titles_and_numbers_of_panels_are_unique() -> None:
    titles = [panel["title"] for panel in board()["panels"]]
    numbers = [panel["id"] for panel in board()["panels"]]
    assert len(set(titles)) == len(titles)
    assert len(set(numbers)) == len(numbers)


def test_panels_lie_side_by_side_on_the_grid_and_fill_it() -> None:
    places = [panel["gridPos"] for panel in board()["panels"]]
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    for line in {place["y"] for place in places}:
        in_line = [place for place in places if place["y"] == line]
        assert sum(place["w"] for place in in_line) == 24
        assert len({place["h"] for place in in_line}) == 1


# --- the data source, the menus and the annotations -----------------------------------------------------------


def test_data_source_is_the_chosen_one_everywhere() -> None:
    """`__inputs` would only be resolved by an import by hand, not by provisioning."""
    found = list(data_sources(board()))
    asking = len(panels()) + len(targets()) + len(marks()) + len(menus())
    assert found == [{"type": "prometheus", "uid": "${datasource}"}] * asking
    assert "__inputs" not in board()


def test_menus_are_data_source_job_instance_and_channel() -> None:
    found = board()["templating"]["list"]
    assert [menu["name"] for menu in found] == ["datasource", "job", "instance", "channel"]
    assert [menu["label"] for menu in found] == ["Data source", "Job", "Instance", "Channel"]


def test_menus_offer_all() -> None:
    for menu in menus():
        assert menu["multi"]
        assert menu["includeAll"]
        assert menu["allValue"] == ".+"
        assert menu["current"]["value"] == ["$__all"]


def test_annotations_mark_moments_by_their_value() -> None:
    """The value is a time in milliseconds, so that the mark is right however seldom Grafana asks."""
    assert [mark["name"] for mark in marks()] == ["Starts of a daemon", "Readings of the configuration"]
    for mark in marks():
        assert mark["enable"]
        assert mark["useValueForTime"]
        assert mark["expr"].startswith("1000 * max by (instance) (alertbus_")
