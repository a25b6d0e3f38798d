"""Builds channels from their configuration, and the two of a rehearsal without credentials.

Apprise is imported here only when a channel is built: it takes a quarter of a second, which `status` need not spend.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from bus.clock import SystemClock
from subscriber.channels.channel import AppriseConfig, Channel, ChannelConfig, MetaConfig, TelegramConfig, TwilioConfig
from subscriber.channels.custom import resolved
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.channels.memory import ChannelMemory
from subscriber.channels.meta_receipts import MetaWebhook
from subscriber.channels.targets import target_of
from subscriber.channels.twilio_receipts import TwilioWebhook
from subscriber.channels.webhooks import WebhookReader
from subscriber.deliveries import Button, Dialect, Message

if TYPE_CHECKING:
    from subscriber.channels.apprise_channel import AppriseChannel, LateListener
    from subscriber.channels.providers import Provider

_SPECIMEN: Final = Message("Test", "Test", Dialect.PLAIN, reference="test", buttons=(Button("Test", "test"),))


def build_channel(
    config: ChannelConfig,
    *,
    rehearsal: bool = False,
    environ: Mapping[str, str] | None = None,
    on_late: LateListener | None = None,
    memory: ChannelMemory | None = None,
    now_us: Callable[[], int] | None = None,
) -> Channel:
    """Build the channel that a configuration describes; no connection is opened before its first send.

    Args:
        config: What to build; its values are well-formed (see `credentials`).
        rehearsal: The channel never requests anything, and changes nothing that is kept; `rehearse` works as ever.
        environ: Where proxies and CA bundle are read from; the process's own environment if not given.
        on_late: Hears of a send that ends after its deadline, with the outcome that it turned out to have.
        memory: What the channel knows from an earlier run, and where its changes are kept; empty if not given.
        now_us: The daemon's clock, in microseconds; the system's if not given.

    Raises:
        ConfigurationError: A custom URL is unusable, or the CA bundle is; no value is shown.
    """
    from subscriber.channels.apprise_channel import AppriseChannel  # noqa: PLC0415 - late, as the module says

    config = resolved(config)
    memory = memory or ChannelMemory()
    if rehearsal:  # with placeholders at that: what is kept is about the real target
        memory = ChannelMemory(memory.values)
    memory.belong_to(target_of(config))
    now_us = now_us or SystemClock().now_us
    provider, base_url = _provider(config, memory, now_us)
    channel: AppriseChannel = AppriseChannel(
        config.name,
        provider,
        HttpEnvironment.read(os.environ if environ is None else environ),
        base_url=base_url,
        deadline_seconds=config.deadline_seconds,
        memory=memory,
        now_us=now_us,
        rehearsal=rehearsal,
        on_late=on_late,
    )
    channel.prepare()
    if not isinstance(config, AppriseConfig):
        channel.verify(_SPECIMEN)
    return channel


def build_webhooks(configs: Sequence[ChannelConfig]) -> dict[str, WebhookReader]:
    """Return who reads a provider's calls, by the last part of the URL that it calls; needs no Apprise.

    Args:
        configs: Of all channels. Twilio's need the public URL, which is signed; Meta's the app secret and the verify
            token. A provider without any such channel is left out.
    """
    readers: tuple[WebhookReader, ...] = (
        TwilioWebhook([config for config in configs if isinstance(config, TwilioConfig)]),
        MetaWebhook([config for config in configs if isinstance(config, MetaConfig)]),
    )
    return {reader.provider: reader for reader in readers if reader.channels}


def placeholder_configs() -> tuple[ChannelConfig, ...]:
    """Return the two built-in channels with credentials of the right shape, for a rehearsal without any."""
    return (
        TelegramConfig(token="123456789:" + "placeholder" * 3 + "AA", chat_id="1000000001"),
        TwilioConfig(
            account_sid="AC" + "0" * 32,
            auth_token="0" * 32,
            sender="+12025550100",
            recipient="+12025550101",
        ),
    )


def _provider(config: ChannelConfig, memory: ChannelMemory, now_us: Callable[[], int]) -> tuple[Provider, str | None]:
    if isinstance(config, TelegramConfig):
        from subscriber.channels.telegram import Telegram  # noqa: PLC0415 - loaded where it is used

        return Telegram(config, memory), config.base_url
    if isinstance(config, TwilioConfig):
        from subscriber.channels.twilio import Twilio  # noqa: PLC0415 - loaded where it is used

        return Twilio(config, memory, now_us), config.base_url
    if isinstance(config, MetaConfig):
        from subscriber.channels.meta import Meta  # noqa: PLC0415 - loaded where it is used

        return Meta(config, memory, now_us), config.base_url
    from subscriber.channels.generic import Generic  # noqa: PLC0415 - loaded where it is used

    generic = Generic(config)
    return generic, generic.base_url
