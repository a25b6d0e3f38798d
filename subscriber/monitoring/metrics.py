"""The daemon's metrics, on a registry of their own; every label value that is known exists from the start.

Names are part of the outer contract (docs/design.md). A rate over a counter that appears with its first failure would
start from nothing, so `add_channel` creates a channel's children before anything happens to it.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from bus.alerts import Severity
from bus.topics import KNOWN_LEVELS, OTHER_LEVELS
from bus.wire import INVALID_REASONS
from subscriber.deliveries import DeliveryState, DigestKind, Reason
from subscriber.receipts import Receipt, ReceiptState

#: Seconds; the bounds that people are promised (a few seconds) lie on edges.
END_TO_END_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
ATTEMPT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
#: A phone that is on has it in seconds; one that was off, when it is switched on.
RECEIPT_BUCKETS: Final = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0)
#: Sources that get labels of their own; what comes after shares one, so that nobody can fill the memory with names.
MOST_SOURCES: Final = 100
OTHER_SOURCE: Final = "other"
#: The provider of a webhook call that names none of ours: what a stranger asks for is no label.
OTHER_PROVIDER: Final = "other"
#: By which ways a person can say that an alert is known.
ACKNOWLEDGED_VIA: Final = ("api", "cli", "page", "telegram")
_RELOADED: Final = {True: "loaded", False: "refused"}


class WebhookResult(StrEnum):
    """What became of a webhook call; a closed set."""

    OK = "ok"
    REFUSED = "refused"  #: no right signature, or a provider without one
    UNREADABLE = "unreadable"  #: too large, too slow, or signed and not understood
    FAILED = "failed"  #: right, but it could not be stored: the provider is to call again


def alertbus_version() -> str:
    """Return the installed version, or `unknown` in a tree that was never installed."""
    try:
        return version("alertbus")
    except PackageNotFoundError:
        return "unknown"


class Metrics:
    """What is counted and measured. Methods are called from any thread."""

    def __init__(self) -> None:
        """Create every metric and the children whose labels are known."""
        disable_created_metrics()  # type: ignore[no-untyped-call] # a `_created` series for each child would double the scrape and says little
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._counters()
        self._gauges()
        self._attempt_seconds = Histogram(
            "alertbus_attempt_seconds", "Duration of one request to a provider.", ["channel"],
            buckets=ATTEMPT_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._end_to_end = Histogram(
            "alertbus_end_to_end_seconds", "From publish() in the trading process to the provider's acceptance.",
            ["channel", "severity"], buckets=END_TO_END_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._receipt_seconds = Histogram(
            "alertbus_receipt_seconds", "From the provider's acceptance to the receipt that says delivered.",
            ["channel"], buckets=RECEIPT_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._sources: set[str] = set()
        #: How often `store_error` was called, for the readiness; a race may lose one of several at a time.
        self.store_errors = 0

    def _counters(self) -> None:
        self._attempts = self._counter("attempts", "Attempts to deliver, by how they ended.", "channel", "outcome")
        self._deliveries = self._counter("deliveries", "Deliveries that entered a state.", "channel", "state")
        self._receipts = self._counter(
            "receipts", "Receipts of accepted messages, by what they say.", "channel", "state"
        )
        self._webhooks = self._counter(
            "webhook_requests", "Calls of a provider's webhook, by what became of them.", "provider", "result"
        )
        self._received = self._counter("alerts_received", "Alerts stored, by the first two levels.", "topic")
        self._duplicate = self._counter("alerts_duplicate", "Alerts that were already stored.")
        self._replayed = self._counter("alerts_replayed", "Alerts that a publisher sent again because we asked.")
        self._lost = self._counter("alerts_lost", "Alerts that no publisher holds any more.")
        self._invalid = self._counter(
            "messages_invalid", "Messages from the bus that were not as they must be.", "reason"
        )
        self._store_errors = self._counter("store_errors", "Times that the database could not be used.")
        self._ping_failures = self._counter("ping_failures", "Pings of the daemon's own address that failed.")
        self._streams_refused = self._counter("event_streams_refused", "Streams of events that found no room.")
        self._leases_lost = self._counter("leases_lost", "Results that were dropped: another worker had taken over.")
        self._policy_counters()
        for topic in (*KNOWN_LEVELS, OTHER_LEVELS):
            self._received.labels(topic)
        for reason in INVALID_REASONS:
            self._invalid.labels(reason)
        self.add_webhook(OTHER_PROVIDER)

    def _policy_counters(self) -> None:
        self._digests = self._counter("digests", "Messages that told several alerts.", "channel", "kind")
        self._digest_alerts = self._counter(
            "digest_alerts", "Alerts that were told in such messages.", "channel", "kind"
        )
        self._escalations = self._counter(
            "escalations", "Turns of escalations: nobody had acknowledged a CRITICAL.", "channel"
        )
        self._acknowledgements = self._counter("acknowledgements", "Alerts that a person acknowledged.", "via")
        self._template_failures = self._counter(
            "template_failures", "Times that a template failed and the built-in text was told.", "template"
        )
        self._telegram_updates = self._counter(
            "telegram_updates", "What people wrote to the bot or pressed, and what became of it.", "channel", "kind"
        )
        self._reloads = self._counter("config_reloads", "Reloads of the configuration.", "result")
        for via in ACKNOWLEDGED_VIA:
            self._acknowledgements.labels(via)
        for result in _RELOADED.values():
            self._reloads.labels(result)

    def _gauges(self) -> None:
        self._queue = self._gauge("queue_deliveries", "Deliveries that wait to be sent.", "channel")
        self._oldest = self._gauge(
            "queue_oldest_timestamp_seconds",
            "When the oldest waiting delivery was published; 0 when none waits.",
            "channel",
        )
        self._up = self._gauge("channel_up", "1 when the last attempts went well, 0 in Error.", "channel")
        self._enabled = self._gauge("channel_enabled", "1 when the channel is switched on.", "channel")
        self._uncovered = self._gauge(
            "uncovered_critical_deliveries", "CRITICAL deliveries that wait because no channel is switched on for them."
        )
        self._held = self._gauge(
            "channel_held_until_timestamp_seconds",
            "Until when the provider asked to be left alone; 0 when it did not.",
            "channel",
        )
        self._breaker = self._gauge(
            "breaker_open", "1 while failures in a row keep the channel from sending, but for probes.", "channel"
        )
        self._receipts_waiting = self._gauge(
            "receipts_waiting", "Accepted messages whose receipts are still asked for or awaited.", "channel"
        )
        self._publisher_up = self._gauge("publisher_up", "1 while the publisher's heartbeats arrive.", "source")
        self._publisher_hung = self._gauge(
            "publisher_hung", "1 while the publisher beats and its trading loop stands still.", "source"
        )
        self._journal = self._gauge("publisher_journal_alerts", "Alerts that the publisher's journal holds.", "source")
        self._refused = self._gauge(
            "publisher_refused_alerts", "Alerts that the publisher's full queue refused.", "source"
        )
        self._pinged = self._gauge(
            "ping_last_success_timestamp_seconds", "When the daemon's own address last took a ping; 0 before."
        )
        self._audit_faults = self._gauge("audit_faults", "Faults that the last audit of the ledger found.")
        self._audited = self._gauge(
            "audit_timestamp_seconds", "When the last audit of the ledger ended; 0 before the first."
        )
        self._silences = self._gauge("silences_active", "Silences that hold or drop alerts now.")
        self._event_streams = self._gauge("event_streams", "Streams of server-sent events that are open.")
        self._config_loaded = self._gauge(
            "config_loaded_timestamp_seconds", "When the configuration in force was read; 0 before."
        )
        self._dry_run = self._gauge("dry_run", "1 when nothing is really sent.")
        self._build = self._gauge("build_info", "1; the labels say what runs.", "version", "python")
        self._build.labels(alertbus_version(), platform.python_version()).set(1)

    # --- channels -------------------------------------------------------------------------------------------

    def add_channel(self, channel: str, *, enabled: bool, receipts: bool = False) -> None:
        """Create a channel's children, all at 0, before anything happens; of receipts only where there can be any."""
        for reason in Reason:
            self._attempts.labels(channel, reason.value)
        for state in DeliveryState:
            self._deliveries.labels(channel, state.value)
        for severity in Severity:
            self._end_to_end.labels(channel, severity.value)
        for kind in DigestKind:
            self._digests.labels(channel, kind.value)
            self._digest_alerts.labels(channel, kind.value)
        self._escalations.labels(channel)
        self._attempt_seconds.labels(channel)
        self.queue(channel, 0, None)
        self._up.labels(channel).set(1)
        self._enabled.labels(channel).set(enabled)
        self.held(channel, None)
        self.breaker(channel, is_open=False)
        if receipts:
            for receipt_state in ReceiptState:
                self._receipts.labels(channel, receipt_state.value)
            self._receipt_seconds.labels(channel)
            self.receipts_waiting(channel, 0)

    def attempt_finished(self, channel: str, reason: Reason, seconds: float) -> None:
        """Count one attempt and how long it took."""
        self._attempts.labels(channel, reason.value).inc()
        self._attempt_seconds.labels(channel).observe(seconds)

    def entered(self, channel: str, state: DeliveryState, count: int = 1) -> None:
        """Count deliveries that entered a state."""
        self._deliveries.labels(channel, state.value).inc(count)

    def accepted(self, channel: str, severity: Severity, age_seconds: float, alert_id: str) -> None:
        """Observe the time from publication to a provider's acceptance; the alert's id is the exemplar."""
        self._end_to_end.labels(channel, severity.value).observe(max(age_seconds, 0.0), {"alert_id": alert_id})

    def queue(self, channel: str, waiting: int, oldest_us: int | None) -> None:
        """Set how many deliveries wait and since when."""
        self._queue.labels(channel).set(waiting)
        self._oldest.labels(channel).set((oldest_us or 0) / 1e6)

    def channel_up(self, channel: str, *, up: bool) -> None:
        """Set whether a channel works."""
        self._up.labels(channel).set(up)

    def channel_enabled(self, channel: str, *, enabled: bool) -> None:
        """Set whether a channel is switched on."""
        self._enabled.labels(channel).set(enabled)

    def uncovered_critical(self, count: int) -> None:
        """Set how many CRITICAL deliveries wait because no channel is switched on for them."""
        self._uncovered.set(count)

    def held(self, channel: str, until_us: int | None) -> None:
        """Set until when the provider asked to be left alone; None when it did not, or that is over."""
        self._held.labels(channel).set((until_us or 0) / 1e6)

    def breaker(self, channel: str, *, is_open: bool) -> None:
        """Set whether a channel only probes its provider."""
        self._breaker.labels(channel).set(is_open)

    # --- policy ---------------------------------------------------------------------------------------------

    def digest_told(self, channel: str, kind: DigestKind, alerts: int) -> None:
        """Count a message that told several alerts, and these."""
        self._digests.labels(channel, kind.value).inc()
        self._digest_alerts.labels(channel, kind.value).inc(alerts)

    def escalated(self, channel: str) -> None:
        """Count a turn of an escalation; `channel` is whom it goes to."""
        self._escalations.labels(channel).inc()

    def acknowledged(self, via: str) -> None:
        """Count an alert that a person acknowledged; `via` is one of ACKNOWLEDGED_VIA."""
        self._acknowledgements.labels(via).inc()

    def add_ears(self, channel: str, kinds: Iterable[str]) -> None:
        """Create the children of a channel whose chat is listened to."""
        for kind in kinds:
            self._telegram_updates.labels(channel, kind)

    def telegram_update(self, channel: str, kind: str) -> None:
        """Count something that a person wrote to the bot, or pressed."""
        self._telegram_updates.labels(channel, kind).inc()

    def silences_active(self, count: int) -> None:
        """Set how many silences hold or drop alerts now."""
        self._silences.set(count)

    def add_template(self, template: str) -> None:
        """Create the child of a template that is configured."""
        self._template_failures.labels(template)

    def template_failed(self, template: str) -> None:
        """Count a template that failed; the alert was told in the built-in text."""
        self._template_failures.labels(template).inc()

    def config_reloaded(self, *, loaded: bool) -> None:
        """Count a reload of the configuration: it came into force, or it was refused."""
        self._reloads.labels(_RELOADED[loaded]).inc()

    def config_loaded(self, at_us: int) -> None:
        """Set when the configuration in force was read."""
        self._config_loaded.set(at_us / 1e6)

    # --- receipts -------------------------------------------------------------------------------------------

    def receipt(self, channel: str, receipt: Receipt, delivered: int, accepted_us: int | None, now_us: int) -> None:
        """Count a receipt that was news, and how many deliveries became `delivered` by it, and after how long."""
        self._receipts.labels(channel, receipt.state.value).inc()
        if delivered:
            self.entered(channel, DeliveryState.DELIVERED, delivered)
        if delivered and accepted_us is not None:
            at_us = now_us if receipt.at_us is None else min(receipt.at_us, now_us)
            self._receipt_seconds.labels(channel).observe(max(at_us - accepted_us, 0) / 1e6)

    def receipts_waiting(self, channel: str, count: int) -> None:
        """Set how many accepted messages have no final receipt yet."""
        self._receipts_waiting.labels(channel).set(count)

    def add_webhook(self, provider: str) -> None:
        """Create the children of a provider whose webhook is configured."""
        for result in WebhookResult:
            self._webhooks.labels(provider, result.value)

    def webhook(self, provider: str, result: WebhookResult) -> None:
        """Count a webhook call; `provider` is one that `add_webhook` was given, or OTHER_PROVIDER."""
        self._webhooks.labels(provider, result.value).inc()

    # --- the bus --------------------------------------------------------------------------------------------

    def received(self, topics: Iterable[str]) -> None:
        """Count alerts that were stored, by two-level topics."""
        for topic in topics:
            self._received.labels(topic).inc()

    def duplicate(self, count: int = 1) -> None:
        """Count alerts that were already stored."""
        self._duplicate.inc(count)

    def replayed(self, count: int = 1) -> None:
        """Count alerts that came again because we asked."""
        self._replayed.inc(count)

    def lost(self, count: int) -> None:
        """Count alerts that nobody holds any more."""
        self._lost.inc(count)

    def invalid(self, reason: str) -> None:
        """Count a message that was not as it must be; `reason` is one of `bus.wire.INVALID_REASONS`."""
        self._invalid.labels(reason).inc()

    def publisher(
        self, source: str, *, up: bool, journal_alerts: int | None = None, refused: int | None = None
    ) -> None:
        """Set what a publisher's heartbeat told."""
        source = self._known_source(source)
        self._publisher_up.labels(source).set(up)
        if journal_alerts is not None:
            self._journal.labels(source).set(journal_alerts)
        if refused is not None:
            self._refused.labels(source).set(refused)

    def publisher_hung(self, source: str, *, hung: bool) -> None:
        """Set whether a publisher's trading loop is past its limit."""
        self._publisher_hung.labels(self._known_source(source)).set(hung)

    # --- the daemon -----------------------------------------------------------------------------------------

    def store_error(self) -> None:
        """Count a time that the database could not be used."""
        self.store_errors += 1
        self._store_errors.inc()

    def pinged(self, last_success_us: int | None, new_failures: int) -> None:
        """Set when the daemon's own address last took a ping, and count the pings that failed since."""
        self._pinged.set((last_success_us or 0) / 1e6)
        self._ping_failures.inc(new_failures)

    def audited(self, faults: int, ended_us: int) -> None:
        """Set what an audit of the ledger found, and when it ended."""
        self._audit_faults.set(faults)
        self._audited.set(ended_us / 1e6)

    def lease_lost(self) -> None:
        """Count a result that was dropped because another worker holds the delivery now."""
        self._leases_lost.inc()

    def dry_run(self, *, on: bool) -> None:
        """Set whether nothing is really sent."""
        self._dry_run.set(on)

    def event_streams(self, count: int) -> None:
        """Set how many streams of events are open."""
        self._event_streams.set(count)

    def event_stream_refused(self) -> None:
        """Count a stream of events that found no room."""
        self._streams_refused.inc()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics in the format that a scraper accepts, and its content type."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    def _known_source(self, source: str) -> str:
        if source not in self._sources:
            if len(self._sources) >= MOST_SOURCES:
                return OTHER_SOURCE
            self._sources.add(source)
        return source

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"alertbus_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"alertbus_{name}", text, labels, registry=self.registry)
