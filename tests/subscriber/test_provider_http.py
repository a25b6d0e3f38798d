"""The way of a request: deadlines that close sockets, what was written, kept-alive connections, bounded answers."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from subscriber.channels import connections
from subscriber.channels.building import build_channel
from subscriber.channels.channel import Channel, TelegramConfig, TwilioConfig
from subscriber.channels.provider_http import MAX_ANSWER_BYTES
from subscriber.deliveries import Dialect, Message, Outcome, Reason
from tests.support.provider_faults import (
    accept_then_drop,
    drip,
    garbage,
    hang,
    redirect,
    reset_after_reading,
    reset_before_reading,
)
from tests.support.provider_server import (
    TELEGRAM_CHAT,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)

MESSAGE = Message("<b>Drawdown</b>", "Drawdown", Dialect.TELEGRAM_HTML)
Build = Callable[..., Channel]


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A provider on loopback."""
    with ProviderServer() as running:
        yield running


@pytest.fixture
def build() -> Iterator[Build]:
    """Build Telegram channels; all of them are closed."""
    with contextlib.ExitStack() as opened:

        def build_one(base_url: str, deadline_seconds: float = 5) -> Channel:
            config = TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT, base_url=base_url, deadline_seconds=deadline_seconds)
            channel = build_channel(config, environ={})
            opened.callback(channel.close)
            return channel

        yield build_one


