"""Health and metrics over real HTTP, and what they say while the database is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from subscriber.deliveries import PlannedDelivery
from tests.subscriber.conftest import PostgresqlServer
from tests.support.alerts import incoming, risk_event
from tests.support.provider_server import ProviderServer
from tests.support.running_service import PREFIX, ServiceThread, provider_environ, running_service
from tests.support.waiting import wait_until

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.fixture(scope="module")
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture(scope="module")
def daemon(providers: ProviderServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    with running_service(provider_environ(providers), tmp_path_factory.mktemp("daemon")) as running:
        yield running


def test_healthz_says_that_the_process_answers(daemon: ServiceThread) -> None:
    answer = daemon.http.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "success")
    assert answer.json()["data"]["version"]


def test_readyz_of_a_daemon_at_work_is_200(daemon: ServiceThread) -> None:
    answer = daemon.http.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "success", "data": {"ready": True}})


def test_readyz_without_an_enabled_channel_is_503_with_the_reason(daemon: ServiceThread) -> None:
    desks = daemon.service._parts.desks.values()
    for desk in desks:
        daemon.patch(f"/channels/{desk.name}", {"enabled": False})
    answer = daemon.http.get("/readyz")
    for desk in desks:
        daemon.patch(f"/channels/{desk.name}", {"enabled": True})
    told = {"status": "error", "error": "No channel is enabled.", "code": "not_ready"}
    assert (answer.status_code, answer.json()) == (503, told)


def test_readyz_of_a_stuck_or_ending_daemon_is_503_with_the_reasons(
    daemon: ServiceThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as stuck:
        stuck.setattr("subscriber.assembly._STUCK_SECONDS", -1.0)
        daemon.service.ready.clear()
        answer = daemon.http.get("/readyz")
    daemon.service.ready.set()
    assert answer.status_code == 503
    assert "starting or stopping" in answer.json()["error"]
    assert "not taken from the bus" in answer.json()["error"]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [(None, "text/plain; version=0.0.4"), ("*/*", "text/plain; version=0.0.4"), (OPENMETRICS, OPENMETRICS)],
    ids=["nothing", "anything", "openmetrics"],
)
def test_metrics_come_in_the_format_that_is_asked_for(
    daemon: ServiceThread, accept: str | None, content_type: str
) -> None:
    """Prometheus asks for OpenMetrics, where exemplars are; people and curl get the classic text."""
    answer = daemon.http.get("/metrics", headers={} if accept is None else {"Accept": accept})
    assert answer.status_code == 200  # at once: not every scraper follows a 307
    assert answer.headers["content-type"].startswith(content_type)
    assert "alertbus_build_info" in answer.text
    assert answer.text.endswith("# EOF\n") is (accept == OPENMETRICS)


def test_metrics_follow_an_alert_to_the_phone(daemon: ServiceThread) -> None:
    daemon.post("/test", {"channel": "whatsapp"})
    wait_until(lambda: daemon.metric("alertbus_deliveries_total", channel="whatsapp", state="accepted") == 1)
    assert daemon.metric("alertbus_deliveries_total", channel="whatsapp", state="pending") == 1
    assert daemon.metric("alertbus_attempts_total", channel="whatsapp", outcome="accepted") == 1
    assert daemon.metric("alertbus_end_to_end_seconds_count", channel="whatsapp", severity="INFO") == 1
    exemplars = daemon.http.get("/metrics", headers={"Accept": OPENMETRICS}).text
    assert daemon.history()[0]["alert"]["id"] in exemplars


def test_queue_gauges_follow_what_waits_also_for_forgotten_channels(daemon: ServiceThread) -> None:
    """Since when something waits, and for which channel, even for one that no setting names any more."""
    now = daemon.service._clock.now_us()
    store = daemon.service._store
    store.accept([incoming(risk_event(), 1, published_us=now, planned=(PlannedDelivery("forgotten", now),))])
    wait_until(lambda: daemon.metric("alertbus_queue_deliveries", channel="forgotten") == 1)
    oldest = daemon.metric("alertbus_queue_oldest_timestamp_seconds", channel="forgotten")
    assert oldest == pytest.approx(now / 1e6, abs=0.001)
    shown = {channel["name"]: channel for channel in daemon.get("/status")["channels"]}["forgotten"]
    assert (shown["state"], shown["backlog"]) == ("not_configured", 1)
    (waiting,) = store.fetch_pending_notifications()
    store.mark_notification_sent(waiting["id"], "sent")
    wait_until(lambda: daemon.metric("alertbus_queue_deliveries", channel="forgotten") == 0)
    assert daemon.metric("alertbus_queue_oldest_timestamp_seconds", channel="forgotten") == 0


def test_daemon_whose_database_goes_away_says_so_and_recovers_by_itself(
    providers: ProviderServer, postgresql: PostgresqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process stays, answers, and says what is wrong; when the server is back nobody has to do anything."""
    monkeypatch.setattr("subscriber.assembly._STORE_TROUBLE_SECONDS", 0.2)
    url = postgresql.new_database()
    name = make_url(url).database
    before = len(providers.twilio.accepted)
    with running_service(provider_environ(providers) | {"ALERTBUS_DATABASE_URL": url}, tmp_path) as daemon:
        postgresql.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgresql.end_connections(url)
        assert daemon.http.get("/healthz").status_code == 200
        for path in ("/readyz", f"{PREFIX}/status", f"{PREFIX}/history"):
            answer = daemon.http.get(path)
            assert answer.status_code == 503, path
            assert f"The PostgreSQL database {name}" in answer.json()["error"]
            assert url not in answer.text
        assert daemon.http.post(f"{PREFIX}/test", json={"channel": "whatsapp"}).status_code == 503
        wait_until(lambda: daemon.metric("alertbus_store_errors_total"))
        postgresql.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        wait_until(daemon.is_ready)
        providers.wait_for_accepted(before + 1, provider="twilio", timeout=60)
        assert daemon.get("/status")["running"]
