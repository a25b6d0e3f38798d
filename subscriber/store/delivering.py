"""Records attempts and what they make of deliveries: the attempt is written before the request, and closed after it.

So a crash between the two leaves evidence: an open attempt, which the delivery's next holder finds
(`interruptions.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

from sqlalchemy import BigInteger, Boolean, Integer, Text, Update, bindparam, func, insert, null, or_, select, update

from bus.clock import shift_of
from subscriber.deliveries import (
    OPEN_STATES,
    Decision,
    Delivery,
    DeliveryState,
    GiveUp,
    Outcome,
    ReceiptMode,
    RetryAt,
    Why,
)
from subscriber.errors import LeaseLost
from subscriber.store import schema
from subscriber.store.arrivals import Ended, apply_news, lock_message
from subscriber.store.consequences import (
    changes_of,
    check_final,
    closing,
    end_attempt,
    end_told_later,
    expecting,
)
from subscriber.store.database import repeated
from subscriber.store.fallbacks import hand_over, lock_alerts
from subscriber.store.interruptions import settle_interrupted
from subscriber.store.leases import FREE, lock_in_order, update_held, update_of_held
from subscriber.store.part import SET_BY_HAND, StorePart
from subscriber.store.receipts import Closed

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt

#: The plan's word for what `DeliveryState` calls accepted.
SENT: Final = "sent"


class Delivering(StorePart):
    """Recording what is done with deliveries that a worker holds."""

    def open_attempt(self, deliveries: Sequence[Delivery]) -> int:
        """Record that one request for these deliveries is about to begin, and renew their leases to full length.

        Returns:
            The attempt's number, for `close_attempt`.

        Raises:
            LeaseLost: Another worker holds one of them: send nothing.
            StoreError: The database can't be used at the moment: send nothing.
        """
        opened = {
            "opened_us": self._now_us(),
            "channel": deliveries[0].channel,
            "in_doubt": False,
            "possible_repeat": any(delivery.possible_repeat for delivery in deliveries),
        }
        with self.database.writing() as connection:
            number: int = connection.execute(_insert_attempt, opened).scalar_one()
            update_held(connection, deliveries, self._opening, {"attempt_number": number})
            connection.execute(
                _insert_links, [{"attempt_id": number, "delivery_id": delivery.id} for delivery in deliveries]
            )
        return number

    @repeated
    def close_attempt(
        self,
        attempt: int,
        deliveries: Sequence[Delivery],
        outcome: Outcome,
        decision: Decision,
        seconds: float,
        shift_us: int | None = None,
        *,
        receipts: ReceiptMode = ReceiptMode.NONE,
        fallbacks: Sequence[str] = (),
    ) -> Closed:
        """Record how an attempt ended and what becomes of its deliveries, in one transaction; the leases end.

        Args:
            attempt: What `open_attempt` returned.
            deliveries: Those that it was opened for.
            outcome: What the channel says.
            decision: What follows for every one of the deliveries.
            seconds: How long the request took.
            shift_us: `bus.clock.shift_of` our clock when the decision was taken: it may have been set since.
            receipts: How the channel hears whether an accepted message arrived; what it heard already is applied.
            fallbacks: The channels to choose from where the decision says so, in order.

        Returns:
            What the deliveries are now, which is more than the decision where a receipt came first.

        Raises:
            LeaseLost: Another worker took one of them over, and closed the attempt as in doubt; nothing was recorded.
            StoreError: The database can't be used at the moment; nothing was recorded, and trying again is harmless.
        """
        now_us = self._now_us()
        told_later = receipts.comes
        closed = {"which": attempt, "took": seconds, **closing(outcome, decision, now_us)}
        close = _close_attempt
        if told_later:
            closed |= expecting(outcome, receipts, now_us)
            close = _close_told_later
        message_id: str | None = closed["message_id"]
        fallbacks = fallbacks if isinstance(decision, GiveUp) and decision.fallback else ()
        ids = [delivery.id for delivery in deliveries]
        with self.database.writing() as connection:
            if told_later and message_id is not None:
                lock_message(self.database, connection, message_id)
            if fallbacks:
                lock_alerts(connection, ids)
            if told_later and len(ids) > 1:
                lock_in_order(connection, ids)
            moved = 0 if shift_us is None else shift_of(self.database.clock) - shift_us
            if moved and isinstance(decision, RetryAt):
                decision = replace(decision, due_at_us=decision.due_at_us + moved)
            changes = changes_of(outcome, decision, now_us)
            update_held(connection, deliveries, _close_deliveries, changes)
            if connection.execute(close, closed).rowcount != 1:
                raise LeaseLost(f"{LeaseLost.__doc__} Its attempt is closed already.")
            polling = receipts is ReceiptMode.POLLING
            ended = apply_news(connection, attempt, message_id, now_us, polling=polling) if told_later else {}
            untold = [number for number in ids if number not in ended]
            fallback = hand_over(connection, untold, fallbacks, now_us) if fallbacks else None
        return Closed(_state_after(changes["new_status"], ended, untold), fallback)

    def finish(self, delivery: Delivery, state: DeliveryState, why: Why | None = None) -> None:
        """End a delivery without an attempt: expired, suppressed, folded.

        Raises:
            ValueError: The state is one that a worker has something to do in.
            LeaseLost: Another worker holds it.
            StoreError: The database can't be used at the moment; nothing changed.
        """
        check_final(state)
        changes = {"new_status": state.value, "ended_us": self._now_us(), "new_why": why and why.value}
        with self.database.writing() as connection:
            update_held(connection, [delivery], _finish, changes)

    def rehearsed(self, delivery: Delivery) -> None:
        """Note that a dry run has shown what it would send; no rehearsal claims it again.

        Raises:
            LeaseLost: Another worker holds it.
            StoreError: The database can't be used at the moment; nothing changed.
        """
        with self.database.writing() as connection:
            update_held(connection, [delivery], _rehearsed, {})

    def mark_notification_sent(self, id: int, status: str) -> bool:  # noqa: A002 - the plan's name
        """Set a delivery's state by hand, whoever holds it; the holder's own result is then dropped.

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
            held = connection.scalars(select(_queue.c.id).where(_queue.c.id == id).with_for_update()).all()
            settle_interrupted(connection, held, now_us)
            connection.execute(update(_queue).where(_queue.c.id == id).values({**FREE, **ended}))
        return bool(held)

    @cached_property
    def _opening(self) -> Update:
        renewed = self.database.lease_now + _queue.c.lease_length
        return update_of_held({"open_attempt": bindparam("attempt_number"), "lease_until": renewed})


