"""A process that dies while it switches a channel: the switch is set or not, and what follows is drawn once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from bus.clock import SystemClock
from subscriber.deliveries import PlannedDelivery
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.provider_server import ProviderServer
from tests.support.running_service import (
    ROOT,
    daemon_environ,
    environment_of_a_process,
    provider_environ,
    running_service,
)
from tests.support.waiting import wait_until

#: Runs the command, and dies as by SIGKILL before or after a function of the product.
_VICTIM: Final = """
import importlib, sys
from pathlib import Path
from tests.torture.steps import resolve
from tests.torture.victim import die

target, when, record = sys.argv[1:4]
owner, name = resolve(target)
function = getattr(owner, name)

def dying(*args, **kwargs):
    if when == "after":
        function(*args, **kwargs)
    die(Path(record))

setattr(owner, name, dying)
sys.argv = ["alertbus-subscriber", "disable", "telegram"]
importlib.import_module("subscriber.entry").main()
"""


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def environ(providers: ProviderServer, tmp_path: Path) -> dict[str, str]:
    return daemon_environ(provider_environ(providers), tmp_path)


def add(store: Store, severity: str) -> Any:
    now_us = SystemClock().now_us()
    planned = (PlannedDelivery("telegram", now_us),)
    alert = risk_event(severity=severity)
    store.accept([incoming(alert, None, stream=None, published_us=now_us, planned=planned)])
    return alert.id


@pytest.mark.parametrize(
    ("target", "when", "is_set"),
    [
        ("subscriber.store.channel_switches:note_change", "after", False),  # before COMMIT
        ("subscriber.store.channel_switches:ChannelSwitches.switch_channel", "after", True),
        ("subscriber.store.switching:settle_disabled", "after", True),  # before COMMIT
        ("subscriber.store.switching:Switching.settle_switched_off", "after", True),
    ],
    ids=["inside the switch", "before the effects", "inside the effects", "after the effects"],
)
def test_process_that_dies_while_it_switches_leaves_nothing_half_done(
    environ: dict[str, str], tmp_path: Path, target: str, when: str, *, is_set: bool
) -> None:
    record = tmp_path / "died"
    with Store(environ["ALERTBUS_DATABASE_URL"]) as store:
        warning, critical = add(store, "WARNING"), add(store, "CRITICAL")
        command = [sys.executable, "-c", _VICTIM, target, when, str(record)]
        given = environment_of_a_process(environ)
        subprocess.run(command, cwd=ROOT, env=given, check=False, capture_output=True, timeout=60)
        assert record.exists()
        assert ("telegram" in store.channel_switches(), len(store.changes(5))) == (is_set, int(is_set))
        with running_service(environ, tmp_path) as daemon:
            wait_until(lambda: store.open_counts() == {})
            channels = {each["name"]: each["enabled"] for each in daemon.get("/status")["channels"]}
        assert channels["telegram"] is not is_set
        assert store.audit().faults == ()
        told = {
            key: [(row["channel"], row["status"] == "suppressed") for row in (store.story(key) or {})["deliveries"]]
            for key in (warning, critical)
        }
    assert told == {
        warning: [("telegram", is_set)],
        critical: [("telegram", True), ("whatsapp", False)] if is_set else [("telegram", False)],
    }
