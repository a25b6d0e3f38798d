"""Answers questions about what is stored: counts, what waits, and how channels stand; `history` tells of alerts.

Everything it returns is plain data that JSON can hold, with times in microseconds of UTC, and without secrets.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, func, or_, select

from subscriber.deliveries import DeliveryState, Reason
from subscriber.store import schema
from subscriber.store.changes import Fields
from subscriber.store.history import History
from subscriber.store.incoming import HELD_BATCHES
from subscriber.store.latencies import Latencies

_alert: Final = schema.alert
_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt

_PRIORITIES: Final = (0, 1, 2)  # all that `priority_of` returns
_FAILURES: Final = tuple(reason for reason in Reason if reason is not Reason.ACCEPTED)


class Asking(History, Latencies):
    """Reading what is stored, for people and for metrics."""

    def channels_of(self, alert_id: UUID) -> tuple[str, ...]:
        """Return the channels that an alert was planned for, none where it is not stored.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            planned = connection.scalar(select(_alert.c.planned).where(_alert.c.id == alert_id.bytes))
        return tuple(dict.fromkeys(channel for channel, _step in json.loads(planned or "[]")))

    def channel_counts(self) -> dict[str, dict[str, int]]:
        """Count the deliveries by channel and state; states without any are left out.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        with self.database.reading() as connection:
            for channel, status, count in connection.execute(_counts):
                counts[channel][status] = count
        return dict(counts)

    def open_counts(self) -> dict[str, int]:
        """Count what waits to be sent, by channel; cheap however much was ever delivered.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return {row.channel: row.waiting for row in connection.execute(_open_counts)}

    def queue_oldest_us(self, channel: str) -> int | None:
        """Return when the oldest alert that still waits for a channel was published, or None.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            oldest = [
                connection.scalar(_oldest, {"channel_name": channel, "rank": priority}) for priority in _PRIORITIES
            ]
        return min((moment for moment in oldest if moment is not None), default=None)

    def queue_overdue_us(self, channel: str) -> int | None:
        """Return when the oldest alert was published that waits for nothing but a channel, or None.

        What a digest, a silence or quiet hours hold until a later time does not count before that time; what was tried
        and waits for its next try does. As dear as what is held is long: nothing of it is in an index.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        given = {"channel_name": channel, "now": self._now_us()}
        with self.database.reading() as connection:
            oldest = [connection.scalar(_overdue, {**given, "rank": priority}) for priority in _PRIORITIES]
        return min((moment for moment in oldest if moment is not None), default=None)

    def dead_counts(self) -> dict[str, int]:
        """Count the deliveries that are dead, by channel, also for those that have none; reads no other deliveries.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return {row.channel: row.dead for row in connection.execute(_dead_counts)}

    def last_success_us(self, channel: str) -> int | None:
        """Return when a channel's provider last took a message, or None.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            row = connection.execute(_newest, {"channel_name": channel, "ended_as": Reason.ACCEPTED.value}).first()
        return None if row is None else int(row.closed_us)

    def last_error(self, channel: str) -> dict[str, str | int | None] | None:
        """Return a channel's newest attempt that was not accepted, or None.

        Its keys are reason, status (HTTP), code (the provider's own), detail, at_us and alert_id, which is None where
        nobody knows whose attempt it was.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            rows = [
                row
                for reason in _FAILURES
                for row in connection.execute(_newest, {"channel_name": channel, "ended_as": reason.value})
            ]
        if not rows:
            return None
        newest = max(rows, key=lambda row: row.closed_us)
        alert_id = self.alert_of_attempt(newest.id)
        return {
            "reason": newest.reason,
            "status": newest.status,
            "code": newest.code,
            "detail": newest.detail,
            "at_us": newest.closed_us,
            "alert_id": None if alert_id is None else str(alert_id),
        }

    def held_count(self) -> int:
        """Count what waits for the end of a silence or of quiet hours.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return connection.scalar(_held, {"now": self._now_us()}) or 0

    def silences_now(self) -> int:
        """Count the silences that hold or drop alerts now.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return connection.scalar(_silences_now, {"now": self._now_us()}) or 0

    def fetch_pending_notifications(self, limit: int = 50) -> list[Fields]:
        """Return what waits to be sent, in the order of sending.

        Each has id, payload (the alert), status, retries, created_at (microseconds) and channel. Reading takes
        nothing from a worker; see `claim` for that.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            rows = connection.execute(_pending, {"most": limit}).all()
        return [{**row._mapping, "payload": json.loads(row.payload)} for row in rows]  # noqa: SLF001 - its public name


