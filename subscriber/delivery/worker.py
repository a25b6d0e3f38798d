"""Delivers what is due on one channel: wait for the pace -> claim -> render -> record the attempt -> send -> record.

One thread per channel, more only where the channel allows it, so that a hanging provider delays nobody else. The
attempt is written before the request: a crash leaves it open, and whoever takes over knows that it is in doubt.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from random import Random
from typing import Final

from bus.alerts import Severity, SystemEvent
from bus.clock import MICROSECONDS, Clock, shift_of
from bus.errors import AlertBusError
from subscriber.deliveries import (
    Decision,
    Delivery,
    DeliveryState,
    Done,
    GiveUp,
    Message,
    Outcome,
    Reason,
    RetryAt,
    severity_of,
    system_event_id,
)
from subscriber.delivery.desk import ChannelDesk
from subscriber.errors import LeaseLost
from subscriber.logs import OncePerMinute
from subscriber.monitoring.metrics import Metrics
from subscriber.policy.rendering import render
from subscriber.policy.retry import UNSAID_WAIT_SECONDS, RetryPolicy, decide, too_old
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

#: How long a thread waits at most before it looks at the queue again; new alerts of this daemon wake it at once.
DEFAULT_INTERVAL_SECONDS: Final = 1.0
_SHORTEST_WAIT_SECONDS: Final = 0.001
#: What is due and can't be claimed is another worker's at the moment: by a locked row, or by the server's own clock.
_CONTENDED_WAIT_SECONDS: Final = 0.05
_STORE_BACKOFF_SECONDS: Final = 1.0

Announce = Callable[[SystemEvent], object]
ShowRehearsal = Callable[[str, Message, str], None]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What every worker of this daemon is told."""

    zone: tzinfo
    policy: RetryPolicy
    lease_seconds: float
    interval_seconds: float = DEFAULT_INTERVAL_SECONDS
    dry_run: bool = False


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
        if self._desk.paused or not self._desk.enabled:
            return self._settings.interval_seconds
        wait = self._desk.wait_needed()  # before the claim: no lease runs down while waiting
        if wait > 0:
            return self._patience(wait)
        claimed = self._store.claim(self._desk.name, self.name, self._settings.lease_seconds, 1)
        if not claimed:
            due_us = self._store.next_due_us(self._desk.name)
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
            self._entered(delivery, DeliveryState.EXPIRED)
            return 0.0
        wait = self._desk.turn()
        if wait > 0:  # another thread of this channel took the turn meanwhile
            self._store.release([delivery])
            return self._patience(wait)
        message = self._message(delivery)
        if not self._desk.sent_for_real:
            self._store.remember_sent_for_real()
            self._desk.sent_for_real = True
        attempt = self._store.open_attempt([delivery])
        started = self._clock.monotonic()
        outcome = self._send(message)
        seconds = self._clock.monotonic() - started
        shift_us = shift_of(self._clock)
        decision = decide(outcome, delivery, self._settings.policy, self._clock.now_us(), self._rng)
        self._metrics.attempt_finished(self._desk.name, outcome.reason, seconds)
        self._learn(outcome, decision)
        self._record(attempt, delivery, outcome, decision, seconds, shift_us)
        self._report(delivery, outcome, decision)
        return 0.0

    def _message(self, delivery: Delivery) -> Message:
        try:
            return self._rendered(delivery)
        except Exception:  # a bug of ours must not keep a person from hearing that something happened
            logger.exception("an alert could not be written out", extra=delivery.log_fields())
            text = f"alertbus: an alert could not be written out. Its id is {delivery.alert.id}."
            return Message(text, text, self._desk.channel.message_limits.dialect)

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

    def _learn(self, outcome: Outcome, decision: Decision) -> None:
        """Take what the answer says of the channel: that holds whoever has the delivery by now, and at once."""
        pauses = self._desk.note(outcome)
        self._metrics.channel_up(self._desk.name, up=self._desk.up)
        if outcome.reason is Reason.RATE_LIMITED:  # the provider means everything for this target, not this message
            if isinstance(decision, RetryAt):
                self._desk.hold((decision.due_at_us - self._clock.now_us()) / MICROSECONDS)
            else:
                self._desk.hold(outcome.retry_after_seconds or UNSAID_WAIT_SECONDS)
        if pauses:
            self._tell_pause(outcome)

    def _record(
        self, attempt: int, delivery: Delivery, outcome: Outcome, decision: Decision, seconds: float, shift_us: int
    ) -> None:
        """Write the result down, however long the database takes; only the end of the daemon leaves it open."""
        while True:
            try:
                self._store.close_attempt(attempt, [delivery], outcome, decision, seconds, shift_us)
            except LeaseLost:
                raise
            except AlertBusError as error:
                self._metrics.store_error()
                fields = {**delivery.log_fields(), "outcome": outcome.reason.value}
                self._warn("a result waits for the database: %s", error, fields)
                if self._stopping.wait(_STORE_BACKOFF_SECONDS):
                    raise
            else:
                return

    def _report(self, delivery: Delivery, outcome: Outcome, decision: Decision) -> None:
        fields = {
            **delivery.log_fields(),
            "outcome": outcome.reason.value,
            "status": outcome.status,
            "code": outcome.code,
            "detail": outcome.detail,
        }
        match decision:
            case Done():
                age = (self._clock.now_us() - delivery.published_us) / MICROSECONDS
                self._metrics.accepted(self._desk.name, severity_of(delivery.alert), age, str(delivery.alert.id))
                self._entered(delivery, DeliveryState.ACCEPTED)
                logger.info("delivered", extra={**fields, "age_seconds": round(age, 3)})
            case RetryAt(due_at_us=due_at_us, in_doubt=in_doubt):
                if in_doubt and delivery.state is not DeliveryState.IN_DOUBT:
                    self._entered(delivery, DeliveryState.IN_DOUBT)
                wait = (due_at_us - self._clock.now_us()) / MICROSECONDS
                logger.warning("not delivered, is tried again", extra={**fields, "in_seconds": round(wait, 1)})
            case GiveUp(state=state):
                self._entered(delivery, state)
                logger.error("not delivered, given up", extra={**fields, "state": state.value})

    def _warn(self, text: str, error: AlertBusError, fields: dict[str, str]) -> None:
        held_back = self._once.held_back(text)
        if held_back is not None:
            logger.warning(text, error, extra={**fields, "held_back": held_back})

    def _entered(self, delivery: Delivery, state: DeliveryState) -> None:
        self._metrics.entered(delivery.channel, state)

    def _tell_pause(self, outcome: Outcome) -> None:
        """Tell the other channels: this one can't say any more that it can't."""
        logger.critical(
            "the channel is paused until its credentials or its target are put right and the daemon is restarted",
            extra={"channel": self._desk.name, "detail": outcome.detail},
        )
        self._announce(
            SystemEvent(
                id=system_event_id("CHANNEL_UNAUTHORIZED", self._desk.name, str(self._clock.now_us())),
                source="alertbus",
                event_type="CHANNEL_UNAUTHORIZED",
                severity=Severity.CRITICAL,
                description=f"The channel {self._desk.name} is paused: {outcome.detail or outcome.reason.value}. "
                "What it should send waits. Check its credentials and its target, then restart the daemon.",
            )
        )

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
