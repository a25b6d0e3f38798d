"""What receipts make of attempts and deliveries, inside a writing transaction of somebody else's.

Receipts come late, twice, in any order, and before our own commit: while the attempt that they are about, or a later
one of the same delivery, is still open. So an attempt's receipt only moves forward; and a delivery that a worker is
sending at the moment stays that worker's: what came meanwhile is left unsettled, and the end of its attempt, however it
ends, finds it (`apply_news`).

What a person set by hand stands until an attempt changes it.

Lock order: the message, alerts, deliveries by their ids, attempts, receipts, digests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    Row,
    Text,
    bindparam,
    func,
    null,
    select,
    union_all,
    update,
)

from subscriber.deliveries import DeliveryState, Reason
from subscriber.receipts import ReceiptState
from subscriber.store import schema
from subscriber.store.consequences import NOT_COUNTED, waiting
from subscriber.store.database import Database
from subscriber.store.digests import end_told_digests
from subscriber.store.leases import FREE
from subscriber.store.part import SET_BY_HAND, chunks

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery
_receipt: Final = schema.receipt

Ended = dict[int, DeliveryState]  #: deliveries that have ended by something that came later, by their ids

ARRIVED: Final = frozenset(state.value for state in ReceiptState if state.arrived)
#: What is wrong as soon as it turns out that the provider took the message.
_UNTOLD: Final = frozenset(
    state.value
    for state in DeliveryState
    if state not in {DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.FOLDED}
)
_PASSING: Final = (ReceiptState.QUEUED.value, ReceiptState.SENT.value)
_ACCEPTED: Final = Reason.ACCEPTED.value
_DELIVERED: Final = DeliveryState.DELIVERED
_FOLDED: Final = DeliveryState.FOLDED


@dataclass(frozen=True, slots=True)
class Held:
    """An attempt and its deliveries, locked until the transaction ends."""

    attempt: Row[Any]
    deliveries: Sequence[Row[Any]]


def lock_message(database: Database, connection: Connection, message_id: str) -> None:
    """Let nobody else record anything about a message until the transaction ends.

    On SQLite nobody else writes anyway. On PostgreSQL a receipt and the acceptance that it is about would not see each
    other before both are committed.
    """
    if database.is_postgresql:
        digest = blake2b(message_id.encode(), digest_size=8).digest()
        connection.execute(_lock_message, {"key": int.from_bytes(digest, "big", signed=True)})


def held(connection: Connection, attempt: int) -> Held | None:
    """Lock an attempt and its deliveries; None where there is no such attempt any more."""
    deliveries = connection.execute(_lock_deliveries, {"which": attempt}).all()
    row = connection.execute(_lock_attempt, {"which": attempt}).one_or_none()
    return None if row is None else Held(row, deliveries)


def apply_receipts(
    connection: Connection, of: Held, receipts: Sequence[Row[Any]], now_us: int, *, polling: bool
) -> Ended:
    """Take receipts into an attempt's record, and draw what follows from them.

    A message of which nobody knew that it was taken, nor what became of it, is waited for from now on, and is asked for
    where the channel is `polling`.
    """
    attempt = of.attempt
    state, since_us = _newest(attempt, receipts)
    if state is None:
        return {}
    changes: dict[str, Any] = {"receipt": state.value, "receipt_us": since_us}
    if attempt.provider_message_id is None:
        changes["provider_message_id"] = receipts[0].message_id
    if state.value not in _PASSING:
        changes |= {"receipt_due": None, "receipt_until": None}
    elif attempt.receipt_until is None:
        changes["receipt_due"], changes["receipt_until"] = waiting(now_us, polling=polling)
    # Whoever tells of a message has taken it, whatever we knew of that; a failure is judged by `Settling`.
    taken = (
        attempt.closed_us is not None
        and attempt.reason != _ACCEPTED
        and (state.arrived or (state is not ReceiptState.FAILED and attempt.in_doubt))
    )
    if taken:
        changes |= {"reason": _ACCEPTED, "in_doubt": False, "closed_us": now_us, "code": None, "detail": ""}
        uncount(connection, of)
    connection.execute(update(_attempt).where(_attempt.c.id == attempt.id).values(changes))
    ended: Ended = {}
    if state.arrived:  # they have ended with the acceptance, whatever was tried after it
        ended = _arrive(connection, of, now_us if taken or attempt.closed_us is None else attempt.closed_us)
    elif taken:
        ended = end_untold(connection, of.deliveries, DeliveryState.ACCEPTED, now_us)
    connection.execute(_attach, {"which": attempt.id, "ids": [row.id for row in receipts]})
    if attempt.closed_us is not None:
        settling = _settle_all if state.arrived and not _being_sent(of) else _settle_passing
        connection.execute(settling, {"which": attempt.id, "now_us": now_us})
    return ended


def apply_news(
    connection: Connection, attempt: int, message_id: str | None, now_us: int, *, polling: bool = False
) -> Ended:
    """Apply what came while an attempt was open; called in the transaction that ends it, after it has ended.

    Args:
        connection: A writing transaction that has locked the message and the attempt's deliveries.
        attempt: The attempt that has ended.
        message_id: The provider's id of the message that it sent, where that is known.
        now_us: The time.
        polling: The channel asks what became of its messages.
    """
    found: defaultdict[int, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(_news, {"message": message_id, "which": attempt}):
        found[attempt if row.attempt_id is None else row.attempt_id].append(row)
    ended: Ended = {}
    for number, receipts in sorted(found.items()):
        of = held(connection, number)
        if of is not None:
            ended |= apply_receipts(connection, of, receipts, now_us, polling=polling)
    return ended


def end_untold(
    connection: Connection,
    deliveries: Sequence[Row[Any]],
    state: DeliveryState,
    ended_us: int,
    *,
    sent_by: int | None = None,
) -> Ended:
    """End deliveries whose message was taken, whether they wait or were given up; members of a digest are folded.

    One that is being sent again stays as it is, unless that is the attempt `sent_by`, which has ended now.
    """
    rows = [
        row
        for row in deliveries
        if row.status in _UNTOLD and (not by_hand(row) if row.open_attempt is None else row.open_attempt == sent_by)
    ]
    folded = [row.id for row in rows if row.digest is not None]
    single = [row.id for row in rows if row.digest is None]
    for ids, word in ((folded, _FOLDED), (single, state)):
        for some in chunks(ids):
            connection.execute(_end, {"ids": some, "new_status": word.value, "ended_us": ended_us})
    end_told_digests(connection, {row.digest for row in rows if row.digest is not None}, ended_us)
    return {**dict.fromkeys(folded, _FOLDED), **dict.fromkeys(single, state)}


def uncount(connection: Connection, of: Held) -> None:
    """Take an attempt that counted as a retry, and was accepted after all, out of the count."""
    if of.attempt.reason not in NOT_COUNTED:
        connection.execute(_uncount, {"ids": [row.id for row in of.deliveries]})


def by_hand(delivery: Row[Any]) -> bool:
    """Whether a person set a delivery's state, and no attempt changed it since."""
    return bool(delivery.last_detail == SET_BY_HAND)


