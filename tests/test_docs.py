"""What README and docs/ point to exists: files, headings, commands and their options; and their examples work."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
import typer

from publisher import Publisher
from publisher import __main__ as publish_command
from publisher.testing import RecordingPublisher
from subscriber.__main__ import app
from subscriber.service import RunOptions, Service
from subscriber.settings import SubscriberSettings
from tests.end_to_end.rig import CREDENTIALS
from tests.publisher.database_manager import DatabaseManager
from tests.test_readme import ROOT, fences

#: The design names what is still to come; everything else tells what is there.
DESIGN: Final = ROOT / "docs" / "design.md"
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
PRESENT: Final = tuple(page for page in PAGES if page != DESIGN)
YOOPRL: Final = (ROOT / "docs" / "yooprl.md").read_text(encoding="utf-8")

_FENCE: Final = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_SUBSCRIBER: Final = re.compile(r"alertbus-subscriber(?:\.exe\"?)?((?: [^\s`|]+)+)")
_PUBLISH: Final = re.compile(r"alertbus-publish((?: (?:\"[^\"]*\"|[^\s`|]+))+)")
_PATH: Final = re.compile(r"`((?:bus|publisher|subscriber|dashboards|deploy|tests|docs|requirements)/[\w./*-]*)`")


def name_of(page: Path) -> str:
    return page.name


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def code(page: Path) -> Iterator[str]:
    """Yield every piece of code: each line of a block, and what stands in backticks."""
    text = page.read_text(encoding="utf-8")
    for block in fences(text):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", PRESENT, ids=name_of)
def test_files_that_are_named_exist(page: Path) -> None:
    missing = [path for path in _PATH.findall(page.read_text(encoding="utf-8")) if not list(ROOT.glob(path))]
    assert not missing


# --- commands -----------------------------------------------------------------------------------------------


def options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def commands_below(group: Any, prefix: str = "") -> Iterator[tuple[str, set[str]]]:
    """Return each command and its options: those of a group by both words, such as `silences add`."""
    for name, command in group.commands.items():
        yield f"{prefix}{name}", options(command)
        if hasattr(command, "commands"):
            yield from commands_below(command, f"{prefix}{name} ")


@pytest.mark.parametrize("page", PRESENT, ids=name_of)
def test_commands_of_the_daemon_exist(page: Path) -> None:
    there_are = dict(commands_below(typer.main.get_command(app)))
    for piece in code(page):
        for words in _SUBSCRIBER.findall(piece):
            name, *rest = words.split()
            if rest and f"{name} {rest[0]}" in there_are:
                name = f"{name} {rest[0]}"
            assert name in there_are, piece
            assert {word for word in rest if word.startswith("--")} <= there_are[name], piece


@pytest.mark.parametrize("page", PRESENT, ids=name_of)
def test_options_of_the_publishing_command_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        publish_command.run(["--help"])
    there_are = set(re.findall(r"--[a-z]+", capsys.readouterr().out))
    for piece in code(page):
        for words in _PUBLISH.findall(piece):
            assert set(re.findall(r"--[a-z]+", words)) <= there_are, piece


@pytest.mark.parametrize("page", PRESENT, ids=name_of)
def test_targets_of_make_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for piece in code(page) for name in re.findall(r"^make ([a-z]+)", piece)}
    assert named <= targets


# --- examples -----------------------------------------------------------------------------------------------


def toml_examples() -> list[tuple[str, str]]:
    pages = [page for page in PRESENT if page.parent != ROOT]  # the README's is tested with the README
    return [(page.name, block) for page in pages for block in fences(page.read_text(encoding="utf-8"), "toml")]


@pytest.mark.parametrize("example", toml_examples(), ids=lambda example: example[0])
def test_toml_examples_are_configurations(example: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "alertbus.toml"
    file.write_text(example[1], encoding="utf-8")
    mail = "mailtos://alerts:app-password@example.org?smtp=smtp.example.org&to=me@example.net"
    environ = {**CREDENTIALS, "ALERTBUS_CONFIG": str(file), "MAIL_URL": mail}
    settings = SubscriberSettings.from_environment(environ, None)
    Service(settings, RunOptions(require_channels=True), say=print)


def yooprl_example(beginning: str) -> str:
    (example,) = (block for block in fences(YOOPRL, "python") if beginning in block)
    return example


def test_alerting_module_for_yooprl_tells_events_and_broken_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens; what was published is counted."""
    monkeypatch.setenv("ALERTBUS_JOURNAL", str(tmp_path))
    monkeypatch.setenv("ALERTBUS_DATA_ENDPOINT", "tcp://127.0.0.1:1")
    monkeypatch.setenv("ALERTBUS_CONTROL_ENDPOINT", "tcp://127.0.0.1:2")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "alerting"}
    exec(compile(yooprl_example("def start_alerting"), "alerting.py", "exec"), names)
    db = DatabaseManager()
    publisher: Publisher = names["start_alerting"](db)
    try:
        db.log_risk_event("EXECUTION_ERROR", "CRITICAL", "a <b> & c_d")
        logger = logging.getLogger("LiveTrader.ppo-tna")
        logger.error("Broker order failed: %s", "no connection")
        logger.error("Invalid observation: %s", "told by its risk event")
        assert publisher.flush(10.0)
        assert publisher.stats().journaled == 2
        assert len(db.calls) == 1
    finally:
        publisher.close(0.0)
        for name in ("LiveTrader", "LiveAgentScheduler", "database.db_manager"):
            logging.getLogger(name).handlers.clear()


def test_alerting_module_for_yooprl_lets_trading_go_on_with_faulty_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERTBUS_DATA_ENDPOINT", "nonsense")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "alerting"}
    exec(compile(yooprl_example("def start_alerting"), "alerting.py", "exec"), names)
    assert names["start_alerting"](DatabaseManager()) is None


def test_stand_in_for_a_missing_database_is_listened_to() -> None:
    names: dict[str, Any] = {}
    exec(compile(yooprl_example("class NoDatabase"), "yooprl.md", "exec"), names)
    publisher = RecordingPublisher()
    no_database = names["NoDatabase"]()
    assert publisher.attach(no_database) == 2
    no_database.log_agent_action(agent_name="ppo-tna", symbol="TNA", action="SELL", quantity=4, price=43.0)
    assert len(publisher.alerts) == 1


def test_test_for_yooprl_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class OnDisk(DatabaseManager):
        def __init__(self, _path: Path) -> None:
            super().__init__()

    package, module = ModuleType("database"), ModuleType("database.db_manager")
    monkeypatch.setattr(module, "DatabaseManager", OnDisk, raising=False)
    monkeypatch.setitem(sys.modules, "database", package)
    monkeypatch.setitem(sys.modules, "database.db_manager", module)
    names: dict[str, Any] = {}
    exec(compile(yooprl_example("def test_a_breach_is_told"), "yooprl.md", "exec"), names)
    names["test_a_breach_is_told"](tmp_path)
