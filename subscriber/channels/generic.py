"""Any other service by its Apprise URL: e-mail, Discord, ntfy, a webhook. Plain text, and the general table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from subscriber.channels import plugins, verdicts
from subscriber.channels.channel import AppriseConfig
from subscriber.channels.plugins import Plugin
from subscriber.channels.providers import Provider
from subscriber.channels.redaction import Redaction
from subscriber.channels.verdicts import Answer
from subscriber.deliveries import Dialect, Message, MessageLimits, Outcome

#: Some plugins state no limit or a fantastic one (e-mail: 32,768); nobody reads more on a phone.
LONGEST_MESSAGE: Final = 4096

_DELIMITERS: Final = re.compile(r"[/?&=@:,;#]+")
#: In a URL every part may be a secret; shorter ones are the words that URLs are made of.
_SHORTEST_SECRET: Final = 8


class Generic(Provider):
    """One service and one target."""

    show_paths = False

    def __init__(self, config: AppriseConfig) -> None:
        """Build the plugin.

        Raises:
            ConfigurationError: The URL is none of one service with one target.
        """
        self._plugin, self.name, self.uses_http = plugins.custom_plugin(config.name, config.url)
        longest = self._plugin.body_maxlen or LONGEST_MESSAGE
        self.message_limits = MessageLimits(Dialect.PLAIN, min(longest, LONGEST_MESSAGE))
        self.pace = config.limits
        self.concurrency = config.concurrency
        self.secrets = tuple(_parts(config.url))

    def plugin(self, _message: Message) -> Plugin:
        """Return the one plugin."""
        return self._plugin

    def submit(self, plugin: Plugin, message: Message) -> bool:
        """Let the plugin make of the text what its service wants: some send HTML, and escape it."""
        return plugin.notify(body=message.body, **plugins.AS_TEXT)

    def judge(self, answer: Answer, redaction: Redaction) -> Outcome:
        """Go by the general table."""
        return verdicts.general(answer, redaction)


def _parts(url: str) -> Iterable[str]:
    yield url
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2].partition("?")[0]
    for part in _DELIMITERS.split(url.partition("://")[2]):
        if len(part) >= _SHORTEST_SECRET and part not in host:
            yield part
            yield unquote(part)
