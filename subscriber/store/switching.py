"""What becomes of deliveries whose channel was switched off: suppressed, unless nobody else tells a CRITICAL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, func, select, update

from subscriber.deliveries import DeliveryState, Step, Why
from subscriber.store import schema
from subscriber.store.leases import FREE, settle_interrupted
from subscriber.store.part import StorePart, chunks

_queue: Final = schema.notification_queue
_alert: Final = schema.alert
#: The priority of a CRITICAL, as `subscriber.deliveries.priority_of` has it.
_CRITICAL: Final = 0
#: What a new delivery of the same alert takes over from the one that it replaces.
_KEPT: Final = ("payload", "alert_id", "priority", "published_us", "possible_repeat")


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
        with self.database.writing() as connection:
            ids = list(
                connection.execute(
                    select(_queue.c.id)
                    .where(schema.OPEN, _queue.c.channel.not_in(list(enabled)))
                    .order_by(_queue.c.id)
                    .with_for_update()
                ).scalars()
            )
            settle_interrupted(connection, ids, self._now_us())  # first: what it says of repeats is handed over
            waiting = [
                row
                for some in chunks(ids)
                for row in connection.execute(select(_queue).where(_queue.c.id.in_(some)).order_by(_queue.c.id))
            ]
            self._hand_over(connection, [row for row in waiting if row.priority == _CRITICAL], enabled)
            for some in chunks(ids):
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
        told = exists().where(_queue.c.alert_id == _alert.c.id, _queue.c.channel.in_(list(enabled)))
        for row in {row.alert_id: row for row in rows}.values():
            alert = connection.execute(select(_alert.c.planned).where(_alert.c.id == row.alert_id, ~told)).one_or_none()
            if alert is None:
                continue
            now_us = self._now_us()
            connection.execute(
                _queue.insert().values(
                    **{name: row._mapping[name] for name in _KEPT},  # noqa: SLF001 - SQLAlchemy's public name for it
                    channel=enabled[0],
                    step=Step.FALLBACK.value,
                    status=DeliveryState.PENDING.value,
                    retries=0,
                    created_at=now_us,
                    due_at=now_us,
                )
            )
            planned = [*json.loads(alert.planned), [enabled[0], Step.FALLBACK.value]]
            connection.execute(
                update(_alert)
                .where(_alert.c.id == row.alert_id)
                .values(planned=json.dumps(planned, separators=(",", ":"), ensure_ascii=False))
            )
