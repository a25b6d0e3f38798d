"""The publisher's settings, in code and from the environment."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path, PureWindowsPath

import pytest
from pydantic import ValidationError

from bus.errors import ConfigurationError
from bus.settings import PUBLISHER_NAMES, known_names
from publisher.settings import PublisherSettings, default_journal_folder, default_source

CANARY = "canary-4711"


def problems_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        PublisherSettings.from_environment(environ, env_file=None)
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    return list(caught.value.problems)


def test_defaults_reach_a_daemon_on_this_machine() -> None:
    settings = PublisherSettings()
    assert settings.data_endpoints == ("tcp://127.0.0.1:5555",)
    assert settings.control_endpoints == ("tcp://127.0.0.1:5556",)
    assert settings.publish_bind is None
    assert settings.journal is None
    assert settings.journal_folder.parts[-2:] == ("alertbus", "journal")
    assert "/" in settings.source


def test_import_loads_no_pydantic_settings() -> None:
    """A trader pays for it only when it reads the environment."""
    code = "import sys, publisher.settings; print('pydantic_settings' in sys.modules, 'dotenv' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "False False"


def test_settings_are_frozen_and_refuse_unknown_names() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        PublisherSettings().queue_limit = 5_000  # type: ignore[misc]
    with pytest.raises(ValidationError, match="queue_limits"):
        PublisherSettings.model_validate({"queue_limits": 5_000})


def test_endpoints_may_be_a_comma_list_or_a_tuple() -> None:
    settings = PublisherSettings.model_validate(
        {
            "data_endpoints": "tcp://127.0.0.1:1, tcp://[::1]:2",
            "control_endpoints": ["tcp://127.0.0.1:3", "tcp://[::1]:4"],
        }
    )
    assert settings.data_endpoints == ("tcp://127.0.0.1:1", "tcp://[::1]:2")
    assert settings.control_endpoints == ("tcp://127.0.0.1:3", "tcp://[::1]:4")


def test_endpoints_of_unequal_length_name_both_settings() -> None:
    (problem,) = problems_of({"ALERTBUS_DATA_ENDPOINT": "tcp://127.0.0.1:1,tcp://127.0.0.1:2"})
    assert problem.startswith(
        "ALERTBUS_CONTROL_ENDPOINT: ALERTBUS_DATA_ENDPOINT and ALERTBUS_CONTROL_ENDPOINT are paired"
    )
    assert "they have 2 and 1 endpoints" in problem


def test_validation_error_in_code_shows_no_value() -> None:
    with pytest.raises(ValidationError) as caught:
        PublisherSettings(data_endpoints=(f"tcp://{CANARY}:1",), source=f"{CANARY}\n")
    assert CANARY not in str(caught.value)


def test_from_environment_reads_every_setting(tmp_path: Path) -> None:
    settings = PublisherSettings.from_environment(
        {
            "ALERTBUS_DATA_ENDPOINT": "tcp://127.0.0.1:15555",
            "ALERTBUS_CONTROL_ENDPOINT": "tcp://127.0.0.1:15556",
            "ALERTBUS_PUBLISH_BIND": "tcp://127.0.0.1:15557",
            "ALERTBUS_JOURNAL": str(tmp_path),
            "ALERTBUS_JOURNAL_SYNC": "full",
            "ALERTBUS_JOURNAL_MAX_BYTES": "2000000",
            "ALERTBUS_JOURNAL_MAX_AGE": "3600",
            "ALERTBUS_SOURCE": "desk-1/trader",
            "ALERTBUS_QUEUE_LIMIT": "2000",
            "ALERTBUS_HEARTBEAT_INTERVAL": "0.5",
        },
        env_file=None,
    )
    assert settings == PublisherSettings(
        data_endpoints=("tcp://127.0.0.1:15555",),
        control_endpoints=("tcp://127.0.0.1:15556",),
        publish_bind="tcp://127.0.0.1:15557",
        journal=tmp_path,
        journal_sync="full",
        journal_max_bytes=2_000_000,
        journal_max_age_seconds=3600,
        source="desk-1/trader",
        queue_limit=2000,
        heartbeat_interval_seconds=0.5,
    )


def test_from_environment_ignores_the_daemons_names(tmp_path: Path) -> None:
    """Both sides read one `.env`."""
    file = tmp_path / ".env"
    file.write_text("TELEGRAM_BOT_TOKEN=x\nALERTBUS_HTTP_PORT=nonsense\nALERTBUS_SOURCE=me\nALERTBUS_TYPO=1\n")
    assert PublisherSettings.from_environment({}, file).source == "me"


def test_from_environment_computes_the_journal_from_the_given_environment(tmp_path: Path) -> None:
    name = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_STATE_HOME"
    home = {name: str(tmp_path), "HOME": str(tmp_path)}
    journal = PublisherSettings.from_environment(home, env_file=None).journal_folder
    assert journal == default_journal_folder(home, sys.platform)
    assert journal.is_relative_to(tmp_path)


def test_from_environment_tells_every_fault_by_name_without_values() -> None:
    problems = problems_of(
        {
            "ALERTBUS_DATA_ENDPOINT": f"tcp://{CANARY}:5555",
            "ALERTBUS_CONTROL_ENDPOINT": CANARY,
            "ALERTBUS_PUBLISH_BIND": "tcp://0.0.0.0:5557",
            "ALERTBUS_JOURNAL": f"~{CANARY}/x",
            "ALERTBUS_JOURNAL_SYNC": CANARY,
            "ALERTBUS_JOURNAL_MAX_BYTES": "1",
            "ALERTBUS_JOURNAL_MAX_AGE": "inf",
            "ALERTBUS_SOURCE": f"{CANARY}\x07",
            "ALERTBUS_QUEUE_LIMIT": CANARY,
            "ALERTBUS_HEARTBEAT_INTERVAL": "0",
        }
    )
    assert {problem.split()[0].rstrip(":") for problem in problems} == {
        "ALERTBUS_DATA_ENDPOINT",
        "ALERTBUS_CONTROL_ENDPOINT",
        *PUBLISHER_NAMES,
    }
    assert len(problems) == 10
    assert "needs CURVE, which this release does not have yet" in problems[0]


def test_source_longer_than_the_limit_is_refused() -> None:
    assert problems_of({"ALERTBUS_SOURCE": "x" * 129}) == ["ALERTBUS_SOURCE must have at most 128 characters."]


def test_publisher_names_are_what_the_daemon_takes_for_the_publishers() -> None:
    """`bus.settings` can't import the publisher, so it keeps the names; they must not part ways."""
    assert known_names(PublisherSettings) == {*PUBLISHER_NAMES, "ALERTBUS_DATA_ENDPOINT", "ALERTBUS_CONTROL_ENDPOINT"}


