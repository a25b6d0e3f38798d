"""Apprise's own plugins, unpatched, over the providers' own https hosts: what they send is accepted."""

from collections.abc import Iterator
from typing import Any

import apprise
import pytest

from tests.support.provider_desk import AcceptedMessage
from tests.support.provider_server import (
    META_OUTSIDE_WINDOW,
    META_PHONE_ID,
    META_RECIPIENT,
    META_TEMPLATE,
    META_TOKEN,
    TELEGRAM_CHAT,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)
from tests.support.tls_proxy import TlsProxy

# Adding the first URL imports every plugin; the one for e-mail pulls in what Python 3.13 removes.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

BODY = "PnL < -5% on BTC_USDT & rising: -3.2%! 😀"


@pytest.fixture(scope="module")
def far_end() -> Iterator[TlsProxy]:
    with TlsProxy() as running:
        yield running


@pytest.fixture
def proxy(far_end: TlsProxy, monkeypatch: pytest.MonkeyPatch) -> TlsProxy:
    for name, value in far_end.environment.items():
        monkeypatch.setenv(name, value)
    return far_end


def notify(url: str, body: str = BODY, **options: Any) -> bool:
    """Send by one plugin in this thread, as a channel does."""
    service = apprise.Apprise(asset=apprise.AppriseAsset(service_timeout=0))
    assert service.add(url)
    return bool(service.notify(body=body, **options))


def last(proxy: TlsProxy) -> AcceptedMessage:
    return proxy.server.accepted[-1]


def test_telegram_plugin_with_text_format_is_accepted(proxy: TlsProxy) -> None:
    url = f"tgram://{TELEGRAM_TOKEN}/{TELEGRAM_CHAT}/?detect=no&silent=yes"
    assert notify(url, body_format="text")
    message = last(proxy)
    assert (message.target, message.text, message.silent) == (TELEGRAM_CHAT, BODY, True)
    assert (message.parse_mode, "api.telegram.org:443" in proxy.connects) == ("HTML", True)
    assert all(request.endpoint == "sendMessage" for request in proxy.server.telegram.requests)


def test_telegram_plugin_with_markdown_v2_is_accepted(proxy: TlsProxy) -> None:
    url = f"tgram://{TELEGRAM_TOKEN}/{TELEGRAM_CHAT}/?detect=no&format=markdown&mdv=v2"
    assert notify(url, body_format="text")
    assert (last(proxy).text, last(proxy).parse_mode) == (BODY, "MarkdownV2")


def test_telegram_plugin_without_format_sends_bare_markup_and_is_refused(proxy: TlsProxy) -> None:
    """Why a channel names the format: notify()'s default escapes nothing (facts: Apprise 2.2.0)."""
    assert not notify(f"tgram://{TELEGRAM_TOKEN}/{TELEGRAM_CHAT}/?detect=no", "PnL < -5%")
    assert proxy.server.telegram.requests[-1].status == 400


def test_twilio_plugin_for_whatsapp_is_accepted(proxy: TlsProxy) -> None:
    url = (
        f"twilio://{TWILIO_ACCOUNT_SID}:{TWILIO_AUTH_TOKEN}@w%3A{TWILIO_SENDER.removeprefix('+')}"
        f"/w:{TWILIO_RECIPIENT.removeprefix('+')}"
    )
    assert notify(url, body_format="text")
    assert (last(proxy).provider, last(proxy).target, last(proxy).text) == ("twilio", TWILIO_RECIPIENT, BODY)
    assert "whatsapp%3A%2B" in proxy.server.twilio.requests[-1].request.body.decode()


def test_meta_plugin_with_text_is_accepted(proxy: TlsProxy) -> None:
    url = f"whatsapp://{META_TOKEN}@{META_PHONE_ID}/{META_RECIPIENT.removeprefix('+')}"
    assert notify(url, body_format="text")
    assert (last(proxy).provider, last(proxy).target, last(proxy).text) == ("meta", META_RECIPIENT, BODY)


def test_meta_plugin_with_template_is_accepted_outside_the_window(proxy: TlsProxy) -> None:
    url = f"whatsapp://{META_TEMPLATE}:{META_TOKEN}@{META_PHONE_ID}/{META_OUTSIDE_WINDOW.removeprefix('+')}/?:body=1"
    assert notify(url, body_format="text")
    assert (last(proxy).template, last(proxy).parameters) == (META_TEMPLATE, (BODY,))


def test_json_plugin_is_accepted(server: ProviderServer) -> None:
    assert notify(f"json://127.0.0.1:{server.port}/hook", title="RISK", body_format="text")
    assert server.hook.accepted[0].text == f"RISK\n{BODY}"
