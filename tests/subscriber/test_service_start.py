"""What keeps the daemon from starting: one sentence that names it, and nothing left behind."""

from __future__ import annotations

import functools
import shutil
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.errors import ConfigurationError, EndpointTaken
from subscriber.errors import StoreError
from subscriber.greeting import NO_CREDENTIALS
from subscriber.service import RunOptions
from subscriber.store import Store
from tests.support.ports import free_port
from tests.support.provider_server import ProviderServer
from tests.support.running_service import daemon_environ, provider_environ, running_service
from tests.support.waiting import wait_until


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A whole configuration without credentials."""
    return daemon_environ({}, tmp_path)


def refusal(environ: dict[str, str], tmp_path: Path, **options: bool) -> Exception:
    """Return why the daemon does not start; it leaves no thread behind."""
    before = set(threading.enumerate())
    with (
        pytest.raises((ConfigurationError, EndpointTaken, StoreError)) as caught,
        running_service(environ, tmp_path, options=RunOptions(**options)),
    ):
        pass
    wait_until(lambda: set(threading.enumerate()) <= before)
    return caught.value


def test_service_whose_http_port_is_taken_names_the_setting(environ: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", int(environ["ALERTBUS_HTTP_PORT"]))):
        error = refusal(environ, tmp_path)
        assert "ALERTBUS_HTTP_PORT: 127.0.0.1:" in str(error)
        assert "is taken by another program (another alertbus daemon?)" in str(error)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", f"{'x' * 70}.invalid"])
def test_service_whose_http_host_is_none_of_ours_names_the_setting(
    environ: dict[str, str], tmp_path: Path, host: str
) -> None:
    error = refusal(environ | {"ALERTBUS_HTTP_HOST": host, "ALERTBUS_API_TOKEN": "word"}, tmp_path)
    assert "ALERTBUS_HTTP_HOST" in str(error)


@pytest.mark.parametrize("setting", ["ALERTBUS_DATA_ENDPOINT", "ALERTBUS_CONTROL_ENDPOINT"])
def test_service_whose_bus_port_is_taken_names_the_setting(
    environ: dict[str, str], tmp_path: Path, setting: str
) -> None:
    """A second daemon of the same machine; the first goes on undisturbed."""
    other = daemon_environ({setting: environ[setting]}, tmp_path)
    with running_service(environ, tmp_path) as first:
        error = refusal(other, tmp_path)
        assert str(error).startswith(f"{setting}: {environ[setting]} is taken")
        assert first.is_ready()


def test_service_with_required_channels_and_none_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    error = refusal(environ, tmp_path, require_channels=True)
    assert "--require-channels" in str(error)


def test_service_with_required_channels_starts_with_one(providers: ProviderServer, tmp_path: Path) -> None:
    options = RunOptions(require_channels=True)
    with running_service(provider_environ(providers, "telegram"), tmp_path, options=options) as daemon:
        assert [channel["name"] for channel in daemon.get("/status")["channels"]] == ["telegram"]


def test_service_with_a_route_to_nowhere_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "routes.toml"
    config.write_text('[[routes]]\nmatch = { severity = ">=INFO" }\nchannels = ["pager"]\n')
    error = refusal(environ | {"ALERTBUS_CONFIG": str(config)}, tmp_path)
    assert isinstance(error, ConfigurationError)
    assert "pager" in str(error)


def test_service_database_that_sent_for_real_refuses_to_start_without_credentials(
    providers: ProviderServer, tmp_path: Path
) -> None:
    """Lost credentials must not turn into silence; who means it says --dry-run."""
    with running_service(provider_environ(providers, "telegram"), tmp_path) as daemon:
        daemon.post("/test", {})
    without = {name: value for name, value in daemon.environ.items() if not name.startswith("TELEGRAM_")}
    error = refusal(without, tmp_path)
    assert "ALERTBUS_DATABASE_URL" in str(error)
    assert "--dry-run" in str(error)
    with running_service(without, tmp_path, options=RunOptions(dry_run=True)) as again:
        assert again.said[0].startswith(NO_CREDENTIALS.partition("{")[0])


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no database at all, but some text" * 100, "is not an SQLite database"), (None, "names the folder")],
    ids=["foreign", "folder"],
)
def test_service_whose_database_is_none_says_which(
    environ: dict[str, str], tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "alertbus.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    error = refusal(environ, tmp_path)
    assert words in str(error)
    assert str(path) in str(error)


def test_service_whose_database_is_damaged_says_which(
    environ: dict[str, str], tmp_path: Path, sqlite_template: Path
) -> None:
    path = tmp_path / "alertbus.db"
    shutil.copy(sqlite_template, path)
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 4000)
    error = refusal(environ, tmp_path)
    assert f"The database {path} is corrupt" in str(error)
    assert "restore a backup" in str(error)


def test_service_whose_databases_folder_is_missing_names_the_setting(environ: dict[str, str], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'missing' / 'alertbus.db'}"
    error = refusal(environ | {"ALERTBUS_DATABASE_URL": url}, tmp_path)
    assert isinstance(error, ConfigurationError)
    assert "ALERTBUS_DATABASE_URL" in str(error)


def test_service_whose_database_is_locked_says_what_to_close(
    environ: dict[str, str], tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subscriber.service.Store", functools.partial(Store, busy_timeout_seconds=0.05))
    shutil.copy(sqlite_template, tmp_path / "alertbus.db")
    holder = sqlite3.connect(tmp_path / "alertbus.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        error = refusal(environ, tmp_path)
        assert isinstance(error, StoreError)
        assert "is locked by another program" in str(error)
    finally:
        holder.close()


def test_service_with_a_database_away_says_which(environ: dict[str, str], tmp_path: Path) -> None:
    url = f"postgresql+psycopg://ann:canary-4711@127.0.0.1:{free_port()}/alerts"
    error = refusal(environ | {"ALERTBUS_DATABASE_URL": url}, tmp_path)
    assert isinstance(error, StoreError)
    assert "The PostgreSQL database alerts at 127.0.0.1" in str(error)
    assert "canary" not in str(error)
