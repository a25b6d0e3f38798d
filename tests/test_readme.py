"""The README is true: its commands run, its outputs are real, its examples work, and its tables are complete."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

from subscriber.service import RunOptions, Service
from subscriber.settings import SubscriberSettings
from tests.end_to_end.rig import CREDENTIALS, START_SECONDS, Daemon, Rig
from tests.publisher.database_manager import DatabaseManager
from tests.support.provider_server import ProviderServer
from tests.support.waiting import wait_until

ROOT: Final = Path(__file__).parents[1]
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
#: Where this environment's commands are; the README has them in `.venv/bin`.
BIN: Final = Path(sys.executable).parent
#: Commands that no test runs, and why.
NOT_RUN: Final = {
    "make demo": "installs, and runs until it is stopped; tests/test_demo.py plays it",
    "make run": "installs; .ci/run starts it on its defaults and publishes to it",
    "make test": "is what runs this test",
    "python -m pip install /path/to/alertbus": "installs into somebody else's environment",
    "py -3.11 -m venv .venv": "is for Windows",
    r".venv\Scripts\python -m pip install --require-hashes -r requirements\subscriber.txt "
    r"-r requirements\build.txt": "is for Windows",
    r".venv\Scripts\python -m pip install --no-deps --no-build-isolation -e .": "is for Windows",
    r".venv\Scripts\alertbus-subscriber run": "is for Windows",
}
PUBLISH: Final = '.venv/bin/alertbus-publish "Drawdown breached" --severity CRITICAL --wait 5'
#: The one command that needs credentials.
ONLINE: Final = ".venv/bin/alertbus-subscriber check --online"

_FENCE: Final = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_VARYING: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+"), "TIME"),
    (re.compile(r"\bid [0-9a-f]{8}\b"), "ID"),
    (re.compile(r"\b\d+ bytes\b"), "BYTES"),
)


def fences(text: str, *languages: str) -> list[str]:
    """Return the blocks of code in some languages, or in any."""
    return [dedent(fence["body"]) for fence in _FENCE.finditer(text) if not languages or fence["language"] in languages]


def section(heading: str) -> str:
    """Return what stands below one of the README's headings."""
    return README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def commands() -> list[str]:
    """Return every command that the README tells to type."""
    typed = [line.strip() for block in fences(README, "sh", "bat") for line in block.splitlines() if line.strip()]
    shown = [line[2:] for block in fences(README, "console") for line in block.splitlines() if line.startswith("$ ")]
    return typed + shown


def without_varying(text: str) -> str:
    """Return an output without what differs from run to run."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return text


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderServer]:
    """Telegram and Twilio on loopback, for the command that asks them."""
    with ProviderServer() as server:
        yield server


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """A scratch folder like a fresh clone, with ports of its own and no credentials."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copy(ROOT / ".env.example", folder)
    return Rig(folder, {"ALERTBUS_TIMEZONE": "UTC"})


@pytest.fixture(scope="module")
def daemon(rig: Rig) -> Iterator[Daemon]:
    """What `make run` runs, once for all tests."""
    with rig.daemon() as running:
        yield running


def run(command: str, rig: Rig, provider: ProviderServer) -> subprocess.CompletedProcess[str]:
    """Run a command of the README in the scratch folder."""
    arguments = shlex.split(command)
    if arguments[0].startswith(".venv/bin/"):
        arguments[0] = str(BIN / arguments[0].removeprefix(".venv/bin/"))
    environ = dict(rig.environ)
    if command == ONLINE:
        environ |= CREDENTIALS | {f"ALERTBUS_{name}_URL": provider.url for name in ("TELEGRAM", "TWILIO")}
    return subprocess.run(
        arguments, env=environ, cwd=rig.folder, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )


# --- commands and their output ------------------------------------------------------------------------------


def test_commands_that_are_not_run_stand_in_the_readme() -> None:
    assert set(NOT_RUN) <= set(commands())
    assert {PUBLISH, ONLINE} <= set(commands())