_held: Final = select(func.count()).where(
    schema.OPEN,
    or_(*(_queue.c.batch.startswith(prefix) for prefix in HELD_BATCHES)),
    _queue.c.due_at > bindparam("now", type_=BigInteger),
)
_silence: Final = schema.silence
_silences_now: Final = select(func.count()).where(
    schema.UNENDED,
    _silence.c.starts_us <= bindparam("now", type_=BigInteger),
    _silence.c.ends_us > bindparam("now", type_=BigInteger),
)
# By the claim's index, which has the priority in it: to count rows alone SQLite would go through all that was ever
# delivered, because the index of channels and states says everything that it needs then.
_open_counts: Final = (
    select(_queue.c.channel, func.count(_queue.c.priority).label("waiting"))
    .where(schema.OPEN)
    .group_by(_queue.c.channel)
)
_counts: Final = select(_queue.c.channel, _queue.c.status, func.count()).group_by(_queue.c.channel, _queue.c.status)
# One priority at a time: each is then the first entry of the claim's index, however long the queue is.
_oldest: Final = select(func.min(_queue.c.published_us)).where(
    _queue.c.channel == bindparam("channel_name"), _queue.c.priority == bindparam("rank"), schema.OPEN
)
# As `_oldest`: the first entry of the index that is not held. What was tried has a time of its own.
_overdue: Final = (
    select(_queue.c.published_us)
    .where(
        _queue.c.channel == bindparam("channel_name"),
        _queue.c.priority == bindparam("rank"),
        schema.OPEN,
        or_(
            _queue.c.due_at <= bindparam("now", type_=BigInteger),
            _queue.c.last_reason.is_not(None),
            _queue.c.retries > 0,
            _queue.c.status == DeliveryState.IN_DOUBT.value,
        ),
    )
    .order_by(_queue.c.published_us)
    .limit(1)
)
# From one channel to the next by the index of channels and states: neither database skips to them by itself.
_channels: Final = select(func.min(_queue.c.channel).label("channel")).cte("channels", recursive=True)
_all_channels: Final = _channels.union_all(
    select(select(func.min(_queue.c.channel)).where(_queue.c.channel > _channels.c.channel).scalar_subquery()).where(
        _channels.c.channel.is_not(None)
    )
)
_dead_counts: Final = select(
    _all_channels.c.channel,
    select(func.count())
    .where(_queue.c.channel == _all_channels.c.channel, _queue.c.status == DeliveryState.DEAD.value)
    .correlate(_all_channels)
    .scalar_subquery()
    .label("dead"),
).where(_all_channels.c.channel.is_not(None))
# One reason at a time, for the same reason.
_newest: Final = (
    select(_attempt)
    .where(
        _attempt.c.channel == bindparam("channel_name"),
        _attempt.c.reason == bindparam("ended_as"),
        _attempt.c.closed_us.is_not(None),
    )
    .order_by(_attempt.c.closed_us.desc())
    .limit(1)
)
_pending: Final = (
    select(
        _queue.c.id,
        _queue.c.payload,
        _queue.c.status,
        _queue.c.retries,
        _queue.c.created_at,
        _queue.c.channel,
    )
    .where(schema.OPEN)
    .order_by(_queue.c.priority, _queue.c.published_us, _queue.c.id)
    .limit(bindparam("most"))
)
