"""The picture's rows and panels stand where Grafana puts them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dashboards.asked import panels
from tests.grafana_render.board import NoSuchRowError, lay_out, load, sections, select

_WIDTH = 1600


def _panel(title: str, x: int, y: int, w: int, h: int) -> dict[str, Any]:
    return {"type": "stat", "title": title, "gridPos": {"x": x, "y": y, "w": w, "h": h}}


def _row(title: str, *inside: dict[str, Any]) -> dict[str, Any]:
    return {"type": "row", "title": title, "panels": list(inside)}


_BOARD = {
    "panels": [
        _row("one"),
        _panel("left", 0, 1, 12, 5),
        _panel("right", 12, 1, 12, 3),
        _row("two", _panel("hidden", 0, 90, 24, 2)),
        _row("three"),
        _panel("last", 6, 8, 6, 4),
    ]
}


def test_sections_open_a_collapsed_row_as_well() -> None:
    found = [(section.row["title"], [panel["title"] for panel in section.panels]) for section in sections(_BOARD)]
    assert found == [("one", ["left", "right"]), ("two", ["hidden"]), ("three", ["last"])]


def test_select_keeps_the_dashboards_order_and_names_what_there_is() -> None:
    assert [section.row["title"] for section in select(_BOARD, ["three", "one"])] == ["one", "three"]
    with pytest.raises(NoSuchRowError, match=r"no row 'four'; there are \['one', 'two', 'three'\]"):
        select(_BOARD, ["four"])


def test_lay_out_follows_grafanas_grid_and_closes_gaps_of_rows_left_out() -> None:
    places = {each["panel"]["title"]: each["at"] for each in lay_out(select(_BOARD, ["one", "three"]), _WIDTH)}
    assert places["left"] == {"x": 0, "y": 38, "width": 796, "height": 182}
    assert places["right"] == {"x": 804, "y": 38, "width": 796, "height": 106}
    assert places["three"] == {"x": 0, "y": 6 * 38, "width": _WIDTH, "height": 30}
    assert places["last"]["y"] == 7 * 38


def test_lay_out_of_the_committed_dashboard_has_every_panel_and_no_two_in_one_place() -> None:
    placed = [each for each in lay_out(sections(load()), _WIDTH) if each["panel"]["type"] != "row"]
    assert sorted(each["panel"]["title"] for each in placed) == sorted(panel["title"] for panel in panels())
    for number, one in enumerate(placed):
        for other in placed[number + 1 :]:
            assert not _overlap(one["at"], other["at"]), (one["panel"]["title"], other["panel"]["title"])


def _overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    return (
        one["x"] < other["x"] + other["width"]
        and other["x"] < one["x"] + one["width"]
        and one["y"] < other["y"] + other["height"]
        and other["y"] < one["y"] + one["height"]
    )
