"""What well-formed credentials look like; no fault ever repeats the value."""

from collections.abc import Callable

import pytest

from subscriber.channels import credentials
from tests.support.provider_server import (
    META_PHONE_ID,
    META_TOKEN,
    TELEGRAM_CHAT,
    TELEGRAM_GROUP,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
)

Check = Callable[[str], str | None]

GOOD: list[tuple[Check, str]] = [
    (credentials.telegram_token_fault, TELEGRAM_TOKEN),
    (credentials.telegram_chat_fault, TELEGRAM_CHAT),
    (credentials.telegram_chat_fault, TELEGRAM_GROUP),
    (credentials.telegram_chat_fault, "@trading_desk"),
    (credentials.twilio_sid_fault, TWILIO_ACCOUNT_SID),
    (credentials.twilio_token_fault, TWILIO_AUTH_TOKEN),
    (credentials.meta_token_fault, META_TOKEN),
    (credentials.meta_phone_id_fault, META_PHONE_ID),
    (credentials.phone_fault, "whatsapp:+1 (202) 555-0101"),
]
BAD: list[tuple[Check, str]] = [
    (credentials.telegram_token_fault, TELEGRAM_TOKEN[:-10]),
    (credentials.telegram_token_fault, TELEGRAM_TOKEN + "\n"),
    (credentials.telegram_token_fault, f"bot{TELEGRAM_TOKEN}"),
    (credentials.telegram_chat_fault, "1234,5678"),
    (credentials.telegram_chat_fault, "0171"),
    (credentials.telegram_chat_fault, "trading_desk"),
    (credentials.twilio_sid_fault, "SK" + "0" * 32),
    (credentials.twilio_token_fault, "0" * 31),
    (credentials.meta_token_fault, "EAA-with-dashes-in-it-somewhere"),
    (credentials.meta_phone_id_fault, "+12025550101"),
    (credentials.phone_fault, "050-1234567"),
    (credentials.phone_fault, "+1202555010112345"),
    (credentials.phone_fault, "+12025550101;+12025550102"),
    (credentials.phone_fault, "+١٢٠٢٥٥٥٠١٠١"),
]


@pytest.mark.parametrize(("check", "value"), GOOD)
def test_fault_of_a_well_formed_value_is_none(check: Check, value: str) -> None:
    """What providers hand out passes."""
    assert check(value) is None


@pytest.mark.parametrize(("check", "value"), BAD)
def test_fault_of_a_malformed_value_says_what_is_meant_without_the_value(check: Check, value: str) -> None:
    """A fault follows the setting's name and never shows what was given."""
    fault = check(value)
    assert fault is not None
    assert fault.startswith("must ")
    assert value not in fault


@pytest.mark.parametrize("check", [check for check, _ in GOOD])
def test_fault_of_an_empty_value_is_told(check: Check) -> None:
    """Nothing is not a credential."""
    assert check("") is not None


@pytest.mark.parametrize(
    "written",
    [
        "+12025550101",
        "12025550101",
        "whatsapp:+12025550101",
        " WhatsApp: +1 202-555-0101 ",
        "+1 (202) 555.0101",
        "\u202a+1\u00a0202\u2011555\u20110101\u202c",
    ],
)
def test_normalised_phone_of_any_way_of_writing_is_plus_and_digits(written: str) -> None:
    """A number copied from a chat, a contact or Twilio's console is one number."""
    assert credentials.normalised_phone(written) == "+12025550101"


def test_normalised_phone_of_no_number_raises_without_the_value() -> None:
    """The error can be shown."""
    with pytest.raises(ValueError, match="international number") as error:
        credentials.normalised_phone("call-me-maybe")
    assert "call-me" not in str(error.value)
