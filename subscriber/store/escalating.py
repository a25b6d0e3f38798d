"""Escalates alerts that nobody acknowledged: plans the next turn's delivery when it is due, a bounded number of times.

Lock order: the alert, its escalation, deliveries. Whoever acknowledges an alert locks it first, too; so no turn is
planned for an alert that somebody knows of.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select, update

from subscriber.deliveries import DeliveryState, Step, Why, escalation_step
from subscriber.store import schema
from subscriber.store.acknowledging import Acknowledging
from subscriber.store.auditing_alerts import plan_of
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.database import repeated
from subscriber.store.handling import handling_of, handling_text
from subscriber.store.incoming import planned_text
from subscriber.store.overdue import Overdue
from subscriber.store.telling import list_of
from subscriber.store.turns import DueEscalation, Escalated, EscalationEnd

_queue: Final = schema.notification_queue
_alert: Final = schema.alert
_escalation: Final = schema.escalation


class Escalating(Acknowledging, Overdue):
    """Alerts that go on to the next channel, or to another one."""

    def due_escalations(self, limit: int) -> list[DueEscalation]:
        """Return the turns that are due, the longest due first.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            rows = connection.execute(_due, {"now_us": self._now_us(), "most": limit}).all()
        return [_due_escalation(row) for row in rows]

    @repeated
    def escalate(self, due: DueEscalation, enabled: Collection[str], *, dry_run: bool = False) -> Escalated | None:
        """Let a turn's channel tell an alert now; one that is not there is passed over, and its turn is the next one's.

        The delivery has a sound, whatever its route says, and never expires.

        Args:
            due: What `due_escalations` returned.
            enabled: The channels that are there.
            dry_run: Nothing is sent: the delivery is suppressed, as all that a dry run plans.

        Returns:
            What was done; None where there is nothing to do any more: another daemon was quicker, or it has ended.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        now_us = self._now_us()
        key = due.alert_id.bytes
        with self.database.writing() as connection:
            alert = connection.execute(_lock_alert, {"which": key}).one_or_none()
            row = connection.execute(_lock_escalation, {"which": key, "its_turn": due.turn}).one_or_none()
            if alert is None or row is None:
                return None
            channels = tuple(list_of(row.channels))
            turn, channel = _next_turn(channels, due.turn, enabled)
            skipped = tuple(channels[due.turn - 1 : turn - 1])
            first = connection.execute(_first_delivery, {"which": key}).one_or_none()
            if channel is None or first is None:
                connection.execute(_exhaust, {"which": key, "its_turn": turn, "now_us": now_us})
                return Escalated(due.alert_id, turn, None, skipped, ended=True)
            _plan(connection, alert, first, channel, escalation_step(turn), now_us, dry_run=dry_run)
            ended = turn >= len(channels)
            move = _exhaust if ended else _move_on
            moved = {"which": key, "its_turn": turn + 1, "now_us": now_us, "next_us": now_us + row.ack_within_us}
            connection.execute(move, moved)
        return Escalated(due.alert_id, turn, channel, skipped, ended)


def _due_escalation(row: AnyRow) -> DueEscalation:
    channels = tuple(list_of(row.channels))
    return DueEscalation(
        alert_id=UUID(bytes=row.alert_id),
        turn=row.turn,
        channel=channels[row.turn - 1] if row.turn <= len(channels) else "",
        turns=len(channels),
        due_us=row.due_us,
        severity=row.severity,
        event_type=row.event_type,
        symbol=row.symbol,
        source=row.source,
    )


def _next_turn(channels: tuple[str, ...], turn: int, enabled: Collection[str]) -> tuple[int, str | None]:
    """Return the first turn from one on whose channel is there; the number behind the last one where there is none."""
    for number, channel in enumerate(channels[turn - 1 :], start=turn):
        if channel in enabled:
            return number, channel
    return max(len(channels) + 1, turn), None


def _plan(
    connection: Connection,
    alert: AnyRow,
    first: AnyRow,
    channel: str,
    step: str,
    now_us: int,
    *,
    dry_run: bool,
) -> None:
    """Plan a delivery of an alert that is locked, as its first one was, but never silent."""
    suppressed = (
        {"status": DeliveryState.SUPPRESSED.value, "why": Why.DRY_RUN.value, "finished_at": now_us}
        if dry_run
        else {"status": DeliveryState.PENDING.value, "why": None, "finished_at": None}
    )
    connection.execute(
        insert(_queue).values(
            payload=first.payload,
            alert_id=first.alert_id,
            priority=first.priority,
            published_us=first.published_us,
            handling=handling_text(replace(handling_of(first.handling), silent=False)),
            channel=channel,
            step=step,
            retries=0,
            created_at=now_us,
            due_at=now_us,
            possible_repeat=False,
            **suppressed,
        )
    )
    planned = plan_of(alert.planned)
    if planned is not None:  # what can't be read is left as it is, for the audit to tell of
        text = planned_text((*planned, (channel, step)))
        connection.execute(update(_alert).where(_alert.c.id == alert.id).values(planned=text))


_unended: Final = _escalation.c.ended_us.is_(None)
_which: Final = _escalation.c.alert_id == bindparam("which")
_due: Final = (
    select(_escalation, _alert.c.severity, _alert.c.event_type, _alert.c.symbol, _alert.c.source)
    .join(_alert, _alert.c.id == _escalation.c.alert_id)
    .where(_escalation.c.due_us <= bindparam("now_us"), _unended)
    .order_by(_escalation.c.due_us)
    .limit(bindparam("most"))
)
# Others may go on to refer to the alert: see `fallbacks.py`.
_lock_alert: Final = (
    select(_alert.c.id, _alert.c.planned).where(_alert.c.id == bindparam("which")).with_for_update(key_share=True)
)
_lock_escalation: Final = (
    select(_escalation).where(_which, _escalation.c.turn == bindparam("its_turn"), _unended).with_for_update()
)
_first_delivery: Final = (
    select(_queue)
    .where(_queue.c.alert_id == bindparam("which"))
    .order_by(_queue.c.step != Step.FIRST.value, _queue.c.id)
    .limit(1)
)
_move_on: Final = update(_escalation).where(_which).values(turn=bindparam("its_turn"), due_us=bindparam("next_us"))
_exhaust: Final = (
    update(_escalation)
    .where(_which)
    .values(turn=bindparam("its_turn"), ended_us=bindparam("now_us"), ended_why=EscalationEnd.EXHAUSTED.value)
)
