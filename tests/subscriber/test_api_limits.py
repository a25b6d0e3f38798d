"""What a request and a connection may cost: bytes, seconds, places; by real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from subscriber import http_connections
from subscriber.http_connections import most_connections
from subscriber.monitoring import limits
from subscriber.monitoring.answers import ErrorCode
from subscriber.monitoring.limits import BODY_LIMIT, TurnLimit
from tests.support.provider_server import ProviderServer
from tests.support.running_service import (
    PATIENCE_SECONDS,
    PREFIX,
    DaemonProcess,
    ServiceThread,
    daemon_process,
    provider_environ,
    running_service,
)
from tests.support.waiting import wait_until

#: Sockets that a test opens against one daemon, where the machine lets it.
MANY: Final = 10_000
EXPLAIN: Final = f"{PREFIX}/routes/explain"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    with running_service({}, tmp_path_factory.mktemp("daemon")) as running:
        yield running


def code_of(answer: httpx2.Response, status: int) -> ErrorCode:
    """Return the code of a refusal."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"status", "error", "code"}
    return ErrorCode(body["code"])


def connect(daemon: ServiceThread | DaemonProcess) -> socket.socket:
    """Open a connection and say nothing."""
    return socket.create_connection(("127.0.0.1", int(daemon.environ["ALERTBUS_HTTP_PORT"])), PATIENCE_SECONDS)


def read_all(connection: socket.socket) -> bytes:
    """Read until the daemon closes the connection."""
    received = bytearray()
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return bytes(received)


def envelope_in(received: bytes) -> dict[str, Any]:
    """Return the envelope of a raw answer."""
    envelope: dict[str, Any] = json.loads(received.partition(b"\r\n\r\n")[2])
    return envelope


# --- bodies -------------------------------------------------------------------------------------------------


def test_body_at_the_limit_is_read(daemon: ServiceThread) -> None:
    body = b'{"severity": "INFO"%s}' % (b" " * (BODY_LIMIT - 20))
    assert len(body) == BODY_LIMIT
    answer = daemon.http.post(EXPLAIN, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text


def test_body_above_the_limit_is_refused_before_it_is_sent(daemon: ServiceThread) -> None:
    """The answer comes though not a byte of the body has: it was not waited for."""
    with connect(daemon) as connection:
        connection.sendall(
            b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % (EXPLAIN.encode(), BODY_LIMIT + 1)
        )
        with HTTPResponse(connection, method="POST") as answer:
            answer.begin()
            assert answer.status == 413
            assert json.loads(answer.read())["code"] == "body_too_large"


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "GET"])
def test_body_above_the_limit_that_is_sent_is_still_answered(daemon: ServiceThread, method: str) -> None:
    """The connection is not reset under a client that writes all of it first, and serves the next request."""
    body = b"x" * (4 * 1024 * 1024)
    for _ in range(3):
        answer = daemon.http.request(method, EXPLAIN, content=body, headers={"Content-Type": "application/json"})
        assert code_of(answer, 413) is ErrorCode.BODY_TOO_LARGE


def test_body_of_a_length_beyond_all_numbers_is_refused(daemon: ServiceThread) -> None:
    with connect(daemon) as connection:
        connection.sendall(
            b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %s\r\n\r\n" % (EXPLAIN.encode(), b"9" * 20)
        )
        assert connection.recv(65536).startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))


def test_streamed_body_above_the_limit_is_refused(daemon: ServiceThread) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 2048

    answer = daemon.http.post(EXPLAIN, content=chunks(), headers={"Content-Type": "application/json"})
    assert code_of(answer, 413) is ErrorCode.BODY_TOO_LARGE


def test_streamed_body_within_the_limit_is_read(daemon: ServiceThread) -> None:
    parts = iter([b'{"severity"', b': "INFO"}'])
    answer = daemon.http.post(EXPLAIN, content=parts, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain; application/json",
        "application/jsonp",
        "application/json-seq",
        "",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_body_that_is_no_json_is_415(daemon: ServiceThread, content_type: str, method: str) -> None:
    """No form of a page of another origin is ever read."""
    path = EXPLAIN if method == "POST" else f"{PREFIX}/channels/telegram"
    answer = daemon.http.request(method, path, content=b'{"a": 1}', headers={"Content-Type": content_type})
    assert code_of(answer, 415) is ErrorCode.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON;charset=utf-8", "application/json ; x"])
def test_body_that_is_json_is_taken_however_it_is_written(daemon: ServiceThread, content_type: str) -> None:
    answer = daemon.http.post(EXPLAIN, content=b'{"severity": "INFO"}', headers={"Content-Type": content_type})
    assert answer.status_code == 200


def test_body_that_is_slow_ends_in_408(daemon: ServiceThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.2)
    with connect(daemon) as connection:
        connection.sendall(
            b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
            % EXPLAIN.encode()
        )
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert envelope_in(received)["code"] == "body_too_slow"


def test_client_that_goes_away_in_the_middle_of_a_body_leaves_nothing(daemon: ServiceThread) -> None:
    with connect(daemon) as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n" % EXPLAIN.encode())
        connection.sendall(b"Content-Type: application/json\r\n\r\n{")
    assert daemon.http.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"nonsense\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET /\r\n\r\n" * 3],
)
def test_what_is_no_http_is_answered_in_the_envelope(daemon: ServiceThread, sent: bytes) -> None:
    with connect(daemon) as connection:
        connection.sendall(sent)
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert envelope_in(received) == {
        "status": "error",
        "error": "That is no HTTP request.",
        "code": "invalid_request",
    }


# --- turns --------------------------------------------------------------------------------------------------


