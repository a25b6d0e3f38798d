"""Begins with what takes longest, and prints at the end of a run the lines that tests have for its log."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

#: Below this folder, the longest first: none of them is left alone at the end, on one of many workers.
_FIRST: Final = (
    "dashboards/live",
    "subscriber/test_schemathesis.py",
    "support/test_canary.py",
    "end_to_end",
    "browser",
    "test_demo.py",
    "scenarios",
    "torture",
)

#: The property by which a test gives such a line: `record_property(CI_LINE, "…")`.
CI_LINE = "ci_line"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long ones first; pytest-xdist keeps that order with `--no-loadscope-reorder` alone."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    place = item.path.relative_to(Path(__file__).parent)
    return next((rank for rank, first in enumerate(_FIRST) if place.is_relative_to(first)), len(_FIRST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each line once, whichever test gave it; workers of pytest-xdist send theirs with their reports."""
    reports = terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", [])
    lines = sorted({str(value) for report in reports for name, value in report.user_properties if name == CI_LINE})
    if lines:
        terminalreporter.section("what was proven")
        for line in lines:
            terminalreporter.line(line)
