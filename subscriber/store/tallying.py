"""Counts what the numbers of a stream are: stored, duplicate, lost, or missing. Pure; any length in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from subscriber.store.numbering import Range

#: Missing ranges that are named one by one.
MOST_GAPS: Final = 50

_STORED: Final = 0
_DUPLICATE: Final = 1
_LOST: Final = 2


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which part of a stream has to be settled, and how far retention went in it."""

    first: int
    up_to: int
    pruned_to: int = 0  #: the highest number that retention removed; 0 when it removed none


@dataclass(slots=True)
class Tally:
    """What the numbers of one stream are."""

    stored: int = 0
    duplicate: int = 0  #: and not stored
    lost: int = 0  #: and neither stored nor a duplicate
    ahead: int = 0  #: settled above `up_to`
    below: int = 0  #: settled below `first`
    removed: int = 0  #: missing up to `pruned_to`
    missing: int = 0  #: missing above it
    gaps: list[Range] = field(default_factory=list)  #: where, at most MOST_GAPS
    contradictions: list[Range] = field(default_factory=list)  #: lost and yet there, at most MOST_GAPS
    settled_to: int = 0  #: every number from `up_to` to here is settled: what may have been acknowledged


def runs(numbers: Iterable[int]) -> Iterator[Range]:
    """Fold rising numbers, of which some may stand twice, into ranges."""
    return joined((number, number) for number in numbers)


def joined(ranges: Iterable[Range]) -> Iterator[Range]:
    """Join ranges that touch or overlap; they come in the order of their first numbers."""
    current: Range | None = None
    for low, high in ranges:
        if current is None:
            current = (low, high)
        elif low <= current[1] + 1:
            if high > current[1]:
                current = (current[0], high)
        else:
            yield current
            current = (low, high)
    if current is not None:
        yield current


def tallied(stored: Iterable[Range], duplicates: Iterable[Range], lost: Iterable[Range], bounds: Bounds) -> Tally:
    """Say what each number is; each argument's ranges rise and neither touch nor overlap one another."""
    tally = Tally(settled_to=max(bounds.up_to, bounds.first - 1))
    wanted = bounds.first  # the lowest number of which nothing is known yet
    for low, high, what, contradicts in _segments([iter(stored), iter(duplicates), iter(lost)]):
        if contradicts and len(tally.contradictions) < MOST_GAPS:
            tally.contradictions.append((low, high))
        tally.below += max(min(high, bounds.first - 1) - low + 1, 0)
        tally.ahead += max(high - max(low, bounds.up_to + 1, bounds.first) + 1, 0)
        inside = max(min(high, bounds.up_to) - max(low, bounds.first) + 1, 0)
        if what == _STORED:
            tally.stored += inside
        elif what == _DUPLICATE:
            tally.duplicate += inside
        else:
            tally.lost += inside
        _note_gap(tally, bounds, wanted, min(low - 1, bounds.up_to))
        wanted = max(wanted, high + 1)
        if low <= tally.settled_to + 1:
            tally.settled_to = max(tally.settled_to, high)
    _note_gap(tally, bounds, wanted, bounds.up_to)
    return tally


def _note_gap(tally: Tally, bounds: Bounds, first: int, last: int) -> None:
    if first > last:
        return
    split = min(last, max(bounds.pruned_to, first - 1))
    tally.removed += split - first + 1
    if split < last:
        tally.missing += last - split
        if len(tally.gaps) < MOST_GAPS:
            tally.gaps.append((split + 1, last))


def _segments(kinds: list[Iterator[Range]]) -> Iterator[tuple[int, int, int, bool]]:
    """Cut overlapping ranges of several kinds into segments that overlap nowhere.

    Each is (low, high, the first of its kinds, whether it is lost and something else as well).
    """
    heads = [next(kind, None) for kind in kinds]
    while any(heads):
        low = min(head[0] for head in heads if head)
        here = [number for number, head in enumerate(heads) if head and head[0] == low]
        high = min(
            [head[1] for head in heads if head and head[0] == low]
            + [head[0] - 1 for head in heads if head and head[0] > low]
        )
        yield low, high, here[0], _LOST in here and len(here) > 1
        for number in here:
            head = heads[number]
            if head is not None:
                heads[number] = (high + 1, head[1]) if head[1] > high else next(kinds[number], None)
