"""Hands out deliveries: who works on one, for how long, and what is taken over from a worker that went away."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final
from uuid import uuid4

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
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

from bus.clock import MICROSECONDS
from subscriber.deliveries import Delivery
from subscriber.store import schema
from subscriber.store.channel_switches import off_now
from subscriber.store.database import repeated
from subscriber.store.delivery_rows import CLAIMED, delivery_from, serving_order
from subscriber.store.interruptions import lock_interrupted, settle_interrupted
from subscriber.store.leases import FREE, by_token, update_held, update_of_held
from subscriber.store.part import StorePart, alerts_of, chunks

_queue: Final = schema.notification_queue

#: The priority of a CRITICAL, as `subscriber.deliveries.priority_of` has it.
CRITICAL: Final = 0
#: Of a digest only the member that leads is claimed.
_LEADS: Final = _queue.c.follows.is_(None)


class Claiming(StorePart):
    """Taking, keeping and giving back deliveries."""

    @repeated
    def claim(
        self,
        channel: str,
        worker: str,
        lease_seconds: float,
        limit: int,
        *,
        rehearsal: bool = False,
        storm: bool = False,
    ) -> list[Delivery]:
        """Take deliveries of a channel that are due: by priority, then the oldest first; none of one switched off.

        A delivery whose lease ran out is taken over. Where its former holder left an attempt open, that attempt is
        closed in doubt, and the delivery comes as `in_doubt`, a possible repeat, with one retry more; one of which a
        receipt came meanwhile has ended, and does not come. Of a digest comes the member that leads, for all of them.

        Args:
            channel: Whose deliveries.
            worker: The holder's name, for `release_worker` and for people.
            lease_seconds: How long nobody else may take them; longer than a send may last.
            limit: How many at most.
            rehearsal: Take what a dry run suppressed and has not shown yet, instead of what is to be sent.
            storm: Leave what a storm collects: take CRITICAL alerts, batches, and what was tried before.

        Raises:
            StoreError: The database can't be used at the moment; what is held nevertheless is free when its lease ends.
        """
        token = uuid4().hex
        claim = self._claim_in_storm if storm else self._claim_open
        with self.database.writing(forgettable=True) as connection:
            rows = connection.execute(
                self._claim_unrehearsed if rehearsal else claim,
                {
                    "channel_name": channel,
                    "now": self._now_us(),
                    "most": limit,
                    "token": token,
                    "worker": worker,
                    "length": int(lease_seconds * MICROSECONDS),
                },
            ).all()
            alerts = alerts_of(connection, {row.alert_id for row in rows})
        interrupted = {row.id for row in rows if row.open_attempt is not None}
        if interrupted:
            ended = self._take_over(token, sorted(interrupted))
            rows = [row for row in rows if row.id not in ended]
        return [
            delivery_from(row, alerts[row.alert_id], token, interrupted=row.id in interrupted)
            for row in sorted(rows, key=serving_order)
        ]

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

    @repeated
    def _take_over(self, token: str, ids: Sequence[int]) -> set[int]:
        """Settle the open attempts of what was just claimed; return which of it is not to be sent.

        In a transaction of its own: an attempt may have told others, and whoever locks several deliveries does so in
        their order.
        """
        with self.database.writing(forgettable=True) as connection:
            lock_interrupted(connection, ids)
            mine = connection.scalars(_held_for_update((_queue.c.lease == token) & _queue.c.id.in_(ids))).all()
            ended = settle_interrupted(connection, mine, self._now_us())
        return (set(ids) - set(mine)) | ended.keys()

    @cached_property
    def _claim_open(self) -> Update:
        return claim_statement(self.database.lease_now, schema.OPEN, _LEADS)

    @cached_property
    def _claim_in_storm(self) -> Update:
        return claim_statement(self.database.lease_now, schema.OPEN, _LEADS, _NOT_COLLECTED)

    @cached_property
    def _claim_unrehearsed(self) -> Update:
        return claim_statement(self.database.lease_now, schema.UNREHEARSED)

    @cached_property
    def _renewal(self) -> Update:
        length = bindparam("length", type_=BigInteger)
        return update_of_held({"lease_until": self.database.lease_now + length, "lease_length": length})

    def _free(self, connection: Connection, ids: Sequence[int]) -> None:
        settle_interrupted(connection, ids, self._now_us())
        for some in chunks(ids):
            connection.execute(update(_queue).where(_queue.c.id.in_(some)).values(FREE))


_NOT_COLLECTED: Final = or_(
    _queue.c.priority == CRITICAL,
    _queue.c.batch.is_not(None),
    _queue.c.digest.is_not(None),
    _queue.c.retries > 0,
    _queue.c.possible_repeat,
)


def claim_statement(lease_now: ColumnElement[int], *wanted: TextClause | ColumnElement[bool]) -> Update:
    """Build a claim: one UPDATE … RETURNING over a SELECT … FOR UPDATE SKIP LOCKED (which SQLite needs not).

    The SELECT is a common table expression, because PostgreSQL may run a plain subquery more than once and then
    takes more rows than its limit; one that locks rows is run once.
    """
    due = (
        select(_queue.c.id)
        .where(
            _queue.c.channel == bindparam("channel_name"),
            *wanted,
            _queue.c.due_at <= bindparam("now", type_=BigInteger),
            unheld(lease_now),
            ~off_now(bindparam("channel_name")),
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
        .returning(*CLAIMED)
    )


def unheld(lease_now: ColumnElement[int]) -> ColumnElement[bool]:
    """Return the condition that nobody holds a delivery."""
    return or_(_queue.c.lease_until.is_(None), _queue.c.lease_until <= lease_now)


_next_due: Final = select(
    func.min(case((_queue.c.lease_until > _queue.c.due_at, _queue.c.lease_until), else_=_queue.c.due_at))
).where(_queue.c.channel == bindparam("channel_name"), schema.OPEN, _LEADS)


def _held_for_update(condition: ColumnElement[bool]) -> Select[int]:
    return select(_queue.c.id).where(condition).order_by(_queue.c.id).with_for_update()
