"""Delivers what is due on one channel: wait for the pace -> claim -> fold -> send.

One thread per channel, more only where the channel allows it, so that a hanging provider delays nobody else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from random import Random
from typing import Final

from bus.clock import MICROSECONDS, Clock
from bus.errors import AlertBusError
from subscriber.deliveries import Delivery, DeliveryState, Message, Outcome, Reason
from subscriber.delivery.breaker import Go
from subscriber.delivery.courier import Courier
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.expiry import Expiry, OwnEvents
from subscriber.delivery.folding import Folder
from subscriber.delivery.parcels import Parcel
from subscriber.delivery.pauses import Announce
from subscriber.delivery.reporting import Reporter
from subscriber.delivery.settings import WorkerSettings
from subscriber.delivery.telling import Teller
from subscriber.errors import LeaseLost
from subscriber.logs import OncePerMinute
from subscriber.monitoring.metrics import Metrics
from subscriber.policy.digest import Fold, Wait
from subscriber.policy.retry import rate_limit_seconds, too_old
from subscriber.store.store import Store

__all__ = ["DeliveryWorker", "ShowRehearsal", "WorkerSettings"]

logger = logging.getLogger(__name__)

_SHORTEST_WAIT_SECONDS: Final = 0.001
#: What is due and can't be claimed is another worker's at the moment: by a locked row, or by the server's own clock.
_CONTENDED_WAIT_SECONDS: Final = 0.05
_STORE_BACKOFF_SECONDS: Final = 1.0

ShowRehearsal = Callable[[str, Message, str], None]


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
        own_events: OwnEvents,
        show_rehearsal: ShowRehearsal,
    ) -> None:
        """Store what is needed; `start` begins.

        Args:
            name: By which it holds deliveries.
            desk: The channel.
            store: Where what waits is.
            metrics: Counts and measures.
            clock: The daemon's.
            rng: For the jitter of retries.
            settings: What every worker of the daemon is told.
            announce: Tells an event by the other channels.
            own_events: Makes an event of the daemon's own ready to be stored, and counts it when it is.
            show_rehearsal: Shows a person what a dry run would send.
        """
        self.name = name
        self._desk = desk
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._settings = settings
        self._show_rehearsal = show_rehearsal
        reporter = Reporter(desk.name, metrics, clock, settings.wake)
        self._teller = Teller(desk.channel, settings, metrics, clock)
        self._stopping = threading.Event()
        self._courier = Courier(
            desk,
            self._teller,
            reporter,
            store=store,
            metrics=metrics,
            clock=clock,
            rng=rng,
            settings=settings,
            announce=announce,
            stopping=self._stopping,
        )
        self._folder = Folder(name, desk, store, clock, settings)
        self._expiry = Expiry(
            desk.name,
            store,
            reporter,
            clock,
            zone=settings.zone,
            own_events=own_events,
            plan_for=settings.plan_for,
        )
        self._once = OncePerMinute(clock)
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
                self._desk.wake.wait(rings, self.turn())
            except AlertBusError as error:
                self._metrics.store_error()
                held_back = self._once.held_back("store")
                if held_back is not None:
                    fields = {"channel": self._desk.name, "held_back": held_back}
                    logger.warning("deliveries wait for the database: %s", error, extra=fields)
                self._stopping.wait(_STORE_BACKOFF_SECONDS)
            except Exception:  # a bug of ours; the lease runs out and the delivery is tried again
                logger.exception("a delivery failed unexpectedly", extra={"channel": self._desk.name})
                self._stopping.wait(_STORE_BACKOFF_SECONDS)

    def turn(self) -> float:
        """Deliver what is next, if anything is due; return the seconds until it is worth looking again.

        The thread does nothing else, again and again; who starts none may call it instead.

        Raises:
            AlertBusError: The database can't be used at the moment; what is held is given back by the next turn.
        """
        try:
            return self._turn()
        except AlertBusError:
            self._uncertain = True
            raise

    def _turn(self) -> float:
        if self._uncertain:  # what failed may have been written: nothing may wait for the end of a lease of our own
            self._store.release_worker(self.name)
            self._uncertain = False
        if self._settings.dry_run:
            return self._rehearse() if self._desk.enabled else self._settings.interval_seconds
        self._desk.late.record(self._courier.settle)  # before anything is sent again for it
        if self._desk.paused or not self._desk.enabled:
            return self._settings.interval_seconds
        wait = self._desk.wait_needed(self._folder.longest_gap)  # before the claim: no lease runs down while waiting
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
        self._expiry.look()
        collects = self._desk.storm.collects_seconds
        lease_seconds = self._settings.lease_seconds
        claimed = self._store.claim(self._desk.name, self.name, lease_seconds, 1, storm=collects > 0)
        if not claimed:
            return self._patience(collects) if collects > 0 else self._nothing_due()
        delivery = claimed[0]
        try:
            return self._deliver(delivery)
        except LeaseLost:
            self._metrics.lease_lost()
            self._uncertain = True  # one was lost: what was to be told with it is not to wait for the end of its lease
            logger.warning("another worker took over; this result is dropped", extra=delivery.log_fields())
            return 0.0

    def _nothing_due(self) -> float:
        due_us = self._store.next_due_us(self._desk.name)
        if due_us is None:
            self._desk.nothing_to_send()
        seconds = float("inf") if due_us is None else (due_us - self._clock.now_us()) / MICROSECONDS
        return self._patience(max(seconds, _CONTENDED_WAIT_SECONDS))

    def _patience(self, seconds: float) -> float:
        return min(max(seconds, _SHORTEST_WAIT_SECONDS), self._settings.interval_seconds)

    def _deliver(self, head: Delivery) -> float:
        if too_old(head, self._clock.now_us()):
            self._expiry.end(head)
            return 0.0
        plan = self._folder.plan(head)
        if isinstance(plan, Wait):
            self._store.release([head])
            return self._patience(plan.seconds)
        taken_at = self._clock.monotonic()
        wait = self._desk.turn(taken_at)
        if wait > 0:  # another thread of this channel, or a channel that shares its pace, took the turn meanwhile
            self._store.release([head] if isinstance(plan, Fold) else plan.deliveries)
            return self._patience(wait)
        parcel = self._folder.fold(head, plan) if isinstance(plan, Fold) else plan
        if self._courier.deliver(parcel, taken_at).state is DeliveryState.EXPIRED:
            self._expiry.ended()
        return 0.0

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
        self._courier.noted(outcome, pauses=False)
        return 0.0

    def _rehearse(self) -> float:
        """Do all but the request, and show what it would be."""
        claimed = self._store.claim(self._desk.name, self.name, self._settings.lease_seconds, 1, rehearsal=True)
        if not claimed:
            return self._settings.interval_seconds
        delivery = claimed[0]
        message = self._teller.message(Parcel((delivery,)))
        self._show_rehearsal(self._desk.name, message, self._desk.channel.rehearse(message))
        self._store.rehearsed(delivery)
        return 0.0
