"""The sign of life never holds up the stop, whatever hangs."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from subscriber.monitoring import pinging
from tests.support.clock import FakeClock
from tests.support.ping_server import TOKEN, PingServer, Slow
from tests.support.pingers import Build, pingers
from tests.support.waiting import wait_until


@pytest.fixture
def server() -> Iterator[PingServer]:
    with PingServer() as running:
        yield running


@pytest.fixture
def build(server: PingServer) -> Iterator[Build]:
    with pingers(server.url) as build_one:
        yield build_one


def test_pinger_stopped_while_a_server_hangs_ends_at_once(
    server: PingServer, build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    """The deadline is far away: only the stop can have ended the request. It is no failure."""
    server.answers.append(Slow.HANG)
    pinger = build(deadline_seconds=3600)
    pinger.start()
    wait_until(lambda: server.count == 1)
    pinger.stop()
    assert not pinger._thread.is_alive()
    assert server.gave_up.wait(10)
    assert (pinger.failures, caplog.records) == (0, [])


def test_pinger_stopped_while_a_name_server_hangs_leaves_its_thread_behind(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can end the system's name resolution; the process can end all the same."""
    monkeypatch.setattr(pinging, "_JOIN_SECONDS", 0.05)
    asked, answered = threading.Event(), threading.Event()

    def resolve(*_arguments: object, **_options: object) -> list[object]:
        asked.set()
        answered.wait(30)
        return []

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    pinger = build(f"http://ping.invalid/{TOKEN}")
    pinger.start()
    assert asked.wait(10)
    pinger.stop()
    left = [thread for thread in threading.enumerate() if thread.name in {"ping", "lane:ping:1"}]
    assert left
    assert all(thread.daemon for thread in left)
    answered.set()
    wait_until(lambda: not any(thread.is_alive() for thread in left))


def test_pinger_whose_name_server_hangs_goes_on_counting(
    build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request has its deadline, and when no lane is free, nothing is begun."""
    answered = threading.Event()

    def resolve(*_arguments: object, **_options: object) -> list[object]:
        answered.wait(30)
        return []

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    monkeypatch.setattr("subscriber.channels.lanes.GRACE_SECONDS", 0.01)
    clock = FakeClock()
    pinger = build(f"http://ping.invalid/{TOKEN}", clock=clock, deadline_seconds=0.05)
    pinger.start()
    wait_until(lambda: pinger.failures >= 3)
    clock.advance(60)
    wait_until(lambda: len(caplog.records) == 2)
    answered.set()
    assert [vars(record)["why"] for record in caplog.records] == [
        "no answer within 0.05 s",
        "earlier requests still hang",
    ]


def test_pinger_stopped_before_its_start_asks_nothing(server: PingServer, build: Build) -> None:
    pinger = build()
    pinger.ask_to_stop()
    pinger.start()
    pinger.stop()
    pinger.stop()
    assert not pinger._thread.is_alive()
    assert server.count == 0


def test_pinger_never_started_can_be_stopped(build: Build) -> None:
    build().stop()


def test_pinger_stopped_while_it_looks_neither_asks_nor_logs(
    server: PingServer, build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    """A daemon that stops is not ready, which nobody needs to read."""
    looking, go_on = threading.Event(), threading.Event()
    given: list[list[str]] = [["The daemon is starting or stopping."], []]

    def not_ready() -> list[str]:
        looking.set()
        go_on.wait(10)
        return given.pop()

    for _ in range(2):
        looking.clear()
        go_on.clear()
        pinger = build(not_ready=not_ready)
        pinger.start()
        assert looking.wait(10)
        pinger.ask_to_stop()
        go_on.set()
        pinger.stop()
        assert not pinger._thread.is_alive()
        assert (server.count, pinger.failures, caplog.records) == (0, 0, [])
