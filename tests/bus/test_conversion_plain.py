"""The rules for structures: what becomes of each value, and that the work and the result are bounded."""

from __future__ import annotations

import array
import math
from collections import deque, namedtuple
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.conversion import (
    DEPTH_LIMIT,
    ELLIPSIS,
    KEY_LIMIT,
    Plain,
    PlainData,
)
from tests.bus.odd_values import (
    BrokenMapping,
    EndlessList,
    NaTType,
    NAType,
    Nonsense,
    NumberThatListsItself,
    Raises,
    Side,
    Untouchable,
)
from tests.bus.strategies import anything, examples

BUDGET = 8 * 1024


def plain(value: object, budget_bytes: int = BUDGET) -> PlainData:
    return Plain(budget_bytes).convert(value)


def packed_bytes(value: object) -> int:
    packed: bytes = msgpack.packb(value)
    return len(packed)


Point = namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind is what older code has


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (-(2**63), -(2**63)),
        (2**64 - 1, 2**64 - 1),
        (2**64, float(2**64)),
        (-(2**63) - 1, float(-(2**63) - 1)),
        (10**400, str(10**400)),
        (1.5, 1.5),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ("text", "text"),
        ("a\ud800", "a\ufffd"),
        (b"bytes", "bytes"),
        (Decimal("0.1"), 0.1),
        (Decimal("sNaN"), "sNaN"),
        (Fraction(1, 4), 0.25),
        (1 + 2j, "(1+2j)"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00"),
        ((1, 2), [1, 2]),
        (Point(1, 2), [1, 2]),
        ({3}, [3]),
        (frozenset({3}), [3]),
        (deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        ({"a": 1}.keys(), ["a"]),
        (array.array("d", [0.5]), [0.5]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({1: "a", None: "b", b"c": "c", (1, 2): "d"}, {"1": "a", "None": "b", "c": "c", "(1, 2)": "d"}),
        (np.int64(2**60 + 1), 2**60 + 1),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), "nan"),
        (np.longdouble(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (np.datetime64("2026-01-01"), "2026-01-01"),
        (np.array(0.5), 0.5),
        (np.array([0.5]), [0.5]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([None, {"a": 1}], dtype=object), [None, {"a": 1}]),
        (Side.LONG, 1),
        (NAType(), None),
        (NaTType(), None),
    ],
)
def test_plain_of_value_is_its_nearest_plain_data(value: object, result: PlainData) -> None:
    converted = plain(value)
    assert converted == result
    assert type(converted) is type(result)


@pytest.mark.parametrize("hostile", [Raises, Nonsense, Untouchable])
def test_plain_of_hostile_object_is_name_of_its_type(hostile: type) -> None:
    assert plain({"a": hostile(), "b": 1}) == {"a": f"<{hostile.__name__}>", "b": 1}


def test_plain_of_hostile_key_is_name_of_its_type() -> None:
    assert plain({Raises(): 1}) == {"<Raises>": 1}


def test_plain_of_mapping_that_changes_while_it_is_read_is_its_text() -> None:
    assert plain({"a": BrokenMapping()}) == {"a": "changing"}


def test_plain_of_number_that_lists_itself_is_the_number() -> None:
    assert plain(NumberThatListsItself(0.5)) == 0.5


def test_plain_of_long_key_is_cut() -> None:
    converted = plain({"k" * 1000: 1})
    assert converted == {"k" * (KEY_LIMIT - 1) + ELLIPSIS: 1}


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_plain_within_depth_limit_is_whole() -> None:
    structure = Plain(BUDGET)
    assert structure.convert(nested(DEPTH_LIMIT)) == nested(DEPTH_LIMIT)
    assert not structure.cut


@pytest.mark.parametrize("deep", [nested(DEPTH_LIMIT + 1), nested(100_000), EndlessList()])
def test_plain_beyond_depth_limit_ends_in_ellipsis(deep: object) -> None:
    structure = Plain(BUDGET)
    assert str(structure.convert(deep)) == "[" * DEPTH_LIMIT + f"'{ELLIPSIS}'" + "]" * DEPTH_LIMIT
    assert structure.cut


def test_plain_of_deep_mapping_ends_in_ellipsis() -> None:
    deep: dict[str, Any] = {}
    deep["self"] = deep
    assert str(plain(deep)).count("self") == DEPTH_LIMIT


def test_plain_of_list_that_holds_itself_many_times_is_bounded() -> None:
    """Ten branches on eight levels would be a hundred million lists."""
    wide: list[Any] = []
    wide.extend([wide] * 10)
    assert packed_bytes(plain(wide)) <= BUDGET


@pytest.mark.parametrize(
    "huge",
    [
        range(10**12),
        np.broadcast_to(np.float64(0.5), (10**12,)),
        np.broadcast_to(np.float64(0.5), (10**6, 10**6)),
        {"a": np.broadcast_to(np.float64(0.5), (3, 10**12))},
        "x" * 10_000_000,
        b"x" * 10_000_000,
        [None] * 1_000_000,
        dict.fromkeys(range(100_000)),
    ],
    ids=["range", "array", "matrix", "wide matrix", "text", "bytes", "list", "dictionary"],
)
def test_plain_of_huge_value_is_cut_to_budget(huge: object) -> None:
    """Only what can be carried is looked at: 10**12 numbers would take hours."""
    structure = Plain(BUDGET)
    assert packed_bytes(structure.convert(huge)) <= BUDGET
    assert structure.cut


def test_plain_of_text_that_just_fits_is_whole() -> None:
    room = BUDGET - 8 - 5  # the ellipsis that may have to follow, and the text's own header
    structure = Plain(BUDGET)
    assert structure.convert("x" * room) == "x" * room
    assert not structure.cut


def test_plain_of_text_one_character_too_long_ends_in_ellipsis() -> None:
    room = BUDGET - 8 - 5
    assert plain("x" * (room + 1)) == "x" * (room - 3) + ELLIPSIS


def test_plain_of_text_that_ends_in_ellipsis_is_not_cut() -> None:
    structure = Plain(BUDGET)
    assert structure.convert("wait…") == "wait…"
    assert not structure.cut


def test_plain_after_budget_is_spent_keeps_what_came_first() -> None:
    converted = plain({"first": 1, "text": "x" * 100_000, "last": 2})
    assert isinstance(converted, dict)
    assert list(converted) == ["first", "text"]


@examples(80)
@given(anything(), st.integers(16, 600))
def test_plain_of_anything_is_packed_within_budget(value: object, budget_bytes: int) -> None:
    assert packed_bytes(plain(value, budget_bytes)) <= budget_bytes


@examples(80)
@given(anything(), st.integers(16, 600))
def test_plain_of_plain_data_is_the_same(value: object, budget_bytes: int) -> None:
    """A daemon meets the same values by the same rules, and must not change them once more."""
    once = plain(value, budget_bytes)
    assert plain(once, budget_bytes) == once
