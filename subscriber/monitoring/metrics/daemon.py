"""Metrics of the daemon itself: its process, its database and disk, its configuration, its API and its log."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from subscriber.monitoring.metrics.registry import MetricGroup

_RELOADED: Final = {True: "loaded", False: "refused"}
#: Classes of HTTP answers.
_ANSWERS: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
#: Levels of the log that somebody should look at.
LOG_LEVELS: Final = ("warning", "error", "critical")


def alertbus_version() -> str:
    """Return the installed version, or `unknown` in a tree that was never installed."""
    try:
        return version("alertbus")
    except PackageNotFoundError:
        return "unknown"


class DaemonMetrics(MetricGroup):
    """How the daemon is."""

    def __init__(self) -> None:
        """Create the metrics and all their children, but for a disk that there may not be."""
        super().__init__()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._create_counters()
        self._create_gauges_of_store()
        self._started = self._gauge("start_timestamp_seconds", "When the daemon started.")
        self._config_loaded = self._gauge(
            "config_loaded_timestamp_seconds", "When the configuration in force was read; 0 before."
        )
        self._config_refused = self._gauge(
            "config_refused", "1 while the configuration was changed and refused, and not put right since."
        )
        self._event_streams = self._gauge("event_streams", "Streams of server-sent events that are open.")
        self._pinged = self._gauge(
            "ping_last_success_timestamp_seconds", "When the daemon's own address last took a ping; 0 before."
        )
        self._ping_configured = self._gauge("ping_configured", "1 where the daemon is to ping an address of its own.")
        self._dry_run = self._gauge("dry_run", "1 when nothing is really sent.")
        self._build = self._gauge("build_info", "1; the labels say what runs.", "version", "python")
        self._build.labels(alertbus_version(), platform.python_version()).set(1)
        #: How often `store_error` was called, for the readiness; a race may lose one of several at a time.
        self.store_errors = 0

    def _create_counters(self) -> None:
        self._store_errors = self._counter("store_errors", "Times that the database could not be used.")
        self._leases_lost = self._counter("leases_lost", "Results that were dropped: another worker had taken over.")
        self._reloads = self._counter("config_reloads", "Reloads of the configuration.", "result")
        self._ping_failures = self._counter("ping_failures", "Pings of the daemon's own address that failed.")
        self._streams_refused = self._counter("event_streams_refused", "Streams of events that found no room.")
        self._answers = self._counter("http_requests", "Answers of the API and of the page, by class.", "class")
        self._records = self._counter("log_records", "Records of the daemon's log, by level.", "level")
        self._clock_steps = self._counter("clock_steps", "Times that the wall clock was set while the daemon ran.")
        for result in _RELOADED.values():
            self._reloads.labels(result)
        for answer in _ANSWERS:
            self._answers.labels(answer)
        for level in LOG_LEVELS:
            self._records.labels(level)

    def _create_gauges_of_store(self) -> None:
        self._database_bytes = self._gauge("database_bytes", "What the database takes of its disk.")
        self._disk_free = self._gauge(
            "disk_free_bytes", "What is free on the disk of a SQLite database; a server's disk is not seen.", "disk"
        )
        self._disk_size = self._gauge("disk_size_bytes", "How large that disk is.", "disk")
        self._audit_faults = self._gauge("audit_faults", "Faults that the last audit of the ledger found.")
        self._audited = self._gauge(
            "audit_timestamp_seconds", "When the last audit of the ledger ended; 0 before the first."
        )

    def started(self, at_us: int) -> None:
        """Set when the daemon started."""
        self._started.set(at_us / 1e6)

    def store_error(self) -> None:
        """Count a time that the database could not be used."""
        self.store_errors += 1
        self._store_errors.inc()

    def database_size(self, size_bytes: int) -> None:
        """Set how large the database is."""
        self._database_bytes.set(size_bytes)

    def disk(self, free_bytes: int, size_bytes: int) -> None:
        """Set what is free on the database's disk; never called where a server keeps it."""
        self._disk_free.labels("database").set(free_bytes)
        self._disk_size.labels("database").set(size_bytes)

    def pinged(self, last_success_us: int | None, new_failures: int) -> None:
        """Set when the daemon's own address last took a ping, and count the pings that failed since."""
        self._ping_configured.set(1)
        self._pinged.set((last_success_us or 0) / 1e6)
        self._ping_failures.inc(new_failures)

    def audited(self, faults: int, ended_us: int) -> None:
        """Set what an audit of the ledger found, and when it ended."""
        self._audit_faults.set(faults)
        self._audited.set(ended_us / 1e6)

    def lease_lost(self) -> None:
        """Count a result that was dropped because another worker holds the delivery now."""
        self._leases_lost.inc()

    def clock_set(self) -> None:
        """Count a time that the wall clock was set."""
        self._clock_steps.inc()

    def config_reloaded(self, *, loaded: bool) -> None:
        """Count a reload of the configuration: it came into force, or it was refused."""
        self._reloads.labels(_RELOADED[loaded]).inc()

    def config_loaded(self, at_us: int) -> None:
        """Set when the configuration in force was read."""
        self._config_loaded.set(at_us / 1e6)

    def config_refused(self, *, refused: bool) -> None:
        """Set whether the configuration stands refused, and the daemon goes on with an older one."""
        self._config_refused.set(refused)

    def answered(self, status: int) -> None:
        """Count an answer of the HTTP server by its status, 100 to 599."""
        self._answers.labels(_ANSWERS[status // 100 - 1]).inc()

    def logged(self, level: str) -> None:
        """Count a record of the log; `level` is one of LOG_LEVELS."""
        self._records.labels(level).inc()

    def dry_run(self, *, on: bool) -> None:
        """Set whether nothing is really sent."""
        self._dry_run.set(on)

    def event_streams(self, count: int) -> None:
        """Set how many streams of events are open."""
        self._event_streams.set(count)

    def event_stream_refused(self) -> None:
        """Count a stream of events that found no room."""
        self._streams_refused.inc()
