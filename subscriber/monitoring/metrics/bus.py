"""Metrics of the bus: what came, what was missing, and how long it took to store it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bus.topics import KNOWN_LEVELS, OTHER_LEVELS
from bus.wire import INVALID_REASONS
from subscriber.monitoring.metrics.registry import MetricGroup

#: Seconds; a disk that is well writes a batch within a few milliseconds.
BATCH_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class BusMetrics(MetricGroup):
    """What comes over the bus."""

    def __init__(self) -> None:
        """Create the metrics and all their children."""
        super().__init__()
        self._received = self._counter("alerts_received", "Alerts stored, by the first two levels.", "topic")
        self._not_routed = self._counter(
            "alerts_not_routed", "Alerts of publishers that were stored, and that no route sends anywhere."
        )
        self._duplicate = self._counter("alerts_duplicate", "Alerts that were already stored.")
        self._replayed = self._counter("alerts_replayed", "Alerts that a publisher sent again because we asked.")
        self._lost = self._counter("alerts_lost", "Alerts that no publisher holds any more.")
        self._gaps = self._counter("sequence_gaps", "Times that numbers of a stream were found to be missing.")
        self._missing = self._gauge("alerts_missing", "Alerts that publishers told of and that have not come yet.")
        self._invalid = self._counter(
            "messages_invalid", "Messages from the bus that were not as they must be.", "reason"
        )
        self._batch_seconds = self._histogram(
            "store_batch_seconds", "Duration of the transaction that stores what came in one turn.", BATCH_BUCKETS
        )
        for topic in (*KNOWN_LEVELS, OTHER_LEVELS):
            self._received.labels(topic)
        for reason in INVALID_REASONS:
            self._invalid.labels(reason)

    def received(self, topics: Iterable[str]) -> None:
        """Count alerts that were stored, by two-level topics."""
        for topic in topics:
            self._received.labels(topic).inc()

    def not_routed(self, count: int = 1) -> None:
        """Count alerts of publishers that were stored and go nowhere."""
        self._not_routed.inc(count)

    def duplicate(self, count: int = 1) -> None:
        """Count alerts that were already stored."""
        self._duplicate.inc(count)

    def replayed(self, count: int = 1) -> None:
        """Count alerts that came again because we asked."""
        self._replayed.inc(count)

    def lost(self, count: int) -> None:
        """Count alerts that nobody holds any more."""
        self._lost.inc(count)

    def gap(self) -> None:
        """Count a time that numbers of a stream were found to be missing."""
        self._gaps.inc()

    def missing(self, count: int) -> None:
        """Set how many alerts publishers told of that have not come yet."""
        self._missing.set(count)

    def invalid(self, reason: str) -> None:
        """Count a message that was not as it must be; `reason` is one of `bus.wire.INVALID_REASONS`."""
        self._invalid.labels(reason).inc()

    def batch_stored(self, seconds: float) -> None:
        """Observe how long the database took for what came in one turn."""
        self._batch_seconds.observe(seconds)
