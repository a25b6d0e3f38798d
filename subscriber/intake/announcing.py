"""The daemon's own alerts: stored and routed like everybody's, without a stream and without the bus.

Called from any thread. What the database can't take at the moment is kept and tried again by `retry`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID

from bus.alerts import Alert, SystemEvent
from bus.clock import Clock, shift_of
from bus.errors import AlertBusError
from bus.topics import topic_of
from bus.wire import encode_alert
from subscriber.deliveries import DeliveryState, PlannedDelivery, Why
from subscriber.logs import OncePerMinute
from subscriber.monitoring.metrics import Metrics
from subscriber.store.incoming import Incoming
from subscriber.store.inserting import Accepted
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

Planner = Callable[[Alert], tuple[PlannedDelivery, ...]]
Waker = Callable[[Iterable[str]], None]

#: Events that wait for the database; each is told once, so few are ever here.
_MOST_WAITING: Final = 1000


def count_deliveries(metrics: Metrics, accepted: Accepted) -> None:
    """Count the states that deliveries entered while alerts were stored."""
    for (channel, state), count in accepted.states.items():
        if state is not DeliveryState.SUPPRESSED:
            metrics.entered(channel, state, count)
    for (channel, why), count in accepted.suppressed.items():
        metrics.suppressed(channel, why, count)
    for channel, count in accepted.replaced.items():
        metrics.suppressed(channel, Why.DEDUP, count)


class Announcer:
    """Tells people what the daemon itself has to say."""

    def __init__(self, store: Store, planner: Planner, waker: Waker, metrics: Metrics, clock: Clock) -> None:
        """Store what is needed."""
        self._store = store
        self._planner = planner
        self._waker = waker
        self._metrics = metrics
        self._clock = clock
        self._once = OncePerMinute(clock)
        self._waiting: dict[UUID, Incoming] = {}
        self._lock = threading.Lock()

    def incoming(self, event: SystemEvent, planned: tuple[PlannedDelivery, ...] | None = None) -> Incoming:
        """Return an event as it is to be stored, with its deliveries.

        Args:
            event: What happened; `bus.alerts.SystemEvent` with an id from `system_event_id`, so repeats are known.
            planned: Where it goes; by the routes when left out.
        """
        shift_us = shift_of(self._clock)
        deliveries = self._planner(event) if planned is None else planned
        return Incoming(
            alert=event,
            body=encode_alert(event),
            topic=topic_of(event),
            stream=None,
            sequence=None,
            published_us=self._clock.now_us(),
            planned=deliveries,
            not_routed=not deliveries,
            shift_us=shift_us,
        )

    def announce(self, event: SystemEvent, planned: tuple[PlannedDelivery, ...] | None = None) -> bool:
        """Store an event and plan its deliveries; one with the same id is told once.

        Args:
            event: As for `incoming`.
            planned: As for `incoming`.

        Returns:
            Whether it is stored; otherwise `retry` stores it later.
        """
        incoming = self.incoming(event, planned)
        with self._lock:
            full = len(self._waiting) >= _MOST_WAITING
            if not full:
                self._waiting.setdefault(event.id, incoming)
        if full:  # the log is all that is left
            logger.critical("too many events wait for the database; dropped: %s", event.event_type)
        return self.retry() and not full

    def stored(self, accepted: Accepted) -> None:
        """Count what was stored and wake those who deliver it."""
        count_deliveries(self._metrics, accepted)
        self._waker(accepted.deliveries)

    def retry(self) -> bool:
        """Store what could not be stored before; True when nothing waits any more."""
        with self._lock:
            waiting = list(self._waiting.values())
        if not waiting:
            return True
        try:
            accepted = self._store.accept(waiting)
        except AlertBusError as error:
            self._metrics.store_error()
            held_back = self._once.held_back("store")
            if held_back is not None:
                logger.warning(
                    "the daemon's own alerts wait for the database: %s", error, extra={"held_back": held_back}
                )
            return False
        with self._lock:
            for incoming in waiting:
                self._waiting.pop(incoming.alert.id, None)
        self.stored(accepted)
        return True
