"""The building blocks of the dashboard: PromQL in our own words, and panels that all look alike.

The rows speak these words only; of Grafana's SDK nothing but this module and `dashboards.grafana` knows.
Every selector filters by the dashboard's job and instance; every panel asks the data source that its menu chose.
Pure: nothing here reads a file or asks a server.
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
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

#: A variable, because file provisioning does not resolve `__inputs`; an import by hand resolves both.
DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
#: The matcher of whatever is counted or measured for each channel.
CHANNEL: Final = 'channel=~"$channel"'
#: Grafana's window for a rate: never shorter than four scrapes.
RATE_WINDOW: Final = "$__rate_interval"
#: The whole time that the dashboard shows.
WHOLE_RANGE: Final = "$__range"
#: Units by Grafana's names.
COUNT: Final = units.Short
PER_MINUTE: Final = units.CountsPerMinute
SECONDS: Final = units.Seconds
DURATION: Final = units.DurationSeconds
SHARE: Final = units.PercentUnit
BYTES: Final = units.BytesIEC
#: Rows of Grafana's grid.
_FIGURE_HEIGHT: Final = 5
_GRAPH_HEIGHT: Final = 8

Query = prometheus.Dataquery
Figure = stat.Panel
Graph = timeseries.Panel
Heat = heatmap.Panel
Panel = Figure | Graph | Heat
_Panel = TypeVar("_Panel", Figure, Graph, Heat)


# --- PromQL ---------------------------------------------------------------------------------------------------


def select(metric: str, *matchers: str) -> str:
    """Return the series of one metric for the chosen jobs and instances."""
    return metric + "{" + ", ".join(('job=~"$job"', 'instance=~"$instance"', *matchers)) + "}"


def per_minute(metric: str, *matchers: str, by: str | None = None) -> str:
    """Return how often a counter counts in a minute."""
    return f"60 * {_sum(by)} (rate({select(metric, *matchers)}[{RATE_WINDOW}]))"


def counted(metric: str, *matchers: str, by: str | None = None) -> str:
    """Return what a counter counted in the whole time shown."""
    return f"{_sum(by)} (increase({select(metric, *matchers)}[{WHOLE_RANGE}]))"


def quantile(share: float, histogram: str, window: str) -> str:
    """Return what a share of a channel's observations stays below; no series where nothing was observed."""
    buckets = f"rate({select(f'{histogram}_bucket', CHANNEL)}[{window}])"
    return f"histogram_quantile({share:g}, sum by (le, channel) ({buckets})) >= 0"


def of_daemons(expression: str) -> str:
    """Return what the daemons say, of a metric that other programs have too."""
    return f"{expression} and on (job, instance) {select('alertbus_build_info')}"


def over_time(expression: str, legend: str) -> Query:
    """Return a query of the time shown."""
    return Query().datasource(DATASOURCE).expr(expression).legend_format(legend).range()


def at_end(expression: str, legend: str) -> Query:
    """Return a query of one value for each series, at the end of the time shown."""
    return Query().datasource(DATASOURCE).expr(expression).legend_format(legend).instant()


def _sum(by: str | None) -> str:
    return "sum" if by is None else f"sum by ({by})"


# --- panels ---------------------------------------------------------------------------------------------------


def colours(base: str, *above: tuple[float, str]) -> dashboard.ThresholdsConfig:
    """Return a colour for the lowest values, and one from each further value on."""
    steps = [Threshold(color=base), *(Threshold(value=value, color=color) for value, color in above)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def word(value: int, text: str, color: str) -> ValueMap:
    """Return what is shown instead of a value."""
    return ValueMap(options={str(value): ValueMappingResult(text=text, color=color)})


def figure(title: str, description: str, *queries: Query, unit: str, width: int) -> Figure:
    """Return one large figure and its name for each series."""
    panel = (
        Figure()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .height(_FIGURE_HEIGHT)
        .span(width)
        .unit(unit)
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .thresholds(colours("blue"))
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return _asking(panel, *queries)


def value_only(panel: Figure) -> Figure:
    """Leave the name out, for a panel of one figure that its title names."""
    return panel.text_mode(BigValueTextMode.VALUE)


def name_only(panel: Figure) -> Figure:
    """Leave the figure out, for what is told by the name's labels."""
    return panel.text_mode(BigValueTextMode.NAME)


def with_history(panel: Figure) -> Figure:
    """Draw below each figure how it was in the time shown; as high as a graph, to stand beside one."""
    return panel.graph_mode(BigValueGraphMode.AREA).height(_GRAPH_HEIGHT)


def graph(title: str, description: str, *queries: Query, unit: str, width: int) -> Graph:
    """Return lines over time, from zero up."""
    panel = (
        Graph()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .height(_GRAPH_HEIGHT)
        .span(width)
        .unit(unit)
        .min(0)
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
    return _asking(panel, *queries)


def heat(title: str, description: str, histogram: str, width: int) -> Heat:
    """Return a histogram of seconds over time, with exemplars where Prometheus keeps them."""
    buckets = f"sum by (le) (increase({select(f'{histogram}_bucket', CHANNEL)}[{RATE_WINDOW}]))"
    panel = (
        Heat()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .height(_GRAPH_HEIGHT)
        .span(width)
        .y_axis(heatmap.YAxisConfig().unit(SECONDS))
        .cell_values(heatmap.CellValues().unit(COUNT))
    )
    query = over_time(buckets, "{{le}}").format(PromQueryFormat.HEATMAP)
    return _asking(panel, query.exemplar(True))  # noqa: FBT003 - the builder has no other way


def _asking(panel: _Panel, *queries: Query) -> _Panel:
    for number, query in enumerate(queries):
        panel.with_target(query.ref_id(chr(ord("A") + number)))
    return panel
