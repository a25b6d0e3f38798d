"""Every refusal of the Telegram rules over real HTTP, each beside the request that is accepted."""

import json
from typing import Any

import pytest
import requests

from tests.support.provider_server import (
    TELEGRAM_BLOCKED_CHAT,
    TELEGRAM_CHAT,
    TELEGRAM_DEACTIVATED_CHAT,
    TELEGRAM_GROUP,
    TELEGRAM_KICKED_GROUP,
    TELEGRAM_TOKEN,
    TELEGRAM_UNKNOWN_CHAT,
    TELEGRAM_UPGRADED_GROUP,
    TELEGRAM_UPGRADED_TO,
    ProviderServer,
)


def call(server: ProviderServer, method: str, *, token: str = TELEGRAM_TOKEN, **arguments: object) -> Any:
    """Return the JSON answer to one Bot API call, with the HTTP status under `status`."""
    answer = requests.post(f"{server.url}/bot{token}/{method}", json=arguments, timeout=60)
    return answer.json() | {"status": answer.status_code}


def send(server: ProviderServer, text: str, **arguments: object) -> Any:
    """Return the answer to a message for the private chat."""
    fields: dict[str, Any] = {"chat_id": TELEGRAM_CHAT, "text": text}
    return call(server, "sendMessage", **(fields | arguments))


def refusal(answer: dict[str, Any]) -> tuple[int, str]:
    """Return status and description of a refusal, whose body must agree with its status."""
    assert answer["ok"] is False
    assert answer["error_code"] == answer["status"]
    return answer["status"], answer["description"]


def test_send_message_with_json_body_is_accepted_and_recorded(server: ProviderServer) -> None:
    answer = send(server, "Drawdown breached", disable_notification=True)
    assert answer["ok"] is True
    assert answer["result"]["text"] == "Drawdown breached"
    (message,) = server.telegram.accepted
    assert (message.target, message.text, message.raw_text) == (TELEGRAM_CHAT,) + ("Drawdown breached",) * 2
    assert message.silent
    assert message.parse_mode is None
    assert message.message_id == str(answer["result"]["message_id"])


def test_send_message_with_form_body_is_accepted(server: ProviderServer) -> None:
    form = {"chat_id": TELEGRAM_GROUP, "text": "Größe € 😀", "disable_notification": "false"}
    answer = requests.post(f"{server.url}/bot{TELEGRAM_TOKEN}/sendMessage", data=form, timeout=60)
    assert answer.status_code == 200
    (message,) = server.telegram.accepted
    assert (message.target, message.text, message.silent) == (TELEGRAM_GROUP, "Größe € 😀", False)


def test_send_message_with_numeric_chat_id_is_accepted(server: ProviderServer) -> None:
    assert send(server, "x", chat_id=int(TELEGRAM_CHAT))["ok"] is True


def test_send_message_with_arguments_in_the_query_is_accepted(server: ProviderServer) -> None:
    query = {"chat_id": TELEGRAM_CHAT, "text": "x"}
    answer = requests.get(f"{server.url}/bot{TELEGRAM_TOKEN}/sendMessage", params=query, timeout=60)
    assert answer.json()["ok"] is True


def test_get_me_with_good_token_names_the_bot(server: ProviderServer) -> None:
    assert call(server, "getMe")["result"]["is_bot"] is True
    assert server.telegram.accepted == []


def test_get_updates_is_empty_and_recorded(server: ProviderServer) -> None:
    assert call(server, "getUpdates")["result"] == []
    assert [request.endpoint for request in server.telegram.requests] == ["getUpdates"]


def test_any_method_with_unknown_token_is_unauthorized(server: ProviderServer) -> None:
    for method in ("getMe", "sendMessage", "getUpdates"):
        answer = call(server, method, token="987654321:AAF" + "x" * 32)
        assert refusal(answer) == (401, "Unauthorized")


@pytest.mark.parametrize("token", ["", "abc", "123456789", ":AAF", "12a:AAF", "123456789:AA%20F"])
def test_any_method_with_malformed_token_is_not_found(server: ProviderServer, token: str) -> None:
    assert refusal(call(server, "getMe", token=token)) == (404, "Not Found")


def test_unknown_method_is_not_found(server: ProviderServer) -> None:
    assert refusal(call(server, "sendMassage")) == (404, "Not Found: method not found")


