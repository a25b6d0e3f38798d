"""Silence is an alert too: who dies is told of once, who ends as he should never is, and what he left arrives.

That somebody is *not* told of is seen by a witness: a publisher that dies after him, and has been told of.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.end_to_end.rig import CREDENTIALS, Rig
from tests.support.provider_server import ProviderServer
from tests.support.trader import Trader
from tests.support.waiting import wait_until

_TIMEOUT_SECONDS: Final = 2
_EVENTS: Final = ("PUBLISHER_SILENT", "PUBLISHER_HEARD", "PUBLISHER_FAILED", "PUBLISHER_HUNG", "PUBLISHER_MOVES")
_ROOT: Final = Path(__file__).parents[2]
_POSIX: Final = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")


@pytest.fixture
def rig(tmp_path: Path, provider: ProviderServer) -> Iterator[Rig]:
    """A machine on which a publisher may be silent for two seconds."""
    addresses = {f"ALERTBUS_{name}_URL": provider.url for name in ("TELEGRAM", "TWILIO", "META")}
    silence = {"ALERTBUS_PUBLISHER_TIMEOUT": str(_TIMEOUT_SECONDS)}
    with Rig(tmp_path, {**CREDENTIALS, **addresses, **silence}) as machine:
        yield machine


def trader_on(rig: Rig, source: str = "live_trader") -> Trader:
    return Trader({**rig.environ, "ALERTBUS_SOURCE": source}, rig.folder, rig.folder / "ids")


def told(rig: Rig) -> list[tuple[str, ...]]:
    """Return what people were told of publishers, in order: the event and the publisher's name."""
    entries: list[dict[str, Any]] = rig.api("/history?limit=100")
    alerts = [entry["alert"] for entry in reversed(entries) if entry["alert"].get("event_type") in _EVENTS]
    return [
        (alert["event_type"], next(name for name in alert["description"].split() if "_trader" in name))
        for alert in alerts
    ]


def wait_told(rig: Rig, *expected: tuple[str, str]) -> None:
    wait_until(lambda: len(told(rig)) >= len(expected), 30.0)
    assert told(rig) == list(expected)


def wait_heard(rig: Rig, source: str) -> None:
    wait_until(lambda: any(view["source"] == source and view["up"] for view in rig.api("/status")["publishers"]), 30.0)


def let_a_witness_die(rig: Rig) -> None:
    """Let a publisher come and die; when it is told of, whoever ended before it would have been told of, too."""
    with trader_on(rig, "other_trader") as witness:
        wait_heard(rig, "other_trader")
        witness.kill()
    wait_until(lambda: ("PUBLISHER_SILENT", "other_trader") in told(rig), 30.0)


def messages(provider: ProviderServer, event: str) -> list[str]:
    """Return the providers that took a message of an event, in alphabetical order."""
    return sorted(message.provider for message in provider.accepted if event in message.text)


def test_trader_that_is_killed_is_told_of_once_and_so_is_its_return(rig: Rig, provider: ProviderServer) -> None:
    with rig.daemon():
        with trader_on(rig) as trader:
            trader.publish(7)
            wait_heard(rig, "live_trader")
            trader.kill()
        wait_told(rig, ("PUBLISHER_SILENT", "live_trader"))
        wait_until(lambda: len(messages(provider, "PUBLISHER_SILENT")) >= 2, 20.0)
        (text, *_) = [message.text for message in provider.accepted if "PUBLISHER_SILENT" in message.text]
        assert "has the number 7" in text
        let_a_witness_die(rig)
        with trader_on(rig):
            wait_until(lambda: len(messages(provider, "PUBLISHER_HEARD")) >= 2, 20.0)
        assert messages(provider, "PUBLISHER_HEARD") == ["telegram", "twilio"]
        assert told(rig) == [
            ("PUBLISHER_SILENT", "live_trader"),
            ("PUBLISHER_SILENT", "other_trader"),
            ("PUBLISHER_HEARD", "live_trader"),
        ]


def test_trader_that_closes_is_never_told_of(rig: Rig) -> None:
    with rig.daemon():
        with trader_on(rig) as trader:
            trader.publish(3)
            assert trader.order("close", timeout=60.0)["settled"]
        let_a_witness_die(rig)
        assert told(rig) == [("PUBLISHER_SILENT", "other_trader")]


