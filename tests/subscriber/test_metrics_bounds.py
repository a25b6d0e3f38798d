"""How many series a daemon can have: all of them from the start, but for publishers, whatever strangers send."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bus.alerts import Severity
from bus.topics import KNOWN_LEVELS
from bus.wire import INVALID_REASONS
from subscriber.deliveries import DeliveryState, DigestKind, Reason, Why
from subscriber.monitoring.metrics import (
    ACKNOWLEDGED_VIA,
    ATTEMPT_BUCKETS,
    BATCH_BUCKETS,
    END_TO_END_BUCKETS,
    MOST_SOURCES,
    OTHER_SOURCE,
    RECEIPT_BUCKETS,
    Metrics,
    WebhookResult,
)
from subscriber.receipts import ReceiptState
from tests.support.alerts import agent_action, risk_event
from tests.support.provider_faults import error, garbage
from tests.support.provider_server import ProviderServer
from tests.support.running_service import PATIENCE_SECONDS, PREFIX, ServiceThread, provider_environ, running_service
from tests.support.scripted_publisher import ScriptedPublisher
from tests.support.waiting import wait_until

SOURCES: Final = 10_000
Series = tuple[str, frozenset[tuple[str, str]]]

#: Samples of a histogram's child beside its buckets: +Inf, the sum and the count.
_BESIDE: Final = 3
#: Gauges and counters that each channel has one of, and the window of WhatsApp.
_ONE_OF_EACH_CHANNEL: Final = 12
_ONE_OF_EACH_SOURCE: Final = 11
#: Heartbeats that are sent before their answers are read.
_AT_ONCE: Final = 200


def most_series(channels: int, sources: int, *, providers: int = 3) -> int:
    """Return how many series of ours a daemon has at most.

    For each channel 129 with receipts and a window: what attempts end as, the states of deliveries and why they are
    suppressed, three severities end to end, one request, receipts, digests, and a gauge for each thing that it can be.
    For each of the first 100 sources, and for all others together, 11. And fewer than 100 that there are once,
    templates and the words of the bot aside, of which there are as many as the operator configured.

    Args:
        channels: In the settings.
        sources: Publishers that were heard, whatever they call themselves.
        providers: Whose webhooks are configured.
    """
    of_a_channel = (
        len(Reason)
        + len(DeliveryState)
        + len(Why)
        + len(Severity) * (len(END_TO_END_BUCKETS) + _BESIDE)
        + (len(ATTEMPT_BUCKETS) + _BESIDE)
        + (len(RECEIPT_BUCKETS) + _BESIDE)
        + len(ReceiptState)
        + 1  # receipts that are waited for
        + 2 * len(DigestKind)
        + 1  # escalations
        + _ONE_OF_EACH_CHANNEL
    )
    once = (
        (len(KNOWN_LEVELS) + 1)
        + len(INVALID_REASONS)
        + (len(BATCH_BUCKETS) + _BESIDE)
        + len(WebhookResult) * (providers + 1)
        + len(ACKNOWLEDGED_VIA)
        + 45  # what has no label, or few words of its own
    )
    return channels * of_a_channel + min(sources, MOST_SOURCES + 1) * _ONE_OF_EACH_SOURCE + once


def series_of(scrape: str) -> set[Series]:
    return {
        (sample.name, frozenset(sample.labels.items()))
        for family in text_string_to_metric_families(scrape)
        for sample in family.samples
        if sample.name.startswith("alertbus_")
    }


def scraped(daemon: ServiceThread) -> set[Series]:
    return series_of(daemon.http.get("/metrics").text)


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def daemon(providers: ProviderServer, tmp_path: Path) -> Iterator[ServiceThread]:
    with running_service(provider_environ(providers), tmp_path) as running:
        yield running


def endpoints(daemon: ServiceThread) -> tuple[str, str]:
    return daemon.environ["ALERTBUS_DATA_ENDPOINT"], daemon.environ["ALERTBUS_CONTROL_ENDPOINT"]


# --- all of them from the start -----------------------------------------------------------------------------------


def test_series_of_a_daemon_are_all_there_when_it_is_ready(daemon: ServiceThread, providers: ProviderServer) -> None:
    """A rate of what appears with its first event would begin from nothing, so an alert on it would miss that event."""
    at_start = scraped(daemon)
    providers.telegram.script(error(503), error(400))
    with ScriptedPublisher(endpoints(daemon)) as trader:
        trader.alerts = {
            1: risk_event(source="trader-1"),
            2: risk_event(source="trader-1", severity="WARNING"),
            3: agent_action(source="trader-1"),
            4: risk_event(source="trader-1", severity="INFO"),
        }
        trader.publish(1, 2, 3, 4)
        trader.meet()
        trader.wait_for_ack(4)
    daemon.post("/silences", {"match": {"symbol": "X"}, "seconds": 60, "author": "kim", "reason": "test"})
    newest = daemon.history()[0]["alert"]["id"]
    daemon.post(f"/alerts/{newest}/ack", {"author": "kim", "via": "api"})
    daemon.patch("/channels/whatsapp", {"enabled": False})
    daemon.http.post(f"{PREFIX}/reload", json={"author": "kim"})
    daemon.http.get("/nowhere")

    def told() -> bool:
        accepted = daemon.metric("alertbus_deliveries_total", channel="telegram", state="accepted")
        return (accepted or 0) >= 2

    wait_until(told, PATIENCE_SECONDS)
    appeared = scraped(daemon) - at_start
    assert appeared
    assert {name for name, _ in appeared} == {name for name, _ in appeared if name.startswith("alertbus_publisher_")}
    assert at_start - scraped(daemon) == set()


# --- and no more, whatever comes ----------------------------------------------------------------------------------


def test_series_stay_bounded_whatever_strangers_send(daemon: ServiceThread, providers: ProviderServer) -> None:
    """By every way in: the bus, both connections of it, HTTP, the providers' answers, and the log."""
    at_start = scraped(daemon)
    assert len(at_start) <= most_series(2, 0, providers=0)
    _sources(daemon)
    _bus(daemon)
    _http(daemon)
    _answers(daemon, providers)
    for level in range(1, 120, 3):
        logging.getLogger(f"subscriber.level{level}").log(level, "a level of its own")

    def busy() -> bool:
        return (daemon.metric("alertbus_attempts_total", channel="telegram", outcome="unavailable") or 0) >= 1

    wait_until(busy, PATIENCE_SECONDS)
    daemon.service._parts.measure()
    at_end = scraped(daemon)
    of_sources = {each for each in at_end if each[0].startswith("alertbus_publisher_")}
    assert {name for name, _ in at_end - at_start - of_sources} == set()
    assert {dict(labels)["source"] for _, labels in of_sources} >= {"trader-0", OTHER_SOURCE}
    assert len({dict(labels)["source"] for _, labels in of_sources}) <= MOST_SOURCES + 1
    assert len(at_end) <= most_series(2, SOURCES, providers=0)


