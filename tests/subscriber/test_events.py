"""The event streams over real HTTP: what is told, what a reconnect tells, how many there may be, and their end."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from subscriber.monitoring.events_models import EVENTS
from subscriber.monitoring.feed import MOST_STREAMS
from subscriber.monitoring.reader import MOST_TOLD
from subscriber.service import RunOptions
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.event_stream import PATH, EventStream, opened
from tests.support.provider_server import ProviderServer
from tests.support.running_service import (
    PATIENCE_SECONDS,
    PREFIX,
    ServiceThread,
    daemon_process,
    provider_environ,
    running_service,
)
from tests.support.waiting import wait_until

TOKEN = "a-long-random-word"
READ_TOKEN = "another-long-random-word"


@pytest.fixture(scope="module")
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def daemon(providers: ProviderServer, tmp_path: Path) -> Iterator[ServiceThread]:
    with running_service(provider_environ(providers), tmp_path) as running:
        yield running


def beside(daemon: ServiceThread) -> Store:
    """Return the daemon's database as another daemon of it has it."""
    return Store(daemon.environ["ALERTBUS_DATABASE_URL"])


def reads(daemon: ServiceThread) -> bool:
    """Whether a thread reads the store for listeners."""
    return any(thread.name == "events" for thread in threading.enumerate())


