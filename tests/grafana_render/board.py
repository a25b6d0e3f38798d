"""Which panels of the committed dashboard a picture shows, and where.

A picture has some of the dashboard's rows, opened: a row that is collapsed holds its panels itself, and gives them
places from nought.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
DASHBOARD: Final = ROOT / "dashboards" / "grafana" / "alertbus.json"

#: The grid on which Grafana places panels, in CSS pixels.
COLUMNS: Final = 24
CELL_HEIGHT: Final = 30
GAP: Final = 8


@dataclass(frozen=True, slots=True)
class Section:
    """A row of the dashboard and its panels, each as the JSON has it."""

    row: Mapping[str, Any]
    panels: tuple[Mapping[str, Any], ...]


class NoSuchRowError(Exception):
    """The dashboard has no row of that title; the text names those that it has."""


def load() -> dict[str, Any]:
    """Return the committed dashboard."""
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def sections(dashboard: Mapping[str, Any]) -> list[Section]:
    """Return the dashboard's rows in their order, each with its panels, opened."""
    found: list[tuple[Mapping[str, Any], list[Mapping[str, Any]]]] = []
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            found.append((panel, list(panel.get("panels") or [])))
        else:
            found[-1][1].append(panel)
    return [Section(row, tuple(panels)) for row, panels in found]


def select(dashboard: Mapping[str, Any], titles: Sequence[str]) -> list[Section]:
    """Return the rows of these titles, in the dashboard's order; all of them where no title is given.

    Raises:
        NoSuchRowError: There is none of a title.
    """
    every = sections(dashboard)
    known = [section.row["title"] for section in every]
    for title in titles:
        if title not in known:
            raise NoSuchRowError(f"no row {title!r}; there are {known}")
    return [section for section in every if not titles or section.row["title"] in titles]


def lay_out(chosen: Sequence[Section], width: int) -> list[dict[str, Any]]:
    """Return rows and panels with their place in a picture: `at` has x, y, width and height in CSS pixels."""
    column = (width - GAP * (COLUMNS - 1)) / COLUMNS
    placed: list[dict[str, Any]] = []
    top = 0
    for section in chosen:
        placed.append({"panel": dict(section.row), "at": _place({"x": 0, "y": top, "w": COLUMNS, "h": 1}, column)})
        top += 1
        if not section.panels:
            continue
        first = min(panel["gridPos"]["y"] for panel in section.panels)
        last = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in section.panels)
        for panel in sorted(section.panels, key=lambda each: (each["gridPos"]["y"], each["gridPos"]["x"])):
            grid = panel["gridPos"]
            placed.append(
                {"panel": dict(panel), "at": _place({**grid, "y": grid["y"] - first + top}, column)},
            )
        top += last - first
    return placed


def _place(grid: Mapping[str, int], column: float) -> dict[str, float]:
    return {
        "x": grid["x"] * (column + GAP),
        "y": grid["y"] * (CELL_HEIGHT + GAP),
        "width": grid["w"] * column + (grid["w"] - 1) * GAP,
        "height": grid["h"] * CELL_HEIGHT + (grid["h"] - 1) * GAP,
    }
