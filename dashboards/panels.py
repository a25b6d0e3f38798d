"""The panels of the dashboard, which all look alike: a figure, lines over time, a histogram over time.

The rows speak these words only; of Grafana's SDK nothing but this module and `dashboards.grafana` knows.
Every panel asks the data source that its menu chose. Pure: nothing here reads a file or asks a server.
"""

from __future__ import annotations

from typing import Final, TypeVar

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    DataSourceRef,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DashboardSpecialValueMapOptions,
    FieldColorModeId,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.places import RUNBOOKS_URL
from dashboards.promql import CHANNEL, RATE_WINDOW, select

#: A variable, because file provisioning does not resolve `__inputs`; an import by hand resolves both.
DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
#: Units by Grafana's names.
COUNT: Final = units.Short
PER_MINUTE: Final = units.CountsPerMinute
SECONDS: Final = units.Seconds
SHARE: Final = units.PercentUnit
BYTES: Final = units.BytesIEC
#: A moment in milliseconds, shown as how long ago it was.
AGO: Final = units.DateTimeFromNow
#: Rows of Grafana's grid.
_FIGURE_HEIGHT: Final = 5
_GRAPH_HEIGHT: Final = 8

Query = prometheus.Dataquery
Figure = stat.Panel
Graph = timeseries.Panel
Heat = heatmap.Panel
Panel = Figure | Graph | Heat
_Panel = TypeVar("_Panel", Figure, Graph, Heat)


# --- queries --------------------------------------------------------------------------------------------------


def over_time(expression: str, legend: str) -> Query:
    """Return a query of the time shown."""
    return Query().datasource(DATASOURCE).expr(expression).legend_format(legend).range()


def at_end(expression: str, legend: str) -> Query:
    """Return a query of one value for each series, at the end of the time shown."""
    return Query().datasource(DATASOURCE).expr(expression).legend_format(legend).instant()


def with_single_ones(query: Query) -> Query:
    """Ask for exemplars too: single observations with the id of their alert, where Prometheus keeps them."""
    return query.exemplar(True)  # noqa: FBT003 - the builder has no other way


# --- colours and words ----------------------------------------------------------------------------------------


def colours(base: str, *above: tuple[float, str]) -> dashboard.ThresholdsConfig:
    """Return a colour for the lowest values, and one from each further value on."""
    steps = [Threshold(color=base), *(Threshold(value=value, color=color) for value, color in above)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def word(value: int, text: str, color: str) -> ValueMap:
    """Return what is shown instead of a value."""
    return ValueMap(options={str(value): ValueMappingResult(text=text, color=color)})


def word_for_unknown(text: str, color: str) -> SpecialValueMap:
    """Return what is shown where a daemon says that nobody knows (NaN)."""
    result = ValueMappingResult(text=text, color=color)
    return SpecialValueMap(options=DashboardSpecialValueMapOptions(match=SpecialValueMatch.NA_N, result=result))


# --- figures --------------------------------------------------------------------------------------------------


def figure(
    title: str, description: str, *queries: Query, unit: str, width: int, alarms: tuple[str, ...] = ()
) -> Figure:
    """Return one large figure and its name for each series.

    Args:
        title: Unique on the dashboard.
        description: What it means, and what to do.
        queries: What is asked.
        unit: One of the units above.
        width: Of the 24 columns.
        alarms: The rules' alerts whose runbooks help here.
    """
    panel = (
        Figure()
        .unit(unit)
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .thresholds(colours("blue"))
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return _made(panel, title, description, *queries, width=width, alarms=alarms).height(_FIGURE_HEIGHT)


def value_only(panel: Figure) -> Figure:
    """Leave the name out, for a panel of one figure that its title names."""
    return panel.text_mode(BigValueTextMode.VALUE)


def named_if_several(panel: Figure) -> Figure:
    """Leave the name out where there is one figure alone."""
    return panel.text_mode(BigValueTextMode.AUTO)


def one_below_the_other(panel: Figure) -> Figure:
    """Give each figure a line of its own, for those that are words."""
    return panel.orientation(VizOrientation.HORIZONTAL)


def name_only(panel: Figure) -> Figure:
    """Leave the figure out, for what is told by the name's labels."""
    return panel.text_mode(BigValueTextMode.NAME)


def with_history(panel: Figure) -> Figure:
    """Draw below each figure how it was in the time shown; as high as a graph, to stand beside one."""
    return panel.graph_mode(BigValueGraphMode.AREA).height(_GRAPH_HEIGHT)


def none_is_well(panel: Figure) -> Figure:
    """Show 0 in green and all else in red, as whole numbers."""
    # Prometheus extrapolates an increase, so that one event is seldom exactly 1.
    return panel.thresholds(colours("green", (0.5, "red"))).decimals(0)


# --- graphs ---------------------------------------------------------------------------------------------------


def graph(title: str, description: str, *queries: Query, unit: str, width: int, alarms: tuple[str, ...] = ()) -> Graph:
    """Return lines over time, from zero up or where they are below it; the arguments are those of `figure`."""
    panel = (
        Graph()
        .unit(unit)
        .axis_soft_min(0)
        .fill_opacity(10)
        .show_points(VisibilityMode.AUTO)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)  # noqa: FBT003 - the builder has no other way
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if unit in {COUNT, PER_MINUTE}:
        panel.axis_soft_max(1)  # a line at zero lies at the bottom then, and not on an axis of a hundred
    return _made(panel, title, description, *queries, width=width, alarms=alarms).height(_GRAPH_HEIGHT)


def with_bounds(panel: Graph, *bounds: tuple[float, str]) -> Graph:
    """Draw a dashed line where it begins to matter, each in its colour."""
    style = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(colours("transparent", *bounds)).thresholds_style(style)


def with_many_lines(panel: Graph) -> Graph:
    """Name the lines in a table at the right, where below there is no room for so many."""
    legend = common.VizLegendOptions().show_legend(True)  # noqa: FBT003 - the builder has no other way
    return panel.legend(legend.display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.RIGHT))


def heat(title: str, description: str, histogram: str, *, width: int, alarms: tuple[str, ...] = ()) -> Heat:
    """Return a histogram of seconds over time, with exemplars where Prometheus keeps them."""
    buckets = f"sum by (le) (increase({select(f'{histogram}_bucket', CHANNEL)}[{RATE_WINDOW}]))"
    query = with_single_ones(over_time(buckets, "{{le}}").format(PromQueryFormat.HEATMAP))
    panel = (
        Heat()
        .y_axis(heatmap.YAxisConfig().unit(SECONDS))
        .cell_values(heatmap.CellValues().unit(COUNT))
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
        .show_legend()
    )
    return _made(panel, title, description, query, width=width, alarms=alarms).height(_GRAPH_HEIGHT)


# --- all of them ----------------------------------------------------------------------------------------------


def runbook(name: str) -> dashboard.DashboardLink:
    """Return a link to what to do about an alarm, or to another page beside it."""
    link = dashboard.DashboardLink(f"Runbook: {name}").type(DashboardLinkType.LINK).icon("doc")
    return link.url(f"{RUNBOOKS_URL}/{name}.md").target_blank(True)  # noqa: FBT003 - the builder has no other way


def _made(panel: _Panel, title: str, description: str, *queries: Query, width: int, alarms: tuple[str, ...]) -> _Panel:
    panel.title(title).description(description).datasource(DATASOURCE).span(width)
    if alarms:
        panel.links([runbook(alarm) for alarm in alarms])
    for number, query in enumerate(queries):
        panel.with_target(query.ref_id(chr(ord("A") + number)))
    return panel
