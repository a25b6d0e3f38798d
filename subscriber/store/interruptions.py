"""What becomes of deliveries whose worker ended while an attempt was open.

Nobody knows whether the provider took the message: the attempt is closed in doubt, and so is the delivery; unless a
receipt that came meanwhile says more.

Lock order: deliveries, which the caller has locked, then attempts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, null, select, true, update

from subscriber.deliveries import DeliveryState, Reason
from subscriber.store import schema
from subscriber.store.arrivals import Ended, apply_news
from subscriber.store.part import chunks

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt

#: What an attempt's record says when its worker ended before it could write the answer down.
INTERRUPTED: Final = "the worker ended before the answer was recorded"


def settle_interrupted(connection: Connection, ids: Sequence[int], now_us: int) -> Ended:
    """Make deliveries whose attempt was left open in doubt, and close that attempt.

    Returns:
        Those that are not in doubt: a receipt told of them, and they have ended.
    """
    ended: Ended = {}
    for some in chunks(ids):
        rows = connection.execute(
            select(_queue.c.id, _queue.c.open_attempt).where(_queue.c.id.in_(some), _queue.c.open_attempt.is_not(None))
        ).all()
        if not rows:
            continue
        connection.execute(
            update(_queue)
            .where(_queue.c.id.in_([row.id for row in rows]))
            .values(
                status=DeliveryState.IN_DOUBT.value,
                possible_repeat=true(),
                retries=_queue.c.retries + 1,
                open_attempt=null(),
                last_reason=Reason.TIMEOUT.value,
                last_detail=INTERRUPTED,
                last_code=null(),
            )
        )
        connection.execute(
            update(_attempt)
            .where(_attempt.c.id.in_({row.open_attempt for row in rows}), _attempt.c.closed_us.is_(None))
            .values(closed_us=now_us, reason=Reason.TIMEOUT.value, in_doubt=true(), detail=INTERRUPTED)
        )
        for attempt in sorted({row.open_attempt for row in rows}):
            ended |= apply_news(connection, attempt, None, now_us)
    return ended