@contextlib.contextmanager
def peer(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run one raw server for one connection; yield its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(60)
        assert not thread.is_alive()


def test_send_to_a_provider_that_hangs_ends_at_the_deadline_in_doubt_with_its_socket_closed(build: Build) -> None:
    """The provider sees the connection end, and so does not keep it."""
    ended: list[bytes] = []

    def hang_up_last(connection: socket.socket) -> None:
        while connection.recv(65_536):
            pass
        ended.append(b"")

    with peer(hang_up_last) as url:
        outcome = build(url, deadline_seconds=0.3).send(MESSAGE)
    assert (outcome.reason, outcome.in_doubt) == (Reason.TIMEOUT, True)
    assert outcome.detail == "no answer within 0.3 s"
    assert ended == [b""]


@pytest.mark.parametrize(
    "start", [b"H", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{", b"HTTP/1.1 200 OK\r\n\r\n{"]
)
def test_send_to_a_provider_that_drips_ends_at_the_deadline_in_doubt(build: Build, start: bytes) -> None:
    """Every read succeeds, in headers or in a body with a length or without; only a total deadline ends it."""
    stopped = threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.sendall(start)
        with contextlib.suppress(OSError):
            while not stopped.wait(0.02):
                connection.sendall(b" ")

    with peer(trickle) as url:
        outcome = build(url, deadline_seconds=0.3).send(MESSAGE)
        stopped.set()
    assert (outcome.reason, outcome.in_doubt) == (Reason.TIMEOUT, True)


def test_send_to_a_server_that_drips_or_hangs_leaves_nobody_waiting(server: ProviderServer, build: Build) -> None:
    """The strict provider's own faults, headers included."""
    server.telegram.script(drip(1, 0.05), hang(), hang(accept_first=True))
    telegram = build(server.url, deadline_seconds=0.3)
    outcomes = [telegram.send(MESSAGE) for _ in range(3)]
    assert {(outcome.reason, outcome.in_doubt) for outcome in outcomes} == {(Reason.TIMEOUT, True)}


def test_send_after_a_hang_uses_a_new_connection(server: ProviderServer, build: Build) -> None:
    """What was given up is not used again."""
    server.telegram.script(hang())
    telegram = build(server.url, deadline_seconds=0.3)
    telegram.send(MESSAGE)
    assert telegram.send(MESSAGE).accepted
    assert [request.connection for request in server.telegram.requests] == [1, 2]


def test_send_to_a_closed_port_is_safe_to_repeat(build: Build) -> None:
    """Nothing was written."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = build(f"http://127.0.0.1:{port}").send(MESSAGE)
    assert (outcome.reason, outcome.in_doubt) == (Reason.NETWORK, False)
    assert outcome.detail.startswith("nothing was sent: ConnectionRefusedError")


def test_send_to_an_unknown_host_is_safe_to_repeat(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name resolution is part of the send."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    outcome = build("http://nowhere.invalid").send(MESSAGE)
    assert (outcome.reason, outcome.in_doubt) == (Reason.NETWORK, False)
    assert "Name or service not known" in outcome.detail


@pytest.mark.parametrize("fault", [reset_after_reading(), reset_before_reading(), accept_then_drop()])
def test_send_that_is_cut_off_after_writing_is_in_doubt(server: ProviderServer, build: Build, fault: object) -> None:
    """The provider may have taken it: at accept_then_drop it has."""
    server.telegram.script(fault)  # type: ignore[arg-type]
    outcome = build(server.url).send(MESSAGE)
    assert (outcome.reason, outcome.in_doubt) == (Reason.TIMEOUT, True)


def test_send_that_is_redirected_is_not_followed(server: ProviderServer, build: Build) -> None:
    """The token and the alert go nowhere else."""
    server.telegram.script(redirect(), redirect(status=307))
    telegram = build(server.url)
    outcomes = [telegram.send(MESSAGE) for _ in range(2)]
    assert {(outcome.reason, outcome.in_doubt) for outcome in outcomes} == {(Reason.UNAVAILABLE, True)}
    assert server.elsewhere.requests == []


def test_send_with_a_huge_answer_reads_a_bounded_part_of_it(build: Build) -> None:
    """An endless answer costs neither memory nor the deadline."""
    written = [0]

    def flood(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                written[0] += connection.send(b'{"ok": ' + b" " * 65_536)

    with peer(flood) as url:
        outcome = build(url).send(MESSAGE)
    assert (outcome.reason, outcome.in_doubt) == (Reason.UNAVAILABLE, True)
    assert written[0] < 100 * MAX_ANSWER_BYTES


def test_send_with_an_answer_just_beyond_the_bound_is_unreadable(server: ProviderServer, build: Build) -> None:
    """Half of a JSON text says nothing."""
    server.telegram.script(garbage(b'{"ok": true, "x": "' + b" " * MAX_ANSWER_BYTES + b'"}'))
    assert build(server.url).send(MESSAGE).reason is Reason.UNAVAILABLE


def test_sends_in_a_row_use_one_connection(server: ProviderServer, build: Build) -> None:
    """Apprise as it is opens one for each."""
    telegram = build(server.url)
    assert all(telegram.send(MESSAGE).accepted for _ in range(5))
    assert server.connections == 1


def test_send_over_a_connection_that_the_provider_closed_while_idle_is_accepted(build: Build) -> None:
    """The dropped connection is noticed before use, so nothing is in doubt."""
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{"ok":true,"result":{}}'
    closed = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            for _ in range(2):
                connection, _address = listener.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)
                closed.set()

        thread = threading.Thread(target=serve)
        thread.start()
        telegram = build(f"http://127.0.0.1:{listener.getsockname()[1]}")
        assert telegram.send(MESSAGE).accepted
        assert closed.wait(5)
        assert telegram.send(MESSAGE).accepted
        thread.join(60)


def test_send_over_a_connection_that_is_reset_in_the_moment_of_use_is_safe_to_repeat(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system refuses the first byte, so the provider has none: no doubt, even if the check came too early."""

    def answer_and_reset(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{"ok":true,"result":{}}')
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with peer(answer_and_reset) as url:
        telegram = build(url)
        assert telegram.send(MESSAGE).accepted
    monkeypatch.setattr(connections.CallConnection, "is_connected", property(lambda self: self.sock is not None))
    outcome = telegram.send(MESSAGE)
    assert (outcome.reason, outcome.in_doubt) == (Reason.NETWORK, False)


def test_send_over_a_connection_idle_for_long_opens_a_new_one(
    server: ProviderServer, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A router may have forgotten it without a word."""
    telegram = build(server.url)
    telegram.send(MESSAGE)
    monkeypatch.setattr(connections, "MAX_IDLE_SECONDS", -1.0)
    assert telegram.send(MESSAGE).accepted
    assert server.connections == 2


def test_sends_that_hang_at_one_provider_delay_no_other(server: ProviderServer, build: Build) -> None:
    """Six hung Telegram sends made Twilio time out in Apprise's shared pool."""
    server.telegram.always(hang())
    config = TwilioConfig(
        TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT, base_url=server.url, deadline_seconds=5
    )
    twilio = build_channel(config, environ={})
    hung = [build(server.url, deadline_seconds=30) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        sends = [threads.submit(channel.send, MESSAGE) for channel in hung]
        server.wait_for_requests(6, provider="telegram")
        assert twilio.send(Message("text", "text", Dialect.WHATSAPP)).accepted
        assert not any(send.done() for send in sends)
        server.telegram.always(None)
        server.telegram.release_all()
        outcomes: list[Outcome] = [send.result(60) for send in sends]
    twilio.close()
    assert all(outcome.accepted for outcome in outcomes)


def test_base_url_with_a_path_is_kept(server: ProviderServer, build: Build) -> None:
    """A self-hosted Bot API server may live below a path."""
    build(f"{server.url}/hook/telegram/").send(MESSAGE)
    assert server.hook.requests[0].path == f"/hook/telegram/bot{TELEGRAM_TOKEN}/sendMessage"