def _sources(daemon: ServiceThread) -> None:
    """Beat under many names: under a stream for each, as publishers do, and then nearly all under one, as none does."""
    known = daemon.service._parts.correspondence._streams
    with ScriptedPublisher(endpoints(daemon), stream=b"\xfd" * 16) as stranger:
        for number in range(SOURCES):
            own = number < 2 * MOST_SOURCES or number % _AT_ONCE == _AT_ONCE - 1
            stream = number.to_bytes(16, "big") if own else stranger.stream
            stranger.beat(stream=stream, source=f"trader-{number}", store_id="f" * 32)
            if (
                number % _AT_ONCE == _AT_ONCE - 1
            ):  # heard in their order; and the answers are read before there are more
                wait_until(partial(known.__contains__, stream), PATIENCE_SECONDS)
                stranger.listen()


def _bus(daemon: ServiceThread) -> None:
    """Send topics, kinds and bodies that nobody knows."""
    before = daemon.metric("alertbus_messages_invalid_total", reason=INVALID_REASONS[0]) or 0
    with ScriptedPublisher(endpoints(daemon), stream=b"\xfe" * 16, source="stranger") as stranger:
        for number in range(1, 51):
            frames = stranger.frames(number)
            stranger.send_data([f"severity.UNKNOWN{number}.".encode(), *frames[1:]])
            stranger.send_data([f"other{number}.topic.".encode(), *frames[1:]])
            stranger.send_data([frames[0], b"\xff" * number, frames[2]])
            stranger.send_data([frames[0], frames[1], b"\xc1" * number])
            stranger.send_data([b"x"] * (number % 7 + 1))
            stranger.send_control([b"\xc1" * number])
        stranger.alerts[51] = risk_event(source="stranger", event_type="E" * 60, symbol="S" * 10, severity="CRITICAL")
        stranger.publish(51)
        stranger.meet()
    wait_until(lambda: _invalid(daemon) > before, PATIENCE_SECONDS)


