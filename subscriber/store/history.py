"""Tells what became of alerts: the history, one alert's whole story, and what a digest told.

Everything it returns is plain data that JSON can hold, with times in microseconds of UTC, and without secrets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Table, exists, select

from subscriber.store import schema
from subscriber.store.changes import Fields
from subscriber.store.part import StorePart, storable
from subscriber.store.silences import silence_from, silence_of_batch
from subscriber.store.telling import (
    STORED,
    acknowledgement_entry,
    acknowledgement_of,
    alert_entry,
    delivery_entry,
    digest_entry,
    escalation_of,
    told_text,
)
from subscriber.store.unacknowledged import ACKNOWLEDGED, UNACKNOWLEDGED

_alert: Final = schema.alert
_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery
_receipt: Final = schema.receipt
_digest: Final = schema.digest
_silence: Final = schema.silence
_acknowledgement: Final = schema.acknowledgement


class History(StorePart):
    """Reading what became of alerts."""

    def history(  # noqa: PLR0913 - each is a filter of its own
        self,
        limit: int,
        before: int | None = None,
        channel: str | None = None,
        state: str | None = None,
        *,
        since_us: int | None = None,
        until_us: int | None = None,
        severity: str | None = None,
        event_type: str | None = None,
        symbol: str | None = None,
        agent_name: str | None = None,
        source: str | None = None,
        kind: str | None = None,
        acknowledged: bool | None = None,
    ) -> list[Fields]:
        """Return alerts with who knows of them and their deliveries, the newest first.

        Args:
            limit: How many alerts at most.
            before: The `number` of the last alert of the page before.
            channel: Only alerts that were planned for this channel.
            state: Only alerts with a delivery in this state (of that channel, where one is given).
            since_us: Only alerts that were published then or later, in microseconds.
            until_us: Only alerts that were published before.
            severity: Only alerts of this severity; an action counts as INFO.
            event_type: Only alerts of this type of event, or this action.
            symbol: Only alerts about this symbol.
            agent_name: Only alerts of this agent.
            source: Only alerts of this publisher.
            kind: Only alerts of this kind.
            acknowledged: Only alerts that somebody acknowledged; where it is False, only CRITICAL that nobody did,
                but for tests.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        equal = {
            "severity": severity,
            "event_type": event_type,
            "symbol": symbol,
            "agent_name": agent_name,
            "source": source,
            "kind": kind,
        }
        wanted = select(*STORED).order_by(_alert.c.number.desc()).limit(limit)
        wanted = wanted.where(*(_alert.c[name] == storable(word) for name, word in equal.items() if word is not None))
        if before is not None:
            wanted = wanted.where(_alert.c.number < before)
        if since_us is not None:
            wanted = wanted.where(_alert.c.published_us >= since_us)
        if until_us is not None:
            wanted = wanted.where(_alert.c.published_us < until_us)
        if acknowledged is not None:
            wanted = wanted.where(ACKNOWLEDGED if acknowledged else UNACKNOWLEDGED)
        if channel is not None or state is not None:
            wanted = wanted.where(_with_delivery(channel, state))
        with self.database.reading() as connection:
            return _entries_of(connection, connection.execute(wanted).all())

    def entries(self, alert_ids: Sequence[bytes]) -> list[Fields]:
        """Return alerts as `history` does, in the order of their storing; those that are not stored are left out.

        Args:
            alert_ids: The 16 bytes of their ids.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        wanted = select(*STORED).where(_alert.c.id.in_(alert_ids)).order_by(_alert.c.number)
        with self.database.reading() as connection:
            return _entries_of(connection, connection.execute(wanted).all())

    def story(self, alert_id: UUID) -> Fields | None:
        """Return all that is known of one alert: where it came from, who knows of it, and what became of it.

        That is its acknowledgement and its escalation, each None where there is none, and its deliveries with what
        their routes said, the digest that told them, the silence that held or dropped them, their attempts and
        receipts.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        key = alert_id.bytes
        with self.database.reading() as connection:
            row = connection.execute(select(*STORED).where(_alert.c.id == key)).one_or_none()
            if row is None:
                return None
            deliveries = _deliveries_of(connection, [key])[key]
            attempts = _attempts_of(connection, [delivery["id"] for delivery in deliveries])
            acknowledgement, escalation = acknowledgement_of(connection, key), escalation_of(connection, key)
        return {
            **alert_entry(row),
            "acknowledgement": acknowledgement,
            "escalation": escalation,
            "deliveries": [{**delivery, "attempts": attempts[delivery["id"]]} for delivery in deliveries],
        }

    def digest_story(self, number: int) -> Fields | None:
        """Return what a digest told, and of which alerts; None where there is no such digest.

        One that was refused for good and split has no alerts any more, but `halves`; `text` is None until its first
        attempt.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            row = connection.execute(select(_digest).where(_digest.c.id == number)).one_or_none()
            if row is None:
                return None
            halves = connection.scalars(select(_digest.c.id).where(_digest.c.parent == number).order_by(_digest.c.id))
            alerts = connection.execute(
                select(_queue.c.status, *(_alert.c[name] for name in _NAMED), _alert.c.id)
                .join(_alert, _alert.c.id == _queue.c.alert_id)
                .where(_queue.c.digest == number)
                .order_by(_queue.c.priority, _queue.c.published_us, _queue.c.id)
            ).all()
            return {
                **digest_entry(row),
                "channel": row.channel,
                "created_us": row.created_us,
                "finished_us": row.finished_us,
                "parent": row.parent,
                "halves": list(halves),
                "text": told_text(row.message),
                "alerts": [
                    {
                        "id": str(UUID(bytes=each.id)),
                        **{name: getattr(each, name) for name in _NAMED},
                        "state": each.status,
                    }
                    for each in alerts
                ],
            }


#: What names an alert in a digest.
_NAMED: Final = ("published_us", "severity", "event_type", "symbol", "agent_name", "source")


def _with_delivery(channel: str | None, state: str | None) -> ColumnElement[bool]:
    matching = _queue.c.alert_id == _alert.c.id
    if channel is not None:
        matching &= _queue.c.channel == storable(channel)
    if state is not None:
        matching &= _queue.c.status == storable(state)
    return exists().where(matching)


def _deliveries_of(connection: Connection, alert_ids: Sequence[bytes]) -> defaultdict[bytes, list[Fields]]:
    found: defaultdict[bytes, list[Fields]] = defaultdict(list)
    columns = [column for column in _queue.c if column.name != "payload"]  # the alert, once more
    rows = connection.execute(select(*columns).where(_queue.c.alert_id.in_(alert_ids)).order_by(_queue.c.id)).all()
    digests = _by_id(connection, _digest, {row.digest for row in rows}, digest_entry)
    silenced = {row.id: silence_of_batch(row.batch) for row in rows}
    silences = _by_id(connection, _silence, set(silenced.values()), lambda row: silence_from(row).fields())
    for row in rows:
        digest, silence = digests.get(row.digest), silences.get(silenced[row.id])
        found[row.alert_id].append({**delivery_entry(row), "digest": digest, "silence": silence})
    return found


def _by_id(
    connection: Connection, table: Table, ids: Iterable[int | None], fields: Callable[[Row[Any]], Fields]
) -> dict[int | None, Fields]:
    wanted = [number for number in ids if number is not None]
    if not wanted:
        return {}
    return {row.id: fields(row) for row in connection.execute(select(table).where(table.c.id.in_(wanted)))}


def _entries_of(connection: Connection, alerts: Sequence[Row[Any]]) -> list[Fields]:
    ids = [row.id for row in alerts]
    deliveries = _deliveries_of(connection, ids)
    known = {
        row.alert_id: acknowledgement_entry(row)
        for row in connection.execute(select(_acknowledgement).where(_acknowledgement.c.alert_id.in_(ids)))
    }
    return [
        {**alert_entry(row), "acknowledgement": known.get(row.id), "deliveries": deliveries[row.id]} for row in alerts
    ]


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
