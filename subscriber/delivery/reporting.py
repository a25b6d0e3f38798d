"""Tells what became of deliveries: in the log, by the metrics, and to the worker that goes on with one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from bus.clock import MICROSECONDS, Clock
from subscriber.deliveries import Decision, DeliveryState, DigestKind, Outcome, Reason, RetryAt, Why, severity_of
from subscriber.delivery.late import LateAnswer
from subscriber.delivery.parcels import Parcel
from subscriber.monitoring.metrics import Metrics
from subscriber.store.receipts import Closed, SwitchedOff

logger = logging.getLogger(__name__)

_TAKEN: Final = frozenset({DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.FOLDED})

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

    def ended(self, parcel: Parcel, outcome: Outcome, decision: Decision, closed: Closed) -> None:
        """Tell how an attempt ended and what follows; a receipt that came first knows more than its answer."""
        fields: dict[str, object] = {**parcel.log_fields(), **_fields(outcome)}
        if closed.state in _TAKEN:
            self._told(parcel, closed, fields)
        elif closed.switched_off is not None:
            self._switched_off(closed.switched_off, fields)
        elif closed.split:
            logger.error("told together, refused for good: each half is told by itself", extra=fields)
        elif isinstance(decision, RetryAt):
            if decision.in_doubt and parcel.head.state is not DeliveryState.IN_DOUBT:
                self.entered(DeliveryState.IN_DOUBT, len(parcel.deliveries))
            if outcome.reason is Reason.UNAUTHORIZED:
                logger.warning("not delivered, waits until its channel is resumed", extra=fields)
            else:
                wait = max(0.0, (decision.due_at_us - self._clock.now_us()) / MICROSECONDS)
                logger.warning("not delivered, is tried again", extra={**fields, "in_seconds": round(wait, 1)})
        elif closed.state is not None:
            self.entered(closed.state, len(parcel.deliveries))
            logger.error("not delivered, given up", extra={**fields, "state": closed.state.value})
        if closed.fallback is not None:
            self._metrics.entered(closed.fallback, DeliveryState.PENDING)
            logger.warning("another channel is to tell it instead", extra={**fields, "fallback": closed.fallback})
            self._wake([closed.fallback])

    def _switched_off(self, done: SwitchedOff, fields: Mapping[str, object]) -> None:
        self._metrics.suppressed(self._channel, Why.DISABLED, sum(done.suppressed.values()))
        logger.warning("not delivered, and its channel was switched off meanwhile", extra=fields)
        for channel, count in done.handed_over.items():
            self._metrics.entered(channel, DeliveryState.PENDING, count)
        self._wake(done.handed_over)

    def late(self, late: LateAnswer, closed: Closed | None) -> None:
        """Tell what became of a send that had been given up; `closed` is None where that changes nothing any more."""
        fields: dict[str, object] = {"channel": self._channel, **_fields(late.outcome)}
        logger.warning("a late answer is recorded", extra={**fields, "changes": closed is not None})
        if closed is not None and closed.state in _TAKEN:
            self._taken(closed.state, late.kind, late.members)

    def entered(self, state: DeliveryState, count: int = 1) -> None:
        """Count deliveries that entered a state."""
        self._metrics.entered(self._channel, state, count)

    def _told(self, parcel: Parcel, closed: Closed, fields: Mapping[str, object]) -> None:
        now_us = self._clock.now_us()
        ages = [(now_us - delivery.published_us) / MICROSECONDS for delivery in parcel.deliveries]
        for delivery, age in zip(parcel.deliveries, ages, strict=True):
            self._metrics.accepted(self._channel, severity_of(delivery.alert), age, str(delivery.alert.id))
        self._taken(closed.state, parcel.kind, len(parcel.deliveries))
        told = "delivered" if closed.state is DeliveryState.DELIVERED else "accepted"
        logger.info(told, extra={**fields, "age_seconds": round(max(ages), 3)})

    def _taken(self, state: DeliveryState | None, kind: DigestKind | None, members: int) -> None:
        """Count an acceptance, and the arrival of which a receipt told before the acceptance was recorded."""
        self._metrics.channel_succeeded(self._channel, self._clock.now_us())
        if kind is not None:
            self.entered(DeliveryState.FOLDED, members)
            self._metrics.digest_told(self._channel, kind, members)
            return
        self.entered(DeliveryState.ACCEPTED)
        if state is DeliveryState.DELIVERED:
            self.entered(DeliveryState.DELIVERED)


def _fields(outcome: Outcome) -> dict[str, object]:
    return {
        "outcome": outcome.reason.value,
        "status": outcome.status,
        "code": outcome.code,
        "detail": outcome.detail,
    }
