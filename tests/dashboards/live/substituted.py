"""What Grafana makes of a query before it asks Prometheus: menus and times in the place of variables."""

from __future__ import annotations

import math
import re
from typing import Final

#: Seconds between two scrapes: what the data source's `timeInterval` would say.
SCRAPE_SECONDS: Final = 0.5
#: What the menus job, instance and channel put in where all is chosen: their `allValue`.
ALL: Final = ".+"
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
_LABEL_VALUES: Final = re.compile(r"label_values\((.+), *(\w+)\)")


def rate_interval_seconds(step_seconds: float) -> float:
    """Return `$__rate_interval` for a step: max(step + scrape interval, 4 scrape intervals), as Grafana has it."""
    return max(step_seconds + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)


def substituted(expression: str, *, range_seconds: float, step_seconds: float) -> str:
    """Return an expression as Grafana sends it.

    Args:
        expression: Of a panel, a menu or an annotation.
        range_seconds: The time that the dashboard shows.
        step_seconds: Between two points of a panel; a Stat that shows one number has one point.

    Raises:
        KeyError: It has a variable that nobody knows.
    """
    values = {
        "job": ALL,
        "instance": ALL,
        "channel": ALL,
        "source": ALL,
        "__range": f"{math.ceil(range_seconds * 1000)}ms",
        "__rate_interval": f"{math.ceil(rate_interval_seconds(step_seconds) * 1000)}ms",
        "__interval": f"{math.ceil(step_seconds * 1000)}ms",
    }
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], expression)


def label_and_selector(query: str) -> tuple[str, str]:
    """Return what `label_values(SELECTOR, LABEL)` of a menu asks for: label and selector.

    Raises:
        ValueError: It is another kind of query.
    """
    found = _LABEL_VALUES.fullmatch(query)
    if found is None:
        raise ValueError(f"not a question for the values of a label: {query!r}")
    return found[2], found[1]