def _invalid(daemon: ServiceThread) -> float:
    return sum(daemon.metric("alertbus_messages_invalid_total", reason=reason) or 0 for reason in INVALID_REASONS)


def _http(daemon: ServiceThread) -> None:
    """Ask for paths, providers, methods and ways of acknowledging that there are not."""
    for number in range(100):
        assert daemon.http.get(f"/path{number}?q={number}").status_code == 404
        assert daemon.http.post(f"/webhooks/provider{number}").status_code == 404
        refused = daemon.http.post(f"{PREFIX}/alerts/{uuid4()}/ack", json={"author": "x", "via": f"way{number}"})
        assert refused.status_code == 422
        assert daemon.http.patch(f"{PREFIX}/channels/channel{number}", json={"enabled": False}).status_code == 404
        assert daemon.http.request(f"METHOD{number}", "/metrics").status_code == 405
        assert daemon.http.get("/metrics", headers={"accept": f"application/x{number}"}).status_code == 200
    place = ("127.0.0.1", int(daemon.environ["ALERTBUS_HTTP_PORT"]))
    with closing(socket.create_connection(place, PATIENCE_SECONDS)) as stranger:
        stranger.sendall(b"\xff\xfe\r\n\r\n")
        assert stranger.recv(4096)


def _answers(daemon: ServiceThread, providers: ProviderServer) -> None:
    """Let providers answer what no provider answers."""
    providers.telegram.script(garbage(), error(418), error(511, body=b"\xff"), error(503))
    providers.telegram.always(error(500))
    daemon.post("/test", {"channel": "telegram"})


def test_bound_of_series_is_near_what_there_are() -> None:
    """A bound that is far off would let a new metric with a label of many values through."""
    metrics = Metrics()
    few = len(_series_of(metrics))
    channels = 50
    for number in range(channels):
        metrics.add_channel(f"channel{number}", enabled=True, receipts=True, window=True)
    of_a_channel = (len(_series_of(metrics)) - few) / channels
    for number in range(SOURCES):
        metrics.publisher(f"trader-{number}", up=True, journal_alerts=1)
        metrics.publisher_heard(f"trader-{number}", at_us=1, volatile=False, clock_offset_seconds=0.0)
        metrics.publisher_counted(f"trader-{number}", refused=0, timed=0, publish_seconds=0.0, longest_seconds=0.0)
        metrics.publisher_hung(f"trader-{number}", hung=False)
        metrics.publisher_silent(f"trader-{number}", silent=False)
    found, bound = len(_series_of(metrics)), most_series(channels, SOURCES, providers=0)
    assert of_a_channel == most_series(2, 0) - most_series(1, 0)
    assert found <= bound <= found + 40


def _series_of(metrics: Metrics) -> set[Series]:
    return series_of(metrics.exposition("")[0].decode())
