"""PATCH /channels/{name} over real HTTP: a switch that outlives the daemon, and that every daemon follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.clock import SystemClock
from subscriber.deliveries import PlannedDelivery
from subscriber.errors import StoreError
from subscriber.service import RunOptions
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.provider_faults import error, for_posts, hang
from tests.support.provider_server import ProviderServer
from tests.support.running_service import PREFIX, ServiceThread, provider_environ, running_service
from tests.support.waiting import wait_until

NOTHING = {"suppressed": 0, "handed_over": 0, "released": 0}
WARNING = {"severity": "WARNING", "event_type": "VOLATILITY_HIGH", "symbol": "TNA"}


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def environ(providers: ProviderServer) -> dict[str, str]:
    return provider_environ(providers)


@pytest.fixture
def daemon(environ: dict[str, str], tmp_path: Path) -> Iterator[ServiceThread]:
    with running_service(environ, tmp_path) as running:
        yield running


@pytest.fixture
def store(daemon: ServiceThread) -> Iterator[Store]:
    """The daemon's database, as another process sees it."""
    with Store(daemon.environ["ALERTBUS_DATABASE_URL"]) as opened:
        yield opened


def switch(daemon: ServiceThread, name: str, *, enabled: bool, **fields: Any) -> Any:
    return daemon.patch(f"/channels/{name}", {"enabled": enabled, **fields})


def add(store: Store, *channels: str, severity: str = "WARNING") -> str:
    """Store an alert for channels, as another daemon of the database may, and return its id."""
    now_us = SystemClock().now_us()
    planned = tuple(PlannedDelivery(channel, now_us) for channel in channels)
    alert = risk_event(severity=severity)
    store.accept([incoming(alert, None, stream=None, published_us=now_us, planned=planned)])
    return str(alert.id)


def states(daemon: ServiceThread, alert_id: str) -> dict[str, tuple[str, str | None]]:
    return {each["channel"]: (each["status"], each["why"]) for each in daemon.get(f"/alerts/{alert_id}")["deliveries"]}


def channel_of(daemon: ServiceThread, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in daemon.get("/status")["channels"] if each["name"] == name)
    return found


def test_switch_is_answered_shown_and_recorded(daemon: ServiceThread) -> None:
    off = switch(daemon, "telegram", enabled=False, author="kim", via="page")
    assert off == {"channel": "telegram", "enabled": False, "changed": True, **NOTHING}
    wait_until(lambda: channel_of(daemon, "telegram")["enabled"] is False)
    assert daemon.metric("alertbus_channel_enabled", channel="telegram") == 0
    (change,) = [change for change in daemon.get("/changes") if change["what"] == "channel_switched"]
    assert (change["author"], change["via"]) == ("kim", "page")
    assert change["detail"] == {"channel": "telegram", "enabled": False}
    explained = daemon.post("/routes/explain", WARNING)
    assert {each["channel"]: each["suppressed_by"] for each in explained["channels"]} == {
        "whatsapp": None,
        "telegram": "disabled",
    }
    assert switch(daemon, "telegram", enabled=False)["changed"] is False
    assert switch(daemon, "telegram", enabled=True)["changed"] is True
    assert daemon.metric("alertbus_channel_enabled", channel="telegram") == 1


def test_switch_outlives_the_daemon_and_what_came_meanwhile_is_settled(environ: dict[str, str], tmp_path: Path) -> None:
    with running_service(environ, tmp_path) as daemon:
        switch(daemon, "telegram", enabled=False)
        whole = daemon.environ
    with Store(whole["ALERTBUS_DATABASE_URL"]) as store:
        missed = add(store, "telegram")
    with running_service(whole, tmp_path) as daemon:
        wait_until(lambda: states(daemon, missed)["telegram"] == ("suppressed", "disabled"))
        wait_until(lambda: channel_of(daemon, "telegram")["enabled"] is False)
        assert daemon.metric("alertbus_channel_enabled", channel="telegram") == 0


