"""Buttons below Telegram's messages; the tests of the plugin are the ones that a release of Apprise may break."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from apprise.plugins.telegram import NotifyTelegram

from bus.errors import ConfigurationError
from subscriber.channels import telegram_plugin
from subscriber.channels.building import build_channel
from subscriber.channels.channel import Addresses, AppriseConfig, ChannelConfig, TelegramConfig
from subscriber.deliveries import Button, Dialect, Message, Outcome, Reason
from tests.support.provider_faults import error
from tests.support.provider_server import (
    TELEGRAM_CHAT,
    TELEGRAM_TOKEN,
    TELEGRAM_UPGRADED_GROUP,
    TELEGRAM_UPGRADED_TO,
    ProviderServer,
)

BUTTONS = (Button("Acknowledge", "ack:" + "0" * 32), Button("Mute 1 h", "mute:" + "0" * 32))
LABELS = [button.label for button in BUTTONS]
MESSAGE = Message("<b>PnL &lt; -5%</b>", "PnL < -5%", Dialect.TELEGRAM_HTML, silent=True, buttons=BUTTONS)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Telegram on loopback."""
    with ProviderServer() as running:
        yield running


def sent(config: ChannelConfig, message: Message = MESSAGE) -> Outcome:
    """Send one message and close the channel."""
    channel = build_channel(config, environ={})
    try:
        return channel.send(message)
    finally:
        channel.close()


def config_of(server: ProviderServer, chat: str = TELEGRAM_CHAT) -> TelegramConfig:
    return TelegramConfig(TELEGRAM_TOKEN, chat, base_url=server.url, deadline_seconds=5)


def keyboards(server: ProviderServer, chat: str = TELEGRAM_CHAT) -> list[list[str]]:
    """Return the labels below each accepted message."""
    inbox = server.telegram.rules.inbox
    return [inbox.keyboard(chat, int(message.message_id)) for message in server.telegram.accepted]


def test_send_with_buttons_is_the_same_request_with_a_keyboard(server: ProviderServer) -> None:
    """Nothing else of it changes."""
    assert sent(config_of(server)).accepted
    assert server.telegram.requests[0].request.json_object() == {
        "chat_id": int(TELEGRAM_CHAT),
        "text": "<b>PnL &lt; -5%</b>",
        "parse_mode": "HTML",
        "disable_notification": True,
        "disable_web_page_preview": True,
        "reply_markup": {
            "inline_keyboard": [[{"text": button.label, "callback_data": button.data} for button in BUTTONS]]
        },
    }
    assert keyboards(server) == [LABELS]


def test_buttons_belong_to_the_message_and_not_to_the_channel(server: ProviderServer) -> None:
    channel = build_channel(config_of(server), environ={})
    channel.send(MESSAGE)
    channel.send(Message("x", "x", Dialect.PLAIN, silent=True))
    channel.close()
    assert keyboards(server) == [LABELS, []]


def test_send_of_refused_markup_keeps_its_buttons_as_text(server: ProviderServer) -> None:
    assert sent(
        config_of(server), Message("<b>PnL < -5%", "PnL < -5%", Dialect.TELEGRAM_HTML, buttons=BUTTONS)
    ).accepted
    assert server.telegram.accepted[0].text == "PnL < -5%"
    assert keyboards(server) == [LABELS]


def test_send_to_a_group_that_moved_keeps_its_buttons(server: ProviderServer) -> None:
    assert sent(config_of(server, TELEGRAM_UPGRADED_GROUP)).accepted
    assert keyboards(server, TELEGRAM_UPGRADED_TO) == [LABELS]


@pytest.mark.parametrize(
    "button", [Button("x", "d" * 65), Button("x", "ä" * 33), Button("x", ""), Button("", "x"), Button(" ", "x")]
)
def test_send_with_buttons_that_are_refused_goes_out_without_them(server: ProviderServer, button: Button) -> None:
    """A fault of ours in a button costs the button and not the alert."""
    outcome = sent(config_of(server), Message("x", "x", Dialect.PLAIN, buttons=(*BUTTONS, button)))
    assert outcome.accepted
    assert [request.status for request in server.telegram.requests] == [400, 200]
    assert keyboards(server) == [[]]


def test_send_without_buttons_that_is_refused_for_one_is_not_tried_again(server: ProviderServer) -> None:
    """Once more, and not for ever."""
    refused = error(400, body=b'{"ok":false,"error_code":400,"description":"Bad Request: BUTTON_DATA_INVALID"}')
    server.telegram.always(refused)
    assert sent(config_of(server)).reason is Reason.REJECTED
    assert len(server.telegram.requests) == 2


def test_apprise_url_of_a_chat_has_buttons_as_well(server: ProviderServer) -> None:
    """A second person's chat, to which an alert escalates, is one."""
    url = f"tgram://{TELEGRAM_TOKEN}/{TELEGRAM_CHAT}"
    assert sent(AppriseConfig("second", url, addresses=Addresses(telegram=server.url))).accepted
    assert keyboards(server) == [LABELS]


def test_other_channels_ignore_buttons(server: ProviderServer) -> None:
    assert sent(AppriseConfig("desk", f"json://127.0.0.1:{server.port}/hook"), MESSAGE).accepted
    assert b"Acknowledge" not in server.hook.requests[0].request.body


@pytest.mark.parametrize("payload", ["[]", "x=1", '{"chat_id": 1}', '"chat_id text"'])
def test_release_of_apprise_that_sends_something_else_is_refused_when_the_channel_is_built(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch, payload: str
) -> None:
    """Before it could send an alert without its buttons, or none at all."""

    def other(_plugin: Any, *_: Any, **__: Any) -> bool:
        telegram: Any = __import__("apprise.plugins.telegram", fromlist=["requests"])
        telegram.requests.post(f"https://api.telegram.org/bot{TELEGRAM_TOKEN}/sendMessage", data=payload)
        return True

    monkeypatch.setattr(NotifyTelegram, "send", other)
    with pytest.raises(ConfigurationError, match="telegram plugin does not address what"):
        build_channel(config_of(server), environ={})


def test_plugin_that_loses_the_buttons_is_refused_when_the_channel_is_built(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telegram_plugin, "_with_buttons", lambda payload, _buttons: payload)
    with pytest.raises(ConfigurationError, match="telegram plugin does not send what"):
        build_channel(config_of(server), environ={})
