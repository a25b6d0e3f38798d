"""Which texts a list of words, globs and exclusions allows."""

from __future__ import annotations

import pytest

from subscriber.policy.patterns import Patterns, texts_of, words_of


@pytest.mark.parametrize(
    ("words", "allowed", "refused"),
    [
        (["U*"], ["U", "UPRO"], ["TNA", "u", "", None]),
        (["T?A"], ["TNA"], ["TA", "TNNA"]),
        (["[AB]1", "C"], ["A1", "B1", "C"], ["C1"]),
        (["[!AB]1"], ["C1"], ["A1"]),
        (["U*", "!UPRO"], ["UVXY"], ["UPRO", None]),
        (["TNA", "!T*"], [], ["TNA"]),
        (["!UPRO"], ["TNA", "", None], ["UPRO"]),
        (["!backtest-*"], ["ppo", None], ["backtest-1"]),
        (["*"], ["", "any"], [None]),
        (["!*"], [None], ["", "any"]),
        (["BRK.B", "x*"], ["BRK.B"], ["BRKxB"]),
        (["a*"], ["a\nb"], ["b\na"]),
    ],
)
def test_patterns_allow_what_they_say(words: list[str], allowed: list[str | None], refused: list[str | None]) -> None:
    """None is an alert that has no such text: only exclusions allow it."""
    texts = texts_of(words)
    assert isinstance(texts, Patterns)
    assert [text for text in allowed if text not in texts] == []
    assert [text for text in refused if text in texts] == []


def test_texts_of_whole_words_are_a_plain_set() -> None:
    """The common case costs one lookup."""
    assert texts_of(["TNA", "UPRO"]) == frozenset({"TNA", "UPRO"})


def test_words_of_texts_are_those_that_were_given() -> None:
    assert words_of(texts_of(["U*", "!UPRO"])) == ["U*", "!UPRO"]
    assert words_of(texts_of(["UPRO", "TNA"])) == ["TNA", "UPRO"]


def test_patterns_are_equal_by_their_words() -> None:
    assert texts_of(["U*"]) == texts_of(["U*"]) != texts_of(["V*"])
    assert len({texts_of(["U*"]), texts_of(["U*"])}) == 1


def test_patterns_of_many_stars_answer_at_once() -> None:
    """A pattern that a person wrote badly must not hold up the bus."""
    assert "a" * 128 not in texts_of(["*a" * 60 + "b"])
