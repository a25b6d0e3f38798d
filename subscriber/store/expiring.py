"""Ends what is too old to be sent one by one, and notes which event of the daemon's own tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, BindParameter, bindparam, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from subscriber.deliveries import DeliveryState
from subscriber.store import schema
from subscriber.store.claiming import unheld
from subscriber.store.incoming import Incoming
from subscriber.store.inserting import Accepted, Inserting
from subscriber.store.leases import FREE
from subscriber.store.part import chunks

_queue: Final = schema.notification_queue
_alert: Final = schema.alert


@dataclass(frozen=True, slots=True)
class Expired:
    """A delivery that expired, and of which nobody was told yet."""

    delivery: int
    alert_id: UUID
    event_type: str  #: or the action
    severity: str
    symbol: str | None
    published_us: int
    in_doubt: bool  #: a try of it may have arrived
    more: int = 0  #: how many alerts it was to tell of beside its own: nobody else does


class Expiring(Inserting):
    """What is too old."""

    def expire(self, channel: str, now_us: int) -> int:
        """End what waits for a channel and is too old by now; return how many deliveries that were.

        What somebody holds, or was tried by somebody who went away, is left to whoever claims it; a digest has no age.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        with self.database.writing() as connection:
            return len(connection.scalars(self._expire, {"channel_name": channel, "now": now_us}).all())

    def untold_expired(self, channel: str, limit: int) -> list[Expired]:
        """Return what expired for a channel and is still to be told, the oldest first.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            rows = connection.execute(_untold, {"channel_name": channel, "most": limit}).all()
        return [
            Expired(
                row.id,
                UUID(bytes=row.alert_id),
                row.event_type,
                row.severity,
                row.symbol,
                row.published_us,
                row.possible_repeat,
                row.more or 0,
            )
            for row in rows
        ]

    def tell_expired(self, channel: str, expired: Sequence[int], incoming: Incoming) -> Accepted | None:
        """Store the event that tells of expired deliveries, and note at each of them that it does.

        Args:
            channel: Whose they are, and for which the event is planned.
            expired: The ids of the deliveries.
            incoming: The event.

        Returns:
            What became of the event. None where one of them is told already, or has not expired any more: nothing
            was stored.

        Raises:
            StoreError: The database can't be used at the moment; nothing was stored.
        """
        wanted = sorted(set(expired))
        with self.database.writing() as connection:
            found = [
                number
                for some in chunks(wanted)
                for number in connection.scalars(_lock_untold, {"channel_name": channel, "ids": some})
            ]
            if not wanted or found != wanted:
                return None
            accepted = self._store_own(connection, incoming)
            for some in chunks(wanted):
                connection.execute(_tell, {"ids": some, "teller": incoming.alert.id.bytes})
        return accepted

    @cached_property
    def _expire(self) -> ReturningUpdate[int]:
        now = bindparam("now", type_=BigInteger)
        old = (
            select(_queue.c.id)
            .where(
                _queue.c.channel == bindparam("channel_name"),
                schema.OPEN,
                _queue.c.expires_at <= now,
                _queue.c.digest.is_(None),
                _queue.c.open_attempt.is_(None),
                unheld(self.database.lease_now),
            )
            .order_by(_queue.c.id)
            .with_for_update(skip_locked=True)
            .cte("old")
        )
        return (
            update(_queue)
            .where(_queue.c.id.in_(select(old.c.id)))
            .values(**FREE, status=DeliveryState.EXPIRED.value, finished_at=now)
            .returning(_queue.c.id)
        )


_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_untold: Final = (
    select(
        _queue.c.id,
        _queue.c.alert_id,
        _queue.c.published_us,
        _queue.c.possible_repeat,
        _queue.c.more,
        _alert.c.event_type,
        _alert.c.severity,
        _alert.c.symbol,
    )
    .join(_alert, _alert.c.id == _queue.c.alert_id)
    .where(_queue.c.channel == bindparam("channel_name"), schema.UNTOLD_EXPIRED)
    .order_by(_queue.c.published_us, _queue.c.id)
    .limit(bindparam("most"))
)
_lock_untold: Final = (
    select(_queue.c.id)
    .where(_queue.c.channel == bindparam("channel_name"), _queue.c.id.in_(_ids), schema.UNTOLD_EXPIRED)
    .order_by(_queue.c.id)
    .with_for_update()
)
_tell: Final = update(_queue).where(_queue.c.id.in_(_ids)).values(told_by=bindparam("teller"))
