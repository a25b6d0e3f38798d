"""A stream held in memory: what goes on when the journal's disk is full or broken, so that alerts still leave."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Final

from bus.clock import Moment
from publisher.acknowledged import Acknowledged
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
        self.began: Moment | None = None
        self.goodbye: str | None = None
        self.goodbye_heard_by: set[str] = set()
        self.acknowledged = Acknowledged()
        self.seen_us: dict[str, int] = {}
        self.damaged = False
        self._entries: deque[Entry] = deque(maxlen=limit)

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

    def inherit(self, stores: Mapping[str, int]) -> None:
        """Keep for stores that may be away, from the first number on; by store, when it was last seen."""
        self.acknowledged.inherit(stores)
        self.seen_us.update(stores)

    def note_store(self, store_id: str, seen_us: int) -> None:
        """Keep for a store, from now on, what it has not acknowledged, and note when it was seen."""
        self.acknowledged.note(store_id, self.first_unacknowledged(store_id) - 1)
        self.seen_us[store_id] = seen_us

    def acknowledge(self, store_id: str, up_to: int, now_us: int) -> None:
        """Note how far a store has it, and forget what every known store has."""
        self.acknowledged.note(store_id, min(up_to, self.last))
        self.seen_us[store_id] = now_us
        self._forget_settled()

    def forget_stores(self, store_ids: Collection[str]) -> None:
        """Keep nothing for these stores any more, and forget what all others have."""
        self.acknowledged.forget(store_ids)
        for store_id in store_ids:
            self.seen_us.pop(store_id, None)
        self._forget_settled()

    def first_held(self) -> int:
        """Return the lowest number held; `last` + 1 when none is."""
        return self.last + 1 - len(self._entries)  # they are contiguous, and any thread may ask

    def first_unacknowledged(self, store_id: str | None) -> int:
        """Return the lowest number that this store has not acknowledged; for a new store, that a known one has not."""
        return self.acknowledged.first_missing(store_id)

    def held(self) -> int:
        """Return how many alerts are held."""
        return len(self._entries)

    def say_goodbye(self, reason: str) -> None:
        """Note that the stream ended on purpose."""
        self.goodbye = reason

    def close(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def _forget_settled(self) -> None:
        settled = self.acknowledged.settled()
        while self._entries and self._entries[0].sequence <= settled:
            self._entries.popleft()
