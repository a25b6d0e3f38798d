"""Tells what changed since a moment, for those who follow the store: each look reads what changed, and little more.

A `Cursor` says how far somebody has read. It holds numbers and a time of the database, so that every daemon of it, and
the same one after a restart, knows what it means. What stands after it:

    alerts, deliveries, attempts, receipts and changes   by their numbers, which grow
    attempts that were closed, and silences that ended           by when
    deliveries that ended, also without an attempt               by when

A transaction may become visible long after it took its numbers and its time, so a cursor lags behind: by `late_us` in
time and, on PostgreSQL, where numbers become visible out of order, in numbers as well. What changed within the lag is
found again and again; its key says whether it is known already. The times are those of whoever wrote them: where the
clocks of two daemons differ by more than the lag, a cursor misses what the one that is behind ended, and `Unfinished`
shows it to who knew it open. What none of these show is seen with the delivery's next change: that it counts one more
alert instead of telling it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import BigInteger, Connection, bindparam, func, select

from bus.clock import MICROSECONDS
from subscriber.deliveries import DeliveryState, Reason
from subscriber.store import schema
from subscriber.store.changes import ChangeKind, Fields, json_fields
from subscriber.store.part import chunks
from subscriber.store.silences import silence_from
from subscriber.store.unfinished import Unfinished

_alert: Final = schema.alert
_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery
_receipt: Final = schema.receipt
_change: Final = schema.change
_silence: Final = schema.silence

#: How long a transaction may take from its time to its end: longer than it waits for a lock, with SQLite 5 seconds and
#: with PostgreSQL 30.
_LATE_US: Final = 10 * MICROSECONDS
_LATE_POSTGRESQL_US: Final = 35 * MICROSECONDS
#: What one look reads of each kind at most; more than that is not told one by one.
MOST_ROWS: Final = 50_000
_WORDS: Final = 7
_STORE_LETTERS: Final = 8
_DIGITS: Final = 18  # a column holds more

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far somebody has read: everything up to these numbers, and up to this time."""

    number: int = 0  #: of alerts
    delivery: int = 0
    attempt: int = 0
    receipt: int = 0
    change: int = 0
    at_us: int = 0

    def text(self, store_id: str) -> str:
        """Return it as the id of an event: letters, digits and dashes."""
        numbers = (self.number, self.delivery, self.attempt, self.receipt, self.change, self.at_us)
        return "-".join([_letters(store_id), *map(str, numbers)])

    @classmethod
    def of(cls, text: str, store_id: str) -> Self | None:
        """Read what `text` returned; None for anything else, and for a cursor of another database."""
        words = text.split("-")
        if len(words) != _WORDS or words[0] != _letters(store_id):
            return None
        if not all(word.isascii() and word.isdigit() and len(word) <= _DIGITS for word in words[1:]):
            return None
        return cls(*map(int, words[1:]))

    def beyond(self, other: Cursor) -> bool:
        """Whether it has read more than there is: the database was put back to an earlier state, or its clock was."""
        mine = (self.number, self.delivery, self.attempt, self.receipt, self.change, self.at_us)
        there = (other.number, other.delivery, other.attempt, other.receipt, other.change, other.at_us)
        return any(read > stored for read, stored in zip(mine, there, strict=True))


@dataclass(frozen=True, slots=True)
class Changed:
    """What changed since a cursor."""

    alerts: dict[Key, bytes]  #: by what changed, the alert that it is about
    changes: dict[Key, str]  #: by what changed, which list somebody has to read again: `change.what` of the events
    complete: bool = True  #: False where it is more than is told one by one


