"""What Twilio and Meta call us with: signed by independent stand-ins, read once, refused when anything is not right."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from subscriber.channels.building import build_channel, build_webhooks, placeholder_configs
from subscriber.channels.channel import MetaConfig, TelegramConfig, TwilioConfig
from subscriber.channels.meta_receipts import message_key
from subscriber.channels.webhooks import Inbound, WebhookNews, WebhookReader, WebhookRefused, WebhookRequest
from subscriber.deliveries import Dialect, Message
from subscriber.receipts import Receipt, ReceiptState
from tests.support import meta_messages, twilio_messages
from tests.support.provider_faults import fails_later
from tests.support.provider_server import (
    META_APP_SECRET,
    META_PHONE_ID,
    META_RECIPIENT,
    META_TOKEN,
    META_VERIFY_TOKEN,
    TELEGRAM_CHAT,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)
from tests.support.recorded_webhook import Posted, RecordedWebhook

PUBLIC_URL = "https://alerts.example.org"
TWILIO = TwilioConfig(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT, public_url=PUBLIC_URL)
META = MetaConfig(META_TOKEN, META_PHONE_ID, META_RECIPIENT, app_secret=META_APP_SECRET, verify_token=META_VERIFY_TOKEN)
TARGET = "/webhooks/twilio?reference=0123456789ab.17"
MOMENT = 1_800_000_000


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Twilio and a strict Meta on loopback."""
    with ProviderServer() as running:
        yield running


def request_of(call: Posted) -> WebhookRequest:
    """Return a recorded call as the daemon's web server hands it on."""
    query = dict(parse_qsl(urlsplit(call.target).query))
    return WebhookRequest(call.method, call.target, query, call.headers, call.body)


def twilio_call(form: dict[str, str], target: str = TARGET, origin: str = PUBLIC_URL, **headers: str) -> WebhookRequest:
    """Return a call that is signed as the stand-in signs."""
    signed = {"x-twilio-signature": twilio_messages.sign(origin + target, form)}
    query = dict(parse_qsl(urlsplit(target).query))
    return WebhookRequest("POST", target, query, {**signed, **headers}, urlencode(form).encode())