# --- defaults that the machine tells ---------------------------------------------------------------------------


def test_default_journal_folder_linux_is_the_state_home() -> None:
    assert default_journal_folder({"HOME": "/people/ann"}, "linux") == Path("/people/ann/.local/state/alertbus/journal")
    environ = {"HOME": "/people/ann", "XDG_STATE_HOME": "/state"}
    assert default_journal_folder(environ, "linux") == Path("/state/alertbus/journal")


@pytest.mark.parametrize("state", ["", "state", "./state"])
def test_default_journal_folder_relative_state_home_is_ignored(state: str) -> None:
    environ = {"HOME": "/people/ann", "XDG_STATE_HOME": state}
    assert default_journal_folder(environ, "linux") == Path("/people/ann/.local/state/alertbus/journal")


def test_default_journal_folder_macos_is_application_support() -> None:
    expected = Path("/Users/ann/Library/Application Support/alertbus/journal")
    assert default_journal_folder({"HOME": "/Users/ann", "XDG_STATE_HOME": "/state"}, "darwin") == expected


@pytest.mark.parametrize(
    "environ", [{"LOCALAPPDATA": r"C:\Users\ann\AppData\Local"}, {"USERPROFILE": r"C:\Users\ann", "HOME": "/cygwin"}]
)
def test_default_journal_folder_windows_is_local_app_data(environ: dict[str, str]) -> None:
    found = PureWindowsPath(str(default_journal_folder(environ, "win32")))
    assert found == PureWindowsPath(r"C:\Users\ann\AppData\Local\alertbus\journal")


def test_default_journal_folder_without_a_home_asks_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/people/told")
    assert default_journal_folder({}, "linux") == Path("/people/told/.local/state/alertbus/journal")


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("/opt/yoop/live_trader.py", "live_trader"),
        ("/opt/venv/publisher/__main__.py", "publisher"),
        ("alertbus-publish", "alertbus-publish"),
        ("", "python"),
        ("-c", "python"),
        ("-m", "python"),
    ],
)
def test_default_source_is_host_and_script(script: str, name: str) -> None:
    assert default_source("desk-1", script) == f"desk-1/{name}"


def test_default_source_keeps_to_the_limit_and_to_valid_text() -> None:
    assert len(default_source("h" * 200, "x.py")) == 128
    assert default_source("", "x\udcff.py") == "localhost/x\ufffd"
