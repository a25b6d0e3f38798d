"""What a person asks for when they add a silence, checked: the same from every way that there is to ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bus.clock import MICROSECONDS
from bus.errors import ConfigurationError
from subscriber.policy.match_file import match_of
from subscriber.store.silences import NewSilence

_LONGEST_US: Final = 366 * 86_400 * MICROSECONDS


def requested_silence(
    matchers: Mapping[str, Any],
    now_us: int,
    *,
    author: str,
    reason: str,
    starts_us: int,
    ends_us: int,
    drops: bool,
    lets_critical: bool,
) -> NewSilence:
    """Return a silence that may be added. Times are microseconds since 1970.

    Args:
        matchers: What it is to match, as in a route.
        now_us: Now.
        author: Who asks for it.
        reason: Why.
        starts_us: When it begins.
        ends_us: When it ends: after it begins, in the future, and within a year.
        drops: What falls in it is not told at its end.
        lets_critical: CRITICAL is told all the same.

    Raises:
        ConfigurationError: The match, or the time, is no good one.
    """
    match_of(matchers)
    if not max(now_us, starts_us) < ends_us <= now_us + _LONGEST_US:
        raise ConfigurationError("A silence must end in the future, after it starts, and within a year.")
    return NewSilence(
        matchers=dict(matchers),
        author=author,
        reason=reason,
        starts_us=starts_us,
        ends_us=ends_us,
        drops=drops,
        lets_critical=lets_critical,
    )
