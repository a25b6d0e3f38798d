"""A stream held in memory: what goes on when the journal's disk is full or broken, so that alerts still leave."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from publisher.outbox import Entry

#: Alerts that are held; beyond it the oldest goes, and the daemon finds and records it as lost.
LIMIT: Final = 200_000


class VolatileOutbox:
    """A stream of its own, with the journal's verbs; it ends with the process. Used by the sender's thread alone."""

    def __init__(self, source: str, limit: int = LIMIT) -> None:
        """Begin a new stream."""
        self.stream = os.urandom(16)
        self.source = source
        self.own = True
        self.last = 0
        self.goodbye: str | None = None
        self.goodbye_heard = False
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._acknowledged: dict[str, int] = {}

    def append(self, batch: Sequence[tuple[int, str, bytes]]) -> int:
        """Hold a batch under the next numbers; return the first of them."""
        first = self.last + 1
        for sequence, (published_us, topic, body) in enumerate(batch, first):
            self._entries.append(Entry(sequence, published_us, topic, body))
        self.last += len(batch)
        return first

    def read(self, first: int, last: int, limit: int) -> list[Entry]:
        """Return what is held of a range, oldest first, at most `limit`."""
        start = max(first - self.first_held(), 0)
        stop = min(last - self.first_held() + 1, start + limit)
        return list(islice(self._entries, start, max(stop, start)))

    def acknowledge(self, store_id: str, up_to: int, now_us: int) -> None:  # noqa: ARG002 - the journal's verb
        """Note how far a store has it, and forget what every known store has."""
        self._acknowledged[store_id] = max(min(up_to, self.last), self._acknowledged.get(store_id, 0))
        settled = min(self._acknowledged.values())
        while self._entries and self._entries[0].sequence <= settled:
            self._entries.popleft()

    def first_held(self) -> int:
        """Return the lowest number held; `last` + 1 when none is."""
        return self._entries[0].sequence if self._entries else self.last + 1

    def first_unacknowledged(self, store_id: str | None) -> int:
        """Return the lowest number that this store has not acknowledged; for a new store, that a known one has not."""
        known = self._acknowledged.get(store_id) if store_id else None
        return (min(self._acknowledged.values(), default=0) if known is None else known) + 1

    def held(self) -> int:
        """Return how many alerts are held."""
        return len(self._entries)

    def say_goodbye(self, reason: str) -> None:
        """Note that the stream ended on purpose."""
        self.goodbye = reason

    def close(self) -> None:
        """Forget everything."""
        self._entries.clear()