def test_requests_beyond_the_limit_are_asked_to_come_again() -> None:
    """Those that an operator needs to see a daemon in trouble are answered all the same."""
    answers: dict[str, list[int]] = {}

    async def run() -> None:
        go_on = asyncio.Event()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/slow":
                await go_on.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body"})

        limit = TurnLimit(application, most=2)

        async def ask(path: str) -> None:
            async def send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    answers.setdefault(path, []).append(message["status"])
                    if message["status"] == 503:
                        assert dict(message["headers"])[b"retry-after"]

            await limit({"type": "http", "path": path, "method": "GET", "headers": []}, None, send)  # type: ignore[arg-type]  # nothing is received

        slow = [asyncio.create_task(ask("/slow")) for _ in range(2)]
        await asyncio.sleep(0)
        for path in ("/other", "/healthz", "/readyz", "/metrics", "/webhooks/meta"):
            await ask(path)
        go_on.set()
        await asyncio.gather(*slow)
        await ask("/other")

    asyncio.run(run())
    assert answers == {
        "/other": [503, 200],
        "/healthz": [200],
        "/readyz": [200],
        "/metrics": [200],
        "/webhooks/meta": [200],
        "/slow": [200, 200],
    }


# --- connections --------------------------------------------------------------------------------------------


def test_connection_that_asks_nothing_is_closed(daemon: ServiceThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connections, "IDLE_SECONDS", 0.1)
    with connect(daemon) as silent, connect(daemon) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")  # a head without an end
        assert read_all(silent) == b""
        assert read_all(slow) == b""


def test_connection_whose_client_reads_nothing_is_closed(
    daemon: ServiceThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file is asked for again and again, and not a byte of it taken."""
    monkeypatch.setattr(http_connections, "IDLE_SECONDS", 0.1)
    with closing(socket.socket()) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(PATIENCE_SECONDS)
        deaf.connect(("127.0.0.1", int(daemon.environ["ALERTBUS_HTTP_PORT"])))
        request = b"GET /static/docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
        deaf.sendall(request * 8)

        def is_closed() -> bool:
            try:
                deaf.send(b"G")
            except OSError:
                return True
            return False

        wait_until(is_closed, PATIENCE_SECONDS)


def test_connection_whose_client_is_always_behind_is_closed(
    daemon: ServiceThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a little again and again, and so is never one that reads nothing."""
    monkeypatch.setattr(http_connections, "BEHIND_SECONDS", 0.1)
    with closing(socket.socket()) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(PATIENCE_SECONDS)
        slow.connect(("127.0.0.1", int(daemon.environ["ALERTBUS_HTTP_PORT"])))
        slow.sendall(b"GET /static/docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 8)

        def is_closed() -> bool:
            try:
                return not slow.recv(1024)
            except OSError:
                return True

        wait_until(is_closed, PATIENCE_SECONDS, longest_pause=0.002)


def test_many_connections_leave_the_operator_his_daemon(tmp_path: Path) -> None:
    """Thousands that ask nothing or half a question: health, metrics and webhooks answer, and all recovers."""
    many = affordable(MANY)
    with ProviderServer() as providers, daemon_process(provider_environ(providers), tmp_path) as daemon:
        with ExitStack() as opened:
            for number in range(many):
                connection = opened.enter_context(connect(daemon))
                if number % 2:
                    connection.sendall(b"POST /api/monitoring/notifications/test HTTP/1.1\r\nHost: local")
                if number % 1000 == 999:
                    assert_alive(daemon)
            assert_alive(daemon)
            assert open_descriptors(daemon) <= most_connections() + 200
            assert daemon.post("/test", {"channel": "telegram"})["channels"]
        wait_until(lambda: open_descriptors(daemon) < 200, PATIENCE_SECONDS)
        assert daemon.metric("alertbus_store_errors_total") in {0.0, None}


def test_connections_that_are_all_answered_leave_no_room_for_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes then is told so; when one of them ends, there is room."""
    monkeypatch.setattr("subscriber.http_server.most_connections", lambda: 3)
    head = (
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    with running_service({}, tmp_path) as daemon, ExitStack() as opened:
        daemon.http.close()
        begun = [opened.enter_context(connect(daemon)) for _ in range(3)]
        for connection in begun:
            connection.sendall(head % EXPLAIN.encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")  # it is being read

        def is_refused() -> bool:
            with connect(daemon) as more:
                more.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
                received = read_all(more)
            if received.startswith(b"HTTP/1.1 200 "):
                return False
            return str(envelope_in(received)["code"]) == "busy"

        assert is_refused()
        begun[0].sendall(b'{"severity": "INFO"}')
        assert begun[0].recv(65536).startswith(b"HTTP/1.1 200 ")
        wait_until(lambda: not is_refused(), PATIENCE_SECONDS)


def affordable(wanted: int) -> int:
    """Return how many sockets this process may open, of those that a test wants."""
    resource = pytest.importorskip("resource", reason="Windows doesn't count descriptors")
    most, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < wanted + 500 and highest != most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted + 500, highest), highest))
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return int(min(wanted, most - 500)) if most != resource.RLIM_INFINITY else wanted


def open_descriptors(daemon: DaemonProcess) -> int:
    """Return how many descriptors the daemon's process has open, as far as this system tells."""
    folder = Path(f"/proc/{daemon.process.pid}/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def assert_alive(daemon: DaemonProcess) -> None:
    """Ask what an operator and a provider need, each by a connection of its own."""
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/webhooks/meta", 404)):
        with httpx2.Client(base_url=daemon.url, timeout=PATIENCE_SECONDS, trust_env=False) as http:
            assert http.get(path).status_code == status
