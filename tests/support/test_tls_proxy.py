"""The proxy that leads the providers' https hosts to the provider server."""

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.provider_faults import accept_then_drop, hang, reset_after_reading
from tests.support.provider_server import TELEGRAM_CHAT, TELEGRAM_TOKEN
from tests.support.tls_proxy import PROVIDER_HOSTS, TlsProxy

TELEGRAM_URL = f"https://api.telegram.org/bot{TELEGRAM_TOKEN}"


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsProxy]:
    """A proxy that the environment leads to."""
    with TlsProxy() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def send(session: requests.Session | None = None, *, timeout: float = 5.0) -> requests.Response:
    post = requests.post if session is None else session.post
    return post(f"{TELEGRAM_URL}/sendMessage", json={"chat_id": TELEGRAM_CHAT, "text": "Drawdown"}, timeout=timeout)


def proxy_port(proxy: TlsProxy) -> int:
    return int(proxy.url.rpartition(":")[2])


def read_undecrypted_to_the_end(connection: ssl.SSLSocket) -> None:
    while socket.socket.recv(connection, 65_536):
        pass


def causes(error: BaseException | None) -> list[type[BaseException]]:
    """Return the classes of an exception and of everything behind it."""
    found: list[type[BaseException]] = []
    while error is not None:
        found.append(type(error))
        error = error.__context__
    return found


@pytest.mark.parametrize("host", PROVIDER_HOSTS)
def test_provider_host_over_https_lands_on_the_provider_server(proxy: TlsProxy, host: str) -> None:
    assert requests.get(f"https://{host}/nothing", timeout=60).status_code == 404
    assert proxy.connects == [f"{host}:443"]
    assert len(proxy.server.elsewhere.requests) == 1


def test_message_through_the_proxy_is_accepted_over_one_tunnel_per_session(proxy: TlsProxy) -> None:
    with requests.Session() as session:
        assert send(session).ok
        assert send(session).ok
    assert proxy.connects == ["api.telegram.org:443"]
    assert [message.connection for message in proxy.server.telegram.accepted] == [1, 1]


def test_long_body_goes_through_whole(proxy: TlsProxy) -> None:
    text = "x" * 1_000_000
    answer = requests.post("https://api.twilio.com/hook", json={"message": text}, timeout=60)
    assert answer.ok
    assert proxy.server.hook.accepted[0].text == text


@pytest.mark.parametrize("target", ["example.com:443", "api.telegram.org:8443"])
def test_other_target_is_refused_with_502_and_logged(proxy: TlsProxy, target: str) -> None:
    with pytest.raises(requests.exceptions.ProxyError, match="502"):
        requests.get(f"https://{target}/", timeout=60)
    assert proxy.connects == [target]
    assert proxy.server.connections == 0


def test_request_without_connect_is_refused_with_502(proxy: TlsProxy) -> None:
    answer = requests.get("http://api.telegram.org/", proxies={"http": proxy.url}, timeout=60)
    assert answer.status_code == 502
    assert proxy.connects == ["GET without CONNECT"]


def test_client_that_does_not_trust_the_bundle_gets_no_further(
    proxy: TlsProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(requests.exceptions.SSLError):
        send()
    assert proxy.server.telegram.requests == []


def test_client_that_leaves_before_it_has_asked_is_nothing_special(proxy: TlsProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy_port(proxy)), timeout=60) as client:
        client.sendall(b"CONNECT api.")
    assert send().ok


def test_reset_comes_through_as_a_reset(proxy: TlsProxy) -> None:
    """Below TLS, because Python before 3.12.3 reports a reset there as an end (python/cpython#115627)."""
    proxy.server.telegram.script(reset_after_reading())
    trusted = ssl.create_default_context(cafile=proxy.ca_bundle)
    with socket.create_connection(("127.0.0.1", proxy_port(proxy)), timeout=60) as connection:
        connection.sendall(b"CONNECT api.telegram.org:443 HTTP/1.1\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        with trusted.wrap_socket(connection, server_hostname="api.telegram.org") as secured:
            secured.sendall(b"POST /bot1/getMe HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            with pytest.raises(ConnectionResetError):
                read_undecrypted_to_the_end(secured)


def test_drop_comes_through_as_an_end(proxy: TlsProxy) -> None:
    proxy.server.telegram.script(accept_then_drop())
    with pytest.raises(requests.ConnectionError) as caught:
        send()
    assert http.client.RemoteDisconnected in causes(caught.value)
    assert len(proxy.server.telegram.accepted) == 1


def test_close_ends_tunnels_whose_provider_hangs(proxy: TlsProxy) -> None:
    proxy.server.telegram.always(hang())
    with pytest.raises(requests.ReadTimeout):
        send(timeout=0.2)
    started = time.monotonic()
    proxy.close()
    assert time.monotonic() - started < 2.0


def test_closed_provider_server_is_a_502(proxy: TlsProxy) -> None:
    proxy.server.close()
    with pytest.raises(requests.exceptions.ProxyError, match="502"):
        send()


def test_delay_is_paid_in_each_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    with TlsProxy(delay_ms=20) as proxy, requests.Session() as session:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        started = time.monotonic()
        assert send(session).ok
        connected = time.monotonic()
        assert send(session).ok
        finished = time.monotonic()
    assert connected - started >= 3 * 0.040  # CONNECT, TLS, and the message, a round trip each
    assert 0.040 <= finished - connected < 0.5


def test_close_removes_the_certificate() -> None:
    with TlsProxy() as proxy:
        bundle = Path(proxy.ca_bundle)
        assert bundle.is_file()
    assert not bundle.exists()


def test_proxy_that_was_never_started_has_no_address() -> None:
    with pytest.raises(RuntimeError, match="never started"):
        _ = TlsProxy().url
