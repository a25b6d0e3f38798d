"""Begins escalations with their alerts, and ends those of what is over; inside somebody else's writing transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, update

from bus.alerts import Severity, SystemEvent
from subscriber.deliveries import severity_of
from subscriber.store import schema
from subscriber.store.bulk import BulkInsert, Row
from subscriber.store.incoming import Incoming
from subscriber.store.part import storable
from subscriber.store.turns import EscalationEnd

_escalation: Final = schema.escalation
_insert: Final = BulkInsert(_escalation, ("alert_id", "ack_within_us", "channels", "turn", "due_us"))
_end: Final = (
    update(_escalation)
    .where(_escalation.c.alert_id == bindparam("which"), _escalation.c.ended_us.is_(None))
    .values(ended_us=bindparam("now_us"), ended_why=EscalationEnd.RESOLVED.value)
)


def begin_and_end(connection: Connection, items: Sequence[Incoming], now_us: int) -> None:
    """Let CRITICAL alerts escalate where their plans say so, and end what new events resolve.

    Args:
        connection: A writing transaction that has inserted the alerts.
        items: The new alerts.
        now_us: The time of storing: people have `ack_within_us` from now on.
    """
    begun: list[Row] = []
    resolved: set[bytes] = set()
    for item in items:
        alert = item.alert
        if isinstance(alert, SystemEvent) and alert.resolves is not None:
            resolved.add(alert.resolves.bytes)
        for planned in item.planned:
            if planned.escalation is not None:
                begun.extend(_row(item, now_us))
                break
    _insert.run(connection, begun)
    if resolved:  # in one order for everybody
        connection.execute(_end, [{"which": key, "now_us": now_us} for key in sorted(resolved)])


def _row(item: Incoming, now_us: int) -> Sequence[Row]:
    escalation = next(planned.escalation for planned in item.planned if planned.escalation is not None)
    if severity_of(item.alert) is not Severity.CRITICAL or not escalation.channels:
        return ()
    channels = json.dumps([storable(channel) for channel in escalation.channels], separators=(",", ":"))
    return ((item.alert.id.bytes, escalation.ack_within_us, channels, 1, now_us + escalation.ack_within_us),)
