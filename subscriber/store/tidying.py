"""Removes what is too old and hangs on no alert: silences that ended, changes, windows that count nothing any more."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    delete,
    exists,
    or_,
    select,
    tuple_,
)

from bus.clock import MICROSECONDS
from subscriber.deliveries import DigestState
from subscriber.store import schema
from subscriber.store.digests import forget_split
from subscriber.store.part import StorePart

_queue: Final = schema.notification_queue
_silence: Final = schema.silence
_change: Final = schema.change
_dedup: Final = schema.dedup_window
_group: Final = schema.group_window

#: Windows last a day at most; one whose end, and whose last message, lie so far back decides nothing any more.
_WINDOW_OVER_US: Final = 3 * 86_400 * MICROSECONDS


class Tidying(StorePart):
    """Forgetting what hangs on no alert."""

    def tidy(self, before_us: int, limit: int) -> int:
        """Remove silences that ended, changes, and halved digests from before a time; and windows that are over.

        Args:
            before_us: In microseconds. Windows go some days after their end, whatever this says.
            limit: How many of each kind at most: what bounds the time for which nobody else can write to SQLite.

        Returns:
            How many rows went; to be called again while there is more.

        Raises:
            StoreError: The database can't be used at the moment; nothing was removed.
        """
        given = {"before_us": before_us, "over_us": self._now_us() - _WINDOW_OVER_US, "most": limit}
        with self.database.reading() as connection:  # nearly always there is nothing to do, and no lock is taken
            found = any(connection.execute(old.limit(1), given).first() for old in (*_OLD.values(), _old_digests))
        if not found:
            return 0
        # A power loss may undo it: the next time removes the same again.
        with self.database.writing(forgettable=True) as connection:
            gone = sum(_forget(connection, table, old, given) for table, old in _OLD.items())
            return gone + forget_split(connection, before_us, limit)


def _forget(connection: Connection, table: Table, old: Select[Any], given: dict[str, int]) -> int:
    # PostgreSQL: whoever uses a window just now keeps it
    locked = old.limit(bindparam("most", type_=BigInteger)).with_for_update(skip_locked=True, of=table)
    keys = [tuple(row) for row in connection.execute(locked, given)]
    if keys:
        connection.execute(delete(table).where(tuple_(*table.primary_key).in_(keys)))
    return len(keys)


def _carries_on() -> ColumnElement[bool]:
    """Whether the delivery that told of a window last waits, or has ended lately."""
    return exists().where(
        _queue.c.alert_id == _dedup.c.carrier,
        _queue.c.channel == _dedup.c.channel,
        or_(_queue.c.finished_at.is_(None), _queue.c.finished_at >= bindparam("over_us")),
    )


_before: Final = bindparam("before_us", type_=BigInteger)
_over: Final = bindparam("over_us", type_=BigInteger)
_OLD: Final = {
    _silence: select(*_silence.primary_key).where(_silence.c.ended_us < _before),
    _change: select(*_change.primary_key).where(_change.c.at_us < _before),
    _dedup: select(*_dedup.primary_key).where(_dedup.c.until_us < _over, ~_carries_on()),
    _group: select(*_group.primary_key).where(_group.c.flush_us < _over),
}
_old_digests: Final = select(schema.digest.c.id).where(
    schema.digest.c.state == DigestState.SPLIT.value, schema.digest.c.finished_us < _before
)
