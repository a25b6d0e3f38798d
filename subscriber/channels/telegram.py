"""Telegram's Bot API: limits, pace and what its answers mean.

Sources: core.telegram.org/bots/api#making-requests (ok, error_code, description, parameters), /bots/faq (limits), and
the program behind api.telegram.org: Client.cpp and ClientManager.cpp of tdlib/telegram-bot-api with what tdlib/td
tells it. error_code is "subject to change", so descriptions decide where one code has several meanings.
"""

from __future__ import annotations

import html
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from subscriber.channels import plugins, verdicts
from subscriber.channels.calls import Exchange
from subscriber.channels.channel import Limit, TelegramConfig
from subscriber.channels.memory import ChannelMemory
from subscriber.channels.plugins import Plugin
from subscriber.channels.providers import Probe, Provider
from subscriber.channels.redaction import Redaction
from subscriber.channels.telegram_updates import keyboard_of
from subscriber.channels.verdicts import Answer, Row, mapping
from subscriber.deliveries import Dialect, LengthUnit, Message, MessageLimits, Outcome, Reason

logger = logging.getLogger(__name__)

ORIGIN: Final = "https://api.telegram.org"

#: 1-4096 characters after entities parsing (bots/api#sendmessage), counted as entity offsets are.
MESSAGE_LIMITS: Final = MessageLimits(Dialect.TELEGRAM_HTML, 4096, LengthUnit.UTF16)

_API: Final = "core.telegram.org/bots/api#making-requests"
_SERVER: Final = "tdlib/telegram-bot-api, Client.cpp"
_DIALOGS: Final = "tdlib/td, DialogManager.cpp"
_METHOD: Final = "core.telegram.org/method/messages.sendMessage"

#: By `error_code`. What is not in it: other 4xx are refused for good (400 unless a description below says that it is
#: the chat), everything else is unavailable and in doubt.
TABLE: Final[Mapping[int, Row]] = {
    401: Row(Reason.UNAUTHORIZED, "Unauthorized: the token was revoked, or is nobody's", _SERVER),
    403: Row(Reason.UNAUTHORIZED, "Forbidden: blocked by the user, user deactivated, kicked, no member", _SERVER),
    404: Row(Reason.UNAUTHORIZED, "Not Found: no bot can have such a token", _SERVER),
    421: Row(Reason.UNAUTHORIZED, "Misdirected Request: a Bot API server that does not serve this bot", _SERVER),
    429: Row(Reason.RATE_LIMITED, "Too Many Requests: retry after so many seconds", _API),
    500: Row(Reason.UNAVAILABLE, "Internal Server Error, also while it restarts", _SERVER),
    502: Row(Reason.UNAVAILABLE, "Bad Gateway: what stands in front of the Bot API", "RFC 9110, 15.6.3"),
}

#: Descriptions under 400 that refuse the chat and not the message, in lower case.
CHAT_REFUSED: Final[Mapping[str, Row]] = {
    words: Row(Reason.UNAUTHORIZED, meaning, source)
    for words, meaning, source in (
        ("chat not found", "nobody with this id wrote to the bot, or it is in no such group", _SERVER),
        ("user not found", "there is no such person", _SERVER),
        ("chat_id is empty", "no chat was named", _SERVER),
        ("peer_id_invalid", "the chat's id is none, or is of the wrong kind", _METHOD),
        ("group chat was upgraded", "it moved, and the answer does not say where to, or again and again", _SERVER),
        ("group chat was deactivated", "the group was closed", "what bots have met; today it is a 403"),
        ("not enough rights", "the bot may not write there", "tdlib/td, MessageContent.cpp"),
        ("have no rights to send", "the bot may not write there", "what bots have met"),
        ("have no write access", "the bot may not write there", _DIALOGS),
        ("need administrator rights", "in a channel only administrators write", _DIALOGS),
        ("chat_write_forbidden", "the bot may not write there", _METHOD),
        ("chat_send_plain_forbidden", "texts may not be written there", _METHOD),
        ("chat_admin_required", "in a channel only administrators write", _METHOD),
        ("chat_restricted", "Telegram has restricted the chat", _METHOD),
        ("bot is not a member", "the bot is not in the group", _SERVER),
        ("topic_closed", "the topic was closed", _METHOD),
        ("topic_deleted", "the topic was deleted", _METHOD),
        ("message thread not found", "there is no such topic", _SERVER),
    )
}
_MARKUP_REFUSED: Final = "can't parse entities"
#: Descriptions under 400 that refuse the buttons and not the text, in lower case: tdlib/telegram-bot-api, Client.cpp
#: (get_reply_markup), and core.telegram.org/method/messages.sendMessage.
_BUTTONS_REFUSED: Final = ("button", "keyboard", "reply markup", "reply_markup")


