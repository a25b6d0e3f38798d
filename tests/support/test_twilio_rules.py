"""Every refusal of the Twilio rules over real HTTP, each beside the request that is accepted."""

import json
from typing import Any

import pytest
import requests

from tests.support.provider_faults import fails_later
from tests.support.provider_server import (
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_CONTENT_SID,
    TWILIO_CONTENT_SID_OF_ONE,
    TWILIO_MESSAGING_SERVICE_SID,
    TWILIO_NOT_JOINED,
    TWILIO_OPTED_OUT,
    TWILIO_OUTSIDE_WINDOW,
    TWILIO_RECIPIENT,
    TWILIO_SANDBOX_SENDER,
    TWILIO_SENDER,
    ProviderServer,
)

GOOD = {"From": f"whatsapp:{TWILIO_SENDER}", "To": f"whatsapp:{TWILIO_RECIPIENT}", "Body": "Drawdown breached"}
GOOD_AUTH = (TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN)


def account_url(server: ProviderServer, path: str = "", *, account: str = TWILIO_ACCOUNT_SID) -> str:
    """Return the address of the account or of something in it."""
    return f"{server.url}/2010-04-01/Accounts/{account}{path}.json"


def send(
    server: ProviderServer, *, auth: tuple[str, str] | None = GOOD_AUTH, **changes: str | None
) -> requests.Response:
    """Post the good message with some fields changed, or left out where None."""
    form = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return requests.post(account_url(server, "/Messages"), data=form, auth=auth, timeout=60)


def template(*variables: str, sid: str = TWILIO_CONTENT_SID) -> dict[str, Any]:
    """Return the fields that make a message a template."""
    numbered = {str(number): text for number, text in enumerate(variables, 1)}
    return {"Body": None, "ContentSid": sid, "ContentVariables": json.dumps(numbered)}


def refusal(answer: requests.Response) -> tuple[int, int]:
    """Return status and code of a refusal, whose body must have Twilio's shape."""
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["more_info"] == f"https://www.twilio.com/docs/errors/{body['code']}"
    assert body["message"]
    return answer.status_code, body["code"]


def look_up(server: ProviderServer, message_id: str) -> Any:
    """Return the message as the account sees it later."""
    return requests.get(account_url(server, f"/Messages/{message_id}"), auth=GOOD_AUTH, timeout=60).json()


def test_send_to_whatsapp_is_queued_and_recorded(server: ProviderServer) -> None:
    answer = send(server)
    assert answer.status_code == 201
    body = answer.json()
    assert body["sid"].startswith("SM")
    assert len(body["sid"]) == 34
    assert (body["status"], body["error_code"], body["to"]) == ("queued", None, GOOD["To"])
    (message,) = server.twilio.accepted
    assert (message.target, message.text, message.message_id) == (
        TWILIO_RECIPIENT,
        "Drawdown breached",
        body["sid"],
    )
    assert message.failed_code is None


def test_send_by_sms_is_queued(server: ProviderServer) -> None:
    assert send(server, From=TWILIO_SENDER, To=TWILIO_RECIPIENT).status_code == 201


def test_send_by_messaging_service_needs_no_sender(server: ProviderServer) -> None:
    assert send(server, From=None, MessagingServiceSid=TWILIO_MESSAGING_SERVICE_SID).status_code == 201


def test_message_looked_up_later_is_delivered(server: ProviderServer) -> None:
    message_id = send(server).json()["sid"]
    assert (look_up(server, message_id)["status"], look_up(server, message_id)["error_code"]) == (
        "delivered",
        None,
    )


def test_message_looked_up_with_unknown_id_is_not_found(server: ProviderServer) -> None:
    assert look_up(server, "SM" + "0" * 32)["code"] == 20404


def test_account_probe_with_good_credentials_is_active(server: ProviderServer) -> None:
    answer = requests.get(account_url(server), auth=GOOD_AUTH, timeout=60)
    assert (answer.status_code, answer.json()["status"]) == (200, "active")


@pytest.mark.parametrize(
    "auth",
    [None, (TWILIO_ACCOUNT_SID, "0" * 32), ("AC" + "0" * 32, TWILIO_AUTH_TOKEN), ("", "")],
)
def test_any_request_with_bad_credentials_is_unauthorized(server: ProviderServer, auth: tuple[str, str] | None) -> None:
    assert refusal(send(server, auth=auth)) == (401, 20003)
    assert refusal(requests.get(account_url(server), auth=auth, timeout=60)) == (401, 20003)


@pytest.mark.parametrize("header", ["Basic %%%", f"Bearer {TWILIO_AUTH_TOKEN}", "Basic"])
def test_any_request_with_unreadable_credentials_is_unauthorized(server: ProviderServer, header: str) -> None:
    answer = requests.get(account_url(server), headers={"Authorization": header}, timeout=60)
    assert refusal(answer) == (401, 20003)


