"""What alertbus does with odd values from a trading loop, in one place (docs/alerts.md is the same as a table).

A number that is not finite, a text that is too long or not valid Unicode, a structure that is too large: each is
turned into something that can be carried and read, and what was changed is told in the alert's `altered`.
What has no sensible reading (a list for a price) is left alone, so that validation names the field.
Pure; runs on the caller's thread, and only when a value is odd or structured: so the work is bounded by what can be
carried, never by the size of what was given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from itertools import islice
from numbers import Number
from typing import Final

_TYPES_OF_MISSING: Final = frozenset({"NAType", "NaTType"})  # pandas' "no value", known by name: pandas is not imported

#: Characters of the text that says what a replaced value was.
ALTERED_TEXT_LIMIT: Final = 120
#: Levels of lists and mappings that are kept; deeper ones become an ellipsis.
DEPTH_LIMIT: Final = 8
#: Characters of a key in a structure.
KEY_LIMIT: Final = 128
#: What stands for whatever was left out.
ELLIPSIS: Final = "…"

# The bytes that a value takes at most in msgpack, its header included.
_NUMBER_BYTES: Final = 9
_HEADER_BYTES: Final = 5
_ELLIPSIS_BYTES: Final = len(ELLIPSIS.encode()) + _HEADER_BYTES
# Comparisons, because `in range()` walks through all of the range for an IntEnum.
_SMALLEST_INTEGER: Final = -(2**63)
_LARGEST_INTEGER: Final = 2**64 - 1

PlainData = None | bool | int | float | str | list["PlainData"] | dict[str, "PlainData"]


def text_of(value: object, limit: int) -> str:
    """Say any object in at most `limit` characters of valid Unicode; never raises, whatever its `__str__` does."""
    try:
        # Cut first, with room for what joins to fewer characters: a text may be of any size.
        if isinstance(value, bytes | bytearray):
            text = value[: 4 * limit + 4].decode("utf-8", "replace")
        else:
            text = valid_unicode(str(value)[: 2 * limit + 2])
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything, and trading must not hear of it
        text = f"<{type(value).__name__}>"
    return shorten(text, limit)


def valid_unicode(text: str) -> str:
    """Join pairs of surrogates, and replace each lone one, which no encoder takes, by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def shorten(text: str, limit: int) -> str:
    """Cut a text to `limit` characters, the last of which is then an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + ELLIPSIS


def number_of(value: object) -> tuple[object, str | None]:
    """Turn a number of any library into a finite float.

    Returns:
        The float and None; None and the value's text where it has no finite value; or the value itself where it is
        no number, for validation to refuse.
    """
    if value is None or type(value).__name__ in _TYPES_OF_MISSING:
        return None, None
    try:
        single = _only_item(value)
        if not isinstance(single, Number | str) and not hasattr(single, "__float__"):
            return value, None
        number = math.nan if isinstance(single, Decimal) and single.is_snan() else float(single)
    except OverflowError:
        return None, text_of(value, ALTERED_TEXT_LIMIT)
    except Exception:  # noqa: BLE001 - a foreign __float__ may raise anything; validation then names the field
        return value, None
    if math.isfinite(number):
        return number, None
    return None, text_of(single, ALTERED_TEXT_LIMIT)


class Plain:
    """Turns nested data into what msgpack and JSON carry, within a budget of encoded bytes."""

    def __init__(self, budget_bytes: int) -> None:
        """Set how many encoded bytes the result may take."""
        self._left = budget_bytes - _ELLIPSIS_BYTES  # room for the one that ends a structure which is too large
        self.cut = False

    def convert(self, value: object, depth: int = 0) -> PlainData:
        """Return plain data; what does not fit is replaced by an ellipsis, and `cut` is set. Never raises."""
        try:
            return self._converted(value, depth)
        except Exception:  # noqa: BLE001 - a foreign object may raise at any touch, another thread may change it
            return self._text(value)

    def _converted(self, value: object, depth: int) -> PlainData:
        if value is None or type(value).__name__ in _TYPES_OF_MISSING:
            return self._spend(None, 1)
        if isinstance(value, bool):
            return self._spend(value, 1)
        if isinstance(value, str | bytes | bytearray):
            return self._text(value)
        if isinstance(value, int | float):
            return self._number(value)
        if isinstance(value, Mapping):
            return self._mapping(value, depth) if depth < DEPTH_LIMIT else self._too_deep()
        if isinstance(value, Sequence | AbstractSet):
            return self._sequence(value, depth) if depth < DEPTH_LIMIT else self._too_deep()
        listed = _as_list(value, self._left)
        if listed is not None:
            return self.convert(listed, depth)
        return self._number(value) if hasattr(value, "__float__") else self._text(value)

    def _spend(self, value: PlainData, size: int) -> PlainData:
        if size <= self._left:
            self._left -= size
            return value
        self._left = 0
        self.cut = True
        return ELLIPSIS

    def _opened(self) -> bool:
        return self._spend(None, _HEADER_BYTES) is None

    def _too_deep(self) -> PlainData:
        self.cut = True
        return self._spend(ELLIPSIS, _ELLIPSIS_BYTES)

    def _number(self, value: object) -> PlainData:
        if isinstance(value, int) and _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER:
            return self._spend(int(value), _NUMBER_BYTES)
        number = value if type(value) is float and math.isfinite(value) else number_of(value)[0]
        return self._spend(number, _NUMBER_BYTES) if isinstance(number, float) else self._text(value)

    def _text(self, value: object) -> PlainData:
        room = self._left - _HEADER_BYTES
        text = text_of(value, max(room, 0) + 1)
        encoded = text.encode()
        if len(encoded) > room >= _ELLIPSIS_BYTES:
            self.cut = True
            encoded = encoded[: room - len(ELLIPSIS.encode())]
            text = encoded.decode("utf-8", "ignore") + ELLIPSIS
        return self._spend(text, len(text.encode()) + _HEADER_BYTES)

    def _mapping(self, value: Mapping[object, object], depth: int) -> PlainData:
        result: dict[str, PlainData] = {}
        # A copy in one step: another thread may change it meanwhile, and of what is large only the beginning fits.
        items = list(islice(value.items(), self._left))
        if not self._opened():
            return ELLIPSIS
        for key, item in items:
            name = text_of(key, KEY_LIMIT)
            size = len(name.encode()) + _HEADER_BYTES
            if size >= self._left:
                self._left = 0
                self.cut = True
                break
            self._left -= size
            result[name] = self.convert(item, depth + 1)
        return result

    def _sequence(self, value: Sequence[object] | AbstractSet[object], depth: int) -> PlainData:
        result: list[PlainData] = []
        items = list(islice(value, self._left))
        if not self._opened():
            return ELLIPSIS
        for item in items:
            if self._left <= 0:
                self.cut = True
                break
            result.append(self.convert(item, depth + 1))
        return result


def _only_item(value: object) -> object:
    """Return the number in an array of one, which is how many environments give a reward; else the value itself."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "size", None) == 1 else value


def _as_list(value: object, limit: int) -> object | None:
    """Return what stands behind a numpy scalar, the first items of an array or a pandas series, or None."""
    convert = getattr(value, "tolist", None)
    if not callable(convert):
        return None
    dimensions = getattr(value, "ndim", 0)
    if dimensions > 1:
        return list(value[: limit + 1])  # type: ignore[index]  # rows, each of which is cut in its turn
    if dimensions == 1 and len(value) > limit:  # type: ignore[arg-type]  # what has dimensions has a length
        convert = value[: limit + 1].tolist  # type: ignore[index]  # and a beginning
    listed: object = convert()
    return listed if type(listed) in {list, float, int, str, bool} else None
