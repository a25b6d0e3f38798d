"""Metrics of what providers tell later: receipts, and the calls of their webhooks."""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from uuid import UUID

from subscriber.deliveries import DeliveryState
from subscriber.monitoring.metrics.channels import ChannelMetrics
from subscriber.receipts import Receipt, ReceiptState

#: Seconds. A phone that is on has it in seconds; one that was off, when it is switched on.
RECEIPT_BUCKETS: Final = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0)
#: The provider of a webhook call that names none of ours: what a stranger asks for is no label.
OTHER_PROVIDER: Final = "other"


class WebhookResult(StrEnum):
    """What became of a webhook call; a closed set."""

    OK = "ok"
    REFUSED = "refused"  #: no right signature, or a provider without one
    UNREADABLE = "unreadable"  #: too large, too slow, or signed and not understood
    FAILED = "failed"  #: right, but it could not be stored: the provider is to call again


class ReceiptMetrics(ChannelMetrics):
    """What became of messages that were accepted."""

    def __init__(self) -> None:
        """Create the metrics."""
        super().__init__()
        self._receipts = self._counter(
            "receipts", "Receipts of accepted messages, by what they say.", "channel", "state"
        )
        self._webhooks = self._counter(
            "webhook_requests", "Calls of a provider's webhook, by what became of them.", "provider", "result"
        )
        self._receipt_seconds = self._histogram(
            "receipt_seconds",
            "From the provider's acceptance to the receipt that says delivered.",
            RECEIPT_BUCKETS,
            "channel",
        )
        self._receipts_waiting = self._gauge(
            "receipts_waiting", "Accepted messages whose receipts are still asked for or awaited.", "channel"
        )
        self.add_webhook(OTHER_PROVIDER)

    def add_channel(self, channel: str, *, enabled: bool, receipts: bool = False, window: bool = False) -> None:
        """Create a channel's children; of receipts only where there can be any: a zero would say that none came."""
        super().add_channel(channel, enabled=enabled, receipts=receipts, window=window)
        if receipts:
            for receipt_state in ReceiptState:
                self._receipts.labels(channel, receipt_state.value)
            self._receipt_seconds.labels(channel)
            self.receipts_waiting(channel, 0)

    def receipt(
        self,
        channel: str,
        receipt: Receipt,
        delivered: int,
        accepted_us: int | None,
        now_us: int,
        alert_id: UUID | None = None,
    ) -> None:
        """Count a receipt that was news, and how many deliveries became `delivered` by it, and after how long."""
        self._receipts.labels(channel, receipt.state.value).inc()
        if delivered:
            self.entered(channel, DeliveryState.DELIVERED, delivered)
        if delivered and accepted_us is not None:
            at_us = now_us if receipt.at_us is None else min(receipt.at_us, now_us)
            exemplar = None if alert_id is None else {"alert_id": str(alert_id)}
            self._receipt_seconds.labels(channel).observe(max(at_us - accepted_us, 0) / 1e6, exemplar)

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
