"""Which numbers of a stream are settled, which came early, and which are missing. Pure.

A number is settled when it is stored, recorded as lost, or noted as a duplicate. An unknown stream has no start until
a heartbeat says where its first unacknowledged number is: until then everything counts as early and nothing as missing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from operator import itemgetter
from typing import Final

Range = tuple[int, int]

_first_of: Final = itemgetter(0)
_last_of: Final = itemgetter(1)


class Observation(Enum):
    """What a number is to its stream."""

    NEW = "new"
    DUPLICATE = "duplicate"


class Position:
    """Where one stream stands."""

    __slots__ = ("_ahead", "_numbers_ahead", "contiguous")

    def __init__(self, contiguous: int | None = None, ahead: Iterable[Range] = ()) -> None:
        """Begin where the store stands.

        Args:
            contiguous: Everything up to here is settled; None when the stream's start is not known.
            ahead: Settled ranges above it, both ends included.
        """
        self.contiguous = contiguous
        self._ahead: list[Range] = []
        self._numbers_ahead = 0
        for first, last in ahead:
            self.settle(first, last)

    @property
    def ahead(self) -> tuple[Range, ...]:
        """The settled ranges above `contiguous`."""
        return tuple(self._ahead)

    @property
    def highest(self) -> int:
        """The highest settled number, 0 when there is none."""
        return self._ahead[-1][1] if self._ahead else self.contiguous or 0

    def observe(self, sequence: int) -> Observation:
        """Settle one number and say whether it was new."""
        if self.contiguous is not None and sequence == self.contiguous + 1 and not self._ahead:
            self.contiguous = sequence  # nearly every number takes this way
            return Observation.NEW
        if self.settled(sequence):
            return Observation.DUPLICATE
        self.settle(sequence, sequence)
        return Observation.NEW

    def begin(self, first: int) -> None:
        """Say where an unknown stream starts: everything below `first` was acknowledged to somebody else."""
        if self.contiguous is None:
            self.contiguous = first - 1
            self._absorb()

    def settle(self, first: int, last: int) -> None:
        """Mark a range as settled; parts that already are do no harm."""
        ahead = self._ahead
        low = bisect_left(ahead, first - 1, key=_last_of)
        high = bisect_right(ahead, last + 1, key=_first_of)
        if low < high:  # it overlaps or touches these
            first, last = min(first, ahead[low][0]), max(last, ahead[high - 1][1])
        self._numbers_ahead += last - first + 1 - sum(end - begin + 1 for begin, end in ahead[low:high])
        ahead[low:high] = [(first, last)]
        self._absorb()

    def settled(self, sequence: int) -> bool:
        """Whether a number is settled."""
        if self.contiguous is not None and sequence <= self.contiguous:
            return True
        index = bisect_right(self._ahead, sequence, key=_first_of) - 1
        return index >= 0 and sequence <= self._ahead[index][1]

    def missing(self, last: int, limit: int) -> list[Range]:
        """Return the ranges up to `last` that are not settled, lowest first, at most `limit` numbers together."""
        result: list[Range] = []
        for first, end in self._gaps(last):
            if limit <= 0:
                break
            result.append((first, min(end, first + limit - 1)))
            limit -= result[-1][1] - first + 1
        return result

    def missing_newest(self, last: int, limit: int) -> list[Range]:
        """Return the ranges up to `last` that are not settled, highest first, at most `limit` numbers together."""
        result: list[Range] = []
        for first, end in reversed(list(self._gaps(last))):
            if limit <= 0:
                break
            result.append((max(first, end - limit + 1), end))
            limit -= end - result[-1][0] + 1
        return result

    def outstanding(self, last: int) -> int:
        """Return how many numbers are missing up to `last` and the highest; 0 where the start is not known.

        However broken the stream is, this costs nothing.
        """
        if self.contiguous is None:
            return 0
        return max(last, self.highest) - self.contiguous - self._numbers_ahead

    def has_gap(self) -> bool:
        """Whether a number below the highest is missing."""
        return self.contiguous is not None and bool(self._ahead)

    def _gaps(self, last: int) -> Iterator[Range]:
        if self.contiguous is None:
            return
        first = self.contiguous + 1
        for low, high in self._ahead:
            if first > last:
                return
            yield first, min(low - 1, last)
            first = high + 1
        if first <= last:
            yield first, last

    def _absorb(self) -> None:
        if self.contiguous is None:
            return
        while self._ahead and self._ahead[0][0] <= self.contiguous + 1:
            first, last = self._ahead.pop(0)
            self._numbers_ahead -= last - first + 1
            self.contiguous = max(self.contiguous, last)


def common(ranges: Iterable[Range], others: Sequence[Range]) -> list[Range]:
    """Return what lies in both; each has rising ranges that do not overlap."""
    return [
        (max(first, low), min(last, high))
        for first, last in ranges
        for low, high in others
        if max(first, low) <= min(last, high)
    ]


def without(ranges: Iterable[Range], others: Sequence[Range]) -> list[Range]:
    """Return what lies in the first ranges only; each has rising ranges that do not overlap."""
    rest: list[Range] = []
    for first, last in ranges:
        wanted = first
        for low, high in others:
            if high < wanted or low > last:
                continue
            if low > wanted:
                rest.append((wanted, low - 1))
            wanted = high + 1
        if wanted <= last:
            rest.append((wanted, last))
    return rest
