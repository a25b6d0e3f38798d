"""Chooses what one bite of retention removes, and locks it.

What people still have to see stays, however old it is: an alert with a delivery that waits or is in doubt, or that is
told in a digest that is not finished; one that expired just now, and of which people are told in a moment; one that
goes on to be escalated; one with a message that failed after its acceptance and is not settled; one whose number is not
acknowledged yet; and one that told of a silence or a hung loop whose end is untold. What can't be counted right stays
too, for the audit to tell of it.

Lock order: streams, alerts, deliveries.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import BindParameter, Connection, bindparam, or_, select

from bus.clock import MICROSECONDS
from subscriber.deliveries import OPEN_STATES, DeliveryState, DigestState, Mark
from subscriber.store import schema
from subscriber.store.auditing_alerts import plan_of
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.part import chunks

_alert: Final = schema.alert
_queue: Final = schema.notification_queue
_link: Final = schema.attempt_delivery
_stream: Final = schema.stream
_mark: Final = schema.stream_mark
_receipt: Final = schema.receipt
_digest: Final = schema.digest
_escalation: Final = schema.escalation

_FINAL: Final = frozenset(state.value for state in DeliveryState if state not in OPEN_STATES)
#: People are told within seconds of what expired; where nobody is there to tell it, it is kept for so long.
_UNTOLD_US: Final = 86_400 * MICROSECONDS


@dataclass(slots=True)
class Bite:
    """What one transaction removes, and what it writes down of it."""

    alerts: dict[bytes, AnyRow] = field(default_factory=dict)
    deliveries: list[AnyRow] = field(default_factory=list)
    marks: list[AnyRow] = field(default_factory=list)
    streams: dict[bytes, AnyRow] = field(default_factory=dict)

    def spare(self, ids: Collection[bytes]) -> None:
        """Leave these alerts where they are."""
        if not ids:
            return
        self.alerts = {key: row for key, row in self.alerts.items() if key not in ids}
        self.deliveries = [row for row in self.deliveries if row.alert_id in self.alerts]
        self.marks = [row for row in self.marks if row.alert_id in self.alerts]


def chosen(connection: Connection, numbers: Sequence[int], now_us: int) -> Bite:
    """Lock what may go, and choose what does."""
    streams = set(connection.scalars(_streams_of, {"numbers": numbers}))
    marked = connection.execute(_marks_of, {"numbers": numbers}).all()
    streams |= {row.stream for row in marked}
    bite = Bite()
    bite.streams = {row.stream: row for row in connection.execute(_lock_streams, {"streams": sorted(streams)})}
    bite.alerts = {row.id: row for row in connection.execute(_lock_alerts, {"numbers": numbers})}
    bite.marks = list(connection.execute(_marks_of, {"numbers": numbers}))
    for some in chunks(list(bite.alerts)):
        bite.deliveries += connection.execute(_lock_deliveries, {"ids": some}).all()
    bite.spare({key for key, row in bite.alerts.items() if not _settled(bite, row.stream, row.sequence)})
    bite.spare({row.alert_id for row in bite.marks if not _settled(bite, row.stream, row.last)})
    bite.spare({row.alert_id for row in bite.deliveries if row.status not in _FINAL or row.open_attempt is not None})
    bite.spare(_just_expired(bite, now_us))
    bite.spare(_unsettled(connection, [row.id for row in bite.deliveries]))
    bite.spare(_in_open_digests(connection, bite))
    bite.spare(_escalating(connection, list(bite.alerts)))
    bite.spare({key for key, row in bite.alerts.items() if plan_of(row.planned) is None})
    bite.spare(_still_told(connection, [key for key, row in bite.alerts.items() if row.stream is None]))
    return bite


def _settled(bite: Bite, stream: bytes | None, number: int | None) -> bool:
    """Whether a number is acknowledged; what a daemon itself had to say has none."""
    if stream is None or number is None:
        return stream is None
    row = bite.streams.get(stream)
    return row is not None and row.up_to is not None and number <= row.up_to


def _just_expired(bite: Bite, now_us: int) -> set[bytes]:
    expired = [row for row in bite.deliveries if row.status == DeliveryState.EXPIRED.value and row.told_by is None]
    return {row.alert_id for row in expired if (row.finished_at or 0) > now_us - _UNTOLD_US}


def _in_open_digests(connection: Connection, bite: Bite) -> set[bytes]:
    """Return the alerts of digests that are not finished: what a digest tells of stays together until then."""
    digests = sorted({row.digest for row in bite.deliveries if row.digest is not None})
    found = {number for some in chunks(digests) for number in connection.scalars(_open_digests, {"ids": some})}
    return {row.alert_id for row in bite.deliveries if row.digest in found}


def _escalating(connection: Connection, alerts: Sequence[bytes]) -> set[bytes]:
    return {key for some in chunks(alerts) for key in connection.scalars(_open_escalations, {"keys": some})}


def _unsettled(connection: Connection, deliveries: Sequence[int]) -> set[bytes]:
    """Return the alerts with a message that failed, or arrived, and of which nobody has drawn the consequences."""
    found: set[bytes] = set()
    for some in chunks(deliveries):
        found |= set(connection.scalars(_with_unsettled, {"ids": some}))
    return found


def _still_told(connection: Connection, own: Sequence[bytes]) -> set[bytes]:
    """Return the daemon's own events whose end people are not told of yet."""
    if not own:
        return set()
    return {key for row in connection.execute(_untold) for key in (row.silence, row.hang) if key is not None}


