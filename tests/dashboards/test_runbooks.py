"""The runbooks are true: each alarm has its page; each command, metric, setting, address and message in them exists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import promql_parser
import pytest
import typer

from dashboards.places import RUNBOOKS_URL
from subscriber.__main__ import app
from tests.dashboards.asked import ROOT, TARGET_LABELS, board
from tests.dashboards.runbooks_read import (
    ALARMS,
    INDEX,
    PAGES,
    alarms,
    code_of,
    in_backticks,
    name_of,
    page_of,
    parsed,
    queries,
    recorded,
    said,
    samples,
    selectors,
    text_of,
    typed,
)
from tests.test_docs import commands_below
from tests.test_readme import README

SECTIONS: Final = ("Meaning", "Is anybody missing an alert?", "Find out", "Mend", "Afterwards", "False alarms")
#: What somebody reads who was woken by it.
MOST_LINES: Final = 45
INDEXED: Final = {"critical": "Critical: ", "warning": "Warning: ", "none": "Always firing"}
#: Labels whose values an operator chooses.
FREE_LABELS: Final = TARGET_LABELS | {"channel", "source", "template", "alertname"}
#: The bounds that pages quote, in their words, and where the rules have them.
QUOTED: Final = (
    ("AlertbusChannelSwitchedOff", "has been off for a day", "for: 24h"),
    ("AlertbusCrashLooping", "a quarter of an hour later", "[15m]"),
    ("AlertbusCriticalLate", "95 % of the CRITICALs", "> 0.05"),
    ("AlertbusCriticalLate", "At least three were late within half an hour", "late:increase30m >= 3"),
    ("AlertbusCriticalLate", "within 10 seconds", 'severity="CRITICAL", le="10.0"'),
    ("AlertbusCriticalUnacknowledged", "for half an hour", "> 1800"),
    ("AlertbusDeadLetters", "Within the last hour", "[1h]"),
    ("AlertbusDiskFilling", "within about a day", "[6h], 86400)"),
    ("AlertbusDryRun", "for an hour", "for: 1h"),
    ("AlertbusPingFailing", "for ten minutes", "> 600"),
    ("AlertbusQueueOverdue", "more than five minutes", "> 300"),
    ("AlertbusReceiptsFailing", "a tenth of\nall", "> 0.1"),
    ("AlertbusReceiptsFailing", "ends six hours after", "[6h]"),
    ("AlertbusSuccessBurningFast", "99 % of the deliveries", "14.4 * 0.01"),
    ("AlertbusSuccessBurningSlow", "two to six hours after the last failure", "increase2h"),
    ("AlertbusWarningLate", "95 % of the WARNINGs", "> 0.05"),
    ("AlertbusWarningLate", "within 60 seconds", 'severity="WARNING", le="60.0"'),
)
#: Programs that are not ours; what is in backticks otherwise and has a blank in it is said by our code.
OTHERS: Final = (
    "amtool",
    "curl",
    "fuser",
    "journalctl",
    "kill",
    "promtool",
    "py-spy",
    "sqlite3",
    "systemctl",
    "timedatectl",
    "w32tm",
)
#: Settings that are not ours alone.
USUAL_SETTINGS: Final = frozenset({"HTTPS_PROXY"})

_ALARM: Final = re.compile(r"\bAlertbus[A-Z]\w+")
_ADDRESS: Final = re.compile(r"(?:127\.0\.0\.1:8787|`)(/[\w/-]*)")


# --- pages --------------------------------------------------------------------------------------------------


def test_every_alarm_has_a_page_and_every_page_an_alarm() -> None:
    assert {page.stem for page in ALARMS} == set(alarms())


def test_alarms_link_to_their_pages() -> None:
    links = {name: rule["annotations"]["runbook_url"] for name, rule in alarms().items()}
    assert links == {name: f"{RUNBOOKS_URL}/{page_of(name).name}" for name in alarms()}


def test_index_lists_every_alarm_once_below_its_severity() -> None:
    parts = re.split(r"^## ", text_of(page_of(INDEX)), flags=re.MULTILINE)
    listed = {
        severity: sorted(re.findall(r"^\| \[(\w+)\]\(\1\.md\)", part, re.MULTILINE))
        for severity, title in INDEXED.items()
        for part in parts
        if part.startswith(title)
    }
    there_are: dict[str, list[str]] = {}
    for name, rule in sorted(alarms().items()):
        there_are.setdefault(rule["labels"]["severity"], []).append(name)
    assert listed == there_are


@pytest.mark.parametrize("page", ALARMS, ids=name_of)
def test_page_is_named_sectioned_and_short(page: Path) -> None:
    text = text_of(page)
    assert text.startswith(f"# {page.stem}\n")
    titles = re.findall(r"^## ([\w ]+\??)", text, re.MULTILINE)
    assert tuple(titles) == SECTIONS
    assert sum(1 for line in text.splitlines() if line.strip()) <= MOST_LINES


@pytest.mark.parametrize("page", ALARMS, ids=name_of)
def test_page_says_how_severe_it_is(page: Path) -> None:
    severity = alarms()[page.stem]["labels"]["severity"]
    meaning = text_of(page).partition("## Meaning")[2].partition("\n## ")[0]
    said_words = {word for word in ("Critical.", "Warning.") if word in meaning}
    assert said_words == ({f"{severity.capitalize()}."} if severity != "none" else set())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_alarms_that_are_named_exist(page: Path) -> None:
    assert set(_ALARM.findall(text_of(page))) <= set(alarms())


@pytest.mark.parametrize(("alarm", "words", "bound"), QUOTED)
def test_bounds_that_are_quoted_are_those_of_the_rules(alarm: str, words: str, bound: str) -> None:
    rule = alarms()[alarm]
    below = [expression for series, expression in recorded().items() if series in rule["expr"]]
    assert words in text_of(page_of(alarm))
    assert bound in "\n".join((rule["expr"], *below, f"for: {rule.get('for')}"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_rows_of_the_dashboard_that_are_named_exist(page: Path) -> None:
    rows = {panel["title"].rstrip("?").lower() for panel in board()["panels"] if panel["type"] == "row"}
    named = re.findall(r"\brow \*([^*]+?)\??\*", text_of(page))
    assert {name.lower() for name in named} <= rows


# --- what is typed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_take_what_they_are_given(page: Path) -> None:
    for words in typed(page):
        parsed(words)


def test_command_that_does_not_exist_is_noticed() -> None:
    with pytest.raises(AssertionError, match="doctor"):
        parsed(["doctor"])


def test_option_that_does_not_exist_is_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        parsed(["status", "--loud"])


def test_commands_that_alarms_tell_to_type_exist() -> None:
    top = {name.partition(" ")[0] for name, _ in commands_below(typer.main.get_command(app))}
    texts = [text for rule in alarms().values() for text in rule["annotations"].values()]
    assert {word for text in texts for word in re.findall(r"alertbus-subscriber ([a-z][a-z-]*)", text)} <= top


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_addresses_of_the_daemon_exist(page: Path) -> None:
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    known = re.compile("|".join([re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) for path in paths] + ["/metrics"]))
    named = [path for piece in (text_of(page),) for path in _ADDRESS.findall(piece)]
    asked = [path for path in named if not path.startswith(("/var/", "/etc/")) and path not in {"/", "/api/"}]
    assert [path for path in asked if not known.fullmatch(path)] == []


# --- what is asked, set and read ----------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_metrics_that_are_named_exist(page: Path) -> None:
    there_are = set(samples()) | {series for series in recorded() if ":" not in series}
    named = set(re.findall(r"(?<![\w:])(?:alertbus|process)_\w+", text_of(page)))
    bases = {name.removesuffix(suffix) for name in there_are for suffix in ("_bucket", "_count", "_sum")}
    assert named - there_are - bases == set()


@pytest.mark.parametrize("page", ALARMS, ids=name_of)
def test_queries_ask_for_labels_and_values_that_exist(page: Path) -> None:
    asked = queries(page)
    assert asked
    for query in asked:
        found = list(selectors(promql_parser.parse(query)))
        assert found, query
        labels = set(TARGET_LABELS)
        for selector in found:
            known = samples()[selector.name]
            labels |= known.keys()
            for matcher in selector.matchers.matchers:
                assert matcher.name in known, query
                if matcher.name not in FREE_LABELS:
                    assert set(matcher.value.split("|")) <= known[matcher.name], query
        grouped = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", query) for label in group.split(",")}
        assert grouped <= labels, query


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_and_events_that_are_named_exist(page: Path) -> None:
    table = README.partition("<!-- settings -->")[2].partition("<!-- /settings -->")[0]
    settings = set(re.findall(r"`([A-Z][A-Z_]+)`", table)) | USUAL_SETTINGS
    named = {name for piece in code_of(page) for name in re.findall(r"(?<!…)\b[A-Z]+(?:_[A-Z]+)+\b", piece)}
    events = {text for text in said() if text in named}
    assert {name.removesuffix("_FILE") for name in named - events} <= settings


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_daemon_and_publisher_are_quoted_with_is_what_they_say(page: Path) -> None:
    """Log lines, answers and words of the status: each piece between dots stands in the code."""
    invented = []
    for quote in in_backticks(page):
        ours = " " in quote and not re.search(r"[({=<>*]|^alertbus-|^-", quote) and quote.split()[0] not in OTHERS
        pieces = [piece.strip() for piece in quote.split("…") if piece.strip()] if ours else []
        invented += [quote for piece in pieces if not any(piece in text for text in said())]
    assert not invented


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_words_that_the_log_is_searched_for_are_logged(page: Path) -> None:
    """Also those of one word, which are to be all of a line, or a reason."""
    tables = re.findall(r"^\| (?:Log line|Reason) \|.*\n\|[-|]+\|\n((?:\|.*\n)*)", text_of(page), re.MULTILINE)
    cells = [cell for table in tables for cell in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)]
    rows = sum(table.count("\n") for table in tables)
    assert len(cells) == rows
    for text in (text for cell in cells for text in re.findall(r"`([^`]+)`", cell)):
        assert any(text in constant if " " in text else text == constant for constant in said()), text
