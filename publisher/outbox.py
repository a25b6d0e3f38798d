"""What an outbox is to the sender: a stream, and what of it is still held, on disk (`Journal`) or in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One alert as the outbox keeps it."""

    sequence: int
    published_us: int
    topic: str
    body: bytes


class Outbox(Protocol):
    """A stream and what of it is still held: on disk (`Journal`) or in memory (`VolatileOutbox`)."""

    stream: bytes
    source: str
    own: bool
    last: int
    goodbye: str | None
    goodbye_heard: bool

    def append(self, batch: Sequence[tuple[int, str, bytes]]) -> int:
        """Keep (published_us, topic, body) under the next numbers; return the first of them."""
        ...

    def read(self, first: int, last: int, limit: int) -> list[Entry]:
        """Return what is held of a range, oldest first."""
        ...

    def acknowledge(self, store_id: str, up_to: int, now_us: int) -> None:
        """Note how far a store has it, and forget what every known store has."""
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