class Telegram(Provider):
    """One bot and one chat; it remembers where a group has moved to."""

    name = "telegram"
    message_limits = MESSAGE_LIMITS
    origin = ORIGIN

    def __init__(self, config: TelegramConfig, memory: ChannelMemory | None = None) -> None:
        """Build nothing yet.

        Args:
            config: The bot and the chat.
            memory: Where it keeps to which chat the configured one has moved.
        """
        self._config = config
        self._memory = memory or ChannelMemory()
        self._lock = threading.Lock()
        self._plugins: dict[tuple[str, bool], Plugin] = {}
        self.concurrency = config.concurrency
        self.secrets = (config.token, config.token.partition(":")[2], *_forms(config.chat_id))
        self._settle(self._known_move() or config.chat_id)

    def _known_move(self) -> str | None:
        """Return where the configured chat has moved to; what is remembered of another one is forgotten."""
        known = self._memory.values
        if known.moved_from is None and known.moved_to is None:
            return None
        if known.moved_from == self._digest():
            return known.moved_to
        self._memory.change(moved_from=None, moved_to=None)
        return None

    def _digest(self) -> str:
        """Tell configured chats apart without telling which they are: without the token nobody can try ids."""
        key = blake2b(self._config.token.encode()).digest()  # a key may be no longer than a digest
        return blake2b(self._config.chat_id.encode(), key=key, digest_size=16).hexdigest()

    def _settle(self, chat_id: str) -> None:
        self._chat_id = chat_id
        self.secrets = (*dict.fromkeys((*self.secrets, *_forms(chat_id))),)
        self.pace = (*limits_of(self._config.token, chat_id), *self._config.limits)

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
        return plugin.send(body=_html_of(message), buttons=message.buttons, **plugins.AS_HTML)

    def judge(self, answer: Answer, redaction: Redaction) -> Outcome:
        """Go by the table; the id that a group has moved to is a secret from the first moment."""
        moved_to = _moved_to(answer)
        if moved_to is not None:
            redaction.learn(*_forms(moved_to))
        return judge_answer(answer, redaction)

    def again(self, answer: Answer, message: Message) -> Message | None:
        """Follow a group to its new id; send refused markup as plain text, and nothing is lost for its buttons."""
        if answer.json.get("ok") is not False:
            return None
        moved_to = _moved_to(answer)
        if moved_to is not None:
            self._follow(moved_to)
            # Where another thread has followed already, this answer is still one to the old id.
            return None if _addressee(answer.request_body) == moved_to else message
        description = str(answer.json.get("description", "")).lower()
        if _MARKUP_REFUSED in description and message.dialect is Dialect.TELEGRAM_HTML:
            return replace(message, body=message.text, dialect=Dialect.PLAIN)
        if message.buttons and any(words in description for words in _BUTTONS_REFUSED):
            return replace(message, buttons=())
        return None

    def _follow(self, moved_to: str) -> None:
        with self._lock:
            if self._chat_id == moved_to:
                return
            self._settle(moved_to)
        self._memory.change(moved_from=self._digest(), moved_to=moved_to)
        logger.warning(
            "the group has moved; its new id is remembered; set TELEGRAM_CHAT_ID to it",
            extra={"channel": self._config.name},
        )

    def reaches_target(self, exchange: Exchange) -> bool:
        """Look for the chat in the request."""
        return _addressee(exchange.request_body) == self._chat_id

    def carries(self, exchange: Exchange, message: Message) -> bool:
        """Look for the text and the buttons in the request."""
        fields = mapping(json.loads(exchange.request_body))
        keyboard = keyboard_of(message.buttons) if message.buttons else None
        return fields.get("text") == _html_of(message) and fields.get("reply_markup") == keyboard

    def probe(self) -> Probe:
        """Ask getMe, which needs the token alone."""
        return Probe(f"{ORIGIN}/bot{self._config.token}/getMe")


