"""The daemon's sign of life: it is given while all is well, and no log tells its address."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.errors import ConfigurationError
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.channels.provider_http import MAX_ANSWER_BYTES
from subscriber.monitoring import pinging
from tests.support.clock import START_US, FakeClock
from tests.support.ping_server import TOKEN, PingServer, Slow
from tests.support.pingers import Build, pingers
from tests.support.ports import free_port
from tests.support.waiting import wait_until


@pytest.fixture
def server() -> Iterator[PingServer]:
    with PingServer() as running:
        yield running


@pytest.fixture
def build(server: PingServer) -> Iterator[Build]:
    with pingers(server.url) as build_one:
        yield build_one


def everything_logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return the records with all their fields, and not only their text."""
    return caplog.text + "".join(str(vars(record)) for record in caplog.records)


def test_pinger_asks_at_the_start_and_again_each_interval(server: PingServer, build: Build) -> None:
    pinger = build(f"{server.url}?status=up", clock=FakeClock())
    pinger.start()
    wait_until(lambda: server.count >= 3)
    assert {(method, target) for method, target, _ in server.requests} == {("GET", f"/{TOKEN}?status=up")}
    assert server.requests[0][2]["User-Agent"] == "alertbus"
    assert (pinger.last_success_us, pinger.failures) == (START_US, 0)


def test_pinger_with_a_long_interval_asks_once(server: PingServer, build: Build) -> None:
    """What follows the first request is the wait, and the stop ends it."""
    pinger = build(interval_seconds=3600)
    pinger.start()
    wait_until(lambda: pinger.last_success_us is not None)
    pinger.stop()
    assert not pinger._thread.is_alive()
    assert server.count == 1


def test_pinger_is_silent_while_the_daemon_is_not_well_and_asks_again_after(
    server: PingServer, build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    looks = 0
    reasons = ["The database is locked.", "No channel is enabled."]

    def not_ready() -> list[str]:
        nonlocal looks
        looks += 1
        return reasons

    pinger = build(not_ready=not_ready, clock=FakeClock())
    pinger.start()
    wait_until(lambda: looks >= 10)
    assert (server.count, pinger.last_success_us, pinger.failures) == (0, None, 0)
    reasons = []
    wait_until(lambda: server.count >= 2)
    reasons = ["No channel is enabled."]
    after = looks + 2  # the look that is under way may have seen that all was well
    wait_until(lambda: looks >= after)
    count = server.count
    wait_until(lambda: looks >= after + 10)
    assert server.count == count
    (record,) = caplog.records
    assert record.getMessage() == "not pinging: the daemon is not well"
    assert vars(record)["why"] == "The database is locked. No channel is enabled."


def test_pinger_looks_again_soon_after_what_was_not_well(
    server: PingServer, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blip costs seconds and not an interval, which whoever watches would take for a death."""
    monkeypatch.setattr(pinging, "_AGAIN_SECONDS", 0.01)
    given = [["The database is locked."], ["The database is locked."]]
    server.answers.append(500)
    pinger = build(not_ready=lambda: given.pop() if given else [], interval_seconds=3600)
    pinger.start()
    wait_until(lambda: pinger.last_success_us is not None)
    assert (server.count, pinger.failures) == (2, 1)


@pytest.mark.parametrize("status", [301, 404, 429, 500, 503])
def test_pinger_answered_by_another_status_counts_and_logs_it(
    server: PingServer, build: Build, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    server.answers.append(status)
    pinger = build()
    pinger.start()
    wait_until(lambda: pinger.last_success_us is not None)
    assert pinger.failures == 1
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("WARNING", "a ping failed")
    assert vars(record)["why"] == f"answered {status}"


def test_pinger_follows_no_redirect(server: PingServer, build: Build) -> None:
    """It would carry the token elsewhere."""
    server.answers += [302, 307]
    server.location = f"http://127.0.0.1:{server.port}/elsewhere"
    pinger = build()
    pinger.start()
    wait_until(lambda: server.count >= 4)
    assert pinger.failures == 2
    assert {target for _, target, _ in server.requests} == {f"/{TOKEN}"}


def test_pinger_refused_counts_each_and_logs_one_a_minute(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    pinger = build(f"http://127.0.0.1:{free_port()}/{TOKEN}", clock=clock)
    pinger.start()
    wait_until(lambda: pinger.failures >= 5)
    assert [record.getMessage() for record in caplog.records] == ["a ping failed"]
    clock.advance(60)
    wait_until(lambda: len(caplog.records) == 2)
    assert "Refused" in vars(caplog.records[0])["why"]
    assert vars(caplog.records[1])["held_back"] >= 4
    assert pinger.last_success_us is None


@pytest.mark.parametrize("how", Slow)
def test_pinger_whose_answer_never_ends_gives_up_at_the_deadline(
    server: PingServer, build: Build, caplog: pytest.LogCaptureFixture, how: Slow
) -> None:
    """Each byte of one that drips comes in time; only a deadline for all of it ends it."""
    server.answers.append(how)
    pinger = build(deadline_seconds=0.2)
    pinger.start()
    wait_until(lambda: pinger.last_success_us is not None)
    assert pinger.failures == 1
    assert vars(caplog.records[0])["why"] == "no answer within 0.2 s"
    assert server.gave_up.wait(10)


def test_pinger_takes_a_huge_answer_without_keeping_it(server: PingServer, build: Build) -> None:
    server.body = b"x" * (MAX_ANSWER_BYTES * 4)
    pinger = build()
    pinger.start()
    wait_until(lambda: server.count >= 2)
    assert pinger.failures == 0


def test_pinger_goes_on_after_a_bug(server: PingServer, build: Build, caplog: pytest.LogCaptureFixture) -> None:
    failures = [ZeroDivisionError("a bug")]

    def not_ready() -> list[str]:
        if failures:
            raise failures.pop()
        return []

    build(not_ready=not_ready).start()
    wait_until(lambda: server.count >= 1)
    assert [record.getMessage() for record in caplog.records] == ["the ping failed unexpectedly"]


def test_pinger_tells_no_log_its_address_at_any_level(
    server: PingServer, build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    """Libraries included: urllib3 logs each path at DEBUG."""
    caplog.set_level(logging.DEBUG)
    server.answers += [500, 302, Slow.HANG]
    server.location = f"/{TOKEN}/again"
    pinger = build(deadline_seconds=0.1)
    pinger.start()
    wait_until(lambda: pinger.last_success_us is not None)
    for url in (f"http://127.0.0.1:{free_port()}/{TOKEN}", f"http://*.invalid/{TOKEN}", f"https://127.0.0.1:1/{TOKEN}"):
        other = build(url)
        other.start()
        wait_until(lambda other=other: other.failures >= 1)  # type: ignore[misc]
        other.stop()
    assert caplog.records
    assert TOKEN not in everything_logged(caplog)
    assert f":{server.port}" not in everything_logged(caplog)


def test_pinger_uses_the_machines_proxy(server: PingServer, build: Build) -> None:
    """The proxy is asked for the whole address."""
    environment = HttpEnvironment.read({"HTTP_PROXY": f"127.0.0.1:{server.port}"})
    build(f"http://ping.invalid/{TOKEN}", environment=environment).start()
    wait_until(lambda: server.count >= 1)
    assert server.requests[0][1] == f"http://ping.invalid/{TOKEN}"


def test_pinger_with_an_unreadable_ca_bundle_is_a_fault_of_the_configuration(build: Build, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("nothing")
    with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE must name certificates"):
        build(environment=HttpEnvironment.read({"REQUESTS_CA_BUNDLE": str(bundle)}))
