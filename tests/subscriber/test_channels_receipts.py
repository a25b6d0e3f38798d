"""Receipts that are asked for, and what a failed one means; a question never stands in a message's way."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from subscriber.channels import twilio_codes
from subscriber.channels.apprise_channel import AppriseChannel
from subscriber.channels.building import build_channel
from subscriber.channels.channel import AppriseConfig, ChannelConfig, MetaConfig, TelegramConfig, TwilioConfig
from subscriber.channels.lanes import SPARE_LANES
from subscriber.channels.meta import TABLE as META_TABLE
from subscriber.deliveries import Dialect, Message, Outcome, Reason, Window
from subscriber.receipts import Receipt, ReceiptMode, ReceiptState
from tests.support.provider_faults import drip, error, fails_later, garbage, hang, rate_limited, redirect
from tests.support.provider_server import (
    META_PHONE_ID,
    META_RECIPIENT,
    META_TOKEN,
    TELEGRAM_CHAT,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)

MESSAGE = Message("Drawdown", "Drawdown", Dialect.WHATSAPP)
MOMENT = 1_800_000_000


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Twilio on loopback, whose clock stands still."""
    with ProviderServer() as running:
        running.twilio.rules.now = lambda: float(MOMENT)
        yield running


@pytest.fixture
def twilio(server: ProviderServer) -> Iterator[AppriseChannel]:
    """A Twilio channel that reaches the server."""
    channel = built(
        TwilioConfig(
            TWILIO_ACCOUNT_SID,
            TWILIO_AUTH_TOKEN,
            TWILIO_SENDER,
            TWILIO_RECIPIENT,
            base_url=server.url,
            deadline_seconds=0.5,
        )
    )
    yield channel
    channel.close()


def built(config: ChannelConfig) -> AppriseChannel:
    channel = build_channel(config, environ={})
    assert isinstance(channel, AppriseChannel)
    return channel


def sent(channel: AppriseChannel) -> str:
    message_id = channel.send(MESSAGE).provider_message_id
    assert message_id is not None
    return message_id


def reason_of(told: Receipt | Outcome) -> Reason:
    assert isinstance(told, Outcome)
    return told.reason


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", ReceiptState.QUEUED),
        ("sending", ReceiptState.QUEUED),
        ("sent", ReceiptState.SENT),
        ("delivered", ReceiptState.DELIVERED),
        ("read", ReceiptState.READ),
    ],
)
def test_ask_receipt_tells_the_state_and_when(
    server: ProviderServer, twilio: AppriseChannel, status: str, state: ReceiptState
) -> None:
    """As the Message resource has it."""
    server.twilio.rules.course = (status,)
    message_id = sent(twilio)
    assert twilio.ask_receipt(message_id) == Receipt(message_id, state, MOMENT * 1_000_000)


def test_ask_receipt_of_a_message_that_failed_tells_why(server: ProviderServer, twilio: AppriseChannel) -> None:
    """Twilio's own words are empty for WhatsApp, so the code's stand there."""
    server.twilio.script(fails_later(63018))
    message_id = sent(twilio)
    assert twilio.ask_receipt(message_id) == Receipt(
        message_id,
        ReceiptState.FAILED,
        MOMENT * 1_000_000,
        "63018",
        "too fast for WhatsApp, or too often to the same recipient",
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("accepted", ReceiptState.QUEUED),
        ("scheduled", ReceiptState.QUEUED),
        ("undelivered", ReceiptState.FAILED),
        ("canceled", ReceiptState.FAILED),
    ],
)
def test_ask_receipt_knows_the_rarer_states(
    server: ProviderServer, twilio: AppriseChannel, status: str, state: ReceiptState
) -> None:
    """And one without a code or a time."""
    message_id = sent(twilio)
    server.twilio.script(error(200, body=f'{{"sid": "{message_id}", "status": "{status}"}}'.encode()))
    receipt = twilio.ask_receipt(message_id)
    assert isinstance(receipt, Receipt)
    assert (receipt.state, receipt.at_us, receipt.code) == (state, None, None)
    assert receipt.detail == (f"Twilio says {status}" if state is ReceiptState.FAILED else "")


