"""The building blocks of the dashboard: PromQL in our own words, and panels that all look alike.

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
#: Rows of Grafana's grid.
_FIGURE_HEIGHT: Final = 5
_GRAPH_HEIGHT: Final = 8

Panel = TypeVar("Panel", stat.Panel, timeseries.Panel, heatmap.Panel)


# --- PromQL ---------------------------------------------------------------------------------------------------


def select(metric: str, *matchers: str) -> str:
    """Return the series of one metric for the chosen jobs and instances."""
    return metric + "{" + ", ".join(('job=~"$job"', 'instance=~"$instance"', *matchers)) + "}"


def per_minute(by: str, metric: str, *matchers: str) -> str:
    """Return how often a counter counts in a minute, by some labels."""
    return f"60 * sum by ({by}) (rate({select(metric, *matchers)}[{RATE_WINDOW}]))"


def counted(by: str, metric: str, *matchers: str) -> str:
    """Return what a counter counted in the whole time shown, by some labels."""
    return f"sum by ({by}) (increase({select(metric, *matchers)}[{WHOLE_RANGE}]))"


def quantile(share: float, by: str, histogram: str, window: str) -> str:
    """Return the value that a share of the observations stays below; no series where nothing was observed."""
    buckets = f"rate({select(f'{histogram}_bucket', CHANNEL)}[{window}])"
    return f"histogram_quantile({share:g}, sum by (le, {by}) ({buckets})) >= 0"


def of_daemons(expression: str) -> str:
    """Return what the daemons say, of a metric that other programs have too."""
    return f"{expression} and on (job, instance) {select('alertbus_build_info')}"


def over_time(expression: str, legend: str) -> prometheus.Dataquery:
    """Return a query of the time shown."""
    return prometheus.Dataquery().datasource(DATASOURCE).expr(expression).legend_format(legend).range()


def at_end(expression: str, legend: str) -> prometheus.Dataquery:
    """Return a query of one value for each series, at the end of the time shown."""
    return prometheus.Dataquery().datasource(DATASOURCE).expr(expression).legend_format(legend).instant()


# --- panels ---------------------------------------------------------------------------------------------------


def colours(base: str, *above: tuple[float, str]) -> dashboard.ThresholdsConfig:
    """Return a colour for the lowest values, and one from each further value on."""
    steps = [Threshold(color=base), *(Threshold(value=value, color=color) for value, color in above)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def word(value: int, text: str, color: str) -> ValueMap:
    """Return what is shown instead of a value."""
    return ValueMap(options={str(value): ValueMappingResult(text=text, color=color)})


def figure(title: str, description: str, *queries: prometheus.Dataquery, unit: str, width: int) -> stat.Panel:
    """Return one large figure for each series."""
    panel = (
        stat.Panel()
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
        .text_mode(BigValueTextMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return _asking(panel, *queries)


def graph(title: str, description: str, *queries: prometheus.Dataquery, unit: str, width: int) -> timeseries.Panel:
    """Return lines over time, from zero up."""
    panel = (
        timeseries.Panel()
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


def heat(title: str, description: str, histogram: str, width: int) -> heatmap.Panel:
    """Return a histogram of seconds over time, with exemplars where Prometheus keeps them."""
    buckets = f"sum by (le) (increase({select(f'{histogram}_bucket', CHANNEL)}[{RATE_WINDOW}]))"
    panel = (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .height(_GRAPH_HEIGHT)
        .span(width)
        .y_axis(heatmap.YAxisConfig().unit(units.Seconds))
        .cell_values(heatmap.CellValues().unit(units.Short))
    )
    query = over_time(buckets, "{{le}}").format(PromQueryFormat.HEATMAP)
    return _asking(panel, query.exemplar(True))  # noqa: FBT003 - the builder has no other way


def _asking(panel: Panel, *queries: prometheus.Dataquery) -> Panel:
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(query.ref_id(letter))
    return panel
