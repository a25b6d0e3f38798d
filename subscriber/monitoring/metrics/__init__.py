"""The daemon's metrics: what is counted and measured, in groups, on one registry of their own."""

from subscriber.monitoring.metrics.bus import BATCH_BUCKETS
from subscriber.monitoring.metrics.channels import ATTEMPT_BUCKETS, END_TO_END_BUCKETS
from subscriber.monitoring.metrics.daemon import alertbus_version
from subscriber.monitoring.metrics.metrics import Metrics
from subscriber.monitoring.metrics.policy import ACKNOWLEDGED_VIA
from subscriber.monitoring.metrics.publishers import MOST_SOURCES, OTHER_SOURCE
from subscriber.monitoring.metrics.receipts import OTHER_PROVIDER, RECEIPT_BUCKETS, WebhookResult

__all__ = [
    "ACKNOWLEDGED_VIA",
    "ATTEMPT_BUCKETS",
    "BATCH_BUCKETS",
    "END_TO_END_BUCKETS",
    "MOST_SOURCES",
    "OTHER_PROVIDER",
    "OTHER_SOURCE",
    "RECEIPT_BUCKETS",
    "Metrics",
    "WebhookResult",
    "alertbus_version",
]
