"""What people do in Telegram, as a bot hears of it: getUpdates with its long polling, buttons and their answers.

Owns the queue of updates, which messages have which buttons, and the webhook. A test writes and presses as a person
would; rules of the server ask it what a request is answered. Sources:
- core.telegram.org/bots/api#getupdates, #inlinekeyboardbutton, #answercallbackquery, #editmessagereplymarkup;
- tdlib/telegram-bot-api, Client.cpp: do_get_updates (offset, limit, timeout), abort_long_poll, get_reply_markup,
  answer_callback_query; tdlib/td, TQueue.cpp (an offset that is too far ahead counts as none, and confirms nothing).

Stricter than Telegram in two places: a query is answered once, and a keyboard that stays as it is may not be set again.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.support.provider_rules import Reply, json_reply

MOST_UPDATES = 100
LONGEST_HOLD_SECONDS = 50
LONGEST_DATA_BYTES = 64
LONGEST_ANSWER = 200
#: TQueue::get: an offset that is further ahead of the last update is an error, for which the head is taken.
_AHEAD = 10
_FIRST_UPDATE = 645_421_321
_OTHER_POLLER = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
_WEBHOOK = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)
_TOO_OLD = "Bad Request: query is too old and response timeout expired or query ID is invalid"
_NOT_MODIFIED = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)
PERSON = {"id": 5550001001, "is_bot": False, "first_name": "Ada", "last_name": "Lovelace", "language_code": "en"}

Keyboard = list[list[dict[str, str]]]


class BadMarkup(ValueError):
    """A reply markup that Telegram refuses, in its words."""


@dataclass(frozen=True)
class QueryAnswer:
    """What a person saw who pressed a button."""

    query_id: str
    text: str


class TelegramInbox:
    """One bot's updates; safe for threads."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self._changed = threading.Condition()
        self._updates: list[dict[str, Any]] = []
        self._ids = count(_FIRST_UPDATE)
        self._last_id = _FIRST_UPDATE - 1
        self._query_ids = count(4_382_000_000_000_000_001)
        self._poll = 0
        self._polling = 0
        self._allowed: frozenset[str] = frozenset({"message", "callback_query", "edited_message"})
        self._open_queries: set[str] = set()
        self._keyboards: dict[tuple[str, int], Keyboard] = {}
        self._closing = False
        #: Set by another program; getUpdates is refused meanwhile.
        self.webhook = False
        #: What people saw who pressed buttons, in order.
        self.answers: list[QueryAnswer] = []

    # --- what people do -------------------------------------------------------------------------------------

    def write(self, chat: str, text: str, *, by: Mapping[str, object] = PERSON, **fields: object) -> int:
        """Write a message in a chat; return the update's id.

        Args:
            chat: Its id.
            text: What is written.
            by: Who writes.
            fields: More of the message, or others than usual: `date`, `chat`, `sender_chat`.
        """
        message = {"message_id": 7, "from": dict(by), "chat": chat_of(chat), "date": int(time.time()), "text": text}
        return self.tell({"message": message | fields})

    def press(self, label: str, *, message_id: int, chat: str, by: Mapping[str, object] = PERSON) -> str:
        """Press a button that is below a message now, by its label; return the query's id.

        Raises:
            AssertionError: There is no such button.
        """
        with self._changed:
            row = [button for row in self._keyboards.get((chat, message_id), []) for button in row]
        data = {button["text"]: button["callback_data"] for button in row}
        assert label in data, f"there is no button {label!r} below it, but {list(data)}"
        return self.press_data(data[label], message_id=message_id, chat=chat, by=by)

    def press_data(self, data: str, *, message_id: int, chat: str, by: Mapping[str, object] = PERSON) -> str:
        """Send what a button could hold, whether or not there is one, as a hostile client can."""
        query_id = str(next(self._query_ids))
        with self._changed:
            self._open_queries.add(query_id)
        message = {"message_id": message_id, "chat": chat_of(chat), "date": int(time.time()), "text": "an alert"}
        query = {"id": query_id, "from": dict(by), "message": message, "chat_instance": "1", "data": data}
        self.tell({"callback_query": query})
        return query_id

    def tell(self, update: Mapping[str, object]) -> int:
        """Put any update into the queue, with an id of its own unless it has one; return the id."""
        with self._changed:
            told = {"update_id": next(self._ids), **update}
            kinds = update.keys() - {"update_id"}
            if not kinds or kinds & self._allowed or not kinds & {"message", "callback_query", "edited_message"}:
                self._updates.append(told)
            self._last_id = told["update_id"] if isinstance(told["update_id"], int) else self._last_id
            self._changed.notify_all()
            return self._last_id

    def begin_anew(self, first_id: int) -> None:
        """Number updates from here on, as Telegram does after a week without any, and another server does."""
        with self._changed:
            self._ids = count(first_id)
            self._last_id = first_id - 1

    @property
    def waiting(self) -> list[int]:
        """The ids of updates that nobody confirmed."""
        with self._changed:
            return [update["update_id"] for update in self._updates]

    @property
    def polled(self) -> bool:
        """Whether somebody waits for updates right now."""
        with self._changed:
            return self._polling > 0

    def keyboard(self, chat: str, message_id: int) -> list[str]:
        """Return the labels of the buttons below a message."""
        with self._changed:
            return [button["text"] for row in self._keyboards.get((chat, message_id), []) for button in row]

    def release(self) -> None:
        """End every poll, because the server closes."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    # --- what a bot asks ------------------------------------------------------------------------------------

    def updates(self, arguments: Mapping[str, str]) -> Reply:
        """Answer getUpdates, when there is something to tell or its time is over."""
        if self.webhook:
            return refuse(409, _WEBHOOK)
        limit = min(max(_integer(arguments.get("limit"), MOST_UPDATES), 1), MOST_UPDATES)
        hold_seconds = min(max(_integer(arguments.get("timeout"), 0), 0), LONGEST_HOLD_SECONDS)
        with self._changed:
            self._poll += 1
            own = self._poll
            self._changed.notify_all()  # whoever polls already is cut off
            if "allowed_updates" in arguments:
                self._allowed = frozenset(json.loads(arguments["allowed_updates"]))
            self._confirm(_integer(arguments.get("offset"), 0))
            self._polling += 1
            try:
                self._changed.wait_for(
                    lambda: self._updates or self._poll != own or self.webhook or self._closing, hold_seconds
                )
            finally:
                self._polling -= 1
            cut = self._cut(own)
            return cut or json_reply(200, {"ok": True, "result": self._updates[:limit]})

    def _cut(self, poll: int) -> Reply | None:
        if self.webhook:
            return refuse(409, "Conflict: terminated by setWebhook request")
        return refuse(409, _OTHER_POLLER) if self._poll != poll else None

    def set_webhook(self) -> None:
        """Let another program take the updates."""
        with self._changed:
            self.webhook = True
            self._changed.notify_all()

    def answer_query(self, arguments: Mapping[str, str]) -> Reply:
        """Answer answerCallbackQuery."""
        query_id, text = arguments.get("callback_query_id", ""), arguments.get("text", "")
        if len(text) > LONGEST_ANSWER:
            return refuse(400, "Bad Request: MESSAGE_TOO_LONG")
        with self._changed:
            if query_id not in self._open_queries:
                return refuse(400, _TOO_OLD)
            self._open_queries.remove(query_id)
            self.answers.append(QueryAnswer(query_id, text))
            self._changed.notify_all()
        return json_reply(200, {"ok": True, "result": True})

    def edit_keyboard(self, chat: str, arguments: Mapping[str, str]) -> Reply:
        """Answer editMessageReplyMarkup."""
        message_id = _integer(arguments.get("message_id"), 0)
        try:
            keyboard = keyboard_of(arguments.get("reply_markup", ""))
        except BadMarkup as flaw:
            return refuse(400, f"Bad Request: {flaw}")
        with self._changed:
            if (chat, message_id) not in self._keyboards:
                return refuse(400, "Bad Request: message to edit not found")
            if self._keyboards[chat, message_id] == keyboard:
                return refuse(400, _NOT_MODIFIED)
            self._keyboards[chat, message_id] = keyboard
            self._changed.notify_all()
        result = {"message_id": message_id, "chat": chat_of(chat), "date": int(time.time())}
        return json_reply(200, {"ok": True, "result": result})

    def sent(self, chat: str, message_id: int, keyboard: Keyboard) -> None:
        """Remember what stands below a message of the bot."""
        with self._changed:
            self._keyboards[chat, message_id] = keyboard

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            self._updates = self._updates[offset:]
        elif offset <= self._last_id + _AHEAD:
            self._updates = [update for update in self._updates if _id_of(update) >= offset]


def keyboard_of(text: str) -> Keyboard:
    """Read a reply markup as Telegram does; only inline keyboards with data are known here.

    Raises:
        BadMarkup: Telegram would refuse it.
    """
    if not text:
        return []
    try:
        markup = json.loads(text)
    except ValueError:
        raise BadMarkup("can't parse reply keyboard markup JSON object") from None
    if not isinstance(markup, dict):
        raise BadMarkup("object expected as reply markup")
    rows = markup.get("inline_keyboard")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise BadMarkup('field "inline_keyboard" must be of type Array')
    for button in (button for row in rows for button in row):
        _check(button)
    return rows


def _check(button: object) -> None:
    if not isinstance(button, dict) or not isinstance(button.get("text"), str) or not button["text"].strip():
        raise BadMarkup("can't parse inline keyboard button: text buttons are unallowed in the inline keyboard")
    data = button.get("callback_data")
    if set(button) != {"text", "callback_data"} or not isinstance(data, str):
        raise BadMarkup("can't parse inline keyboard button: exactly one of the optional fields must be used")
    if not 1 <= len(data.encode()) <= LONGEST_DATA_BYTES:
        raise BadMarkup("BUTTON_DATA_INVALID")


def chat_of(chat: str) -> dict[str, object]:
    """Return a chat as updates tell of it: private, or a private group."""
    if chat.startswith("-"):
        return {"id": int(chat), "type": "supergroup", "title": "Trading desk"}
    return {"id": int(chat), "type": "private", "first_name": "Ada", "username": "ada_l"}


def refuse(status: int, description: str) -> Reply:
    """Build the error body of telegram-bot-api/Query.h, JsonQueryError."""
    return json_reply(status, {"ok": False, "error_code": status, "description": description})


def _id_of(update: Mapping[str, Any]) -> int:
    known = update.get("update_id")
    return known if isinstance(known, int) else 0


def _integer(text: str | None, default: int) -> int:
    try:
        return default if text is None else int(text)
    except ValueError:
        return 0
