"""Asks Prometheus what Grafana would ask for a picture, and returns the answers as the page in the browser takes them.

No number is made here: what Prometheus does not answer is not drawn. NaN and infinities, which JSON lacks, are words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.grafana_render.variables import built_in, chosen, step_ms, substitute
from tests.support.prometheus import Prometheus

#: How often the picture's Prometheus scrapes.
SCRAPE_MS: Final = 1000
#: What the data source says its scrape interval is, and so the least step: rates are taken over 20 s.
LEAST_STEP_MS: Final = 5000


class Asking:
    """One look at the dashboard: its menus, the time that it shows, and a Prometheus to ask."""

    def __init__(self, prometheus: Prometheus, dashboard: Mapping[str, Any], begin: float, end: float) -> None:
        """Look at the time between two others, in Unix seconds."""
        self._prometheus = prometheus
        self._dashboard = dashboard
        self._begin = begin
        self._end = end
        self._menus = chosen(dashboard["templating"]["list"])

    def picture(self, placed: Sequence[Mapping[str, Any]], width: int) -> dict[str, Any]:
        """Return all that the page needs to draw these rows and panels."""
        return {
            "title": self._dashboard["title"],
            "width": width,
            "from": 1000 * self._begin,
            "to": 1000 * self._end,
            "menus": [
                {"label": menu["label"], "text": "Prometheus" if menu["type"] == "datasource" else "All"}
                for menu in self._dashboard["templating"]["list"]
            ],
            "annotations": [self._annotation(each) for each in self._dashboard["annotations"]["list"]],
            "placed": [{**each, "answers": self._answers(each)} for each in placed],
        }

    def _answers(self, placed: Mapping[str, Any]) -> list[dict[str, Any]]:
        panel = placed["panel"]
        return [
            self._answer(target, placed["at"]["width"])
            for target in panel.get("targets", [])
            if not target.get("hide") and panel["type"] != "row"
        ]

    def _answer(self, target: Mapping[str, Any], width: float) -> dict[str, Any]:
        step = step_ms(self._range_ms, width, LEAST_STEP_MS)
        expression = self._expression(target["expr"], step)
        series: list[dict[str, Any]]
        if target.get("instant"):
            samples = self._prometheus.query(expression, self._end)
            series = [
                {"labels": dict(each.labels), "points": [[1000 * each.at, _plain(each.value)]]} for each in samples
            ]
        else:
            seconds = step / 1000
            first, last = seconds * (self._begin // seconds), seconds * (self._end // seconds)
            series = [
                {"labels": dict(each.labels), "points": [[1000 * at, _plain(value)] for at, value in each.points]}
                for each in self._prometheus.query_range(expression, first, last, seconds)
            ]
        exemplars = self._prometheus.exemplars(expression, self._begin, self._end) if target.get("exemplar") else []
        return {
            "target": dict(target),
            "step": step,
            "series": series,
            "exemplars": [[1000 * float(each["timestamp"]), float(each["value"])] for each in exemplars],
        }

    def _annotation(self, annotation: Mapping[str, Any]) -> dict[str, Any]:
        """Return the times that an annotation marks: its samples' values or, without `useValueForTime`, their times."""
        step = LEAST_STEP_MS / 1000
        expression = self._expression(annotation["expr"], LEAST_STEP_MS)
        found = self._prometheus.query_range(expression, self._begin, self._end, step)
        points = [point for series in found for point in series.points]
        marked = (
            [value for _at, value in points]
            if annotation.get("useValueForTime")
            else [1000 * at for at, value in points if value > 0]
        )
        return {
            "name": annotation["name"],
            "color": annotation.get("iconColor", "red"),
            "times": sorted({time for time in marked if 1000 * self._begin <= time <= 1000 * self._end}),
        }

    def _expression(self, expression: str, step: int) -> str:
        return substitute(expression, {**self._menus, **built_in(self._range_ms, step, LEAST_STEP_MS)})

    @property
    def _range_ms(self) -> float:
        return 1000 * (self._end - self._begin)


def _plain(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