class Following(Unfinished):
    """What changed."""

    @property
    def late_us(self) -> int:
        """For how long a change may become visible after its time."""
        return _LATE_POSTGRESQL_US if self.database.is_postgresql else _LATE_US

    def newest(self) -> Cursor:
        """Return where the store ends now.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            row = connection.execute(_ends).one()
        return Cursor(row.number, row.delivery, row.attempt, row.receipt, row.change, self._now_us())

    def newest_change(self) -> int:
        """Return the number of the newest change that somebody made; 0 where nobody made any.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return connection.scalar(_newest_change) or 0

    def changed_since(self, cursor: Cursor) -> Changed:
        """Return what changed since a cursor.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        alerts: dict[Key, bytes] = {}
        given = {**_fields(cursor), "most": MOST_ROWS + 1}
        complete = True
        with self.database.reading() as connection:
            for kind, statement in _LOOKS.items():
                rows = connection.execute(statement, given).all()
                complete &= len(rows) <= MOST_ROWS
                alerts.update({(kind, *row[1:]): row[0] for row in rows})
            for kind, attempts in self._attempts_since(connection, given):
                complete &= len(attempts) <= MOST_ROWS
                alerts.update(_of(connection, kind, attempts))
            changes = dict(_made(connection, given, alerts))
            changes |= dict.fromkeys(_ended(connection, given, alerts), "silences")
        dead = {key: "dead_letters" for key in alerts if key[0] == "finished" and key[-1] == DeliveryState.DEAD.value}
        return Changed(alerts, changes | dead, complete and len(alerts) <= MOST_ROWS)

    def _attempts_since(self, connection: Connection, given: dict[str, Any]) -> Iterator[tuple[str, Sequence[Any]]]:
        """Find the attempts of which a receipt came or was settled, and those that were closed.

        These by their index, which begins with channel and reason.
        """
        yield "receipt", connection.execute(_receipts, given).all()
        channels = list(_channels(connection))
        if channels:
            yield "closed", connection.execute(_closed, {**given, "channels": channels, "reasons": list(Reason)}).all()


def _of(connection: Connection, kind: str, attempts: Sequence[Any]) -> Iterator[tuple[Key, bytes]]:
    """Find what attempts were to tell; each is given with what makes its change known again."""
    keys: dict[int, list[tuple[int, ...]]] = {}
    for attempt, *words in attempts:
        keys.setdefault(attempt, []).append(tuple(words))
    for some in chunks(list(keys)):
        for attempt, delivery, alert_id in connection.execute(_told_by, {"ids": some}):
            for key in keys[attempt]:
                yield (kind, *key, delivery), alert_id


def _letters(store_id: str) -> str:
    return store_id.replace("-", "")[:_STORE_LETTERS]


def _fields(cursor: Cursor) -> dict[str, int]:
    return {name: getattr(cursor, name) for name in Cursor.__dataclass_fields__}


def _channels(connection: Connection) -> Iterator[str]:
    """Find the channels that ever made an attempt: one step in the index for each, however many attempts there are."""
    found = connection.scalar(_next_channel, {"after": ""})
    while found is not None:
        yield found
        found = connection.scalar(_next_channel, {"after": found})


def _made(connection: Connection, given: dict[str, Any], alerts: dict[Key, bytes]) -> Iterator[tuple[Key, str]]:
    """Tell which lists somebody changed, and add the alerts that it was about."""
    for row in connection.execute(_changes, given):
        key: Key = ("change", row.id)
        for number, alert_id in enumerate(_about(connection, json_fields(row.detail))):
            alerts[(*key, number)] = alert_id
        what = _LISTS.get(row.what)
        if what is not None:
            yield key, what


def _about(connection: Connection, detail: Fields) -> list[bytes]:
    """Return the alerts that a change names, as `alert_id`, `delivery` or `deliveries`."""
    if isinstance(named := detail.get("alert_id"), str):
        try:
            return [UUID(named).bytes]
        except ValueError:
            return []
    several = detail.get("deliveries")
    numbers = [detail.get("delivery"), *(several if isinstance(several, list) else [])]
    known = [number for number in numbers if isinstance(number, int)]
    return [key for some in chunks(known) for key in connection.scalars(_alerts_of, {"ids": some})]


def _ended(connection: Connection, given: dict[str, Any], alerts: dict[Key, bytes]) -> Iterator[Key]:
    """Tell which silences ended, and add what they held or dropped."""
    for row in connection.execute(_ended_silences, given):
        silence = silence_from(row)
        key: Key = ("silence", silence.id, row.ended_us)
        for number, alert_id in connection.execute(_held_by, {"batch": silence.batch, "most": MOST_ROWS + 1}):
            alerts[(*key, number)] = alert_id
        yield key


def _after(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


#: Which list a change is one of.
_LISTS: Final = {
    ChangeKind.SILENCE_ADDED.value: "silences",
    ChangeKind.SILENCE_ENDED.value: "silences",
    ChangeKind.CHANNEL_RESUMED.value: "channels",
    ChangeKind.CHANNEL_SWITCHED.value: "channels",
    ChangeKind.CONFIG_LOADED.value: "routes",
    ChangeKind.CONFIG_REFUSED.value: "routes",
    ChangeKind.STATE_SET.value: "dead_letters",
    ChangeKind.DEAD_LETTERS_RETRIED.value: "dead_letters",
}
_ends: Final = select(
    *(
        select(func.coalesce(func.max(column), 0)).scalar_subquery().label(name)
        for name, column in (
            ("number", _alert.c.number),
            ("delivery", _queue.c.id),
            ("attempt", _attempt.c.id),
            ("receipt", _receipt.c.id),
            ("change", _change.c.id),
        )
    )
)
_newest_change: Final = select(func.max(_change.c.id))
_of_attempts: Final = _link.join(_queue, _queue.c.id == _link.c.delivery_id)
#: Each gives the alert first, and then what makes the change known again.
_LOOKS: Final = {
    "alert": select(_alert.c.id, _alert.c.number).where(_alert.c.number > _after("number")).limit(_after("most")),
    "delivery": select(_queue.c.alert_id, _queue.c.id).where(_queue.c.id > _after("delivery")).limit(_after("most")),
    "attempt": select(_queue.c.alert_id, _link.c.attempt_id, _link.c.delivery_id)
    .select_from(_of_attempts)
    .where(_link.c.attempt_id > _after("attempt"))
    .limit(_after("most")),
    "finished": select(_queue.c.alert_id, _queue.c.id, _queue.c.finished_at, _queue.c.status)
    .where(schema.FINISHED, _queue.c.finished_at > _after("at_us"))
    .limit(_after("most")),
}
#: Each gives the attempt first: its alerts are looked up one step later, or a planner would begin with all of them.
_receipts: Final = (
    select(_receipt.c.attempt_id, _receipt.c.id, func.coalesce(_receipt.c.settled_us, 0))
    .where(_receipt.c.id > _after("receipt"), _receipt.c.attempt_id.is_not(None))
    .limit(_after("most"))
)
_closed: Final = (
    select(_attempt.c.id, _attempt.c.id, _attempt.c.closed_us)
    .where(
        _attempt.c.channel.in_(bindparam("channels", expanding=True)),
        _attempt.c.reason.in_(bindparam("reasons", expanding=True)),
        _attempt.c.closed_us > _after("at_us"),
    )
    .limit(_after("most"))
)
_told_by: Final = (
    select(_link.c.attempt_id, _link.c.delivery_id, _queue.c.alert_id)
    .select_from(_of_attempts)
    .where(_link.c.attempt_id.in_(bindparam("ids", expanding=True)))
)
_next_channel: Final = select(func.min(_attempt.c.channel)).where(_attempt.c.channel > bindparam("after"))
_changes: Final = select(_change).where(_change.c.id > _after("change")).order_by(_change.c.id).limit(_after("most"))
_alerts_of: Final = select(_queue.c.alert_id).where(_queue.c.id.in_(bindparam("ids", expanding=True)))
_ended_silences: Final = select(_silence).where(_silence.c.ended_us > _after("at_us")).order_by(_silence.c.id)
_held_by: Final = (
    select(_queue.c.id, _queue.c.alert_id)
    .where(_queue.c.batch == bindparam("batch"), _queue.c.batch.is_not(None))
    .limit(_after("most"))
)