def meta_call(payload: object, **changes: Any) -> WebhookRequest:
    """Return a call that is signed as the stand-in signs."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    request = WebhookRequest(
        "POST", "/webhooks/meta", {}, {"x-hub-signature-256": meta_messages.sign(body, META_APP_SECRET)}, body
    )
    return replace(request, **changes)


def refused(read: Callable[[], object]) -> int:
    """Return the status with which a call is refused; the text holds no secret."""
    with pytest.raises(WebhookRefused) as caught:
        read()
    for secret in (TWILIO_AUTH_TOKEN, TWILIO_ACCOUNT_SID, META_APP_SECRET, META_VERIFY_TOKEN, TWILIO_RECIPIENT):
        assert secret not in caught.value.text + repr(caught.value) + str(caught.value)
    return caught.value.status


def reader(config: TwilioConfig | MetaConfig) -> WebhookReader:
    (built,) = build_webhooks([config]).values()
    return built


STATUS = {"MessageSid": "SM" + "1" * 32, "MessageStatus": "delivered", "AccountSid": TWILIO_ACCOUNT_SID}
WRITTEN = {
    "MessageSid": "SM" + "2" * 32,
    "SmsStatus": "received",
    "AccountSid": TWILIO_ACCOUNT_SID,
    "From": f"whatsapp:{TWILIO_RECIPIENT}",
    "To": f"whatsapp:{TWILIO_SENDER}",
    "Body": "Ok, thanks & good night é 😀",
}


# --- who is there ------------------------------------------------------------------------------------------------


def test_build_webhooks_leaves_out_who_can_not_be_checked() -> None:
    """Twilio signs the public URL, Meta by the app secret; without them nothing is believed."""
    telegram = TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT)
    assert build_webhooks([telegram, *placeholder_configs()]) == {}
    half = (replace(META, app_secret=None), replace(META, verify_token=None), replace(TWILIO, public_url=None))
    assert build_webhooks(half) == {}
    readers = build_webhooks([telegram, TWILIO, META])
    assert {name: (each.provider, each.channels) for name, each in readers.items()} == {
        "twilio": ("twilio", ("whatsapp",)),
        "meta": ("meta", ("whatsapp",)),
    }


def test_readers_do_not_repr_their_secrets() -> None:
    """Nor do the calls that they read."""
    for config in (TWILIO, META):
        shown = repr(reader(config)) + repr(twilio_call(WRITTEN)) + repr(Inbound(TWILIO_RECIPIENT, None, ("whatsapp",)))
        assert not any(secret in shown for secret in (TWILIO_AUTH_TOKEN, META_APP_SECRET, TWILIO_RECIPIENT))


# --- Twilio ------------------------------------------------------------------------------------------------------


def test_twilio_callbacks_of_a_real_message_tell_its_states(server: ProviderServer) -> None:
    """From the StatusCallback that we gave it, by the signature that it makes, with the reference of the attempt."""
    with RecordedWebhook() as webhook:
        config = replace(TWILIO, base_url=server.url, public_url=webhook.url)
        channel = build_channel(config, environ={})
        server.twilio.script(fails_later(63016))
        message = Message("Drawdown", "Drawdown", Dialect.WHATSAPP, reference="0123456789ab.17")
        message_id = channel.send(message).provider_message_id or ""
        channel.close()
        for status in ("sent", "delivered", "read", "undelivered"):
            server.twilio.rules.report(message_id, status)
    news = [reader(config).read(request_of(call)) for call in webhook.calls]
    assert [receipt for told in news for receipt in told.receipts] == [
        Receipt(message_id, ReceiptState.SENT, reference="0123456789ab.17"),
        Receipt(message_id, ReceiptState.DELIVERED, reference="0123456789ab.17"),
        Receipt(message_id, ReceiptState.READ, reference="0123456789ab.17"),
        Receipt(
            message_id,
            ReceiptState.FAILED,
            code="63016",
            detail="outside of the 24-hour window",
            reference="0123456789ab.17",
        ),
    ]


def test_twilio_message_of_the_person_opens_the_window(server: ProviderServer) -> None:
    """Told of the channels that write to this person, by a call without any time in it."""
    with RecordedWebhook() as webhook:
        config = replace(TWILIO, public_url=webhook.url)
        server.twilio.rules.inbound_url = f"{webhook.url}/webhooks/twilio"
        server.twilio.rules.receive(TWILIO_RECIPIENT, text="Ok & thanks é 😀")
        server.twilio.rules.receive("+12025550199")
    known, stranger = (reader(config).read(request_of(call)) for call in webhook.calls)
    assert known == WebhookNews(inbound=(Inbound(TWILIO_RECIPIENT, None, ("whatsapp",)),))
    assert stranger == WebhookNews()


@pytest.mark.parametrize(
    ("public_url", "signed"),
    [
        ("https://alerts.example.org", "https://alerts.example.org:443"),
        ("https://alerts.example.org:443", "https://alerts.example.org"),
        ("https://alerts.example.org:8443", "https://alerts.example.org:8443"),
        ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
    ],
)
def test_twilio_signature_may_be_over_the_url_with_or_without_its_usual_port(public_url: str, signed: str) -> None:
    """Twilio's own libraries try both."""
    config = replace(TWILIO, public_url=public_url)
    assert reader(config).read(twilio_call(STATUS, origin=signed)).receipts


def test_twilio_call_that_is_not_signed_by_this_account_is_refused() -> None:
    """A changed field, URL or query, another token, another account, no signature at all."""
    good = twilio_call(STATUS)
    assert reader(TWILIO).read(good).receipts
    forged = [
        replace(good, body=good.body.replace(b"delivered", b"read")),
        replace(good, url="/webhooks/twilio?reference=0123456789ab.18"),
        replace(good, url="/webhooks/twilio"),
        replace(good, headers={}),
        replace(good, headers={"x-twilio-signature": "é" * 28}),
        twilio_call(STATUS, origin="https://elsewhere.example.org"),
        twilio_call({**STATUS, "AccountSid": "AC" + "9" * 32}),
    ]
    assert [refused(lambda call=call: reader(TWILIO).read(call)) for call in forged] == [403] * len(forged)  # type: ignore[misc]
    other = replace(TWILIO, auth_token="0" * 32)
    assert refused(lambda: reader(other).read(good)) == 403
    assert refused(lambda: reader(TWILIO).read(replace(good, method="GET"))) == 405


def test_twilio_call_for_one_of_two_accounts_is_read() -> None:
    """Each is checked by its own token."""
    other = replace(TWILIO, name="deputy", account_sid="AC" + "9" * 32, auth_token="0" * 32, recipient="+12025550177")
    (both,) = build_webhooks([other, TWILIO]).values()
    assert both.channels == ("deputy", "whatsapp")
    assert both.read(twilio_call(WRITTEN)).inbound[0].channels == ("whatsapp",)


