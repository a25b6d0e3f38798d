"""Numbers as people read them: no float dust, no exponent for a price, thousands apart; lengths of time. Pure."""

from __future__ import annotations

import math
from typing import Final

_MONEY_DECIMALS: Final = 2
#: Outside of these a number is told with an exponent: as digits it would be longer than a phone's line.
_SMALLEST_IN_DIGITS: Final = 1e-9
_LARGEST_IN_DIGITS: Final = 1e15
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
#: Seconds up to which a length of time is told in the smaller unit, where it is no whole number of the larger one.
_SECONDS_UP_TO: Final = 120


def number_text(number: float, *, decimals_at_least: int = 0) -> str:
    """Say a number: 2 decimals from 1,000 on, up to 6 from 1 on, 6 significant digits below.

    Args:
        number: Any float; infinities and NaN are told by their names.
        decimals_at_least: Decimals to fill with zeros, as money has them.
    """
    magnitude = abs(number)
    if not math.isfinite(number):
        return str(number)
    if magnitude and not _SMALLEST_IN_DIGITS <= magnitude < _LARGEST_IN_DIGITS:
        return f"{number:.6g}"
    text = f"{number:,.{_decimals(magnitude)}f}" if magnitude else "0"
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(decimals_at_least, "0")
    return f"{whole}.{fraction}" if fraction else whole


def money_text(number: float) -> str:
    """Say a price: at least 2 decimals, more where it needs them."""
    return number_text(number, decimals_at_least=_MONEY_DECIMALS)


def gain_text(number: float) -> str:
    """Say a profit or loss: as money, a gain with its plus sign."""
    return ("+" if number > 0 else "") + money_text(number)


def compared_text(value: float, threshold: float) -> str:
    """Say a value against its threshold; where both would read the same although they differ, with all digits."""
    sign = ">" if value > threshold else "<" if value < threshold else "="
    left, right = number_text(value), number_text(threshold)
    if left == right and value != threshold:
        left, right = repr(value), repr(threshold)
    return f"value {left} {sign} threshold {right}"


def span_text(seconds: float) -> str:
    """Say a length of time in whole numbers, at least 1 s: 42 s, 5 min, 1 h 30 min, 2 d 4 h."""
    whole = max(1, round(seconds))
    if whole < _SECONDS_UP_TO and whole % _MINUTE:
        return f"{whole} s"
    minutes = round(whole / _MINUTE)
    if minutes < _HOUR // _MINUTE:
        return f"{minutes} min"
    hours, rest = divmod(minutes, _HOUR // _MINUTE)
    if hours < _DAY // _HOUR:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(round(minutes / _MINUTE), _DAY // _HOUR)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _decimals(magnitude: float) -> int:
    if magnitude >= 1000:
        return 2
    return 6 if magnitude >= 1 else 5 - math.floor(math.log10(magnitude))
