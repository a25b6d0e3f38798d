"""Gathers deliveries that are told in one message: the first time, and again where that message is to be retried.

What is gathered is held by one lease token and is not fixed: `Delivering.open_attempt` fixes who is in a digest, and
what it says. A worker that ends before leaves nothing behind but leases that run out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, Update, bindparam, false, null, or_, select, update

from bus.clock import MICROSECONDS
from subscriber.deliveries import Delivery, DeliveryState, DigestKind, DigestState
from subscriber.errors import LeaseLost
from subscriber.store import schema
from subscriber.store.claiming import CRITICAL, Claiming, claim_statement, unheld
from subscriber.store.database import repeated
from subscriber.store.delivery_rows import CLAIMED, delivery_from, serving_order
from subscriber.store.digests import HeldDigest, lock_members, message_from
from subscriber.store.interruptions import settle_interrupted
from subscriber.store.leases import FREE, update_held
from subscriber.store.part import alerts_of

_queue: Final = schema.notification_queue
_digest: Final = schema.digest


class Folding(Claiming):
    """Many deliveries for one message."""

    def backlog(self, channel: str, *, critical: bool, limit: int) -> list[int]:
        """Return when the alerts were published that a channel could tell now, in the order in which it serves.

        They are due, nobody holds them, none was tried yet, none is in a batch or in a digest, none is too old.

        Args:
            channel: Whose.
            critical: Those that are CRITICAL, or else those that are not.
            limit: How many at most.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        given = {"channel_name": channel, "now": self._now_us(), "most": limit}
        statement = self._backlog_critical if critical else self._backlog_other
        with self.database.reading() as connection:
            return list(connection.scalars(statement, given))

    def fold(self, head: Delivery, worker: str, lease_seconds: float, limit: int) -> list[Delivery]:
        """Take all that is to be told in one message with a delivery, under the same lease token.

        That is what is due and in the same batch, or else what is in no batch and CRITICAL like it, or not CRITICAL
        like it; nothing that was tried before or is too old. One that was tried itself, or is in a digest, is alone.

        Args:
            head: What the worker has claimed; its lease is renewed.
            worker: The holder's name.
            lease_seconds: How long nobody else may take them.
            limit: How many at most, with the head.

        Returns:
            The head, then the others in the order in which the channel serves.

        Raises:
            LeaseLost: Another worker holds the head.
            StoreError: The database can't be used at the moment; what is held nevertheless is free when its lease ends.
        """
        if head.digest is not None or head.retries or head.possible_repeat or limit <= 1:
            return [head]
        length = int(lease_seconds * MICROSECONDS)
        now_us = self._now_us()
        given: dict[str, Any] = {
            "channel_name": head.channel,
            "now": now_us,
            "head": head.id,
            "most": limit - 1,
            "token": head.lease,
            "worker": worker,
            "length": length,
        }
        with self.database.writing(forgettable=True) as connection:
            update_held(connection, [head], self._renewal, {"length": length})
            row = connection.execute(_head, {"which": head.id, "now": now_us}).one_or_none()
            if row is None:
                return [head]
            if row.batch is not None:
                statement = self._fold_batch
                given["batch_name"] = row.batch
            else:
                statement = self._fold_critical if row.priority == CRITICAL else self._fold_other
            rows = connection.execute(statement, given).all()
            alerts = alerts_of(connection, {row.alert_id for row in rows})
        rows = sorted(rows, key=serving_order)
        return [head, *(delivery_from(row, alerts[row.alert_id], head.lease) for row in rows)]

    @repeated
    def claim_digest(self, head: Delivery, worker: str, lease_seconds: float) -> HeldDigest | None:
        """Take all members of the digest that a delivery leads, under the same lease token.

        Args:
            head: What the worker has claimed.
            worker: The holder's name.
            lease_seconds: How long nobody else may take them.

        Returns:
            The digest. None where another worker still holds a member, or the digest is no more: release the head.

        Raises:
            ValueError: The delivery is in no digest.
            LeaseLost: Another worker holds it.
            StoreError: The database can't be used at the moment; what is held nevertheless is free when its lease ends.
        """
        if head.digest is None:
            raise ValueError("The delivery is in no digest.")
        taken = {"which": head.digest, "token": head.lease}
        with self.database.writing(forgettable=True) as connection:
            lock_members(connection, head.digest)
            members = {row.id: row for row in connection.execute(self._waiting, taken)}
            if head.id not in members or members[head.id].lease != head.lease:
                raise LeaseLost(LeaseLost.__doc__)
            found = connection.execute(_open_digest, taken).one_or_none()
            if found is None:  # the database was damaged: nobody would ever tell them
                connection.execute(_dissolve, taken)
                return None
            if any(row.lease not in {None, head.lease} and not row.free for row in members.values()):
                return None
            settle_interrupted(connection, sorted(members), self._now_us())
            length = int(lease_seconds * MICROSECONDS)
            rows = connection.execute(self._take, {**taken, "worker": worker, "length": length}).all()
            alerts = alerts_of(connection, {row.alert_id for row in rows})
        if all(row.id != head.id for row in rows):
            raise LeaseLost(LeaseLost.__doc__)
        rows = sorted(rows, key=serving_order)
        deliveries = [delivery_from(row, alerts[row.alert_id], head.lease) for row in rows]
        return HeldDigest(found.id, DigestKind(found.kind), message_from(found.message), tuple(deliveries))

    def last_digest_us(self, channel: str, kind: DigestKind) -> int | None:
        """Return when the newest digest of a kind was made on a channel, halves of others left out; None for never.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        given = {"channel_name": channel, "word": kind.value}
        with self.database.reading() as connection:
            made_us: int | None = connection.scalar(_newest, given)
        return made_us

    @cached_property
    def _backlog_critical(self) -> Select[int]:
        return self._backlog(_queue.c.priority == CRITICAL)

    @cached_property
    def _backlog_other(self) -> Select[int]:
        return self._backlog(_queue.c.priority > CRITICAL)

    def _backlog(self, of_class: ColumnElement[bool]) -> Select[int]:
        return (
            select(_queue.c.published_us)
            .where(
                _queue.c.channel == bindparam("channel_name"),
                schema.OPEN,
                of_class,
                *_UNTRIED,
                _queue.c.batch.is_(None),
                _queue.c.due_at <= _now,
                unheld(self.database.lease_now),
            )
            .order_by(_queue.c.priority, _queue.c.published_us, _queue.c.id)
            .limit(bindparam("most"))
        )

    @cached_property
    def _fold_critical(self) -> Update:
        return self._fold(_queue.c.batch.is_(None), _queue.c.priority == CRITICAL)

    @cached_property
    def _fold_other(self) -> Update:
        return self._fold(_queue.c.batch.is_(None), _queue.c.priority > CRITICAL)

    @cached_property
    def _fold_batch(self) -> Update:
        return self._fold(_queue.c.batch == bindparam("batch_name"))

    def _fold(self, *wanted: ColumnElement[bool]) -> Update:
        others = _queue.c.id != bindparam("head", type_=BigInteger)
        return claim_statement(self.database.lease_now, schema.OPEN, *wanted, *_UNTRIED, others)

    @cached_property
    def _waiting(self) -> Select[Any]:
        free = unheld(self.database.lease_now).label("free")
        return select(_queue.c.id, _queue.c.lease, free).where(_of_digest, schema.OPEN)

    @cached_property
    def _take(self) -> Update:
        length = bindparam("length", type_=BigInteger)
        return (
            update(_queue)
            .where(_of_digest, schema.OPEN)
            .values(
                lease=bindparam("token"),
                lease_owner=bindparam("worker"),
                lease_until=self.database.lease_now + length,
                lease_length=length,
            )
            .returning(*CLAIMED)
        )


_now: Final = bindparam("now", type_=BigInteger)
#: What no attempt was made for, and no person decided about; and what is not too old.
_UNTRIED: Final[Sequence[ColumnElement[bool]]] = (
    _queue.c.digest.is_(None),
    _queue.c.open_attempt.is_(None),  # a worker that went away may have told it
    _queue.c.status == DeliveryState.PENDING.value,
    _queue.c.retries == 0,
    _queue.c.possible_repeat == false(),
    _queue.c.last_reason.is_(None),
    _queue.c.last_detail.is_(None),
    or_(_queue.c.expires_at.is_(None), _queue.c.expires_at > _now),
)
_head: Final = select(_queue.c.batch, _queue.c.priority).where(_queue.c.id == bindparam("which"), *_UNTRIED)
_of_digest: Final = _queue.c.digest == bindparam("which")
_open_digest: Final = select(_digest).where(
    _digest.c.id == bindparam("which"), _digest.c.state == DigestState.OPEN.value
)
_dissolve: Final = update(_queue).where(_of_digest, schema.OPEN).values(**FREE, digest=null(), follows=null())
_newest: Final = (
    select(_digest.c.created_us)
    .where(
        _digest.c.channel == bindparam("channel_name"), _digest.c.kind == bindparam("word"), _digest.c.parent.is_(None)
    )
    .order_by(_digest.c.created_us.desc())
    .limit(1)
)
