"""Proxies and certificates from the environment, over the providers' own https hosts."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus.errors import ConfigurationError
from subscriber.channels.building import build_channel
from subscriber.channels.channel import AppriseConfig, Channel, ChannelConfig, MetaConfig, TelegramConfig, TwilioConfig
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.deliveries import Dialect, Message, Reason
from tests.support.provider_faults import drip, hang
from tests.support.provider_server import (
    META_PHONE_ID,
    META_RECIPIENT,
    META_TOKEN,
    TELEGRAM_CHAT,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
)
from tests.support.tls_proxy import PROVIDER_HOSTS, TlsProxy

MESSAGE = Message("Drawdown", "Drawdown", Dialect.PLAIN)
TELEGRAM = TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT, deadline_seconds=5)
HASTY = TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT, deadline_seconds=0.3)
Build = Callable[[ChannelConfig, dict[str, str]], Channel]


@pytest.fixture(scope="module")
def far_end() -> Iterator[TlsProxy]:
    """The internet behind a proxy."""
    with TlsProxy() as running:
        yield running


@pytest.fixture
def build() -> Iterator[Build]:
    """Build channels; all of them are closed."""
    with contextlib.ExitStack() as opened:

        def build_one(config: ChannelConfig, environ: dict[str, str]) -> Channel:
            channel = build_channel(config, environ=environ)
            opened.callback(channel.close)
            return channel

        yield build_one


def test_sends_to_the_providers_own_hosts_go_through_proxy_and_ca(far_end: TlsProxy, build: Build) -> None:
    """Nothing is rewritten; one tunnel a channel carries all its messages."""
    configs = (
        TELEGRAM,
        TwilioConfig(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT),
        MetaConfig(META_TOKEN, META_PHONE_ID, META_RECIPIENT),
    )
    before = len(far_end.connects)
    for config in configs:
        channel = build(config, far_end.environment)
        assert [channel.send(MESSAGE).reason for _ in range(3)] == [Reason.ACCEPTED] * 3
        assert channel.probe().accepted
    assert far_end.connects[before:] == [f"{host}:443" for host in PROVIDER_HOSTS]


def test_send_with_an_untrusted_certificate_is_safe_to_repeat(far_end: TlsProxy, build: Build) -> None:
    """certifi doesn't know the test's authority; nothing was written."""
    environ = {"HTTPS_PROXY": far_end.url}
    outcome = build(TELEGRAM, environ).send(MESSAGE)
    assert (outcome.reason, outcome.in_doubt) == (Reason.NETWORK, False)
    assert "CERTIFICATE_VERIFY_FAILED" in outcome.detail


def test_send_that_the_proxy_refuses_is_safe_to_repeat(far_end: TlsProxy, build: Build) -> None:
    """CONNECT to a host that is not allowed."""
    config = TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT, base_url="https://bots.example.org")
    outcome = build(config, far_end.environment).send(MESSAGE)
    assert (outcome.reason, outcome.in_doubt) == (Reason.NETWORK, False)
    assert "502" in outcome.detail


@pytest.mark.parametrize("hang_after_connect", [False, True])
def test_send_whose_proxy_or_handshake_hangs_is_safe_to_repeat(build: Build, hang_after_connect: bool) -> None:
    """The deadline covers CONNECT and the TLS handshake, which drip here; no byte of the request was written."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            connection.recv(65_536)
            if hang_after_connect:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                connection.recv(65_536)
                connection.sendall(b"\x16\x03\x03\x40\x00")
            while not ended.wait(0.02):
                connection.sendall(b"x")

    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        outcome = build(HASTY, {"https_proxy": f"http://127.0.0.1:{listener.getsockname()[1]}"}).send(MESSAGE)
        ended.set()
        thread.join(60)
    assert (outcome.reason, outcome.in_doubt) == (Reason.NETWORK, False)
    assert outcome.detail == "nothing was sent: no answer within 0.3 s"


def test_send_over_tls_that_hangs_or_drips_ends_in_doubt(far_end: TlsProxy, build: Build) -> None:
    """TLS replaces the socket's Python object; the shutdown still reaches it."""
    channel = build(TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT, deadline_seconds=0.5), far_end.environment)
    assert channel.send(MESSAGE).accepted
    far_end.server.telegram.script(hang(), drip(1, 0.05))
    outcomes = [channel.send(MESSAGE) for _ in range(2)]
    assert {(outcome.reason, outcome.in_doubt) for outcome in outcomes} == {(Reason.TIMEOUT, True)}
    assert channel.send(MESSAGE).accepted


def test_build_with_a_missing_or_unreadable_bundle_names_the_setting(tmp_path: Path) -> None:
    """At start, and not with the first alert."""
    with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE names a file or folder that does not exist"):
        build_channel(TELEGRAM, environ={"REQUESTS_CA_BUNDLE": str(tmp_path / "missing.pem")})
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    with pytest.raises(ConfigurationError, match="must name certificates"):
        build_channel(TELEGRAM, environ={"CURL_CA_BUNDLE": str(empty)})


def test_send_without_verification_is_for_a_url_to_say(far_end: TlsProxy, build: Build) -> None:
    """A service of one's own with a certificate of one's own; it says nothing on each message."""
    url = f"tgram://{TELEGRAM_TOKEN}/{TELEGRAM_CHAT}/?verify=no"
    assert build(AppriseConfig("desk", url), {"HTTPS_PROXY": far_end.url}).send(MESSAGE).accepted


def test_ca_bundle_may_be_a_folder(tmp_path: Path) -> None:
    """As requests takes it."""
    context = HttpEnvironment.read({"REQUESTS_CA_BUNDLE": str(tmp_path)}).trust()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("", False),
        ("*", True),
        ("telegram.org", True),
        (".telegram.org", True),
        ("*.telegram.org", True),
        ("egram.org", False),
        ("API.TELEGRAM.ORG", True),
        ("localhost, api.telegram.org:443", True),
        ("api.telegram.org:8443", False),
        ("10.0.0.0/8", False),
    ],
)
def test_no_proxy_is_read_as_elsewhere(no_proxy: str, direct: bool) -> None:
    """Names, suffixes, ports and the star."""
    environment = HttpEnvironment.read({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": no_proxy})
    assert environment.proxy_for("https://api.telegram.org/bot") == (None if direct else "http://proxy:3128")


def test_proxies_are_found_by_scheme_and_in_the_lower_case_name_first() -> None:
    """As requests and curl do; addresses and networks can be left out of it."""
    environ = {
        "HTTPS_PROXY": "upper:1",
        "https_proxy": "lower:1",
        "ALL_PROXY": "http://all:1",
        "no_proxy": "10.0.0.0/8,::1",
    }
    environment = HttpEnvironment.read(environ)
    assert environment.proxy_for("https://example.org/") == "http://lower:1"
    assert environment.proxy_for("http://example.org/") == "http://all:1"
    assert environment.proxy_for("http://10.1.2.3:8081/") is None
    assert environment.proxy_for("http://[::1]:8081/") is None
    assert "lower" not in repr(environment)
