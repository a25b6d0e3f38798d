"""What the daemon's commands print: tables for people, JSON for programs. Nothing from outside is read as markup."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

Fields = Mapping[str, Any]

_STATE_STYLES: Final = {"ok": "green", "error": "bold red", "disabled": "dim", "dry_run": "yellow"}


class Printer:
    """Prints to standard output, and faults to standard error."""

    def __init__(self, *, as_json: bool = False) -> None:
        """Choose tables or JSON."""
        self._as_json = as_json
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a sentence as it is."""
        self._out.print(Text(text))

    def fault(self, text: str) -> None:
        """Print a fault to standard error."""
        self._err.print(Text(f"alertbus-subscriber: {text}", style="red"))

    def settings(self, rows: Iterable[tuple[str, str]]) -> None:
        """Print the settings that hold."""
        self._table(("setting", "value"), rows)

    def probes(self, rows: Iterable[tuple[str, str, bool, str]]) -> None:
        """Print what each provider says of the credentials."""
        self._table(
            ("channel", "provider", "healthy", "answer"), [(a, b, "yes" if c else "NO", d) for a, b, c, d in rows]
        )

    def status(self, status: Fields) -> None:
        """Print the status."""
        if self._as_json:
            self._json(status)
            return
        running = f"running since {status['started_at']}" if status["running"] else "not running"
        mode = ", DRY RUN" if status["dry_run"] else ""
        self.say(f"alertbus {status['version']}: {running}{mode}, database {status['database']}")
        table = Table(box=None, pad_edge=False)
        for name in ("channel", "provider", "state", "waiting", "dead", "last success", "last error"):
            table.add_column(name)
        for channel in status["channels"]:
            table.add_row(
                channel["name"],
                channel["provider"],
                Text(channel["state"], style=_STATE_STYLES.get(channel["state"], "")),
                str(channel["backlog"]),
                str(channel["dead"]),
                channel["last_success_at"] or "never",
                Text(_error(channel["last_error"])),
            )
        self._out.print(table)
        publishers = [
            (
                str(publisher["source"]),
                "up" if publisher["up"] else publisher["goodbye"] or "SILENT",
                f"{publisher['last_heard_seconds_ago']} s ago",
                str(publisher["journal_alerts"]),
                str(publisher["refused"]),
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
            deliveries = ", ".join(_delivery(delivery) for delivery in entry["deliveries"]) or ", ".join(entry["marks"])
            what = alert.get("action") or f"{alert.get('severity', '')} {alert.get('event_type', '')}"
            rows.append((alert["occurred_at"], alert["id"], what, alert.get("symbol") or "", deliveries))
        self._table(("time", "id", "what", "symbol", "deliveries"), rows)

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
                    str(channel["waiting_for"] or channel["detail"] or ""),
                )
                for channel in result["channels"]
            ],
        )

    def _table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        if self._as_json:
            self._json([dict(zip(columns, row, strict=True)) for row in rows])
            return
        table = Table(box=None, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._out.print(table)

    def _json(self, data: object) -> None:
        self._out.print(Text(json.dumps(data, indent=2, default=str)))


def _error(error: Fields | None) -> str:
    if error is None:
        return ""
    code = f" {error['code']}" if error["code"] else ""
    return f"{error['reason']}{code} {error['detail'] or ''} ({error['at']})"


def _delivery(delivery: Fields) -> str:
    why = f" ({delivery['why']})" if delivery["why"] else ""
    return f"{delivery['channel']}: {delivery['status']}{why}"


def _trial_result(channel: Fields) -> str:
    if channel["accepted"]:
        return "accepted"
    if channel["why"] == "dry_run":
        return "would be sent (dry run)"
    return str(channel["outcome"] or channel["why"] or channel["state"])