def test_ask_receipt_that_is_not_answered_says_why(server: ProviderServer, twilio: AppriseChannel) -> None:
    """Nothing is in doubt about a question; an unknown message is no fault of the account."""
    message_id = sent(twilio)
    server.twilio.script(
        error(500), rate_limited(7), error(401, code=20003), garbage(), error(200, body=b'{"sid": "SM1"}'), hang()
    )
    told = [twilio.ask_receipt(message_id) for _ in range(6)]
    assert [reason_of(outcome) for outcome in told] == [
        Reason.UNAVAILABLE,
        Reason.RATE_LIMITED,
        Reason.UNAUTHORIZED,
        Reason.UNAVAILABLE,
        Reason.UNAVAILABLE,
        Reason.TIMEOUT,
    ]
    assert not any(outcome.in_doubt for outcome in told if isinstance(outcome, Outcome))
    unknown = twilio.ask_receipt("SM" + "0" * 32)
    assert isinstance(unknown, Outcome)
    assert (unknown.reason, unknown.detail) == (Reason.REJECTED, "there is no such message")
    assert reason_of(twilio.ask_receipt("../../Accounts")) is Reason.REJECTED


def test_questions_that_hang_delay_no_send(server: ProviderServer) -> None:
    """More of them than there are lanes for messages; and each ends at its deadline."""
    config = TwilioConfig(
        TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT, base_url=server.url, deadline_seconds=30
    )
    channel = built(config)
    message_id = sent(channel)
    count = SPARE_LANES + 1
    server.twilio.script(*(hang() for _ in range(count)))
    with ThreadPoolExecutor(count) as threads:
        asked = [threads.submit(channel.ask_receipt, message_id) for _ in range(count)]
        server.wait_for_requests(count + 1, provider="twilio")
        refused = channel.ask_receipt(message_id)
        assert channel.send(MESSAGE).accepted
        assert not any(question.done() for question in asked)
        server.twilio.release_all()
        assert all(isinstance(question.result(60), Receipt) for question in asked)
    channel.close()
    assert isinstance(refused, Outcome)
    assert refused.detail == "nothing was asked: all threads still hang in earlier questions"


def test_question_to_a_provider_that_drips_ends_at_the_deadline(server: ProviderServer, twilio: AppriseChannel) -> None:
    """As a send does."""
    message_id = sent(twilio)
    server.twilio.script(drip(1, 0.05))
    assert reason_of(twilio.ask_receipt(message_id)) is Reason.TIMEOUT


def test_question_that_is_redirected_is_not_followed(server: ProviderServer, twilio: AppriseChannel) -> None:
    """The credentials go nowhere else."""
    message_id = sent(twilio)
    server.twilio.script(redirect(), redirect(status=307))
    assert [reason_of(twilio.ask_receipt(message_id)) for _ in range(2)] == [Reason.UNAVAILABLE] * 2
    assert server.elsewhere.requests == []


def test_channels_say_how_they_hear_of_receipts(server: ProviderServer) -> None:
    """Twilio is polled, Meta calls us if it can be believed, others have none."""
    meta = MetaConfig(META_TOKEN, META_PHONE_ID, META_RECIPIENT, base_url=server.url)
    signed = MetaConfig(META_TOKEN, META_PHONE_ID, META_RECIPIENT, app_secret="0" * 32, verify_token="a-word-of-ours")
    twilio = TwilioConfig(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT)
    called = TwilioConfig(
        TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT, public_url="https://alerts.example.org"
    )
    expected = (
        (twilio, ReceiptMode.POLLING, Window.UNKNOWN),
        (called, ReceiptMode.POLLING, Window.UNKNOWN),
        (meta, ReceiptMode.OFF, Window.UNKNOWN),
        (signed, ReceiptMode.WEBHOOK, Window.UNKNOWN),
        (TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT), ReceiptMode.NONE, Window.NONE),
        (AppriseConfig("desk", f"json://127.0.0.1:{server.port}/hook"), ReceiptMode.NONE, Window.NONE),
    )
    for config, mode, window in expected:
        channel = built(config)
        assert (channel.receipts, channel.window) == (mode, window)
        if mode is not ReceiptMode.POLLING:
            assert reason_of(channel.ask_receipt("wamid.1")) is Reason.REJECTED
        channel.close()


