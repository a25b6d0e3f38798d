"""What becomes of deliveries whose channel was switched off: suppressed, unless nobody else tells a CRITICAL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, func, select, update

from subscriber.deliveries import DeliveryState, Why
from subscriber.store import schema
from subscriber.store.claiming import CRITICAL
from subscriber.store.database import repeated
from subscriber.store.digests import leave_digests
from subscriber.store.fallbacks import lock_alerts, plan_fallback, replaced
from subscriber.store.interruptions import settle_interrupted
from subscriber.store.leases import FREE
from subscriber.store.part import StorePart, chunks

_queue: Final = schema.notification_queue
_alert: Final = schema.alert
_told: Final = _queue.alias("told")


class Switching(StorePart):
    """Deliveries of channels that are no more."""

    def waiting_elsewhere(self, channels: Sequence[str]) -> dict[str, int]:
        """Count what waits for channels other than these, by channel.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        statement = (
            select(_queue.c.channel, func.count().label("waiting"))
            .where(schema.OPEN, _queue.c.channel.not_in(list(channels)))
            .group_by(_queue.c.channel)
        )
        with self.database.reading() as connection:
            return {row.channel: row.waiting for row in connection.execute(statement)}

    @repeated
    def switch_off_others(self, enabled: Sequence[str]) -> dict[str, int]:
        """Suppress what waits for any channel but the enabled ones; no worker of such a channel may be running.

        A CRITICAL that none of the enabled channels was to tell goes to the first of them instead.

        Args:
            enabled: The channels that are switched on, at least one.

        Returns:
            How many deliveries were suppressed, by channel.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        waiting_elsewhere = schema.OPEN & _queue.c.channel.not_in(list(enabled))
        wanted = select(_queue.c.id).where(waiting_elsewhere).order_by(_queue.c.id)
        with self.database.writing() as connection:
            critical = connection.scalars(wanted.where(_queue.c.priority == CRITICAL)).all()
            lock_alerts(connection, critical)
            ids = connection.scalars(wanted.with_for_update()).all()
            settle_interrupted(connection, ids, self._now_us())  # first: what it says of repeats is handed over
            waiting = [
                row
                for some in chunks(ids)
                for row in connection.execute(
                    select(_queue).where(_queue.c.id.in_(some), schema.OPEN).order_by(_queue.c.id)
                )
            ]
            self._hand_over(connection, [row for row in waiting if row.priority == CRITICAL], enabled)
            leave_digests(connection, [row.id for row in waiting], self._now_us())
            for some in chunks([row.id for row in waiting]):
                connection.execute(
                    update(_queue)
                    .where(_queue.c.id.in_(some))
                    .values(
                        **FREE,
                        status=DeliveryState.SUPPRESSED.value,
                        why=Why.DISABLED.value,
                        finished_at=self._now_us(),
                    )
                )
        return dict(Counter(row.channel for row in waiting))

    def _hand_over(self, connection: Connection, rows: Sequence[Row[Any]], enabled: Sequence[str]) -> None:
        told = exists().where(_told.c.alert_id == _alert.c.id, _told.c.channel.in_(list(enabled)))
        for number in {row.alert_id: row.id for row in rows}.values():
            row = connection.execute(replaced.where(_queue.c.id == number, ~told)).one_or_none()
            if row is not None:
                plan_fallback(connection, row, enabled[0], self._now_us())
