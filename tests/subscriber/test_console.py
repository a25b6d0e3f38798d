"""What the commands print: tables that fit a terminal, JSON that a program reads, nothing that moves a cursor."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from subscriber.console import Printer

ALERT_ID = "01a20746-4f34-7014-b416-bd2167b6fbb5"
DELIVERIES = [
    {"channel": "whatsapp", "status": "accepted", "why": None},
    {"channel": "telegram", "status": "suppressed", "why": "disabled"},
]
ENTRY: dict[str, Any] = {
    "alert": {
        "id": ALERT_ID,
        "occurred_at": "2025-10-09T10:53:20.123456+02:00",
        "severity": "CRITICAL",
        "event_type": "DRAWDOWN_BREACHED",
        "symbol": "TNA",
    },
    "deliveries": DELIVERIES,
    "marks": [],
}
TRADE = {
    "alert": {"id": ALERT_ID, "occurred_at": "2025-10-09T08:53:20Z", "action": "HOLD", "symbol": None},
    "deliveries": [],
    "marks": ["not_routed"],
}
CHANNEL: dict[str, Any] = {
    "name": "telegram",
    "provider": "telegram",
    "state": "error",
    "backlog": 4,
    "dead": 1,
    "last_success_at": None,
    "last_error": {
        "reason": "unauthorized",
        "code": "403",
        "detail": "Forbidden: bot was blocked by the user",
        "at": "2025-10-09T08:53:20.000+00:00",
    },
}
STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "running": True,
    "started_at": "2025-10-09T08:53:20.000+00:00",
    "dry_run": True,
    "database": "sqlite:///alertbus.db",
    "channels": [CHANNEL, {**CHANNEL, "last_error": None, "last_success_at": "2025-10-09T08:53:20.000+00:00"}],
    "publishers": [
        {
            "source": "trader-1",
            "up": True,
            "goodbye": None,
            "last_heard_seconds_ago": 0.4,
            "journal_alerts": 7,
            "refused": 0,
        },
        {
            "source": "trader-2",
            "up": False,
            "goodbye": None,
            "last_heard_seconds_ago": 99.0,
            "journal_alerts": 0,
            "refused": 3,
        },
        {
            "source": "trader-3",
            "up": False,
            "goodbye": "closed",
            "last_heard_seconds_ago": 5.0,
            "journal_alerts": 0,
            "refused": 0,
        },
    ],
}
TRIAL: dict[str, Any] = {
    "channel": "telegram",
    "accepted": False,
    "why": None,
    "state": "pending",
    "outcome": "unauthorized",
    "seconds": None,
    "detail": "Forbidden",
    "waiting_for": "a person",
}


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_history_on_eighty_columns_keeps_the_id_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """It is there to be copied; the time is UTC, to the second."""
    Printer().history([ENTRY, TRADE])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert sum(line.startswith(ALERT_ID) for line in lines) == 2
    assert sum(line.startswith("2025-10-09 08:53:20 ") for line in lines) == 2
    text = "\n".join(lines)
    for words in ("CRITICAL", "DRAWDOWN_BREACHED", "TNA", "whatsapp: accepted", "HOLD", "not_routed"):
        assert words in text


def test_status_on_eighty_columns_tells_channels_and_publishers(capsys: pytest.CaptureFixture[str]) -> None:
    Printer().status(STATUS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "alertbus 0.1.0: running since 2025-10-09 08:53:20 UTC, DRY RUN, database sqlite:///alertbus.db"
    assert all(len(line) <= 80 for line in lines[1:])
    text = "\n".join(lines)
    for words in (
        "telegram",
        "error",
        "unauthorized 403",
        "never",
        "trader-1",
        " up ",
        "SILENT",
        "closed",
        "0.4 s ago",
    ):
        assert words in text


def test_status_without_a_daemon_says_not_running(capsys: pytest.CaptureFixture[str]) -> None:
    Printer().status({**STATUS, "running": False, "started_at": None, "dry_run": False, "publishers": []})
    out = capsys.readouterr().out
    assert out.startswith("alertbus 0.1.0: not running, database sqlite:///alertbus.db\n")
    assert "publisher" not in out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"accepted": True, "state": "accepted", "seconds": 0.031, "waiting_for": None, "detail": ""},
            ["accepted", "0.031"],
        ),
        ({"accepted": True, "state": "delivered", "waiting_for": None, "detail": ""}, ["delivered"]),
        ({"why": "dry_run", "waiting_for": None}, ["would be sent (dry run)"]),
        ({"why": "disabled", "outcome": None, "waiting_for": None, "detail": None}, ["disabled"]),
        ({"outcome": None, "detail": None}, ["pending", "waits for a person"]),
        ({}, ["unauthorized", "Forbidden; waits for a person"]),
    ],
    ids=["accepted", "delivered", "dry run", "disabled", "waiting", "refused"],
)
def test_trial_tells_what_became_of_each(
    capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: list[str]
) -> None:
    Printer().trial({"channels": [{**TRIAL, **changes}]})
    out = capsys.readouterr().out
    assert all(word in out for word in words)


def test_probes_say_who_is_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    Printer().probes([("telegram", "telegram", True, "ok"), ("whatsapp", "twilio", False, "Authenticate")])
    out = capsys.readouterr().out.splitlines()
    assert out[1].split() == ["telegram", "telegram", "yes", "ok"]
    assert out[2].split() == ["whatsapp", "twilio", "NO", "Authenticate"]


def test_configuration_without_channels_says_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    Printer().configuration([("ALERTBUS_HTTP_PORT", "8787")], [])
    out = capsys.readouterr().out
    assert "ALERTBUS_HTTP_PORT" in out
    assert "Channels: none: the daemon would start as a dry run." in out


def test_json_of_everything_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """No sentence stands beside it; what people read as yes is true."""
    printer = Printer(as_json=True)
    documents: list[Any] = []
    acts: list[Callable[[], None]] = [
        lambda: printer.status(STATUS),
        lambda: printer.history([ENTRY]),
        lambda: printer.trial({"channels": [TRIAL]}),
        lambda: printer.probes([("telegram", "telegram", True, "ok")]),
        lambda: printer.configuration([("NAME", "\x1b[2J[red]value")], ["telegram"]),
    ]
    for act in acts:
        act()
        documents.append(json.loads(capsys.readouterr().out))
    assert documents == [
        STATUS,
        [ENTRY],
        {"channels": [TRIAL]},
        [{"channel": "telegram", "provider": "telegram", "healthy": True, "answer": "ok"}],
        {"settings": {"NAME": "\x1b[2J[red]value"}, "channels": ["telegram"], "dry_run": False},
    ]


def test_json_wider_than_the_terminal_is_not_folded(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(as_json=True).history([{"text": "x" * 500}])
    assert json.loads(capsys.readouterr().out) == [{"text": "x" * 500}]


@pytest.mark.parametrize("odd", ["[red]bold[/red]", "[/]", "a\x1b[2Jb", "a\rb", "a\u202eb"])
def test_tables_print_what_strangers_wrote_as_text(capsys: pytest.CaptureFixture[str], odd: str) -> None:
    """Neither markup nor a terminal's own language works from within an alert or a provider's answer."""
    Printer().history([{**ENTRY, "alert": {**ENTRY["alert"], "symbol": odd}}])
    Printer().trial({"channels": [{**TRIAL, "detail": odd}]})
    Printer().fault(f"It said {odd}.")
    printed = capsys.readouterr()
    assert "[red]bold[/red]" in printed.out or not odd.startswith("[red]")
    assert not set("\x1b\r\u202e") & set(printed.out + printed.err)


def test_fault_goes_to_standard_error_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(as_json=True).fault("No channel has credentials.")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "alertbus-subscriber: No channel has credentials.\n")


def test_say_where_the_terminal_knows_no_emoji_prints_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file on Windows, or a locale without UTF-8, must not end the daemon's rehearsal."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252"))
    Printer().say("🔴 CRITICAL DRAWDOWN_BREACHED")
    sys.stdout.flush()
    assert raw.getvalue().decode("cp1252").strip() == "\\U0001f534 CRITICAL DRAWDOWN_BREACHED"
