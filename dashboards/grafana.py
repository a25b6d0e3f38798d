"""The Grafana dashboard as code: its rows, its panels as small functions, and its variables.

Needs grafana-foundation-sdk (dependency group `dev`); what it builds is committed as `grafana/alertbus.json`, so that
whoever only looks at the dashboard needs no Python at all. Only metrics of subscriber/monitoring/metrics.py are asked
for. Counters are summed over daemons; gauges that tell of the shared database or of a publisher are the same in each
daemon, so the worst of them is shown, never their sum.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard, heatmap, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import BigValueGraphMode, BigValueTextMode
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.panels import (
    CHANNEL,
    DATASOURCE,
    RATE_WINDOW,
    WHOLE_RANGE,
    at_end,
    colours,
    counted,
    figure,
    graph,
    heat,
    of_daemons,
    over_time,
    per_minute,
    quantile,
    select,
    word,
)

AnyPanel = stat.Panel | timeseries.Panel | heatmap.Panel

#: Part of the dashboard's address in Grafana: fixed, so that links to it stay.
UID: Final = "alertbus"
#: Seconds from publish() to a provider's acceptance: from here on a person waits, from there on it is too late.
_SLOW_SECONDS: Final = 5.0
_LATE_SECONDS: Final = 30.0


def dashboard_json() -> str:
    """Return the dashboard as Grafana reads it, always the same for the same code."""
    return json.dumps(build_dashboard(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def build_dashboard() -> Dashboard:
    """Return the dashboard."""
    board = (
        dashboard.Dashboard("alertbus")
        .uid(UID)
        .description("Alerts on their way from the trading process to the phone. Generated: `python -m dashboards`.")
        .tags(["alertbus", "alerts", "trading"])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .timezone("browser")
        .refresh("30s")
        .annotation(_restarts())
    )
    for variable in _variables():
        board.with_variable(variable)
    number = 0
    for title, panels in _rows():
        number += 1
        board.with_row(dashboard.Row(title).id(number))
        for panel in panels:
            number += 1
            board.with_panel(panel.id(number))
    return board.build()


def _rows() -> tuple[tuple[str, Sequence[AnyPanel]], ...]:
    well = (_state(), _success(), _latency_now(), _given_up_now(), _switched_on(), _lost_now(), _dry_run(), _daemons())
    way = (_latency(), _latency_by_channel(), _attempt_seconds(), _errors(), _told())
    queue = (_waiting(), _oldest(), _given_up(), _not_sent())
    bus = (_received(), _numbers(), _invalid(), _publishers(), _journal(), _refused())
    process = (_version(), _running(), _store_errors(), _processor(), _memory(), _files())
    return (
        ("Is it well?", well),
        ("From trader to phone", way),
        ("Queue", queue),
        ("Bus", bus),
        ("Process", process),
    )


# --- variables and annotations --------------------------------------------------------------------------------


def _variables() -> tuple[dashboard.DatasourceVariable | dashboard.QueryVariable, ...]:
    build = select("alertbus_build_info")
    return (
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _menu("job", "Job", "label_values(alertbus_build_info, job)"),
        _menu("instance", "Instance", f"label_values({build.replace(', instance=~"$instance"', '')}, instance)"),
        _menu("channel", "Channel", f"label_values({select('alertbus_channel_enabled')}, channel)"),
    )