def _crowd() -> int:
    """Return how many sockets the test may hold at once, ten thousand at most."""
    if sys.platform == "win32":
        return 2_000
    import resource  # noqa: PLC0415 - Windows lacks it

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 10_000 if soft == resource.RLIM_INFINITY else min(10_000, soft // 2)


def switch(daemon: ServiceThread, channel: str) -> None:
    """Switch a channel off."""
    assert daemon.http.patch(f"{PREFIX}/channels/{channel}", json={"enabled": False}).status_code == 200


def statuses(entry: Any) -> list[str]:
    return [delivery["status"] for delivery in entry["deliveries"]]


def test_stream_begins_with_who_speaks_and_the_whole_status(daemon: ServiceThread) -> None:
    with EventStream(daemon.url) as stream:
        stream.wait_for("status")
        assert [event.kind for event in stream.heard[:2]] == ["hello", "status"]
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        status = daemon.get("/status")
        assert stream.heard[0].data == {name: status[name] for name in ("version", "store_id", "started_at")}
        assert stream.heard[1].data.keys() == status.keys()
        assert stream.heard[1].data["access"] == {"scope": "operate"}
        assert status["events"] == {"open": 1, "most": MOST_STREAMS}
        assert daemon.metric("alertbus_event_streams") == 1
    wait_until(lambda: daemon.metric("alertbus_event_streams") == 0, PATIENCE_SECONDS)


def test_stream_tells_an_alert_as_the_history_does(daemon: ServiceThread) -> None:
    """From stored to accepted, the last word being what stands in the history."""
    with EventStream(daemon.url) as stream:
        stream.wait_for("status")
        alert_id = daemon.post("/test", {"channel": "telegram"})["alert_id"]
        wait_until(lambda: stream.alerts().get(alert_id) == daemon.history()[0], PATIENCE_SECONDS)
        assert statuses(stream.alerts()[alert_id]) == ["accepted"]
        assert stream.last_id is not None


def test_stream_tells_what_another_daemon_of_the_database_stored(daemon: ServiceThread) -> None:
    """Nothing wakes this daemon: it looks by itself."""
    with EventStream(daemon.url) as stream, beside(daemon) as store:
        stream.wait_for("status")
        item = incoming(risk_event(), 1, planned=())
        store.accept([item])
        wait_until(lambda: str(item.alert.id) in stream.alerts(), PATIENCE_SECONDS)


def test_stream_tells_of_a_change_that_a_person_made(daemon: ServiceThread) -> None:
    with EventStream(daemon.url) as stream:
        stream.wait_for("status")
        switch(daemon, "telegram")
        (change, *_) = stream.wait_for("change")
        assert change.data == {"what": "channels"}


def test_every_event_is_as_it_is_documented(daemon: ServiceThread) -> None:
    with EventStream(daemon.url, last_event_id="stranger") as stream:
        stream.wait_for("reset")
        daemon.post("/test", {"channel": "telegram"})
        switch(daemon, "telegram")
        stream.wait_for("change")
        stream.wait_for("alert")
        for event in list(stream.heard):
            EVENTS[event.kind].model_validate_json(json.dumps(event.data))
        assert {event.kind for event in stream.heard} == EVENTS.keys()


def test_reconnect_tells_what_changed_meanwhile(daemon: ServiceThread) -> None:
    """What was stored, and an alert that was told before and is acknowledged since."""
    with beside(daemon) as store:
        known = incoming(risk_event(), 1, planned=())
        store.accept([known])
        with EventStream(daemon.url) as stream:
            stream.wait_for("status")
            first = daemon.post("/test", {"channel": "telegram"})["alert_id"]
            wait_until(lambda: first in stream.alerts(), PATIENCE_SECONDS)
            last_id = stream.last_id
        missed = incoming(risk_event(), 2, planned=())
        store.accept([missed])
        store.acknowledge(known.alert.id, "anna", "api", "")
    with EventStream(daemon.url, last_event_id=last_id) as stream:
        wait_until(lambda: {str(missed.alert.id), str(known.alert.id)} <= stream.alerts().keys(), PATIENCE_SECONDS)
        assert stream.of("reset") == []
    with EventStream(daemon.url, query=f"?after={last_id}") as stream:
        wait_until(lambda: str(missed.alert.id) in stream.alerts(), PATIENCE_SECONDS)


@pytest.mark.parametrize("given", ["stranger", "0-0-0", "ffffffff-1-1-1-1-1-1", "1"])
def test_reconnect_with_an_id_that_means_nothing_is_told_to_read_again(daemon: ServiceThread, given: str) -> None:
    with EventStream(daemon.url, last_event_id=given) as stream:
        stream.wait_for("reset")
        assert stream.last_id is not None, "from here on it can come again"


def test_reconnect_after_more_than_is_told_one_by_one_is_told_to_read_again(daemon: ServiceThread) -> None:
    with EventStream(daemon.url) as stream:
        stream.wait_for("hello")
        last_id = stream.last_id
    with beside(daemon) as store:
        store.accept([incoming(risk_event(), number, planned=()) for number in range(1, MOST_TOLD + 2)])
    with EventStream(daemon.url, last_event_id=last_id) as stream:
        stream.wait_for("reset")
        assert stream.of("alert") == []


def test_only_the_last_event_of_a_look_says_that_all_of_it_was_told(daemon: ServiceThread) -> None:
    """Whoever is cut off between two events of one look is told the second one again."""
    with EventStream(daemon.url) as stream:
        stream.wait_for("hello")
        begin = stream.last_id
    alerts = [incoming(risk_event(), number, planned=()) for number in (1, 2, 3)]
    with beside(daemon) as store:
        store.accept(alerts)
    with EventStream(daemon.url, last_event_id=begin) as stream:
        first, second, third = stream.wait_for("alert", 3)[:3]
    with EventStream(daemon.url, last_event_id=first.id) as stream:
        stream.wait_for("alert", 3)
    assert first.id == second.id != third.id


def test_nobody_reads_the_store_while_nobody_listens(daemon: ServiceThread) -> None:
    assert not reads(daemon)
    with EventStream(daemon.url) as stream:
        stream.wait_for("status")
        assert reads(daemon)
    wait_until(lambda: not reads(daemon), PATIENCE_SECONDS)
    with EventStream(daemon.url) as stream:
        stream.wait_for("status")
        assert [thread.name for thread in threading.enumerate()].count("events") == 1


def test_streams_beyond_the_limit_are_refused_and_the_others_go_on(daemon: ServiceThread) -> None:
    with ExitStack() as stack:
        streams = [stack.enter_context(EventStream(daemon.url)) for _ in range(MOST_STREAMS)]
        refused = daemon.http.get(PATH)
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
        assert refused.headers["retry-after"] == "30"
        assert daemon.metric("alertbus_event_streams_refused_total") == 1
        alert_id = daemon.post("/test", {"channel": "telegram"})["alert_id"]
        for stream in streams:
            wait_until(lambda: alert_id in stream.alerts(), PATIENCE_SECONDS)  # noqa: B023 - it is called at once
        assert daemon.get("/status")["events"] == {"open": MOST_STREAMS, "most": MOST_STREAMS}
    wait_until(lambda: daemon.metric("alertbus_event_streams") == 0, PATIENCE_SECONDS)
    with EventStream(daemon.url) as stream:
        stream.wait_for("status")


def test_ten_thousand_listeners_are_refused_politely_and_all_recovers(
    providers: ProviderServer, tmp_path: Path
) -> None:
    """As many at once as the descriptors of the test allow, ten thousand in all; those that were first go on."""
    with daemon_process(provider_environ(providers), tmp_path) as daemon, ExitStack() as stack:
        first = [stack.enter_context(EventStream(daemon.url)) for _ in range(4)]
        for _ in range(MOST_STREAMS - len(first)):  # that nobody reads meanwhile: this process has enough to do
            stack.enter_context(opened(daemon.url))
        wait_until(lambda: daemon.metric("alertbus_event_streams") == MOST_STREAMS, PATIENCE_SECONDS)
        for stream in first:
            stream.wait_for("status")
        answers: dict[bytes, int] = {}

        def ask(_: int) -> bytes:
            try:
                with opened(daemon.url) as connection:
                    return connection.recv(12)
            except OSError:
                return b"closed"

        with ThreadPoolExecutor(100) as crowd:
            for answer in crowd.map(ask, range(10_000)):
                answers[answer] = answers.get(answer, 0) + 1
        assert answers.keys() <= {b"HTTP/1.1 503", b"closed"}, answers
        assert answers[b"HTTP/1.1 503"] >= 9_000, answers
        assert daemon.http.get("/healthz").status_code == 200
        alert_id = daemon.post("/test", {"channel": "telegram"})["alert_id"]
        for stream in first:
            wait_until(lambda: alert_id in stream.alerts(), PATIENCE_SECONDS)  # noqa: B023 - it is called at once
            assert not stream.ended.is_set()


def test_crowd_that_keeps_its_connections_open_leaves_room_for_the_operator(
    providers: ProviderServer, tmp_path: Path
) -> None:
    """As many as the descriptors of the test allow hold a connection at the same time: health and streams go on."""
    with daemon_process(provider_environ(providers), tmp_path) as daemon, ExitStack() as stack:
        first = stack.enter_context(EventStream(daemon.url))
        first.wait_for("status")
        for _ in range(_crowd()):
            stack.enter_context(opened(daemon.url))
        wait_until(lambda: (daemon.metric("alertbus_event_streams") or 0) == MOST_STREAMS, PATIENCE_SECONDS)
        assert daemon.http.get("/healthz").status_code == 200
        alert_id = daemon.post("/test", {"channel": "telegram"})["alert_id"]
        wait_until(lambda: alert_id in first.alerts(), PATIENCE_SECONDS)


def test_listener_that_does_not_read_is_cut_and_holds_up_nobody(daemon: ServiceThread, monkeypatch: Any) -> None:
    """Its window fills, what waits for it is bounded, and its place is free again; who reads is told all of it."""
    monkeypatch.setattr("subscriber.monitoring.listener.MOST_WAITING", 150)
    with EventStream(daemon.url) as reader, socket.socket() as deaf, beside(daemon) as store:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.connect(("127.0.0.1", int(daemon.environ["ALERTBUS_HTTP_PORT"])))
        deaf.sendall(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        wait_until(lambda: daemon.metric("alertbus_event_streams") == 2, PATIENCE_SECONDS)
        number = 0
        stored: list[str] = []
        limit = time.monotonic() + PATIENCE_SECONDS
        while daemon.metric("alertbus_event_streams") == 2:
            assert time.monotonic() < limit
            items = [incoming(risk_event(description="x" * 3000), number + each, planned=()) for each in range(1, 101)]
            store.accept(items)
            stored += [str(item.alert.id) for item in items]
            number += 100
            wait_until(lambda: set(stored) <= reader.alerts().keys(), PATIENCE_SECONDS)  # noqa: B023 - called at once
        assert set(stored) <= reader.alerts().keys()
        assert not reader.ended.is_set()


def test_read_token_listens_and_no_token_does_not(providers: ProviderServer, tmp_path: Path) -> None:
    environ = {**provider_environ(providers), "ALERTBUS_API_TOKEN": TOKEN, "ALERTBUS_API_READ_TOKEN": READ_TOKEN}
    with running_service(environ, tmp_path) as daemon:
        with EventStream(daemon.url, token=READ_TOKEN) as stream, EventStream(daemon.url, token=TOKEN) as other:
            assert stream.wait_for("status")[0].data["access"] == {"scope": "read"}
            assert other.wait_for("status")[0].data["access"] == {"scope": "operate"}
        answer = daemon.http.get(PATH, headers={"Authorization": "Bearer wrong"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_stop_ends_every_stream_at_once(providers: ProviderServer, tmp_path: Path) -> None:
    """Those that read and one that does not; the daemon does not wait for them."""
    with running_service(provider_environ(providers), tmp_path) as daemon, ExitStack() as stack:
        streams = [stack.enter_context(EventStream(daemon.url)) for _ in range(5)]
        stack.enter_context(opened(daemon.url))
        for stream in streams:
            stream.wait_for("status")
        daemon.stop()
        for stream in streams:
            assert stream.ended.wait(PATIENCE_SECONDS)


def test_daemon_that_is_killed_under_an_open_stream_tells_what_was_missed(
    providers: ProviderServer, tmp_path: Path
) -> None:
    """The stream ends with the process; the next daemon understands the id that this one gave."""
    with daemon_process(provider_environ(providers), tmp_path) as daemon, EventStream(daemon.url) as stream:
        stream.wait_for("status")
        first = daemon.post("/test", {"channel": "telegram"})["alert_id"]
        wait_until(lambda: statuses(stream.alerts().get(first, {"deliveries": []})) == ["accepted"], PATIENCE_SECONDS)
        daemon.kill()
        assert stream.ended.wait(PATIENCE_SECONDS)
        last_id, started = stream.last_id, stream.heard[0].data["started_at"]
    missed = incoming(risk_event(), 1, planned=())
    with Store(daemon.environ["ALERTBUS_DATABASE_URL"]) as store:
        store.accept([missed])
    with (
        daemon_process(daemon.environ, tmp_path) as again,
        EventStream(again.url, last_event_id=last_id) as stream,
    ):
        wait_until(lambda: str(missed.alert.id) in stream.alerts(), PATIENCE_SECONDS)
        assert stream.of("reset") == []
        assert stream.heard[0].data["started_at"] != started


def test_stream_of_a_dry_run_tells_what_is_not_sent(tmp_path: Path) -> None:
    with running_service({}, tmp_path, options=RunOptions(dry_run=True)) as daemon, EventStream(daemon.url) as stream:
        assert stream.wait_for("status")[0].data["dry_run"] is True
