"""Lets other channels tell what has waited too long for a channel that is down; the original goes on waiting.

Lock order: alerts, deliveries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from sqlalchemy import BindParameter, Select, bindparam, exists, null, or_, select, update

from subscriber.store import schema
from subscriber.store.database import repeated
from subscriber.store.fallbacks import hand_over, lock_alerts
from subscriber.store.part import StorePart

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery


class Overdue(StorePart):
    """What a channel that is down does not tell in time."""

    @repeated
    def hand_over_overdue(
        self, channel: str, waiting_since_us: int, fallbacks: Sequence[str], limit: int
    ) -> dict[str, int]:
        """Plan a fallback for what a channel should have told before a time, once for each delivery.

        What is being sent is left for the next call; what is in doubt is handed over, too, as a possible repeat.

        Args:
            channel: The one that is down.
            waiting_since_us: Only what was due before; of what was tried since, the first try counts.
            fallbacks: The channels to choose from, in order; what its route says of that goes first.
            limit: How many deliveries to look at.

        Returns:
            How many were handed over, by the channel that tells them now.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        now_us = self._now_us()
        given = {"channel_name": channel, "since_us": waiting_since_us}
        waiting = _waiting(self)
        with self.database.reading() as connection:  # nearly always there is nothing to do, and no lock is taken
            found = list(connection.scalars(waiting.limit(limit), given).all())
        if not found:
            return {}
        chosen: Counter[str] = Counter()
        with self.database.writing() as connection:
            lock_alerts(connection, found)
            locked = waiting.where(_queue.c.id.in_(_ids)).order_by(None).order_by(_queue.c.id).with_for_update()
            for number in connection.scalars(locked, {**given, "ids": found}).all():
                fallback = hand_over(connection, [number], fallbacks, now_us)
                if fallback is not None:
                    chosen[fallback] += 1
                # what nobody else can tell is looked at only once, or it would hide what others can
                connection.execute(_note, {"ids": [number], "is_told": fallback is not None})
        return dict(chosen)


def _waiting(part: StorePart) -> Select[int]:
    tried_before = exists().where(
        _link.c.delivery_id == _queue.c.id,
        _attempt.c.id == _link.c.attempt_id,
        _attempt.c.opened_us <= bindparam("since_us"),
    )
    return (
        select(_queue.c.id)
        .where(
            _queue.c.channel == bindparam("channel_name"),
            schema.OPEN,
            _queue.c.handed_over.is_(None),
            _queue.c.open_attempt.is_(null()),
            or_(_queue.c.lease_until.is_(None), _queue.c.lease_until <= part.database.lease_now),
            or_(_queue.c.due_at <= bindparam("since_us"), tried_before),
        )
        .order_by(_queue.c.priority, _queue.c.published_us, _queue.c.id)
    )


_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_note: Final = update(_queue).where(_queue.c.id.in_(_ids)).values(handed_over=bindparam("is_told"))
