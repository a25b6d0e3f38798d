"""What the runbooks say, and what there is: alarms, samples of metrics, commands, and texts in the code."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import promql_parser
import typer
import yaml  # type: ignore[import-untyped]

from dashboards.places import RULES, runbooks_folder
from subscriber.__main__ import app
from subscriber.monitoring.metrics import Metrics
from tests.dashboards.asked import ROOT
from tests.test_docs import commands_below
from tests.test_readme import fences

INDEX: Final = "README"
PAGES: Final = tuple(sorted(runbooks_folder().glob("*.md")))
#: One page of an alarm each.
ALARMS: Final = tuple(page for page in PAGES if page.stem != INDEX)
#: What stands for something of the reader's own, and an example of it.
EXAMPLES: Final = {"TIME": "2026-11-23T14:30", "/path/to/journal": str(runbooks_folder())}
_OURS: Final = re.compile(r"alertbus-subscriber (.*)")


def name_of(page: Path) -> str:
    return page.stem


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def page_of(alarm: str) -> Path:
    return runbooks_folder() / f"{alarm}.md"


def without_blocks(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def in_backticks(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", without_blocks(page))


@cache
def alarms() -> dict[str, dict[str, Any]]:
    """Return each alarm of the rules by its name."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


@cache
def recorded() -> dict[str, str]:
    """Return the expression of each series that the rules record."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["record"]: rule["expr"] for group in groups for rule in group["rules"] if "record" in rule}


@cache
def samples() -> dict[str, dict[str, frozenset[str]]]:
    """Return all names that a daemon can answer with, each with its labels and their values; and Prometheus' own."""
    metrics = Metrics()
    metrics.add_channel("whatsapp", enabled=True, receipts=True, window=True)
    metrics.add_webhook("twilio")
    metrics.add_template("short")
    metrics.disk(1, 2)
    metrics.publisher("live_trader", up=True, journal_alerts=0)
    metrics.publisher_silent("live_trader", silent=False)
    metrics.publisher_hung("live_trader", hung=False)
    metrics.publisher_heard("live_trader", at_us=0, volatile=False, clock_offset_seconds=0.0)
    metrics.publisher_counted("live_trader", refused=0, timed=0, publish_seconds=0.0, longest_seconds=0.0)
    values: dict[str, dict[str, frozenset[str]]] = {"up": {}, "ALERTS": {"alertname": frozenset()}}
    for family in metrics.registry.collect():
        for sample in family.samples:
            labels = values.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels[label] = labels.get(label, frozenset()) | {value}
    return values


@cache
def said() -> tuple[str, ...]:
    """Return every text in the code of daemon and publisher, whole or as its pieces between what is filled in."""
    sources = [file for folder in ("bus", "publisher", "subscriber") for file in (ROOT / folder).rglob("*.py")]
    constants = [
        node.value
        for file in sources
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return tuple(constants)


def selectors(expression: Any) -> Iterator[Any]:
    """Yield every selector of a parsed expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for part in ("expr", "lhs", "rhs", "param", "vector_selector"):
        below = getattr(expression, part, None)
        if below is not None:
            yield from selectors(below)
    for argument in getattr(expression, "args", ()):
        yield from selectors(argument)


def code_of(page: Path) -> list[str]:
    """Return every piece of code: each line of a block, and what stands in backticks."""
    return [line for block in fences(text_of(page)) for line in block.splitlines()] + in_backticks(page)


def queries(page: Path) -> list[str]:
    """Return each line that is to be asked of Prometheus."""
    blocks = [line for block in fences(text_of(page), "promql") for line in block.splitlines() if line]
    return blocks + [piece for piece in in_backticks(page) if re.match(r"[a-z_]+[({]", piece) and "alertbus_" in piece]


def parsed(words: list[str]) -> None:
    """Read a command line of the daemon as it would read it, and run nothing.

    Raises:
        Exception: Click's UsageError, for what it does not take.
    """
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name, *words = words
        assert name in command.commands, name
        command = command.commands[name]
    command.make_context("alertbus-subscriber", [EXAMPLES.get(word, word) for word in words]).close()


def typed(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command of the daemon; a command's bare name in a sentence is none."""
    names = {name for name, _ in commands_below(typer.main.get_command(app))}
    blocks = [line for block in fences(text_of(page), "sh") for line in block.splitlines()]
    for piece in (*blocks, *in_backticks(page)):
        for rest in _OURS.findall(piece):
            if piece in blocks or rest not in names:
                yield shlex.split(rest.partition(" >")[0])
