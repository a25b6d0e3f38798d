"""What the daemon's commands print: tables for people, JSON for programs. Nothing from outside is read as markup."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from subscriber.channel_notes import notes_of, notes_of_policy
from subscriber.ledger_words import ledger_sentences, ledger_tables
from subscriber.logs import escaped

Fields = Mapping[str, Any]

_STATE_STYLES: Final = {
    "ok": "green",
    "error": "bold red",
    "not_configured": "bold red",
    "disabled": "dim",
    "dry_run": "yellow",
}
#: What a person asks "why?" of.
_FAILED_STATES: Final = frozenset({"dead", "in_doubt", "expired"})
_FIRST: Final = "first"
#: One below the other: beside each other they would leave no room for the rest in eighty columns.
WHEN_AND_ID: Final = "time (UTC) and id"
ID: Final = "id"
DIED: Final = "died (UTC), where"
#: What is read, in whole sentences: it keeps room when the others are folded.
TEXT: Final = "what and why"
_UNFOLDED: Final = frozenset({WHEN_AND_ID, ID, DIED, "state"})
_TEXT_WIDTH: Final = 30


def _publisher_state(publisher: Fields) -> str:
    if not publisher["up"]:
        return publisher["goodbye"] or "SILENT"
    if publisher.get("hung"):
        return "HUNG"
    return "up, IN MEMORY ONLY" if publisher.get("volatile") else "up"


def _known(count: int | None) -> str:
    return "" if count is None else str(count)


class Printer:
    """Prints to standard output, and faults to standard error."""

    def __init__(self, *, as_json: bool = False) -> None:
        """Choose tables or JSON."""
        self._as_json = as_json
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # a file on Windows or a plain locale has no room for an emoji
                stream.reconfigure(errors="backslashreplace")
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print lines of our own, or of a message, which was cleaned when it was rendered."""
        self._out.print(Text(text))

    def fault(self, text: str) -> None:
        """Print a fault to standard error."""
        self._err.print(Text(f"alertbus-subscriber: {escaped(text)}", style="red"))

    def configuration(self, rows: Sequence[tuple[str, str]], channels: Sequence[str]) -> None:
        """Print the settings that hold, and the channels that they make."""
        if self._as_json:
            self._json({"settings": dict(rows), "channels": list(channels), "dry_run": not channels})
            return
        self._table(("setting", "value"), rows)
        names = ", ".join(channels) or "none: the daemon would start as a dry run"
        self.say(f"The configuration is well. Channels: {names}.")

    def probes(self, rows: Iterable[tuple[str, str, bool, str]]) -> None:
        """Print what each provider says of the credentials."""
        columns = ("channel", "provider", "healthy", "answer")
        if self._as_json:
            self._json([dict(zip(columns, row, strict=True)) for row in rows])
            return
        self._table(columns, [(a, b, "yes" if c else "NO", d) for a, b, c, d in rows])

    def status(self, status: Fields) -> None:
        """Print the status."""
        if self._as_json:
            self._json(status)
            return
        running = f"running since {time_text(status['started_at'])} UTC" if status["running"] else "not running"
        mode = ", DRY RUN" if status["dry_run"] else ""
        self.say(f"alertbus {status['version']}: {running}{mode}, database {status['database']}")
        self._table(
            ("channel", "provider", "state", "waiting", "dead", "last success", "last error"),
            [
                (
                    channel["name"],
                    channel["provider"],
                    channel["state"],
                    str(channel["backlog"]),
                    str(channel["dead"]),
                    time_text(channel["last_success_at"]) or "never",
                    _error(channel["last_error"], channel["last_success_at"]),
                )
                for channel in status["channels"]
            ],
        )
        for note in (note for channel in status["channels"] for note in notes_of(channel, time_text)):
            self.say(note)
        for note in notes_of_policy(status):
            self.say(note)
        publishers = [
            (
                str(publisher["source"]),
                _publisher_state(publisher),
                f"{publisher['last_heard_seconds_ago']} s ago",
                _known(publisher["journal_alerts"]),
                _known(publisher["refused"]),
            )
            for publisher in status["publishers"]
        ]
        if publishers:
            self._table(("publisher", "state", "heard", "in journal", "refused"), publishers)

    def history(self, alerts: Sequence[Fields]) -> None:
        """Print alerts with their deliveries, the newest first."""
        if self._as_json:
            self._json(alerts)
            return
        rows = []
        for entry in alerts:
            alert = entry["alert"]
            deliveries = "\n".join(_delivery(delivery) for delivery in entry["deliveries"]) or ", ".join(entry["marks"])
            words = (alert.get("severity"), alert.get("action") or alert.get("event_type"), alert.get("symbol"))
            rows.append(
                (f"{time_text(alert['occurred_at'])}\n{alert['id']}", " ".join(filter(None, words)), deliveries)
            )
        self._table((WHEN_AND_ID, "what", "deliveries"), rows)

    def trial(self, result: Fields) -> None:
        """Print what became of a test alert."""
        if self._as_json:
            self._json(result)
            return
        self._table(
            ("channel", "result", "seconds", "answer"),
            [
                (
                    str(channel["channel"]),
                    _trial_result(channel),
                    "" if channel["seconds"] is None else str(channel["seconds"]),
                    "; ".join(filter(None, (channel["detail"], _waiting(channel)))),
                )
                for channel in result["channels"]
            ],
        )

    def resumed(self, result: Fields) -> None:
        """Print that a channel was resumed."""
        if self._as_json:
            self._json(result)
            return
        paused = "was paused, and tries again" if result["was_paused"] else "was not paused; it tries at once"
        self.say(f"The channel {result['channel']} {paused}: alertbus-subscriber status shows whether it works.")

    def audit(self, audit: Fields) -> None:
        """Print the ledger, and what does not balance in it."""
        if self._as_json:
            self._json(audit)
            return
        for table in ledger_tables(audit):
            self._table(*table)
        self.say("\n".join(ledger_sentences(audit)))

    def _table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table as wide as the terminal; an id is never folded, so that it can be copied."""
        table = Table(box=None, pad_edge=False)
        for column in columns:
            width = _TEXT_WIDTH if column == TEXT else None
            table.add_column(column, overflow="fold", no_wrap=column in _UNFOLDED, min_width=width)
        for row in rows:
            table.add_row(*map(_cell, columns, row))
        self._out.print(table, soft_wrap=False)

    def _json(self, data: object) -> None:
        self._out.print(Text(json.dumps(data, indent=2, default=str)))


def _cell(column: str, text: str) -> Text:
    style = _STATE_STYLES.get(text, "") if column == "state" else ""
    return Text("\n".join(map(escaped, text.split("\n"))), style=style)


def time_text(moment: str | None) -> str:
    """Return a moment to the second; its day and its time may stand in two lines."""
    if moment is None:
        return ""
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _error(error: Fields | None, last_success: str | None) -> str:
    if error is None:
        return ""
    over = "over:" if last_success and error["at"] and last_success > error["at"] else ""
    words = (over, error["reason"], error["code"], error["detail"], f"({time_text(error['at'])})")
    return " ".join(filter(None, words))


def _delivery(delivery: Fields) -> str:
    why = delivery["why"]
    if delivery["status"] in _FAILED_STATES:
        why = " ".join(filter(None, (delivery.get("last_reason"), delivery.get("last_code"))))
    why = why or _held_by(delivery)
    step = f", {delivery['step']}" if delivery.get("step", _FIRST) != _FIRST else ""
    return f"{delivery['channel']}{step}: {delivery['status']}" + (f" ({why})" if why else "")


def _held_by(delivery: Fields) -> str:
    """Say what holds a delivery that waits, where something does."""
    kind, _, name = (delivery.get("batch") or "").partition(":")
    if delivery["status"] != "pending" or kind not in {"silence", "quiet"}:
        return ""
    return f"held by silence {name}" if kind == "silence" else f"held in quiet hours {name}"


def _trial_result(channel: Fields) -> str:
    if channel["accepted"]:
        return str(channel["state"])
    if channel["why"] == "dry_run":
        return "would be sent (dry run)"
    return str(channel["outcome"] or channel["why"] or channel["state"])


def _waiting(channel: Fields) -> str:
    return f"waits for {channel['waiting_for']}" if channel["waiting_for"] else ""
