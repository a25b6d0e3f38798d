"""Asks Prometheus what the dashboard asks, as Grafana does, and holds each panel against the ledger."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Final

from tests.dashboards.asked import panels
from tests.dashboards.live.bands import Check, Scale, faults
from tests.dashboards.live.ledger import Ledger
from tests.dashboards.live.substituted import SCRAPE_SECONDS, rate_interval_seconds, substituted
from tests.support.prometheus import Prometheus, Sample

_METRIC: Final = re.compile(r"\b(?:alertbus|process)_\w+")


def queries() -> dict[tuple[str, str], str]:
    """Return every query of every panel by the panel's title and the query's letter."""
    return {(panel["title"], target["refId"]): target["expr"] for panel in panels() for target in panel["targets"]}


class Judge:
    """One Prometheus, and the day that it saw."""

    def __init__(self, prometheus: Prometheus, ledger: Ledger) -> None:
        """Ask nothing yet."""
        self._prometheus = prometheus
        self._ledger = ledger
        self._dawn = ledger.moments["dawn"] - SCRAPE_SECONDS

    def day_seconds(self, moment: str) -> float:
        """Return the seconds from before the first scrape to a moment."""
        return self._ledger.moments[moment] - self._dawn

    def shown(self, expression: str, moment: str) -> list[Sample]:
        """Return the numbers of an expression at a moment, on a dashboard that shows the whole day, in one point."""
        seconds = self.day_seconds(moment)
        asked = substituted(expression, range_seconds=seconds, step_seconds=seconds)
        found = self._prometheus.query(asked, self._ledger.moments[moment])
        return [sample for sample in found if not math.isnan(sample.value)]

    def curve(self, expression: str) -> list[float]:
        """Return all numbers of an expression over the day, at every scrape."""
        asked = substituted(expression, range_seconds=self.day_seconds("end"), step_seconds=SCRAPE_SECONDS)
        series = self._prometheus.query_range(asked, self._dawn, self._ledger.moments["end"], SCRAPE_SECONDS)
        return [number for one in series for number in one.numbers]

    def complaints(self, expression: str, judged: Callable[[Ledger, Scale], list[Check]]) -> list[str]:
        """Return what an expression shows otherwise than it was driven."""
        checks = judged(self._ledger, self._scale(expression, "end"))
        found = []
        for place in range(len(checks)):
            moment = checks[place].moment
            check = judged(self._ledger, self._scale(expression, moment))[place]
            found += [f"{moment}: {fault}" for fault in faults(self.shown(expression, moment), check.bands)]
        return found

    def _scale(self, expression: str, moment: str) -> Scale:
        """Return how an expression sees counters: by the shortest of the series that it asks for."""
        seconds = self.day_seconds(moment)
        counts = [
            sample.value
            for metric in set(_METRIC.findall(expression))
            for sample in self._prometheus.query(
                f"min(count_over_time({metric}[{math.ceil(seconds * 1000)}ms]))", self._ledger.moments[moment]
            )
        ]
        return Scale(math.ceil(rate_interval_seconds(seconds) * 1000) / 1000, round(min(counts)))


def disagreements(
    judge: Judge, table: Mapping[tuple[str, str], Callable[[Ledger, Scale], list[Check]]]
) -> dict[tuple[str, str], list[str]]:
    """Return the complaints about each query of the table that has any."""
    asked = queries()
    found = {query: judge.complaints(asked[query], judged) for query, judged in table.items() if query in asked}
    return {query: complaints for query, complaints in found.items() if complaints}
