"""What a scrape of the metrics costs: milliseconds and bytes of `GET /metrics`, and how both grow.

With 2 and with 50 channels, without and with 100 publishers, in both formats. The yardstick, measured in the same run,
is a program that has the same lines and does nothing but write their labels and values: as many f-strings.

    python -m pytest -m benchmark -s tests/benchmarks/test_scrape.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
import pytest

from bus.alerts import Severity
from bus.clock import SystemClock
from subscriber.deliveries import DeliveryState, Reason
from subscriber.monitoring.access import Access
from subscriber.monitoring.api import ApiParts, build_app
from subscriber.monitoring.channels_api import ChannelParts
from subscriber.monitoring.metrics import Metrics
from subscriber.monitoring.trial_api import TrialParts
from subscriber.store import Store
from tests.support.serving import serving

pytestmark = pytest.mark.benchmark

_FORMATS: Final = {"classic": "text/plain", "OpenMetrics": "application/openmetrics-text; version=1.0.0"}
_CHANNELS: Final = (2, 50)
_PUBLISHERS: Final = (0, 100)
_SCRAPES: Final = 30
#: The goal: a scrape with many channels to the yardstick; with few, the request itself is what costs.
_MOST_RATIO: Final = 60.0


class Cost(NamedTuple):
    """Of one scrape."""

    seconds: float  #: the least
    bytes: int
    series: int
    ratio: float  #: to the yardstick


def filled(channels: int, publishers: int) -> Metrics:
    """Return the metrics of a daemon at work: every child has a value, and what has exemplars has one."""
    metrics = Metrics()
    for number in range(channels):
        name = f"channel-{number}"
        metrics.add_channel(name, enabled=True, receipts=True, window=True)
        for severity in Severity:
            metrics.accepted(name, severity, 1.4 + number, "01a2073d-f118-7d31-b649-d533945df020")
        metrics.attempt_finished(name, Reason.ACCEPTED, 0.2, "01a2073d-f118-7d31-b649-d533945df020")
        metrics.entered(name, DeliveryState.ACCEPTED, 12_345)
        metrics.channel_succeeded(name, 1_760_000_000_123_456)
    for number in range(publishers):
        source = f"trader-{number}"
        metrics.publisher(source, up=True, journal_alerts=number)
        metrics.publisher_heard(source, at_us=1_760_000_000_123_456, volatile=False, clock_offset_seconds=0.001)
        metrics.publisher_counted(source, refused=1, timed=10, publish_seconds=0.001, longest_seconds=0.0003)
        metrics.publisher_hung(source, hung=False)
        metrics.publisher_silent(source, silent=False)
    return metrics


def timed(act: Callable[[], Any]) -> float:
    """Return the least of its seconds: whatever else the machine does only adds to them."""
    seconds = []
    for _ in range(_SCRAPES):
        begin = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def yardstick(metrics: Metrics) -> float:
    """Return the seconds of writing as many lines, whose parts are there already."""
    lines = [
        (sample.name, tuple(sample.labels.items()), sample.value)
        for family in metrics.registry.collect()
        for sample in family.samples
    ]

    def write() -> bytes:
        return "".join(
            f"{name}{{{words}}} {value}\n"
            for name, labels, value in lines
            for words in [",".join([f'{label}="{word}"' for label, word in labels])]
        ).encode()

    return timed(write)


def cost(client: httpx2.Client, metrics: Metrics, accept: str) -> Cost:
    def scrape() -> bytes:
        answer = client.get("/metrics", headers={"accept": accept})
        assert answer.status_code == 200
        return answer.content

    content = scrape()
    series = sum(not line.startswith(b"#") for line in content.splitlines())
    seconds = timed(scrape)
    return Cost(seconds, len(content), series, seconds / yardstick(metrics))


def test_scrape_costs(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    found: dict[tuple[int, int, str], Cost] = {}
    for channels in _CHANNELS:
        for publishers in _PUBLISHERS:
            metrics = filled(channels, publishers)
            parts = ApiParts(
                store=Store(f"sqlite:///{tmp_path / 'unused.db'}"),  # a scrape asks no database
                metrics=metrics,
                access=Access(None),
                not_ready=list,
                channels=ChannelParts(
                    names=(),
                    status=dict,
                    resume=lambda *_given: False,
                    switch=lambda *_given: {},
                    was_known=lambda _name: False,
                ),
                trial=TrialParts(
                    channels=(), send_test=lambda *_given: {}, send_routed=lambda *_given: {}, clock=SystemClock()
                ),
            )
            with serving(build_app(parts)) as client:
                for name, accept in _FORMATS.items():
                    found[channels, publishers, name] = cost(client, metrics, accept)
    print("\nchannels  publishers  format       series     bytes       ms  to the yardstick")
    for (channels, publishers, name), each in found.items():
        print(
            f"{channels:8}  {publishers:10}  {name:11}  {each.series:6}  {each.bytes:8}  "
            f"{each.seconds * 1000:7.2f}  {each.ratio:16.1f}"
        )
    few, many = _CHANNELS
    for name in _FORMATS:
        small, large = found[few, 0, name], found[many, 0, name]
        more = many - few
        told = (
            f"{name}: {small.seconds * 1000:.1f} ms and {small.bytes:,} bytes with {few} channels, "
            f"{large.seconds * 1000:.1f} ms and {large.bytes:,} bytes with {many}; each channel more: "
            f"{(large.seconds - small.seconds) / more * 1000:.2f} ms, {(large.bytes - small.bytes) // more:,} bytes, "
            f"{(large.series - small.series) // more} series"
        )
        print(told)
        record_property("ci_line", f"scrape of /metrics, {told}")
    assert max(each.ratio for (channels, *_), each in found.items() if channels == many) < _MOST_RATIO
