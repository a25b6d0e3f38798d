"""What people do in a bot's chats, read from Telegram's updates: what they write, and which buttons they press. Pure.

Anybody may write to a bot, and nothing of an update is to be believed: fields may be missing, of any type, and of any
length. What can't be read is `Unread`, so that it is counted and passed over.

Source: core.telegram.org/bots/api#update.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from subscriber.channels.verdicts import mapping
from subscriber.deliveries import Button
from subscriber.policy.cleaning import clean_line

#: What is asked for; of everything else Telegram then tells nothing.
ALLOWED_UPDATES: Final = ("message", "callback_query")
#: Who did it, where nothing tells.
SOMEBODY: Final = "somebody"
_LONGEST_NAME: Final = 64
#: Of a text no more than this can be a command.
_LONGEST_COMMAND: Final = 512
#: "callback_data", 1-64 bytes (bots/api#inlinekeyboardbutton).
_LONGEST_DATA: Final = 64
#: Of a query: it comes back as it is, and has some twenty digits.
_LONGEST_QUERY_ID: Final = 64
#: Ids of updates are 32-bit numbers, those of chats and messages have at most 52 bits.
_ABOVE_UPDATE_IDS: Final = 1 << 31
_ABOVE_ALL_IDS: Final = 1 << 52
_COMMAND: Final = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]{1,64}))?(?:\s+(.*))?", re.DOTALL | re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """The chat in which something was done."""

    chat_id: int
    username: str | None = None  #: of a public group or channel, or of the person
    private: bool = False  #: a chat with one person
    topic: int | None = None  #: of a forum

    @property
    def public(self) -> bool:
        """Whether anybody may join it, and so do what its members may."""
        return self.username is not None and not self.private

    def is_chat(self, configured: str) -> bool:
        """Say whether it is the chat that a setting names, by its id or its public @name."""
        if configured.startswith("@"):
            return self.username is not None and f"@{self.username}".lower() == configured.lower()
        return str(self.chat_id) == configured


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it was written."""

    name: str  #: in lower case, without the slash
    addressee: str | None  #: the bot that it was written to, in lower case; None where none was named
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """Somebody wrote."""

    update_id: int
    place: Place
    author: str
    command: Command | None  #: None where it was no command
    at_seconds: int | None  #: by Telegram's clock, since 1970


@dataclass(frozen=True, slots=True)
class Pressed:
    """Somebody pressed a button."""

    update_id: int
    place: Place
    author: str
    query_id: str
    message_id: int
    data: str


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that is none of the two, or that can't be read."""

    update_id: int


Update = Written | Pressed | Unread


def keyboard_of(buttons: Iterable[Button]) -> dict[str, list[list[dict[str, str]]]]:
    """Return buttons as Telegram takes them, in one row; without any, a keyboard that takes the buttons away."""
    row = [{"text": button.label, "callback_data": button.data} for button in buttons]
    return {"inline_keyboard": [row] if row else []}


def read_update(value: object) -> Update | None:
    """Return what an update tells; None where it has no id, and so can't be confirmed."""
    update = mapping(value)
    update_id = _integer(update.get("update_id"))
    if update_id is None or not 0 < update_id < _ABOVE_UPDATE_IDS:
        return None
    if "message" in update:
        return _written(update_id, mapping(update["message"])) or Unread(update_id)
    if "callback_query" in update:
        return _pressed(update_id, mapping(update["callback_query"])) or Unread(update_id)
    return Unread(update_id)


def command_of(text: str) -> Command | None:
    """Return the command that a text is; None where it is none."""
    match = _COMMAND.fullmatch(text[:_LONGEST_COMMAND].strip())
    if match is None:
        return None
    name, addressee, rest = match.groups()
    return Command(name.lower(), addressee.lower() if addressee else None, tuple((rest or "").split()))


def _written(update_id: int, message: Any) -> Written | None:
    place = _place(message)
    if place is None:
        return None
    text = message.get("text")
    command = command_of(text) if isinstance(text, str) else None
    return Written(update_id, place, _author(message), command, _integer(message.get("date")))


def _pressed(update_id: int, query: Any) -> Pressed | None:
    message = mapping(query.get("message"))
    place, message_id = _place(message), _integer(message.get("message_id"))
    query_id, data = query.get("id"), query.get("data")
    if place is None or message_id is None:  # a button below something that was not the bot's own message
        return None
    if not isinstance(query_id, str) or not 0 < len(query_id) <= _LONGEST_QUERY_ID:
        return None
    if not isinstance(data, str) or not 0 < len(data) <= _LONGEST_DATA:
        return None
    return Pressed(update_id, place, _author(query), query_id, message_id, data)


def _place(message: Any) -> Place | None:
    chat = mapping(message.get("chat"))
    chat_id, username = _integer(chat.get("id")), chat.get("username")
    if chat_id is None:
        return None
    return Place(
        chat_id,
        username if isinstance(username, str) and username else None,
        private=chat.get("type") == "private",
        topic=_integer(message.get("message_thread_id")) if message.get("is_topic_message") is True else None,
    )


def _author(done: Any) -> str:
    """Return a person's name, or that of the group or channel in whose name they write."""
    person, group = mapping(done.get("from")), mapping(done.get("sender_chat"))
    names = [group.get("title")] if group else [person.get("first_name"), person.get("last_name")]
    for name in (_cleaned(names), _cleaned([person.get("username")])):
        if name:
            return name
    return SOMEBODY


def _cleaned(names: Iterable[object]) -> str:
    known = [name[: 4 * _LONGEST_NAME] for name in names if isinstance(name, str)]
    return clean_line(" ".join(known), _LONGEST_NAME)


def _integer(value: object) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _ABOVE_ALL_IDS
    return value if fits and isinstance(value, int) else None
