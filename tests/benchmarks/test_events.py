"""From publish() to the event on an open stream, and what 64 open streams cost the intake of a storm.

The yardstick of the first is how long the same alert took to be stored on the same machine. EVENTS_ALERTS sets how many
alerts a storm has.

    python -m pytest -m benchmark -s tests/benchmarks/test_events.py
"""

from __future__ import annotations

import os
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from bus.alerts import RiskEvent
from publisher import Publisher
from subscriber.monitoring.feed import MOST_STREAMS
from tests.support.alerts import risk_event
from tests.support.event_stream import EventStream, opened
from tests.support.running_service import DaemonProcess, daemon_process
from tests.support.waiting import wait_until

pytestmark = pytest.mark.benchmark

_STORM: Final = int(os.environ.get("EVENTS_ALERTS", "10000"))
_ONE_BY_ONE: Final = 30
_ROUNDS: Final = 2
_PATIENCE_SECONDS: Final = 120.0
#: Goals: seconds from publish() to the event while nothing else happens; the storm's time with listeners to without.
_EVENT_SECONDS: Final = 0.3
_STORM_RATIO: Final = 1.25


def alert() -> RiskEvent:
    return risk_event(severity="INFO")


def of(daemon: DaemonProcess) -> Publisher:
    return Publisher.from_environment(daemon.environ)


def test_event_is_on_the_wire_soon_after_publish(tmp_path: Path) -> None:
    with daemon_process({}, tmp_path, "--dry-run") as daemon, of(daemon) as publisher:
        publisher.publish(alert(), wait=_PATIENCE_SECONDS)
        with EventStream(daemon.url) as stream:
            stream.wait_for("status")
            seconds: dict[str, float] = {}
            for _ in range(_ONE_BY_ONE):
                sent, at = alert(), time.monotonic()
                publisher.publish(sent)
                key = str(sent.id)
                wait_until(lambda: key in stream.alerts(), _PATIENCE_SECONDS)  # noqa: B023 - called at once
                first = next(event for event in stream.of("alert") if event.data["alert"]["id"] == key)
                seconds[key] = first.at - at
                assert not stream.ended.wait(0.3), "it is to be at rest again"
            stored = [(entry["stored_us"] - entry["published_us"]) / 1e6 for entry in stream.alerts().values()]
    median, worst, yardstick = statistics.median(seconds.values()), max(seconds.values()), statistics.median(stored)
    print(f"\nevent after {median:.3f} s (median), {worst:.3f} s (worst); stored after {yardstick:.3f} s (median)")
    assert median < _EVENT_SECONDS


def _drain(streams: Sequence[socket.socket], over: threading.Event) -> None:
    """Take what the streams say and do nothing with it: the publisher of the storm shares this process."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ, stream)
        while streams and not over.is_set():
            for key, _ in selector.select(0.5):
                taken = key.data.recv(1 << 20)
                if not taken:
                    selector.unregister(key.fileobj)


def storm_seconds(tmp_path: Path, listeners: int) -> float:
    """Return how long a daemon took to store a storm while so many listened."""
    tmp_path.mkdir()
    with daemon_process({}, tmp_path, "--dry-run") as daemon, ExitStack() as stack:
        streams = [stack.enter_context(opened(daemon.url)) for _ in range(listeners)]
        wait_until(lambda: daemon.metric("alertbus_event_streams") == listeners, _PATIENCE_SECONDS)
        over = threading.Event()
        stack.callback(over.set)
        threading.Thread(target=_drain, args=(streams, over), daemon=True).start()
        publisher = stack.enter_context(of(daemon))
        publisher.publish(alert(), wait=_PATIENCE_SECONDS)
        began = time.monotonic()
        for _ in range(_STORM):
            while not publisher.publish(alert()):
                publisher.flush(1.0)
        assert publisher.publish(alert(), wait=_PATIENCE_SECONDS)
        return time.monotonic() - began


def test_storm_is_stored_as_quickly_while_all_streams_are_open(tmp_path: Path) -> None:
    alone, watched = [], []
    for number in range(_ROUNDS):
        alone.append(storm_seconds(tmp_path / f"alone-{number}", 0))
        watched.append(storm_seconds(tmp_path / f"watched-{number}", MOST_STREAMS))
    ratio = statistics.median(watched) / statistics.median(alone)
    print(f"\n{_STORM} alerts: {alone} s alone, {watched} s with {MOST_STREAMS} streams; ratio {ratio:.2f}")
    assert ratio < _STORM_RATIO
