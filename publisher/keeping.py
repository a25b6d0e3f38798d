"""How long one stream's alerts and stores count: by the monotonic clock, which no step of the wall clock moves.

What only a file says (when a store was last seen, when an adopted alert was published) is of another process's wall
clock, perhaps of one that was in 1970: it counts only when this process has had the file for a while, which gives a
store the time to show up. Used by the sender's thread alone.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from bus.clock import MICROSECONDS, Clock
from publisher.journal import Journal
from publisher.outbox import Outbox

#: How long what only a file says does not count yet; less where the maximum age is less.
_GRACE_SECONDS: Final = 3_600.0
#: How often it is written that a store was seen: rarely, since hours are what counts,
_WRITE_SECONDS: Final = 3_600.0
#: and where the maximum age is short, this share of it.
_WRITE_SHARE: Final = 1 / 24
#: When a store was seen is written at the end, too, unless that was done so recently.
_WRITE_AT_END_SECONDS: Final = 60.0
#: Into how many parts the maximum age is cut; an alert may stay a part longer, and never goes early.
_PARTS: Final = 256


class Stores:
    """When each store last welcomed this publisher, in monotonic seconds."""

    def __init__(self, most_age_seconds: float) -> None:
        """Count a store for `most_age_seconds` after its last welcome."""
        self.most_age_seconds = most_age_seconds
        self._seen_at: dict[str, float] = {}

    def welcomed(self, store_id: str, now: float) -> None:
        """Note that a store is there."""
        self._seen_at[store_id] = now

    def seen_at(self, store_id: str) -> float | None:
        """Return when a store last welcomed this publisher; None for one that never did, or too long ago."""
        return self._seen_at.get(store_id)

    def counting(self, now: float) -> list[str]:
        """Return the stores that welcomed this publisher within the maximum age, and forget the others."""
        for store_id in [each for each, at in self._seen_at.items() if now - at > self.most_age_seconds]:
            del self._seen_at[store_id]
        return list(self._seen_at)


class Keeping:
    """The ages of one stream on offer."""

    def __init__(self, outbox: Outbox, stores: Stores, clock: Clock) -> None:
        """Begin now: what the outbox holds already is at least as old as that."""
        self._outbox = outbox
        self._stores = stores
        self._clock = clock
        self._opened_at = clock.monotonic()
        self._adopted = not outbox.own
        #: Monotonic times, and the last number of then; a number is at least as old as the first mark that has it.
        self._marks: deque[tuple[float, int]] = deque([(self._opened_at, outbox.last)])
        self._old_up_to = 0
        #: By store, the monotonic time of what the file says of it.
        self._written_at: dict[str, float] = {}

    def note_store(self, store_id: str) -> None:
        """Keep for a store that is there; it is written at once when it is new, else rarely.

        Raises:
            JournalError: The file can't be written; it is tried again with a later welcome.
        """
        seen_at = self._stores.seen_at(store_id)
        if seen_at is None:
            return
        due = self._written_at.get(store_id, float("-inf")) + min(
            _WRITE_SECONDS, self._stores.most_age_seconds * _WRITE_SHARE
        )
        if store_id not in self._outbox.acknowledged or seen_at >= due:
            self._write(store_id, seen_at)

    def forget_stores(self) -> None:
        """Stop keeping for the stores that were not seen within the maximum age.

        Raises:
            JournalError: The file can't be written; it is tried again.
        """
        gone = [store_id for store_id in self._outbox.acknowledged.stores if self._too_old(store_id)]
        if gone:
            self._outbox.forget_stores(gone)

    def prune(self, most_bytes: int) -> int:
        """Keep a journal within its bounds; return how many alerts left it unacknowledged.

        Raises:
            JournalError: The file can't be written.
        """
        now, age = self._clock.monotonic(), self._stores.most_age_seconds
        if now >= self._marks[-1][0] + age / _PARTS:
            self._marks.append((now, self._outbox.last))
        while len(self._marks) > 1 and now - self._marks[0][0] > age:
            self._old_up_to = self._marks.popleft()[1]
        if not isinstance(self._outbox, Journal) or not self._outbox.held():
            return 0
        published_before_us = 0
        if self._adopted and self._grace_is_over(now):
            published_before_us = self._clock.now_us() - int(age * MICROSECONDS)
        return self._outbox.prune(most_bytes, old_up_to=self._old_up_to, published_before_us=published_before_us)

    def write_seen(self) -> None:
        """Write when the stores were last seen, for an adopter.

        Raises:
            JournalError: The file can't be written.
        """
        for store_id in self._outbox.acknowledged.stores:
            seen_at = self._stores.seen_at(store_id)
            written_at = self._written_at.get(store_id, float("-inf"))
            if seen_at is not None and seen_at > written_at + _WRITE_AT_END_SECONDS:
                self._write(store_id, seen_at)

    def _write(self, store_id: str, seen_at: float) -> None:
        ago_us = int((self._clock.monotonic() - seen_at) * MICROSECONDS)
        self._outbox.note_store(store_id, max(self._clock.now_us() - ago_us, 0))
        self._written_at[store_id] = seen_at

    def _too_old(self, store_id: str) -> bool:
        now, age = self._clock.monotonic(), self._stores.most_age_seconds
        seen_at = self._stores.seen_at(store_id)
        if seen_at is not None:
            return now - seen_at > age
        if now - self._opened_at > age:
            return True
        seen_us = self._outbox.seen_us.get(store_id, 0)
        return self._grace_is_over(now) and self._clock.now_us() - seen_us > age * MICROSECONDS

    def _grace_is_over(self, now: float) -> bool:
        return now - self._opened_at > min(self._stores.most_age_seconds, _GRACE_SECONDS)
