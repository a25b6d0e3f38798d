"""What an operator reads of a channel below the status: what is wrong, until when, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from subscriber.channel_notes import notes_of

WELL: dict[str, Any] = {
    "name": "whatsapp",
    "state": "ok",
    "paused": False,
    "paused_since": None,
    "breaker": {"state": "closed", "next_probe_at": None},
    "held_until": None,
    "receipts": None,
    "window": None,
}


def notes(**changes: Any) -> list[str]:
    return notes_of({**WELL, **changes}, lambda moment: moment or "")


def test_channel_that_is_well_needs_no_words() -> None:
    assert notes() == []


def test_channel_of_a_daemon_that_does_not_run_needs_no_words() -> None:
    assert notes(breaker=None) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"paused": True, "paused_since": "10:00"}, ["since 10:00 UTC", "alertbus-subscriber resume whatsapp"]),
        ({"breaker": {"state": "open", "next_probe_at": "10:05"}}, ["the provider fails", "next at 10:05 UTC"]),
        ({"breaker": {"state": "half_open", "next_probe_at": None}}, ["probed until it answers, and"]),
        ({"held_until": "10:10"}, ["left alone until 10:10 UTC"]),
        ({"receipts": {"mode": "off", "waiting": 0}}, ["receipts are off"]),
        ({"receipts": {"mode": "polling", "waiting": 2}}, ["receipts are asked for, 2 still without"]),
        (
            {"window": {"state": "open", "last_message_of_person_at": "09:00", "last_refusal_at": None}},
            ["window is open; the person last wrote at 09:00 UTC"],
        ),
        (
            {"window": {"state": "unknown", "last_message_of_person_at": None, "last_refusal_at": None}},
            ["whether WhatsApp's 24-hour window is open is not known."],
        ),
        ({"state": "not_configured"}, ["NOTIFICATION_CHANNELS"]),
    ],
    ids=["paused", "open", "half open", "held", "receipts off", "polling", "window", "unknown window", "gone"],
)
def test_note_says_what_is_and_what_to_do(changes: dict[str, Any], words: list[str]) -> None:
    (note,) = notes(**changes)
    assert note.startswith("whatsapp: ")
    assert all(word in note for word in words)
