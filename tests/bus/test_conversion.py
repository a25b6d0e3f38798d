"""The rules for odd texts and numbers, each on its own; structures are in test_conversion_plain.py."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.conversion import (
    ALTERED_TEXT_LIMIT,
    ELLIPSIS,
    number_of,
    shorten,
    text_of,
    valid_unicode,
)
from tests.bus.odd_values import (
    EndlessList,
    NaTType,
    NAType,
    Nonsense,
    Raises,
    Side,
    Untouchable,
)
from tests.bus.strategies import anything, examples

# --- text -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        (b"caf\xc3\xa9", "café"),
        (bytearray(b"ab"), "ab"),
        (b"\xff\xfeA", "\ufffd\ufffdA"),
        (ValueError("too low"), "too low"),
        (5, "5"),
        (None, "None"),
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),
        ("\udcff\udcfe", "\ufffd\ufffd"),
    ],
)
def test_text_of_any_value_is_valid_unicode(value: object, text: str) -> None:
    assert text_of(value, 100) == text


@pytest.mark.parametrize("hostile", [Raises, Nonsense, Untouchable])
def test_text_of_hostile_object_is_name_of_its_type(hostile: type) -> None:
    assert text_of(hostile(), 100) == f"<{hostile.__name__}>"


def test_text_of_integer_beyond_pythons_digit_limit_is_name_of_its_type() -> None:
    assert text_of(10**5000, 100) == "<int>"


@pytest.mark.parametrize("value", ["x" * 11, "😀" * 11, b"x" * 11, "😀".encode() * 11, b"\xff" * 50, "\ud800" * 50])
def test_text_of_long_value_is_cut_to_limit_with_ellipsis(value: object) -> None:
    text = text_of(value, 10)
    assert len(text) == 10
    assert text.endswith(ELLIPSIS)


@pytest.mark.parametrize("value", ["x" * 10, "😀" * 10, b"x" * 10, "\ud83d\ude00" * 10])
def test_text_of_value_at_limit_is_not_cut(value: object) -> None:
    text = text_of(value, 10)
    assert len(text) == 10
    assert ELLIPSIS not in text


@examples(80)
@given(anything(), st.integers(1, 50))
def test_text_of_anything_is_encodable_within_limit(value: object, limit: int) -> None:
    text = text_of(value, limit)
    assert len(text) <= limit
    text.encode()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_valid_unicode_of_valid_text_is_the_text(text: str) -> None:
    assert valid_unicode(text) == text


def test_shorten_at_limit_keeps_text() -> None:
    assert shorten("abc", 3) == "abc"


def test_shorten_beyond_limit_ends_in_ellipsis() -> None:
    assert shorten("abcd", 3) == "ab…"


# --- numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1.5, 1.5),
        (7, 7.0),
        (True, 1.0),
        ("41.20", 41.2),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 4), 0.25),
        (np.float64(1.5), 1.5),
        (np.float32(1.5), 1.5),
        (np.float16(1.5), 1.5),
        (np.longdouble(1.5), 1.5),
        (np.int64(-3), -3.0),
        (np.uint8(3), 3.0),
        (np.bool_(True), 1.0),
        (np.array(1.5), 1.5),
        (np.array([1.5]), 1.5),
        (np.array([[1.5]]), 1.5),
        (Side.LONG, 1.0),
    ],
)
def test_number_of_finite_value_is_float(value: object, number: float) -> None:
    result, was = number_of(value)
    assert type(result) is float
    assert (result, was) == (number, None)


@pytest.mark.parametrize(
    ("value", "was"),
    [
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ("NaN", "NaN"),
        (np.float32("nan"), "nan"),
        (np.array([math.inf]), "inf"),
        (Decimal("NaN"), "NaN"),
        (Decimal("sNaN"), "sNaN"),
        (Decimal("-Infinity"), "-Infinity"),
        (Decimal("1E+400"), "1E+400"),
        (Fraction(10**400), shorten(str(10**400), ALTERED_TEXT_LIMIT)),
        (10**400, shorten(str(10**400), ALTERED_TEXT_LIMIT)),
    ],
)
def test_number_of_value_without_finite_float_is_none_and_its_text(value: object, was: str) -> None:
    assert number_of(value) == (None, was)


def test_number_of_integer_beyond_pythons_digit_limit_is_none_and_name_of_its_type() -> None:
    assert number_of(10**5000) == (None, "<int>")


@pytest.mark.parametrize("value", [None, NAType(), NaTType()])
def test_number_of_missing_value_is_none_and_nothing_to_tell(value: object) -> None:
    assert number_of(value) == (None, None)


@pytest.mark.parametrize(
    "value",
    [
        "abc", [1.0], {}, b"1", object(), 1 + 2j, np.array([1.0, 2.0]), np.datetime64("2026-01-01"), np.array(["abc"]),
        Raises(), Nonsense(), EndlessList(), datetime(2026, 1, 1, tzinfo=UTC), float,
    ],
)  # fmt: skip
def test_number_of_what_is_no_number_is_the_value_itself(value: object) -> None:
    """Validation then refuses it and names the field."""
    result, was = number_of(value)
    assert result is value
    assert was is None


def test_number_of_untouchable_object_is_the_object_itself() -> None:
    value = Untouchable()
    result, _was = number_of(value)
    assert result is value
