"""Reads rows of the queue as the deliveries that workers know."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row

from bus.alerts import Alert
from subscriber.deliveries import Delivery, DeliveryState
from subscriber.store import schema
from subscriber.store.handling import handling_of

_queue: Final = schema.notification_queue

#: What a worker has to know of a delivery, and what says in which order it is served.
CLAIMED: Final = tuple(
    _queue.c[name]
    for name in (
        "id",
        "alert_id",
        "channel",
        "step",
        "status",
        "published_us",
        "due_at",
        "retries",
        "possible_repeat",
        "priority",
        "open_attempt",
        "handling",
        "expires_at",
        "batch",
        "digest",
        "follows",
        "more",
        "more_since",
    )
)


def serving_order(row: Row[Any]) -> tuple[int, int, int]:
    """Return the order in which a channel serves."""
    return row.priority, row.published_us, row.id


def delivery_from(row: Row[Any], alert: Alert, lease: str, *, interrupted: bool = False) -> Delivery:
    """Build a delivery.

    Args:
        row: A row with the columns of `CLAIMED`.
        alert: Its alert.
        lease: The token by which it is held; empty for one that is not.
        interrupted: The row was read before the attempt that its former holder left open was closed in doubt.
    """
    return Delivery(
        id=row.id,
        alert=alert,
        channel=row.channel,
        state=DeliveryState.IN_DOUBT if interrupted else DeliveryState(row.status),
        published_us=row.published_us,
        due_at_us=row.due_at,
        retries=row.retries + interrupted,
        lease=lease,
        possible_repeat=interrupted or row.possible_repeat,
        expires_at_us=row.expires_at,
        handling=handling_of(row.handling),
        step=row.step,
        batch=row.batch,
        digest=row.digest,
        more=row.more or 0,
        more_since_us=row.more_since,
    )
