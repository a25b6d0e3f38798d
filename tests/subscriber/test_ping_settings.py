"""The address that hears that the daemon lives: what it may be, and that no fault shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.errors import ConfigurationError
from subscriber.settings import SubscriberSettings

CANARY = "canary-4711"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(environ: dict[str, str]) -> SubscriberSettings:
    return SubscriberSettings.from_environment(environ, env_file=None)


def problem_of(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(environ)
    (problem,) = caught.value.problems
    assert CANARY not in problem
    return problem


@pytest.mark.parametrize(
    "url",
    [
        "https://hc-ping.com/5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278",
        "HTTPS://uptime.example.org:8443/api/push/a1b2c3d4e5?status=up&msg=OK&ping=",
        "http://127.0.0.1:3001/x",
        "http://[::1]:3001/x",
        "https://me:pw@checks",
        "http://my_checks.example.org.",
    ],
)
def test_ping_url_that_can_be_asked_is_taken(url: str) -> None:
    taken = read({"ALERTBUS_PING_URL": url}).ping.url
    assert taken is not None
    assert taken.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        CANARY,
        f"hc-ping.com/{CANARY}",
        f"ftp://hc-ping.com/{CANARY}",
        f"https:///{CANARY}",
        f"https://:443/{CANARY}",
        f"https://hc-ping.com:port/{CANARY}",
        f"https://hc-ping.com:0/{CANARY}",
        f"https://hc-ping.com:65536/{CANARY}",
        f"https://hc ping.com/{CANARY}",
        f"https://hc-ping.com/{CANARY}\n/x",
        f"https://hc-ping.com/{CANARY}/ä",
        f"https://hc-ping..com/{CANARY}",
        f"https://*.hc-ping.com/{CANARY}",
        f"https://{'h' * 64}.com/{CANARY}",
        f"https://[::1/{CANARY}",
        f"https://[zz::1]/{CANARY}",
        f"https://<host>/{CANARY}",
    ],
)
def test_ping_url_that_can_not_be_asked_is_refused_and_not_shown(url: str) -> None:
    assert problem_of({"ALERTBUS_PING_URL": url}) == (
        "ALERTBUS_PING_URL must be a whole address that begins with https:// or http://, without blanks, in ASCII."
    )


def test_ping_url_can_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "ping").write_text("https://hc-ping.com/uuid\n")
    taken = read({"ALERTBUS_PING_URL_FILE": str(tmp_path / "ping")}).ping.url
    assert taken is not None
    assert taken.get_secret_value() == "https://hc-ping.com/uuid"


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ("4.9", "must be 5 or more"),
        ("86401", "must be 86400 or less"),
        ("nan", "must be a finite number"),
        ("inf", "must be a finite number"),
        (CANARY, "must be a number"),
    ],
)
def test_ping_interval_out_of_range_is_refused(interval: str, words: str) -> None:
    assert problem_of({"ALERTBUS_PING_INTERVAL": interval}) == f"ALERTBUS_PING_INTERVAL {words}."