@pytest.mark.parametrize("body", [b"\xff\xfe", "é".encode(), b"&".join(b"a=%d" % number for number in range(300))])
def test_twilio_call_that_is_no_form_is_unreadable(body: bytes) -> None:
    """It can't even be checked."""
    assert refused(lambda: reader(TWILIO).read(replace(twilio_call(STATUS), body=body))) == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"MessageStatus": "teleported"},
        {"MessageSid": ""},
        {"MessageSid": "../secrets"},
        {"MessageStatus": "", "From": f"whatsapp:{TWILIO_SENDER}"},
        {"MessageStatus": "", "From": TWILIO_RECIPIENT, "To": TWILIO_SENDER},
    ],
)
def test_twilio_call_of_another_kind_tells_nothing(changes: dict[str, str]) -> None:
    """It is signed, so it is answered well, and Twilio does not repeat it."""
    assert reader(TWILIO).read(twilio_call({**STATUS, **changes})) == WebhookNews()


def test_twilio_callback_without_our_reference_or_with_odd_fields_is_read() -> None:
    """A reference is only what we could have made; a code is a number; the channel's own words come first."""
    failed = {**STATUS, "MessageStatus": "failed", "ErrorCode": "x", "ChannelStatusMessage": f"no {TWILIO_AUTH_TOKEN}"}
    (receipt,) = reader(TWILIO).read(twilio_call(failed, "/webhooks/twilio?reference=%27;drop")).receipts
    assert receipt == Receipt(STATUS["MessageSid"], ReceiptState.FAILED, detail="no ***")
    assert reader(TWILIO).greet(twilio_call(STATUS)) is None


# --- Meta --------------------------------------------------------------------------------------------------------


def test_meta_calls_of_a_real_message_tell_its_states(server: ProviderServer) -> None:
    """By the signature that it makes over the raw body, with times and the reference of the attempt."""
    with RecordedWebhook(verify_token=META_VERIFY_TOKEN) as webhook:
        rules = server.meta.rules
        rules.now = lambda: float(MOMENT)
        rules.subscribe(f"{webhook.url}/webhooks/meta")
        config = replace(META, base_url=server.url)
        channel = build_channel(config, environ={})
        message = Message("Drawdown é 😀", "Drawdown", Dialect.WHATSAPP, reference="0123456789ab.17")
        taken = channel.send(message)
        channel.close()
        [sent] = server.meta.accepted
        message_id = sent.message_id
        for state in ("sent", "delivered", "read"):
            rules.report(message_id, state)
        rules.report(message_id, "failed", code=131047)
        rules.receive(META_RECIPIENT, MOMENT - 60)
        rules.receive("+12025550199", MOMENT - 60)
    setup, *calls = webhook.calls
    news = [reader(config).read(request_of(call)) for call in calls]
    at_us = MOMENT * 1_000_000
    *arrived, failed = [receipt for told in news for receipt in told.receipts]
    assert arrived == [
        Receipt(taken.provider_message_id or "", state, at_us, reference="0123456789ab.17")
        for state in (ReceiptState.SENT, ReceiptState.DELIVERED, ReceiptState.READ)
    ]
    assert (failed.state, failed.code, failed.reference) == (ReceiptState.FAILED, "131047", "0123456789ab.17")
    assert "more than 24 hours" in failed.detail
    assert [each for told in news for each in told.inbound] == [
        Inbound(META_RECIPIENT, (MOMENT - 60) * 1_000_000, ("whatsapp",))
    ]
    assert reader(config).greet(request_of(setup)) == request_of(setup).query["hub.challenge"]


def test_meta_greeting_is_for_whoever_knows_the_verify_token() -> None:
    """The challenge comes back, and nothing that could be a page."""
    query = {"hub.mode": "subscribe", "hub.verify_token": META_VERIFY_TOKEN, "hub.challenge": "1158201444"}
    request = WebhookRequest("GET", "/webhooks/meta", query, {}, b"")
    assert reader(META).greet(request) == "1158201444"
    for changes, status in (
        ({"hub.verify_token": "another-word"}, 403),
        ({"hub.verify_token": "é"}, 403),
        ({"hub.mode": "unsubscribe"}, 403),
        ({"hub.challenge": "<script>"}, 400),
        ({"hub.challenge": ""}, 400),
    ):
        wrong = replace(request, query={**query, **changes})
        assert refused(lambda wrong=wrong: reader(META).greet(wrong)) == status  # type: ignore[misc]
    assert refused(lambda: reader(META).greet(replace(request, query={}))) == 403
    assert reader(META).greet(replace(request, method="POST")) is None


