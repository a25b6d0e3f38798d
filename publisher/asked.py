"""What one daemon asked for again: ranges by stream, which take turns, so that no backlog starves a hole. Pure."""

from __future__ import annotations

from typing import Final

#: Ranges of one stream that may be open; a daemon repeats what it still misses beyond.
_MOST_RANGES: Final = 256


class Asked:
    """The open ranges of one daemon; streams take turns, a stream's numbers come in order."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._by_stream: dict[bytes, list[tuple[int, int]]] = {}

    def __bool__(self) -> bool:
        """Whether anything is open."""
        return bool(self._by_stream)

    def add(self, stream: bytes, first: int, last: int) -> None:
        """Open a range, joined with what is open of that stream already; its turn stays where it is."""
        if first > last:
            return
        joined: list[tuple[int, int]] = []
        for low, high in sorted([*self._by_stream.get(stream, ()), (first, last)]):
            if joined and low <= joined[-1][1] + 1:
                joined[-1] = joined[-1][0], max(high, joined[-1][1])
            else:
                joined.append((low, high))
        self._by_stream[stream] = joined[:_MOST_RANGES]

    def take(self) -> tuple[bytes, int, int]:
        """Remove and return the lowest range of the stream whose turn it is; the stream's other ranges go last.

        Raises:
            StopIteration: Nothing is open.
        """
        stream = next(iter(self._by_stream))
        (first, last), *others = self._by_stream.pop(stream)
        if others:
            self._by_stream[stream] = others
        return stream, first, last

    def clear(self) -> None:
        """Forget everything."""
        self._by_stream.clear()
