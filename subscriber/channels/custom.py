"""Apprise URLs of the services that have a channel built in: what they say, as that channel's configuration.

`tgram://`, `whatsapp://` and a WhatsApp by `twilio://` then get all that the built-in channels have: their markup, pace
and verdicts, templates, receipts. What the built-in channel has no word for (a topic, messages without sound, previews,
an API key, fixed parameters of a template, a group) stays with Apprise's plugin as it is, so that nothing of a URL is
lost in silence; `generic` then still goes by the service's own table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from subscriber.channels import credentials
from subscriber.channels.channel import AppriseConfig, ChannelConfig, MetaConfig, TelegramConfig, TwilioConfig

#: Attributes of the plugins that, where a URL sets them, make another request of it than ours would be.
_EXTRAS: Final = ("interpret_emojis",)
_TELEGRAM_EXTRAS: Final = ("silent", "preview", "topic", "include_image", "tokens")
#: The only way of filling a template's parameters that a channel's own templates have, too.
_WHOLE_BODY: Final = {"1": "body"}


def resolved(config: ChannelConfig) -> ChannelConfig:
    """Return the built-in channel's configuration for an Apprise URL that means one, and any other as it is.

    Raises:
        ConfigurationError: The URL is none of one service with one target; it is never shown.
    """
    if not isinstance(config, AppriseConfig):
        return config
    from subscriber.channels.plugins import custom_plugin  # noqa: PLC0415 - late: Apprise's plugins take a second

    plugin: Any = custom_plugin(config.name, config.url)[0]
    read = _READERS.get(type(plugin).__name__)
    return (read(plugin, config) if read and _plain(plugin, _EXTRAS) else None) or config


def _telegram(plugin: Any, config: AppriseConfig) -> TelegramConfig | None:
    ((chat, topic),) = plugin.targets
    faults = (credentials.telegram_token_fault(plugin.bot_token), credentials.telegram_chat_fault(str(chat)))
    if any(faults) or topic is not None or len(plugin.template) or not _plain(plugin, _TELEGRAM_EXTRAS):
        return None
    return TelegramConfig(
        token=plugin.bot_token,
        chat_id=str(chat),
        name=config.name,
        base_url=config.addresses.telegram,
        deadline_seconds=config.deadline_seconds,
        limits=config.limits,
        concurrency=config.concurrency,
    )


def _meta(plugin: Any, config: AppriseConfig) -> MetaConfig | None:
    (target,) = plugin.targets
    faults = (
        credentials.meta_token_fault(plugin.token),
        credentials.meta_phone_id_fault(plugin.from_phone_id),
        credentials.phone_fault(target),
    )
    if any(faults) or plugin.components != (_WHOLE_BODY if plugin.template else {}):
        return None
    built = MetaConfig(
        access_token=plugin.token,
        phone_number_id=plugin.from_phone_id,
        recipient=credentials.normalised_phone(target),
        name=config.name,
        base_url=config.addresses.meta,
        deadline_seconds=config.deadline_seconds,
        limits=config.limits,
        concurrency=config.concurrency,
    )
    if not plugin.template:
        return built
    return replace(built, template=plugin.template, template_language=plugin.language, template_parameters=1)


def _twilio(plugin: Any, config: AppriseConfig) -> TwilioConfig | None:
    ((_, target),) = plugin.targets
    faults = (
        credentials.twilio_sid_fault(plugin.account_sid),
        credentials.twilio_token_fault(plugin.auth_token),
        credentials.phone_fault(plugin.source),
        credentials.phone_fault(target),
    )
    if any(faults) or plugin.apikey or not by_whatsapp(plugin):
        return None
    built = TwilioConfig(
        account_sid=plugin.account_sid,
        auth_token=plugin.auth_token,
        sender=credentials.normalised_phone(plugin.source),
        recipient=credentials.normalised_phone(target),
        name=config.name,
        base_url=config.addresses.twilio,
        deadline_seconds=config.deadline_seconds,
        limits=config.limits,
        concurrency=config.concurrency,
    )
    content_sid = getattr(plugin, "content_sid", None)  # of `twilio_plugin`, by its own schema
    return replace(built, content_sid=content_sid, template_parameters=1) if content_sid else built


def by_whatsapp(plugin: Any) -> bool:
    """Say whether Twilio's plugin sends by WhatsApp: the target decides, and takes its way from the sender's."""
    return bool(plugin.method == "sms" and plugin.targets[0][0] == "W")  # TwilioMessageMode.WHATSAPP


def _plain(plugin: Any, extras: tuple[str, ...]) -> bool:
    return plugin.verify_certificate and not any(getattr(plugin, name) for name in extras)


_READERS: Final[Mapping[str, Callable[[Any, AppriseConfig], ChannelConfig | None]]] = {
    "NotifyTelegram": _telegram,
    "NotifyTwilio": _twilio,
    "NotifyTwilioContent": _twilio,
    "NotifyWhatsApp": _meta,
}
