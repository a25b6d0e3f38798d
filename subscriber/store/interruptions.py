"""What becomes of deliveries whose worker ended while an attempt was open.

Nobody knows whether the provider took the message: the attempt is closed in doubt, and so is every delivery that it
was to tell; unless a receipt that came meanwhile says more.

Lock order: deliveries, then attempts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import BindParameter, Connection, bindparam, null, select, true, update

from subscriber.deliveries import DeliveryState, Reason
from subscriber.store import schema
from subscriber.store.arrivals import Ended, apply_news
from subscriber.store.leases import FREE
from subscriber.store.part import chunks

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery

#: What an attempt's record says when its worker ended before it could write the answer down.
INTERRUPTED: Final = "the worker ended before the answer was recorded"


def lock_interrupted(connection: Connection, ids: Sequence[int]) -> tuple[set[int], list[int]]:
    """Lock all deliveries of the attempts that are open for some of them, in the order of their ids.

    Returns:
        These attempts, and the deliveries that wait for their answers.
    """
    attempts: set[int] = set()
    for some in chunks(ids):
        attempts |= set(connection.scalars(_open_attempts, {"ids": some}))
    if not attempts:
        return attempts, []
    return attempts, [
        number for some in chunks(sorted(attempts)) for number in connection.scalars(_waiting, {"ids": some})
    ]


def settle_interrupted(connection: Connection, ids: Sequence[int], now_us: int) -> Ended:
    """Make deliveries whose attempt was left open in doubt, with all others of that attempt, and close it.

    Nobody holds the others any more.

    Returns:
        Those that are not in doubt: a receipt told of them, and they have ended.
    """
    attempts, members = lock_interrupted(connection, ids)
    given = set(ids)
    for some in chunks(members):
        connection.execute(_doubt, {"ids": some})
    for some in chunks([number for number in members if number not in given]):
        connection.execute(_free, {"ids": some})
    for some in chunks(sorted(attempts)):
        connection.execute(_close, {"ids": some, "now_us": now_us})
    ended: Ended = {}
    for attempt in sorted(attempts):
        ended |= apply_news(connection, attempt, None, now_us)
    return ended


def settle_leaving(connection: Connection, delivery: int, now_us: int) -> None:
    """Make one delivery, which is locked, in doubt where its attempt is open.

    The attempt goes on where it tells others, too: what its worker hears is true of them.
    """
    attempt = connection.scalar(_open_attempts, {"ids": [delivery]})
    if attempt is not None and connection.execute(_others, {"which": attempt, "leaving": delivery}).first():
        connection.execute(_doubt, {"ids": [delivery]})
    else:
        settle_interrupted(connection, [delivery], now_us)


_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_open_attempts: Final = select(_queue.c.open_attempt).where(_queue.c.id.in_(_ids), _queue.c.open_attempt.is_not(None))
_waits: Final = _queue.c.open_attempt == _link.c.attempt_id
_waiting: Final = (
    select(_queue.c.id)
    .join(_link, _link.c.delivery_id == _queue.c.id)
    .where(_link.c.attempt_id.in_(_ids), _waits)
    .order_by(_queue.c.id)
    .with_for_update(of=_queue)
)
_others: Final = (
    select(_queue.c.id)
    .join(_link, _link.c.delivery_id == _queue.c.id)
    .where(_link.c.attempt_id == bindparam("which"), _waits, _queue.c.id != bindparam("leaving"))
    .limit(1)
)
_doubt: Final = (
    update(_queue)
    .where(_queue.c.id.in_(_ids))
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
_free: Final = update(_queue).where(_queue.c.id.in_(_ids)).values(FREE)
_close: Final = (
    update(_attempt)
    .where(_attempt.c.id.in_(_ids), _attempt.c.closed_us.is_(None))
    .values(closed_us=bindparam("now_us"), reason=Reason.TIMEOUT.value, in_doubt=true(), detail=INTERRUPTED)
)
