"""What Grafana puts in the place of `$job` or `$__rate_interval` before it asks Prometheus.

As Grafana does: a menu set to All stands for its `allValue`; the step fits the panel's width and is rounded to a
round time, at least the data source's scrape interval; `$__rate_interval` is the larger of the step and one scrape
more, and of four scrapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
#: A step in milliseconds for each limit below which the exact one lies: Grafana's `rangeUtil.roundInterval`.
_ROUND_STEPS: Final = (
    (10, 1),
    (15, 10),
    (35, 20),
    (75, 50),
    (150, 100),
    (350, 200),
    (750, 500),
    (1_500, 1_000),
    (3_500, 2_000),
    (7_500, 5_000),
    (12_500, 10_000),
    (17_500, 15_000),
    (25_000, 20_000),
    (45_000, 30_000),
    (90_000, 60_000),
    (210_000, 120_000),
    (450_000, 300_000),
    (750_000, 600_000),
    (1_050_000, 900_000),
    (1_500_000, 1_200_000),
    (2_700_000, 1_800_000),
)
_HOUR_MS: Final = 3_600_000


class UnknownVariableError(Exception):
    """An expression names a variable that the dashboard has not; it would go to Prometheus as it stands."""


def step_ms(range_ms: float, width: float, least_ms: int) -> int:
    """Return the milliseconds between two points of a panel that is `width` pixels wide, at least `least_ms`."""
    exact = range_ms / width
    rounded = next((step for limit, step in _ROUND_STEPS if exact < limit), _HOUR_MS)
    return max(rounded, least_ms)


def built_in(range_ms: float, step: int, scrape_ms: int) -> dict[str, str]:
    """Return Grafana's own variables for a range, a step and a scrape interval, all in milliseconds."""
    rate = max(step + scrape_ms, 4 * scrape_ms)
    return {
        "__range": _seconds(range_ms),
        "__range_s": str(round(range_ms / 1000)),
        "__range_ms": str(round(range_ms)),
        "__interval": _duration(step),
        "__interval_ms": str(step),
        "__rate_interval": _duration(rate),
        "__rate_interval_ms": str(rate),
    }


def chosen(menus: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return what stands for each menu of `templating.list` when it is as the dashboard opens: all, or its value."""
    values: dict[str, str] = {}
    for menu in menus:
        if menu["type"] == "datasource":
            values[menu["name"]] = "prometheus"
            continue
        current = menu.get("current", {}).get("value", [])
        picked = current if isinstance(current, list) else [current]
        if "$__all" in picked or not picked:
            values[menu["name"]] = menu.get("allValue") or ".*"
        else:
            values[menu["name"]] = "|".join(re.escape(value) for value in picked)
    return values


def substitute(expression: str, values: Mapping[str, str]) -> str:
    """Return an expression with the value of each variable in its place.

    Raises:
        UnknownVariableError: It names one that has no value.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in values:
            raise UnknownVariableError(f"${name} in {expression}")
        return values[name]

    return _VARIABLE.sub(value, expression)


def _seconds(milliseconds: float) -> str:
    return f"{round(milliseconds / 1000)}s"


def _duration(milliseconds: int) -> str:
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
