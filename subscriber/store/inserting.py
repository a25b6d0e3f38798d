"""Inserts alerts and their planned deliveries inside a writing transaction of somebody else's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from bus.clock import shift_of
from subscriber.store import schema
from subscriber.store.bulk import BulkInsert, Row
from subscriber.store.incoming import ALERT_COLUMNS, DELIVERY_COLUMNS, Incoming, alert_row, delivery_rows
from subscriber.store.numbering import Place
from subscriber.store.part import StorePart

_insert_alerts: Final = BulkInsert(schema.alert, ALERT_COLUMNS, returning="id")
_insert_deliveries: Final = BulkInsert(schema.notification_queue, DELIVERY_COLUMNS)
_CHANNEL: Final = DELIVERY_COLUMNS.index("channel")


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a batch."""

    inserted: tuple[UUID, ...] = ()  #: alerts that are new, in the order of (stream, sequence)
    replayed: tuple[UUID, ...] = ()  #: came again under the number that they have
    duplicates: tuple[UUID, ...] = ()  #: are kept under another number; marked
    collisions: tuple[Place, ...] = ()  #: numbers that now hold more than one alert: a person has to hear of it
    recovered: int = 0  #: numbers that were lost and arrived after all
    deliveries: Mapping[str, int] = field(default_factory=dict)  #: how many were planned now, by channel


def insert_alerts(
    connection: Connection, ordered: Sequence[Incoming], now_us: int
) -> tuple[list[Incoming], list[Incoming]]:
    """Insert the alerts that are new; return them, and the others."""
    first: dict[bytes, Incoming] = {}
    others = [item for item in ordered if first.setdefault(item.alert.id.bytes, item) is not item]
    rows = [alert_row(key, item, now_us) for key, item in first.items()]
    new = _insert_alerts.run_returning(connection, rows)
    if len(new) == len(first):
        return list(first.values()), others
    others.extend(item for key, item in first.items() if key not in new)
    return [item for key, item in first.items() if key in new], others


def insert_deliveries(connection: Connection, inserted: Iterable[Incoming], now_us: int) -> dict[str, int]:
    """Insert what is planned for alerts that were just inserted; return how many deliveries each channel got."""
    rows: list[Row] = []
    for item in inserted:
        if item.planned:
            rows.extend(delivery_rows(item, now_us))
    _insert_deliveries.run(connection, rows)
    return dict(Counter(row[_CHANNEL] for row in rows))


class Inserting(StorePart):
    """A part of the store that tells people of what it notes, in the same transaction."""

    def _store_own(self, connection: Connection, item: Incoming) -> Accepted:
        """Store an event of the daemon's own beside what it tells of; one with the same id is stored once."""
        now_us = self._now_us()
        inserted, others = insert_alerts(connection, [item.rebased(shift_of(self.database.clock))], now_us)
        return Accepted(
            inserted=tuple(found.alert.id for found in inserted),
            replayed=tuple(found.alert.id for found in others),
            deliveries=insert_deliveries(connection, inserted, now_us),
        )
