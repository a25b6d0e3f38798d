"""Makes events of what changes in the store: each change once for who listens, and all since a cursor for others."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Final

from subscriber.monitoring.listener import Event
from subscriber.monitoring.watch import Watch
from subscriber.store.following import Changed, Cursor, Key
from subscriber.store.store import Store

#: So many alerts are told one by one; more than that changed at once, and the history is quicker.
MOST_TOLD: Final = 200
#: What may be in flight at the moment that a reader begins: a batch of several daemons each.
_IN_FLIGHT: Final = 2_000
#: Looks of a storm of which only the first, and one of so many, finds out what changed: the answer is the same.
_STORM_LOOKS: Final = 5


class Reader:
    """Reads what changed, each change once. Used by the reader's thread."""

    def __init__(self, store: Store) -> None:
        """Begin nowhere."""
        self._store = store
        self._here: Cursor | None = None  #: what is after it was not told, or is in `_known`
        self._known: set[Key] = set()
        self._ends: deque[Cursor] = deque()  #: where the store ended, within the last `late_us`
        self._watch = Watch(store)
        self._newest = Cursor()  #: where the store ended at the last look
        self._storm_looks = 0  #: since the last one that read a storm; 0 where there is none

    def begin(self) -> str:
        """Begin here and now, unless it has begun; return where that is.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        if self._here is None:
            self._newest = self._store.newest()
            here = self._move(self._newest)
            found = self._store.changed_since(here)
            self._watch.begin()
            self._here, self._known = here, {*found.alerts, *found.changes}
        return self._here.text(self._store.store_id)

    def look(self) -> list[Event]:
        """Return what changed since the last look.

        Raises:
            StoreError: The database can't be used at the moment; nothing is skipped.
        """
        if self._here is None:
            return []
        before, newest = self._here, self._store.newest()
        if self._storms_on(newest):
            self._newest = newest
            return [_too_much(self._text(before))]
        found = self._store.changed_since(before)
        if newest.at_us < before.at_us or before.beyond(newest):
            found = Changed(found.alerts, found.changes, complete=False)
        moved, stands = self._watch.look()
        new = Changed(
            {key: alert for key, alert in found.alerts.items() if key not in self._known} | moved.alerts,
            {key: what for key, what in found.changes.items() if key not in self._known} | moved.changes,
            found.complete,
        )
        stands = self._watch.also(stands, new.alerts.values())
        here = self._move(newest)
        events = self._events(new, before, here)
        self._watch.keep(stands)
        self._here, self._known, self._newest = here, {*found.alerts, *found.changes}, newest
        self._storm_looks = 1 if any(event.kind == "reset" for event in events) else 0
        return events

    def _storms_on(self, newest: Cursor) -> bool:
        """Say whether the alerts alone that came since the last look are again more than is told one by one.

        Nothing is taken for known then, so that whatever changes meanwhile is found by the next look that reads it.
        """
        if not self._storm_looks or newest.number - self._newest.number <= MOST_TOLD:
            return False
        self._storm_looks += 1
        return self._storm_looks <= _STORM_LOOKS

    def since(self, text: str) -> list[Event]:
        """Return what changed since a cursor, which somebody brought.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        here = self._here or self._move(self._store.newest())
        cursor = Cursor.of(text, self._store.store_id)
        if cursor is None or cursor.beyond(self._store.newest()):
            return [_reset("The id of the last event is none of this database.", self._text(here))]
        return self._events(self._store.changed_since(cursor), cursor, here)

    def _events(self, new: Changed, before: Cursor, here: Cursor) -> list[Event]:
        """Make events of what is new. Only the last one may say that all of it was told."""
        alerts = dict.fromkeys(new.alerts.values())
        changes = [Event.of("change", {"what": what}) for what in sorted(set(new.changes.values()))]
        if not new.complete or len(alerts) > MOST_TOLD:
            return [*changes, _too_much(self._text(here))]
        entries = self._store.entries(list(alerts)) if alerts else []
        ids = [self._text(before)] * (len(entries) - 1) + [self._text(here)]
        return [*changes, *(Event.of("alert", entry, cursor) for entry, cursor in zip(entries, ids, strict=False))]

    def _move(self, newest: Cursor) -> Cursor:
        """Return how far all is surely known, now that the store ends there."""
        late_us, late_numbers = self._store.late_us, self._store.database.is_postgresql
        if not self._ends and late_numbers:
            self._ends.append(_before(newest))
        elif self._ends and newest.at_us < self._ends[-1].at_us:  # the clock was set back
            self._ends = deque([replace(self._ends[0], at_us=newest.at_us)])
        self._ends.append(newest)
        while len(self._ends) > 1 and self._ends[1].at_us <= newest.at_us - late_us:
            self._ends.popleft()
        settled = self._ends[0] if late_numbers else newest
        receipt = self._ends[0].receipt  # a receipt is settled a little after it came
        return Cursor(
            settled.number,
            settled.delivery,
            settled.attempt,
            receipt,
            settled.change,
            newest.at_us - late_us,
        )

    def _text(self, cursor: Cursor) -> str:
        return cursor.text(self._store.store_id)


def _before(newest: Cursor) -> Cursor:
    """Return where to begin on PostgreSQL, for what is being written now by those who have their numbers already."""
    return Cursor(
        number=max(newest.number - _IN_FLIGHT, 0),
        delivery=max(newest.delivery - _IN_FLIGHT, 0),
        attempt=max(newest.attempt - _IN_FLIGHT, 0),
        receipt=max(newest.receipt - _IN_FLIGHT, 0),
        change=max(newest.change - _IN_FLIGHT, 0),
        at_us=newest.at_us,
    )


def _too_much(cursor: str) -> Event:
    return _reset("Too much changed to be told one by one.", cursor)


def _reset(why: str, cursor: str) -> Event:
    return Event.of("reset", {"why": why}, cursor)