def test_trader_that_closes_while_no_daemon_runs_and_is_adopted_in_time_is_never_told_of(rig: Rig) -> None:
    """Its goodbye is in its journal, and whoever offers that says it."""
    daemon = rig.start()
    with trader_on(rig) as trader:
        trader.publish(3)
        wait_until(lambda: trader.stats()["journal_alerts"] == 0, 20.0)
        daemon.kill()
        assert not trader.order("close", timeout=0.2)["settled"]
    with trader_on(rig, "third_trader") as heir, rig.daemon():  # it starts, and so adopts, before the daemon listens
        heir.publish(1)
        wait_until(lambda: heir.stats()["journal_alerts"] == 0, 20.0)
        let_a_witness_die(rig)
        assert told(rig) == [("PUBLISHER_SILENT", "other_trader")]


def test_trader_that_crashes_while_no_daemon_runs_leaves_what_drain_delivers(
    rig: Rig, provider: ProviderServer
) -> None:
    """It never starts again; its death is told as well, for nobody could hear it."""
    with trader_on(rig) as trader:
        trader.order("critical", text="the last word")
        assert trader.order("flush", timeout=60.0)["flushed"]
        trader.kill()
    with rig.daemon():
        drained = rig.publish("--drain", "--wait", "30")
        assert drained.returncode == 0, drained.stderr
        wait_until(lambda: sum("the last word" in message.text for message in provider.accepted) == 2, 20.0)
        assert not list((rig.folder / "state").rglob("*.journal"))


@_POSIX
def test_trader_that_is_paused_is_told_of_and_heard_again(rig: Rig) -> None:
    with rig.daemon(), trader_on(rig) as trader:
        wait_heard(rig, "live_trader")
        trader.process.send_signal(signal.SIGSTOP)
        wait_told(rig, ("PUBLISHER_SILENT", "live_trader"))
        trader.process.send_signal(signal.SIGCONT)
        wait_told(rig, ("PUBLISHER_SILENT", "live_trader"), ("PUBLISHER_HEARD", "live_trader"))


@_POSIX
def test_daemon_that_is_paused_accuses_nobody(rig: Rig) -> None:
    """The publishers' heartbeats waited for it."""
    with rig.daemon() as daemon, trader_on(rig) as trader:
        wait_heard(rig, "live_trader")
        daemon.process.send_signal(signal.SIGSTOP)
        beats = trader.order("outlast", seconds=3 * _TIMEOUT_SECONDS)
        daemon.process.send_signal(signal.SIGCONT)
        assert beats["seconds"] > 2 * _TIMEOUT_SECONDS
        let_a_witness_die(rig)
        assert told(rig) == [("PUBLISHER_SILENT", "other_trader")]


def test_loop_that_hangs_is_told_of_and_so_is_its_end(rig: Rig) -> None:
    """Its process beats on."""
    with rig.daemon(), trader_on(rig) as trader:
        trader.order("progress", limit_seconds=1.0)
        wait_told(rig, ("PUBLISHER_HUNG", "live_trader"))
        trader.order("progress", limit_seconds=60.0)
        wait_told(rig, ("PUBLISHER_HUNG", "live_trader"), ("PUBLISHER_MOVES", "live_trader"))


def _run_program(rig: Rig, program: str) -> subprocess.Popen[str]:
    environ = {**rig.environ, "ALERTBUS_SOURCE": "live_trader", "PYTHONPATH": str(_ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", program], env=environ, cwd=rig.folder, stdout=subprocess.PIPE, text=True
    )


def test_trader_that_ends_by_an_exception_is_told_of(rig: Rig) -> None:
    program = (
        "from publisher import Publisher\n"
        "with Publisher.from_environment() as publisher:\n"
        "    publisher.risk_event('X', 'INFO', 'x', wait=20)\n"
        "    raise ValueError\n"
    )
    with rig.daemon():
        with _run_program(rig, program) as process:
            assert process.wait(60) == 1
        wait_told(rig, ("PUBLISHER_FAILED", "live_trader"))
        let_a_witness_die(rig)
        assert told(rig) == [("PUBLISHER_FAILED", "live_trader"), ("PUBLISHER_SILENT", "other_trader")]


@_POSIX
def test_trader_that_ends_by_a_signal_is_told_of(rig: Rig) -> None:
    program = (
        "import time\n"
        "from publisher import Publisher\n"
        "publisher = Publisher.from_environment().start()\n"
        "publisher.close_on_signals()\n"
        "print(publisher.risk_event('X', 'INFO', 'x', wait=20), flush=True)\n"
        "time.sleep(60)\n"
    )
    with rig.daemon():
        with _run_program(rig, program) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "True\n"
            process.terminate()
            assert process.wait(60) == -signal.SIGTERM
        wait_told(rig, ("PUBLISHER_FAILED", "live_trader"))
        (text,) = [
            entry["alert"]["description"]
            for entry in rig.api("/history?limit=100")
            if entry["alert"]["event_type"] == "PUBLISHER_FAILED"
        ]
        assert "ended by signal: SIGTERM" in text
