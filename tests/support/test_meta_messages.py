"""What Meta tells after it took a message: signed webhook calls over real HTTP."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.meta_messages import WINDOW_SECONDS
from tests.support.provider_faults import fails_later
from tests.support.provider_server import (
    META_APP_SECRET,
    META_OUTSIDE_WINDOW,
    META_PHONE_ID,
    META_RECIPIENT,
    META_TEMPLATE_LANGUAGE,
    META_TEMPLATE_OF_THREE,
    META_TOKEN,
    META_VERIFY_TOKEN,
    ProviderServer,
)
from tests.support.recorded_webhook import RecordedWebhook

NOON = 1_760_011_200.0  # 2025-10-09 12:00 UTC


def send(server: ProviderServer, recipient: str = META_RECIPIENT, **changes: object) -> requests.Response:
    """Send a text."""
    text = {"messaging_product": "whatsapp", "to": recipient, "type": "text", "text": {"body": "Drawdown"}}
    headers = {"Authorization": f"Bearer {META_TOKEN}"}
    url = f"{server.url}/v21.0/{META_PHONE_ID}/messages"
    return requests.post(url, json=text | changes, headers=headers, timeout=60)


def sent(server: ProviderServer, recipient: str = META_RECIPIENT, **changes: object) -> str:
    """Send a text that is accepted, and return its id."""
    answer = send(server, recipient, **changes)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["messages"][0]["id"])


def told(webhook: RecordedWebhook) -> list[dict[str, Any]]:
    """Return what each posted call told, once its signature is proved."""
    found = []
    for call in webhook.calls:
        if call.method == "POST":
            right = hmac.new(META_APP_SECRET.encode(), call.body, hashlib.sha256).hexdigest()
            assert call.headers["x-hub-signature-256"] == f"sha256={right}"
            (entry,) = json.loads(call.body)["entry"]
            (change,) = entry["changes"]
            assert change["value"]["metadata"]["phone_number_id"] == META_PHONE_ID
            found.append(change["value"])
    return found


@pytest.fixture
def webhook(server: ProviderServer) -> Iterator[RecordedWebhook]:
    """A webhook that Meta has verified."""
    with RecordedWebhook(verify_token=META_VERIFY_TOKEN) as recorded:
        assert server.meta.rules.subscribe(f"{recorded.url}/webhooks/meta").status == 200
        yield recorded


def test_subscribe_with_the_wrong_token_sets_nothing_up(server: ProviderServer) -> None:
    with RecordedWebhook(verify_token="another") as recorded:
        assert server.meta.rules.subscribe(recorded.url).status == 403
        with pytest.raises(ValueError, match="subscribe"):
            server.meta.rules.report(sent(server), "sent")


def test_report_posts_a_signed_status_with_time_and_reference(server: ProviderServer, webhook: RecordedWebhook) -> None:
    message_id = sent(server, biz_opaque_callback_data="0f3a.17")
    assert server.meta.rules.report(message_id, "delivered", at=NOON).status == 200
    (value,) = told(webhook)
    (status,) = value["statuses"]
    assert (status["id"], status["status"], status["timestamp"]) == (message_id, "delivered", str(int(NOON)))
    assert status["biz_opaque_callback_data"] == "0f3a.17"
    assert status["recipient_id"] == META_RECIPIENT.removeprefix("+")


def test_reports_may_come_in_one_call_and_in_any_order(server: ProviderServer, webhook: RecordedWebhook) -> None:
    rules = server.meta.rules
    first, second = sent(server), sent(server)
    rules.post(statuses=[rules.status(second, "read"), rules.status(first, "delivered"), rules.status(first, "sent")])
    (value,) = told(webhook)
    assert [(one["id"], one["status"]) for one in value["statuses"]] == [
        (second, "read"),
        (first, "delivered"),
        (first, "sent"),
    ]


def test_report_of_a_failure_has_code_and_details(server: ProviderServer, webhook: RecordedWebhook) -> None:
    server.meta.script(fails_later(131026))
    message_id = sent(server)
    server.meta.rules.report(message_id, "failed")
    (value,) = told(webhook)
    (error,) = value["statuses"][0]["errors"]
    assert (error["code"], error["error_data"]["details"]) == (131026, "Message Undeliverable.")
    assert server.meta.accepted[0].failed_code == 131026


def test_report_that_no_state_or_reason_fits_is_refused(server: ProviderServer, webhook: RecordedWebhook) -> None:
    message_id = sent(server)
    with pytest.raises(ValueError, match="no status queued"):
        server.meta.rules.report(message_id, "queued")
    with pytest.raises(ValueError, match="says why"):
        server.meta.rules.report(message_id, "failed")
    assert told(webhook) == []


def test_text_outside_the_window_is_refused_at_once_or_fails_later(
    server: ProviderServer, webhook: RecordedWebhook
) -> None:
    assert send(server, META_OUTSIDE_WINDOW).json()["error"]["code"] == 131047
    server.meta.rules.tells_window_late = True
    server.meta.rules.told_at_once = ("failed",)
    sent(server, META_OUTSIDE_WINDOW)
    (value,) = told(webhook)
    assert value["statuses"][0]["errors"][0]["code"] == 131047


def test_template_of_three_parameters_passes_outside_the_window(server: ProviderServer) -> None:
    parameters = [{"type": "text", "text": text} for text in ("What", "Rest", "When")]
    template = {
        "name": META_TEMPLATE_OF_THREE,
        "language": {"code": META_TEMPLATE_LANGUAGE},
        "components": [{"type": "body", "parameters": parameters}],
    }
    sent(server, META_OUTSIDE_WINDOW, type="template", text=None, template=template)
    assert server.meta.accepted[0].parameters == ("What", "Rest", "When")


def test_receive_opens_the_window_for_a_day_and_is_posted(server: ProviderServer, webhook: RecordedWebhook) -> None:
    rules = server.meta.rules
    rules.now = lambda: NOON
    rules.receive(META_OUTSIDE_WINDOW, NOON - WINDOW_SECONDS + 1, text="Ok")
    assert send(server, META_OUTSIDE_WINDOW).ok
    rules.now = lambda: NOON + 1
    assert send(server, META_OUTSIDE_WINDOW).status_code == 400
    (value,) = told(webhook)
    (message,) = value["messages"]
    assert (message["from"], message["type"]) == (META_OUTSIDE_WINDOW.removeprefix("+"), "text")
    assert value["contacts"][0]["wa_id"] == message["from"]


def test_reference_that_is_too_long_is_refused(server: ProviderServer) -> None:
    assert sent(server, biz_opaque_callback_data="x" * 512)
    assert send(server, biz_opaque_callback_data="x" * 513).json()["error"]["code"] == 100


def test_told_at_once_comes_before_the_senders_answer(server: ProviderServer, webhook: RecordedWebhook) -> None:
    server.meta.rules.told_at_once = ("sent", "delivered")
    message_id = sent(server)
    assert [(one["statuses"][0]["id"], one["statuses"][0]["status"]) for one in told(webhook)] == [
        (message_id, "sent"),
        (message_id, "delivered"),
    ]