def limits_of(token: str, chat_id: str) -> tuple[Limit, ...]:
    """Return how fast a bot may write to a chat.

    The FAQ's "My bot is hitting limits": one a second in a chat, of which "short bursts" pass; twenty a minute in a
    group; thirty a second for the whole bot.
    """
    bot = f"telegram:{token.partition(':')[0]}"
    chat = f"{bot}:{chat_id.lower()}"
    limits = (
        Limit(messages=3, seconds=3, burst=3, scope=chat),
        Limit(messages=20, seconds=60, burst=5, scope=chat),
        Limit(messages=30, seconds=1, burst=30, scope=bot),
    )
    # Groups have negative ids; of a public @name nobody can tell, so it keeps to the stricter pace.
    return limits if chat_id.startswith(("-", "@")) else (limits[0], limits[2])


def judge_answer(answer: Answer, redaction: Redaction) -> Outcome:
    """Read the JSON, whatever the HTTP status: Apprise takes 200 with `ok: false` for a success."""
    if answer.json.get("ok") is True:
        return verdicts.accepted(answer, mapping(answer.json.get("result")).get("message_id"))
    if answer.json.get("ok") is not False:
        # Something in front of Telegram answered, such as a proxy with an error page.
        return verdicts.unreadable(answer) if answer.status < 300 else verdicts.general(answer, redaction)
    code = answer.json.get("error_code", answer.status)
    description = str(answer.json.get("description", ""))
    reason = _reason(code, description)
    wait = answer.wait_seconds(mapping(answer.json.get("parameters")).get("retry_after"))
    return verdicts.outcome(
        reason,
        answer,
        redaction.text(description),
        code=code,
        wait_seconds=wait if reason is Reason.RATE_LIMITED else None,
    )


def _reason(code: object, description: str) -> Reason:
    if not isinstance(code, int):
        return Reason.UNAVAILABLE
    if code in TABLE:
        return TABLE[code].reason
    if not 400 <= code < 500:
        return Reason.UNAVAILABLE
    words = description.lower()
    return next((row.reason for refused, row in CHAT_REFUSED.items() if refused in words), Reason.REJECTED)


def _html_of(message: Message) -> str:
    return message.body if message.dialect is Dialect.TELEGRAM_HTML else html.escape(message.body, quote=False)


def _moved_to(answer: Answer) -> str | None:
    """Return the id of the supergroup that a group has become (bots/api#responseparameters)."""
    moved_to = mapping(answer.json.get("parameters")).get("migrate_to_chat_id")
    fits = isinstance(moved_to, int) and not isinstance(moved_to, bool) and abs(moved_to) < _ABOVE_ALL_IDS
    return str(moved_to) if fits else None


def _addressee(request_body: bytes) -> str | None:
    """Return the chat that a request is addressed to."""
    try:
        content = json.loads(request_body)
    except ValueError:
        return None
    return str(mapping(content).get("chat_id"))


def _forms(chat_id: str) -> tuple[str, ...]:
    """Return a chat's id as it is, and without the minus of a group's."""
    return (chat_id, chat_id.removeprefix("-"))


#: "at most 52 significant bits" (bots/api#chat): anything above is no id, and need not be remembered.
_ABOVE_ALL_IDS: Final = 1 << 52