@pytest.mark.parametrize("command", [command for command in dict.fromkeys(commands()) if command not in NOT_RUN])
def test_command_ends_well(command: str, rig: Rig, provider: ProviderServer, daemon: Daemon) -> None:
    ended = run(command, rig, provider)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not ended.stderr


def test_output_of_the_first_alert_is_what_both_shells_show(rig: Rig, provider: ProviderServer, daemon: Daemon) -> None:
    publish, shown = fences(README, "console")
    command, expected = publish.split("\n", 1)
    assert command == f"$ {PUBLISH}"
    assert run(PUBLISH, rig, provider).stdout == expected
    messages = re.split(r"^(?=DRY RUN )", without_varying(shown), flags=re.MULTILINE)[1:]
    assert len(messages) == 2
    wait_until(lambda: all(message in without_varying(daemon.output) for message in messages))


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert {command.split()[1] for command in commands() if command.startswith("make ")} <= targets


# --- examples -----------------------------------------------------------------------------------------------


def test_python_examples_publish_what_they_say(
    rig: Rig, daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*(name for name in rig.environ if name.startswith("ALERTBUS_")), "XDG_STATE_HOME"):
        monkeypatch.setenv(name, rig.environ[name])
    monkeypatch.chdir(tmp_path)
    examples = fences(README, "python")
    assert len(examples) == 3
    names: dict[str, object] = {"db_manager": DatabaseManager()}
    for number, example in enumerate(examples, 1):
        exec(compile(example, f"README.md, example {number}", "exec"), names)  # one after the other, as they are read

    def told() -> set[str]:
        alerts = [entry["alert"] for entry in rig.api("/history?limit=500")]
        return {alert.get("event_type") or alert["action"] for alert in alerts}

    wait_until(lambda: {"DRAWDOWN_BREACH", "BUY"} <= told())


@pytest.mark.parametrize(
    ("example", "channels"), list(zip(fences(README, "toml"), (["desk"], []), strict=True)), ids=("channels", "policy")
)
def test_toml_examples_are_whole_configurations(example: str, channels: list[str], tmp_path: Path) -> None:
    (tmp_path / "alertbus.toml").write_text(example, encoding="utf-8")
    environ = {**CREDENTIALS, "ALERTBUS_CONFIG": str(tmp_path / "alertbus.toml")}
    settings = SubscriberSettings.from_environment(environ, None)
    Service(settings, RunOptions(require_channels=True), say=print)
    assert [channel.name for channel in settings.custom_channels] == channels


# --- tables -------------------------------------------------------------------------------------------------


def test_endpoints_are_all_there_are(rig: Rig, daemon: Daemon) -> None:
    told = set(re.findall(r"^\| `(GET|POST|PATCH|DELETE) (\S+)`", section("HTTP"), re.MULTILINE))
    described = {
        (method.upper(), path)
        for path, methods in json.loads(rig.get("/openapi.json"))["paths"].items()
        for method in methods
    }
    unlisted = {("GET", path) for path in ("/metrics", "/docs", "/", "/static/{path}")}
    assert told == described | unlisted
    for method, path in told:
        if method == "GET" and "{" not in path and not path.endswith("/events"):  # which never ends
            rig.get(path)  # fails where it is no success


def test_endpoint_test_works_as_told(rig: Rig, daemon: Daemon) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{rig.http_port}/api/monitoring/notifications/test",
        json.dumps({"channel": "telegram", "text": "hello"}).encode(),
        {"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=START_SECONDS) as response:
        answer = json.loads(response.read())
    assert answer["status"] == "success"
    assert [entry["channel"] for entry in answer["data"]["channels"]] == ["telegram"]


def test_metrics_are_all_there_are(rig: Rig, daemon: Daemon) -> None:
    told = set(re.findall(r"`(alertbus_\w+)`", section("Metrics")))
    there_are = set(re.findall(r"^# TYPE (alertbus_\w+)", rig.get("/metrics"), re.MULTILINE))
    assert told == there_are
