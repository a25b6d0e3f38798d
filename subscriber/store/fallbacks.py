"""Hands an alert over to another channel, inside a writing transaction of somebody else's.

Lock order: alerts before deliveries, as retention has it; so whoever may hand over locks the alerts first. The lock
lets others refer to an alert: PostgreSQL does so by itself where a transaction changes a delivery twice, which it has
locked by then, and the two would deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import BindParameter, Connection, bindparam, insert, select, update

from subscriber.deliveries import DeliveryState, Step
from subscriber.store import schema
from subscriber.store.auditing_alerts import plan_of
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.handling import handling_of, handling_text
from subscriber.store.incoming import planned_text
from subscriber.store.part import chunks

_queue: Final = schema.notification_queue
_alert: Final = schema.alert
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
    *(_queue.c[name] for name in (*_KEPT, "handling", "handed_over", "due_at", "batch", "retries")), _alert.c.planned
).join(_alert, _alert.c.id == _queue.c.alert_id)


def lock_alerts(connection: Connection, deliveries: Sequence[int]) -> None:
    """Lock the alerts of deliveries until the transaction ends, in one order for everybody."""
    for some in chunks(deliveries):
        connection.execute(_lock, {"ids": some})


def hand_over(connection: Connection, deliveries: Sequence[int], fallbacks: Sequence[str], now_us: int) -> str | None:
    """Let the first of other channels that does not have an alert yet tell it, for each of these deliveries.

    One that was handed over while it waited is told already.

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
            channel = None if row.handed_over else fallback_of(connection, row, fallbacks)
            if channel is not None:
                plan_fallback(connection, row, channel, now_us)
                chosen.append(channel)
    return chosen[0] if chosen else None


def fallback_of(connection: Connection, row: AnyRow, fallbacks: Sequence[str]) -> str | None:
    """Return the channel that is to tell an alert instead; None where no channel is left.

    Args:
        connection: A transaction that has locked the alert.
        row: The delivery that is replaced, as `replaced` returns it.
        fallbacks: The channels to choose from, in the order for one whose route does not say another.
    """
    wanted = handling_of(row.handling).fallbacks
    told = set(connection.scalars(_told, {"which": row.alert_id}))
    told |= {channel for channel, _step in plan_of(row.planned) or ()}
    allowed = fallbacks if wanted is None else [name for name in wanted if name in fallbacks]
    return next((name for name in allowed if name not in told), None)


def plan_fallback(
    connection: Connection, row: AnyRow, channel: str, now_us: int, *, held_like: AnyRow | None = None
) -> None:
    """Plan another delivery of an alert, due at once; it is handled like the first, but for the template.

    Args:
        connection: A writing transaction that has locked the alert.
        row: The delivery that it replaces, as `replaced` returns it.
        channel: Whose it is; it has none of this alert yet.
        now_us: The time.
        held_like: What is held by quiet hours or a silence, where the new one is to be held for as long.
    """
    connection.execute(
        insert(_queue).values(
            **{name: getattr(row, name) for name in _KEPT},
            handling=handling_text(replace(handling_of(row.handling), template=None)),
            channel=channel,
            step=Step.FALLBACK.value,
            status=DeliveryState.PENDING.value,
            retries=0,
            created_at=now_us,
            due_at=now_us if held_like is None else held_like.due_at,
            batch=None if held_like is None else held_like.batch,
        )
    )
    planned = plan_of(row.planned)
    if planned is not None:  # what can't be read is left as it is, for the audit to tell of
        text = planned_text((*planned, (channel, Step.FALLBACK.value)))
        connection.execute(update(_alert).where(_alert.c.id == row.alert_id).values(planned=text))


_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_lock: Final = (
    select(_alert.c.id)
    .where(_alert.c.id.in_(select(_queue.c.alert_id).where(_queue.c.id.in_(_ids))))
    .order_by(_alert.c.stream, _alert.c.sequence, _alert.c.number)
    .with_for_update(key_share=True)
)
_rows: Final = replaced.where(_queue.c.id.in_(_ids)).order_by(_queue.c.id)
_told: Final = select(_queue.c.channel).where(_queue.c.alert_id == bindparam("which"))
