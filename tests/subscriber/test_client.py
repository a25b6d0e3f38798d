"""The commands' way to a running daemon: its answers, its refusals, and whatever else may listen there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from subscriber.client import DaemonClient, DaemonError
from tests.support.ports import free_port
from tests.support.running_service import ServiceThread, running_service

TOKEN = "a-long-random-word"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    with running_service({"ALERTBUS_API_TOKEN": TOKEN}, tmp_path_factory.mktemp("daemon")) as running:
        yield running


def client_of(daemon: ServiceThread, token: str | None = TOKEN) -> DaemonClient:
    return DaemonClient("127.0.0.1", int(daemon.environ["ALERTBUS_HTTP_PORT"]), token)


@contextmanager
def listening(answer: bytes) -> Iterator[int]:
    """Answer every connection with these bytes, whatever it says; yield the port."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(60)


def http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


def test_client_asks_the_daemon_with_its_token(daemon: ServiceThread) -> None:
    client = client_of(daemon)
    status = client.get("/status")
    assert status is not None
    assert status["running"]
    assert client.post("/test", {"text": "Hello"}) is not None


@pytest.mark.parametrize("token", [None, "wrong"])
def test_client_without_the_token_is_told_which_setting(daemon: ServiceThread, token: str | None) -> None:
    with pytest.raises(DaemonError, match="ALERTBUS_API_TOKEN"):
        client_of(daemon, token).get("/status")


def test_client_refused_by_the_daemon_repeats_its_words(daemon: ServiceThread) -> None:
    with pytest.raises(DaemonError, match="There is no channel 'pager'"):
        client_of(daemon).post("/test", {"channel": "pager"})


def test_client_goes_through_no_proxy(daemon: ServiceThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon is this machine's, and the token is for it alone."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert client_of(daemon).get("/status") is not None


def test_client_where_nobody_listens_returns_none() -> None:
    client = DaemonClient("127.0.0.1", free_port(), None)
    assert (client.get("/status"), client.post("/test", {})) == (None, None)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f",  # ZeroMQ's greeting: the bus port in the wrong place
        b"",
        http(b"<html>It works!</html>"),
        http(b'{"hello": "world"}'),
        http(b"[1, 2]"),
        http(b"null"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort",
        http(b"<html>no</html>", "404 Not Found"),
        http(b'{"message": "no"}', "500 Internal Server Error"),
    ],
    ids=["ssh", "zeromq", "nothing", "page", "json", "list", "null", "cut off", "no page", "other api"],
)
def test_client_where_something_else_listens_says_so(answer: bytes) -> None:
    with listening(answer) as port, pytest.raises(DaemonError) as caught:
        DaemonClient("127.0.0.1", port, TOKEN).get("/status")
    assert str(port) in str(caught.value) or "ALERTBUS_HTTP_PORT" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_client_of_a_daemon_that_does_not_answer_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subscriber.client._TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = DaemonClient("127.0.0.1", silent.getsockname()[1], None)
        with pytest.raises(DaemonError, match="did not answer"):
            client.get("/status")


@pytest.mark.parametrize("host", ["no.such.host.invalid", f"{'x' * 70}.invalid"])
def test_client_of_a_host_that_is_none_says_so(host: str) -> None:
    with pytest.raises(DaemonError):
        DaemonClient(host, 80, None).get("/status")


def test_client_names_an_ipv6_host_in_brackets() -> None:
    assert DaemonClient("::1", 8787, None).url == "http://[::1]:8787"
