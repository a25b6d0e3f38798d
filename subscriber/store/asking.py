"""Answers questions about what is stored: history, one alert's story, counts, and the daemon's own settings.

Everything it returns is plain data that JSON can hold, with times in microseconds of UTC, and without secrets.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, exists, func, select

from bus.alerts import Alert
from subscriber.deliveries import Reason
from subscriber.store import schema
from subscriber.store.part import BODY, StorePart, alert_from

Fields = dict[str, Any]  #: plain data for JSON

_alert: Final = schema.alert
_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery
_receipt: Final = schema.receipt

#: An alert as it is stored, for `alert_from`.
_stored: Final = (*(column for column in _alert.c if column.name != "body"), BODY, _alert.c.id.label("alert_id"))
_PRIORITIES: Final = (0, 1, 2)  # all that `priority_of` returns
_FAILURES: Final = tuple(reason for reason in Reason if reason is not Reason.ACCEPTED)


class Asking(StorePart):
    """Reading what is stored, for people and for metrics."""

    def history(
        self, limit: int, before: int | None = None, channel: str | None = None, state: str | None = None
    ) -> list[Fields]:
        """Return alerts with their deliveries, the newest first.

        Args:
            limit: How many alerts at most.
            before: The `number` of the last alert of the page before.
            channel: Only alerts that were planned for this channel.
            state: Only alerts with a delivery in this state (of that channel, where one is given).

        Raises:
            StoreError: The database can't be used at the moment.
        """
        wanted = select(*_stored).order_by(_alert.c.number.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(_alert.c.number < before)
        if channel is not None or state is not None:
            matching = _queue.c.alert_id == _alert.c.id
            if channel is not None:
                matching &= _queue.c.channel == channel
            if state is not None:
                matching &= _queue.c.status == state
            wanted = wanted.where(exists().where(matching))
        with self.database.reading() as connection:
            alerts = connection.execute(wanted).all()
            deliveries = _deliveries_of(connection, [row.id for row in alerts])
        return [{**_alert_fields(row), "deliveries": deliveries[row.id]} for row in alerts]

    def story(self, alert_id: UUID) -> Fields | None:
        """Return all that is known of one alert: where it came from, its deliveries, their attempts and receipts.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            row = connection.execute(select(*_stored).where(_alert.c.id == alert_id.bytes)).one_or_none()
            if row is None:
                return None
            deliveries = _deliveries_of(connection, [row.id])[row.id]
            attempts = _attempts_of(connection, [delivery["id"] for delivery in deliveries])
        return {
            **_alert_fields(row),
            "deliveries": [{**delivery, "attempts": attempts[delivery["id"]]} for delivery in deliveries],
        }

    def channels_of(self, alert_id: UUID) -> tuple[str, ...]:
        """Return the channels that an alert was planned for, none where it is not stored.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            planned = connection.scalar(select(_alert.c.planned).where(_alert.c.id == alert_id.bytes))
        return tuple(dict.fromkeys(channel for channel, _step in json.loads(planned or "[]")))

    def channel_counts(self) -> dict[str, dict[str, int]]:
        """Count the deliveries by channel and state; states without any are left out.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        with self.database.reading() as connection:
            for channel, status, count in connection.execute(_counts):
                counts[channel][status] = count
        return dict(counts)

    def open_counts(self) -> dict[str, int]:
        """Count what waits to be sent, by channel; cheap however much was ever delivered.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return {row.channel: row.waiting for row in connection.execute(_open_counts)}

    def queue_oldest_us(self, channel: str) -> int | None:
        """Return when the oldest alert that still waits for a channel was published, or None.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            oldest = [
                connection.scalar(_oldest, {"channel_name": channel, "rank": priority}) for priority in _PRIORITIES
            ]
        return min((moment for moment in oldest if moment is not None), default=None)

    def last_success_us(self, channel: str) -> int | None:
        """Return when a channel's provider last took a message, or None.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            row = connection.execute(_newest, {"channel_name": channel, "ended_as": Reason.ACCEPTED.value}).first()
        return None if row is None else int(row.closed_us)

    def last_error(self, channel: str) -> dict[str, str | int | None] | None:
        """Return a channel's newest attempt that was not accepted, or None.

        Its keys are reason, status (HTTP), code (the provider's own), detail and at_us.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            rows = [
                row
                for reason in _FAILURES
                for row in connection.execute(_newest, {"channel_name": channel, "ended_as": reason.value})
            ]
        if not rows:
            return None
        newest = max(rows, key=lambda row: row.closed_us)
        return {
            "reason": newest.reason,
            "status": newest.status,
            "code": newest.code,
            "detail": newest.detail,
            "at_us": newest.closed_us,
        }

    def fetch_pending_notifications(self, limit: int = 50) -> list[Fields]:
        """Return what waits to be sent, in the order of sending.

        Each has id, payload (the alert), status, retries, created_at (microseconds) and channel. Reading takes
        nothing from a worker; see `claim` for that.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            rows = connection.execute(_pending, {"most": limit}).all()
        return [{**row._mapping, "payload": json.loads(row.payload)} for row in rows]  # noqa: SLF001 - its public name


_open_counts: Final = (
    select(_queue.c.channel, func.count().label("waiting")).where(schema.OPEN).group_by(_queue.c.channel)
)
_counts: Final = select(_queue.c.channel, _queue.c.status, func.count()).group_by(_queue.c.channel, _queue.c.status)
# One priority at a time: each is then the first entry of the claim's index, however long the queue is.
_oldest: Final = select(func.min(_queue.c.published_us)).where(
    _queue.c.channel == bindparam("channel_name"), _queue.c.priority == bindparam("rank"), schema.OPEN
)
# One reason at a time, for the same reason.
_newest: Final = (
    select(_attempt)
    .where(
        _attempt.c.channel == bindparam("channel_name"),
        _attempt.c.reason == bindparam("ended_as"),
        _attempt.c.closed_us.is_not(None),
    )
    .order_by(_attempt.c.closed_us.desc())
    .limit(1)
)
_pending: Final = (
    select(
        _queue.c.id,
        _queue.c.payload,
        _queue.c.status,
        _queue.c.retries,
        _queue.c.created_at,
        _queue.c.channel,
    )
    .where(schema.OPEN)
    .order_by(_queue.c.priority, _queue.c.published_us, _queue.c.id)
    .limit(bindparam("most"))
)


def alert_fields(alert: Alert) -> Fields:
    """Return an alert as plain data, without the agent's state, which is large and no part of a message."""
    return alert.model_dump(mode="json", exclude={"state"})