def test_running_daemon_follows_what_another_switched_in_the_database(
    daemon: ServiceThread, store: Store, providers: ProviderServer
) -> None:
    store.switch_channel("telegram", enabled=False, author="alex", via="cli")
    planned_by_who_did_not_know = add(store, "telegram")
    wait_until(lambda: states(daemon, planned_by_who_did_not_know)["telegram"] == ("suppressed", "disabled"))
    wait_until(lambda: channel_of(daemon, "telegram")["enabled"] is False)
    store.switch_channel("telegram", enabled=True, author="alex", via="cli")
    wait_until(lambda: channel_of(daemon, "telegram")["enabled"])
    told = add(store, "telegram")
    wait_until(lambda: states(daemon, told)["telegram"][0] == "accepted")
    assert len(providers.telegram.accepted) == 1


def test_send_in_flight_is_finished_and_its_answer_counts(
    daemon: ServiceThread, store: Store, providers: ProviderServer
) -> None:
    """The provider hangs while the channel is switched off, and takes the message after that."""
    held = hang()
    providers.telegram.script(for_posts(held))
    alert = add(store, "telegram")
    daemon.service._parts.wake(["telegram"])
    wait_until(lambda: len(providers.telegram.requests) > 0)
    assert switch(daemon, "telegram", enabled=False)["suppressed"] == 0
    assert states(daemon, alert)["telegram"] == ("pending", None)
    held.release()
    wait_until(lambda: states(daemon, alert)["telegram"] == ("accepted", None))


def test_last_channel_off_with_a_critical_waiting_and_another_one_on(
    daemon: ServiceThread, store: Store, providers: ProviderServer
) -> None:
    providers.telegram.always(error(503))
    for name in ("telegram", "whatsapp"):
        switch(daemon, name, enabled=False)
    critical = add(store, "telegram", severity="CRITICAL")
    wait_until(lambda: daemon.metric("alertbus_uncovered_critical_deliveries") == 1)
    assert states(daemon, critical) == {"telegram": ("pending", None)}
    on = switch(daemon, "whatsapp", enabled=True)
    assert (on["suppressed"], on["handed_over"], on["released"]) == (1, 1, 0)
    wait_until(lambda: states(daemon, critical)["whatsapp"][0] == "delivered")
    assert states(daemon, critical)["telegram"] == ("suppressed", "disabled")
    wait_until(lambda: daemon.metric("alertbus_uncovered_critical_deliveries") == 0)
    assert store.audit().faults == ()


def test_dry_run_switches_too(environ: dict[str, str], tmp_path: Path) -> None:
    with running_service(environ, tmp_path, options=RunOptions(dry_run=True)) as daemon:
        switch(daemon, "telegram", enabled=False)
        explained = daemon.post("/routes/explain", WARNING)
        assert {each["channel"]: each["suppressed_by"] for each in explained["channels"]} == {
            "whatsapp": "dry_run",
            "telegram": "disabled",
        }


def test_switch_of_an_unknown_channel_is_404(daemon: ServiceThread) -> None:
    answer = daemon.http.patch(PREFIX + "/channels/signal", json={"enabled": False})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_channel")
    assert "telegram" in answer.json()["error"]


def test_switch_of_a_channel_that_is_no_longer_configured_is_404_and_says_so(
    daemon: ServiceThread, store: Store
) -> None:
    add(store, "desk")
    answer = daemon.http.patch(PREFIX + "/channels/desk", json={"enabled": False})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_channel")
    assert "is in the database, but it is not configured" in answer.json()["error"]
    assert store.channel_switches() == {}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"enabled": "yes"},
        {"enabled": 1},
        {"enabled": None},
        {"enabled": False, "via": "telegram"},
        {"enabled": False, "author": "x" * 129},
        {"enabled": False, "channel": "telegram"},
        [],
    ],
)
def test_switch_with_a_malformed_body_is_422_and_changes_nothing(daemon: ServiceThread, body: Any) -> None:
    answer = daemon.http.patch(PREFIX + "/channels/telegram", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert daemon.service._parts.desks["telegram"].enabled


def test_switch_while_the_database_is_away_is_503_and_changes_nothing(
    daemon: ServiceThread, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_given: object, **_named: object) -> None:
        raise StoreError("The database is away.")

    with monkeypatch.context() as failing:
        failing.setattr(daemon.service._parts.store, "switch_channel", away)
        answer = daemon.http.patch(PREFIX + "/channels/telegram", json={"enabled": False})
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert daemon.service._parts.desks["telegram"].enabled
    assert store.channel_switches() == {}