# Built once: building a statement costs more than running it. A parameter that is None leaves the column as it is,
# where the column stands behind it in a coalesce.
_insert_attempt: Final = insert(_attempt).returning(_attempt.c.id)
_insert_links: Final = insert(schema.attempt_delivery)
_close_attempt: Final = end_attempt.where(_attempt.c.closed_us.is_(None))
_close_told_later: Final = end_told_later.where(_attempt.c.closed_us.is_(None))
_close_deliveries: Final = update_of_held(
    {
        **FREE,
        "status": func.coalesce(bindparam("new_status", type_=Text), _queue.c.status),
        "due_at": func.coalesce(bindparam("new_due_us", type_=BigInteger), _queue.c.due_at),
        "retries": _queue.c.retries + bindparam("counted", type_=Integer),
        "possible_repeat": or_(_queue.c.possible_repeat, bindparam("doubt", type_=Boolean)),
        "finished_at": bindparam("ended_us"),
        "last_reason": bindparam("ended_as"),
        "last_detail": bindparam("said"),
        "last_code": bindparam("provider_code"),
    }
)
_finish: Final = update_of_held(
    {
        **FREE,
        "status": bindparam("new_status"),
        "finished_at": bindparam("ended_us"),
        "why": func.coalesce(bindparam("new_why", type_=Text), _queue.c.why),
    }
)
_rehearsed: Final = update_of_held({**FREE, "retries": _queue.c.retries + 1})


def _state_after(status: str | None, ended: Ended, untold: Sequence[int]) -> DeliveryState | None:
    """Say what the deliveries of a closed attempt are: by the decision, or all of them by what came before."""
    if not untold:
        return min(ended.values(), key=lambda state: state is DeliveryState.DELIVERED)
    return None if status is None else DeliveryState(status)


def _state_of(status: str) -> DeliveryState:
    if status == SENT:
        return DeliveryState.ACCEPTED
    try:
        return DeliveryState(status)
    except ValueError as error:
        words = ", ".join([*(state.value for state in DeliveryState), SENT])
        raise ValueError(f"{status!r} is no state of a delivery; write one of: {words}.") from error
