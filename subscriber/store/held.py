"""Lets go what quiet hours hold, where a reload took these hours away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

from sqlalchemy import BigInteger, bindparam, select, update

from subscriber.store import schema
from subscriber.store.part import StorePart, chunks

_queue: Final = schema.notification_queue
_PREFIX: Final = "quiet:"


class Held(StorePart):
    """What is held by quiet hours."""

    def quiet_hours_that_hold(self) -> frozenset[str]:
        """Return the names of the quiet hours for whose end something waits.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            found = connection.scalars(_holding, {"now_us": self._now_us()})
            return frozenset(batch.removeprefix(_PREFIX) for batch in found)

    def let_go(self, names: Collection[str]) -> dict[str, int]:
        """Make due now what these quiet hours hold; return how many deliveries, by channel.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        now_us = self._now_us()
        freed: Counter[str] = Counter()
        with self.database.writing() as connection:
            for name in sorted(names):
                rows = connection.execute(_of_batch, {"word": f"{_PREFIX}{name}", "now_us": now_us}).all()
                for some in chunks(rows):
                    connection.execute(_due, {"ids": [row.id for row in some], "due_us": now_us})
                freed.update(row.channel for row in rows)
        return dict(freed)


_later: Final = _queue.c.due_at > bindparam("now_us", type_=BigInteger)
_holding: Final = select(_queue.c.batch).where(schema.OPEN, _queue.c.batch.like(f"{_PREFIX}%"), _later).distinct()
_of_batch: Final = (
    select(_queue.c.id, _queue.c.channel)
    .where(schema.OPEN, _queue.c.batch == bindparam("word"), _later)
    .order_by(_queue.c.id)
    .with_for_update()
)
_due: Final = update(_queue).where(_queue.c.id.in_(bindparam("ids", expanding=True))).values(due_at=bindparam("due_us"))
