"""Which numbers of a stream are settled and which are missing, beside a model that keeps a plain set."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subscriber.intake.sequences import Observation, Position, Range

NEW, DUPLICATE = Observation.NEW, Observation.DUPLICATE


@pytest.mark.parametrize(
    ("contiguous", "ahead", "sequence", "observation", "then", "highest"),
    [
        (0, [], 1, NEW, 1, 1),
        (5, [], 6, NEW, 6, 6),
        (5, [], 5, DUPLICATE, 5, 5),
        (5, [], 1, DUPLICATE, 5, 5),
        (5, [], 8, NEW, 5, 8),
        (5, [(8, 9)], 6, NEW, 6, 9),
        (5, [(7, 9)], 6, NEW, 9, 9),
        (5, [(7, 9)], 7, DUPLICATE, 5, 9),
        (5, [(7, 9)], 9, DUPLICATE, 5, 9),
        (5, [(7, 9)], 10, NEW, 5, 10),
        (5, [(7, 9), (11, 12)], 10, NEW, 5, 12),
        (None, [], 7, NEW, None, 7),
        (None, [(7, 7)], 7, DUPLICATE, None, 7),
        (None, [(7, 7)], 1, NEW, None, 7),
    ],
)
def test_observe_number_says_what_it_is(
    contiguous: int | None,
    ahead: list[Range],
    sequence: int,
    observation: Observation,
    then: int | None,
    highest: int,
) -> None:
    """Each number is new once, and the contiguous ones move over what came early."""
    position = Position(contiguous, ahead)
    assert position.observe(sequence) is observation
    assert (position.contiguous, position.highest) == (then, highest)
    assert position.settled(sequence)


def test_position_without_a_start_misses_nothing() -> None:
    """Until somebody says where a stream starts, what is below its first number may have been acknowledged."""
    position = Position()
    position.observe(500)
    assert position.missing(1000, 1000) == []
    assert not position.has_gap()


@pytest.mark.parametrize(
    ("first", "contiguous", "missing"),
    [(1, 0, [(1, 499), (503, 510)]), (500, 502, [(503, 510)]), (501, 502, [(503, 510)]), (600, 599, [])],
)
def test_begin_of_an_unknown_stream_places_what_came_early(first: int, contiguous: int, missing: list[Range]) -> None:
    """Below the start everything was acknowledged to somebody else; from there on everything counts."""
    position = Position()
    position.settle(500, 502)
    position.begin(first)
    assert position.contiguous == contiguous
    assert position.missing(510, 10_000) == missing


def test_begin_of_a_known_stream_changes_nothing() -> None:
    """Where the store stands counts more than what a publisher thinks."""
    position = Position(5, [(9, 9)])
    position.begin(20)
    position.begin(1)
    assert (position.contiguous, position.missing(9, 10)) == (5, [(6, 8)])


@pytest.mark.parametrize(
    ("last", "limit", "missing"),
    [
        (20, 100, [(3, 4), (7, 9), (12, 20)]),
        (20, 6, [(3, 4), (7, 9), (12, 12)]),
        (20, 3, [(3, 4), (7, 7)]),
        (20, 0, []),
        (8, 100, [(3, 4), (7, 8)]),
        (6, 100, [(3, 4)]),
        (2, 100, []),
    ],
)
def test_missing_is_bounded_by_number_and_by_count(last: int, limit: int, missing: list[Range]) -> None:
    """The lowest ones come first."""
    assert Position(2, [(5, 6), (10, 11)]).missing(last, limit) == missing


def test_settle_many_holes_is_quick_enough_for_each_live_number() -> None:
    """A stream with ten thousand holes takes a hundred thousand live numbers without walking over the holes."""
    position = Position(0, [(number, number) for number in range(2, 20_000, 2)])
    for sequence in range(20_001, 120_001):
        position.observe(sequence)
    assert len(position.missing(120_000, 1_000_000)) == 10_000


class Model:
    """The same, as slowly and plainly as can be."""

    def __init__(self) -> None:
        self.start: int | None = None
        self.numbers: set[int] = set()

    @property
    def contiguous(self) -> int | None:
        if self.start is None:
            return None
        number = self.start - 1
        while number + 1 in self.numbers:
            number += 1
        return number

    @property
    def highest(self) -> int:
        return max([*self.numbers, self.contiguous or 0])

    def settled(self, number: int) -> bool:
        return number in self.numbers or (self.contiguous is not None and number <= self.contiguous)

    def missing(self, last: int, limit: int) -> list[int]:
        if self.contiguous is None:
            return []
        return [number for number in range(self.contiguous + 1, last + 1) if number not in self.numbers][:limit]


_numbers = st.integers(1, 30)
_Step = Callable[[Position, Model], None]


def _observe(number: int) -> _Step:
    def step(position: Position, model: Model) -> None:
        assert (position.observe(number) is DUPLICATE) == model.settled(number)
        model.numbers.add(number)

    return step


def _settle(first: int, length: int) -> _Step:
    def step(position: Position, model: Model) -> None:
        position.settle(first, first + length)
        model.numbers |= set(range(first, first + length + 1))

    return step


def _begin(first: int) -> _Step:
    def step(position: Position, model: Model) -> None:
        position.begin(first)
        if model.start is None:
            model.start = first

    return step


_steps = st.one_of(
    st.builds(_observe, _numbers), st.builds(_settle, _numbers, st.integers(0, 8)), st.builds(_begin, _numbers)
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_steps, max_size=25), st.integers(0, 40), st.integers(0, 40))
def test_position_is_what_a_plain_set_says(steps: list[_Step], last: int, limit: int) -> None:
    """Whatever comes in whatever order, ranges and set agree on everything that can be asked."""
    position, model = Position(), Model()
    for step in steps:
        step(position, model)
        assert position.contiguous == model.contiguous
        assert position.highest == model.highest
        assert [position.settled(number) for number in range(1, 45)] == [model.settled(n) for n in range(1, 45)]
        assert position.has_gap() == bool(model.missing(model.highest, 1))
    ranges = position.missing(last, limit)
    assert [number for first, end in ranges for number in range(first, end + 1)] == model.missing(last, limit)
    assert all(end + 1 < first for (_, end), (first, _) in pairwise(ranges))
