"""Notes what providers tell of messages after they took them, and which messages are still to be asked for.

A receipt is stored before anything follows from it, also one of a message that nobody knows yet: it may come before the
attempt that sent the message is recorded, and is then found by that (`Delivering.close_attempt`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Connection, Row, Update, bindparam, func, or_, select, update
from sqlalchemy.sql.dml import ReturningInsert

from bus.clock import MICROSECONDS
from subscriber.deliveries import DeliveryState, Reason
from subscriber.receipts import Receipt
from subscriber.store import schema
from subscriber.store.arrivals import apply_receipts, held, lock_message
from subscriber.store.consequences import WAITED_FOR_US, text_or_none
from subscriber.store.database import repeated
from subscriber.store.identity import Identity
from subscriber.store.part import storable
from subscriber.store.receipts import Noted, WaitingReceipt

_attempt: Final = schema.attempt
_receipt: Final = schema.receipt


class Receiving(Identity):
    """What providers tell later."""

    @repeated
    def note_receipt(self, provider: str, channels: Sequence[str], receipt: Receipt, *, polling: bool = False) -> Noted:
        """Store a receipt and draw what follows from it, in one transaction; telling it again is harmless.

        What arrived is `delivered`, and is not sent again: whether it counted as accepted, as in doubt, or was given
        up. A message in doubt that its provider knows of is accepted. One that failed is left to `failed_receipts`.

        Args:
            provider: Who tells it.
            channels: Those of this provider, one of which sent the message.
            receipt: What it tells.
            polling: These channels ask what became of their messages; so one that was in doubt is asked for from now
                on, where this receipt is not the last word.

        Raises:
            StoreError: The database can't be used at the moment; nothing was stored.
        """
        now_us = self._now_us()
        message_id = storable(receipt.message_id)
        known = {"provider_name": provider, "message": message_id, "word": receipt.state.value}
        with self.database.reading() as connection:  # polls tell the same again and again, and no lock is taken
            channel = connection.scalar(_known, known)
        if channel is not None:
            return Noted(new=False, channel=channel)
        row = {
            "provider": provider,
            "message_id": message_id,
            "reference": storable(receipt.reference),
            "state": receipt.state.value,
            "code": text_or_none(receipt.code),
            "detail": storable(receipt.detail),
            "at_us": receipt.at_us,
            "received_us": now_us,
        }
        with self.database.writing() as connection:
            lock_message(self.database, connection, message_id)
            number = self._sender(connection, message_id, receipt.reference, channels)
            of = None if number is None else held(connection, number)  # before the receipt, which refers to it
            new = connection.execute(self._insert_new, row).first() is not None
            if of is None:
                return Noted(new)
            receipts = connection.execute(_of_message, {"provider_name": provider, "message": message_id}).all()
            ended = apply_receipts(connection, of, receipts, now_us, polling=polling)
        return Noted(
            new,
            of.attempt.channel,
            sum(state is DeliveryState.DELIVERED for state in ended.values()),
            _accepted_us(of.attempt),
            UUID(bytes=of.deliveries[0].alert_id) if of.deliveries else None,
        )

    def due_receipts(self, channel: str, limit: int = 20, again_seconds: float = 30) -> list[WaitingReceipt]:
        """Take the messages of a channel that are due to be asked for, the longest due first.

        Args:
            channel: Which one.
            limit: How many at most.
            again_seconds: When they are due again, unless `postpone_receipt` or a receipt says otherwise: nobody else
                takes them before.

        Raises:
            StoreError: The database can't be used at the moment; none was taken.
        """
        now_us = self._now_us()
        given = {"channel_name": channel, "now": now_us, "most": limit}
        with self.database.reading() as connection:
            if connection.execute(_due, given).first() is None:
                return []
        taken = {**given, "again_us": now_us + round(again_seconds * MICROSECONDS)}
        with self.database.writing(forgettable=True) as connection:
            rows = connection.execute(self._take_due, taken).all()
        return [
            WaitingReceipt(row.id, row.provider_message_id, row.receipt_until - WAITED_FOR_US)
            for row in sorted(rows, key=lambda row: row.receipt_until)
        ]

    def postpone_receipt(self, attempt: int, due_us: int | None) -> None:
        """Say when to ask for a message again, or with None never; one of which all is known is not asked for again.

        Raises:
            StoreError: The database can't be used at the moment; it is due again when `due_receipts` said.
        """
        with self.database.writing(forgettable=True) as connection:
            connection.execute(_postpone, {"which": attempt, "again_us": due_us})

    def receipts_waiting(self) -> dict[str, int]:
        """Count the messages that were accepted within a day and of which nothing final was told, by channel.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            rows = connection.execute(_waiting, {"now": self._now_us()})
            return {row.channel: row.waiting for row in rows}

    def _sender(self, connection: Connection, message_id: str, reference: str, channels: Sequence[str]) -> int | None:
        """Find the attempt that sent a message: by the provider's id, or else by our own name for it."""
        given = {"message": message_id, "channels": list(channels)}
        number: int | None = connection.scalar(_by_message, given)
        named = self.attempt_of(reference) if number is None else None
        return number if named is None else connection.scalar(_by_reference, {**given, "which": named})

    @cached_property
    def _insert_new(self) -> ReturningInsert[int]:
        return self.database.insert(_receipt).on_conflict_do_nothing().returning(_receipt.c.id)

    @cached_property
    def _take_due(self) -> Update:
        chosen = _due.with_for_update(skip_locked=True).cte("due")
        return (
            update(_attempt)
            .where(_attempt.c.id.in_(select(chosen.c.id)))
            .values(receipt_due=bindparam("again_us", type_=BigInteger))
            .returning(_attempt.c.id, _attempt.c.provider_message_id, _attempt.c.receipt_until)
        )


