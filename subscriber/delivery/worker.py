"""Delivers what is due on one channel: wait for the pace -> claim -> render -> record the attempt -> send -> record.

One thread per channel, more only where the channel allows it, so that a hanging provider delays nobody else. The
attempt is written before the request: a crash leaves it open, and whoever takes over knows that it is in doubt.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from random import Random
from typing import Final

from bus.clock import MICROSECONDS, Clock, shift_of
from bus.errors import AlertBusError
from subscriber.deliveries import Decision, Delivery, DeliveryState, Message, Outcome, Reason
from subscriber.delivery.breaker import Go
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.late import LateAnswer
from subscriber.delivery.pauses import Announce, tell_stop
from subscriber.delivery.reporting import Reporter, WakeChannels
from subscriber.errors import LeaseLost
from subscriber.logs import OncePerMinute
from subscriber.monitoring.metrics import Metrics
from subscriber.policy.rendering import render
from subscriber.policy.retry import RetryPolicy, decide, hold_seconds, rate_limit_seconds, too_old
from subscriber.policy.templating import emergency_parameters
from subscriber.store.receipts import Closed
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

#: How long a thread waits at most before it looks at the queue again; new alerts of this daemon wake it at once.
DEFAULT_INTERVAL_SECONDS: Final = 1.0
_SHORTEST_WAIT_SECONDS: Final = 0.001
#: What is due and can't be claimed is another worker's at the moment: by a locked row, or by the server's own clock.
_CONTENDED_WAIT_SECONDS: Final = 0.05
_STORE_BACKOFF_SECONDS: Final = 1.0

ShowRehearsal = Callable[[str, Message, str], None]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What every worker of this daemon is told."""

    zone: tzinfo
    policy: RetryPolicy
    lease_seconds: float
    interval_seconds: float = DEFAULT_INTERVAL_SECONDS
    dry_run: bool = False
    #: The channels that may tell an alert which one refuses for good, best first.
    fallbacks: Callable[[str], Sequence[str]] = lambda _channel: ()
    #: Wakes the workers of channels.
    wake: WakeChannels = lambda _channels: None


