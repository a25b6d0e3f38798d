"""Records attempts and what they make of deliveries: the attempt is written before the request, and closed after it.

So a crash between the two leaves evidence: an open attempt, which the delivery's next holder finds (`leases.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, assert_never

from sqlalchemy import insert, null, select, true, update

from subscriber.deliveries import (
    OPEN_STATES,
    Decision,
    Delivery,
    DeliveryState,
    Done,
    GiveUp,
    Outcome,
    Reason,
    RetryAt,
    Why,
)
from subscriber.errors import LeaseLost
from subscriber.store import schema
from subscriber.store.leases import FREE, settle_interrupted, update_held
from subscriber.store.part import StorePart, storable

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt

#: Outcomes that are the channel's fault and say nothing about the delivery: they do not count as a retry.
_NOT_COUNTED: Final = frozenset({Reason.RATE_LIMITED, Reason.UNAUTHORIZED})
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
        now_us = self._now_us()
        values = {
            "opened_us": now_us,
            "channel": deliveries[0].channel,
            "in_doubt": False,
            "possible_repeat": any(delivery.possible_repeat for delivery in deliveries),
        }
        with self.database.writing() as connection:
            number: int = connection.execute(insert(_attempt).returning(_attempt.c.id), values).scalar_one()
            renewed = self.database.lease_now + _queue.c.lease_length
            update_held(connection, deliveries, {"open_attempt": number, "lease_until": renewed})
            connection.execute(
                insert(schema.attempt_delivery),
                [{"attempt_id": number, "delivery_id": delivery.id} for delivery in deliveries],
            )
        return number

    def close_attempt(
        self, attempt: int, deliveries: Sequence[Delivery], outcome: Outcome, decision: Decision, seconds: float
    ) -> None:
        """Record how an attempt ended and what becomes of its deliveries, in one transaction; the leases end.

        Args:
            attempt: What `open_attempt` returned.
            deliveries: Those that it was opened for.
            outcome: What the channel says.
            decision: What follows for every one of the deliveries.
            seconds: How long the request took.

        Raises:
            LeaseLost: Another worker took one of them over, and closed the attempt as in doubt; nothing was recorded.
            StoreError: The database can't be used at the moment; nothing was recorded, and trying again is harmless.
        """
        now_us = self._now_us()
        with self.database.writing() as connection:
            update_held(connection, deliveries, _closed_values(outcome, decision, now_us))
            closed = connection.execute(
                update(_attempt)
                .where(_attempt.c.id == attempt, _attempt.c.closed_us.is_(None))
                .values(
                    closed_us=now_us,
                    reason=outcome.reason.value,
                    status=outcome.status,
                    code=_text_or_none(outcome.code),
                    detail=storable(outcome.detail),
                    provider_message_id=_text_or_none(outcome.provider_message_id),
                    in_doubt=_in_doubt(outcome, decision),
                    seconds=seconds,
                )
            )
            if closed.rowcount != 1:
                raise LeaseLost(f"{LeaseLost.__doc__} Its attempt is closed already.")

    def finish(self, delivery: Delivery, state: DeliveryState, why: Why | None = None) -> None:
        """End a delivery without an attempt: expired, suppressed, folded.

        Raises:
            ValueError: The state is one that a worker has something to do in.
            LeaseLost: Another worker holds it.
            StoreError: The database can't be used at the moment; nothing changed.
        """
        values = {**FREE, **_ended(state, self._now_us())}
        if why is not None:
            values["why"] = why.value
        with self.database.writing() as connection:
            update_held(connection, [delivery], values)

    def rehearsed(self, delivery: Delivery) -> None:
        """Note that a dry run has shown what it would send; no rehearsal claims it again.

        Raises:
            LeaseLost: Another worker holds it.
            StoreError: The database can't be used at the moment; nothing changed.
        """
        with self.database.writing() as connection:
            update_held(connection, [delivery], {**FREE, "retries": _queue.c.retries + 1})

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
        ended = {"status": state.value, "finished_at": null()} if state in OPEN_STATES else _ended(state, now_us)
        with self.database.writing() as connection:
            held = connection.scalars(select(_queue.c.id).where(_queue.c.id == id).with_for_update()).all()
            settle_interrupted(connection, held, now_us)
            connection.execute(update(_queue).where(_queue.c.id == id).values({**FREE, **ended}))
        return bool(held)


def _closed_values(outcome: Outcome, decision: Decision, now_us: int) -> dict[str, Any]:
    """Return what a closed attempt changes in its deliveries."""
    values: dict[str, Any] = {
        **FREE,
        "last_reason": outcome.reason.value,
        "last_detail": storable(outcome.detail),
        "last_code": _text_or_none(outcome.code),
    }
    in_doubt = _in_doubt(outcome, decision)
    if in_doubt:
        values["possible_repeat"] = true()
    counts = outcome.reason not in _NOT_COUNTED
    match decision:
        case Done():
            values |= _ended(DeliveryState.ACCEPTED, now_us)
            counts = False
        case RetryAt():
            values["due_at"] = decision.due_at_us
            counts = decision.counts
            if in_doubt:  # without a doubt of its own it leaves the state as it is: an older doubt stays
                values["status"] = DeliveryState.IN_DOUBT.value
        case GiveUp():
            values |= _ended(decision.state, now_us)
        case _:
            assert_never(decision)
    if counts:
        values["retries"] = _queue.c.retries + 1
    return values


def _ended(state: DeliveryState, now_us: int) -> dict[str, Any]:
    if state in OPEN_STATES:
        raise ValueError(f"A delivery does not end as {state.value}.")
    return {"status": state.value, "finished_at": now_us}


def _in_doubt(outcome: Outcome, decision: Decision) -> bool:
    return outcome.in_doubt or (isinstance(decision, RetryAt) and decision.in_doubt)


def _text_or_none(text: str | None) -> str | None:
    return None if text is None else storable(text)


def _state_of(status: str) -> DeliveryState:
    if status == SENT:
        return DeliveryState.ACCEPTED
    try:
        return DeliveryState(status)
    except ValueError as error:
        words = ", ".join([*(state.value for state in DeliveryState), SENT])
        raise ValueError(f"{status!r} is no state of a delivery; write one of: {words}.") from error
