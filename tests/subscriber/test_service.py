"""The daemon as a whole, in a thread: what it does at its start and its end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.clock import SystemClock
from subscriber.deliveries import PlannedDelivery
from subscriber.errors import StoreError
from subscriber.greeting import NO_CREDENTIALS, TRY_NEXT
from subscriber.service import RunOptions
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.provider_faults import hang
from tests.support.provider_server import ProviderServer
from tests.support.running_service import ServiceThread, daemon_environ, provider_environ, running_service
from tests.support.waiting import wait_until


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A whole configuration without credentials."""
    return daemon_environ({}, tmp_path)


def add_alert(url: str, *channels: str) -> None:
    now = SystemClock().now_us()
    with Store(url) as store:
        planned = tuple(PlannedDelivery(channel, now) for channel in channels)
        store.accept([incoming(risk_event(), published_us=now, planned=planned)])


def test_service_without_credentials_greets_as_a_dry_run(environ: dict[str, str], tmp_path: Path) -> None:
    """Whoever starts it for the first time reads what it does, what to set, and what to try."""
    with running_service(environ, tmp_path) as daemon:
        assert daemon.said[0].startswith(NO_CREDENTIALS.partition("{")[0])
        assert daemon.said[1].startswith(TRY_NEXT.partition("{")[0])
        assert "alertbus-publish" in daemon.said[1]
        status = daemon.get("/status")
        assert (status["dry_run"], daemon.metric("alertbus_dry_run")) == (True, 1)
        assert {channel["state"] for channel in status["channels"]} == {"dry_run"}
        assert {channel["name"] for channel in status["channels"]} == {"telegram", "whatsapp"}


def test_service_in_dry_run_with_credentials_says_so_and_requests_nothing(
    providers: ProviderServer, tmp_path: Path
) -> None:
    environ = provider_environ(providers, "telegram", "meta")
    with running_service(environ, tmp_path, options=RunOptions(dry_run=True)) as daemon:
        assert daemon.said[0] == "DRY RUN: nothing is sent; below is shown what would be."
        assert [text.startswith(TRY_NEXT.partition("{")[0]) for text in daemon.said[1:]] == [True]
        daemon.post("/test", {"text": "Only a rehearsal"})
        wait_until(lambda: len(daemon.said) == 4)
        shown = "\n".join(daemon.said[2:])
        for words in ("DRY RUN telegram would send (POST", "DRY RUN whatsapp would send (POST", "    Only a rehearsal"):
            assert words in shown
        assert all(secret not in shown for secret in environ.values() if secret != providers.url)
    assert providers.telegram.requests == providers.meta.requests == []


def test_service_with_credentials_says_nothing_to_the_console(providers: ProviderServer, tmp_path: Path) -> None:
    with running_service(provider_environ(providers), tmp_path) as daemon:
        assert daemon.metric("alertbus_dry_run") == 0
    assert daemon.said == []


def test_service_stopped_leaves_no_thread_and_no_port(providers: ProviderServer, tmp_path: Path) -> None:
    """Everything it opened is closed, also what answered requests: the same ports can be had at once."""
    before = set(threading.enumerate())
    with running_service(provider_environ(providers), tmp_path) as daemon:
        daemon.post("/test", {})
        names = {thread.name for thread in threading.enumerate()}
        assert {"ingest", "deliver:telegram", "deliver:whatsapp", "housekeeping"} <= names
    connections = {"provider-server"}  # the far ends of kept-alive connections are the provider's
    wait_until(
        lambda: (
            {
                thread.name
                for thread in set(threading.enumerate()) - before
                if "process_request_thread" not in thread.name and thread.name not in connections
            }
            == set()
        )
    )
    with running_service(daemon.environ, tmp_path) as again:
        assert again.states() == {"telegram": ["accepted"], "whatsapp": ["delivered"]}  # its test waits for receipts


def test_service_asked_to_stop_before_it_runs_ends_without_serving(environ: dict[str, str], tmp_path: Path) -> None:
    daemon = ServiceThread(environ, options=RunOptions())
    daemon.service.ask_to_stop()
    daemon.service.ask_to_stop()
    daemon.service.run()
    assert not daemon.is_ready()
    daemon.http.close()


def test_service_starts_with_what_its_dead_self_held(providers: ProviderServer, tmp_path: Path) -> None:
    """Nobody waits for a lease of a daemon that was killed: the port proves that it is gone."""
    environ = daemon_environ(provider_environ(providers), tmp_path)
    add_alert(environ["ALERTBUS_DATABASE_URL"], "telegram", "whatsapp")
    with running_service(environ, tmp_path) as daemon:
        names = [worker.name for worker in daemon.service._parts.workers]
    with Store(environ["ALERTBUS_DATABASE_URL"]) as store:
        for waiting in store.history(1)[0]["deliveries"]:
            store.mark_notification_sent(waiting["id"], "pending")
        for name in names:
            store.claim(name.split("/")[-2], name, 3600.0, 1)
    before = len(providers.accepted)
    with running_service(environ, tmp_path):
        providers.wait_for_accepted(before + 2)