_among: Final = _alert.c.number.in_(bindparam("numbers", expanding=True))
_LOCKED: Final = (
    *("id", "alert_id", "channel", "status", "open_attempt"),
    *("finished_at", "digest", "told_by"),
)
_streams_of: Final = select(_alert.c.stream).where(_among, _alert.c.stream.is_not(None)).distinct()
_marks_of: Final = (
    select(_mark.c.id, _mark.c.stream, _mark.c.last, _mark.c.alert_id)
    .join(_alert, _alert.c.id == _mark.c.alert_id)
    .where(_among, _mark.c.mark == Mark.DUPLICATE.value)
)
_lock_streams: Final = (
    select(_stream.c.stream, _stream.c.first, _stream.c.up_to)
    .where(_stream.c.stream.in_(bindparam("streams", expanding=True)))
    .order_by(_stream.c.stream)
    .with_for_update()
)
_lock_alerts: Final = (
    select(_alert.c.number, _alert.c.id, _alert.c.stream, _alert.c.sequence, _alert.c.planned)
    .where(_among)
    .order_by(_alert.c.stream, _alert.c.sequence, _alert.c.number)
    .with_for_update()
)
_lock_deliveries: Final = (
    select(*(_queue.c[name] for name in _LOCKED))
    .where(_queue.c.alert_id.in_(bindparam("ids", expanding=True)))
    .order_by(_queue.c.id)
    .with_for_update()
)
_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_open_digests: Final = select(_digest.c.id).where(_digest.c.id.in_(_ids), _digest.c.state == DigestState.OPEN.value)
_open_escalations: Final = select(_escalation.c.alert_id).where(
    _escalation.c.alert_id.in_(bindparam("keys", expanding=True)), _escalation.c.ended_us.is_(None)
)
_with_unsettled: Final = (
    select(_queue.c.alert_id)
    .join(_link, _link.c.delivery_id == _queue.c.id)
    .join(_receipt, _receipt.c.attempt_id == _link.c.attempt_id)
    .where(_queue.c.id.in_(_ids), _receipt.c.settled_us.is_(None))
)
_untold: Final = select(_stream.c.silence, _stream.c.hang).where(
    or_(_stream.c.silence.is_not(None), _stream.c.hang.is_not(None))
)
