"""Draws the consequences of what is learned of attempts after they were closed: failed messages, and late answers.

Each is drawn once, whichever daemon learns of it: an attempt that was settled, or whose message arrived after all, is
left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Connection, Integer, bindparam, func, or_, select, update

from bus.clock import shift_of
from subscriber.deliveries import Decision, DeliveryState, Done, GiveUp, Outcome, Reason, RetryAt
from subscriber.receipts import ReceiptMode
from subscriber.store import schema
from subscriber.store.arrivals import ARRIVED, Held, apply_news, end_untold, held, lock_message, uncount
from subscriber.store.consequences import (
    changes_of,
    closing,
    end_attempt,
    end_told_later,
    expecting,
    in_doubt_of,
    text_or_none,
)
from subscriber.store.database import repeated
from subscriber.store.failed import Failed, taken_by
from subscriber.store.fallbacks import hand_over, lock_alerts
from subscriber.store.folded import fail_digest, failed_of
from subscriber.store.part import SET_BY_HAND, chunks, storable
from subscriber.store.receipts import Closed, FailedReceipt

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery
_receipt: Final = schema.receipt

_ACCEPTED: Final = Reason.ACCEPTED.value
#: Messages that are read at once.
_ORPHANS: Final = 50
_ORPHANED: Final = GiveUp(DeliveryState.DEAD, fallback=True)


class Settling(Failed):
    """What is learned later."""

    @repeated
    def settle_failed(
        self,
        failed: FailedReceipt,
        outcome: Outcome,
        decision: Decision,
        shift_us: int | None = None,
        *,
        fallbacks: Sequence[str] = (),
    ) -> Closed | None:
        """Make a failed attempt of one that was accepted, and let its deliveries go where a decision says.

        Those that were told otherwise meanwhile, or that a person set by hand, stay as they are. The members of a
        digest wait for it again, or, where it is given up, for its halves.

        Args:
            failed: What `failed_receipts` returned.
            outcome: What the failure means.
            decision: What follows.
            shift_us: `bus.clock.shift_of` our clock when the decision was taken: it may have been set since.
            fallbacks: The channels to choose from where the decision says so, in order.

        Returns:
            What became of them; None where the decision is about something else than there is by now: somebody settled
            it before, the message arrived after all, or its deliveries are others. What is still to be settled is told
            by `failed_receipts` again.

        Raises:
            ValueError: The decision is that nothing failed, or that a digest ends as something else than dead.
            StoreError: The database can't be used at the moment; nothing changed, and trying again is harmless.
        """
        return self._settle_failed(failed, outcome, decision, shift_us, fallbacks)

    def _settle_failed(
        self,
        failed: FailedReceipt,
        outcome: Outcome,
        decision: Decision,
        shift_us: int | None,
        fallbacks: Sequence[str],
        *,
        orphaned: bool = False,
    ) -> Closed | None:
        """Do what `settle_failed` says; what is orphaned is not split, for nobody would send the halves."""
        if isinstance(decision, Done):
            raise ValueError("A message that failed is not done.")
        now_us = self._now_us()
        fallbacks = fallbacks if isinstance(decision, GiveUp) and decision.fallback else ()
        with self.database.writing() as connection:
            lock_message(self.database, connection, failed.receipt.message_id)
            if fallbacks:
                lock_alerts(connection, [delivery.id for delivery in failed.deliveries])
            of = held(connection, failed.attempt)
            if of is None or not _to_settle(connection, of, failed.receipt_id):
                return None
            if shift_us is not None and isinstance(decision, RetryAt):
                moved = shift_of(self.database.clock) - shift_us
                decision = RetryAt(decision.due_at_us + moved, decision.counts, decision.in_doubt)
            rows = connection.execute(taken_by, {"which": failed.attempt}).all()
            ids = [row.id for row in rows]
            if ids != [delivery.id for delivery in failed.deliveries]:
                return None
            changes = changes_of(outcome, decision, now_us)
            changes["new_status"] = changes["new_status"] or DeliveryState.PENDING.value
            connection.execute(_fail_attempt, _failing(failed.attempt, outcome, decision, now_us))
            digests = failed_of(connection, rows)
            halved = [] if orphaned else [each for each in digests if each.splits(decision)]
            waiting = {number for each in halved for number in each.members}
            ended = [number for number in ids if number not in waiting]
            again = {"new_status": DeliveryState.PENDING.value, "ended_us": None}
            for some, differently in ((ended, {}), (sorted(waiting), again)):
                for part in chunks(some):
                    connection.execute(_fail_deliveries, {**changes, **differently, "ids": part})
            for each in digests:
                fail_digest(connection, each, decision, now_us, halves=not orphaned)
            for part in chunks([row.id for row in of.deliveries if row.id not in set(ids)]):
                connection.execute(_promote_arrived, {"ids": part})
            connection.execute(_settle, {"which": failed.attempt, "now_us": now_us})
            fallback = hand_over(connection, ended, fallbacks, now_us) if fallbacks else None
        state = DeliveryState(changes["new_status"]) if ended else DeliveryState.PENDING
        return Closed(state if ids else None, fallback, bool(halved))

    def settle_orphans(self, kept: Sequence[str], fallbacks: Sequence[str]) -> int:
        """Give up what failed after its acceptance on channels that are no more, or that hear of no receipts now.

        Nobody would judge why it failed, or send it again; so another channel tells it. Each message is a transaction
        of its own.

        Args:
            kept: The channels whose failed messages somebody settles; no other channel's may be settled meanwhile.
            fallbacks: The channels to choose from, in order: the first one that did not have the alert.

        Returns:
            How many messages were settled.

        Raises:
            StoreError: The database can't be used at the moment; calling it again goes on.
        """
        settled = 0
        while found := self._failed_elsewhere(kept, _ORPHANS):
            done = 0
            for failed in found:
                outcome = Outcome(Reason.REJECTED, failed.receipt.detail, code=failed.receipt.code)
                closed = self._settle_failed(failed, outcome, _ORPHANED, None, fallbacks, orphaned=True)
                done += closed is not None
            if not done:  # somebody else is at them
                break
            settled += done
        return settled

    @repeated
    def settle_late(self, attempt: int, outcome: Outcome, *, receipts: ReceiptMode = ReceiptMode.NONE) -> Closed | None:
        """Record the answer to a send that was given up at its deadline, and whose attempt is in doubt for that.

        Where it was accepted, its deliveries have ended, whether they wait or were given up; one that is being sent
        again stays as it is.

        Args:
            attempt: Which one.
            outcome: The answer.
            receipts: How the channel hears whether an accepted message arrived.

        Returns:
            What became of them; None where the attempt is not in doubt (any more).

        Raises:
            StoreError: The database can't be used at the moment; nothing changed, and trying again is harmless.
        """
        now_us = self._now_us()
        late = {"which": attempt, **closing(outcome, Done(), now_us)}
        told_later = receipts.comes
        message_id: str | None = late["message_id"]
        with self.database.writing() as connection:
            if told_later and message_id is not None:
                lock_message(self.database, connection, message_id)
            of = held(connection, attempt)
            if of is None:
                return None
            open_still = of.attempt.closed_us is None  # whoever gave it up is about to close it
            if not (outcome.accepted if open_still else of.attempt.in_doubt):
                return None
            late["took"] = of.attempt.seconds
            if told_later:
                connection.execute(end_told_later, {**late, **expecting(outcome, receipts, now_us)})
            else:
                connection.execute(end_attempt, late)
            if not outcome.accepted:
                return Closed()
            if not open_still:
                uncount(connection, of)
            ended = end_untold(connection, of.deliveries, DeliveryState.ACCEPTED, now_us, sent_by=attempt)
            if told_later:
                polling = receipts is ReceiptMode.POLLING
                ended |= apply_news(connection, attempt, message_id, now_us, polling=polling)
        return Closed(next(iter(ended.values()), None))


def _to_settle(connection: Connection, of: Held, receipt_id: int) -> bool:
    """Whether a failure still stands, and nobody has drawn its consequences."""
    if of.attempt.closed_us is None or of.attempt.receipt in ARRIVED:
        return False
    return connection.execute(_unsettled, {"which": receipt_id}).first() is not None


def _failing(attempt: int, outcome: Outcome, decision: Decision, now_us: int) -> dict[str, Any]:
    return {
        "which": attempt,
        "now_us": now_us,
        "ended_as": outcome.reason.value,
        "provider_code": text_or_none(outcome.code),
        "said": storable(outcome.detail),
        "doubt": in_doubt_of(outcome, decision),
    }


_unsettled: Final = select(_receipt.c.id).where(_receipt.c.id == bindparam("which"), _receipt.c.settled_us.is_(None))
_fail_attempt: Final = (
    update(_attempt)
    .where(_attempt.c.id == bindparam("which"))
    .values(
        closed_us=bindparam("now_us"),
        reason=bindparam("ended_as"),
        code=bindparam("provider_code"),
        detail=bindparam("said"),
        in_doubt=bindparam("doubt"),
    )
)
_fail_deliveries: Final = (
    update(_queue)
    .where(_queue.c.id.in_(bindparam("ids", expanding=True)))
    .values(
        status=bindparam("new_status"),
        due_at=func.coalesce(bindparam("new_due_us", type_=BigInteger), _queue.c.due_at),
        retries=_queue.c.retries + bindparam("counted", type_=Integer),
        possible_repeat=or_(_queue.c.possible_repeat, bindparam("doubt", type_=Boolean)),
        finished_at=bindparam("ended_us"),
        last_reason=bindparam("ended_as"),
        last_detail=bindparam("said"),
        last_code=bindparam("provider_code"),
    )
)
_others: Final = _attempt.alias("others")
#: What another message told, which arrived: this one's acceptance is none any more, and that one's was not the last.
_promote_arrived: Final = (
    update(_queue)
    .where(
        _queue.c.id.in_(bindparam("ids", expanding=True)),
        _queue.c.status == DeliveryState.ACCEPTED.value,
        func.coalesce(_queue.c.last_detail, "") != SET_BY_HAND,
        select(_others.c.id)
        .join(_link, _link.c.attempt_id == _others.c.id)
        .where(_link.c.delivery_id == _queue.c.id, _others.c.receipt.in_(sorted(ARRIVED)))
        .exists(),
    )
    .values(status=DeliveryState.DELIVERED.value)
)
_settle: Final = (
    update(_receipt)
    .where(_receipt.c.attempt_id == bindparam("which"), _receipt.c.settled_us.is_(None))
    .values(settled_us=bindparam("now_us"))
)
