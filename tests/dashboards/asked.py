"""What the dashboard asks, and what a daemon can answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from subscriber.monitoring.metrics import Metrics

ROOT: Final = Path(__file__).parents[2]
DASHBOARD: Final = ROOT / "dashboards" / "grafana" / "alertbus.json"
#: Labels that Prometheus itself adds.
TARGET_LABELS: Final = frozenset({"job", "instance"})

_SELECTOR = re.compile(r"(\w+)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)(=~|!=|!~|=)"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Selector:
    """One `metric{label="value"}` of an expression."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]  #: label, operator, value

    def literals(self) -> Iterator[tuple[str, str]]:
        """Return each label with each value that is written out, not chosen in a menu."""
        for label, _operator, value in self.matchers:
            if not value.startswith("$"):
                for alternative in value.split("|"):
                    yield label, alternative


@cache
def board() -> dict[str, Any]:
    """Return the committed dashboard."""
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def panels() -> list[dict[str, Any]]:
    """Return all panels but the rows."""
    return [panel for panel in board()["panels"] if panel["type"] != "row"]


def targets() -> list[dict[str, Any]]:
    """Return every query of every panel."""
    return [target for panel in panels() for target in panel["targets"]]


def expressions() -> list[str]:
    """Return everything that is asked of Prometheus: by panels, menus and annotations."""
    return [
        *(target["expr"] for target in targets()),
        *(menu["query"] for menu in board()["templating"]["list"] if menu["type"] == "query"),
        *(annotation["expr"] for annotation in board()["annotations"]["list"]),
    ]


def selectors(expression: str) -> list[Selector]:
    """Return every selector of an expression that has braces."""
    return [Selector(metric, tuple(_MATCHER.findall(matchers))) for metric, matchers in _SELECTOR.findall(expression)]


def groupings(expression: str) -> set[str]:
    """Return the labels that an expression groups or joins by."""
    return {label.strip() for labels in _GROUPING.findall(expression) for label in labels.split(",")}


@cache
def answers() -> dict[str, dict[str, frozenset[str]]]:
    """Return the names of all samples of a daemon with a channel and a publisher, each with its labels' values."""
    metrics = Metrics()
    metrics.add_channel("telegram", enabled=True)
    metrics.publisher("live_trader", up=True, journal_alerts=0, refused=0)
    values: dict[str, dict[str, frozenset[str]]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            labels = values.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels[label] = labels.get(label, frozenset()) | {value}
    return values
