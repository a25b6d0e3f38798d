"""Hands an alert over to another channel, inside a writing transaction of somebody else's.

Lock order: alerts before deliveries, as retention has it; so whoever may hand over locks the alerts first. The lock
lets others refer to an alert: PostgreSQL does so by itself where a transaction changes a delivery twice, which it has
locked by then, and the two would deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    FromClause,
    Update,
    and_,
    bindparam,
    exists,
    false,
    func,
    insert,
    not_,
    null,
    or_,
    select,
    true,
    update,
)

from subscriber.deliveries import OPEN_STATES, DeliveryState, Step, Why
from subscriber.store import schema
from subscriber.store.auditing_alerts import plan_of
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.dead_letters import TOLD
from subscriber.store.handling import handling_of, handling_text
from subscriber.store.incoming import planned_text
from subscriber.store.part import chunks

_queue: Final = schema.notification_queue
_alert: Final = schema.alert
_other: Final = _queue.alias("other")
#: What a new delivery of the same alert takes over from the one that it replaces.
_KEPT: Final = (
    "payload",
    "alert_id",
    "priority",
    "published_us",
    "possible_repeat",
    "expires_at",
    "more",
    "more_since",
)
#: The deliveries that are replaced, with their alerts' plans: what is asked for by the functions here.
replaced: Final = select(
    *(_queue.c[name] for name in ("id", *_KEPT, "handling", "handed_over", "due_at", "batch", "retries")),
    _alert.c.planned,
).join(_alert, _alert.c.id == _queue.c.alert_id)


def lock_alerts(connection: Connection, deliveries: Sequence[int]) -> None:
    """Lock the alerts of deliveries until the transaction ends, in one order for everybody."""
    for some in chunks(deliveries):
        connection.execute(_lock, {"ids": some})


def hand_over(connection: Connection, deliveries: Sequence[int], fallbacks: Sequence[str], now_us: int) -> str | None:
    """Let the first of other channels that does not have an alert yet tell it, for each of these deliveries.

    One that was handed over while it waited is told already, unless its fallback could not tell it either.

    Args:
        connection: A writing transaction that has locked the alerts.
        deliveries: What was given up.
        fallbacks: The channels to choose from, in the order for those whose route does not say another.
        now_us: The time.

    Returns:
        The channel that was chosen first; None where no other channel is left.
    """
    chosen: list[str] = []
    for some in chunks(deliveries):
        for row in connection.execute(_rows, {"ids": some}).all():
            told = row.handed_over and connection.scalar(_stands, {"which": row.alert_id, "number": row.id})
            channel = None if told else fallback_of(connection, row, fallbacks)
            if channel is not None:
                plan_fallback(connection, row, channel, now_us)
                chosen.append(channel)
    return chosen[0] if chosen else None


def fallback_of(connection: Connection, row: AnyRow, fallbacks: Sequence[str]) -> str | None:
    """Return the channel that is to tell an alert instead; None where no channel is left.

    One that was only switched off when its turn was is left: nobody asked its provider.

    Args:
        connection: A transaction that has locked the alert.
        row: The delivery that is replaced, as `replaced` returns it.
        fallbacks: The channels to choose from, in the order for one whose route does not say another.
    """
    wanted = handling_of(row.handling).fallbacks
    had = connection.execute(_had, {"which": row.alert_id}).all()
    told = {channel for channel, _step in plan_of(row.planned) or ()}
    told -= {each.channel for each in had}  # what was planned and is there no more counts as told
    told |= {each.channel for each in had if not each.passed_over}
    allowed = fallbacks if wanted is None else [name for name in wanted if name in fallbacks]
    return next((name for name in allowed if name not in told), None)


def plan_fallback(
    connection: Connection, row: AnyRow, channel: str, now_us: int, *, held_like: AnyRow | None = None
) -> None:
    """Plan another delivery of an alert, due at once; it is handled like the first, but for the template.

    A fallback that ended because its channel was switched off is opened again in its place.

    Args:
        connection: A writing transaction that has locked the alert.
        row: The delivery that it replaces, as `replaced` returns it.
        channel: Whose it is, as `fallback_of` returns it.
        now_us: The time.
        held_like: What is held by quiet hours or a silence, where the new one is to be held for as long.
    """
    values = {
        **{name: getattr(row, name) for name in _KEPT},
        "handling": handling_text(replace(handling_of(row.handling), template=None)),
        "status": DeliveryState.PENDING.value,
        "due_at": now_us if held_like is None else held_like.due_at,
        "batch": None if held_like is None else held_like.batch,
    }
    doubt = or_(_queue.c.possible_repeat, row.possible_repeat)
    again = update(_queue).where(
        _queue.c.alert_id == row.alert_id,
        _queue.c.channel == channel,
        _queue.c.step == Step.FALLBACK.value,
        passed_over(_queue),
    )
    reopened = again.values({**values, "possible_repeat": doubt, "why": None, "finished_at": None, "handed_over": None})
    if connection.execute(reopened).rowcount:  # the alert's plan has it
        return
    added = insert(_queue).values(**values, channel=channel, step=Step.FALLBACK.value, retries=0, created_at=now_us)
    connection.execute(added)
    planned = plan_of(row.planned)
    if planned is not None:  # what can't be read is left as it is, for the audit to tell of
        text = planned_text((*planned, (channel, Step.FALLBACK.value)))
        connection.execute(update(_alert).where(_alert.c.id == row.alert_id).values(planned=text))


def passed_over(delivery: FromClause) -> ColumnElement[bool]:
    """Return the condition that a delivery ended only because its channel was switched off: the channel may tell it."""
    is_suppressed = delivery.c.status == DeliveryState.SUPPRESSED.value
    return and_(is_suppressed, func.coalesce(delivery.c.why, "") == Why.DISABLED.value)


def look_again(connection: Connection, alerts: Sequence[bytes] | None = None) -> None:
    """Let what is overdue be looked at again where nobody tells it instead (any more), for it may have a taker now.

    Args:
        connection: A writing transaction.
        alerts: Only the deliveries of these; None for all that wait.
    """
    if alerts is None:
        connection.execute(_unmark(true()))
        return
    for some in chunks(alerts):
        connection.execute(_unmark(_queue.c.alert_id.in_(some)))


def _unmark(among: ColumnElement[bool]) -> Update:
    noted = _queue.c.handed_over.is_not(None)
    stands = exists().where(_other.c.alert_id == _queue.c.alert_id, _other.c.id != _queue.c.id, _is_standing)
    chosen = select(_queue.c.id).where(among, schema.OPEN, noted, or_(_queue.c.handed_over == false(), not_(stands)))
    locked = chosen.order_by(_queue.c.id).with_for_update().cte("locked")
    return update(_queue).where(_queue.c.id.in_(select(locked.c.id))).values(handed_over=null())


_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_is_standing: Final[ColumnElement[bool]] = and_(
    _other.c.step == Step.FALLBACK.value,
    _other.c.status.in_((*TOLD, *sorted(state.value for state in OPEN_STATES))),
)
_lock: Final = (
    select(_alert.c.id)
    .where(_alert.c.id.in_(select(_queue.c.alert_id).where(_queue.c.id.in_(_ids))))
    .order_by(_alert.c.stream, _alert.c.sequence, _alert.c.number)
    .with_for_update(key_share=True)
)
_rows: Final = replaced.where(_queue.c.id.in_(_ids)).order_by(_queue.c.id)
_had: Final = select(_queue.c.channel, passed_over(_queue).label("passed_over")).where(
    _queue.c.alert_id == bindparam("which")
)
#: Another channel was told of an alert in place of a delivery, or is going to be.
_stands: Final = select(
    exists().where(_other.c.alert_id == bindparam("which"), _other.c.id != bindparam("number"), _is_standing)
)
