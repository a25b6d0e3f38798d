"""Records attempts and what they make of deliveries: the attempt is written before the request, and closed after it.

So a crash between the two leaves evidence: an open attempt, which the delivery's next holder finds
(`interruptions.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Integer,
    Text,
    Update,
    bindparam,
    case,
    func,
    insert,
    null,
    or_,
    true,
    update,
)

from bus.clock import shift_of
from subscriber.deliveries import Decision, Delivery, DeliveryState, Done, GiveUp, Outcome, RetryAt, Why
from subscriber.errors import LeaseLost
from subscriber.receipts import ReceiptMode
from subscriber.store import schema
from subscriber.store.arrivals import Ended, apply_news, lock_message
from subscriber.store.bulk import BulkInsert
from subscriber.store.channel_switches import is_switched_off
from subscriber.store.consequences import (
    changes_of,
    check_final,
    closing,
    end_attempt,
    end_told_later,
    expecting,
)
from subscriber.store.database import repeated
from subscriber.store.digests import NewDigest, begin_digest
from subscriber.store.fallbacks import hand_over, lock_alerts
from subscriber.store.folded import changes_of_digest, end_digest, folded_of
from subscriber.store.leases import FREE, lock_in_order, update_held, update_of_held
from subscriber.store.part import StorePart, chunks
from subscriber.store.receipts import Closed
from subscriber.store.switching import settle_disabled

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt


class Delivering(StorePart):
    """Recording what is done with deliveries that a worker holds."""

    @repeated
    def open_attempt(self, deliveries: Sequence[Delivery], *, digest: NewDigest | None = None) -> int:
        """Record that one request for these deliveries is about to begin, and renew their leases to full length.

        Args:
            deliveries: What the request tells; the first one leads where it is a digest.
            digest: What a digest says that is told for the first time, or a half of one; its members and its message
                are fixed by this. None for a single delivery, and for a digest that has its message.

        Returns:
            The attempt's number, for `close_attempt`.

        Raises:
            ValueError: One delivery is to be a new digest, or some are in another one than the first.
            LeaseLost: Another worker holds one of them: send nothing.
            StoreError: The database can't be used at the moment: send nothing.
        """
        now_us = self._now_us()
        opened = {
            "opened_us": now_us,
            "channel": deliveries[0].channel,
            "in_doubt": False,
            "possible_repeat": any(delivery.possible_repeat for delivery in deliveries),
        }
        with self.database.writing() as connection:
            number: int = connection.execute(_insert_attempt, opened).scalar_one()
            if digest is None:
                update_held(connection, deliveries, self._opening, {"attempt_number": number})
            else:
                lock_in_order(connection, [delivery.id for delivery in deliveries])
                fixed = begin_digest(connection, deliveries, digest, now_us)
                given = {"attempt_number": number, "fixed": fixed, "lead": deliveries[0].id}
                update_held(connection, deliveries, self._opening_digest, given)
            _insert_links.run(connection, [(number, delivery.id) for delivery in deliveries])
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

        The members of a digest that is done are folded. One that is given up is split in two, which wait: only a
        delivery that is alone is ever dead. A member that a person has set by hand meanwhile stays as it is. What would
        wait for a channel that was switched off meanwhile is suppressed, or handed over, as `Switching` has it.

        Args:
            attempt: What `open_attempt` returned.
            deliveries: Those that it was opened for.
            outcome: What the channel says.
            decision: What follows for every one of the deliveries; a digest is never given up as anything but dead.
            seconds: How long the request took.
            shift_us: `bus.clock.shift_of` our clock when the decision was taken: it may have been set since.
            receipts: How the channel hears whether an accepted message arrived; what it heard already is applied.
            fallbacks: The other channels that are switched on, in the order in which one is chosen.

        Returns:
            What the deliveries are now, which is more than the decision where a receipt came first.

        Raises:
            ValueError: The decision is none that the deliveries can follow.
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
        others = fallbacks
        fallbacks = fallbacks if isinstance(decision, GiveUp) and decision.fallback else ()
        ids = [delivery.id for delivery in deliveries]
        with self.database.writing() as connection:
            off = not isinstance(decision, Done) and is_switched_off(connection, deliveries[0].channel)
            if told_later and message_id is not None:
                lock_message(self.database, connection, message_id)
            if fallbacks or off:
                lock_alerts(connection, ids)
            if len(ids) > 1:
                lock_in_order(connection, ids)
            moved = 0 if shift_us is None else shift_of(self.database.clock) - shift_us
            if moved and isinstance(decision, RetryAt):
                decision = replace(decision, due_at_us=decision.due_at_us + moved)
            folded = folded_of(connection, deliveries)
            changes = changes_of(outcome, decision, now_us)
            if folded is None:
                update_held(connection, deliveries, _close_deliveries, changes)
            else:
                ids = list(folded.members)
                changes = changes_of_digest(changes, decision, folded)
                for some in chunks(ids):
                    connection.execute(_close_members, {**changes, "ids": some})
            if connection.execute(close, closed).rowcount != 1:
                raise LeaseLost(f"{LeaseLost.__doc__} Its attempt is closed already.")
            polling = receipts is ReceiptMode.POLLING
            ended = apply_news(connection, attempt, message_id, now_us, polling=polling) if told_later else {}
            untold = [number for number in ids if number not in ended]
            if folded is not None and untold:
                end_digest(connection, folded, decision, now_us)
            split = folded is not None and folded.splits(decision) and bool(untold)
            fallback = None if split or not fallbacks else hand_over(connection, untold, fallbacks, now_us)
            switched_off = settle_disabled(connection, untold, others, now_us) if off else None
        return Closed(_state_after(changes["new_status"], ended, untold), fallback, split, switched_off or None)

    def finish(self, delivery: Delivery, state: DeliveryState, why: Why | None = None) -> None:
        """End a delivery without an attempt: expired, suppressed.

        Raises:
            ValueError: The state is one that a worker has something to do in, or the delivery is in a digest.
            LeaseLost: Another worker holds it.
            StoreError: The database can't be used at the moment; nothing changed.
        """
        check_final(state)
        if delivery.digest is not None:
            raise ValueError("A member of a digest ends with it.")
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

    @cached_property
    def _opening(self) -> Update:
        renewed = self.database.lease_now + _queue.c.lease_length
        return update_of_held({"open_attempt": bindparam("attempt_number"), "lease_until": renewed})

    @cached_property
    def _opening_digest(self) -> Update:
        return update_of_held(
            {
                "open_attempt": bindparam("attempt_number"),
                "lease_until": self.database.lease_now + _queue.c.lease_length,
                "digest": bindparam("fixed"),
                "follows": case((_queue.c.id == bindparam("lead", type_=BigInteger), null()), else_=true()),
            }
        )


# Built once: building a statement costs more than running it. A parameter that is None leaves the column as it is,
# where the column stands behind it in a coalesce.
_insert_attempt: Final = insert(_attempt).returning(_attempt.c.id)
_insert_links: Final = BulkInsert(schema.attempt_delivery, ("attempt_id", "delivery_id"))
_close_attempt: Final = end_attempt.where(_attempt.c.closed_us.is_(None))
_close_told_later: Final = end_told_later.where(_attempt.c.closed_us.is_(None))
_closing: Final[Mapping[str, Any]] = {
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
_close_deliveries: Final = update_of_held(_closing)
_close_members: Final = (
    update(_queue)
    .where(_queue.c.id.in_(bindparam("ids", expanding=True)))
    .values(**_closing, follows=case((bindparam("follows_on", type_=Boolean), _queue.c.follows), else_=null()))
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
