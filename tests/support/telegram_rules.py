"""The Telegram Bot API as far as alerts use it: getMe, sendMessage, and with `telegram_inbox` what people do.

Owns which bot and chats exist and which requests are refused, in Telegram's words. Sources:
- tdlib/telegram-bot-api (the program behind api.telegram.org), telegram-bot-api/Client.cpp, commit 01a3679;
- tdlib/td, commit 022d602: td/telegram/misc.cpp (clean_input_string), MessageEntity.cpp (fix_formatted_text);
- core.telegram.org/bots/api#sendmessage: 1-4096 characters after entities parsing;
- python-telegram-bot/python-telegram-bot#2162: 404 for malformed tokens, 401 for well-formed unknown ones.

Stricter than Telegram in one place: length counts UTF-16 code units, as its entity offsets do, while TDLib
counts code points before sending. What fits here fits there.
"""

import itertools
import json
import re
import time
from collections.abc import Callable
from urllib.parse import parse_qsl

from tests.support.provider_rules import Judgement, Message, ProviderRequest, Reply, json_reply, utf16_length
from tests.support.strict_limits import StrictLimits
from tests.support.telegram_html import MarkupError, parse_html
from tests.support.telegram_inbox import TelegramInbox, keyboard_of
from tests.support.telegram_markdown import parse_legacy_markdown, parse_markdown_v2

TELEGRAM_TOKEN = "123456789:AAFakeTokenForTests_NotARealBot-000"
TELEGRAM_CHAT = "5550001001"
TELEGRAM_GROUP = "-1005550001002"
TELEGRAM_BLOCKED_CHAT = "5550001003"
TELEGRAM_DEACTIVATED_CHAT = "5550001004"
TELEGRAM_KICKED_GROUP = "-1005550001005"
TELEGRAM_UPGRADED_GROUP = "-555000106"
TELEGRAM_UPGRADED_TO = "-1005550001006"
TELEGRAM_UNKNOWN_CHAT = "5550001999"

TELEGRAM_TEXT_LIMIT = 4096
_REQUEST_TEXT_BYTES = 1 << 15

_TOKEN_SHAPE = re.compile(r"\d+:[A-Za-z0-9_-]+")
_PATH = re.compile(r"/bot(?P<token>[^/]*)/(?P<method>[^/]+)")
_PARSERS: dict[str, Callable[[str], str]] = {
    "": str,
    "none": str,
    "html": parse_html,
    "markdown": parse_legacy_markdown,
    "markdownv2": parse_markdown_v2,
}
# clean_input_string: control characters become spaces, CR and the marks that turn or break lines vanish.
_CLEANED = {code: " " for code in range(32) if code not in (10, 13)} | dict.fromkeys(
    (13, *range(0x2028, 0x202F), 0x0333, 0x033F, 0x030A)
)
_BOT = {"id": 123456789, "is_bot": True, "first_name": "Test alerts", "username": "test_alerts_bot"}


