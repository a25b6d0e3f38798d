"""The groups of the daemon's settings: ranges, and what each refuses, by the variable's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from bus.errors import ConfigurationError
from subscriber.http_settings import HttpSettings
from subscriber.setting_groups import BusSettings, StoreSettings, system_timezone, zone_of
from subscriber.settings import SubscriberSettings


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(environ: dict[str, str]) -> SubscriberSettings:
    return SubscriberSettings.from_environment(environ, env_file=None)


def problems_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(environ)
    return list(caught.value.problems)


def test_endpoint_off_this_machine_needs_curve() -> None:
    (problem,) = problems_of({"ALERTBUS_DATA_ENDPOINT": "tcp://0.0.0.0:5555"})
    assert problem.startswith("ALERTBUS_DATA_ENDPOINT: only this machine")
    assert "needs CURVE, which this release does not have yet" in problem


def test_endpoints_of_unequal_length_name_both() -> None:
    (problem,) = problems_of({"ALERTBUS_CONTROL_ENDPOINT": "tcp://127.0.0.1:1,tcp://127.0.0.1:2"})
    assert "ALERTBUS_DATA_ENDPOINT and ALERTBUS_CONTROL_ENDPOINT are paired by position" in problem


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "alerts.example.org"])
def test_http_for_other_machines_without_a_token_is_refused(host: str) -> None:
    (problem,) = problems_of({"ALERTBUS_HTTP_HOST": host})
    assert problem.startswith("ALERTBUS_API_TOKEN must be set, because ALERTBUS_HTTP_HOST lets other machines in")


@pytest.mark.parametrize("host", ["localhost", "::1", "127.0.0.1"])
def test_http_for_this_machine_needs_no_token(host: str) -> None:
    assert read({"ALERTBUS_HTTP_HOST": host}).http.api_token is None


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///alertbus.db",
        "sqlite:////var/lib/alertbus/a.db",
        "postgresql+psycopg://db/alerts",
        "postgresql+psycopg://ann:p%40ss@db:5433/alerts?sslmode=require",
        "postgresql+psycopg://ann@/alerts?host=/run/postgresql",
    ],
)
def test_database_url_of_a_known_kind_is_taken(url: str) -> None:
    assert StoreSettings(database_url=SecretStr(url)).database_url.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "postgresql://db/x",
        "postgres://db/x",
        "mysql://db/x",
        "alertbus.db",
        "postgresql+psycopg:///",
        "postgresql+psycopg://db:port/x",
        "postgresql+psycopg://[::1/x",
    ],
)
def test_database_url_of_another_kind_says_the_known_ones(url: str) -> None:
    (problem,) = problems_of({"ALERTBUS_DATABASE_URL": url})
    assert problem == "ALERTBUS_DATABASE_URL must be sqlite:///FILE or postgresql+psycopg://user:password@host/name."


@pytest.mark.parametrize("url", ["https://", "ftp://x.example", "https://x.example/path", "https://x.example?a=b", "x"])
def test_provider_url_of_another_form_is_refused(url: str) -> None:
    (problem,) = problems_of({"ALERTBUS_META_URL": url})
    assert problem.startswith("ALERTBUS_META_URL must be an address like https://")


def test_provider_url_in_plain_http_is_for_this_machine_only() -> None:
    (problem,) = problems_of({"ALERTBUS_META_URL": "http://graph.example:80"})
    assert problem.startswith("ALERTBUS_META_URL must begin with https://")
    assert read({"ALERTBUS_META_URL": "http://[::1]:8080"}).providers.meta_url == "http://[::1]:8080"


# --- time zone ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "/etc/localtime", "a\0b"])
def test_zone_of_unknown_name_says_how_names_look(name: str) -> None:
    with pytest.raises(ValueError, match="must be a time zone's name such as Europe/Berlin"):
        zone_of(name)


def test_system_timezone_takes_tz_then_the_machines_link_then_utc(tmp_path: Path) -> None:
    zones = tmp_path / "zoneinfo" / "Asia"
    zones.mkdir(parents=True)
    (zones / "Tokyo").write_bytes(b"")
    link = tmp_path / "localtime"
    link.symlink_to(zones / "Tokyo")
    assert system_timezone({"TZ": ":Europe/Berlin"}, link) == "Europe/Berlin"
    assert system_timezone({"TZ": "nonsense"}, link) == "Asia/Tokyo"
    assert system_timezone({}, tmp_path / "absent") == "UTC"


def test_settings_in_code_are_checked_too() -> None:
    with pytest.raises(ValueError, match="paired by position"):
        BusSettings(control_endpoints=("tcp://127.0.0.1:1", "tcp://127.0.0.1:2"))
    with pytest.raises(ValueError, match="must be set, because ALERTBUS_HTTP_HOST"):
        HttpSettings(host="0.0.0.0")
