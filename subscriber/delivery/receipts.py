"""Follows what a channel's provider accepted until it arrived or failed: asks for receipts, and acts on failures.

One thread per channel that has receipts, apart from those that send: a poll that hangs delays no send and no other
channel. A receipt is stored before anything is done about it, and what is stored and not settled is found again, so
the end of a daemon loses none.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from bus.clock import MICROSECONDS, Clock, shift_of
from bus.errors import AlertBusError
from subscriber.deliveries import Decision, DeliveryState, Outcome, Reason, RetryAt
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.pauses import Announce, tell_stop
from subscriber.delivery.reporting import WakeChannels
from subscriber.delivery.waking import Wake
from subscriber.logs import OncePerMinute
from subscriber.monitoring.metrics import Metrics
from subscriber.policy.retry import RetryPolicy, backoff_seconds, decide, hold_seconds
from subscriber.receipts import Receipt, ReceiptMode, ReceiptState
from subscriber.store.receipts import Closed, FailedReceipt, WaitingReceipt
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

DEFAULT_INTERVAL_SECONDS: Final = 1.0
_MOST_FAILED_AT_ONCE: Final = 50
#: At most five polls a second: a burst of alerts must not become a burst of questions.
_BETWEEN_POLLS_SECONDS: Final = 0.2
#: After a receipt that is not final it is asked again when the message is half as old again, within these bounds.
_SOONEST_US: Final = 2 * MICROSECONDS
_LATEST_US: Final = 15 * 60 * MICROSECONDS
#: A message without a final receipt after a day gets none: WhatsApp keeps what it can't deliver no longer (30 days at
#: most), and nobody acts on it by then.
_LONGEST_US: Final = 24 * 3600 * MICROSECONDS
#: The wait after failed polls in a row: the provider is in trouble, and sends need it more.
_POLL_BACKOFF: Final = RetryPolicy(backoff_base_seconds=5.0, backoff_cap_seconds=300.0)
_BETWEEN_INBOUND_SECONDS: Final = 600.0
_STORE_BACKOFF_SECONDS: Final = 1.0


class ReceiptKeeper:
    """The receipts of one channel."""

    def __init__(
        self,
        desk: ChannelDesk,
        *,
        store: Store,
        metrics: Metrics,
        clock: Clock,
        rng: Random,
        policy: RetryPolicy,
        fallbacks: Callable[[str], Sequence[str]],
        wake: WakeChannels,
        announce: Announce,
        interval_seconds: float = DEFAULT_INTERVAL_SECONDS,
    ) -> None:
        """Store what is needed; `start` begins.

        Args:
            desk: The channel, whose provider has receipts.
            store: Where receipts are kept.
            metrics: Counts.
            clock: The daemon's.
            rng: For the jitter of waits.
            policy: How failed messages are tried again.
            fallbacks: The channels that may tell an alert instead of this one, best first.
            wake: Wakes the workers of channels.
            announce: Tells people by the other channels that this one is paused.
            interval_seconds: How long it rests where nothing is to be done; a webhook of this daemon wakes it at once.
        """
        self._desk = desk
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._rng = rng
        self._policy = policy
        self._fallbacks = fallbacks
        self._wake = wake
        self._announce = announce
        self._interval_seconds = interval_seconds
        self._bell = Wake()
        self._once = OncePerMinute(clock)
        self._stopping = threading.Event()
        self._next_poll = self._next_inbound = float("-inf")
        self._failed_polls = 0
        self._thread = threading.Thread(target=self._run, name=f"receipts:{desk.name}", daemon=True)

    def start(self) -> None:
        """Begin to look for receipts."""
        self._thread.start()

    def look(self) -> None:
        """Look at once: a message has failed."""
        self._bell.set()

    def ask_to_stop(self) -> None:
        """Begin nothing further."""
        self._stopping.set()
        self._bell.set()

    def join(self, timeout: float) -> bool:
        """Wait for its end; False when a poll still lasts after `timeout` seconds, which may be left alone."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            rings = self._bell.rings  # before the look: whatever rings after it ends the wait
            if self._stopping.is_set():
                return
            try:
                self._bell.wait(rings, self._turn())
            except AlertBusError as error:
                self._metrics.store_error()
                self._warn("receipts wait for the database", {"error": str(error)})
                self._stopping.wait(_STORE_BACKOFF_SECONDS)
            except Exception:  # a bug of ours; what is stored is found again
                logger.exception("receipts failed unexpectedly", extra={"channel": self._desk.name})
                self._stopping.wait(_STORE_BACKOFF_SECONDS)

    def _turn(self) -> float:
        """Act on what failed, then ask for one receipt that is due; return the seconds until the next look."""
        failed = self._store.failed_receipts([self._desk.name], _MOST_FAILED_AT_ONCE)
        settled = sum(self._settle(each) for each in failed if not self._stopping.is_set())
        if settled and len(failed) == _MOST_FAILED_AT_ONCE:
            return 0.0
        if self._desk.channel.receipts is not ReceiptMode.POLLING:
            return self._interval_seconds
        wait = self._next_poll - self._clock.monotonic()
        if wait > 0:
            return min(wait, self._interval_seconds)
        self._look_for_inbound()
        due = self._store.due_receipts(self._desk.name, 1)
        return self._ask(due[0]) if due else self._interval_seconds

    # --- asking ---------------------------------------------------------------------------------------------

    def _ask(self, waiting: WaitingReceipt) -> float:
        """Ask what became of one message; return the seconds until the next look."""
        told = self._told(waiting.message_id)
        self._next_poll = self._clock.monotonic() + _BETWEEN_POLLS_SECONDS
        if isinstance(told, Outcome):
            nothing_to_ask = told.reason is Reason.REJECTED  # this message; it says nothing of the others
            if not nothing_to_ask:
                self._put_off(told)
            self._store.postpone_receipt(waiting.attempt, None if nothing_to_ask else self._again_us(waiting))
            return self._interval_seconds
        self._failed_polls = 0
        noted = self._store.note_receipt(self._desk.channel.provider, [self._desk.name], told)
        if noted.new:
            now_us = self._clock.now_us()
            self._metrics.receipt(self._desk.name, told, noted.delivered, waiting.accepted_us, now_us, noted.alert_id)
        final = told.state.arrived or told.state is ReceiptState.FAILED
        self._store.postpone_receipt(waiting.attempt, None if final else self._again_us(waiting))
        return 0.0 if told.state is ReceiptState.FAILED else _BETWEEN_POLLS_SECONDS

    def _told(self, message_id: str) -> Receipt | Outcome:
        try:
            return self._desk.channel.ask_receipt(message_id)
        except Exception as error:  # a channel never raises; if one does, the others' receipts still count
            logger.exception("a channel raised", extra={"channel": self._desk.name})
            return Outcome(Reason.UNAVAILABLE, detail=type(error).__name__)

    def _look_for_inbound(self) -> None:
        channel, now = self._desk.channel, self._clock.monotonic()
        if now < self._next_inbound:
            return
        self._next_inbound = now + _BETWEEN_INBOUND_SECONDS
        try:
            channel.ask_inbound()
        except Exception:  # as above: nothing but this question suffers
            logger.exception("a channel raised", extra={"channel": self._desk.name})

    def _put_off(self, outcome: Outcome) -> None:
        """Ask nothing of this provider for a while; no send is held for it, and no channel paused."""
        self._failed_polls += 1
        wait = backoff_seconds(self._failed_polls, _POLL_BACKOFF, self._rng)
        said = outcome.retry_after_seconds
        wait = max(wait, _BETWEEN_POLLS_SECONDS, min(said, _LATEST_US / MICROSECONDS) if said else 0.0)
        self._next_poll = self._clock.monotonic() + wait
        self._warn("receipts can't be asked for at the moment", _fields(outcome))

    def _again_us(self, waiting: WaitingReceipt) -> int | None:
        """Say when to ask for a message again: the older it is the more rarely, and after a day never."""
        now_us = self._clock.now_us()
        age_us = max(now_us - waiting.accepted_us, 0)
        return None if age_us >= _LONGEST_US else now_us + min(max(_SOONEST_US, age_us // 2), _LATEST_US)

    # --- acting on failures ---------------------------------------------------------------------------------

    def _settle(self, failed: FailedReceipt) -> bool:
        """Make a failed attempt of one that had been accepted; False when nothing is done about it now.

        Then somebody else did, or it arrived after all, or it tells other deliveries by now than those that were
        decided upon: where it still stands, the next look finds it again.
        """
        outcome = self._judged(failed)
        now_us, shift_us = self._clock.now_us(), shift_of(self._clock)
        unsaid = self._desk.holds.unsaid
        decision = self._decided(failed, outcome, now_us, unsaid)
        fallbacks = self._fallbacks(self._desk.name)
        closed = self._store.settle_failed(failed, outcome, decision, shift_us, fallbacks=fallbacks)
        if closed is None:
            return False
        self._learn(failed, outcome, hold_seconds(outcome, decision, now_us, unsaid))
        self._report(failed, outcome, decision, closed)
        return True

    def _judged(self, failed: FailedReceipt) -> Outcome:
        try:
            return self._desk.channel.judge_receipt(failed.receipt, by_template=failed.by_template)
        except Exception as error:  # as above; it did not arrive, whatever the reason was
            logger.exception("a channel raised", extra={"channel": self._desk.name})
            return Outcome(Reason.UNAVAILABLE, detail=type(error).__name__)

    def _decided(self, failed: FailedReceipt, outcome: Outcome, now_us: int, unsaid: int) -> Decision:
        if not failed.deliveries:  # told by a later attempt, or set by hand: nothing is given up, nothing tried again
            return RetryAt(now_us, counts=False, in_doubt=outcome.in_doubt)
        return decide(outcome, failed.deliveries[0], self._policy, now_us, self._rng, unsaid=unsaid)

    def _learn(self, failed: FailedReceipt, outcome: Outcome, hold: float) -> None:
        """Take what the failure says of the channel, once, by whoever settled it.

        Only what concerns every message to this target: one that failed on its way says nothing of the provider's API.
        """
        if outcome.reason not in {Reason.UNAUTHORIZED, Reason.RATE_LIMITED}:
            return
        pauses = self._desk.note_failed(outcome, hold, failed.opened_us)
        self._metrics.channel_up(self._desk.name, up=self._desk.up)
        self._metrics.channel_paused(self._desk.name, paused=self._desk.paused)
        tell_stop(self._desk, outcome, pauses=pauses, clock=self._clock, announce=self._announce)

    def _report(self, failed: FailedReceipt, outcome: Outcome, decision: Decision, closed: Closed) -> None:
        if closed.state is None:  # a later attempt or a person had ended them: a record was put right, no more
            return
        count = len(failed.deliveries)
        self._metrics.entered(self._desk.name, closed.state, count)
        together = {"told_together": count} if failed.deliveries[0].digest is not None else {}
        for delivery in failed.deliveries[:1] if together else failed.deliveries:
            fields = {**delivery.log_fields(), **together, **_fields(outcome)}
            if closed.split:
                logger.error("accepted together, but failed later; each half is told by itself", extra=fields)
            elif isinstance(decision, RetryAt):
                wait = (decision.due_at_us - self._clock.now_us()) / MICROSECONDS
                text = "accepted, but failed later; is tried again"
                logger.warning(text, extra={**fields, "in_seconds": round(wait, 1)})
            else:
                text = "accepted, but failed later; given up"
                logger.error(text, extra={**fields, "state": closed.state.value, "fallback": closed.fallback})
        if closed.fallback is not None:
            self._metrics.entered(closed.fallback, DeliveryState.PENDING, len(failed.deliveries))
            self._wake([closed.fallback])
        if isinstance(decision, RetryAt) or closed.split:
            self._wake([self._desk.name])

    def _warn(self, text: str, fields: dict[str, str | int | None]) -> None:
        held_back = self._once.held_back(text)
        if held_back is not None:
            logger.warning(text, extra={"channel": self._desk.name, **fields, "held_back": held_back})


def _fields(outcome: Outcome) -> dict[str, str | int | None]:
    return {
        "outcome": outcome.reason.value,
        "status": outcome.status,
        "code": outcome.code,
        "detail": outcome.detail,
    }
