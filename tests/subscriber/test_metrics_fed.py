"""What a running daemon feeds into its metrics: driven from outside, and compared with what was driven."""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import text

from publisher import Publisher, PublisherSettings
from subscriber.store import Store
from tests.support.alerts import risk_event
from tests.support.event_stream import EventStream
from tests.support.ping_server import PingServer
from tests.support.provider_faults import error
from tests.support.provider_server import ProviderServer
from tests.support.running_service import PATIENCE_SECONDS, PREFIX, ServiceThread, provider_environ, running_service
from tests.support.waiting import wait_until

PATIENT: Final = PATIENCE_SECONDS
ROUTES: Final = """
[[routes]]
name = "half"
match = { event_type = "HALF" }
channels = { telegram = "off", whatsapp = "on" }
[[routes]]
name = "all"
match = { severity = ">=INFO" }
channels = ["telegram", "whatsapp"]
"""


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


def publish(daemon: ServiceThread, *events: str, severity: str = "WARNING") -> None:
    """Publish events as a trader does, one by one, each stored before the next."""
    with Publisher(PublisherSettings.from_environment(daemon.environ, None)) as trader:
        for event in events:
            alert = risk_event(event_type=event, severity=severity, source=trader.settings.source)
            assert trader.publish(alert, wait=PATIENT)


def value(daemon: ServiceThread, name: str, **labels: str) -> float | None:
    """Return a sample without a scrape, which would count itself."""
    return daemon.service._parts.metrics.registry.get_sample_value(f"alertbus_{name}", labels)


# --- suppressed ---------------------------------------------------------------------------------------------------


def suppressed_in_the_database(daemon: ServiceThread) -> Counter[tuple[str, str]]:
    """Count what is suppressed now, by channel and why."""
    counted = text("SELECT channel, why, count(*) FROM notification_queue WHERE status = 'suppressed' GROUP BY 1, 2")
    with Store(daemon.environ["ALERTBUS_DATABASE_URL"]) as store, store.database.reading() as connection:
        return Counter({(channel, why): count for channel, why, count in connection.execute(counted)})


def suppressed_by_the_metrics(daemon: ServiceThread) -> Counter[tuple[str, str]]:
    """Count the same by the metrics, which have to agree with one another."""
    by_why: Counter[tuple[str, str]] = Counter()
    by_state: Counter[str] = Counter()
    for family in daemon.service._parts.metrics.registry.collect():
        for sample in family.samples:
            if sample.name == "alertbus_deliveries_suppressed_total" and sample.value:
                by_why[sample.labels["channel"], sample.labels["why"]] = int(sample.value)
            if sample.name == "alertbus_deliveries_total" and sample.labels["state"] == "suppressed":
                by_state[sample.labels["channel"]] += int(sample.value)
    of_channel: Counter[str] = Counter()
    for (channel, _why), count in by_why.items():
        of_channel[channel] += count
    assert of_channel == +by_state
    return by_why


def test_daemon_counts_what_it_suppresses_by_its_true_why(providers: ProviderServer, tmp_path: Path) -> None:
    """By a route, a silence, the window of repeats (before and after it was stored), and a switch, before and after."""
    config = tmp_path / "routes.toml"
    config.write_text(ROUTES)
    environ = {**provider_environ(providers), "ALERTBUS_CONFIG": str(config), "ALERTBUS_DEDUP_WINDOW": "60"}
    with running_service(environ, tmp_path) as daemon:
        publish(daemon, "HALF")
        silence = {"match": {"event_type": "HUSH"}, "seconds": 600, "drops": True, "author": "kim", "reason": "test"}
        daemon.post("/silences", silence)
        publish(daemon, "HUSH")
        publish(daemon, "AGAIN", "AGAIN", "AGAIN", "AGAIN")
        providers.telegram.always(error(503))
        publish(daemon, "WAITS")
        wait_until(lambda: (value(daemon, "attempts_total", channel="telegram", outcome="unavailable") or 0) > 0)
        daemon.patch("/channels/telegram", {"enabled": False})
        publish(daemon, "LATER")
        wait_until(lambda: suppressed_in_the_database(daemon) == suppressed_by_the_metrics(daemon), PATIENT)
        found = suppressed_by_the_metrics(daemon)
    assert found["telegram", "off"] == 1
    assert found["telegram", "silence"] == found["whatsapp", "silence"] == 1
    assert found["whatsapp", "dedup"] == 2
    assert found["telegram", "disabled"] >= 2
    assert {why for _channel, why in found} == {"off", "silence", "dedup", "disabled"}


def test_daemon_in_a_dry_run_suppresses_for_no_other_reason(tmp_path: Path) -> None:
    with running_service({}, tmp_path) as daemon:
        publish(daemon, "REHEARSED")
        wait_until(lambda: suppressed_by_the_metrics(daemon) == suppressed_in_the_database(daemon) != Counter())
        assert {why for _channel, why in suppressed_by_the_metrics(daemon)} == {"dry_run"}


# --- channels -----------------------------------------------------------------------------------------------------


def test_daemon_tells_the_last_success_also_after_a_restart(providers: ProviderServer, tmp_path: Path) -> None:
    name = "channel_last_success_timestamp_seconds"
    with running_service(provider_environ(providers), tmp_path) as daemon:
        assert value(daemon, name, channel="telegram") == 0
        before = daemon.service._clock.now_us() / 1e6
        publish(daemon, "FIRST")
        wait_until(lambda: (value(daemon, name, channel="telegram") or 0) >= before)
    with running_service(daemon.environ, tmp_path) as again:
        noted_us = again.service._store.last_success_us("telegram")
        assert noted_us is not None
        assert value(again, name, channel="telegram") == noted_us / 1e6


