"""All metrics of a daemon; every label value that is known exists from the start.

Names are part of the outer contract (docs/design.md). A rate over a counter that appears with its first failure would
start from nothing, so `add_channel` creates a channel's children before anything happens to it.
"""

from __future__ import annotations

from subscriber.monitoring.metrics.bus import BusMetrics
from subscriber.monitoring.metrics.daemon import DaemonMetrics
from subscriber.monitoring.metrics.policy import PolicyMetrics
from subscriber.monitoring.metrics.publishers import PublisherMetrics
from subscriber.monitoring.metrics.receipts import ReceiptMetrics


class Metrics(ReceiptMetrics, PolicyMetrics, BusMetrics, PublisherMetrics, DaemonMetrics):
    """What is counted and measured. Methods are called from any thread."""