# --- what a failure means ----------------------------------------------------------------------------------------

TWILIO_FAILURES = [
    ("63015", Reason.UNAUTHORIZED),
    ("63016", Reason.REJECTED),
    ("63018", Reason.RATE_LIMITED),
    ("63024", Reason.UNAUTHORIZED),
    ("63010", Reason.UNAVAILABLE),
    ("63012", Reason.UNAVAILABLE),
    ("99999", Reason.REJECTED),
    (None, Reason.REJECTED),
]
META_FAILURES = [
    ("131026", Reason.REJECTED),
    ("131047", Reason.REJECTED),
    ("131048", Reason.REJECTED),
    ("131049", Reason.REJECTED),
    ("130429", Reason.RATE_LIMITED),
    ("131056", Reason.RATE_LIMITED),
    ("131000", Reason.UNAVAILABLE),
    ("131042", Reason.UNAUTHORIZED),
    ("132015", Reason.REJECTED),
    ("99999", Reason.REJECTED),
]


@pytest.mark.parametrize(("code", "reason"), TWILIO_FAILURES)
def test_failure_at_twilio_has_its_verdict_and_no_doubt(
    twilio: AppriseChannel, code: str | None, reason: Reason
) -> None:
    """It surely did not arrive, so no repeat of it is a second one."""
    judged = twilio.judge_receipt(Receipt("SM1", ReceiptState.FAILED, code=code), by_template=False)
    assert (judged.reason, judged.code, judged.in_doubt, judged.template_instead) == (reason, code, False, False)


@pytest.mark.parametrize(("code", "reason"), META_FAILURES)
def test_failure_at_meta_has_its_verdict_and_no_doubt(server: ProviderServer, code: str, reason: Reason) -> None:
    """The same codes as in answers."""
    channel = built(MetaConfig(META_TOKEN, META_PHONE_ID, META_RECIPIENT, template="trading_alert"))
    receipt = Receipt("wamid.1", ReceiptState.FAILED, code=code, detail="Meta's words")
    text, template = (channel.judge_receipt(receipt, by_template=form) for form in (False, True))
    channel.close()
    assert (text.reason, text.detail, text.in_doubt) == (reason, "Meta's words", False)
    assert (text.template_instead, template.template_instead) == (code == "131047", False)
    assert (text.by_template, template.by_template) == (False, True)


def test_failure_by_template_closes_no_window(server: ProviderServer) -> None:
    """A template needs none; so the code says nothing of it."""
    channel = built(MetaConfig(META_TOKEN, META_PHONE_ID, META_RECIPIENT, template="trading_alert"))
    channel.judge_receipt(Receipt("wamid.1", ReceiptState.FAILED, code="131047"), by_template=True)
    assert channel.window is Window.UNKNOWN
    channel.judge_receipt(Receipt("wamid.1", ReceiptState.FAILED, code="131047", at_us=5), by_template=False)
    assert (channel.window, channel.memory.values.outside_us) == (Window.CLOSED, 5)
    channel.close()


def test_tables_name_a_source_and_a_meaning_for_every_code() -> None:
    """Nothing is made up."""
    for table in (twilio_codes.TABLE, META_TABLE):
        assert all(row.meaning and "." in row.source for row in table.values())
    assert {20003, 21211, 21610, 21617, 63015, 63016, 63018, 20429} <= twilio_codes.TABLE.keys()
    assert {190, 130429, 131026, 131047, 131048, 131056, 132000, 132001} <= META_TABLE.keys()
