"""A publisher for the trader's own tests: it keeps what was published, and needs no socket, thread or disk."""

from __future__ import annotations

from time import monotonic, perf_counter_ns
from types import TracebackType
from typing import Self

from bus.alerts import Alert
from publisher.cost import NANOSECONDS, PublishCost
from publisher.errors import PublisherClosed
from publisher.publisher import PublisherStats
from publisher.shortcuts import Shortcuts, closing_reason


class RecordingPublisher(Shortcuts):
    """Takes the place of `Publisher`; `alerts` is everything that was published, in order."""

    def __init__(self, *, stored: bool = True, full: bool = False) -> None:
        """Choose how it behaves.

        Args:
            stored: What waiting for a daemon returns.
            full: Refuse everything, as a full queue does.
        """
        self.alerts: list[Alert] = []
        self.refused: list[Alert] = []
        self.attach_errors: list[Exception] = []
        self.progressed = 0
        self.close_reason: str | None = None
        self._stored = stored
        self._full = full
        self._cost = PublishCost()

    def start(self, timeout: float = 5.0) -> Self:  # noqa: ARG002 - the publisher's signature
        """Do nothing; see `Publisher.start`.

        Raises:
            PublisherClosed: It was closed.
        """
        self._check_open()
        return self

    def publish(self, alert: Alert, *, wait: float | None = None) -> bool:
        """Keep an alert, or refuse it; see `Publisher.publish`.

        Raises:
            PublisherClosed: It was closed.
        """
        if wait is not None or not self._cost.due():
            return self._take(alert, wait)
        began_ns = perf_counter_ns()
        taken = self._take(alert, None)
        self._cost.took(began_ns)
        return taken

    def _take(self, alert: Alert, wait: float | None) -> bool:
        self._check_open()
        if self._full:
            self.refused.append(alert)
            return False
        self.alerts.append(alert)
        return True if wait is None else self._stored

    def progress(self, limit_seconds: float = 120.0) -> None:  # noqa: ARG002 - the publisher's signature
        """Count the call."""
        self._check_open()
        self.progressed += 1

    def flush(self, timeout: float) -> bool:  # noqa: ARG002 - the publisher's signature
        """Say that everything is journaled."""
        self._check_open()
        return True

    def stats(self) -> PublisherStats:
        """Return what a publisher that sent all of it at once would say."""
        published = len(self.alerts)
        cost = self._cost.figures(monotonic())
        stored = published if self._stored else 0
        return PublisherStats(
            refused=len(self.refused),
            queued=0,
            journaled=published,
            sent=published,
            acknowledged=stored,
            replayed=0,
            altered=sum(1 for alert in self.alerts if alert.altered),
            unencodable=0,
            dropped=0,
            journal_alerts=published - stored,
            unacknowledged=published - stored,
            waiting_journals=0,
            volatile=False,
            attach_failures=len(self.attach_errors),
            errors=len(self.attach_errors),
            last_error=None,
            timed_publishes=cost.timed,
            publish_seconds_sum=cost.total_ns / NANOSECONDS,
            publish_seconds_max=cost.longest_ns / NANOSECONDS,
            running=self.close_reason is None,
            daemons=(),
        )

    def close(self, timeout: float = 2.0, *, reason: str | None = None) -> bool:  # noqa: ARG002 - as above
        """Keep the reason; publishing raises PublisherClosed from now on."""
        self.close_reason = self.close_reason or reason or "closed"
        return self._stored

    def close_on_signals(self) -> None:
        """Do nothing: no signal ends a test."""
        self._check_open()

    def attach_failed(self, error: Exception) -> None:
        """Keep what could not be told."""
        self.attach_errors.append(error)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close with the reason that `Publisher` would give."""
        self.close(reason=closing_reason(error))

    def _check_open(self) -> None:
        if self.close_reason is not None:
            raise PublisherClosed