def _alert_fields(row: Row[Any]) -> Fields:
    return {
        "number": row.number,
        "alert": alert_fields(alert_from(row)),
        "topic": row.topic,
        "severity": row.severity,
        "stream": None if row.stream is None else row.stream.hex(),
        "sequence": row.sequence,
        "published_us": row.published_us,
        "stored_us": row.stored_us,
        "marks": [mark for mark in row.marks.split(",") if mark],
    }


_DELIVERY_FIELDS: Final = (
    "id",
    "channel",
    "step",
    "status",
    "why",
    "retries",
    "created_at",
    "due_at",
    "finished_at",
    "possible_repeat",
    "last_reason",
    "last_code",
    "last_detail",
)


def _deliveries_of(connection: Connection, alert_ids: Sequence[bytes]) -> defaultdict[bytes, list[Fields]]:
    found: defaultdict[bytes, list[Fields]] = defaultdict(list)
    columns = [_queue.c[name] for name in _DELIVERY_FIELDS]
    statement = select(_queue.c.alert_id, *columns).where(_queue.c.alert_id.in_(alert_ids)).order_by(_queue.c.id)
    for row in connection.execute(statement):
        fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
        found[fields.pop("alert_id")].append(fields)
    return found


def _attempts_of(connection: Connection, delivery_ids: Iterable[int]) -> defaultdict[int, list[Fields]]:
    found: defaultdict[int, list[Fields]] = defaultdict(list)
    statement = (
        select(_link.c.delivery_id, _attempt)
        .join(_attempt, _attempt.c.id == _link.c.attempt_id)
        .where(_link.c.delivery_id.in_(list(delivery_ids)))
        .order_by(_attempt.c.id)
    )
    rows = connection.execute(statement).all()
    receipts = _receipts_of(connection, {row.id for row in rows})
    for row in rows:
        fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
        del fields["receipt_due"], fields["receipt_until"]
        fields["receipt_at"] = fields.pop("receipt_us")
        fields["by_template"] = bool(row.by_template)
        found[fields.pop("delivery_id")].append({**fields, "receipts": receipts[row.id]})
    return found


def _receipts_of(connection: Connection, attempts: Iterable[int]) -> defaultdict[int, list[Fields]]:
    found: defaultdict[int, list[Fields]] = defaultdict(list)
    statement = select(_receipt).where(_receipt.c.attempt_id.in_(list(attempts))).order_by(_receipt.c.id)
    for row in connection.execute(statement):
        at_us = row.received_us if row.at_us is None else row.at_us
        found[row.attempt_id].append({"state": row.state, "at": at_us, "code": row.code, "detail": row.detail})
    return found
