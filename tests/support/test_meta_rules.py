"""Every refusal of the Meta rules over real HTTP, each beside the request that is accepted."""

from typing import Any

import pytest
import requests

from tests.support.provider_server import (
    META_NOT_ALLOWED,
    META_NOT_ON_WHATSAPP,
    META_OUTSIDE_WINDOW,
    META_PHONE_ID,
    META_RECIPIENT,
    META_TEMPLATE,
    META_TEMPLATE_LANGUAGE,
    META_TOKEN,
    ProviderServer,
)

GOOD_HEADERS = {"Authorization": f"Bearer {META_TOKEN}"}
TEXT = {"messaging_product": "whatsapp", "to": META_RECIPIENT, "type": "text", "text": {"body": "Drawdown"}}


def phone_url(server: ProviderServer, path: str = "/messages", *, version: str = "v21.0") -> str:
    """Return the address of the phone number or of its messages."""
    return f"{server.url}/{version}/{META_PHONE_ID}{path}"


def send(server: ProviderServer, version: str = "v21.0", **changes: object) -> requests.Response:
    """Post the good text with some fields changed, or left out where None."""
    payload = {name: value for name, value in (TEXT | changes).items() if value is not None}
    return requests.post(phone_url(server, version=version), json=payload, headers=GOOD_HEADERS, timeout=60)


def template(*parameters: str, name: str = META_TEMPLATE, language: str = META_TEMPLATE_LANGUAGE) -> dict[str, Any]:
    """Return the fields that make a message a template."""
    body = {"type": "body", "parameters": [{"type": "text", "text": text} for text in parameters]}
    return {
        "type": "template",
        "text": None,
        "template": {"name": name, "language": {"code": language}, "components": [body]},
    }


def refusal(answer: requests.Response) -> tuple[int, int, str]:
    """Return status, code and details of a refusal, whose body must have Meta's shape."""
    error = answer.json()["error"]
    assert error["message"].startswith(f"(#{error['code']}) ")
    assert (error["type"], error["error_data"]["messaging_product"]) == ("OAuthException", "whatsapp")
    assert error["fbtrace_id"]
    return answer.status_code, error["code"], error["error_data"]["details"]


def test_send_text_is_accepted_and_recorded(server: ProviderServer) -> None:
    answer = send(server)
    assert answer.status_code == 200
    body = answer.json()
    assert body["contacts"] == [{"input": META_RECIPIENT, "wa_id": META_RECIPIENT.removeprefix("+")}]
    assert body["messages"][0]["id"].startswith("wamid.")
    (message,) = server.meta.accepted
    assert (message.target, message.text, message.message_id) == (
        META_RECIPIENT,
        "Drawdown",
        body["messages"][0]["id"],
    )


@pytest.mark.parametrize("to", ["12025550111", "+1 (202) 555-0111"])
def test_send_text_to_differently_written_number_is_accepted(server: ProviderServer, to: str) -> None:
    assert send(server, to=to).ok
    assert server.meta.accepted[0].target == META_RECIPIENT


@pytest.mark.parametrize("version", ["v17.0", "v21.0", "v25.0"])
def test_send_text_by_any_graph_version_is_accepted(server: ProviderServer, version: str) -> None:
    assert send(server, version).ok


def test_phone_probe_with_good_token_names_the_number(server: ProviderServer) -> None:
    answer = requests.get(phone_url(server, ""), headers=GOOD_HEADERS, timeout=60)
    assert (answer.status_code, answer.json()["id"]) == (200, META_PHONE_ID)


@pytest.mark.parametrize("header", [None, "Bearer EAAwrong", META_TOKEN, f"Basic {META_TOKEN}"])
def test_any_request_with_bad_token_is_unauthorized(server: ProviderServer, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for answer in (
        requests.post(phone_url(server), json=TEXT, headers=headers, timeout=60),
        requests.get(phone_url(server, ""), headers=headers, timeout=60),
    ):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["type"]) == (401, 190, "OAuthException")
        assert "error_data" not in error
    assert server.meta.accepted == []


def test_request_for_unknown_phone_or_resource_is_refused(server: ProviderServer) -> None:
    for method, url in (
        ("POST", f"{server.url}/v21.0/999/messages"),
        ("GET", f"{server.url}/v21.0/999"),
        ("GET", phone_url(server)),
        ("POST", phone_url(server, "")),
        ("POST", phone_url(server, "/media")),
    ):
        answer = requests.request(method, url, json=TEXT, headers=GOOD_HEADERS, timeout=60)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["error_subcode"]) == (400, 100, 33)


