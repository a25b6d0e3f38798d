"""Notes that a person knows of an alert, and stops what would wake others for it.

Lock order: the alert, its escalation, deliveries.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BindParameter, Connection, and_, bindparam, select, union, update

from subscriber.deliveries import DeliveryState, Why, escalation_step
from subscriber.store import schema
from subscriber.store.changes import ChangeKind, Fields, note_change
from subscriber.store.database import repeated
from subscriber.store.leases import FREE
from subscriber.store.part import StorePart, chunks, storable
from subscriber.store.turns import EscalationEnd

_queue: Final = schema.notification_queue
_alert: Final = schema.alert
_escalation: Final = schema.escalation
_acknowledgement: Final = schema.acknowledgement
#: As `deliveries.condition_of` has it.
_CONDITION: Final = ("source", "event_type", "symbol", "agent_name")


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Who acknowledged an alert, and when, in microseconds of UTC."""

    alert_id: UUID
    at_us: int
    author: str
    via: str
    note: str
    new: bool  #: whether that was now: the first one stands
    suppressed: Mapping[str, int] = field(default_factory=dict)  #: deliveries that nobody gets any more, by channel

    def fields(self) -> Fields:
        """Return it as plain data for JSON."""
        return {**asdict(self), "alert_id": str(self.alert_id), "suppressed": dict(self.suppressed)}


class Acknowledging(StorePart):
    """Alerts that people know of."""

    @repeated
    def acknowledge(self, alert_id: UUID, author: str, via: str, note: str = "") -> Acknowledged | None:
        """Note that a person knows of an alert: its escalation ends, and no delivery of that is begun any more.

        The same goes for the alerts of which it tells (they were counted, and it took their place) and for earlier ones
        like it: whoever knows of the newest knows of these. What may have reached somebody, is being sent, or is told
        in a digest whose text is fixed stays as it is.

        Args:
            alert_id: Which one.
            author: Who it is, as far as that is known.
            via: By which way: api, cli, page or telegram.
            note: What they say about it.

        Returns:
            The acknowledgement, the first one where there was one; None where there is no such alert.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        now_us = self._now_us()
        key = alert_id.bytes
        values = {"at_us": now_us, "author": storable(author), "via": storable(via), "note": storable(note)}
        statement = self.database.insert(_acknowledgement).values(alert_id=key, **values)
        first = statement.on_conflict_do_nothing().returning(_acknowledgement.c.alert_id)
        with self.database.writing() as connection:
            if connection.execute(_lock_alert, {"which": key}).one_or_none() is None:
                return None
            new = connection.execute(first).one_or_none() is not None
            row = connection.execute(_stored, {"which": key}).one()
            suppressed: Counter[str] = Counter()
            alike = connection.scalars(_alike, {"which": key}).all()
            for some in chunks(sorted({key, *alike, *_told_by(connection, key)})):
                given = {"ids": some, "now_us": now_us}
                connection.execute(_lock_escalations, given)
                connection.execute(_end_escalation, given)
                suppressed.update(connection.scalars(_suppress, given).all())
            if new:
                detail = {"alert_id": str(alert_id), "note": row.note}
                note_change(connection, ChangeKind.ACKNOWLEDGED, row.author, row.via, detail, now_us)
        return Acknowledged(alert_id, row.at_us, row.author, row.via, row.note, new, dict(suppressed))


def _told_by(connection: Connection, key: bytes) -> set[bytes]:
    """Return the alerts that escalate, or have, and of which an alert tells in their place, also by others between."""
    tells: defaultdict[bytes, set[bytes]] = defaultdict(set)
    seen: set[bytes] = set()
    found = set(connection.scalars(_escalating).all())
    while found:
        seen |= found
        tellers: set[bytes] = set()
        for some in chunks(sorted(found)):
            for row in connection.execute(_tellers, {"ids": some}):
                tells[row.told_by].add(row.alert_id)
                tellers.add(row.told_by)
        found = tellers - seen
    told: set[bytes] = set()
    found = {key}
    while found:
        found = {each for teller in found for each in tells[teller]} - told
        told |= found
    return told


_newest: Final = _alert.alias("newest")
#: What still escalates of the same condition and was published before; the daemon's own events are each their own.
_alike: Final = (
    select(_alert.c.id)
    .join(_newest, and_(*(_alert.c[name].is_not_distinct_from(_newest.c[name]) for name in _CONDITION)))
    .where(
        _newest.c.id == bindparam("which"),
        _newest.c.stream.is_not(None),
        _alert.c.stream.is_not(None),
        _alert.c.published_us <= _newest.c.published_us,
        _alert.c.id.in_(select(_escalation.c.alert_id).where(_escalation.c.ended_us.is_(None))),
    )
)
_ids: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
# Others may go on to refer to the alert: see `fallbacks.py`.
_lock_alert: Final = select(_alert.c.id).where(_alert.c.id == bindparam("which")).with_for_update(key_share=True)
_stored: Final = select(_acknowledgement).where(_acknowledgement.c.alert_id == bindparam("which"))
_of_these: Final = _escalation.c.alert_id.in_(_ids) & _escalation.c.ended_us.is_(None)
_lock_escalations: Final = (
    select(_escalation.c.alert_id).where(_of_these).order_by(_escalation.c.alert_id).with_for_update()
)
_end_escalation: Final = (
    update(_escalation)
    .where(_of_these)
    .values(ended_us=bindparam("now_us"), ended_why=EscalationEnd.ACKNOWLEDGED.value)
)
_escalations: Final = _queue.c.step.startswith(escalation_step(1).removesuffix("1"))
# Whoever holds one of them loses it, and sends nothing: it had no attempt open.
_is_untold: Final = (
    (_queue.c.status == DeliveryState.PENDING.value)
    & _queue.c.open_attempt.is_(None)
    & ~_queue.c.possible_repeat
    & _queue.c.digest.is_(None)
)
_untold: Final = (
    select(_queue.c.id)
    .where(_queue.c.alert_id.in_(_ids), _escalations, _is_untold)
    .order_by(_queue.c.id)
    .with_for_update()
    .cte("untold")
)
_escalating: Final = union(
    select(_escalation.c.alert_id).where(_escalation.c.ended_us.is_(None)),
    select(_queue.c.alert_id).where(schema.OPEN, _escalations),
)
_tellers: Final = (
    select(_queue.c.alert_id, _queue.c.told_by)
    .where(_queue.c.alert_id.in_(_ids), _queue.c.why == Why.DEDUP.value, _queue.c.told_by.is_not(None))
    .distinct()
)
_suppress: Final = (
    update(_queue)
    .where(_queue.c.id.in_(select(_untold.c.id)), _is_untold)
    .values(
        **FREE,
        status=DeliveryState.SUPPRESSED.value,
        why=Why.ACKNOWLEDGED.value,
        finished_at=bindparam("now_us"),
    )
    .returning(_queue.c.channel)
)
