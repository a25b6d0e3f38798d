"""A message over a long way: an AppriseChannel beside `apprise.Apprise().notify()`, by the same plugin and URL.

The provider speaks TLS and is 50 ms away in each direction. Both send the same text, in turns, and trust the same
certificate, named by the environment. Apprise makes a new connection for each message, and pays three more round trips.
"""

from __future__ import annotations

import os
import ssl
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from unittest.mock import patch

import apprise
import pytest
import trustme
from apprise.plugins.telegram import NotifyTelegram

from subscriber.channels.building import build_channel
from subscriber.channels.channel import AppriseConfig, Channel, ChannelConfig, TelegramConfig
from subscriber.deliveries import Dialect, Message
from tests.support.provider_server import TELEGRAM_CHAT, TELEGRAM_TOKEN, ProviderServer
from tests.support.slow_link import SlowLink

pytestmark = pytest.mark.benchmark

_MESSAGES: Final = 20
_DELAY_MS: Final = 50.0
#: Our seconds for each second of Apprise's.
_GOAL: Final = 0.5
_TEXT: Final = "CRITICAL TNA: Drawdown 12.4 % is above its limit of 10 %. " * 4
_HOST: Final = "127.0.0.1"


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SlowLink, ProviderServer]]:
    """A way of 50 ms to a provider with TLS, whose certificate the environment trusts."""
    bundle = tmp_path / "ca.pem"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(_HOST).configure_cert(context)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with ProviderServer(ssl_context=context) as server, SlowLink(server.port, delay_ms=_DELAY_MS) as way:
        yield way, server


def webhook(port: int) -> tuple[ChannelConfig, str]:
    """Return a channel of any other service, and Apprise's URL for the same."""
    url = f"jsons://{_HOST}:{port}/hook"
    return AppriseConfig("desk", url), url


def telegram(port: int) -> tuple[ChannelConfig, str]:
    """Return a chat's channel and Apprise's URL for the same; where Telegram is, Apprise is told by a patch."""
    config = TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT, base_url=f"https://{_HOST}:{port}")
    return config, f"tgram://{TELEGRAM_TOKEN}/{TELEGRAM_CHAT}/?detect=no"


def seconds(send: Callable[[], bool]) -> float:
    """Send a message that must be accepted, and return how long that took."""
    begin = time.perf_counter()
    assert send()
    return time.perf_counter() - begin


def sends(channel: Channel, url: str) -> dict[str, Callable[[], bool]]:
    """Return how a message is sent in both ways."""
    theirs = apprise.Apprise()
    assert theirs.add(url)
    message = Message(_TEXT, _TEXT, Dialect.PLAIN)
    return {
        "alertbus": lambda: channel.send(message).accepted,
        "apprise": lambda: bool(theirs.notify(body=_TEXT, body_format=apprise.NotifyFormat.TEXT)),
    }


@pytest.mark.parametrize("service", [webhook, telegram])
def test_message_over_a_long_way_takes_half_of_what_apprise_needs(
    service: Callable[[int], tuple[ChannelConfig, str]],
    link: tuple[SlowLink, ProviderServer],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Medians of messages that were sent in turns, the first of each included."""
    way, server = link
    config, url = service(way.port)
    took: dict[str, list[float]] = {"alertbus": [], "apprise": []}
    connections = dict.fromkeys(took, 0)
    elsewhere = patch.object(NotifyTelegram, "notify_url", f"https://{_HOST}:{way.port}/bot")
    with closing(build_channel(config, environ=os.environ)) as channel:
        ways = sends(channel, url)
        for _ in range(_MESSAGES):
            for name, send in ways.items():
                before = way.connections
                with elsewhere:
                    took[name].append(seconds(send))
                connections[name] += way.connections - before
    assert len(server.accepted) == 2 * _MESSAGES
    medians = {name: statistics.median(values) for name, values in took.items()}
    ratio = medians["alertbus"] / medians["apprise"]
    with capsys.disabled():
        print(f"\n{service.__name__}, TLS, {_DELAY_MS:.0f} ms each way, {_MESSAGES} messages each")
        for name, values in took.items():
            print(
                f"  {name:<9} median {1000 * medians[name]:7.1f} ms   first {1000 * values[0]:7.1f} ms   "
                f"max {1000 * max(values):7.1f} ms   connections {connections[name]:3}"
            )
        print(f"  ratio     {ratio:14.2f}   (goal: {_GOAL} at most)")
    assert ratio <= _GOAL