def test_request_for_another_account_or_resource_is_not_found(server: ProviderServer) -> None:
    for url in (account_url(server, account="AC" + "1" * 32), account_url(server, "/Calls")):
        assert refusal(requests.get(url, auth=GOOD_AUTH, timeout=60)) == (404, 20404)
    assert refusal(requests.post(account_url(server), auth=GOOD_AUTH, timeout=60)) == (404, 20404)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"To": None}, 21604),
        ({"From": None}, 21603),
        ({"Body": None}, 21602),
        ({"Body": ""}, 21602),
        ({"Body": "", "From": None, "MessagingServiceSid": TWILIO_MESSAGING_SERVICE_SID}, 21619),
        ({"Body": None, "ContentVariables": '{"1":"x"}'}, 21654),
        ({"From": TWILIO_SENDER}, 21910),
        ({"To": TWILIO_RECIPIENT}, 21910),
        ({"To": "whatsapp:12025550101"}, 21211),
        ({"To": "whatsapp:+0123456789"}, 21211),
        ({"To": "whatsapp:+1 202 555 0101"}, 21211),
        ({"To": "whatsapp:+1202"}, 21211),
        ({"From": "whatsapp:+12025550199"}, 63007),
        ({"From": "+12025550199", "To": TWILIO_RECIPIENT}, 21659),
        ({"To": f"whatsapp:{TWILIO_OPTED_OUT}"}, 21610),
        ({"Body": "x" * 1601}, 21617),
        ({"Body": "😀" * 801}, 21617),
        ({"Body": None, "ContentSid": "HX" + "1" * 32}, 21655),
        ({"Body": None, "ContentSid": TWILIO_CONTENT_SID, "ContentVariables": "not json"}, 21656),
        ({"Body": None, "ContentSid": TWILIO_CONTENT_SID, "ContentVariables": "[1]"}, 21656),
        ({"Body": None, "ContentSid": TWILIO_CONTENT_SID, "ContentVariables": '{"1":""}'}, 21656),
        ({"Body": None, "ContentSid": TWILIO_CONTENT_SID, "ContentVariables": '{"1":null}'}, 21656),
        ({"StatusCallback": "our server"}, 21609),
        ({"StatusCallback": "ftp://example.com/"}, 21609),
        (template(), 21656),
        (template("x"), 21656),
        (template("x", "y", "z", "and one more"), 21656),
        (template("x", "two\nlines", "z"), 21656),
        (template("x", "a\ttab", "z"), 21656),
        (template("x", "five     spaces", "z"), 21656),
        (template("x", "y", "z" * 1601), 21658),
    ],
)
def test_send_against_a_rule_is_refused(server: ProviderServer, changes: dict[str, Any], code: int) -> None:
    assert refusal(send(server, **changes)) == (400, code)
    assert server.twilio.accepted == []


def test_send_with_json_body_is_refused_for_lack_of_fields(server: ProviderServer) -> None:
    answer = requests.post(account_url(server, "/Messages"), json=GOOD, auth=GOOD_AUTH, timeout=60)
    assert refusal(answer) == (400, 21604)


@pytest.mark.parametrize("body", ["x" * 1600, "😀" * 800])
def test_send_at_the_length_limit_is_queued(server: ProviderServer, body: str) -> None:
    assert send(server, Body=body).status_code == 201


def test_send_of_a_template_is_queued_with_its_parameters(server: ProviderServer) -> None:
    assert send(server, **template("CRITICAL", "x" * 1600, "four    spaces")).ok
    assert send(server, **template("All in one", sid=TWILIO_CONTENT_SID_OF_ONE)).ok
    message, other = server.twilio.accepted
    assert message.template == TWILIO_CONTENT_SID
    assert message.parameters == ("CRITICAL", "x" * 1600, "four    spaces")
    assert message.text == "CRITICAL " + "x" * 1600 + " four    spaces"
    assert (other.template, other.parameters) == (TWILIO_CONTENT_SID_OF_ONE, ("All in one",))


def test_send_from_sandbox_to_phone_that_never_joined_fails_later(server: ProviderServer) -> None:
    sandbox, stranger = f"whatsapp:{TWILIO_SANDBOX_SENDER}", f"whatsapp:{TWILIO_NOT_JOINED}"
    answer = send(server, From=sandbox, To=stranger)
    assert (answer.status_code, answer.json()["status"]) == (201, "queued")
    later = look_up(server, answer.json()["sid"])
    assert (later["status"], later["error_code"], later["error_message"]) == ("failed", 63015, None)
    assert server.twilio.accepted[0].failed_code == 63015


def test_send_from_sandbox_to_phone_that_joined_is_delivered(server: ProviderServer) -> None:
    answer = send(server, From=f"whatsapp:{TWILIO_SANDBOX_SENDER}")
    assert look_up(server, answer.json()["sid"])["status"] == "delivered"


def test_send_outside_the_window_fails_later_unless_it_is_a_template(server: ProviderServer) -> None:
    outside = f"whatsapp:{TWILIO_OUTSIDE_WINDOW}"
    free_form = send(server, To=outside).json()["sid"]
    by_template = send(server, To=outside, **template("x", "y", "z")).json()["sid"]
    assert look_up(server, free_form)["error_code"] == 63016
    assert look_up(server, by_template)["status"] == "delivered"


def test_send_with_scripted_late_failure_is_queued_and_fails_with_that_code(server: ProviderServer) -> None:
    server.twilio.script(fails_later(63018))
    answer = send(server)
    assert answer.status_code == 201
    assert look_up(server, answer.json()["sid"])["error_code"] == 63018
