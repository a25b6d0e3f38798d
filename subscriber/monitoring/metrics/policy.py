"""Metrics of what people and rules decide: digests, escalations, acknowledgements, silences, templates, the bot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from subscriber.deliveries import DigestKind
from subscriber.monitoring.metrics.channels import ChannelMetrics

#: By which ways a person can say that an alert is known.
ACKNOWLEDGED_VIA: Final = ("api", "cli", "page", "telegram")


class PolicyMetrics(ChannelMetrics):
    """What was decided about alerts, and by whom."""

    def __init__(self) -> None:
        """Create the metrics and the children whose labels are known."""
        super().__init__()
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
        self._silences = self._gauge("silences_active", "Silences that hold or drop alerts now.")
        self._unacknowledged = self._gauge(
            "unacknowledged_critical_alerts", "CRITICALs of the last day that nobody acknowledged yet."
        )
        self._unacknowledged_oldest = self._gauge(
            "unacknowledged_critical_oldest_timestamp_seconds",
            "When the oldest CRITICAL of the last day that nobody acknowledged was stored; 0 when there is none.",
        )
        for via in ACKNOWLEDGED_VIA:
            self._acknowledgements.labels(via)

    def add_channel(self, channel: str, *, enabled: bool, receipts: bool = False, window: bool = False) -> None:
        """Create a channel's children, all at 0."""
        super().add_channel(channel, enabled=enabled, receipts=receipts, window=window)
        for kind in DigestKind:
            self._digests.labels(channel, kind.value)
            self._digest_alerts.labels(channel, kind.value)
        self._escalations.labels(channel)

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

    def unacknowledged_critical(self, count: int, oldest_us: int | None) -> None:
        """Set how many CRITICALs wait for a person, and since when the oldest one does."""
        self._unacknowledged.set(count)
        self._unacknowledged_oldest.set((oldest_us or 0) / 1e6)

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
