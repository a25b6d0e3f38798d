"""What alertbus does with odd values from a trading loop, in one place (docs/alerts.md is the same as a table).

A number that is not finite, a text that is too long or not valid Unicode, a structure that is too large: each is
turned into something that can be carried and read, and what was changed is told in the alert's `altered`.
What has no sensible reading (a list for a price) is left alone, so that validation names the field.
Pure; runs on the caller's thread, and only when a value is odd or structured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Final

type_of_missing: Final = frozenset({"NAType", "NaTType"})  # pandas' "no value", known by name: pandas is not imported

#: Characters of the text that says what a replaced value was.
ALTERED_TEXT_LIMIT: Final = 120
#: Levels of lists and mappings that are kept; deeper ones become text.
DEPTH_LIMIT: Final = 8
_INT64: Final = range(-(2**63), 2**64)

PlainData = None | bool | int | float | str | list["PlainData"] | dict[str, "PlainData"]


def text_of(value: object, limit: int) -> str:
    """Say any object in at most `limit` characters of valid Unicode; never raises, whatever its `__str__` does."""
    try:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else str(value)
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything, and trading must not hear of it
        text = f"<{type(value).__name__}>"
    return shorten(valid_unicode(text), limit)


def valid_unicode(text: str) -> str:
    """Replace lone surrogates, which no encoder takes, by U+FFFD."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def shorten(text: str, limit: int) -> str:
    """Cut a text to `limit` characters, the last of which is then an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def number_of(value: object) -> tuple[object, str | None]:
    """Turn a number of any library into a finite float.

    Returns:
        The float and None; None and the value's text where it has no finite value; or the value itself where it is
        no number, for validation to refuse.
    """
    if value is None or type(value).__name__ in type_of_missing:
        return None, None
    if not isinstance(value, Number | str) and not hasattr(value, "__float__"):
        return value, None
    try:
        number = float(value)
    except OverflowError:
        return None, text_of(value, ALTERED_TEXT_LIMIT)
    except Exception:  # noqa: BLE001 - a foreign __float__ may raise anything; validation then names the field
        return value, None
    if math.isfinite(number):
        return number, None
    return None, str(number)


class Plain:
    """Turns nested data into what msgpack and JSON carry, within a budget of encoded bytes."""

    def __init__(self, budget_bytes: int) -> None:
        """Set how many encoded bytes the result may take."""
        self._left = budget_bytes
        self.cut = False

    def convert(self, value: object, depth: int = 0) -> PlainData:
        """Return plain data; what does not fit is replaced by an ellipsis, and `cut` is set."""
        if value is None or isinstance(value, bool):
            return self._spend(value, 1)
        if isinstance(value, float | int) or hasattr(value, "__float__"):
            return self._number(value)
        if isinstance(value, Mapping) and depth < DEPTH_LIMIT:
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset) and depth < DEPTH_LIMIT:
            return self._sequence(value, depth)
        listed = _as_list(value)
        if listed is not None and depth < DEPTH_LIMIT:
            return self.convert(listed, depth)
        return self._text(value)

    def _spend(self, value: PlainData, size: int) -> PlainData:
        self._left -= size
        if self._left >= 0:
            return value
        self.cut = True
        return "…"

    def _number(self, value: object) -> PlainData:
        if isinstance(value, int) and value in _INT64:
            return self._spend(int(value), 9)
        number, text = number_of(value)
        if isinstance(number, float):
            return self._spend(number, 9)
        listed = _as_list(value)  # an array of several numbers has __float__ and refuses to use it
        return self.convert(listed, 1) if isinstance(listed, list) else self._text(text or value)

    def _text(self, value: object) -> PlainData:
        limit = max(self._left // 4, 1)  # four bytes are the most that a character takes
        text = text_of(value, limit)
        if text.endswith("…"):
            self.cut = True
        return self._spend(text, len(text.encode()) + 5)

    def _mapping(self, value: Mapping[object, object], depth: int) -> PlainData:
        self._left -= 5
        result: dict[str, PlainData] = {}
        for key, item in value.items():
            if self._left <= 0:
                self.cut = True
                break
            name = text_of(key, 128)
            self._left -= len(name.encode()) + 5
            result[name] = self.convert(item, depth + 1)
        return result

    def _sequence(self, value: Iterable[object], depth: int) -> PlainData:
        self._left -= 5
        result: list[PlainData] = []
        for item in value:
            if self._left <= 0:
                self.cut = True
                break
            result.append(self.convert(item, depth + 1))
        return result


def _as_list(value: object) -> object | None:
    """Return the list behind a numpy array or a pandas series, or None."""
    convert = getattr(value, "tolist", None)
    if not callable(convert):
        return None
    try:
        listed: object = convert()
    except Exception:  # noqa: BLE001 - a foreign method may raise anything; the value is then told as text
        return None
    return listed if isinstance(listed, list | float | int | str) else None
