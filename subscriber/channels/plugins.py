"""Apprise, held still: builds one plugin object for one target that sends one request and converts nothing.

The only module that imports Apprise; `building` imports it late. Loading Apprise's 150 plugins, which a custom URL
needs, takes more than a second, so the built-in channels import just their own.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from typing import Any, Final, Protocol

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType, OverflowMode

from bus.errors import ConfigurationError
from subscriber.channels.provider_http import quieten
from subscriber.channels.requests_seam import route

#: The plugin that writes to each built-in provider.
_BUILT_IN: Final = {
    "telegram": ("subscriber.channels.telegram_plugin", "NotifyTelegramButtons"),
    "twilio": ("subscriber.channels.twilio_plugin", "NotifyTwilioContent"),
    "meta": ("apprise.plugins.whatsapp", "NotifyWhatsApp"),
}


class Plugin(Protocol):
    """What is used of apprise.plugins.base.NotifyBase."""

    body_maxlen: int
    request_rate_per_sec: float
    retry: int

    def __len__(self) -> int:
        """How many requests one message makes."""
        ...

    def send(self, **arguments: Any) -> bool:
        """Send a body exactly as it is."""
        ...

    def notify(self, **arguments: Any) -> bool:
        """Convert a body to the service's own format and send it."""
        ...


def built_in_plugin(provider: str, arguments: Mapping[str, Any]) -> Plugin:
    """Build the plugin of a built-in provider directly: a URL can't express `whatsapp:` senders (measured).

    Raises:
        ConfigurationError: Apprise refuses what our own checks let through.
    """
    module, name = _BUILT_IN[provider]
    kind = getattr(importlib.import_module(module), name)
    quieten()
    try:
        plugin: Plugin = kind(asset=_asset(), **arguments)
    except TypeError as error:  # AppriseImproperlyConfigured is one; its text holds the credential
        raise ConfigurationError(
            f"Apprise refuses the {provider} channel ({type(error).__name__}); check its credentials and target."
        ) from None
    held_still(plugin)
    if not route(plugin):
        raise RuntimeError(f"Apprise's {provider} plugin no longer makes its requests by the module `requests`")
    return plugin


def custom_plugin(channel: str, url: str) -> tuple[Plugin, str, bool]:
    """Build the plugin of an Apprise URL; return it, its schema and whether it makes HTTP requests.

    Raises:
        ConfigurationError: The URL names no service, or not exactly one target; it is never shown.
    """
    quieten()
    # Late, for it is made of what is here and of Apprise's own plugin.
    importlib.import_module("subscriber.channels.twilio_plugin").register()
    schema = url.partition("://")[0].lower() if "://" in url else ""
    with warnings.catch_warnings():
        # The first URL loads every plugin; the one for e-mail imports imghdr, which Python 3.13 removes.
        warnings.simplefilter("ignore", DeprecationWarning)
        plugin: Any = Apprise.instantiate(url, asset=_asset()) if schema else None
    if plugin is None:
        raise ConfigurationError(
            f"ALERTBUS_CONFIG: channel {channel}: its url is none that Apprise understands; "
            "it must be one service's URL with all that the service needs (appriseit.com/services)."
        )
    held_still(plugin)
    # A Telegram bot without a chat would ask getUpdates and write to whoever wrote to it.
    plugin.detect_owner = False
    targets = getattr(plugin, "targets", None)
    if len(plugin) != 1 or (targets is not None and len(targets) == 0):
        raise ConfigurationError(
            f"ALERTBUS_CONFIG: channel {channel}: its url must name exactly one target; "
            "give every target a channel of its own."
        )
    return plugin, schema, route(plugin)


def held_still(plugin: Any) -> None:
    """Switch off what would delay, repeat or split a message: the queue does the first two, nobody the third."""
    plugin.request_rate_per_sec = 0
    plugin.retry = 0
    plugin.overflow_mode = OverflowMode.UPSTREAM


#: With these `send` takes a body for finished HTML and leaves it alone (plugins/telegram.py, `body_passthrough`).
AS_HTML: Final[Mapping[str, Any]] = {
    "title": "",
    "notify_type": NotifyType.INFO,
    "body_format": NotifyFormat.HTML,
    "body_passthrough": False,
}
#: With these `send` takes a body as it is, and `notify` knows that it is text and escapes it where it must.
AS_TEXT: Final[Mapping[str, Any]] = {"title": "", "notify_type": NotifyType.INFO, "body_format": NotifyFormat.TEXT}


def _asset() -> AppriseAsset:
    # Without a service timeout Apprise runs in our thread, not in its pool of cpu + 4 shared ones (measured).
    return AppriseAsset(
        app_id="alertbus", service_timeout=0, default_service_retry=0, http_redirects=False, async_mode=False
    )
