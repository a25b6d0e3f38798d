"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriber.policy.durations import duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        (" 5min ", 300),
        ("5m", 300),
        ("1h", 3600),
        ("2d", 172_800),
        ("1w", 604_800),
        ("1h30min", 5400),
        ("1 h 30 min", 5400),
        ("0.5s", 0.5),
        ("250ms", 0.25),
        ("0s", 0),
    ],
)
def test_parse_duration_adds_up_its_parts(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds * 1_000_000


def test_parse_duration_of_never_is_none() -> None:
    assert parse_duration("Never") is None


@pytest.mark.parametrize(
    "text", ["", " ", "5", "min", "5 minutes", "-5s", "1e9s", "5s!", "\u0665s", "1h,5s", "9999999999s"]
)
def test_parse_duration_refuses_other_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r'^must be a duration such as "30s"') as caught:
        parse_duration(text)
    assert text.strip() == "" or text not in str(caught.value).replace("5min", "").replace("1h30min", "")


@given(st.integers(0, 10**15).map(lambda number: number - number % 1000))
def test_duration_text_is_read_as_the_same(microseconds: int) -> None:
    assert parse_duration(duration_text(microseconds)) == microseconds


def test_duration_text_is_what_people_write() -> None:
    assert [duration_text(value) for value in (None, 0, 5_400_000_000, 172_800_000_000, 1_500_000)] == [
        "never",
        "0s",
        "1h30min",
        "2d",
        "1.5s",
    ]
