"""Tells what became of deliveries: in the log, by the metrics, and to the worker that goes on with one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

from bus.clock import MICROSECONDS, Clock
from subscriber.deliveries import Decision, Delivery, DeliveryState, Outcome, Reason, RetryAt, severity_of
from subscriber.delivery.late import LateAnswer
from subscriber.monitoring.metrics import Metrics
from subscriber.store.receipts import Closed

logger = logging.getLogger(__name__)

_TAKEN: Final = frozenset({DeliveryState.ACCEPTED, DeliveryState.DELIVERED})

#: Wakes the workers of channels.
WakeChannels = Callable[[Iterable[str]], None]


class Reporter:
    """Reports for the workers of one channel; called when the database has it."""

    def __init__(self, channel: str, metrics: Metrics, clock: Clock, wake: WakeChannels) -> None:
        """Keep what is needed."""
        self._channel = channel
        self._metrics = metrics
        self._clock = clock
        self._wake = wake

    def ended(self, delivery: Delivery, outcome: Outcome, decision: Decision, closed: Closed) -> None:
        """Tell how an attempt ended and what follows; a receipt that came first knows more than its answer."""
        fields = {**delivery.log_fields(), **_fields(outcome)}
        if closed.state in _TAKEN:
            age = (self._clock.now_us() - delivery.published_us) / MICROSECONDS
            self._metrics.accepted(self._channel, severity_of(delivery.alert), age, str(delivery.alert.id))
            self._taken(closed)
            told = "delivered" if closed.state is DeliveryState.DELIVERED else "accepted"
            logger.info(told, extra={**fields, "age_seconds": round(age, 3)})
        elif isinstance(decision, RetryAt):
            if decision.in_doubt and delivery.state is not DeliveryState.IN_DOUBT:
                self.entered(DeliveryState.IN_DOUBT)
            if outcome.reason is Reason.UNAUTHORIZED:
                logger.warning("not delivered, waits until its channel is resumed", extra=fields)
            else:
                wait = max(0.0, (decision.due_at_us - self._clock.now_us()) / MICROSECONDS)
                logger.warning("not delivered, is tried again", extra={**fields, "in_seconds": round(wait, 1)})
        elif closed.state is not None:
            self.entered(closed.state)
            logger.error("not delivered, given up", extra={**fields, "state": closed.state.value})
        if closed.fallback is not None:
            self._metrics.entered(closed.fallback, DeliveryState.PENDING)
            logger.warning("another channel is to tell it instead", extra={**fields, "fallback": closed.fallback})
            self._wake([closed.fallback])

    def late(self, late: LateAnswer, closed: Closed | None) -> None:
        """Tell what became of a send that had been given up; `closed` is None where that changes nothing any more."""
        fields: dict[str, object] = {"channel": self._channel, **_fields(late.outcome)}
        logger.warning("a late answer is recorded", extra={**fields, "changes": closed is not None})
        if closed is not None and closed.state in _TAKEN:
            self._taken(closed)

    def entered(self, state: DeliveryState) -> None:
        """Count a delivery that entered a state."""
        self._metrics.entered(self._channel, state)

    def _taken(self, closed: Closed) -> None:
        """Count an acceptance, and the arrival of which a receipt told before the acceptance was recorded."""
        self.entered(DeliveryState.ACCEPTED)
        if closed.state is DeliveryState.DELIVERED:
            self.entered(DeliveryState.DELIVERED)


def _fields(outcome: Outcome) -> dict[str, object]:
    return {
        "outcome": outcome.reason.value,
        "status": outcome.status,
        "code": outcome.code,
        "detail": outcome.detail,
    }