@pytest.mark.parametrize(
    ("changes", "code", "details"),
    [
        ({"messaging_product": None}, 100, "The parameter messaging_product is required."),
        ({"messaging_product": "sms"}, 100, "The parameter messaging_product is required."),
        ({"to": None}, 131008, "The parameter to is required."),
        ({"to": "0012025550111"}, 100, "Parameter Invalid"),
        ({"to": "trader"}, 100, "Parameter Invalid"),
        ({"type": "image"}, 131051, "Message type image is not supported"),
        ({"text": None}, 131008, "The parameter text['body'] is required."),
        ({"text": {"body": ""}}, 131008, "The parameter text['body'] is required."),
        ({"text": {"body": " \n"}}, 131008, "The parameter text['body'] is required."),
        ({"text": {"body": "x" * 4097}}, 100, "Param text['body'] must be at most 4096 characters long."),
        ({"text": {"body": "😀" * 2049}}, 100, "Param text['body'] must be at most 4096 characters long."),
        ({"to": META_NOT_ALLOWED}, 131030, "Add recipient to recipient list"),
        ({"to": META_NOT_ON_WHATSAPP}, 131026, "Receiver is incapable of receiving this message"),
    ],
)
def test_send_text_against_a_rule_is_refused(
    server: ProviderServer, changes: dict[str, Any], code: int, details: str
) -> None:
    assert refusal(send(server, **changes)) == (400, code, details)
    assert server.meta.accepted == []


def test_send_with_unreadable_body_is_refused(server: ProviderServer) -> None:
    answer = requests.post(phone_url(server), data=b"{", headers=GOOD_HEADERS, timeout=60)
    assert refusal(answer)[:2] == (400, 100)


@pytest.mark.parametrize("body", ["x" * 4096, "😀" * 2048])
def test_send_text_at_the_length_limit_is_accepted(server: ProviderServer, body: str) -> None:
    assert send(server, text={"body": body}).ok


def test_send_text_outside_the_window_is_refused_but_a_template_is_accepted(server: ProviderServer) -> None:
    assert refusal(send(server, to=META_OUTSIDE_WINDOW))[:2] == (400, 131047)
    assert send(server, to=META_OUTSIDE_WINDOW, **template("Drawdown")).ok
    (message,) = server.meta.accepted
    assert (message.template, message.parameters, message.text) == (META_TEMPLATE, ("Drawdown",), "Drawdown")


@pytest.mark.parametrize(
    ("fields", "code", "details"),
    [
        (template("x", name="other"), 132001, "template name (other) does not exist in en_US"),
        (template("x", language="de"), 132001, "template name (trading_alert) does not exist in de"),
        (template("x", name=""), 100, "Parameter name is missing or empty"),
        ({"type": "template", "text": None}, 100, "Parameter name is missing or empty"),
        (
            template(),
            132000,
            "body: number of localizable_params (0) does not match the expected number of params (1)",
        ),
        (
            template("x", "y"),
            132000,
            "body: number of localizable_params (2) does not match the expected number of params (1)",
        ),
        (template(""), 100, "Parameter 'text' is mandatory for component parameter type 'text'"),
        (template("x" * 1025), 132005, "Translated text too long"),
    ],
)
def test_send_template_against_a_rule_is_refused(
    server: ProviderServer, fields: dict[str, Any], code: int, details: str
) -> None:
    assert refusal(send(server, **fields)) == (400, code, details)


@pytest.mark.parametrize("parameter", ["a\nb", "a\tb", "a\rb", "a     b"])
@pytest.mark.parametrize(("version", "code"), [("v21.0", 100), ("v23.0", 132018)])
def test_send_template_with_layout_in_a_parameter_is_refused(
    server: ProviderServer, version: str, code: int, parameter: str
) -> None:
    details = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces"
    assert refusal(send(server, version, **template(parameter))) == (400, code, details)


@pytest.mark.parametrize("parameter", ["a    b", "x" * 1024])
def test_send_template_at_its_limits_is_accepted(server: ProviderServer, parameter: str) -> None:
    assert send(server, **template(parameter)).ok


def test_send_template_with_another_component_counts_the_body_only(server: ProviderServer) -> None:
    fields = template("x")
    fields["template"]["components"].insert(0, {"type": "header", "parameters": []})
    assert send(server, **fields).ok


def test_send_template_added_by_the_test_is_accepted(server: ProviderServer) -> None:
    server.meta.rules.templates["two", "de"] = 2
    assert send(server, **template("x", "y", name="two", language="de")).ok
