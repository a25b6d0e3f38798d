"""What an outbox is to the sender: a stream, and what of it is still held, on disk (`Journal`) or in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bus.clock import Moment
from bus.wire import BODY_LIMIT_BYTES
from publisher.acknowledged import Acknowledged

#: How the reason of a goodbye begins that people have to hear of.
_FAILURES: Final = ("exception", "signal")


@dataclass(frozen=True, slots=True)
class Entry:
    """One alert as the outbox keeps it."""

    sequence: int
    published_us: int
    topic: str
    body: bytes


def readable(published_us: object, topic: object, body: object) -> bool:
    """Whether a row can be an alert: a damaged page may hold anything, and no frame could be made of that."""
    return (
        type(published_us) is int
        and published_us >= 0
        and type(topic) is str
        and type(body) is bytes
        and len(body) <= BODY_LIMIT_BYTES
    )


def settled(outbox: Outbox) -> bool:
    """Whether nothing is held for any store, and none waits for the stream's goodbye.

    A goodbye that tells of a failure waits for a store even where none ever heard of the stream.
    """
    if outbox.held():
        return False
    if outbox.goodbye is None:
        return True
    if outbox.goodbye.startswith(_FAILURES) and not outbox.goodbye_heard_by:
        return False
    return outbox.goodbye_heard_by.issuperset(outbox.acknowledged.told)


class Outbox(Protocol):
    """A stream and what of it is still held: on disk (`Journal`) or in memory (`VolatileOutbox`)."""

    stream: bytes
    source: str
    own: bool
    last: int
    began: Moment | None  #: what the clocks said when it began, where that is known
    goodbye: str | None
    goodbye_heard_by: set[str]  #: the stores that answered it
    acknowledged: Acknowledged
    seen_us: dict[str, int]  #: by store, when it was last seen by the wall clock, in microseconds since 1970

    @property
    def damaged(self) -> bool:
        """Whether a part of what it holds can't be read any more."""
        ...

    def append(self, batch: Sequence[tuple[int, str, bytes]]) -> int:
        """Keep (published_us, topic, body) under the next numbers; return the first of them."""
        ...

    def read(self, first: int, last: int, limit: int) -> list[Entry]:
        """Return what is held of a range, oldest first."""
        ...

    def note_store(self, store_id: str, seen_us: int) -> None:
        """Keep for a store, from now on, what it has not acknowledged, and note when it was seen."""
        ...

    def acknowledge(self, store_id: str, up_to: int, now_us: int) -> None:
        """Note how far a store has it, and forget what every known store has."""
        ...

    def forget_stores(self, store_ids: Collection[str]) -> None:
        """Keep nothing for these stores any more, and forget what all others have."""
        ...

    def first_held(self) -> int:
        """Return the lowest number held; `last` + 1 when none is."""
        ...

    def first_unacknowledged(self, store_id: str | None) -> int:
        """Return the lowest number that this store has not acknowledged; for a new store, that a known one has not."""
        ...

    def held(self) -> int:
        """Return how many alerts are held."""
        ...

    def say_goodbye(self, reason: str) -> None:
        """Note that the stream ended on purpose, so that an adopter repeats it."""
        ...

    def close(self) -> None:
        """Let go of it; what is settled everywhere is removed, the rest stays for an adopter."""
        ...
