"""What well-formed credentials and targets look like, asked before Apprise sees them. Pure.

Apprise prints a malformed token whole at WARNING (plugins/whatsapp.py:227, twilio.py:244, telegram.py:707), so nothing
malformed may reach it. Each `..._fault` returns a sentence that can follow the setting's name, such as
"TELEGRAM_BOT_TOKEN must look like …", or None when all is well; no sentence ever holds the value.
"""

from __future__ import annotations

import re
from typing import Final

# The bot's id, a colon and 35 characters in the example at core.telegram.org/bots/api#authorizing-your-bot.
_TELEGRAM_TOKEN: Final = re.compile(r"[0-9]{5,20}:[A-Za-z0-9_-]{30,64}")
# Ids fit 52 bits (core.telegram.org/bots/api#chat); public names have 5 to 32 characters, some collectible ones 4.
_TELEGRAM_CHAT: Final = re.compile(r"-?[1-9][0-9]{0,15}|@[A-Za-z][A-Za-z0-9_]{3,31}")
# "a 34 character string that starts with AC" (twilio.com/docs/glossary/what-is-a-sid).
_TWILIO_SID: Final = re.compile(r"AC[0-9a-fA-F]{32}")
_TWILIO_TOKEN: Final = re.compile(r"[0-9a-fA-F]{32}")
# Apprise takes letters and digits only (plugins/whatsapp.py:126); Meta's user and system tokens are made of these.
_META_TOKEN: Final = re.compile(r"[A-Za-z0-9]{20,1024}")
_META_PHONE_ID: Final = re.compile(r"[0-9]{5,20}")
# "HX" and 32 hexadecimal digits (twilio.com/docs/content/content-api-resources).
_CONTENT_SID: Final = re.compile(r"HX[0-9a-fA-F]{32}")
# A template's name has lower-case letters, digits and underscores, at most 512; languages are en, en_US, zh_CN, fil.
_TEMPLATE: Final = re.compile(r"[a-z0-9_]{1,512}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(_[A-Z]{2,3})?")
# As the app's dashboard shows it, below Settings, Basic.
_APP_SECRET: Final = re.compile(r"[0-9a-f]{32}")
# Made up by a person, and part of a URL once.
_VERIFY_TOKEN: Final = re.compile(r"[!-~]{8,128}")
# E.164: at most 15 digits, no country code begins with 0; the shortest numbers in use have 7.
_PHONE: Final = re.compile(r"\+?([1-9][0-9]{6,14})")
_PHONE_PREFIX: Final = re.compile(r"\s*whatsapp:", re.IGNORECASE)
_TWO_FORMS: Final = (
    (re.compile(r"\+521(\d{10})"), r"+52\1"),
    (re.compile(r"\+549(\d{10})"), r"+54\1"),
    (re.compile(r"\+55(\d\d)9(\d{8})"), r"+55\1\2"),
)
# What people write between digits, and the invisible marks that come along when a number is copied from a chat.
_PHONE_SEPARATORS: Final = re.compile(
    "[\\s().\\-\u00a0\u2010-\u2015\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)


def telegram_token_fault(value: str) -> str | None:
    """Say what a bot token must look like, unless this one does."""
    if _TELEGRAM_TOKEN.fullmatch(value):
        return None
    return "must look like 123456789:AAbb…, a number, a colon and 35 letters, digits, - or _, as @BotFather gives it"


def telegram_chat_fault(value: str) -> str | None:
    """Say what a chat id must look like, unless this one does."""
    if _TELEGRAM_CHAT.fullmatch(value):
        return None
    return "must be one chat's number (123456789; a group's is negative, such as -1001234567890) or a public @name"


def twilio_sid_fault(value: str) -> str | None:
    """Say what an account SID must look like, unless this one does."""
    if _TWILIO_SID.fullmatch(value):
        return None
    return "must be AC and 32 hexadecimal digits, as Twilio's console shows it"


def twilio_token_fault(value: str) -> str | None:
    """Say what an auth token must look like, unless this one does."""
    if _TWILIO_TOKEN.fullmatch(value):
        return None
    return "must be 32 hexadecimal digits, as Twilio's console shows it"


def meta_token_fault(value: str) -> str | None:
    """Say what an access token of Meta's Cloud API must look like, unless this one does."""
    if _META_TOKEN.fullmatch(value):
        return None
    return "must be one long word of letters and digits (most begin with EAA), as Meta's business settings show it"


def meta_phone_id_fault(value: str) -> str | None:
    """Say what a phone number id must look like, unless this one does."""
    if _META_PHONE_ID.fullmatch(value):
        return None
    return "must be the phone number's id in digits, as Meta's API setup shows it, and not the phone number itself"


def content_sid_fault(value: str) -> str | None:
    """Say what the content SID of a template at Twilio must look like, unless this one does."""
    if _CONTENT_SID.fullmatch(value):
        return None
    return "must be HX and 32 hexadecimal digits, as Twilio's Content Template Builder shows it"


def template_fault(value: str) -> str | None:
    """Say what a template's name at Meta must look like, unless this one does."""
    if _TEMPLATE.fullmatch(value):
        return None
    return "must be the template's name in lower-case letters, digits and _, as WhatsApp Manager shows it"


def language_fault(value: str) -> str | None:
    """Say what a template's language at Meta must look like, unless this one does."""
    if _LANGUAGE.fullmatch(value):
        return None
    return "must be the code of the template's language, such as en or en_US"


def app_secret_fault(value: str) -> str | None:
    """Say what the secret of an app at Meta must look like, unless this one does."""
    if _APP_SECRET.fullmatch(value):
        return None
    return "must be 32 lower-case hexadecimal digits, as the app's dashboard shows it below Settings, Basic"


def verify_token_fault(value: str) -> str | None:
    """Say what a verify token must look like, unless this one does."""
    if _VERIFY_TOKEN.fullmatch(value):
        return None
    return "must be a word of 8 to 128 characters without blanks, made up by you"


def phone_fault(value: str) -> str | None:
    """Say what a phone number must look like, unless this one does."""
    if _phone_digits(value) is not None:
        return None
    return "must be a full international number such as +15551234567, with or without whatsapp: before it"


def normalised_phone(value: str) -> str:
    """Return a phone number as + and digits.

    Raises:
        ValueError: It is no phone number; the text says what one looks like, without the value.
    """
    digits = _phone_digits(value)
    if digits is None:
        raise ValueError(phone_fault(value))
    return f"+{digits}"


def same_phone(one: str, other: str) -> bool:
    """Say whether two numbers, + and digits, are one phone: WhatsApp writes some countries' its own way.

    Mexico's with a 1 after the country code, Argentina's with a 9, some of Brazil's without the 9 before the number.
    """
    return _as_one(one) == _as_one(other)


def _as_one(number: str) -> str:
    for pattern, form in _TWO_FORMS:
        if match := pattern.fullmatch(number):
            return match.expand(form)
    return number


def _phone_digits(value: str) -> str | None:
    bare = _PHONE_SEPARATORS.sub("", _PHONE_PREFIX.sub("", value, count=1))
    match = _PHONE.fullmatch(bare)
    return match[1] if match and match[1].isascii() else None