def test_daemon_tells_that_a_channel_is_paused_and_resumed(providers: ProviderServer, tmp_path: Path) -> None:
    with running_service(provider_environ(providers), tmp_path) as daemon:
        providers.telegram.always(error(401))
        publish(daemon, "REFUSED")
        wait_until(lambda: value(daemon, "channel_paused", channel="telegram") == 1)
        assert value(daemon, "channel_up", channel="telegram") == 0
        assert value(daemon, "channel_paused", channel="whatsapp") == 0
        providers.telegram.behave()
        daemon.post("/channels/telegram/resume", {"author": "kim"})
        assert value(daemon, "channel_paused", channel="telegram") == 0


# --- the daemon itself --------------------------------------------------------------------------------------------


def test_daemon_tells_when_it_started_and_whether_it_pings(providers: ProviderServer, tmp_path: Path) -> None:
    """Both as soon as it is ready."""
    with running_service({}, tmp_path) as daemon:
        assert value(daemon, "start_timestamp_seconds") == daemon.service._started_us / 1e6 > 0
        assert value(daemon, "ping_configured") == 0
    with PingServer() as pinged:
        environ = {**provider_environ(providers), "ALERTBUS_PING_URL": pinged.url}
        with running_service({**daemon.environ, **environ}, tmp_path) as again:
            assert value(again, "ping_configured") == 1


def test_daemon_counts_every_answer_once_by_its_class(tmp_path: Path) -> None:
    """Those of the application, its refusals, a stream that goes on, and what the server says by itself."""
    with running_service({}, tmp_path) as daemon:

        def counted() -> dict[str, float]:
            return {kind: value(daemon, "http_requests_total", **{"class": kind}) or 0.0 for kind in kinds}

        kinds = ("1xx", "2xx", "3xx", "4xx", "5xx")
        before = counted()
        assert daemon.http.get("/healthz").status_code == 200
        assert daemon.http.get("/nowhere").status_code == 404
        assert daemon.http.delete("/metrics").status_code == 405
        assert daemon.http.post("/webhooks/nobody").status_code == 404
        with EventStream(daemon.url) as stream:
            stream.wait_for("status")
            place = ("127.0.0.1", int(daemon.environ["ALERTBUS_HTTP_PORT"]))
            with closing(socket.create_connection(place, PATIENT)) as stranger:
                stranger.sendall(b"\xff\xfe\r\n\r\n")
                assert stranger.recv(4096).startswith(b"HTTP/1.1 400 Bad Request\r\n")
            after = counted()
    grown = {kind: after[kind] - before[kind] for kind in kinds}
    assert grown == {"1xx": 0, "2xx": 2, "3xx": 0, "4xx": 4, "5xx": 0}


def test_daemon_counts_a_request_that_met_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_service({}, tmp_path) as daemon:
        before = value(daemon, "http_requests_total", **{"class": "5xx"}) or 0.0

        def bug(*_given: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(daemon.service._parts.metrics, "exposition", bug)
        assert daemon.http.get("/metrics").status_code == 500
        assert value(daemon, "http_requests_total", **{"class": "5xx"}) == before + 1


def test_daemon_counts_what_its_log_says_until_it_ends(tmp_path: Path) -> None:
    """Of any logger, at the level of the nearest word; also what can't be written, and nothing below a warning."""
    logger = logging.getLogger("subscriber.test")
    handlers = list(logging.getLogger().handlers)
    with running_service({}, tmp_path) as daemon:

        def counted() -> list[float]:
            levels = ("warning", "error", "critical")
            return [value(daemon, "log_records_total", level=level) or 0.0 for level in levels]

        before = counted()
        logger.info("nothing to count")
        logger.warning("one")
        logger.log(logging.WARNING + 5, "between two words")
        logger.error("the arguments do not fit", extra={"channel": object()})
        logging.getLogger("uvicorn.error").critical("of a library")
        logger.log(logging.CRITICAL + 40, "beyond all words")
        assert [now - then for now, then in zip(counted(), before, strict=True)] == [2, 1, 2]
    assert logging.getLogger().handlers == handlers


def test_daemon_whose_count_fails_logs_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever logs hears nothing of it, and no failure makes a record that would be counted in turn."""
    with running_service({}, tmp_path) as daemon:

        def fails(_level: str) -> None:
            raise RuntimeError("no count")

        (handler,) = [each for each in logging.getLogger().handlers if type(each).__name__ == "_Counter"]
        before = value(daemon, "log_records_total", level="warning")
        with monkeypatch.context() as broken:
            broken.setattr(handler, "_count", fails)
            logging.getLogger("subscriber.test").warning("not counted")
        logging.getLogger("subscriber.test").warning("counted")
        assert value(daemon, "log_records_total", level="warning") == (before or 0.0) + 1
    assert [each for each in caplog.messages if each.endswith("counted")] == ["not counted", "counted"]


def test_daemon_tells_that_its_configuration_stands_refused(tmp_path: Path) -> None:
    config = tmp_path / "routes.toml"
    config.write_text(ROUTES)
    with running_service({"ALERTBUS_CONFIG": str(config)}, tmp_path) as daemon:
        assert value(daemon, "config_refused") == 0
        config.write_text(ROUTES.replace('"telegram", ', '"nobody", '))
        assert daemon.http.post(f"{PREFIX}/reload", json={"author": "kim"}).status_code == 422
        assert value(daemon, "config_refused") == 1
        config.write_text(ROUTES)
        assert daemon.post("/reload", {"author": "kim"})["loaded"]
        assert value(daemon, "config_refused") == 0
