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
    assert done.code == 0
    assert " ".join(done.out.split()) == (
        "The channel telegram is switched off. Suppressed for good on channels that are off: 2 deliveries; what other "
        "channels tell stays. CRITICAL alerts that another channel tells instead: 1."
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


NOBODY = "No channel is on: nobody will be told anything."


@pytest.mark.usefixtures("store")
def test_disable_of_the_last_channel_warns_that_nobody_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    first = command(environ, tmp_path, "disable", "whatsapp")
    last = command(environ, tmp_path, "disable", "telegram", "--json")
    assert (first.code, first.err) == (0, "")
    assert (last.code, NOBODY in last.err, last.json["enabled"]) == (0, True, False)
    assert NOBODY not in command(environ, tmp_path, "enable", "telegram").err


def test_disable_of_the_last_channel_of_a_running_daemon_warns(environ: dict[str, str], tmp_path: Path) -> None:
    with running_service(environ, tmp_path) as daemon:
        assert NOBODY not in command(daemon.environ, tmp_path, "disable", "whatsapp").err
        assert NOBODY in command(daemon.environ, tmp_path, "disable", "telegram").err


def test_status_says_that_no_channel_is_on_and_what_critical_waits(
    environ: dict[str, str], store: Store, tmp_path: Path
) -> None:
    before = command(environ, tmp_path, "status").out
    assert (NOBODY in before, "CRITICAL waits" in before) == (False, False)
    for name in ("whatsapp", "telegram"):
        store.switch_channel(name, enabled=False, author="kim", via="api")
    add(store, "CRITICAL")
    shown = command(environ | {"COLUMNS": "300"}, tmp_path, "status").out
    assert NOBODY in shown
    assert "CRITICAL waits, and no channel is left to tell it: 1 delivery;" in shown


def test_test_without_a_daemon_sends_nothing_by_a_channel_that_is_off(
    environ: dict[str, str], store: Store, tmp_path: Path
) -> None:
    store.switch_channel("telegram", enabled=False, author="kim", via="api")
    done = command(environ | {"COLUMNS": "200"}, tmp_path, "test", "telegram")
    assert done.code == 1
    assert "switched off by kim; alertbus-subscriber enable telegram" in done.out
    (entry,) = command(environ, tmp_path, "test", "telegram", "--json").json["channels"]
    assert (entry["state"], entry["why"], entry["outcome"]) == ("suppressed", "disabled", None)


def test_test_by_the_daemon_says_who_switched_the_channel_off(environ: dict[str, str], tmp_path: Path) -> None:
    with running_service(environ, tmp_path) as daemon:
        command(daemon.environ, tmp_path, "disable", "telegram", "--author", "kim")
        done = command(daemon.environ | {"COLUMNS": "200"}, tmp_path, "test", "telegram")
    assert done.code == 1
    assert "switched off by kim; alertbus-subscriber enable telegram" in done.out
