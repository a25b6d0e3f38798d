"""Any other service by its Apprise URL: e-mail, Discord, ntfy, a webhook. Text, and the general table.

A URL of Telegram, Twilio or Meta that says more than the built-in channels can (see `custom`) is sent by Apprise's
plugin, too, but keeps to that service's limits and is judged by its table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote

from subscriber.channels import custom, meta, plugins, telegram, twilio, verdicts
from subscriber.channels.channel import Addresses, AppriseConfig, Limit
from subscriber.channels.plugins import Plugin
from subscriber.channels.providers import Provider
from subscriber.channels.redaction import Redaction
from subscriber.channels.verdicts import Answer
from subscriber.channels.window import PARAMETERS_LENGTH
from subscriber.deliveries import Dialect, LengthUnit, Message, MessageLimits, Outcome, TemplateLimits

#: Some plugins state no limit or a fantastic one (e-mail: 32,768); nobody reads more on a phone.
LONGEST_MESSAGE: Final = 4096

#: The whole text as one parameter of an approved template.
_IN_TEMPLATE: Final = MessageLimits(
    Dialect.WHATSAPP, PARAMETERS_LENGTH, LengthUnit.UTF16, TemplateLimits(1, PARAMETERS_LENGTH)
)
_DELIMITERS: Final = re.compile(r"[/?&=@:,;#]+")
#: In a URL every part may be a secret; shorter ones are the words that URLs are made of.
_SHORTEST_SECRET: Final = 8


@dataclass(frozen=True, slots=True)
class _Service:
    """What is known of a service whose URL stays with Apprise's plugin."""

    judge: Callable[[Answer, Redaction], Outcome]
    pace: tuple[Limit, ...]
    message_limits: MessageLimits
    origin: str | None = None
    base_url: str | None = None


class Generic(Provider):
    """One service and one target."""

    show_paths = False

    def __init__(self, config: AppriseConfig) -> None:
        """Build the plugin.

        Raises:
            ConfigurationError: The URL is none of one service with one target.
        """
        self._plugin, self.name, self.uses_http = plugins.custom_plugin(config.name, config.url)
        service = _service(self._plugin, config.addresses)
        self.origin = service.origin
        self.base_url = service.base_url
        self._judge = service.judge
        self.message_limits = service.message_limits
        self.pace = (*service.pace, *config.limits)
        self.concurrency = config.concurrency
        self.secrets = tuple(_parts(config.url))

    def plugin(self, _message: Message) -> Plugin:
        """Return the one plugin."""
        return self._plugin

    def submit(self, plugin: Plugin, message: Message) -> bool:
        """Let the plugin make of the text what its service wants: some send HTML, and escape it."""
        return plugin.notify(body=self._body(message), **plugins.AS_TEXT)

    def _body(self, message: Message) -> str:
        """Return the text, for a parameter of a template without the line breaks that WhatsApp refuses in one."""
        if self.message_limits.template is None:
            return message.body
        return " ".join(message.parameters or message.body.split())

    def judge(self, answer: Answer, redaction: Redaction) -> Outcome:
        """Go by the service's own table, or by the general one."""
        return self._judge(answer, redaction)


def _service(plugin: Any, addresses: Addresses) -> _Service:
    known = _KNOWN.get(type(plugin).__name__)
    if known is not None:
        return known(plugin, addresses)
    longest = plugin.body_maxlen or LONGEST_MESSAGE
    return _Service(verdicts.general, (), MessageLimits(Dialect.PLAIN, min(longest, LONGEST_MESSAGE)))


def _telegram(plugin: Any, addresses: Addresses) -> _Service:
    limits = replace(telegram.MESSAGE_LIMITS, dialect=Dialect.PLAIN)  # the plugin escapes it
    pace = telegram.limits_of(plugin.bot_token, str(plugin.targets[0][0]))
    return _Service(telegram.judge_answer, pace, limits, telegram.ORIGIN, addresses.telegram)


def _twilio(plugin: Any, addresses: Addresses) -> _Service:
    where = (twilio.ORIGIN, addresses.twilio)
    if not custom.by_whatsapp(plugin):
        return _Service(twilio.judge_answer, (), MessageLimits(Dialect.PLAIN, plugin.body_maxlen), *where)
    limits = _IN_TEMPLATE if getattr(plugin, "content_sid", None) else twilio.MESSAGE_LIMITS
    return _Service(twilio.judge_answer, twilio.limits_of(plugin.source, plugin.targets[0][1]), limits, *where)


def _meta(plugin: Any, addresses: Addresses) -> _Service:
    limits = _IN_TEMPLATE if plugin.template else meta.MESSAGE_LIMITS
    pace = meta.limits_of(plugin.from_phone_id, plugin.targets[0])
    return _Service(meta.judge_answer, pace, limits, meta.ORIGIN, addresses.meta)


_KNOWN: Final[Mapping[str, Callable[[Any, Addresses], _Service]]] = {
    "NotifyTelegram": _telegram,
    "NotifyTwilio": _twilio,
    "NotifyTwilioContent": _twilio,
    "NotifyWhatsApp": _meta,
}


def _parts(url: str) -> Iterable[str]:
    """Return what may be secret in a URL: all of it, and each part but the name of a host, which has a dot.

    Many services have no host in their URL: `slack://TOKEN_A/…`, `pover://USER_KEY@APP_TOKEN`, `tgram://ID:TOKEN/…`.
    """
    yield url
    rest = url.partition("://")[2]
    host = re.split(r"[/?]", rest, maxsplit=1)[0].rpartition("@")[2].partition(":")[0]
    for part in _DELIMITERS.split(rest):
        if len(part) >= _SHORTEST_SECRET and (part != host or "." not in host):
            yield part
            yield unquote(part)
