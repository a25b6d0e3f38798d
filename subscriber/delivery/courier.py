"""Makes the request that tells a parcel, and records what became of it: the attempt is written down before and after.

A crash between the two leaves the attempt open, and whoever takes over knows that it is in doubt.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from random import Random
from typing import Final

from bus.clock import Clock, shift_of
from bus.errors import AlertBusError
from subscriber.deliveries import Decision, DigestKind, Message, Outcome, Reason
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.late import LateAnswer
from subscriber.delivery.parcels import Parcel
from subscriber.delivery.pauses import Announce, tell_stop, tell_works
from subscriber.delivery.reporting import Reporter
from subscriber.delivery.settings import WorkerSettings
from subscriber.delivery.telling import Teller
from subscriber.errors import LeaseLost
from subscriber.logs import OncePerMinute
from subscriber.monitoring.metrics import Metrics
from subscriber.policy.retry import decide, hold_seconds, rate_limit_seconds
from subscriber.store.digests import NewDigest
from subscriber.store.receipts import Closed
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

_STORE_BACKOFF_SECONDS: Final = 1.0


class Courier:
    """Sends for one worker of a channel."""

    def __init__(
        self,
        desk: ChannelDesk,
        teller: Teller,
        reporter: Reporter,
        *,
        store: Store,
        metrics: Metrics,
        clock: Clock,
        rng: Random,
        settings: WorkerSettings,
        announce: Announce,
        stopping: threading.Event,
    ) -> None:
        """Keep what is needed.

        Args:
            desk: The channel.
            teller: Writes its messages.
            reporter: Tells how attempts ended.
            store: Where attempts are recorded.
            metrics: Counts and measures.
            clock: The daemon's.
            rng: For the jitter of retries.
            settings: What is told of retries and of fallbacks.
            announce: Tells an event by the other channels.
            stopping: Set at the end of the daemon: what the database does not take by then is left open.
        """
        self._desk = desk
        self._teller = teller
        self._reporter = reporter
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._rng = rng
        self._settings = settings
        self._announce = announce
        self._stopping = stopping
        self._once = OncePerMinute(clock)

    def deliver(self, parcel: Parcel, taken_at: float) -> Closed:
        """Tell a parcel, and return what its deliveries are now.

        Args:
            parcel: Deliveries that the worker holds.
            taken_at: The monotonic time of the turn that was taken for it.

        Raises:
            LeaseLost: Another worker took one of them over.
            AlertBusError: The database can't be used: nothing was sent, or the daemon ends before it was recorded.
        """
        if not self._desk.sent_for_real:
            self._store.remember_sent_for_real()
            self._desk.sent_for_real = True
        attempt, parcel = self._open(parcel)
        message = replace(self._teller.message(parcel), reference=self._store.reference_of(attempt))
        self._desk.late.begins(message.reference, parcel.kind, len(parcel.deliveries))
        try:
            return self._attempt(attempt, parcel, message, taken_at)
        finally:
            self._desk.late.ended(message.reference)

    def noted(self, outcome: Outcome, *, pauses: bool) -> None:
        """Tell people what an outcome, which the desk has taken, stops."""
        self._metrics.channel_up(self._desk.name, up=self._desk.up)
        self._metrics.channel_paused(self._desk.name, paused=self._desk.paused)
        tell_stop(self._desk, outcome, pauses=pauses, clock=self._clock, announce=self._announce)

    def settle(self, late: LateAnswer) -> None:
        """Write down what became of a send after its deadline.

        Raises:
            StoreError: The database can't be used at the moment; nothing was recorded.
        """
        attempt = self._store.attempt_of(late.reference)
        if attempt is not None:
            receipts = self._desk.channel.receipts
            self._reporter.late(late, self._store.settle_late(attempt, late.outcome, receipts=receipts))
        if late.outcome.reason is Reason.RATE_LIMITED:
            self._desk.hold(rate_limit_seconds(late.outcome, self._desk.holds.unsaid))
            self.noted(late.outcome, pauses=False)

    def _open(self, parcel: Parcel) -> tuple[int, Parcel]:
        """Open an attempt; who is in a digest that was not told before, and what it says, is fixed with it."""
        if parcel.kind is None or parcel.message is not None:
            return self._store.open_attempt(parcel.deliveries), parcel
        message = self._teller.digest(parcel.deliveries, parcel.kind)
        if parcel.kind is DigestKind.STORM:
            self._desk.storm.told()
        attempt = self._store.open_attempt(parcel.deliveries, digest=NewDigest(parcel.kind, message))
        return attempt, replace(parcel, message=message)

    def _attempt(self, attempt: int, parcel: Parcel, message: Message, taken_at: float) -> Closed:
        started = self._clock.monotonic()
        outcome = self._send(message)
        seconds = self._clock.monotonic() - started
        self._desk.answered(taken_at)
        shift_us = shift_of(self._clock)
        now_us, unsaid = self._clock.now_us(), self._desk.holds.unsaid
        decision = decide(outcome, parcel.judged, self._settings.policy, now_us, self._rng, unsaid=unsaid)
        self._metrics.attempt_finished(self._desk.name, outcome.reason, seconds, str(parcel.head.alert.id))
        self._learn(outcome, decision, now_us)
        try:
            closed = self._record(attempt, parcel, outcome, decision, seconds, shift_us)
        except LeaseLost:  # whoever took it over knows only that it is in doubt
            self._desk.late.add(message, outcome)
            raise
        self._reporter.ended(parcel, outcome, decision, closed)
        if outcome.accepted:
            tell_works(self._desk, clock=self._clock, announce=self._announce)
        return closed

    def _send(self, message: Message) -> Outcome:
        try:
            return self._desk.channel.send(message)
        except Exception as error:  # a channel never raises; if one does, nobody knows how far it came
            logger.exception("a channel raised", extra={"channel": self._desk.name})
            return Outcome(Reason.UNAVAILABLE, detail=type(error).__name__, in_doubt=True)

    def _learn(self, outcome: Outcome, decision: Decision, now_us: int) -> None:
        """Take what the answer says of the channel: that holds whoever has the delivery by now, and at once."""
        hold = hold_seconds(outcome, decision, now_us, self._desk.holds.unsaid)
        self.noted(outcome, pauses=self._desk.note(outcome, hold))

    def _record(
        self, attempt: int, parcel: Parcel, outcome: Outcome, decision: Decision, seconds: float, shift_us: int
    ) -> Closed:
        """Write the result down, however long the database takes; only the end of the daemon leaves it open."""
        while True:
            try:
                return self._store.close_attempt(
                    attempt,
                    parcel.deliveries,
                    outcome,
                    decision,
                    seconds,
                    shift_us,
                    receipts=self._desk.channel.receipts,
                    fallbacks=self._settings.fallbacks(self._desk.name),
                )
            except LeaseLost:
                raise
            except AlertBusError as error:
                self._metrics.store_error()
                held_back = self._once.held_back("result")
                if held_back is not None:
                    fields = {**parcel.log_fields(), "outcome": outcome.reason.value, "held_back": held_back}
                    logger.warning("a result waits for the database: %s", error, extra=fields)
                if self._stopping.wait(_STORE_BACKOFF_SECONDS):
                    raise