def _accepted_us(attempt: Row[Any]) -> int | None:
    """Say when an acceptance was recorded, by the clock as it is now where a receipt is still waited for."""
    if attempt.reason != Reason.ACCEPTED.value:
        return None
    return attempt.closed_us if attempt.receipt_until is None else int(attempt.receipt_until) - WAITED_FOR_US


_known: Final = (
    select(_attempt.c.channel)
    .join(_receipt, _receipt.c.attempt_id == _attempt.c.id)
    .where(
        _receipt.c.message_id == bindparam("message"),
        _receipt.c.provider == bindparam("provider_name"),
        _receipt.c.state == bindparam("word"),
    )
)
_of_message: Final = (
    select(_receipt)
    .where(_receipt.c.message_id == bindparam("message"), _receipt.c.provider == bindparam("provider_name"))
    .order_by(_receipt.c.id)
)
_by_message: Final = (
    select(_attempt.c.id)
    .where(
        _attempt.c.provider_message_id == bindparam("message"),
        _attempt.c.receipt.is_not(None),
        _attempt.c.channel.in_(bindparam("channels", expanding=True)),
    )
    .order_by(_attempt.c.id.desc())
    .limit(1)
)
# A database that was restored may have given the number to another message since.
_by_reference: Final = select(_attempt.c.id).where(
    _attempt.c.id == bindparam("which", type_=BigInteger),
    _attempt.c.channel.in_(bindparam("channels", expanding=True)),
    or_(_attempt.c.provider_message_id.is_(None), _attempt.c.provider_message_id == bindparam("message")),
)
_due: Final = (
    select(_attempt.c.id)
    .where(
        _attempt.c.channel == bindparam("channel_name"),
        schema.UNTOLD,
        _attempt.c.receipt_due <= bindparam("now", type_=BigInteger),
    )
    .order_by(_attempt.c.receipt_due)
    .limit(bindparam("most", type_=BigInteger))
)
_postpone: Final = (
    update(_attempt)
    .where(_attempt.c.id == bindparam("which"), schema.UNTOLD)
    .values(receipt_due=bindparam("again_us", type_=BigInteger))
)
_waiting: Final = (
    select(_attempt.c.channel, func.count().label("waiting"))
    .where(schema.UNTOLD, _attempt.c.reason == Reason.ACCEPTED.value, _attempt.c.receipt_until >= bindparam("now"))
    .group_by(_attempt.c.channel)
)
