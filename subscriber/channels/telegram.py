"""Telegram's Bot API: limits, pace and what its answers mean.

Sources: core.telegram.org/bots/api#making-requests (ok, error_code, description, parameters), /bots/faq (limits), and
Client.cpp of tdlib/telegram-bot-api (descriptions); healthchecks' telegram transport says which are permanent.
error_code is "subject to change", so descriptions decide where one code has several meanings.
"""

from __future__ import annotations

import html
import json
import threading
from typing import Final

from subscriber.channels import plugins, verdicts
from subscriber.channels.calls import Exchange
from subscriber.channels.channel import Limit, TelegramConfig
from subscriber.channels.plugins import Plugin
from subscriber.channels.providers import Probe, Provider
from subscriber.channels.redaction import Redaction
from subscriber.channels.verdicts import Answer, mapping
from subscriber.deliveries import Dialect, LengthUnit, Message, MessageLimits, Outcome, Reason

ORIGIN: Final = "https://api.telegram.org"

#: 1-4096 characters after entities parsing (bots/api#sendmessage), counted as entity offsets are.
MESSAGE_LIMITS: Final = MessageLimits(Dialect.TELEGRAM_HTML, 4096, LengthUnit.UTF16)

# The FAQ's "My bot is hitting limits": one a second in a chat, of which "short bursts" pass; twenty a minute in a
# group; thirty a second for the whole bot.
_PER_CHAT: Final = Limit(messages=3, seconds=3, burst=3)
_PER_GROUP: Final = Limit(messages=20, seconds=60, burst=5)
_PER_BOT: Final = Limit(messages=30, seconds=1, burst=30)

_CODES: Final = {
    401: Reason.UNAUTHORIZED,  # "Unauthorized": the token was revoked
    403: Reason.UNAUTHORIZED,  # "bot was blocked by the user", "user is deactivated", "bot was kicked …"
    404: Reason.UNAUTHORIZED,  # "Not Found": no bot has such a token
    429: Reason.RATE_LIMITED,  # "Too Many Requests: retry after 35"
}

#: Descriptions under 400 that refuse the chat and not the message.
_CHAT_REFUSED: Final = (
    "chat not found",
    "chat_id is empty",
    "peer_id_invalid",
    "group chat was deactivated",
    "group chat was upgraded",  # without saying to which chat, or more than once
    "not enough rights",
    "have no rights to send",
    "need administrator rights",
    "chat_write_forbidden",
    "chat_restricted",
    "topic_closed",
    "bot is not a member",
    "user not found",
)
_MARKUP_REFUSED: Final = "can't parse entities"


class Telegram(Provider):
    """One bot and one chat; it remembers where a group has moved to."""

    name = "telegram"
    message_limits = MESSAGE_LIMITS
    origin = ORIGIN

    def __init__(self, config: TelegramConfig) -> None:
        """Build nothing yet."""
        self._config = config
        self._lock = threading.Lock()
        self._chat_id = config.chat_id
        self._plugins: dict[tuple[str, bool], Plugin] = {}
        self.secrets = (config.token, config.token.partition(":")[2], config.chat_id)
        # Groups have negative ids; of a public @name nobody can tell, so it keeps to the stricter pace.
        in_group = config.chat_id.startswith(("-", "@"))
        self.pace = (_PER_CHAT, _PER_GROUP, _PER_BOT) if in_group else (_PER_CHAT, _PER_BOT)

    def plugin(self, message: Message) -> Plugin:
        """Return the plugin for the chat, loud or silent."""
        with self._lock:
            key = (self._chat_id, message.silent)
            if key not in self._plugins:
                self._plugins[key] = plugins.built_in_plugin(
                    "telegram",
                    {
                        "bot_token": self._config.token,
                        "targets": [self._chat_id],
                        "detect_owner": False,
                        "silent": message.silent,
                        "preview": False,
                    },
                )
            return self._plugins[key]

    def submit(self, plugin: Plugin, message: Message) -> bool:
        """Send finished HTML; a message in any other dialect is text, and is escaped."""
        is_html = message.dialect is Dialect.TELEGRAM_HTML
        body = message.body if is_html else html.escape(message.body, quote=False)
        return plugin.send(body=body, **plugins.AS_HTML)

    def judge(self, answer: Answer, redaction: Redaction) -> Outcome:
        """Read the JSON, whatever the HTTP status: Apprise takes 200 with `ok: false` for a success."""
        if answer.json.get("ok") is True:
            return verdicts.accepted(answer, mapping(answer.json.get("result")).get("message_id"))
        if answer.json.get("ok") is not False:
            # Something in front of Telegram answered, such as a proxy with an error page.
            return verdicts.unreadable(answer) if answer.status < 300 else verdicts.general(answer, redaction)
        code = answer.json.get("error_code", answer.status)
        description = str(answer.json.get("description", ""))
        wait = answer.wait_seconds(mapping(answer.json.get("parameters")).get("retry_after"))
        reason = _reason(code, description)
        return verdicts.outcome(
            reason,
            answer,
            redaction.text(description),
            code=code,
            wait_seconds=wait if reason is Reason.RATE_LIMITED else None,
        )

    def again(self, answer: Answer, message: Message) -> Message | None:
        """Follow a group to its new id; send refused markup as plain text, which can't be refused."""
        if answer.json.get("ok") is not False:
            return None
        moved_to = mapping(answer.json.get("parameters")).get("migrate_to_chat_id")
        if isinstance(moved_to, int) and not isinstance(moved_to, bool):
            with self._lock:
                if self._chat_id == str(moved_to):
                    return None
                self._chat_id = str(moved_to)
            return message
        markup_refused = _MARKUP_REFUSED in str(answer.json.get("description", "")).lower()
        if not markup_refused or message.dialect is not Dialect.TELEGRAM_HTML:
            return None
        return Message(message.text, message.text, Dialect.PLAIN, message.silent)

    def reaches_target(self, exchange: Exchange) -> bool:
        """Look for the chat in the request."""
        return str(json.loads(exchange.request_body).get("chat_id")) == self._chat_id

    def probe(self) -> Probe:
        """Ask getMe, which needs the token alone."""
        return Probe(f"{ORIGIN}/bot{self._config.token}/getMe")


def _reason(code: object, description: str) -> Reason:
    if not isinstance(code, int):
        return Reason.UNAVAILABLE
    if code in _CODES:
        return _CODES[code]
    if 400 <= code < 500:
        refused = any(words in description.lower() for words in _CHAT_REFUSED)
        return Reason.UNAUTHORIZED if refused else Reason.REJECTED
    return Reason.UNAVAILABLE
