"""What all groups of metrics share: the registry, and how a metric is made."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder


class MetricGroup:
    """Some of the metrics; all groups of one `Metrics` share a registry. Any thread may call the methods."""

    def __init__(self) -> None:
        """Begin a registry without any metric."""
        disable_created_metrics()  # type: ignore[no-untyped-call] # a `_created` series for each child would double the scrape and says little
        self.registry = CollectorRegistry()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics in the format that a scraper accepts, and its content type."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"alertbus_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"alertbus_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"alertbus_{name}", text, labels, buckets=buckets, registry=self.registry)
