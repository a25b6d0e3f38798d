"""What the dashboard asks, and what a daemon can answer."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from subscriber.monitoring.metrics import Metrics

ROOT: Final = Path(__file__).parents[2]
DASHBOARD: Final = ROOT / "dashboards" / "grafana" / "alertbus.json"
#: Labels that Prometheus itself adds.
TARGET_LABELS: Final = frozenset({"job", "instance"})
#: What every Prometheus client tells of its process where the system is Linux, all without labels.
OF_LINUX: Final = frozenset(
    {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    }
)


@cache
def board() -> dict[str, Any]:
    """Return the committed dashboard."""
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def panels(of: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return all panels but the rows, also those in collapsed rows; of the committed dashboard, or of another."""
    found: list[dict[str, Any]] = []
    for panel in (board() if of is None else of)["panels"]:
        found.extend(panel["panels"] if panel["type"] == "row" else [panel])
    return found


def targets() -> list[dict[str, Any]]:
    """Return every query of every panel."""
    return [target for panel in panels() for target in panel["targets"]]


def menus() -> list[dict[str, Any]]:
    """Return the variables that ask Prometheus; their `query` is a `label_values(…)`."""
    return [menu for menu in board()["templating"]["list"] if menu["type"] == "query"]


def marks() -> list[dict[str, Any]]:
    """Return the annotations, which mark moments in all graphs."""
    found: list[dict[str, Any]] = board()["annotations"]["list"]
    return found


def expressions() -> list[str]:
    """Return everything that is asked of Prometheus: by panels, menus (as they are written) and annotations."""
    return [
        *(target["expr"] for target in targets()),
        *(menu["query"] for menu in menus()),
        *(annotation["expr"] for annotation in marks()),
    ]


@cache
def metrics() -> Metrics:
    """Return the metrics of a daemon with all there can be: a channel, a publisher, receipts, a bot, a template."""
    made = Metrics()
    made.add_channel("telegram", enabled=True, receipts=True, window=True)
    made.add_ears("telegram", ["message"])
    made.add_template("short")
    made.publisher("live_trader", up=True, journal_alerts=0)
    made.publisher_heard("live_trader", at_us=0, volatile=False, clock_offset_seconds=0.0)
    made.publisher_counted("live_trader", refused=0, timed=0, publish_seconds=0.0, longest_seconds=0.0)
    made.publisher_hung("live_trader", hung=False)
    made.publisher_silent("live_trader", silent=False)
    made.disk(1, 1)
    return made


@cache
def answers() -> dict[str, dict[str, frozenset[str]]]:
    """Return the names of all samples of such a daemon, each with its labels' values."""
    values: dict[str, dict[str, frozenset[str]]] = {name: {} for name in OF_LINUX}
    for family in metrics().registry.collect():
        for sample in family.samples:
            labels = values.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels[label] = labels.get(label, frozenset()) | {value}
    return values


def labels_of(metric: str) -> frozenset[str]:
    """Return the labels that the series of a metric have in Prometheus.

    Raises:
        KeyError: No daemon has such a metric.
    """
    return frozenset(answers()[metric]) | TARGET_LABELS