class DeliveryWorker:
    """One sending thread of a channel."""

    def __init__(
        self,
        name: str,
        desk: ChannelDesk,
        *,
        store: Store,
        metrics: Metrics,
        clock: Clock,
        rng: Random,
        settings: WorkerSettings,
        announce: Announce,
        show_rehearsal: ShowRehearsal,
    ) -> None:
        """Store what is needed; `start` begins."""
        self.name = name
        self._desk = desk
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._rng = rng
        self._settings = settings
        self._announce = announce
        self._show_rehearsal = show_rehearsal
        self._reporter = Reporter(desk.name, metrics, clock, settings.wake)
        self._once = OncePerMinute(clock)
        self._stopping = threading.Event()
        self._uncertain = False
        self._thread = threading.Thread(target=self._run, name=f"deliver:{desk.name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Begin no further send; the one in flight is finished."""
        self._stopping.set()
        self._desk.wake.set()

    def join(self, timeout: float) -> bool:
        """Wait until the send in flight is recorded; False when it still lasts after `timeout` seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            rings = self._desk.wake.rings  # before the look: whatever rings after it ends the wait
            if self._stopping.is_set():
                return
            try:
                self._desk.wake.wait(rings, self._turn())
            except AlertBusError as error:
                self._uncertain = True
                self._metrics.store_error()
                self._warn("deliveries wait for the database: %s", error, {"channel": self._desk.name})
                self._stopping.wait(_STORE_BACKOFF_SECONDS)
            except Exception:  # a bug of ours; the lease runs out and the delivery is tried again
                logger.exception("a delivery failed unexpectedly", extra={"channel": self._desk.name})
                self._stopping.wait(_STORE_BACKOFF_SECONDS)

    def _turn(self) -> float:
        """Deliver one alert if one is due; return the seconds until it is worth looking again."""
        if self._uncertain:  # what failed may have been written: nothing may wait for the end of a lease of our own
            self._store.release_worker(self.name)
            self._uncertain = False
        if self._settings.dry_run:
            return self._rehearse()
        self._desk.late.record(self._settle)  # before anything is sent again for it
        if self._desk.paused or not self._desk.enabled:
            return self._settings.interval_seconds
        wait = self._desk.wait_needed()  # before the claim: no lease runs down while waiting
        if wait > 0:
            return self._patience(wait)
        try:
            match self._desk.ask(self.name):
                case Go.SEND | Go.TRIAL:
                    return self._claim()
                case Go.PROBE:
                    return self._probe()
                case wait:
                    return self._patience(wait)
        finally:
            self._desk.leave(self.name)

    def _claim(self) -> float:
        claimed = self._store.claim(self._desk.name, self.name, self._settings.lease_seconds, 1)
        if not claimed:
            due_us = self._store.next_due_us(self._desk.name)
            if due_us is None:
                self._desk.nothing_to_send()
            seconds = float("inf") if due_us is None else (due_us - self._clock.now_us()) / MICROSECONDS
            return self._patience(max(seconds, _CONTENDED_WAIT_SECONDS))
        delivery = claimed[0]
        try:
            return self._deliver(delivery)
        except LeaseLost:
            self._metrics.lease_lost()
            logger.warning("another worker took over; this result is dropped", extra=delivery.log_fields())
            return 0.0

    def _patience(self, seconds: float) -> float:
        return min(max(seconds, _SHORTEST_WAIT_SECONDS), self._settings.interval_seconds)

    def _deliver(self, delivery: Delivery) -> float:
        if too_old(delivery, self._settings.policy, self._clock.now_us()):
            self._store.finish(delivery, DeliveryState.EXPIRED)
            self._reporter.entered(DeliveryState.EXPIRED)
            return 0.0
        taken_at = self._clock.monotonic()
        wait = self._desk.turn(taken_at)
        if wait > 0:  # another thread of this channel, or a channel that shares its pace, took the turn meanwhile
            self._store.release([delivery])
            return self._patience(wait)
        message = self._message(delivery)
        if not self._desk.sent_for_real:
            self._store.remember_sent_for_real()
            self._desk.sent_for_real = True
        attempt = self._store.open_attempt([delivery])
        message = replace(message, reference=self._store.reference_of(attempt))
        self._desk.late.begins(message.reference)
        try:
            self._attempt(attempt, delivery, message, taken_at)
        finally:
            self._desk.late.ended(message.reference)
        return 0.0

    def _attempt(self, attempt: int, delivery: Delivery, message: Message, taken_at: float) -> None:
        started = self._clock.monotonic()
        outcome = self._send(message)
        seconds = self._clock.monotonic() - started
        self._desk.answered(taken_at)
        shift_us = shift_of(self._clock)
        now_us, unsaid = self._clock.now_us(), self._desk.holds.unsaid
        decision = decide(outcome, delivery, self._settings.policy, now_us, self._rng, unsaid=unsaid)
        self._metrics.attempt_finished(self._desk.name, outcome.reason, seconds)
        self._learn(outcome, decision, now_us)
        try:
            closed = self._record(attempt, delivery, outcome, decision, seconds, shift_us)
        except LeaseLost:  # whoever took it over knows only that it is in doubt
            self._desk.late.add(message, outcome)
            raise
        self._reporter.ended(delivery, outcome, decision, closed)

    def _message(self, delivery: Delivery) -> Message:
        try:
            return self._rendered(delivery)
        except Exception:  # a bug of ours must not keep a person from hearing that something happened
            logger.exception("an alert could not be written out", extra=delivery.log_fields())
            text = f"alertbus: an alert could not be written out. Its id is {delivery.alert.id}."
            limits = self._desk.channel.message_limits
            return Message(text, text, limits.dialect, parameters=emergency_parameters(text, limits.template))

    def _rendered(self, delivery: Delivery) -> Message:
        return render(
            delivery.alert,
            self._desk.channel.message_limits,
            self._settings.zone,
            possible_repeat=delivery.possible_repeat,
        )

    def _send(self, message: Message) -> Outcome:
        try:
            return self._desk.channel.send(message)
        except Exception as error:  # a channel never raises; if one does, nobody knows how far it came
            logger.exception("a channel raised", extra={"channel": self._desk.name})
            return Outcome(Reason.UNAVAILABLE, detail=type(error).__name__, in_doubt=True)

    def _learn(self, outcome: Outcome, decision: Decision, now_us: int) -> None:
        """Take what the answer says of the channel: that holds whoever has the delivery by now, and at once."""
        hold = hold_seconds(outcome, decision, now_us, self._desk.holds.unsaid)
        self._noted(outcome, pauses=self._desk.note(outcome, hold))

    def _probe(self) -> float:
        """Ask a provider that failed whether it is back; nothing is claimed meanwhile, so no lease runs down."""
        try:
            outcome = self._desk.channel.probe()
        except Exception as error:  # as in `_send`
            logger.exception("a channel raised", extra={"channel": self._desk.name})
            outcome = Outcome(Reason.UNAVAILABLE, detail=type(error).__name__)
        logger.info("probed", extra={"channel": self._desk.name, "outcome": outcome.reason.value})
        if outcome.reason is Reason.RATE_LIMITED:
            self._desk.hold(rate_limit_seconds(outcome, self._desk.holds.unsaid))
        self._desk.probed(outcome)
        self._noted(outcome, pauses=False)
        return 0.0

    def _noted(self, outcome: Outcome, *, pauses: bool) -> None:
        self._metrics.channel_up(self._desk.name, up=self._desk.up)
        tell_stop(self._desk, outcome, pauses=pauses, clock=self._clock, announce=self._announce)

    def _record(
        self, attempt: int, delivery: Delivery, outcome: Outcome, decision: Decision, seconds: float, shift_us: int
    ) -> Closed:
        """Write the result down, however long the database takes; only the end of the daemon leaves it open."""
        while True:
            try:
                return self._store.close_attempt(
                    attempt,
                    [delivery],
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
                fields = {**delivery.log_fields(), "outcome": outcome.reason.value}
                self._warn("a result waits for the database: %s", error, fields)
                if self._stopping.wait(_STORE_BACKOFF_SECONDS):
                    raise

    def _settle(self, late: LateAnswer) -> None:
        """Write down what became of a send after its deadline."""
        attempt = self._store.attempt_of(late.reference)
        if attempt is not None:
            receipts = self._desk.channel.receipts
            self._reporter.late(late, self._store.settle_late(attempt, late.outcome, receipts=receipts))
        if late.outcome.reason is Reason.RATE_LIMITED:
            self._desk.hold(rate_limit_seconds(late.outcome, self._desk.holds.unsaid))
            self._noted(late.outcome, pauses=False)

    def _warn(self, text: str, error: AlertBusError, fields: dict[str, str]) -> None:
        held_back = self._once.held_back(text)
        if held_back is not None:
            logger.warning(text, error, extra={**fields, "held_back": held_back})

    def _rehearse(self) -> float:
        """Do all but the request, and show what it would be."""
        claimed = self._store.claim(self._desk.name, self.name, self._settings.lease_seconds, 1, rehearsal=True)
        if not claimed:
            return self._settings.interval_seconds
        delivery = claimed[0]
        message = self._message(delivery)
        self._show_rehearsal(self._desk.name, message, self._desk.channel.rehearse(message))
        self._store.rehearsed(delivery)
        return 0.0
