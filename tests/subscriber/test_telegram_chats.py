"""Which chats a bot is heard in: those of all channels that write by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC

import pytest

from bus.clock import SystemClock
from subscriber.channels.building import build_channel
from subscriber.channels.channel import AppriseConfig, TelegramConfig
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.delivery.desk import ChannelDesk
from subscriber.telegram_chats import bots_of
from subscriber.telegram_commands import TelegramCommands
from tests.support.provider_server import TELEGRAM_CHAT, TELEGRAM_GROUP, TELEGRAM_TOKEN, ProviderServer
from tests.support.telegram_bench import Notebook


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Telegram on loopback."""
    with ProviderServer() as running:
        yield running


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Closes what a test opens."""
    with ExitStack() as stack:
        yield stack


def desk_of(opened: ExitStack, config: TelegramConfig) -> ChannelDesk:
    channel = build_channel(config, environ={})
    opened.callback(channel.close)
    return ChannelDesk(channel, SystemClock())


def test_channels_of_one_bot_have_one_poller_that_answers_in_each_chat(
    server: ProviderServer, opened: ExitStack
) -> None:
    """Two would cut each other off; a second person's chat is a channel of its own."""
    first = TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT, base_url=server.url)
    second = replace(first, chat_id=TELEGRAM_GROUP, name="desk")
    desks = {config.name: desk_of(opened, config) for config in (first, second)}
    [(bot, chats)] = bots_of([first, AppriseConfig("hook", "json://localhost"), second], desks, HttpEnvironment())
    notebook = Notebook()
    commands = TelegramCommands(
        bot,
        chats,
        notebook.actions(),
        clock=SystemClock(),
        zone=UTC,
        setting=notebook.settings.get,
        remember=notebook.settings.__setitem__,
        count=notebook.count,
    )
    opened.callback(commands.stop)
    commands.start()
    server.telegram.rules.inbox.write(TELEGRAM_GROUP, "/test")
    server.telegram.rules.inbox.write(TELEGRAM_CHAT, "/test")
    told = server.wait_for_accepted(2, provider="telegram")
    assert notebook.done == [("test", "desk"), ("test", "telegram")]
    assert [message.target for message in told] == [TELEGRAM_GROUP, TELEGRAM_CHAT]
    assert notebook.counted == {"desk command": 1, "telegram command": 1}


def test_channels_of_two_bots_or_servers_have_a_poller_each(server: ProviderServer, opened: ExitStack) -> None:
    configs = [
        TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT, base_url=server.url),
        TelegramConfig(f"9{TELEGRAM_TOKEN}", TELEGRAM_CHAT, name="other", base_url=server.url),
        TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT, name="elsewhere"),
    ]
    desks = {config.name: desk_of(opened, config) for config in configs}
    found = bots_of(configs, desks, HttpEnvironment())
    for bot, _ in found:
        opened.callback(bot.close)
    assert [[chat.desk.name for chat in chats] for _, chats in found] == [["telegram"], ["other"], ["elsewhere"]]
