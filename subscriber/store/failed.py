"""Finds messages that were accepted and then failed, with what has to be known to draw the consequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, Row, bindparam, func, select

from subscriber.deliveries import DeliveryState, Reason
from subscriber.receipts import Receipt, ReceiptState
from subscriber.store import schema
from subscriber.store.arrivals import ARRIVED
from subscriber.store.delivery_rows import delivery_from
from subscriber.store.part import SET_BY_HAND, StorePart, alerts_of
from subscriber.store.receipts import FailedReceipt

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery
_receipt: Final = schema.receipt

_ACCEPTED: Final = Reason.ACCEPTED.value
_FAILED: Final = ReceiptState.FAILED.value


class Failed(StorePart):
    """Messages that failed after their acceptance and are not settled."""

    def failed_receipts(self, channels: Sequence[str], limit: int = 50) -> list[FailedReceipt]:
        """Return those of these channels, the oldest first.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        given = {"channels": list(channels), "most": limit}
        with self.database.reading() as connection:
            return [_failed_receipt(connection, row) for row in connection.execute(_failed, given).all()]

    def _failed_elsewhere(self, channels: Sequence[str], limit: int) -> list[FailedReceipt]:
        """Return those of all channels but these, the oldest first."""
        given = {"channels": list(channels), "most": limit}
        with self.database.reading() as connection:
            return [_failed_receipt(connection, row) for row in connection.execute(_elsewhere, given).all()]


def _failed_receipt(connection: Connection, row: Row[Any]) -> FailedReceipt:
    deliveries = connection.execute(taken_by, {"which": row.attempt_id}).all()
    alerts = alerts_of(connection, {delivery.alert_id for delivery in deliveries})
    return FailedReceipt(
        receipt_id=row.id,
        attempt=row.attempt_id,
        opened_us=row.opened_us,
        by_template=bool(row.by_template),
        receipt=Receipt(row.message_id, ReceiptState.FAILED, row.at_us, row.code, row.detail, row.reference),
        deliveries=tuple(delivery_from(delivery, alerts[delivery.alert_id], "") for delivery in deliveries),
    )


_untold: Final = (
    select(_receipt, _attempt.c.by_template, _attempt.c.opened_us)
    .join(_attempt, _attempt.c.id == _receipt.c.attempt_id)
    .where(
        _receipt.c.settled_us.is_(None),
        _receipt.c.attempt_id.is_not(None),
        _receipt.c.state == _FAILED,
        _attempt.c.closed_us.is_not(None),
        _attempt.c.receipt.not_in(sorted(ARRIVED)),
    )
    .order_by(_receipt.c.id)
    .limit(bindparam("most"))
)
_channels: Final[BindParameter[str]] = bindparam("channels", expanding=True)
_failed: Final = _untold.where(_attempt.c.channel.in_(_channels))
_elsewhere: Final = _untold.where(_attempt.c.channel.not_in(_channels))
_other: Final = _attempt.alias("other")
_others: Final = _link.alias("others")
#: What counts as told by an attempt: no other acceptance stands for it, and no person said so.
taken_by: Final = (
    select(_queue)
    .join(_link, _link.c.delivery_id == _queue.c.id)
    .where(
        _link.c.attempt_id == bindparam("which"),
        _queue.c.status.in_([DeliveryState.ACCEPTED.value, DeliveryState.FOLDED.value]),
        func.coalesce(_queue.c.last_detail, "") != SET_BY_HAND,
        ~select(_other.c.id)
        .join(_others, _others.c.attempt_id == _other.c.id)
        .where(
            _others.c.delivery_id == _queue.c.id,
            _other.c.id != bindparam("which"),
            _other.c.reason == _ACCEPTED,
            func.coalesce(_other.c.receipt, "") != _FAILED,
        )
        .exists(),
    )
    .order_by(_queue.c.id)
)
