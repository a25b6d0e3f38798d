"""The Grafana dashboard as code: its rows, its menus and its annotations; the panels are in the two `rows` modules.

Of Grafana's two dashboard models this is the classic one: older servers read no other. Needs grafana-foundation-sdk
(dependency group `dev`). What it builds is committed as `grafana/alertbus.json`, so that whoever only installs the
dashboard needs neither the SDK nor this module.
"""

from __future__ import annotations

import json
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.panels import DATASOURCE, of_daemons, select
from dashboards.rows_daemon import bus, process
from dashboards.rows_delivery import from_trader_to_phone, is_it_well, queue

#: Part of the dashboard's address in Grafana: fixed, so that links to it stay.
UID: Final = "alertbus"


def dashboard_json() -> str:
    """Return the dashboard as Grafana reads it; the same code gives the same text."""
    return json.dumps(build_dashboard(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def build_dashboard() -> Dashboard:
    """Return the dashboard."""
    board = (
        dashboard.Dashboard("alertbus")
        .uid(UID)
        .description("Alerts on their way from the trading process to the phone.")
        .tags(["alertbus", "alerts", "trading"])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .timezone("browser")
        .refresh("30s")
        .variables(
            [
                dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
                _menu("job", "Job", "label_values(alertbus_build_info, job)"),
                _menu("instance", "Instance", 'label_values(alertbus_build_info{job=~"$job"}, instance)'),
                _menu("channel", "Channel", f"label_values({select('alertbus_channel_enabled')}, channel)"),
            ]
        )
        .annotation(_starts())
    )
    rows = (
        ("Is it well?", is_it_well()),
        ("From trader to phone", from_trader_to_phone()),
        ("Queue", queue()),
        ("Bus", bus()),
        ("Process", process()),
    )
    number = 0
    for title, panels in rows:
        number += 1
        board.with_row(dashboard.Row(title).id(number))
        for panel in panels:
            number += 1
            board.with_panel(panel.id(number))
    return board.build()


def _menu(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".+")
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _starts() -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name("Starts of a daemon")
        .datasource(DATASOURCE)
        .enable(enable=True)
        .icon_color("orange")
        .expr(of_daemons(f"1000 * {select('process_start_time_seconds')}"))
        .use_value_for_time(use_value_for_time=True)  # the value is the moment, however seldom it is asked for
        .title_format("A daemon started")
        .text_format("{{instance}}")
    )
