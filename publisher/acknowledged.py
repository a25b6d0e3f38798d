"""How far each store has one stream, and what that settles. Pure; the journal keeps the same on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Acknowledged:
    """The highest acknowledged number by store; what all of them have is settled.

    The sender's thread changes it; any thread may ask.
    """

    def __init__(self, up_to: Mapping[str, int] | None = None, floor: int = 0) -> None:
        """Begin where the journal's file stands.

        Args:
            up_to: By store, the highest number that it acknowledged, with all below.
            floor: What was settled when the last store was forgotten: a new one starts above it, or it would take for
                lost what every store had.
        """
        self._up_to = dict(up_to or {})
        self._inherited: set[str] = set()
        #: Nothing above it is settled as long as a store that nobody knows yet may still show up; None once none may.
        self.most: int | None = None
        self.floor = floor

    def __contains__(self, store_id: str) -> bool:
        """Whether the stream is kept for this store."""
        return store_id in self._up_to

    @property
    def stores(self) -> tuple[str, ...]:
        """The stores for which the stream is kept."""
        return tuple(self._up_to)

    @property
    def told(self) -> set[str]:
        """The stores that may have heard of the stream: all for which it is kept, but those that it only inherited."""
        return self._up_to.keys() - self._inherited

    def inherit(self, store_ids: Iterable[str]) -> None:
        """Keep a new stream for stores that are away, and have nothing of it."""
        for store_id in store_ids:
            self._up_to.setdefault(store_id, 0)
            self._inherited.add(store_id)

    def of(self, store_id: str) -> int:
        """Return how far a store has it; -1 for one that is not known."""
        return self._up_to.get(store_id, -1)

    def settled(self) -> int:
        """Return the highest number that every store has, with all below."""
        return self._bounded(min(tuple(self._up_to.values()), default=self.floor))

    def settled_with(self, store_id: str, up_to: int) -> int:
        """Return what would be settled if a store had it up to here."""
        return self._bounded(min([up_to, *(number for store, number in self._up_to.items() if store != store_id)]))

    def settled_without(self, store_ids: Iterable[str]) -> int:
        """Return what would be settled if these stores did not count any more."""
        gone = set(store_ids)
        rest = [number for store, number in self._up_to.items() if store not in gone]
        return max(self.settled(), self._bounded(min(rest, default=0)))

    def note(self, store_id: str, up_to: int) -> None:
        """Take a store's word; how far it has it never goes back."""
        self._up_to[store_id] = max(up_to, self.of(store_id))
        self._inherited.discard(store_id)

    def forget(self, store_ids: Iterable[str]) -> None:
        """Count these stores no more; one that comes back is a new one, and starts above what was settled."""
        self.floor = self.settled_without(store_ids)
        for store_id in store_ids:
            self._up_to.pop(store_id, None)
            self._inherited.discard(store_id)

    def first_missing(self, store_id: str | None) -> int:
        """Return the lowest number that this store has not; for a new one, that a known one has not."""
        known = self._up_to.get(store_id) if store_id else None
        return (self.settled() if known is None else known) + 1

    def _bounded(self, number: int) -> int:
        return max(self.floor, number if self.most is None else min(number, self.most))
