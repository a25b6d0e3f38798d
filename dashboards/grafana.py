"""The Grafana dashboard as code: its rows, its menus, its annotations and links; the panels are in the `rows` modules.

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
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.panels import DATASOURCE, Panel
from dashboards.places import RUNBOOKS_URL
from dashboards.promql import moment, select
from dashboards.rows_bus import bus
from dashboards.rows_phone import from_trader_to_phone
from dashboards.rows_process import process
from dashboards.rows_queue import queue
from dashboards.rows_well import is_it_well

#: Part of the dashboard's address in Grafana: fixed, so that links to it stay.
UID: Final = "alertbus"
#: Panels are numbered within their row, so that one more leaves those of the other rows, and links to them, alone.
_NUMBERS_OF_A_ROW: Final = 100


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
        .annotations([_starts(), _readings()])
        .links([_runbooks()])
    )
    # None is collapsed: at night nobody should have to know where to click, and what is out of sight asks nothing.
    rows: tuple[tuple[str, tuple[Panel, ...]], ...] = (
        ("Is it well?", is_it_well()),
        ("From trader to phone", from_trader_to_phone()),
        ("Queue", queue()),
        ("Bus", bus()),
        ("Process", process()),
    )
    for row, (title, panels) in enumerate(rows, start=1):
        number = row * _NUMBERS_OF_A_ROW
        board.with_row(dashboard.Row(title).id(number))
        for place, panel in enumerate(panels, start=1):
            board.with_panel(panel.id(number + place))
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
    return _moments("Starts of a daemon", "orange", "alertbus_start_timestamp_seconds", "A daemon started")


def _readings() -> dashboard.AnnotationQuery:
    # At a start too: what holds since then is told by the same mark.
    title = "A configuration came into force"
    return _moments("Readings of the configuration", "blue", "alertbus_config_loaded_timestamp_seconds", title)


def _moments(name: str, color: str, metric: str, title: str) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(DATASOURCE)
        .enable(enable=True)
        .icon_color(color)
        .expr(moment(metric, by="instance"))
        .use_value_for_time(use_value_for_time=True)  # the value is the moment, however seldom it is asked for
        .title_format(title)
        .text_format("{{instance}}")
    )


def _runbooks() -> dashboard.DashboardLink:
    link = dashboard.DashboardLink("Runbooks").type(DashboardLinkType.LINK).icon("doc")
    link.tooltip("What to do about each alarm").url(f"{RUNBOOKS_URL}/README.md")
    return link.target_blank(True)  # noqa: FBT003 - the builder has no other way
