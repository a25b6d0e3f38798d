"""Whatever a provider answers has a verdict that can be stored and shown."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.clock import SystemClock
from subscriber.channels.calls import Exchange
from subscriber.channels.channel import AppriseConfig, MetaConfig, TelegramConfig, TwilioConfig
from subscriber.channels.generic import Generic
from subscriber.channels.memory import ChannelMemory
from subscriber.channels.meta import Meta
from subscriber.channels.providers import Provider
from subscriber.channels.redaction import MAX_DETAIL_CHARACTERS, Redaction
from subscriber.channels.telegram import Telegram
from subscriber.channels.twilio import Twilio
from subscriber.channels.verdicts import LONGEST_WAIT_SECONDS, Answer
from subscriber.deliveries import Dialect, Message, Reason
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
)

MESSAGE = Message("<b>Drawdown</b>", "Drawdown", Dialect.TELEGRAM_HTML)
REDACTION = Redaction([], show_paths=True)

#: The names that the tables look at, so that odd values come where they are read.
_NAMES = [
    *("ok", "error_code", "description", "parameters", "retry_after", "migrate_to_chat_id", "result", "message_id"),
    *("code", "message", "sid", "status", "error", "error_data", "details", "error_subcode", "messages", "id"),
]
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([0, 190, 400, 401, 429, 20003, "Bad Request: can't parse entities", "\ud800", "x" * 999])
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6),
    max_leaves=20,
)
_HEADERS = st.dictionaries(st.sampled_from(["retry-after", "date", "content-type"]), st.text(max_size=20))


@pytest.fixture(scope="module")
def providers() -> list[Provider]:
    """One of each."""
    memory, now_us = ChannelMemory(), SystemClock().now_us
    return [
        Telegram(TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT)),
        Twilio(TwilioConfig(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT), memory, now_us),
        Meta(MetaConfig(META_TOKEN, META_PHONE_ID, META_RECIPIENT), memory, now_us),
        Generic(AppriseConfig("topic", f"tgram://{TELEGRAM_TOKEN}/{TELEGRAM_CHAT}:42")),
        Generic(AppriseConfig("desk", "json://127.0.0.1/")),
    ]


@given(status=st.integers(100, 999), value=_VALUES, headers=_HEADERS, taken=st.booleans())
def test_judge_of_any_json_is_an_outcome_that_can_be_stored(
    providers: list[Provider], status: int, value: object, headers: Mapping[str, str], taken: bool
) -> None:
    """Providers' answers have holes and surprises; none of them raises."""
    exchange = Exchange("POST", "", status=status, headers=headers, body=json.dumps(value).encode())
    for provider in providers:
        answer = Answer(exchange, taken=taken)
        provider.again(answer, MESSAGE)
        for outcome in (provider.judge(answer, REDACTION), provider.judge_probe(answer, REDACTION)):
            assert len(outcome.detail) <= MAX_DETAIL_CHARACTERS
            assert f"{outcome.detail}{outcome.code}{outcome.provider_message_id}".encode()
            assert outcome.retry_after_seconds is None or 0 <= outcome.retry_after_seconds <= LONGEST_WAIT_SECONDS
            assert outcome.in_doubt is (outcome.reason is Reason.UNAVAILABLE)


@given(body=st.binary(max_size=200), status=st.integers(100, 999))
def test_judge_of_any_bytes_is_an_outcome(providers: list[Provider], body: bytes, status: int) -> None:
    """No JSON at all, or half of it."""
    answer = Answer(Exchange("POST", "", status=status, body=body), taken=False)
    for provider in providers:
        assert provider.judge(answer, REDACTION).reason is not Reason.TIMEOUT


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000])
def test_judge_of_hostile_json_is_unreadable(providers: list[Provider], body: bytes) -> None:
    """Nesting or a number beyond what the parser takes."""
    telegram = providers[0]
    outcome = telegram.judge(Answer(Exchange("POST", "", status=200, body=body), taken=True), REDACTION)
    assert (outcome.reason, outcome.in_doubt) == (Reason.UNAVAILABLE, True)
