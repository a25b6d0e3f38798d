"""Says in one sentence what is wrong with a channel, and what to do: for a person who is woken by it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from subscriber.delivery.breaker import BreakerState
from subscriber.delivery.views import DeskView
from subscriber.policy.cleaning import clean_line

Fields = Mapping[str, Any]

#: How people call a provider; any other one is called by its own word.
_NAMES: Final = {"telegram": "Telegram", "twilio": "Twilio", "meta": "Meta", "email": "The mail server"}
#: By which answers a provider refuses who we are, and not whom we write to: HTTP statuses and codes of its own.
_OURSELVES: Final = {
    "telegram": frozenset({"401", "404"}),
    "twilio": frozenset({"401", "20003", "20005"}),
    "meta": frozenset({"401", "190", "10"}),
}
#: What is refused, and which settings to put right: our credentials first, the target second.
_TO_PUT_RIGHT: Final = {
    "telegram": (("this bot's token", "TELEGRAM_BOT_TOKEN"), ("this chat", "TELEGRAM_CHAT_ID")),
    "twilio": (
        ("these credentials", "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"),
        ("this sender or recipient", "WHATSAPP_FROM or WHATSAPP_TO"),
    ),
    "meta": (("this token", "WHATSAPP_CLOUD_TOKEN"), ("this recipient", "WHATSAPP_PHONE_NUMBER_ID or WHATSAPP_TO")),
}
#: What a provider said is cut to so many characters: the whole of it stands in the last error.
_SAID_LIMIT: Final = 160


def problem_of(name: str, provider: str, desk: DeskView | None, error: Fields | None) -> dict[str, Any] | None:
    """Return what keeps a channel from sending; None where nothing does, or nobody runs that could say so.

    Args:
        name: Of the channel.
        provider: Its provider.
        desk: How it stands; None when no daemon runs.
        error: Its newest attempt that failed, as the store tells it.

    Returns:
        `kind` (paused, failing or held), `text`, `since_us` and `until_us`, each None where that is not known.
    """
    if desk is None:
        return None
    if desk.paused:
        return _problem("paused", _paused(name, provider, error), since_us=desk.paused_since_us)
    who = _NAMES.get(provider, name)
    if desk.breaker.state is not BreakerState.CLOSED:
        said = f"{who} fails{_said(error)}. It is asked until it answers; what waits goes out by itself then."
        return _problem("failing", said, until_us=desk.breaker.next_probe_us)
    if desk.held_until_us is not None:
        said = f"{who} asked to be left alone for a while; what waits goes out by itself then."
        return _problem("held", said, until_us=desk.held_until_us)
    return None


def _paused(name: str, provider: str, error: Fields | None) -> str:
    who, said = _NAMES.get(provider, name), _said(error)
    choices = _TO_PUT_RIGHT.get(provider)
    if choices is None:
        return f"{who} refuses to send{said}. Put the channel's address right, then resume the channel."
    told = {str((error or {}).get(field)) for field in ("status", "code")}
    refused, settings = choices[0] if told & _OURSELVES[provider] else choices[1]
    return f"{who} refuses {refused}{said}. Put {settings} right, then resume the channel."


def _said(error: Fields | None) -> str:
    words = clean_line(str((error or {}).get("detail") or ""), _SAID_LIMIT).rstrip(". ")
    return f": {words}" if words else ""


def _problem(kind: str, text: str, *, since_us: int | None = None, until_us: int | None = None) -> dict[str, Any]:
    return {"kind": kind, "text": text, "since_us": since_us, "until_us": until_us}
