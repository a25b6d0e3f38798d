"""The commands enable and disable, with a running daemon or without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.clock import SystemClock
from subscriber.deliveries import PlannedDelivery
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.commands import command
from tests.support.daemon import CREDENTIALS
from tests.support.running_service import daemon_environ, running_service


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    given = {**CREDENTIALS["telegram"], **CREDENTIALS["twilio"]}
    return daemon_environ({**given, "ALERTBUS_TELEGRAM_URL": "http://127.0.0.1:9"}, tmp_path)


@pytest.fixture
def store(environ: dict[str, str]) -> Iterator[Store]:
    with Store(environ["ALERTBUS_DATABASE_URL"]) as opened:
        yield opened


def add(store: Store, severity: str) -> None:
    now_us = SystemClock().now_us()
    planned = (PlannedDelivery("telegram", now_us),)
    store.accept([incoming(risk_event(severity=severity), None, stream=None, published_us=now_us, planned=planned)])


def test_disable_without_a_daemon_switches_in_the_database_and_settles(
    environ: dict[str, str], store: Store, tmp_path: Path
) -> None:
    for severity in ("WARNING", "CRITICAL"):
        add(store, severity)
    done = command(environ, tmp_path, "disable", "telegram", "--author", "kim")
    assert (done.code, " ".join(done.out.split())) == (
        0,
        "The channel telegram is switched off. Suppressed for good: 2. CRITICAL alerts that another channel tells: 1.",
    )
    switch = store.channel_switches()["telegram"]
    assert (switch.enabled, switch.author, switch.via) == (False, "kim", "cli")
    assert store.open_counts() == {"whatsapp": 1}
    again = command(environ, tmp_path, "disable", "telegram", "--json")
    assert json.loads(again.out) == {
        "channel": "telegram",
        "enabled": False,
        "changed": False,
        "suppressed": 0,
        "handed_over": 0,
        "released": 0,
    }


def test_enable_without_a_daemon_releases_a_critical_that_waited(
    environ: dict[str, str], store: Store, tmp_path: Path
) -> None:
    for name in ("whatsapp", "telegram"):
        assert command(environ, tmp_path, "disable", name).code == 0
    add(store, "CRITICAL")
    done = command(environ, tmp_path, "enable", "telegram")
    assert (done.code, " ".join(done.out.split())) == (
        0,
        "The channel telegram is switched on. CRITICAL alerts that waited and go out now: 1.",
    )
    assert "as it was" in command(environ, tmp_path, "enable", "telegram").out


def test_status_without_a_daemon_shows_a_channel_that_is_off_as_disabled(
    environ: dict[str, str], store: Store, tmp_path: Path
) -> None:
    store.switch_channel("telegram", enabled=False, author="kim", via="api")
    shown = json.loads(command(environ, tmp_path, "status", "--json").out)
    assert {each["name"]: each["state"] for each in shown["channels"]}["telegram"] == "disabled"


def test_disable_goes_through_the_running_daemon(environ: dict[str, str], tmp_path: Path) -> None:
    with running_service(environ, tmp_path) as daemon:
        assert command(daemon.environ, tmp_path, "disable", "telegram", "--author", "kim").code == 0
        assert not daemon.service._parts.desks["telegram"].enabled
        (change,) = [each for each in daemon.get("/changes") if each["what"] == "channel_switched"]
        assert (change["author"], change["via"]) == ("kim", "cli")
        refused = command(daemon.environ, tmp_path, "disable", "signal")
    assert (refused.code, "There is no channel 'signal'" in refused.err) == (1, True)


@pytest.mark.usefixtures("store")
def test_switch_of_an_unknown_channel_without_a_daemon_exits_2(environ: dict[str, str], tmp_path: Path) -> None:
    done = command(environ, tmp_path, "enable", "signal")
    assert (done.code, "There is no channel 'signal'" in done.err) == (2, True)


def test_switch_without_a_database_exits_1(environ: dict[str, str], tmp_path: Path) -> None:
    assert command(environ, tmp_path, "enable", "telegram").code == 1
