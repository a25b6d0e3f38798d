"""Small values that many tests need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from bus.alerts import Alert, RiskEvent, Severity
from publisher.journal import Journal
from publisher.journal_folder import left_behind
from publisher.known_stores import NAME

ROOT: Final = Path(__file__).parents[2]


def alert(number: int = 1, severity: Severity = Severity.INFO) -> RiskEvent:
    """Build an alert that says its number."""
    return RiskEvent(event_type=f"TEST_{number}", severity=severity)


def numbers(alerts: list[Alert]) -> list[int]:
    """Read the numbers that `alert` wrote; other alerts are left out."""
    kinds = (getattr(each, "event_type", "") for each in alerts)
    return [int(kind.removeprefix("TEST_")) for kind in kinds if kind.startswith("TEST_")]


def rows(count: int, first: int = 1, published_us: int = 1_000) -> list[tuple[int, str, bytes]]:
    """Build what an outbox appends: the body says the number, the time grows by a microsecond."""
    return [
        (published_us + number, "severity.INFO.", f"body {number}".encode()) for number in range(first, first + count)
    ]


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a process that runs a piece of code against this tree."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class HandClock:
    """A clock that a test moves by hand: `us` is the wall clock alone, `advance` moves both."""

    def __init__(self, now_us: int = 1_000_000) -> None:
        self.us = now_us
        self.seconds = 1.0

    def now_us(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.us += int(seconds * 1_000_000)
        self.seconds += seconds


def journals(folder: Path) -> list[Journal]:
    """Adopt what lies in a folder, read it, and leave it as it was."""
    found = [Journal.adopt(path, sync="normal") for path in left_behind(folder)]
    result = [journal for journal in found if journal is not None]
    for journal in result:
        journal.close()
    return result


def remains(folder: Path) -> list[str]:
    """Name what lies in a folder of journals, but the file that says which stores there are."""
    return sorted(path.name for path in folder.iterdir() if path.name != NAME)
