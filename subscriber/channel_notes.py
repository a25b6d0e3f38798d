"""What an operator has to know of a channel beside its row in the status: sentences, each with what to do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Fields = Mapping[str, Any]

_RECEIPTS: Final = {
    "off": "receipts are off: nobody learns whether an accepted message arrived (docs/whatsapp-meta.md says how to "
    "switch them on)",
    "polling": "receipts are asked for",
    "webhook": "receipts come by webhook",
}
_GONE: Final = (
    "deliveries wait for a channel that is not configured any more. Configure it again; or set NOTIFICATION_CHANNELS, "
    "which suppresses what waits for all that it does not name, and restart"
)
_WINDOW: Final = {
    "open": "WhatsApp's 24-hour window is open",
    "closed": "WhatsApp's 24-hour window is closed",
    "unknown": "whether WhatsApp's 24-hour window is open is not known",
}

#: As the page says it before somebody switches the last one off.
NO_CHANNEL_ON: Final = "No channel is on: nobody will be told anything."


def notes_of(channel: Fields, time: Callable[[str | None], str]) -> list[str]:
    """Return the sentences about a channel, the most urgent first; most channels need none.

    Args:
        channel: As the status tells it.
        time: Writes a moment of the status for a person.
    """
    name = channel["name"]
    told = [*_not_configured(channel), *_troubles(channel, time), *_whatsapp(channel, time)]
    return [f"{name}: {sentence}." for sentence in told]


def notes_of_policy(status: Fields) -> list[str]:
    """Return the sentences about what nobody is told, what is held back, and a configuration that was refused."""
    told = _nobody_told(status)
    if status.get("silences"):
        told.append(f"Silences that hold or drop alerts now: {status['silences']}; alertbus-subscriber silences list.")
    if status.get("held"):
        told.append(f"Held until a silence or quiet hours end: {status['held']} deliveries.")
    if status.get("refused"):
        told.append("A change of the configuration was refused; alertbus-subscriber check says why.")
    return told


def _nobody_told(status: Fields) -> list[str]:
    states = {channel["state"] for channel in status["channels"]} - {"not_configured"}
    told = []
    if states == {"disabled"}:
        told.append(NO_CHANNEL_ON)
    if waiting := status.get("uncovered_critical"):
        told.append(
            f"CRITICAL waits, and no channel is left to tell it: {counted(waiting, 'delivery', 'deliveries')}; it goes "
            "out by the first that alertbus-subscriber enable CHANNEL switches on."
        )
    return told


def counted(number: int, one: str, more: str) -> str:
    """Return a number with its noun: 1 delivery, 2 deliveries."""
    return f"{number} {one if number == 1 else more}"


def _not_configured(channel: Fields) -> list[str]:
    if channel["state"] != "not_configured":
        return []
    return [_GONE]


def _troubles(channel: Fields, time: Callable[[str | None], str]) -> list[str]:
    told = []
    if channel.get("paused"):
        told.append(
            f"paused since {time(channel['paused_since'])} UTC, and waits for a person: put right what the last error "
            f"says, then run alertbus-subscriber resume {channel['name']}"
        )
    breaker = channel.get("breaker") or {}
    if breaker.get("state", "closed") != "closed":
        at = f", next at {time(breaker['next_probe_at'])} UTC" if breaker["next_probe_at"] else ""
        told.append(f"the provider fails; it is probed until it answers{at}, and what waits then goes out by itself")
    if channel.get("held_until"):
        told.append(
            f"the provider asked to be left alone until {time(channel['held_until'])} UTC; "
            f"alertbus-subscriber resume {channel['name']} tries at once"
        )
    return told


def _whatsapp(channel: Fields, time: Callable[[str | None], str]) -> list[str]:
    receipts, window = channel.get("receipts"), channel.get("window")
    told = []
    if receipts is not None and receipts["mode"] in _RECEIPTS:
        waiting = f", {receipts['waiting']} still without" if receipts["waiting"] else ""
        told.append(f"{_RECEIPTS[receipts['mode']]}{waiting}")
    if window is not None:
        wrote = time(window["last_message_of_person_at"])
        told.append(_WINDOW[window["state"]] + (f"; the person last wrote at {wrote} UTC" if wrote else ""))
    return told