def receipt_state(word: str | None) -> ReceiptState | None:
    """Read a stored word; None for one that is none, which the audit tells of."""
    try:
        return None if word is None else ReceiptState(word)
    except ValueError:
        return None


def _newest(attempt: Row[Any], receipts: Sequence[Row[Any]]) -> tuple[ReceiptState | None, int | None]:
    """Return the state that an attempt's receipt moves to, and since when."""
    state, since_us = receipt_state(attempt.receipt), attempt.receipt_us
    for row in receipts:
        told = receipt_state(row.state)
        if told is not None and (state is None or told.follows(state)):
            state, since_us = told, row.received_us if row.at_us is None else row.at_us
    return state, since_us


def _arrive(connection: Connection, of: Held, ended_us: int) -> Ended:
    """Make the deliveries of a message that arrived `delivered`, but for those that are being sent."""
    accepted = [row.id for row in of.deliveries if row.status == DeliveryState.ACCEPTED.value]
    if accepted:  # they have ended, and stay with the time of that
        connection.execute(_promote, {"ids": accepted})
    return {**dict.fromkeys(accepted, _DELIVERED), **end_untold(connection, of.deliveries, _DELIVERED, ended_us)}


def _being_sent(of: Held) -> bool:
    """Whether a delivery is to be changed, and some attempt of it has to end before."""
    return any(row.open_attempt is not None and not by_hand(row) for row in of.deliveries)


_lock_message: Final = select(func.pg_advisory_xact_lock(bindparam("key", type_=BigInteger)))
_lock_deliveries: Final = (
    select(_queue)
    .join(_link, _link.c.delivery_id == _queue.c.id)
    .where(_link.c.attempt_id == bindparam("which"))
    .order_by(_queue.c.id)
    .with_for_update(of=_queue)
)
_lock_attempt: Final = select(_attempt).where(_attempt.c.id == bindparam("which")).with_for_update()
_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_promote: Final = update(_queue).where(_queue.c.id.in_(_ids)).values(status=DeliveryState.DELIVERED.value)
_end: Final = (
    update(_queue)
    .where(_queue.c.id.in_(_ids))
    .values(
        **FREE,
        status=bindparam("new_status"),
        finished_at=bindparam("ended_us"),
        last_reason=_ACCEPTED,
        last_detail="",
        last_code=null(),
        why=null(),
        follows=null(),
    )
)
_uncount: Final = update(_queue).where(_queue.c.id.in_(_ids), _queue.c.retries > 0).values(retries=_queue.c.retries - 1)
_attach: Final = (
    update(_receipt)
    .where(_receipt.c.id.in_(_ids), _receipt.c.attempt_id.is_(None))
    .values(attempt_id=bindparam("which"))
)
_settle_all: Final = (
    update(_receipt)
    .where(_receipt.c.attempt_id == bindparam("which"), _receipt.c.settled_us.is_(None))
    .values(settled_us=bindparam("now_us"))
)
_settle_passing: Final = _settle_all.where(_receipt.c.state.in_(_PASSING))
# One statement, because every attempt of a channel with receipts asks it: what came before the message was known, and
# what came while one of its deliveries was being sent.
_others: Final = _link.alias("others")
_news: Final = union_all(
    select(_receipt).where(_receipt.c.message_id == bindparam("message", type_=Text), _receipt.c.attempt_id.is_(None)),
    select(_receipt).where(
        _receipt.c.settled_us.is_(None),
        _receipt.c.attempt_id.in_(
            select(_others.c.attempt_id)
            .join(_link, _link.c.delivery_id == _others.c.delivery_id)
            .where(_link.c.attempt_id == bindparam("which"))
        ),
    ),
)
