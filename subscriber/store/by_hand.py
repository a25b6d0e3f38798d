"""Lets a person say how a delivery stands."""

from __future__ import annotations

from typing import Final

from sqlalchemy import null, select, update

from subscriber.deliveries import OPEN_STATES, DeliveryState
from subscriber.store import schema
from subscriber.store.changes import ChangeKind, note_change
from subscriber.store.database import repeated
from subscriber.store.digests import leave_digests, lock_members
from subscriber.store.interruptions import settle_leaving
from subscriber.store.leases import FREE
from subscriber.store.part import SET_BY_HAND, StorePart

_queue: Final = schema.notification_queue

#: The plan's word for what `DeliveryState` calls accepted.
SENT: Final = "sent"
#: By which way it was changed: whoever calls the store is not known to it.
VIA: Final = "store"


class ByHand(StorePart):
    """What a person decides about a delivery."""

    @repeated
    def mark_notification_sent(self, id: int, status: str) -> bool:  # noqa: A002 - the plan's name
        """Set a delivery's state by hand, whoever holds it; the holder's own result is then dropped.

        It leaves the digest that it is in, whose other members stay as they are. The change is recorded with it.

        Args:
            id: The delivery, as `fetch_pending_notifications` tells it.
            status: A word of DeliveryState, or `sent`, which means accepted.

        Returns:
            Whether there is such a delivery.

        Raises:
            ValueError: The status is no such word.
            StoreError: The database can't be used at the moment; nothing changed.
        """
        state = _state_of(status)
        now_us = self._now_us()
        ended = {
            "status": state.value,
            "finished_at": null() if state in OPEN_STATES else now_us,
            "last_reason": null(),
            "last_detail": SET_BY_HAND,
            "last_code": null(),
        }
        with self.database.writing() as connection:
            digest = connection.scalar(select(_queue.c.digest).where(_queue.c.id == id))
            if digest is not None:
                lock_members(connection, digest)
            held = connection.execute(select(_queue.c.digest).where(_queue.c.id == id).with_for_update()).one_or_none()
            settle_leaving(connection, id, now_us)
            connection.execute(update(_queue).where(_queue.c.id == id).values({**FREE, **ended}))
            if held is not None:
                if held.digest is not None:  # it may have come into one meanwhile
                    leave_digests(connection, [id], now_us)
                note_change(connection, ChangeKind.STATE_SET, "", VIA, {"delivery": id, "state": state.value}, now_us)
        return held is not None


def _state_of(status: str) -> DeliveryState:
    if status == SENT:
        return DeliveryState.ACCEPTED
    try:
        return DeliveryState(status)
    except ValueError as error:
        words = ", ".join([*(state.value for state in DeliveryState), SENT])
        raise ValueError(f"{status!r} is no state of a delivery; write one of: {words}.") from error
