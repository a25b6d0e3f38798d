"""Durations as people write them: `30s`, `5min`, `1h30min`, `2d`, or `never`. Pure."""

from __future__ import annotations

import re
from typing import Final

MICROSECONDS: Final = 1_000_000
NEVER: Final = "never"

_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SHOWN_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_PART: Final = re.compile(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|min|m|h|d|w)", re.ASCII)
_FORM: Final = 'must be a duration such as "30s", "5min", "1h30min" or "2d"'


def parse_duration(text: str) -> int | None:
    """Return the microseconds of a duration, or None for `never`.

    Raises:
        ValueError: The text has another form; the message never shows it.
    """
    if text.strip().lower() == NEVER:
        return None
    rest, seconds = text.strip(), 0.0
    while rest:
        part = _PART.match(rest)
        if part is None:
            raise ValueError(_FORM)
        seconds += float(part[1]) * _UNIT_SECONDS[part[2]]
        rest = rest[part.end() :].lstrip()
    if not text.strip():
        raise ValueError(_FORM)
    return round(seconds * MICROSECONDS)


def duration_text(microseconds: int | None) -> str:
    """Return a duration as `parse_duration` reads it: `1h30min`; parts of a second stay parts of it."""
    if microseconds is None:
        return NEVER
    rest, parts = microseconds / MICROSECONDS, []
    for unit, seconds in _SHOWN_UNITS[:-1]:
        count = int(rest // seconds)
        rest -= count * seconds
        if count:
            parts.append(f"{count}{unit}")
    if rest or not parts:
        parts.append(f"{round(rest, 6):g}s")
    return "".join(parts)
