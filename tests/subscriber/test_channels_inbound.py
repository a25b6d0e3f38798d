"""Whose window it is: the person's own messages open it, and another person has one of his own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from bus.clock import MICROSECONDS
from subscriber.channels.building import build_channel
from subscriber.channels.channel import ChannelConfig, MetaConfig
from subscriber.channels.memory import ChannelMemory
from subscriber.deliveries import (
    Remembered,
    Window,
)
from tests.support.provider_faults import error
from tests.support.provider_server import (
    TWILIO_RECIPIENT,
    ProviderServer,
)
from tests.support.whatsapp_channels import MESSAGE, NOW_US, channel_of, meta, twilio


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Twilio and a strict Meta on loopback."""
    with ProviderServer() as running:
        yield running


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Closes channels at the end."""
    with ExitStack() as stack:
        yield stack


# --- another target ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["twilio", "meta"])
def test_window_and_hold_are_the_persons_and_not_the_channels(
    server: ProviderServer, opened: ExitStack, provider: str
) -> None:
    """Whoever changes WHATSAPP_TO writes to somebody who never wrote to us; a new password changes nothing."""
    config = meta(server) if provider == "meta" else twilio(server)
    memory = ChannelMemory()
    channel_of(opened, config, memory)
    memory.change(inbound_us=NOW_US, held_until_us=NOW_US)
    renewed: ChannelConfig = (
        replace(config, access_token="EAA" + "z" * 60)
        if isinstance(config, MetaConfig)
        else (replace(config, auth_token="0" * 32))
    )
    assert channel_of(opened, renewed, ChannelMemory(memory.values)).window is Window.OPEN
    other = ChannelMemory(memory.values)
    assert channel_of(opened, replace(config, recipient="+12025550177"), other).window is Window.UNKNOWN
    assert other.values.held_until_us is None
    assert "2025550" not in str(other.values)


# --- the person's own messages -----------------------------------------------------------------------------------


def test_ask_inbound_learns_when_the_person_last_wrote(server: ProviderServer, opened: ExitStack) -> None:
    """By the list of messages, where no webhook tells; other people's messages and our own don't count."""
    memory = ChannelMemory()
    channel = channel_of(opened, twilio(server), memory)
    rules = server.twilio.rules
    assert channel.ask_inbound()
    assert (memory.values.inbound_us, channel.window) == (None, Window.UNKNOWN)
    rules.receive("+12025550199", NOW_US / MICROSECONDS - 5)
    rules.receive(TWILIO_RECIPIENT, NOW_US / MICROSECONDS - 7200)
    rules.receive(TWILIO_RECIPIENT, NOW_US / MICROSECONDS - 3600)
    channel.send(MESSAGE)
    assert channel.ask_inbound()
    assert memory.values.inbound_us == NOW_US - 3600 * MICROSECONDS
    assert channel.window is Window.OPEN


def test_ask_inbound_never_believes_in_the_future(server: ProviderServer, opened: ExitStack) -> None:
    """The provider's clock is ahead of ours: the window does not stay open for longer."""
    memory = ChannelMemory()
    channel = channel_of(opened, twilio(server), memory)
    server.twilio.script(
        error(200, body=b'{"messages": [{"direction": "inbound", "date_created": "Mon, 05 Jan 2099 12:00:00 +0000"}]}')
    )
    assert channel.ask_inbound()
    assert memory.values.inbound_us == NOW_US


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"nonsense", b'{"messages": {}}', b'{"code": 20003, "message": "Authenticate"}']
)
def test_ask_inbound_that_is_not_understood_changes_nothing(
    server: ProviderServer, opened: ExitStack, body: bytes
) -> None:
    """Nothing is remembered of an answer that says nothing."""
    memory = ChannelMemory()
    server.twilio.script(error(200, body=body), error(200, body=b'{"messages": [[], {"direction": "inbound"}]}'))
    channel = channel_of(opened, twilio(server), memory)
    assert not channel.ask_inbound()
    assert channel.ask_inbound()
    assert memory.values == Remembered(target=memory.values.target)


def test_ask_inbound_of_others_asks_nothing(server: ProviderServer, opened: ExitStack) -> None:
    """Meta tells by webhook only; and nothing is asked in a rehearsal."""
    assert not channel_of(opened, meta(server)).ask_inbound()
    rehearsing = build_channel(twilio(server), rehearsal=True, environ={})
    assert not rehearsing.ask_inbound()
    rehearsing.close()
    assert server.twilio.requests == server.meta.requests == []
