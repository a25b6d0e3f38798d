"""Stores alerts with what is planned for them: one transaction per batch, and every replay is harmless.

Lock order, for several daemons on one PostgreSQL: first the rows of the streams, by stream, then the alerts by
(stream, sequence). So two daemons that store the same batch wait for each other instead of deadlocking, and what is
declared lost (`Streams.record_lost`, under the same lock) can't arrive unseen at that moment.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, select

from bus.alerts import Alert, Severity
from subscriber.deliveries import (
    OPEN_STATES,
    DeliveryState,
    Mark,
    PlannedDelivery,
    Step,
    Why,
    event_of,
    priority_of,
    severity_of,
)
from subscriber.store import schema
from subscriber.store.bulk import BulkInsert, Row
from subscriber.store.numbering import Place, arrived, colliding, lock_streams, move_streams
from subscriber.store.part import StorePart, chunks, storable

_NOT_TOLD: Final = {"state"}  # the agent's observation: large, and no part of a message
_NUL_IN_JSON: Final = "\\u0000"


@dataclass(frozen=True, slots=True)
class Incoming:
    """An alert as it came from the bus, or from the daemon itself, with what is planned for it."""

    alert: Alert
    body: bytes  #: msgpack, byte by byte as it came
    topic: str
    stream: bytes | None  #: None for a daemon's own SystemEvent
    sequence: int | None
    published_us: int
    planned: tuple[PlannedDelivery, ...] = ()
    not_routed: bool = False  #: no route wanted it, which is legal for anything but CRITICAL


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a batch."""

    inserted: tuple[UUID, ...] = ()  #: alerts that are new, in the order of (stream, sequence)
    replayed: tuple[UUID, ...] = ()  #: came again under the number that they have
    duplicates: tuple[UUID, ...] = ()  #: are kept under another number; marked
    collisions: tuple[Place, ...] = ()  #: numbers that now hold more than one alert: a person has to hear of it
    recovered: int = 0  #: numbers that were lost and arrived after all
    deliveries: Mapping[str, int] = field(default_factory=dict)  #: how many were planned now, by channel


#: The plain text of each word: a lookup costs a third of `.value`, and the drivers would convert a StrEnum again.
_WORDS: Final[dict[str, str]] = {word: word.value for words in (Severity, DeliveryState, Step, Why) for word in words}
_NOT_ROUTED: Final = Mark.NOT_ROUTED.value
_ALERT_COLUMNS: Final = tuple(column.name for column in schema.alert.c if column.name != "number")
_DELIVERY_COLUMNS: Final = (
    "payload",
    "status",
    "retries",
    "created_at",
    "alert_id",
    "channel",
    "step",
    "why",
    "priority",
    "due_at",
    "published_us",
    "possible_repeat",
    "finished_at",
)
_insert_alerts: Final = BulkInsert(schema.alert, _ALERT_COLUMNS, returning="id")
_insert_deliveries: Final = BulkInsert(schema.notification_queue, _DELIVERY_COLUMNS)
_insert_duplicates: Final = BulkInsert(
    schema.stream_mark, ("stream", "first", "last", "mark", "alert_id", "reason", "noted_us")
)
_stored_places: Final = select(schema.alert.c.id, schema.alert.c.stream, schema.alert.c.sequence).where(
    schema.alert.c.id.in_(bindparam("ids", expanding=True))
)


class Accepting(StorePart):
    """Storing what comes in."""

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
        ordered = sorted(batch, key=_order)
        now_us = self._now_us()
        with self.database.writing() as connection:
            sources = {item.stream: item.alert.source for item in ordered if item.stream is not None}
            streams = lock_streams(self.database, connection, {**dict.fromkeys(positions, ""), **sources}, now_us)
            inserted, others = _insert(connection, ordered, now_us)
            deliveries = _plan(connection, inserted, now_us)
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
            deliveries=deliveries,
        )


def _order(item: Incoming) -> tuple[bytes, int, bytes]:
    return item.stream or b"", item.sequence or 0, item.alert.id.bytes


def _place(item: Incoming) -> Place:
    return item.stream or b"", item.sequence or 0


def _ids(items: Iterable[Incoming]) -> tuple[UUID, ...]:
    return tuple(item.alert.id for item in items)


def _insert(connection: Connection, ordered: Sequence[Incoming], now_us: int) -> tuple[list[Incoming], list[Incoming]]:
    """Insert the alerts that are new; return them, and the others."""
    first: dict[bytes, Incoming] = {}
    others = [item for item in ordered if first.setdefault(item.alert.id.bytes, item) is not item]
    rows = [_alert_row(key, item, now_us) for key, item in first.items()]
    new = _insert_alerts.run_returning(connection, rows)
    if len(new) == len(first):
        return list(first.values()), others
    others.extend(item for key, item in first.items() if key not in new)
    return [item for key, item in first.items() if key in new], others


def _plan(connection: Connection, inserted: Iterable[Incoming], now_us: int) -> dict[str, int]:
    rows: list[Row] = []
    for item in inserted:
        if item.planned:
            rows.extend(_delivery_rows(item, now_us))
    _insert_deliveries.run(connection, rows)
    return dict(Counter(row[_DELIVERY_COLUMNS.index("channel")] for row in rows))


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


def _alert_row(key: bytes, item: Incoming, now_us: int) -> Row:
    """Return the values of `_ALERT_COLUMNS`; ten thousand times a second, so nothing here is general."""
    alert = item.alert
    return (
        key,
        item.stream,
        item.sequence,
        item.published_us,
        now_us,
        storable(item.topic),
        alert.kind,
        storable(event_of(alert)),
        _WORDS[severity_of(alert)],
        None if alert.symbol is None else storable(alert.symbol),
        None if alert.agent_name is None else storable(alert.agent_name),
        storable(alert.source),
        item.body,
        _NOT_ROUTED if item.not_routed else "",
        _planned_text(tuple([(planned.channel, planned.step) for planned in item.planned])),
    )


def _delivery_rows(item: Incoming, now_us: int) -> Iterable[Row]:
    payload = payload_of(item.alert)
    priority = priority_of(item.alert)
    key = item.alert.id.bytes
    for planned in {(planned.channel, planned.step): planned for planned in item.planned}.values():
        yield (
            payload,
            _WORDS[planned.state],
            0,
            now_us,
            key,
            planned.channel,
            _WORDS[planned.step],
            None if planned.why is None else _WORDS[planned.why],
            priority,
            planned.due_at_us,
            item.published_us,
            False,
            None if planned.state in OPEN_STATES else now_us,
        )


@lru_cache(maxsize=256)
def _planned_text(planned: tuple[tuple[str, str], ...]) -> str:
    return json.dumps(list(dict.fromkeys(planned)), separators=(",", ":"), ensure_ascii=False)


def payload_of(alert: Alert) -> str:
    """Return an alert as compact JSON for people and SQL: without the agent's state, and without NUL characters."""
    text = alert.model_dump_json(exclude=_NOT_TOLD, exclude_none=True)
    if _NUL_IN_JSON not in text:
        return text
    return json.dumps(_without_nul(json.loads(text)), separators=(",", ":"), ensure_ascii=False)


def _without_nul(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): _without_nul(item) for key, item in value.items()}
    return value