class TelegramRules:
    """One bot and its chats; `chats` may be added to, and maps a chat id to why it refuses, or to None.

    With `limits`, a message that comes too fast is refused with 429 and the seconds to wait.
    """

    def __init__(self, *, limits: StrictLimits | None = None) -> None:
        self.limits = limits
        self.chats: dict[str, Reply | None] = {
            TELEGRAM_CHAT: None,
            TELEGRAM_GROUP: None,
            TELEGRAM_UPGRADED_TO: None,
            TELEGRAM_BLOCKED_CHAT: _refuse(403, "Forbidden: bot was blocked by the user"),
            TELEGRAM_DEACTIVATED_CHAT: _refuse(403, "Forbidden: user is deactivated"),
            TELEGRAM_KICKED_GROUP: _refuse(403, "Forbidden: bot was kicked from the supergroup chat"),
            TELEGRAM_UPGRADED_GROUP: _refuse(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                parameters={"migrate_to_chat_id": int(TELEGRAM_UPGRADED_TO)},
            ),
        }
        self._message_ids = itertools.count(1)
        #: What people write and press.
        self.inbox = TelegramInbox()

    def judge(self, request: ProviderRequest, *, fails_later: int | None = None) -> Judgement:
        """Decide on one request; Telegram reports nothing later, so `fails_later` is not for it."""
        if fails_later is not None:
            raise ValueError("Telegram tells the fate of a message at once; script an error instead")
        found = _PATH.fullmatch(request.path)
        if found is None or not _TOKEN_SHAPE.fullmatch(found["token"]):
            return Judgement(reply=_refuse(404, "Not Found"))
        if found["token"] != TELEGRAM_TOKEN:
            return Judgement(reply=_refuse(401, "Unauthorized"))
        method = found["method"].lower()
        if method == "getme":
            return Judgement(reply=json_reply(200, {"ok": True, "result": _BOT}))
        if method not in {"getupdates", "sendmessage", "answercallbackquery", "editmessagereplymarkup"}:
            return Judgement(reply=_refuse(404, "Not Found: method not found"))
        arguments = _arguments(request)
        if arguments is None:
            return Judgement(reply=_refuse(400, "Bad Request: JSON object expected"))
        if method == "getupdates":
            return Judgement(reply=self.inbox.updates(arguments))
        if method == "answercallbackquery":
            return Judgement(reply=self.inbox.answer_query(arguments))
        return self._edit(arguments) if method == "editmessagereplymarkup" else self._send(arguments)

    def _edit(self, arguments: dict[str, str]) -> Judgement:
        """Change what stands below a message, which counts as writing to the chat."""
        chat = arguments.get("chat_id", "")
        refusal = self._refusal(chat)
        return Judgement(reply=refusal or self.inbox.edit_keyboard(chat, arguments))

    def _refusal(self, chat: str) -> Reply | None:
        """Refuse a chat, or what comes too fast."""
        if not chat:
            return _refuse(400, "Bad Request: chat_id is empty")
        if chat not in self.chats:
            return _refuse(400, "Bad Request: chat not found")
        wait = None if self.limits is None or self.chats[chat] is not None else self.limits.wait_asked(chat)
        return self.chats[chat] if wait is None else self.rate_limited(wait)

    def _send(self, arguments: dict[str, str]) -> Judgement:
        """Refuse in Telegram's order: the text as sent, its markup, the chat, the text that remains."""
        raw_text = arguments.get("text", "")
        parse_mode = arguments.get("parse_mode", "")
        try:
            shown = _shown_text(raw_text, parse_mode)
            keyboard = keyboard_of(arguments.get("reply_markup", ""))
        except ValueError as refusal:
            return Judgement(reply=_refuse(400, f"Bad Request: {refusal}"))
        chat = arguments.get("chat_id", "")
        if not chat:
            return Judgement(reply=_refuse(400, "Bad Request: chat_id is empty"))
        if chat not in self.chats:
            return Judgement(reply=_refuse(400, "Bad Request: chat not found"))
        refusal_of_chat = self.chats[chat]
        if refusal_of_chat is not None:
            return Judgement(reply=refusal_of_chat)
        if not shown:
            return Judgement(reply=_refuse(400, "Bad Request: text must be non-empty"))
        if utf16_length(shown) > TELEGRAM_TEXT_LIMIT:
            return Judgement(reply=_refuse(400, "Bad Request: message is too long"))
        wait = None if self.limits is None else self.limits.wait_asked(chat)
        if wait is not None:
            return Judgement(reply=self.rate_limited(wait))
        message_id = next(self._message_ids)
        self.inbox.sent(chat, message_id, keyboard)
        result = {
            "message_id": message_id,
            "from": _BOT,
            "chat": {"id": int(chat), "type": "private" if int(chat) > 0 else "supergroup"},
            "date": int(time.time()),
            "text": shown,
        }
        return Judgement(
            reply=json_reply(200, {"ok": True, "result": result}),
            message=Message(
                target=chat,
                text=shown,
                raw_text=raw_text,
                message_id=str(message_id),
                parse_mode=parse_mode or None,
                silent=arguments.get("disable_notification", "").lower() in ("true", "yes", "1"),
            ),
        )

    def rate_limited(self, retry_after: int | None) -> Reply:
        """Client.cpp, set_retry_after_error: the seconds stand in the text, the parameters and a header."""
        if retry_after is None:
            return _refuse(429, "Too Many Requests")
        return _refuse(
            429,
            f"Too Many Requests: retry after {retry_after}",
            parameters={"retry_after": retry_after},
            headers={"Retry-After": str(retry_after)},
        )

    def error(self, status: int, code: int | None) -> Reply:
        """Telegram's error_code is the HTTP status unless `code` says otherwise."""
        return _refuse(status, _DESCRIPTIONS.get(status, "Internal Server Error"), error_code=code)

    def ok_false(self) -> Reply:
        """Status 200 with `ok` false, which Apprise takes for success (facts: Apprise 2.2.0)."""
        return json_reply(200, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"})


_DESCRIPTIONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    502: "Bad Gateway",
}


def _refuse(
    status: int,
    description: str,
    *,
    error_code: int | None = None,
    parameters: dict[str, int] | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """Build the error body of telegram-bot-api/Query.h, JsonQueryError."""
    body: dict[str, object] = {"ok": False, "error_code": error_code or status, "description": description}
    if parameters:
        body["parameters"] = parameters
    return json_reply(status, body, headers)


def _arguments(request: ProviderRequest) -> dict[str, str] | None:
    """Collect query, form and JSON arguments as text; None when a JSON body is not an object."""
    arguments = dict(parse_qsl(request.query)) | request.form()
    if not request.headers.get("content-type", "").startswith("application/json"):
        return arguments
    fields = request.json_object()
    if fields is None:
        return None
    for name, value in fields.items():
        arguments[name] = value if isinstance(value, str) else json.dumps(value)
    return arguments


def _shown_text(raw_text: str, parse_mode: str) -> str:
    """Return what the chat shows.

    Raises:
        ValueError: the description with which Telegram refuses the text.
    """
    if not raw_text:
        raise ValueError("message text is empty")  # get_input_message_text
    try:
        size = len(raw_text.encode())
    except UnicodeEncodeError:
        raise ValueError("strings must be encoded in UTF-8") from None
    if size > _REQUEST_TEXT_BYTES:
        raise ValueError("text is too long")  # get_formatted_text
    parser = _PARSERS.get(parse_mode.lower())
    if parser is None:
        raise ValueError("unsupported parse_mode")
    try:
        parsed = parser(raw_text)
    except MarkupError as flaw:
        raise ValueError(f"can't parse entities: {flaw}") from None
    # Telegram keeps leading blanks inside an entity; no alert depends on it, so they go too.
    return parsed.translate(_CLEANED).rstrip().lstrip(" \n")
