"""Begins escalations with their alerts, and ends what is over; inside somebody else's writing transaction.

An alert that another one tells of has none of its own: nobody would see it to acknowledge it. Where it waited, and a
newer one takes its place, that one takes over the escalation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, delete, select, update

from bus.alerts import Severity, SystemEvent
from subscriber.deliveries import Escalation, severity_of
from subscriber.store import schema
from subscriber.store.bulk import BulkInsert
from subscriber.store.incoming import Incoming
from subscriber.store.part import chunks, storable
from subscriber.store.turns import EscalationEnd
from subscriber.store.windows import Applied

_alert: Final = schema.alert
_escalation: Final = schema.escalation


class _Row(NamedTuple):
    """A row of the table."""

    alert_id: bytes
    ack_within_us: int
    channels: str
    turn: int
    due_us: int


def begin_and_end(connection: Connection, items: Sequence[Incoming], applied: Applied, now_us: int) -> None:
    """Let CRITICAL alerts escalate where their plans say so, and end what new events resolve.

    Args:
        connection: A writing transaction that has inserted the alerts.
        items: The new alerts.
        applied: What windows made of them.
        now_us: The time of storing: people have `ack_within_us` from now on.
    """
    begun: dict[bytes, _Row] = {}
    resolved: dict[bytes, bytes] = {}
    for item in items:
        alert = item.alert
        if isinstance(alert, SystemEvent) and alert.resolves is not None:
            resolved[alert.resolves.bytes] = alert.id.bytes
        escalation = _escalation_of(item, applied)
        if escalation is not None:
            begun[alert.id.bytes] = _first_turn(alert.id.bytes, escalation, now_us)
    locked = _locked(connection, {*applied.successors, *resolved})
    replaced = [row for row in locked if row.alert_id in applied.successors]
    for row in replaced:
        heir = applied.successors[row.alert_id]
        own = begun.get(heir)
        if own is None or row.due_us < own.due_us:
            begun[heir] = row._replace(alert_id=heir)
    for some in chunks([row.alert_id for row in replaced]):
        connection.execute(_remove, {"ids": some})
    _insert.run(connection, list(begun.values()))
    if resolved:
        connection.execute(_end, [{"which": key, "now_us": now_us} for key in sorted(resolved)])
        connection.execute(_resolve, [{"which": key, "ending": resolved[key]} for key in sorted(resolved)])


def _escalation_of(item: Incoming, applied: Applied) -> Escalation | None:
    """Return how an alert escalates; None where it does not, or where another one tells of it."""
    if severity_of(item.alert) is not Severity.CRITICAL:
        return None
    for planned in item.planned:
        escalation = planned.escalation
        placed = applied.placements.get((item.alert.id.bytes, planned.channel))
        if escalation is not None and escalation.channels and (placed is None or placed.told_by is None):
            return escalation
    return None


def _first_turn(key: bytes, escalation: Escalation, now_us: int) -> _Row:
    channels = json.dumps([storable(channel) for channel in escalation.channels], separators=(",", ":"))
    return _Row(key, escalation.ack_within_us, channels, 1, now_us + escalation.ack_within_us)


def _locked(connection: Connection, keys: set[bytes]) -> list[_Row]:
    """Lock the escalations of alerts that nobody ended, in one order for everybody."""
    return [_Row(*row) for some in chunks(sorted(keys)) for row in connection.execute(_lock, {"ids": some})]


_ids: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
_columns: Final = _Row._fields
_insert: Final = BulkInsert(_escalation, _columns)
_lock: Final = (
    select(*(_escalation.c[name] for name in _columns))
    .where(_escalation.c.alert_id.in_(_ids), _escalation.c.ended_us.is_(None))
    .order_by(_escalation.c.alert_id)
    .with_for_update()
)
_remove: Final = delete(_escalation).where(_escalation.c.alert_id.in_(_ids))
_end: Final = (
    update(_escalation)
    .where(_escalation.c.alert_id == bindparam("which"), _escalation.c.ended_us.is_(None))
    .values(ended_us=bindparam("now_us"), ended_why=EscalationEnd.RESOLVED.value)
)
_resolve: Final = update(_alert).where(_alert.c.id == bindparam("which")).values(resolved_by=bindparam("ending"))
