"""What was open when the reader last looked, looked at again each time: its end is seen whatever clock wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from subscriber.deliveries import DeliveryState
from subscriber.store.following import Changed, Key
from subscriber.store.store import Store
from subscriber.store.unfinished import Standing

#: Deliveries that are looked at again; of more, the newest.
MOST_WATCHED: Final = 2_000


@dataclass(frozen=True, slots=True)
class Open:
    """What had not ended at one moment."""

    deliveries: dict[int, Standing] = field(default_factory=dict)
    silences: frozenset[int] = frozenset()


class Watch:
    """Deliveries and silences that had not ended. Used by the reader's thread."""

    def __init__(self, store: Store) -> None:
        """Begin without any."""
        self._store = store
        self._open = Open()

    def begin(self) -> None:
        """Begin with what is open now.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        self._open = Open(self._store.unfinished(MOST_WATCHED), self._store.unended_silences())

    def look(self) -> tuple[Changed, Open]:
        """Return what happened to what was open, and how all of it stands; nothing is taken for known yet.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        before = self._open
        now = self._store.standings(before.deliveries) if before.deliveries else {}
        moved = {number: each for number, each in now.items() if each != before.deliveries[number]}
        silences = self._store.unended_silences()
        changes: dict[Key, str] = {("stands", "silence", number): "silences" for number in before.silences - silences}
        dead = (number for number, each in moved.items() if each.status == DeliveryState.DEAD.value)
        changes |= {("stands", number): "dead_letters" for number in dead}
        alerts: dict[Key, bytes] = {("stands", number): each.alert_id for number, each in moved.items()}
        return Changed(alerts, changes), Open(now, silences)

    def also(self, stands: Open, alerts: Iterable[bytes]) -> Open:
        """Return what is open, with what is of alerts about which something is new; read before these are told.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        newest = list(dict.fromkeys(alerts))[-MOST_WATCHED:]
        added = self._store.unfinished_of(newest) if newest else {}
        known = {number: each for number, each in stands.deliveries.items() if not each.ended} | added
        return Open({number: known[number] for number in sorted(known)[-MOST_WATCHED:]}, stands.silences)

    def keep(self, stands: Open) -> None:
        """Take it for known: it was told."""
        self._open = stands