def statuses(*given: object, phone_id: str = META_PHONE_ID, **value: object) -> dict[str, object]:
    """Return a payload with one change."""
    content = {"metadata": {"phone_number_id": phone_id}, "statuses": list(given), **value}
    return {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": content}]}]}


GOOD = {"id": "wamid.1", "status": "delivered", "timestamp": str(MOMENT)}


def test_meta_call_that_is_not_signed_by_our_app_is_refused() -> None:
    """A changed body, another secret, another scheme, no signature at all."""
    good = meta_call(statuses(GOOD))
    assert len(reader(META).read(good).receipts) == 1
    signature = good.headers["x-hub-signature-256"]
    forged = [
        replace(good, body=good.body.replace(b"delivered", b"failed...")),
        replace(good, body=good.body + b" "),
        replace(good, headers={}),
        replace(good, headers={"x-hub-signature-256": signature.removeprefix("sha256=")}),
        replace(good, headers={"x-hub-signature-256": signature.upper()}),
        replace(good, headers={"x-hub-signature": signature}),
    ]
    assert [refused(lambda call=call: reader(META).read(call)) for call in forged] == [403] * len(forged)  # type: ignore[misc]
    assert refused(lambda: reader(replace(META, app_secret="0" * 32)).read(good)) == 403
    assert refused(lambda: reader(META).read(replace(good, method="PUT"))) == 405


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'"entry"', b'{"entry": {}}', b"[" * 100_000, b"\xff"])
def test_meta_call_that_is_none_is_unreadable(body: bytes) -> None:
    """Signed or not."""
    assert refused(lambda: reader(META).read(meta_call(body))) == 400


def test_meta_call_with_many_statuses_is_read_whole_and_odd_ones_are_passed_over() -> None:
    """One call may tell of many messages, and of what we don't know."""
    failed = {
        "id": "wamid.2",
        "status": "failed",
        "timestamp": "soon",
        "errors": [{"code": 131026, "title": META_TOKEN}],
    }
    odd: list[object] = [None, [], "x", {}, {"id": 7, "status": "sent"}, {"id": "", "status": "sent"}, {"id": "w"}]
    payload = statuses(GOOD, *odd, {"id": "w", "status": "played"}, failed, {**GOOD, "biz_opaque_callback_data": "<b>"})
    payload["entry"] = [*payload["entry"], None, {"changes": None}, {"changes": [7, {"value": []}]}]  # type: ignore[misc]
    assert reader(META).read(meta_call(payload)) == WebhookNews(
        receipts=(
            Receipt(message_key("wamid.1"), ReceiptState.DELIVERED, MOMENT * 1_000_000),
            Receipt(message_key("wamid.2"), ReceiptState.FAILED, None, "131026", "***"),
            Receipt(message_key("wamid.1"), ReceiptState.DELIVERED, MOMENT * 1_000_000),
        )
    )


def test_meta_failure_without_an_error_is_still_one() -> None:
    """Errors have holes."""
    holes: tuple[object, ...] = (None, [], [None], [{"code": "x"}], [{"error_data": []}])
    for errors in holes:
        payload = statuses({"id": "wamid.1", "status": "failed", "errors": errors})
        (receipt,) = reader(META).read(meta_call(payload)).receipts
        assert (receipt.code, receipt.detail) == (None, "Meta says failed")


def test_meta_call_about_another_number_tells_nothing() -> None:
    """One app may serve many numbers."""
    message = {"from": META_RECIPIENT[1:], "type": "text", "timestamp": str(MOMENT)}
    assert reader(META).read(meta_call(statuses(GOOD, phone_id="4711", messages=[message]))) == WebhookNews()


@pytest.mark.parametrize(
    ("recipient", "written", "kind", "heard"),
    [
        ("+12025550111", "12025550111", "text", True),
        ("+12025550111", "12025550111", "image", True),
        ("+12025550111", "12025550111", "reaction", False),
        ("+12025550111", "12025550111", "system", False),
        ("+5511987654321", "551187654321", "text", True),
        ("+525512345678", "5215512345678", "text", True),
        ("+541123456789", "5491123456789", "text", True),
        ("+12025550111", "120255501110", "text", False),
        ("+12025550111", None, "text", False),
    ],
)
def test_meta_message_opens_the_window_of_the_person_that_wrote(
    recipient: str, written: str | None, kind: str, heard: bool
) -> None:
    """WhatsApp writes the numbers of some countries its own way."""
    message = {"from": written, "id": "wamid.9", "timestamp": str(MOMENT), "type": kind}
    news = reader(replace(META, recipient=recipient)).read(meta_call(statuses(messages=[message, None])))
    assert [each.channels for each in news.inbound] == ([("whatsapp",)] if heard else [])
