"""What people do in a bot's chats, read from updates that may hold anything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriber.channels.telegram_updates import (
    SOMEBODY,
    Command,
    Place,
    Pressed,
    Unread,
    Written,
    command_of,
    keyboard_of,
    read_update,
)
from subscriber.deliveries import Button
from tests.support.telegram_inbox import keyboard_of as keyboard_of_telegram

CHAT: dict[str, object] = {"id": -1001, "type": "supergroup", "title": "Desk"}


def written(**message: object) -> Any:
    """Read a message in the group."""
    return read_update({"update_id": 5, "message": {"message_id": 1, "chat": CHAT, "date": 9, **message}})


def test_update_with_a_command_is_read() -> None:
    update = written(**{"text": "/Mute@Desk_Bot 1h  TNA", "from": {"id": 1, "first_name": "Ada", "last_name": "L."}})
    command = Command("mute", "desk_bot", ("1h", "TNA"))
    assert update == Written(5, Place(-1001), "Ada L.", command, 9)


def test_update_with_a_press_is_read() -> None:
    query = {"id": "77", "from": {"username": "ada"}, "message": {"message_id": 3, "chat": CHAT}, "data": "ack:1"}
    assert read_update({"update_id": 5, "callback_query": query}) == Pressed(5, Place(-1001), "ada", "77", 3, "ack:1")


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        ({"from": {"first_name": " Ada\n\x1b[31m\u202eL"}}, "Ada L"),
        ({"from": {"first_name": "\u200b", "username": "ada"}}, "ada"),
        ({"from": {"first_name": "GroupAnonymousBot"}, "sender_chat": {"title": "Desk"}}, "Desk"),
        ({"from": {"first_name": 7, "last_name": ["x"]}}, SOMEBODY),
        ({"from": "Ada"}, SOMEBODY),
        ({}, SOMEBODY),
    ],
)
def test_author_is_one_clean_line(sender: dict[str, object], name: str) -> None:
    assert written(text="/ack", **sender).author == name


def test_author_with_a_huge_name_is_cut() -> None:
    assert len(written(**{"text": "/ack", "from": {"first_name": "x" * 1_000_000}}).author) <= 64


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/ack", Command("ack", None, ())),
        (" /ack \n", Command("ack", None, ())),
        ("/ack@bot", Command("ack", "bot", ())),
        ("/ack\n12345678", Command("ack", None, ("12345678",))),
        ("/mute " + "x" * 2000, Command("mute", None, ("x" * 506,))),
        ("ack", None),
        ("/", None),
        ("//ack", None),
        ("/ack-now", None),
        ("/äck", None),
        ("see /ack", None),
        ("", None),
    ],
)
def test_command_of_a_text_is_its_first_word(text: str, command: Command | None) -> None:
    assert command_of(text) == command


@pytest.mark.parametrize(
    ("place", "configured", "expected"),
    [
        (Place(-1001), "-1001", True),
        (Place(1001), "-1001", False),
        (Place(-1001, "desk"), "@Desk", True),
        (Place(-1001, "desk2"), "@desk", False),
        (Place(-1001), "@desk", False),
        (Place(5, "desk", private=True), "5", True),
    ],
)
def test_place_is_the_configured_chat_by_id_or_public_name(place: Place, configured: str, expected: bool) -> None:
    assert place.is_chat(configured) is expected


def test_place_is_public_when_anybody_may_join() -> None:
    """A person's chat with the bot is not, whatever the person is called."""
    assert [each.public for each in (Place(-1, "desk"), Place(-1), Place(1, "ada", private=True))] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "update", [None, 7, "x", [], {}, {"update_id": True}, {"update_id": "5"}, {"update_id": 1 << 31}]
)
def test_update_without_a_usable_id_is_none(update: object) -> None:
    assert read_update(update) is None


@pytest.mark.parametrize("topic", [{"message_thread_id": 4}, {"is_topic_message": True, "message_thread_id": "4"}])
def test_topic_is_known_only_where_it_is_one(topic: dict[str, object]) -> None:
    """A reply to a reply has a thread's id, too, which is no topic."""
    assert written(text="/ack", **topic).place.topic is None
    assert written(text="/ack", is_topic_message=True, message_thread_id=4).place.topic == 4


_NAMES = st.sampled_from(
    [
        "message",
        "callback_query",
        "chat",
        "id",
        "from",
        "text",
        "data",
        "message_id",
        "date",
        "username",
        "type",
        "title",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=6),
    max_leaves=20,
)


@given(st.integers(1, 100), _NAMES, _JSON)
def test_update_of_any_shape_is_read_or_passed_over(update_id: int, name: str, value: object) -> None:
    """Nothing in it raises, and it keeps its id, so that it can be confirmed."""
    update = read_update({"update_id": update_id, name: value})
    assert isinstance(update, Written | Pressed | Unread)
    assert update.update_id == update_id


def test_keyboard_is_one_that_telegram_takes() -> None:
    keyboard = keyboard_of([Button("Acknowledge", "ack:1"), Button("Mute 1 h", "mute:1")])
    assert keyboard_of_telegram(json.dumps(keyboard)) == keyboard["inline_keyboard"]
    assert keyboard_of([]) == {"inline_keyboard": []}
