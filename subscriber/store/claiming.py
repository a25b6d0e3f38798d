"""Hands out deliveries: who works on one, for how long, and what is taken over from a worker that went away."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    TextClause,
    Update,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import Delivery, DeliveryState
from subscriber.store import schema
from subscriber.store.database import repeated
from subscriber.store.interruptions import settle_interrupted
from subscriber.store.leases import FREE, by_token, update_held, update_of_held
from subscriber.store.part import StorePart, alerts_of, chunks

_queue: Final = schema.notification_queue


class Claiming(StorePart):
    """Taking, keeping and giving back deliveries."""

    @repeated
    def claim(
        self, channel: str, worker: str, lease_seconds: float, limit: int, *, rehearsal: bool = False
    ) -> list[Delivery]:
        """Take deliveries of a channel that are due: by priority, then the oldest first.

        A delivery whose lease ran out is taken over. Where its former holder left an attempt open, that attempt is
        closed in doubt, and the delivery comes as `in_doubt`, a possible repeat, with one retry more; one of which a
        receipt came meanwhile has ended, and does not come.

        Args:
            channel: Whose deliveries.
            worker: The holder's name, for `release_worker` and for people.
            lease_seconds: How long nobody else may take them; longer than a send may last.
            limit: How many at most.
            rehearsal: Take what a dry run suppressed and has not shown yet, instead of what is to be sent.

        Raises:
            StoreError: The database can't be used at the moment; nothing is held.
        """
        token = uuid4().hex
        with self.database.writing(forgettable=True) as connection:
            rows = connection.execute(
                self._claim_unrehearsed if rehearsal else self._claim_open,
                {
                    "channel_name": channel,
                    "now": self._now_us(),
                    "most": limit,
                    "token": token,
                    "worker": worker,
                    "length": int(lease_seconds * MICROSECONDS),
                },
            ).all()
            interrupted = [row.id for row in rows if row.open_attempt is not None]
            in_doubt = set(interrupted)
            ended = settle_interrupted(connection, interrupted, self._now_us())
            rows = [row for row in rows if row.id not in ended]
            alerts = alerts_of(connection, {row.alert_id for row in rows})
        rows = sorted(rows, key=lambda row: (row.priority, row.published_us, row.id))
        return [_delivery(row, alerts[row.alert_id], token, interrupted=row.id in in_doubt) for row in rows]

    def renew(self, deliveries: Sequence[Delivery], lease_seconds: float) -> None:
        """Hold deliveries for so many seconds from now.

        Raises:
            LeaseLost: Another worker holds one of them; none was renewed.
        """
        length = int(lease_seconds * MICROSECONDS)
        with self.database.writing(forgettable=True) as connection:
            update_held(connection, deliveries, self._renewal, {"length": length})

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give deliveries back, for anybody to claim; what is held by another worker by now is left alone.

        Raises:
            StoreError: The database can't be used at the moment; the leases run out by themselves.
        """
        with self.database.writing(forgettable=True) as connection:
            for token, ids in by_token(deliveries).items():
                held = _queue.c.lease == token
                found = [
                    found
                    for some in chunks(ids)
                    for found in connection.scalars(_held_for_update(held & _queue.c.id.in_(some)))
                ]
                self._free(connection, found)

    def release_worker(self, worker: str) -> int:
        """Give back all that a worker of this name holds, at its end or before it starts again; return how many.

        Raises:
            StoreError: The database can't be used at the moment; the leases run out by themselves.
        """
        with self.database.writing(forgettable=True) as connection:
            found = connection.scalars(_held_for_update(_queue.c.lease_owner == worker)).all()
            self._free(connection, found)
        return len(found)

    def next_due_us(self, channel: str) -> int | None:
        """Return when a channel has something to claim next, in microseconds; it may lie in the past.

        That is the earliest due time, or the end of a lease where somebody holds the delivery. None: nothing waits.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            next_us: int | None = connection.scalar(_next_due, {"channel_name": channel})
        return next_us

    @cached_property
    def _claim_open(self) -> Update:
        return _claim_statement(schema.OPEN, self.database.lease_now)

    @cached_property
    def _claim_unrehearsed(self) -> Update:
        return _claim_statement(schema.UNREHEARSED, self.database.lease_now)

    @cached_property
    def _renewal(self) -> Update:
        length = bindparam("length", type_=BigInteger)
        return update_of_held({"lease_until": self.database.lease_now + length, "lease_length": length})

    def _free(self, connection: Connection, ids: Sequence[int]) -> None:
        settle_interrupted(connection, ids, self._now_us())
        for some in chunks(ids):
            connection.execute(update(_queue).where(_queue.c.id.in_(some)).values(FREE))


#: What a worker has to know of a delivery.
_CLAIMED: Final = tuple(
    _queue.c[name]
    for name in (
        "id",
        "alert_id",
        "channel",
        "status",
        "published_us",
        "due_at",
        "retries",
        "possible_repeat",
        "created_at",
        "priority",
        "open_attempt",
    )
)


def _claim_statement(wanted: TextClause, lease_now: ColumnElement[int]) -> Update:
    """Build the claim: one UPDATE … RETURNING over a SELECT … FOR UPDATE SKIP LOCKED (which SQLite needs not).

    The SELECT is a common table expression, because PostgreSQL may run a plain subquery more than once and then
    takes more rows than its limit; one that locks rows is run once.
    """
    due = (
        select(_queue.c.id)
        .where(
            _queue.c.channel == bindparam("channel_name"),
            wanted,
            _queue.c.due_at <= bindparam("now", type_=BigInteger),
            or_(_queue.c.lease_until.is_(None), _queue.c.lease_until <= lease_now),
        )
        .order_by(_queue.c.priority, _queue.c.published_us, _queue.c.id)
        .limit(bindparam("most", type_=BigInteger))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    length = bindparam("length", type_=BigInteger)
    return (
        update(_queue)
        .where(_queue.c.id.in_(select(due.c.id)))
        .values(
            lease=bindparam("token"),
            lease_owner=bindparam("worker"),
            lease_until=lease_now + length,
            lease_length=length,
        )
        .returning(*_CLAIMED)
    )


_next_due: Final = select(
    func.min(case((_queue.c.lease_until > _queue.c.due_at, _queue.c.lease_until), else_=_queue.c.due_at))
).where(_queue.c.channel == bindparam("channel_name"), schema.OPEN)


def _delivery(row: Row[Any], alert: Alert, token: str, *, interrupted: bool) -> Delivery:
    return Delivery(
        id=row.id,
        alert=alert,
        channel=row.channel,
        state=DeliveryState.IN_DOUBT if interrupted else DeliveryState(row.status),
        published_us=row.published_us,
        due_at_us=row.due_at,
        retries=row.retries + interrupted,
        lease=token,
        possible_repeat=interrupted or row.possible_repeat,
    )


def _held_for_update(condition: ColumnElement[bool]) -> Select[int]:
    return select(_queue.c.id).where(condition).order_by(_queue.c.id).with_for_update()
