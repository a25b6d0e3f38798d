"""Exports what is stored, row by row: plain values in stable columns, the oldest first, however many there are.

Rows are read in pages, each in a transaction of its own, so that a slow reader holds nothing up; what is stored after
the beginning is not in it. Nothing has secrets, as no table has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, Connection, Row, Select, Table, select, tuple_

from subscriber.store import schema
from subscriber.store.changes import Fields
from subscriber.store.handling import handling_of
from subscriber.store.part import StorePart, alert_from
from subscriber.store.telling import STORED, alert_fields, id_text

#: Rows of one page; an alert may take 64 KiB.
_PAGE: Final = 500

_alert: Final = schema.alert
_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery
_silence: Final = schema.silence
_change: Final = schema.change
_acknowledgement: Final = schema.acknowledgement

Rows = Sequence[Row[Any]]


@dataclass(frozen=True, slots=True)
class Export:
    """How one kind of thing is exported."""

    columns: tuple[str, ...]  #: of each row, in this order
    table: Table
    key: tuple[Column[Any], ...]  #: unique; the order of the rows
    time: Column[int]  #: what the bounds are compared with
    fields: Callable[[Connection, Rows], list[Fields]]
    selected: tuple[Any, ...] = ()  #: all columns of the table where nothing is said


class Exporting(StorePart):
    """Everything of one kind."""

    def export(self, what: str, since_us: int | None = None, until_us: int | None = None) -> Iterator[Fields]:
        """Return rows with the columns of `EXPORTS[what]`, the oldest first, in bounded memory.

        Every value is a text, a number, a truth value or None; times are microseconds of UTC. What happens to what is
        exported meanwhile may be in it or not.

        Args:
            what: A word of `EXPORTS`.
            since_us: Only what was published, planned, begun or done then or later.
            until_us: Only what was before.

        Raises:
            ValueError: There is no such word.
            StoreError: The database can't be used at the moment; raised while the rows are read, too.
        """
        if what not in EXPORTS:
            raise ValueError(f"Nothing is exported as {what!r}; write one of: {', '.join(EXPORTS)}.")
        return self._pages(EXPORTS[what], since_us, until_us)

    def _pages(self, export: Export, since_us: int | None, until_us: int | None) -> Iterator[Fields]:
        page = _bounded(export, since_us, until_us)
        with self.database.reading() as connection:
            last = connection.execute(page.order_by(None).order_by(*(each.desc() for each in export.key)).limit(1))
            end = last.one_or_none()
        if end is None:
            return
        page = page.where(tuple_(*export.key) <= _key(export, end))
        after: tuple[Any, ...] | None = None
        while True:
            with self.database.reading() as connection:
                wanted = page if after is None else page.where(tuple_(*export.key) > after)
                rows = connection.execute(wanted).all()
                found = export.fields(connection, rows)
            for fields in found:
                yield {name: fields[name] for name in export.columns}
            if len(rows) < _PAGE:
                return
            after = _key(export, rows[-1])


def _bounded(export: Export, since_us: int | None, until_us: int | None) -> Select[Any]:
    wanted = select(*(export.selected or export.table.c)).order_by(*export.key).limit(_PAGE)
    if since_us is not None:
        wanted = wanted.where(export.time >= since_us)
    if until_us is not None:
        wanted = wanted.where(export.time < until_us)
    return wanted


def _key(export: Export, row: Row[Any]) -> tuple[Any, ...]:
    return tuple(getattr(row, column.name) for column in export.key)


def _alerts(_connection: Connection, rows: Rows) -> list[Fields]:
    return [_alert_row(row) for row in rows]


def _alert_row(row: Row[Any]) -> Fields:
    said = alert_fields(alert_from(row))
    return {
        **dict.fromkeys(_SAID),
        **{name: value for name, value in said.items() if name in _SAID},
        **{name: _json(said.get(name)) for name in ("extra", "altered", "fields")},
        **{name: getattr(row, name) for name in _ALERT_COLUMNS},
        "id": id_text(row.id),
        "stream": None if row.stream is None else row.stream.hex(),
    }


def _deliveries(_connection: Connection, rows: Rows) -> list[Fields]:
    found = []
    for row in rows:
        handling = handling_of(row.handling)
        found.append(
            {
                **{name: getattr(row, name) for name in _QUEUE_COLUMNS},
                "alert_id": id_text(row.alert_id),
                "told_by": id_text(row.told_by),
                "route": handling.route,
                "silent": handling.silent,
                "template": handling.template,
                "more": row.more or 0,
                "handed_over": bool(row.handed_over),
            }
        )
    return found


def _attempts(connection: Connection, rows: Rows) -> list[Fields]:
    told: dict[int, list[int]] = {row.id: [] for row in rows}
    links = select(_link).where(_link.c.attempt_id.in_(told)).order_by(_link.c.attempt_id, _link.c.delivery_id)
    for link in connection.execute(links):
        told[link.attempt_id].append(link.delivery_id)
    return [
        {
            **dict(row._mapping),  # noqa: SLF001 - SQLAlchemy's public name for it
            "by_template": bool(row.by_template),
            "deliveries": " ".join(map(str, told[row.id])),
        }
        for row in rows
    ]


def _plain(_connection: Connection, rows: Rows) -> list[Fields]:
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def _acknowledgements(_connection: Connection, rows: Rows) -> list[Fields]:
    return [
        {**dict(row._mapping), "alert_id": str(UUID(bytes=row.alert_id))}  # noqa: SLF001 - its public name
        for row in rows
    ]


def _json(data: object) -> str | None:
    return json.dumps(data, ensure_ascii=False) if data else None


_ALERT_COLUMNS: Final = (
    "number",
    "sequence",
    "published_us",
    "stored_us",
    "topic",
    "kind",
    "event_type",
    "severity",
    "symbol",
    "agent_name",
    "source",
    "marks",
    "planned",
)
#: What an alert itself may say beside its columns; None where its kind has no such field.
_SAID: Final = (
    "occurred_at",
    "description",
    "value",
    "threshold",
    "action_taken",
    "quantity",
    "price",
    "reward",
    "rationale",
    "confidence",
    "pnl",
    "position",
    "resolves",
    "original_kind",
)
_QUEUE_COLUMNS: Final = (
    "id",
    "channel",
    "step",
    "status",
    "why",
    "priority",
    "retries",
    "created_at",
    "published_us",
    "due_at",
    "expires_at",
    "finished_at",
    "possible_repeat",
    "batch",
    "digest",
    "more_since",
    "last_reason",
    "last_code",
    "last_detail",
)
_ATTEMPT_COLUMNS: Final = (
    "id",
    "opened_us",
    "closed_us",
    "channel",
    "reason",
    "status",
    "code",
    "detail",
    "provider_message_id",
    "in_doubt",
    "seconds",
    "possible_repeat",
    "receipt",
    "receipt_us",
    "by_template",
    "deliveries",
)


def _whole(table: Table, time: Column[int]) -> Export:
    return Export(tuple(column.name for column in table.c), table, (table.c.id,), time, _plain)


#: What can be exported, and the columns of its rows.
EXPORTS: Final[Mapping[str, Export]] = {
    "alerts": Export(
        (*_ALERT_COLUMNS[:1], "id", "stream", *_ALERT_COLUMNS[1:], *_SAID, "extra", "altered", "fields"),
        _alert,
        (_alert.c.number,),
        _alert.c.published_us,
        _alerts,
        STORED,
    ),
    "deliveries": Export(
        (
            *_QUEUE_COLUMNS[:1],
            "alert_id",
            *_QUEUE_COLUMNS[1:],
            *("route", "silent", "template", "more", "told_by", "handed_over"),
        ),
        _queue,
        (_queue.c.id,),
        _queue.c.created_at,
        _deliveries,
        tuple(column for column in _queue.c if column.name != "payload"),
    ),
    "attempts": Export(_ATTEMPT_COLUMNS, _attempt, (_attempt.c.id,), _attempt.c.opened_us, _attempts),
    "silences": _whole(_silence, _silence.c.created_us),
    "changes": _whole(_change, _change.c.at_us),
    "acknowledgements": Export(
        ("at_us", "alert_id", "author", "via", "note"),
        _acknowledgement,
        (_acknowledgement.c.at_us, _acknowledgement.c.alert_id),
        _acknowledgement.c.at_us,
        _acknowledgements,
    ),
}
