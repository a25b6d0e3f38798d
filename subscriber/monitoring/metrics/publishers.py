"""Metrics of the publishers: what their heartbeats tell, by source.

A source's series come with its first heartbeat, and go when nobody remembers it any more. Sources beyond the bound
share one label, where a flag is 1 as long as it is for any of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from prometheus_client import Counter, Gauge

from subscriber.monitoring.metrics.registry import MetricGroup

#: Sources that get labels of their own; what comes after shares one, so that nobody can fill the memory with names.
MOST_SOURCES: Final = 100
OTHER_SOURCE: Final = "other"
#: Sources under the shared label whose flags are told apart.
_MOST_OTHERS: Final = 10_000


class PublisherMetrics(MetricGroup):
    """How publishers are."""

    def __init__(self) -> None:
        """Create the metrics."""
        super().__init__()
        self._publisher_up = self._gauge("publisher_up", "1 while the publisher's heartbeats arrive.", "source")
        self._publisher_silent = self._gauge(
            "publisher_silent", "1 while a publisher that said no goodbye is not heard, and people were told.", "source"
        )
        self._publisher_hung = self._gauge(
            "publisher_hung",
            "1 while the publisher beats, its trading loop stands still, and people were told.",
            "source",
        )
        self._heartbeat = self._gauge(
            "publisher_last_heartbeat_timestamp_seconds", "When this daemon last heard the publisher.", "source"
        )
        self._journal = self._gauge("publisher_journal_alerts", "Alerts that the publisher's journal holds.", "source")
        self._volatile = self._gauge(
            "publisher_volatile", "1 while the publisher keeps alerts in memory only, because its disk fails.", "source"
        )
        self._clock_offset = self._gauge(
            "publisher_clock_offset_seconds", "How far the publisher's clock is ahead of the daemon's.", "source"
        )
        self._refused = self._counter(
            "publisher_refused_alerts", "Alerts that the publisher's full queue refused.", "source"
        )
        self._publish_calls = self._counter(
            "publisher_timed_publishes", "Calls of publish() whose cost was measured.", "source"
        )
        self._publish_seconds = self._counter(
            "publisher_publish_seconds", "Time that the caller spent in these calls.", "source"
        )
        self._publish_longest = self._gauge(
            "publisher_publish_longest_seconds",
            "The longest of these calls in the minute before the last heartbeat.",
            "source",
        )
        self._sources: set[str] = set()
        self._flags: Final = (self._publisher_up, self._publisher_silent, self._publisher_hung, self._volatile)
        self._figures: Final[tuple[Counter | Gauge, ...]] = (
            self._heartbeat,
            self._journal,
            self._clock_offset,
            self._refused,
            self._publish_calls,
            self._publish_seconds,
            self._publish_longest,
        )
        #: By flag, those of the sources that share a label for which it is on.
        self._others: dict[Gauge, set[str]] = {flag: set() for flag in self._flags}

    def publisher(self, source: str, *, up: bool, journal_alerts: int | None = None) -> None:
        """Set whether a publisher is heard, and what its journal holds where that is known."""
        label = self._known_source(source)
        self._flag(self._publisher_up, source, on=up)
        if not up:  # who does not run holds nothing in memory
            self._flag(self._volatile, source, on=False)
        if journal_alerts is not None:
            self._journal.labels(label).set(journal_alerts)

    def publisher_heard(self, source: str, *, at_us: int, volatile: bool, clock_offset_seconds: float) -> None:
        """Set what a publisher's heartbeat told, and when by the daemon's clock it came.

        Args:
            source: Its name.
            at_us: Microseconds since 1970, UTC.
            volatile: Whether it keeps alerts in memory only.
            clock_offset_seconds: How far its clock is ahead of ours; negative when it is behind.
        """
        label = self._known_source(source)
        for flag in self._flags:  # from now on they have a value
            flag.labels(label)
        self._heartbeat.labels(label).set(at_us / 1e6)
        self._flag(self._volatile, source, on=volatile)
        self._clock_offset.labels(label).set(clock_offset_seconds)

    def publisher_counted(
        self, source: str, *, refused: int, timed: int, publish_seconds: float, longest_seconds: float
    ) -> None:
        """Add what a publisher counted since its last heartbeat that was heard; nothing may be negative.

        Args:
            source: Its name.
            refused: Alerts that its full queue did not take.
            timed: Calls of publish() that were measured.
            publish_seconds: Time spent in them.
            longest_seconds: The longest of the last minute.
        """
        label = self._known_source(source)
        self._refused.labels(label).inc(refused)
        self._publish_calls.labels(label).inc(timed)
        self._publish_seconds.labels(label).inc(publish_seconds)
        self._publish_longest.labels(label).set(longest_seconds)

    def publisher_hung(self, source: str, *, hung: bool) -> None:
        """Set whether people were told of a publisher whose trading loop is past its limit, and of no end of it."""
        self._flag(self._publisher_hung, source, on=hung)

    def publisher_silent(self, source: str, *, silent: bool) -> None:
        """Set whether people were told that a publisher fell silent without a goodbye, and of no end of it."""
        self._publisher_up.labels(self._known_source(source))  # 0 where this daemon never heard it
        self._flag(self._publisher_silent, source, on=silent)

    def keep_publishers(self, sources: Collection[str]) -> None:
        """Remove the series of all other sources: nobody remembers them."""
        kept = set(sources)
        gone = self._sources - kept
        self._sources -= gone
        for others in self._others.values():
            others.intersection_update(kept)
        labels = [*gone] if kept - self._sources else [*gone, OTHER_SOURCE]
        for metric in (*self._flags, *self._figures):
            for label in labels:
                metric.remove(label)

    def _flag(self, flag: Gauge, source: str, *, on: bool) -> None:
        label = self._known_source(source)
        others = self._others[flag]
        if source in self._sources:
            flag.labels(label).set(on)
            if source in others:  # it has got a label of its own since
                others.discard(source)
                flag.labels(OTHER_SOURCE).set(bool(others))
            return
        if not on:
            others.discard(source)
        elif len(others) < _MOST_OTHERS:
            others.add(source)
        flag.labels(label).set(bool(others))

    def _known_source(self, source: str) -> str:
        if source not in self._sources:
            if len(self._sources) >= MOST_SOURCES or source == OTHER_SOURCE:
                return OTHER_SOURCE
            self._sources.add(source)
        return source
