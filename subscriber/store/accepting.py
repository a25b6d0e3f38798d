"""Stores alerts with what is planned for them: one transaction per batch, and every replay is harmless.

Lock order, for several daemons on one PostgreSQL: first the rows of the streams, by stream, then the alerts by
(stream, sequence), then what `store_new` says. So two daemons that store the same batch wait for each other instead of
deadlocking, and what is declared lost (`Streams.record_lost`, under the same lock) can't arrive unseen at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, select

from bus.clock import shift_of
from subscriber.deliveries import Mark
from subscriber.store import schema
from subscriber.store.bulk import BulkInsert
from subscriber.store.database import repeated
from subscriber.store.incoming import Incoming
from subscriber.store.inserting import Accepted, store_new
from subscriber.store.numbering import Place, arrived, colliding, lock_streams, move_streams
from subscriber.store.part import StorePart, chunks

_insert_duplicates: Final = BulkInsert(
    schema.stream_mark, ("stream", "first", "last", "mark", "alert_id", "reason", "noted_us")
)
_stored_places: Final = select(schema.alert.c.id, schema.alert.c.stream, schema.alert.c.sequence).where(
    schema.alert.c.id.in_(bindparam("ids", expanding=True))
)


class Accepting(StorePart):
    """Storing what comes in."""

    @repeated
    def accept(self, batch: Sequence[Incoming], positions: Mapping[bytes, int] | None = None) -> Accepted:
        """Store alerts, plan their deliveries and move the streams' positions, all in one transaction.

        Args:
            batch: In any order; it is sorted here.
            positions: For each stream, the number up to which everything is settled once this batch is stored. A
                position never moves backwards.

        Raises:
            StoreError: Nothing was stored; the bus replays later.
        """
        positions = positions or {}
        if not batch and not positions:
            return Accepted()
        with self.database.writing() as connection:
            now_us, shift_us = self._now_us(), shift_of(self.database.clock)
            ordered = sorted((item.rebased(shift_us) for item in batch), key=_order)
            sources = {item.stream: item.alert.source for item in ordered if item.stream is not None}
            streams = lock_streams(self.database, connection, {**dict.fromkeys(positions, ""), **sources}, now_us)
            inserted, others, planned = store_new(connection, self.database, ordered, now_us)
            replayed, duplicates = _sort_out(connection, others, now_us)
            places = [_place(item) for item in (*inserted, *duplicates) if item.stream is not None]
            recovered = arrived(connection, places)
            collisions = colliding(connection, [_place(item) for item in inserted if item.stream is not None], streams)
            move_streams(connection, streams, places, positions)
        return Accepted(
            inserted=_ids(inserted),
            replayed=_ids(replayed),
            duplicates=_ids(duplicates),
            collisions=collisions,
            recovered=recovered,
            deliveries=planned.by_channel(),
            states=planned.states,
            suppressed=planned.suppressed,
            replaced=planned.replaced,
        )


def _order(item: Incoming) -> tuple[bytes, int, bytes]:
    return item.stream or b"", item.sequence or 0, item.alert.id.bytes


def _place(item: Incoming) -> Place:
    return item.stream or b"", item.sequence or 0


def _ids(items: Iterable[Incoming]) -> tuple[UUID, ...]:
    return tuple(item.alert.id for item in items)


def _sort_out(connection: Connection, others: Sequence[Incoming], now_us: int) -> tuple[list[Incoming], list[Incoming]]:
    """Tell replays of a number from alerts that are kept under another number, and mark these."""
    if not others:
        return [], []
    stored: dict[bytes, tuple[bytes | None, int | None]] = {}
    for ids in chunks([item.alert.id.bytes for item in others]):
        stored.update({row.id: (row.stream, row.sequence) for row in connection.execute(_stored_places, {"ids": ids})})
    replayed: list[Incoming] = []
    duplicates: list[Incoming] = []
    for item in others:
        same = item.stream is None or stored[item.alert.id.bytes] == (item.stream, item.sequence)
        (replayed if same else duplicates).append(item)
    reason = "its alert is kept under another number"
    _insert_duplicates.run(
        connection,
        [
            (item.stream, item.sequence, item.sequence, Mark.DUPLICATE.value, item.alert.id.bytes, reason, now_us)
            for item in duplicates
        ],
    )
    return replayed, duplicates
