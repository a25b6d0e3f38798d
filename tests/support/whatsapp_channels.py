"""Channels to the stand-ins of Twilio and Meta, with a template of three parameters, and a message for them."""

from __future__ import annotations

from contextlib import ExitStack

from bus.clock import MICROSECONDS
from subscriber.channels.apprise_channel import AppriseChannel
from subscriber.channels.building import build_channel
from subscriber.channels.channel import ChannelConfig, MetaConfig, TwilioConfig
from subscriber.channels.memory import ChannelMemory
from subscriber.deliveries import (
    Dialect,
    Message,
)
from tests.support.provider_server import (
    META_PHONE_ID,
    META_RECIPIENT,
    META_TEMPLATE_OF_THREE,
    META_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_CONTENT_SID,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)

PARAMETERS = (
    "🔴 CRITICAL DRAWDOWN_BREACH TNA",
    'Drawdown "6.1 %" · {{2}} é 😀',
    "id 0a1b2c3d · 2026-05-04 03:12:09 CEST",
)
MESSAGE = Message("*text*", "text", Dialect.WHATSAPP, parameters=PARAMETERS, reference="0123456789ab.17")
NOW_US = 1_800_000_000 * MICROSECONDS
DAY_US = 24 * 3600 * MICROSECONDS


def twilio(
    server: ProviderServer, recipient: str = TWILIO_RECIPIENT, content_sid: str | None = TWILIO_CONTENT_SID
) -> TwilioConfig:
    return TwilioConfig(
        TWILIO_ACCOUNT_SID,
        TWILIO_AUTH_TOKEN,
        TWILIO_SENDER,
        recipient,
        base_url=server.url,
        deadline_seconds=5,
        content_sid=content_sid,
    )


def meta(
    server: ProviderServer, recipient: str = META_RECIPIENT, template: str | None = META_TEMPLATE_OF_THREE
) -> MetaConfig:
    return MetaConfig(META_TOKEN, META_PHONE_ID, recipient, base_url=server.url, deadline_seconds=5, template=template)


def channel_of(opened: ExitStack, config: ChannelConfig, memory: ChannelMemory | None = None) -> AppriseChannel:
    channel = build_channel(config, environ={}, memory=memory, now_us=lambda: NOW_US)
    assert isinstance(channel, AppriseChannel)
    opened.callback(channel.close)
    return channel
