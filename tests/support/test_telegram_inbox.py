"""The stand-in for what people do in Telegram: long polling, offsets, conflicts, buttons, over real HTTP."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests

from tests.support.clock import FakeClock
from tests.support.provider_server import TELEGRAM_CHAT, TELEGRAM_GROUP, TELEGRAM_TOKEN, ProviderServer
from tests.support.strict_limits import CHAT_BURST, StrictLimits
from tests.support.telegram_inbox import TelegramInbox
from tests.support.telegram_rules import TelegramRules
from tests.support.waiting import wait_until

BUTTON = {"text": "Acknowledge", "callback_data": "ack:1"}


def call(server: ProviderServer, method: str, **arguments: object) -> Any:
    """Return the JSON answer to one Bot API call, with the HTTP status under `status`."""
    answer = requests.post(f"{server.url}/bot{TELEGRAM_TOKEN}/{method}", json=arguments, timeout=60)
    return answer.json() | {"status": answer.status_code}


def heard(server: ProviderServer, **arguments: object) -> list[int]:
    """Return the ids that getUpdates tells."""
    return [update["update_id"] for update in call(server, "getUpdates", **arguments)["result"]]


def send(server: ProviderServer, *buttons: object, chat: str = TELEGRAM_CHAT) -> Any:
    return call(server, "sendMessage", chat_id=chat, text="x", reply_markup={"inline_keyboard": [list(buttons)]})


@pytest.fixture
def inbox(server: ProviderServer) -> TelegramInbox:
    return server.telegram.rules.inbox


def test_get_updates_tells_everything_until_an_offset_confirms_it(server: ProviderServer, inbox: TelegramInbox) -> None:
    first, second = inbox.write(TELEGRAM_CHAT, "/a"), inbox.write(TELEGRAM_GROUP, "/b")
    assert heard(server) == heard(server) == [first, second]
    assert heard(server, limit=1) == [first]
    assert heard(server, offset=second) == heard(server) == [second]
    assert heard(server, offset=second + 1) == inbox.waiting == []


def test_get_updates_with_a_negative_offset_forgets_all_but_the_last(
    server: ProviderServer, inbox: TelegramInbox
) -> None:
    last = [inbox.write(TELEGRAM_CHAT, text) for text in ("/a", "/b", "/c")][-1]
    assert heard(server, offset=-1) == inbox.waiting == [last]


def test_get_updates_with_an_offset_far_ahead_confirms_nothing(server: ProviderServer, inbox: TelegramInbox) -> None:
    inbox.begin_anew(100)
    inbox.write(TELEGRAM_CHAT, "/a")
    assert heard(server, offset=900_000_000) == [100]


def test_get_updates_waits_for_what_is_written(server: ProviderServer, inbox: TelegramInbox) -> None:
    told: list[list[int]] = []
    poll = threading.Thread(target=lambda: told.append(heard(server, timeout=50)))
    poll.start()
    wait_until(lambda: inbox.polled)
    update_id = inbox.write(TELEGRAM_CHAT, "/a")
    poll.join(60)
    assert told == [[update_id]]


def test_get_updates_of_two_cuts_the_first(server: ProviderServer, inbox: TelegramInbox) -> None:
    told: list[Any] = []
    poll = threading.Thread(target=lambda: told.append(call(server, "getUpdates", timeout=50)))
    poll.start()
    wait_until(lambda: inbox.polled)
    assert heard(server) == []
    poll.join(60)
    assert (told[0]["status"], told[0]["error_code"]) == (409, 409)
    assert told[0]["description"].startswith("Conflict: terminated by other getUpdates request")


def test_get_updates_beside_a_webhook_is_refused(server: ProviderServer, inbox: TelegramInbox) -> None:
    inbox.set_webhook()
    assert call(server, "getUpdates")["description"].startswith("Conflict: can't use getUpdates method while webhook")


def test_get_updates_tells_only_what_was_asked_for(server: ProviderServer, inbox: TelegramInbox) -> None:
    heard(server, allowed_updates=["callback_query"])
    inbox.write(TELEGRAM_CHAT, "/a")
    inbox.press_data("ack:1", message_id=1, chat=TELEGRAM_CHAT)
    assert len(heard(server)) == 1


@pytest.mark.parametrize(
    "button",
    [
        {"text": "x"},
        {"callback_data": "x"},
        {"text": "", "callback_data": "x"},
        {"text": "x", "callback_data": ""},
        {"text": "x", "callback_data": "x" * 65},
        {"text": "x", "callback_data": "ä" * 33},
        {"text": "x", "callback_data": "x", "url": "https://example.org"},
        "x",
    ],
)
def test_send_message_with_a_bad_button_is_refused(server: ProviderServer, button: object) -> None:
    assert send(server, button)["status"] == 400
    assert server.telegram.accepted == []
    assert send(server, {"text": "x", "callback_data": "x" * 64})["ok"] is True


def test_press_is_told_answered_once_and_replaced(server: ProviderServer, inbox: TelegramInbox) -> None:
    message_id = send(server, BUTTON)["result"]["message_id"]
    query_id = inbox.press("Acknowledge", message_id=message_id, chat=TELEGRAM_CHAT)
    [update] = call(server, "getUpdates")["result"]
    assert (update["callback_query"]["id"], update["callback_query"]["data"]) == (query_id, "ack:1")
    assert call(server, "answerCallbackQuery", callback_query_id=query_id, text="Done")["ok"] is True
    again = call(server, "answerCallbackQuery", callback_query_id=query_id)
    assert again["description"].startswith("Bad Request: query is too old")
    edit = {"chat_id": TELEGRAM_CHAT, "message_id": message_id, "reply_markup": {"inline_keyboard": []}}
    assert call(server, "editMessageReplyMarkup", **edit)["ok"] is True
    assert inbox.keyboard(TELEGRAM_CHAT, message_id) == []
    assert call(server, "editMessageReplyMarkup", **edit)["description"].startswith("Bad Request: message is not mod")
    with pytest.raises(AssertionError, match="there is no button"):
        inbox.press("Acknowledge", message_id=message_id, chat=TELEGRAM_CHAT)


def test_answer_and_edit_of_what_there_is_not_are_refused(server: ProviderServer) -> None:
    assert call(server, "answerCallbackQuery", callback_query_id="1")["status"] == 400
    assert call(server, "answerCallbackQuery", callback_query_id="1", text="x" * 201)["status"] == 400
    edit = {"message_id": 77, "reply_markup": {"inline_keyboard": []}}
    for chat, words in (
        (TELEGRAM_CHAT, "message to edit not found"),
        ("1", "chat not found"),
        ("", "chat_id is empty"),
    ):
        answer = call(server, "editMessageReplyMarkup", chat_id=chat, **edit)
        assert answer["description"] == f"Bad Request: {words}"


def test_edits_count_as_messages() -> None:
    limits = StrictLimits(FakeClock())
    with ProviderServer(telegram=TelegramRules(limits=limits)) as server:
        message_id = send(server, BUTTON)["result"]["message_id"]
        statuses = [
            call(
                server,
                "editMessageReplyMarkup",
                chat_id=TELEGRAM_CHAT,
                message_id=message_id,
                reply_markup={"inline_keyboard": [[{"text": str(number), "callback_data": "x"}]]},
            )["status"]
            for number in range(CHAT_BURST)
        ]
    assert statuses == [200] * (CHAT_BURST - 1) + [429]
