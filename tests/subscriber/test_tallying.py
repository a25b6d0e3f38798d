"""Counting what the numbers of a stream are, against a count number by number."""

from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from subscriber.store.numbering import Range
from subscriber.store.tallying import MOST_GAPS, Bounds, Tally, joined, runs, tallied

HIGHEST = 40
NUMBERS = st.sets(st.integers(1, HIGHEST))
RANGES = st.lists(
    st.tuples(st.integers(1, HIGHEST), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=6
)


def members(ranges: list[Range]) -> set[int]:
    return {number for low, high in ranges for number in range(low, high + 1)}


def tally_of(stored: set[int], duplicates: set[int], lost: list[Range], bounds: Bounds) -> Tally:
    return tallied(runs(sorted(stored)), runs(sorted(duplicates)), joined(sorted(lost)), bounds)


@given(NUMBERS, NUMBERS, RANGES, st.integers(1, HIGHEST), st.integers(-1, 20), st.integers(0, HIGHEST))
@example({1, 2, 3}, set(), [], 1, 2, 0)
def test_tally_is_what_counting_one_by_one_says(
    stored: set[int], duplicates: set[int], lost: list[Range], first: int, length: int, pruned_to: int
) -> None:
    bounds = Bounds(first, first + length, pruned_to)
    tally = tally_of(stored, duplicates, lost, bounds)
    inside = set(range(bounds.first, bounds.up_to + 1))
    settled = stored | duplicates | members(lost)
    missing = inside - settled
    assert tally.stored == len(inside & stored)
    assert tally.duplicate == len(inside & duplicates - stored)
    assert tally.lost == len(inside & members(lost) - stored - duplicates)
    assert tally.ahead == sum(number > bounds.up_to and number >= first for number in settled)
    assert tally.below == sum(number < first for number in settled)
    assert tally.removed == sum(number <= pruned_to for number in missing)
    assert tally.missing == len(missing) - tally.removed
    assert members(tally.gaps) == {number for number in missing if number > pruned_to}
    assert members(tally.contradictions) == members(lost) & (stored | duplicates)
    beyond = bounds.up_to
    while beyond + 1 in settled:
        beyond += 1
    assert tally.settled_to == beyond


@given(RANGES)
def test_joined_ranges_hold_the_same_and_never_touch(ranges: list[Range]) -> None:
    found = list(joined(sorted(ranges)))
    assert members(found) == members(ranges)
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(found))


def test_tally_names_few_gaps_and_counts_them_all() -> None:
    """A stream that is broken everywhere costs little memory."""
    tally = tally_of(set(range(1, 1001, 2)), set(), [], Bounds(1, 1000))
    assert (tally.missing, len(tally.gaps)) == (500, MOST_GAPS)


def test_tally_of_huge_ranges_takes_no_time() -> None:
    """A forged stream may have any number."""
    tally = tally_of(set(), set(), [(1, 2**62)], Bounds(1, 2**62 + 5))
    assert (tally.lost, tally.gaps) == (2**62, [(2**62 + 1, 2**62 + 5)])