def test_send_message_with_broken_json_is_refused(server: ProviderServer) -> None:
    for body in (b"[1]", b"{broken"):
        answer = requests.post(
            f"{server.url}/bot{TELEGRAM_TOKEN}/sendMessage",
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        assert answer.status_code == 400
        assert answer.json()["description"] == "Bad Request: JSON object expected"


@pytest.mark.parametrize(
    ("chat", "expected"),
    [
        ("", (400, "Bad Request: chat_id is empty")),
        (TELEGRAM_UNKNOWN_CHAT, (400, "Bad Request: chat not found")),
        ("@nobody", (400, "Bad Request: chat not found")),
        (TELEGRAM_BLOCKED_CHAT, (403, "Forbidden: bot was blocked by the user")),
        (TELEGRAM_DEACTIVATED_CHAT, (403, "Forbidden: user is deactivated")),
        (TELEGRAM_KICKED_GROUP, (403, "Forbidden: bot was kicked from the supergroup chat")),
    ],
)
def test_send_message_to_bad_chat_is_refused(server: ProviderServer, chat: str, expected: tuple[int, str]) -> None:
    assert refusal(send(server, "x", chat_id=chat)) == expected
    assert server.telegram.accepted == []


def test_send_message_to_upgraded_group_tells_the_new_chat_which_accepts(server: ProviderServer) -> None:
    answer = send(server, "x", chat_id=TELEGRAM_UPGRADED_GROUP)
    assert refusal(answer) == (400, "Bad Request: group chat was upgraded to a supergroup chat")
    assert answer["parameters"] == {"migrate_to_chat_id": int(TELEGRAM_UPGRADED_TO)}
    assert send(server, "x", chat_id=answer["parameters"]["migrate_to_chat_id"])["ok"] is True


def test_send_message_with_chat_added_by_the_test_is_accepted(server: ProviderServer) -> None:
    server.telegram.rules.chats["42"] = None
    assert send(server, "x", chat_id=42)["ok"] is True


def test_send_message_with_empty_text_is_refused(server: ProviderServer) -> None:
    expected = (400, "Bad Request: message text is empty")
    assert refusal(send(server, "")) == expected
    assert refusal(call(server, "sendMessage", chat_id=TELEGRAM_CHAT)) == expected


@pytest.mark.parametrize("text", [" \n ", "<b></b>", "\r", "\u202e"])
def test_send_message_with_nothing_left_to_show_is_refused(server: ProviderServer, text: str) -> None:
    assert refusal(send(server, text, parse_mode="HTML")) == (400, "Bad Request: text must be non-empty")


@pytest.mark.parametrize(
    ("text", "fits"),
    [("x" * 4096, True), ("x" * 4097, False), ("😀" * 2048, True), ("😀" * 2048 + "x", False)],
)
def test_send_message_at_the_length_limit_counts_utf16(server: ProviderServer, text: str, fits: bool) -> None:
    answer = send(server, text)
    if fits:
        assert answer["ok"] is True
    else:
        assert refusal(answer) == (400, "Bad Request: message is too long")


def test_send_message_length_is_counted_after_entities_parsing(server: ProviderServer) -> None:
    assert send(server, "<b>" + "&lt;" * 4096 + "</b>", parse_mode="HTML")["ok"] is True
    assert server.telegram.accepted[0].text == "<" * 4096


def test_send_message_with_more_than_32768_bytes_is_refused_before_parsing(server: ProviderServer) -> None:
    assert refusal(send(server, "&lt;" * 8193, parse_mode="HTML")) == (400, "Bad Request: text is too long")


def test_send_message_with_lone_surrogate_is_refused(server: ProviderServer) -> None:
    assert refusal(send(server, "\ud83d")) == (400, "Bad Request: strings must be encoded in UTF-8")


def test_send_message_with_unknown_parse_mode_is_refused(server: ProviderServer) -> None:
    assert refusal(send(server, "x", parse_mode="XML")) == (400, "Bad Request: unsupported parse_mode")


def test_send_message_loses_control_characters_and_outer_blanks(server: ProviderServer) -> None:
    assert send(server, "\n a\tb\x07c\r\nd\u202ee\u2028f \n")["ok"] is True
    assert server.telegram.accepted[0].text == "a b c\ndef"


def test_requests_keep_the_body_that_was_sent(server: ProviderServer) -> None:
    send(server, "x")
    (record,) = server.telegram.requests
    assert json.loads(record.request.body) == {"chat_id": TELEGRAM_CHAT, "text": "x"}
    assert (record.verdict, record.status, record.fault) == ("accepted", 200, None)
