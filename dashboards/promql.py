"""PromQL in the dashboard's own words: every selector filters by the job and the instance that the menus chose.

Counters are summed over the daemons. Gauges that tell of a database, or of a publisher that every daemon hears, are
the same in each of them: of those the worst is taken, never their sum. Pure text: nothing here asks a server.
"""

from __future__ import annotations

from typing import Final

#: The matcher of whatever is counted or measured for each channel.
CHANNEL: Final = 'channel=~"$channel"'
#: Grafana's window for a rate: never shorter than four scrapes.
RATE_WINDOW: Final = "$__rate_interval"
#: The whole time that the dashboard shows.
WHOLE_RANGE: Final = "$__range"


def select(metric: str, *matchers: str) -> str:
    """Return the series of one metric for the chosen jobs and instances."""
    return metric + "{" + ", ".join(('job=~"$job"', 'instance=~"$instance"', *matchers)) + "}"


def per_minute(metric: str, *matchers: str, by: str | None = None) -> str:
    """Return how often a counter counts in a minute."""
    return f"60 * {_sum(by)} (rate({select(metric, *matchers)}[{RATE_WINDOW}]))"


def counted(metric: str, *matchers: str, by: str | None = None) -> str:
    """Return what a counter counted in the whole time shown."""
    return f"{_sum(by)} (increase({select(metric, *matchers)}[{WHOLE_RANGE}]))"


def quantile(share: float, histogram: str, *matchers: str, by: str | None = "channel") -> str:
    """Return what a share of the observations stays below, moment by moment; no series where nothing was observed."""
    return _quantile(share, f"rate({select(f'{histogram}_bucket', *matchers)}[{RATE_WINDOW}])", by)


def quantile_in_all(share: float, histogram: str, *matchers: str, by: str | None = "channel") -> str:
    """Return what a share of the observations of the whole time shown stays below."""
    return _quantile(share, f"increase({select(f'{histogram}_bucket', *matchers)}[{WHOLE_RANGE}])", by)


def highest(metric: str, *matchers: str, by: str | None = None) -> str:
    """Return the highest that any daemon tells."""
    return f"{_max(by)} ({select(metric, *matchers)})"


def lowest(metric: str, *matchers: str, by: str | None = None) -> str:
    """Return the lowest that any daemon tells."""
    return f"{'min' if by is None else f'min by ({by})'} ({select(metric, *matchers)})"


def age(metric: str, *matchers: str, by: str | None = None) -> str:
    """Return how many seconds ago a moment was, by the daemon that tells the earliest; 0 where there was none."""
    then = select(metric, *matchers)
    return f"{_max(by)} ((time() - {then}) * ({then} > bool 0))"


def moment(metric: str, *matchers: str, by: str) -> str:
    """Return the latest moment that any daemon tells, in Grafana's milliseconds; 0 where there was none."""
    return f"1000 * {highest(metric, *matchers, by=by)}"


def first_of(*cases: str) -> str:
    """Return of each series the first of several cases that it has."""
    return " or ".join(cases)


def of_daemons(expression: str) -> str:
    """Return what the daemons say, of a metric that other programs have too."""
    return f"{expression} and on (job, instance) {select('alertbus_build_info')}"


def _quantile(share: float, buckets: str, by: str | None) -> str:
    # A quantile of nothing is NaN, which is no answer.
    labels = "le" if by is None else f"le, {by}"
    return f"histogram_quantile({share:g}, sum by ({labels}) ({buckets})) >= 0"


def _sum(by: str | None) -> str:
    return "sum" if by is None else f"sum by ({by})"


def _max(by: str | None) -> str:
    return "max" if by is None else f"max by ({by})"