def test_service_switches_off_what_is_not_chosen_and_keeps_what_has_no_credentials(
    providers: ProviderServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environ = daemon_environ(provider_environ(providers), tmp_path)
    add_alert(environ["ALERTBUS_DATABASE_URL"], "telegram", "forgotten")
    with running_service(environ, tmp_path) as daemon:
        wait_until(lambda: daemon.states() == {"telegram": ["accepted"], "forgotten": ["pending"]})
    assert "deliveries wait for a channel without credentials" in caplog.text
    with running_service(environ | {"NOTIFICATION_CHANNELS": "telegram"}, tmp_path) as daemon:
        assert daemon.states() == {"telegram": ["accepted"], "forgotten": ["suppressed"]}
    assert "suppressed what waited for a channel that is switched off" in caplog.text


def test_service_stopped_while_it_sends_waits_for_the_answer(providers: ProviderServer, tmp_path: Path) -> None:
    slow = hang()
    providers.telegram.script(slow)
    environ = daemon_environ(provider_environ(providers), tmp_path)
    add_alert(environ["ALERTBUS_DATABASE_URL"], "telegram")
    with running_service(environ, tmp_path) as daemon:
        providers.wait_for_requests(1, provider="telegram")
        daemon.service.ask_to_stop()
        wait_until(lambda: not daemon.service.ready.is_set())
        slow.release()
    with Store(environ["ALERTBUS_DATABASE_URL"]) as store:
        assert store.channel_counts() == {"telegram": {"accepted": 1}}


def test_service_stopped_while_a_send_lasts_too_long_leaves_it_in_doubt(
    providers: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends all the same; the next start sends it again and says that it may be a repeat."""
    monkeypatch.setattr("subscriber.service.STOP_SECONDS", 0.2)
    stuck = hang()
    providers.telegram.script(stuck)
    environ = daemon_environ(provider_environ(providers), tmp_path)
    add_alert(environ["ALERTBUS_DATABASE_URL"], "telegram")
    with running_service(environ, tmp_path):
        providers.wait_for_requests(1, provider="telegram")
    assert "a send still lasts and is left in doubt" in caplog.text
    stuck.release()
    with Store(environ["ALERTBUS_DATABASE_URL"]) as store:
        assert store.channel_counts() == {"telegram": {"in_doubt": 1}}
    with running_service(environ, tmp_path) as again:
        wait_until(lambda: again.states() == {"telegram": ["accepted"]})
    assert "Possible repeat" in providers.telegram.accepted[-1].text


@pytest.mark.parametrize("failure", [StoreError("The disk is full."), ZeroDivisionError("a bug")], ids=["store", "bug"])
def test_service_that_can_not_give_leases_back_ends_all_the_same(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(_name: str) -> int:
        raise failure

    uncaught: list[object] = []
    monkeypatch.setattr(threading, "excepthook", uncaught.append)
    with running_service(environ, tmp_path) as daemon:
        monkeypatch.setattr(daemon.service._store, "release_worker", fail)
        daemon.service.ask_to_stop()
        wait_until(lambda: daemon.service._server is not None and daemon.service._server.should_exit)
        monkeypatch.undo()


def test_housekeeping_goes_on_after_any_failure(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The gauges are set again as soon as the database lets them."""
    monkeypatch.setattr("subscriber.service._HOUSEKEEPING_SECONDS", 0.005)
    caplog.set_level(logging.DEBUG, "subscriber.service")
    failures: list[Exception] = [StoreError("The disk is full."), ZeroDivisionError("a bug")]
    with running_service(environ, tmp_path) as daemon:
        real = daemon.service._parts.measure

        def measure() -> None:
            if failures:
                raise failures.pop(0)
            real()

        monkeypatch.setattr(daemon.service._parts, "measure", measure)
        add_alert(environ["ALERTBUS_DATABASE_URL"], "archive")
        wait_until(lambda: daemon.metric("alertbus_queue_deliveries", channel="archive") == 1)
    assert "housekeeping waits: The disk is full." in caplog.text
    assert "housekeeping failed unexpectedly" in caplog.text


def test_service_says_little_and_no_library_speaks(
    providers: ProviderServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A start and an end are one line each; no secret is in either."""
    caplog.set_level(logging.INFO)
    environ = provider_environ(providers)
    with running_service(environ, tmp_path) as daemon:
        daemon.get("/status")
        daemon.http.get("/nowhere")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("subscriber", "uvicorn"))]
    assert ours == ["ready"]
    assert all(value not in caplog.text for name, value in environ.items() if not name.startswith("ALERTBUS_"))
