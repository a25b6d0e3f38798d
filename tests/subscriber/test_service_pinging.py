"""The daemon and its sign of life: given after the start, while it is well, and not in a dry run or after the stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.alerts import Severity, SystemEvent
from subscriber.errors import StoreError
from subscriber.monitoring.pinging import Pinger
from subscriber.service import RunOptions
from tests.support.ping_server import TOKEN, PingServer, Slow
from tests.support.provider_faults import hang
from tests.support.provider_server import ProviderServer
from tests.support.running_service import provider_environ, running_service
from tests.support.waiting import wait_until


def asking_often(url: str, **options: Any) -> Pinger:
    """Build a pinger with an interval that the settings would not allow."""
    return Pinger(url, **{**options, "interval_seconds": 0.01})


@pytest.fixture
def pinged() -> Iterator[PingServer]:
    with PingServer() as running:
        yield running


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def environ(pinged: PingServer, providers: ProviderServer) -> dict[str, str]:
    """Credentials, and an address to ask."""
    return provider_environ(providers) | {"ALERTBUS_PING_URL": pinged.url, "ALERTBUS_PING_INTERVAL": "5"}


def test_service_pings_as_soon_as_it_is_ready(pinged: PingServer, environ: dict[str, str], tmp_path: Path) -> None:
    with running_service(environ, tmp_path) as daemon:
        wait_until(lambda: pinged.count >= 1)
        pinger = daemon.service._pinger
        assert pinger is not None
        wait_until(lambda: pinger.last_success_us is not None)
        assert (pinger.last_success_us or 0) >= daemon.service._started_us > 0
        assert "ping" in {thread.name for thread in threading.enumerate()}
    wait_until(lambda: not {"ping", "lane:ping:1"} & {thread.name for thread in threading.enumerate()})


def test_service_without_an_address_pings_nobody(environ: dict[str, str], tmp_path: Path) -> None:
    del environ["ALERTBUS_PING_URL"]
    with running_service(environ, tmp_path) as daemon:
        assert daemon.service._pinger is None
        assert "ping" not in {thread.name for thread in threading.enumerate()}


def test_service_in_dry_run_pings_nobody_and_says_so(
    pinged: PingServer, environ: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody would be told of an alert, so nobody may think that all is well."""
    with running_service(environ, tmp_path, options=RunOptions(dry_run=True)):
        assert "ping" not in {thread.name for thread in threading.enumerate()}
    assert "ALERTBUS_PING_URL is not asked in a dry run" in caplog.text
    assert pinged.count == 0


@pytest.mark.parametrize("trouble", ["not ready", "no write"])
def test_service_that_is_not_well_pings_nobody_until_it_is(
    pinged: PingServer,
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    """A database that can be read and not written is one in which no alert is stored."""
    monkeypatch.setattr("subscriber.service.Pinger", asking_often)
    with running_service(environ, tmp_path) as daemon:
        wait_until(lambda: pinged.count >= 3)
        looks = 0
        with monkeypatch.context() as troubled:

            def not_ready() -> list[str]:
                nonlocal looks
                looks += 1
                return ["The database is locked."] if trouble == "not ready" else []

            def remember(_name: str, _value: str) -> None:
                raise StoreError("The database is locked.")

            if trouble == "no write":
                troubled.setattr(daemon.service._store, "remember", remember)
            troubled.setattr(daemon.service._parts, "not_ready", not_ready)
            wait_until(lambda: looks >= 2)  # the request of the look before is over
            count = pinged.count
            wait_until(lambda: looks >= 7)
            assert pinged.count == count
        wait_until(lambda: pinged.count >= count + 3)
    (why,) = (vars(record)["why"] for record in caplog.records if "not pinging" in record.getMessage())
    assert why == "The database is locked."


def test_service_stops_while_the_pinged_server_hangs(
    pinged: PingServer, environ: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pinged.answers.append(Slow.HANG)
    with running_service(environ, tmp_path):
        wait_until(lambda: pinged.count == 1)
    assert pinged.gave_up.wait(10)
    assert "a ping failed" not in caplog.text
    assert "ping" not in {thread.name for thread in threading.enumerate()}


def test_service_that_stops_gives_no_sign_of_life_while_its_last_sends_end(
    pinged: PingServer, providers: ProviderServer, environ: dict[str, str], tmp_path: Path
) -> None:
    """A request in flight is cut at the beginning of the stop, and not after it."""
    slow = hang()
    providers.telegram.script(slow)
    pinged.answers.append(Slow.HANG)
    with running_service(environ, tmp_path) as daemon:
        wait_until(lambda: pinged.count == 1)
        daemon.service._parts.announcer.announce(
            SystemEvent(source="test", event_type="TEST", severity=Severity.WARNING, description="A test")
        )
        providers.wait_for_requests(1, provider="telegram")
        daemon.service.ask_to_stop()
        assert pinged.gave_up.wait(5)
        slow.release()
    assert pinged.count == 1


def test_service_that_pings_in_vain_is_ready_and_tells_no_address(
    pinged: PingServer, environ: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pinged.answers.append(500)
    with running_service(environ, tmp_path) as daemon:
        wait_until(lambda: "a ping failed" in caplog.text)
        assert daemon.is_ready()
        shown = daemon.http.get("/metrics").text + str(daemon.get("/status"))
    assert TOKEN not in caplog.text + shown + "".join(str(vars(record)) for record in caplog.records)
