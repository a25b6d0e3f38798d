"""Rules and routes of alarms with every time divided by a factor, so that a day of them fits into a test.

What is divided: ranges and offsets of expressions (`[5m]`), `for` and `keep_firing_for`, the times of Alertmanager's
routes, and numbers that an age is compared with: the right side of a comparison whose left side has `time() -`.
Bounds of latencies are no ages and stay; so do shares, sizes and counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

_SECONDS: Final = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
    "y": 31_536_000.0,
}
_PART: Final = re.compile(r"(\d+)(ms|[smhdwy])")
_DURATION: Final = r"(?:\d+(?:ms|[smhdwy]))+"
_RANGE: Final = re.compile(rf"\[({_DURATION})(?::({_DURATION})?)?\]")
_OFFSET: Final = re.compile(rf"\boffset ({_DURATION})")
#: An age, which ends with the parenthesis that its `time()` stands in, or with the selector; and what it is held to.
_AGE: Final = re.compile(r"(time\(\) - [^<>]*?(?:<=|>=|<|>)(?: bool)? *)(\d+(?:\.\d+)?(?: \* \d+(?:\.\d+)?)*)")
_FORECAST: Final = re.compile(r"(predict_linear\([^\[]*\[[^\]]*\], *)(\d+(?:\.\d+)?(?: \* \d+(?:\.\d+)?)*)")
_ROUTE_TIMES: Final = ("group_wait", "group_interval", "repeat_interval")


def seconds_of(duration: str) -> float:
    """Return a duration of Prometheus, such as `1h30m`, in seconds.

    Raises:
        ValueError: It is none.
    """
    if not re.fullmatch(_DURATION, duration):
        raise ValueError(f"not a duration: {duration!r}")
    return sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(duration))


def scaled_duration(duration: str, factor: float) -> str:
    """Return a duration divided by a factor, in milliseconds and at least one; 0 stays 0."""
    milliseconds = seconds_of(duration) * 1000 / factor
    return f"{max(round(milliseconds), 1) if milliseconds else 0}ms"


def scaled_expression(expression: str, factor: float) -> str:
    """Return an expression of PromQL with its times divided by a factor."""
    ages = _AGE.sub(lambda found: f"{found[1]}{_divided(found[2], factor)}", expression)
    forecasts = _FORECAST.sub(lambda found: f"{found[1]}{_divided(found[2], factor)}", ages)
    offsets = _OFFSET.sub(lambda found: f"offset {scaled_duration(found[1], factor)}", forecasts)
    return _RANGE.sub(lambda found: _scaled_range(found, factor), offsets)


def scaled_rules(document: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Return a file of rules, as YAML is read, with its times divided by a factor and evaluated each second."""
    scaled = deepcopy(dict(document))
    for group in scaled["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            rule["expr"] = scaled_expression(rule["expr"], factor)
            for name in ("for", "keep_firing_for"):
                if name in rule:
                    rule[name] = scaled_duration(rule[name], factor)
    return scaled


def scaled_routes(route: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Return a route of Alertmanager and those below it with their times divided by a factor."""
    scaled = dict(route)
    for name in _ROUTE_TIMES:
        if name in scaled:
            scaled[name] = scaled_duration(scaled[name], factor)
    if "routes" in scaled:
        scaled["routes"] = [scaled_routes(below, factor) for below in scaled["routes"]]
    return scaled


def _scaled_range(found: re.Match[str], factor: float) -> str:
    if ":" not in found[0]:
        return f"[{scaled_duration(found[1], factor)}]"
    resolution = "" if found[2] is None else scaled_duration(found[2], factor)
    return f"[{scaled_duration(found[1], factor)}:{resolution}]"


def _divided(number: str, factor: float) -> str:
    product = 1.0
    for part in number.split("*"):
        product *= float(part)
    return f"{product / factor:g}"
