"""What Twilio tells after it took a message: look-ups, the list, and signed callbacks over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.support.provider_faults import fails_later
from tests.support.provider_server import (
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_MESSAGING_SERVICE_SID,
    TWILIO_OUTSIDE_WINDOW,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)
from tests.support.recorded_webhook import RecordedWebhook
from tests.support.twilio_messages import WINDOW_SECONDS, sign

AUTH = (TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN)
PUBLIC_URL = "https://alerts.example.com/webhooks/twilio?channel=whatsapp"
NOON = 1_760_011_200.0  # 2025-10-09 12:00 UTC


def messages_url(server: ProviderServer, message: str = "") -> str:
    """Return the address of all messages, or of one."""
    return f"{server.url}/2010-04-01/Accounts/{TWILIO_ACCOUNT_SID}/Messages{message}.json"


def send(server: ProviderServer, recipient: str = TWILIO_RECIPIENT, **changes: str) -> str:
    """Send a text and return its id."""
    form = {"From": f"whatsapp:{TWILIO_SENDER}", "To": f"whatsapp:{recipient}", "Body": "Drawdown"} | changes
    answer = requests.post(messages_url(server), data=form, auth=AUTH, timeout=60)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["sid"])


def status(server: ProviderServer, message_id: str) -> tuple[str, int | None]:
    """Look a message up and return its status and error code."""
    resource = requests.get(messages_url(server, f"/{message_id}"), auth=AUTH, timeout=60).json()
    return resource["status"], resource["error_code"]


def listed(server: ProviderServer, **query: str) -> Any:
    """Return the messages of one page of the list."""
    answer = requests.get(messages_url(server), params=query, auth=AUTH, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()["messages"]


def test_signature_is_that_of_twilios_own_example() -> None:
    """The vector of Twilio's security page and of its helper libraries' tests."""
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+12349013030",
        "Digits": "1234",
        "From": "+12349013030",
        "To": "+18005551212",
    }
    assert sign("https://mycompany.com/myapp.php?foo=1&bar=2", form, "12345") == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


def test_course_is_shown_step_by_step_and_its_end_stays(server: ProviderServer) -> None:
    server.twilio.rules.course = ("queued", "sent", "delivered", "read")
    message_id = send(server)
    shown = [status(server, message_id)[0] for _ in range(5)]
    assert shown == ["queued", "sent", "delivered", "read", "read"]


def test_course_of_a_message_that_fails_ends_with_its_code(server: ProviderServer) -> None:
    server.twilio.rules.course = ("queued", "sent", "delivered")
    server.twilio.script(fails_later(63018))
    message_id = send(server)
    assert [status(server, message_id) for _ in range(3)] == [("queued", None), ("sent", None), ("failed", 63018)]


def test_message_without_a_course_stays_queued_until_it_is_reported(server: ProviderServer) -> None:
    server.twilio.rules.course = ()
    message_id = send(server)
    assert status(server, message_id) == ("queued", None)
    assert server.twilio.rules.report(message_id, "undelivered", code=63024) is None
    assert status(server, message_id) == ("undelivered", 63024)


def test_message_by_a_messaging_service_is_accepted_first(server: ProviderServer) -> None:
    server.twilio.rules.course = ()
    form = {"MessagingServiceSid": TWILIO_MESSAGING_SERVICE_SID, "To": TWILIO_RECIPIENT, "Body": "Drawdown"}
    assert requests.post(messages_url(server), data=form, auth=AUTH, timeout=60).json()["status"] == "accepted"


def test_report_is_posted_to_the_callback_with_a_signature_of_the_url_as_given(server: ProviderServer) -> None:
    with RecordedWebhook(status=204) as webhook:
        message_id = send(server, StatusCallback=PUBLIC_URL)
        answer = server.twilio.rules.report(message_id, "delivered", via=webhook.url)
        assert answer is not None
        assert answer.status == 204
        (call,) = webhook.calls
    assert (call.method, call.target) == ("POST", "/webhooks/twilio?channel=whatsapp")
    assert call.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert call.headers["x-twilio-signature"] == sign(PUBLIC_URL, call.form)
    assert call.headers["x-twilio-signature"] != sign(webhook.url + call.target, call.form)
    assert (call.form["MessageSid"], call.form["MessageStatus"]) == (message_id, "delivered")
    assert (call.form["To"], call.form["EventType"]) == (f"whatsapp:{TWILIO_RECIPIENT}", "DELIVERED")
    assert "ErrorCode" not in call.form


def test_report_of_a_failure_names_the_code_and_no_text(server: ProviderServer) -> None:
    with RecordedWebhook() as webhook:
        message_id = send(server, TWILIO_OUTSIDE_WINDOW, StatusCallback=f"{webhook.url}/webhooks/twilio")
        server.twilio.rules.report(message_id, "failed")
        (call,) = webhook.calls
    assert (call.form["MessageStatus"], call.form["ErrorCode"], call.form["ErrorMessage"]) == ("failed", "63016", "")


def test_report_out_of_order_never_moves_the_message_back(server: ProviderServer) -> None:
    with RecordedWebhook() as webhook:
        message_id = send(server, StatusCallback=webhook.url)
        for told in ("read", "sent", "delivered"):
            server.twilio.rules.report(message_id, told)
        assert [call.form["MessageStatus"] for call in webhook.calls] == ["read", "sent", "delivered"]
    assert status(server, message_id) == ("read", None)


def test_report_of_the_first_status_is_refused(server: ProviderServer) -> None:
    with pytest.raises(ValueError, match="no callback for queued"):
        server.twilio.rules.report(send(server), "queued")


def test_told_at_once_comes_before_the_senders_answer(server: ProviderServer) -> None:
    server.twilio.rules.told_at_once = ("sent", "delivered")
    with RecordedWebhook() as webhook:
        message_id = send(server, StatusCallback=webhook.url)
        told = [(call.form["MessageSid"], call.form["MessageStatus"]) for call in webhook.calls]
    assert told == [(message_id, "sent"), (message_id, "delivered")]


def test_list_shows_inbound_messages_newest_first_by_sender_and_recipient(server: ProviderServer) -> None:
    rules = server.twilio.rules
    rules.receive(TWILIO_RECIPIENT, NOON, text="second")
    rules.receive(TWILIO_RECIPIENT, NOON - 60, text="first")
    rules.receive("+12025550177", NOON, text="of somebody else")
    send(server)
    query = {"From": f"whatsapp:{TWILIO_RECIPIENT}", "To": f"whatsapp:{TWILIO_SENDER}"}
    found = listed(server, **query, PageSize="20")
    assert [one["body"] for one in found] == ["second", "first"]
    assert {(one["direction"], one["status"]) for one in found} == {("inbound", "received")}
    assert found[0]["date_sent"] == "Thu, 09 Oct 2025 12:00:00 +0000"
    assert [one["body"] for one in listed(server, **query, PageSize="1")] == ["second"]
    assert len(listed(server)) == 4


@pytest.mark.parametrize("query", [{"PageSize": "0"}, {"PageSize": "1001"}, {"PageSize": "x"}, {"Sender": "+1"}])
def test_list_with_a_wrong_query_is_refused(server: ProviderServer, query: dict[str, str]) -> None:
    assert requests.get(messages_url(server), params=query, auth=AUTH, timeout=60).status_code == 400


def test_window_is_open_for_a_day_after_the_person_wrote(server: ProviderServer) -> None:
    rules = server.twilio.rules
    rules.now = lambda: NOON
    rules.receive(TWILIO_OUTSIDE_WINDOW, NOON - WINDOW_SECONDS + 1)
    assert status(server, send(server, TWILIO_OUTSIDE_WINDOW)) == ("delivered", None)
    rules.now = lambda: NOON + 1
    assert status(server, send(server, TWILIO_OUTSIDE_WINDOW)) == ("failed", 63016)


def test_window_that_was_closed_lets_no_text_through(server: ProviderServer) -> None:
    assert status(server, send(server)) == ("delivered", None)
    server.twilio.rules.close_window(TWILIO_RECIPIENT)
    assert status(server, send(server)) == ("failed", 63016)


def test_receive_is_posted_to_the_inbound_url_signed(server: ProviderServer) -> None:
    assert server.twilio.rules.receive(TWILIO_RECIPIENT) is None
    server.twilio.rules.inbound_url = PUBLIC_URL
    with RecordedWebhook() as webhook:
        server.twilio.rules.receive(TWILIO_RECIPIENT, NOON, text="Grüße", via=webhook.url)
        (call,) = webhook.calls
    assert call.headers["x-twilio-signature"] == sign(PUBLIC_URL, call.form)
    assert (call.form["From"], call.form["Body"]) == (f"whatsapp:{TWILIO_RECIPIENT}", "Grüße")
    assert call.form["SmsStatus"] == "received"
