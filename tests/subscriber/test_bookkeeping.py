"""The daemon's own bookkeeping: old alerts go, the ledger is audited, and neither is in anybody's way."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from subscriber import bookkeeping
from subscriber.bookkeeping import Bookkeeper
from subscriber.errors import StoreError
from subscriber.monitoring.metrics import Metrics
from subscriber.store import Store
from subscriber.store.changes import ChangeKind
from subscriber.store.ledger import Audit
from tests.support.alerts import STREAM, agent_action, incoming
from tests.support.books import spoil
from tests.support.clock import FakeClock
from tests.support.running_service import running_service
from tests.support.waiting import wait_until

DAY_SECONDS = 86_400.0


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bookkeeping, "_TURN_SECONDS", 0.005)
    monkeypatch.setattr(bookkeeping, "_LEAST_REST_SECONDS", 0.0)
    monkeypatch.setattr(bookkeeping, "BITE", 10)


@contextmanager
def keeping(store: Store, metrics: Metrics, clock: FakeClock, **changes: Any) -> Iterator[Bookkeeper]:
    given: dict[str, Any] = {
        "retention_seconds": DAY_SECONDS,
        "audit_interval_seconds": 3600.0,
        "first_audit_seconds": 30.0,
    }
    bookkeeper = Bookkeeper(store, metrics, clock, **{**given, **changes})
    bookkeeper.start()
    try:
        yield bookkeeper
    finally:
        bookkeeper.stop(60)
        assert not bookkeeper._thread.is_alive()


def value(metrics: Metrics, name: str) -> float:
    found = metrics.registry.get_sample_value(f"alertbus_audit_{name}")
    assert found is not None
    return found


def wait_audited(keeper: Bookkeeper, clock: FakeClock) -> None:
    """Wait until an audit has ended; when the next one is due is decided after the metrics tell of it."""
    wait_until(lambda: keeper._audit_at == clock.monotonic() + 3600)


def stored(store: Store, count: int, first: int = 1) -> None:
    store.begin(STREAM, "trader-1", 1)
    batch = [incoming(agent_action(), number) for number in range(first, first + count)]
    store.accept(batch, {STREAM: first + count - 1})


def alerts(store: Store) -> int:
    return len(store.history(500))


def test_bookkeeping_removes_what_is_too_old_and_nothing_else(store: Store, metrics: Metrics, clock: FakeClock) -> None:
    """In bites, until nothing is left, and again once a minute."""
    stored(store, 35)
    with keeping(store, metrics, clock):
        clock.advance(DAY_SECONDS - 10)
        stored(store, 5, first=36)
        clock.advance(60)
        wait_until(lambda: alerts(store) == 5)
        clock.advance(DAY_SECONDS)
        wait_until(lambda: alerts(store) == 0)
    assert store.audit().balanced


def test_bookkeeping_removes_nothing_because_the_clock_was_set_forward(
    store: Store, metrics: Metrics, clock: FakeClock
) -> None:
    """Before anybody puts it right, or a day has passed."""
    trusted = [False]
    stored(store, 5)
    clock.step(100 * DAY_SECONDS)
    with keeping(store, metrics, clock, trusts_clock=lambda: trusted[0]):
        clock.advance(3600)
        wait_until(lambda: value(metrics, "timestamp_seconds") > 0)
        assert alerts(store) == 5
        trusted[0] = True
        clock.advance(3600)
        wait_until(lambda: alerts(store) == 0)


def test_bookkeeping_looks_seldom_where_nothing_may_go(
    store: Store, metrics: Metrics, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for a year is not looked at every minute."""
    store.accept([incoming(agent_action(), 1)])
    clock.advance(2 * DAY_SECONDS)
    looks: list[float] = []
    real = Store.prune

    def prune(self: Store, *given: Any) -> Any:
        looks.append(clock.monotonic())
        return real(self, *given)

    monkeypatch.setattr(Store, "prune", prune)
    with keeping(store, metrics, clock, first_audit_seconds=120.0):
        wait_until(lambda: len(looks) == 1)
        clock.advance(130)
        wait_until(lambda: value(metrics, "timestamp_seconds") > 0)  # it had a turn, and did not look
        assert len(looks) == 1
        clock.advance(3600)
        wait_until(lambda: len(looks) == 2)


def large(store: Store, numbers: range, channel: str | None = None) -> None:
    """Store alerts of 4 KB each, which are for nobody, or wait for a channel."""
    store.begin(STREAM, "trader-1", 1)
    words = Random(numbers.start)  # PostgreSQL makes what repeats itself small
    batch = [
        incoming(agent_action(rationale=words.randbytes(2000).hex()), number, *([channel] if channel else []))
        for number in numbers
    ]
    store.accept(batch, {STREAM: numbers[-1]})


def test_bookkeeping_removes_the_oldest_of_what_is_too_much(
    store: Store, metrics: Metrics, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """However young it is, and no more than has to go; what comes later makes room for itself in the same way."""
    large(store, range(1, 301))
    limit = store.size().bytes
    with caplog.at_level(logging.INFO), keeping(store, metrics, clock, retention_size_bytes=limit):
        large(store, range(301, 401))
        clock.advance(60)
        wait_until(lambda: store.size().bytes <= limit)
        left = [entry["sequence"] for entry in store.history(500)]
        assert left[0] == 400
        assert left == list(range(400, 400 - len(left), -1))
        assert 200 < len(left) < 300
        clock.advance(60)
        wait_until(lambda: "removed the oldest alerts" in caplog.text)
    assert store.audit().balanced
    assert "larger than it should be" not in caplog.text


def test_bookkeeping_of_a_database_that_is_small_enough_removes_nothing(
    store: Store, metrics: Metrics, clock: FakeClock
) -> None:
    large(store, range(1, 101))
    with keeping(store, metrics, clock, retention_size_bytes=10**9, first_audit_seconds=60.0):
        clock.advance(60)
        wait_until(lambda: value(metrics, "timestamp_seconds") > 0)  # it had a turn
    assert alerts(store) == 100


def test_bookkeeping_says_once_an_hour_that_what_is_too_much_is_still_needed(
    store: Store, metrics: Metrics, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits is never removed to make room."""
    large(store, range(1, 51), "telegram")
    large(store, range(51, 101))

    def warnings() -> int:
        return sum(record.getMessage().startswith("the database is larger") for record in caplog.records)

    with keeping(store, metrics, clock, retention_size_bytes=1000):
        wait_until(lambda: warnings() == 1)
        assert alerts(store) == 50
        told_at = clock.monotonic()

        def told_again() -> bool:
            clock.advance(60)
            return warnings() == 2

        wait_until(told_again)
        assert clock.monotonic() - told_at >= 3600
    assert alerts(store) == 50
    assert store.audit().balanced


def test_bookkeeping_tidies_what_hangs_on_no_alert(store: Store, metrics: Metrics, clock: FakeClock) -> None:
    for _ in range(25):
        store.record_change(ChangeKind.CONFIG_LOADED, "kim", "api", {})
    with keeping(store, metrics, clock):
        clock.advance(DAY_SECONDS + 1)
        wait_until(lambda: not store.changes(1))


def test_bookkeeping_audits_a_while_after_the_start_and_then_again(
    store: Store, metrics: Metrics, clock: FakeClock
) -> None:
    stored(store, 5)
    with keeping(store, metrics, clock, retention_seconds=100 * DAY_SECONDS) as keeper:
        assert (value(metrics, "timestamp_seconds"), value(metrics, "faults")) == (0, 0)
        clock.advance(30)
        wait_audited(keeper, clock)
        assert value(metrics, "timestamp_seconds") == clock.now_us() / 1e6
        spoil(store, "DELETE FROM alert WHERE sequence = 3")
        clock.advance(3600)
        wait_until(lambda: value(metrics, "faults") == 1)


def test_bookkeeping_logs_what_does_not_balance(
    store: Store, metrics: Metrics, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    stored(store, 5)
    spoil(store, "DELETE FROM alert WHERE sequence = 3")
    spoil(store, "UPDATE alert SET body = digest WHERE sequence > 3")
    with caplog.at_level(logging.INFO), keeping(store, metrics, clock, first_audit_seconds=0.0):
        wait_until(lambda: value(metrics, "faults") == 3)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.message.startswith("the ledger does not balance")
    assert record.__dict__["kinds"] == "hole 1, changed_body 2"


def test_bookkeeping_tries_again_what_the_database_refused(
    store: Store, metrics: Metrics, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = ["prune", "audit"]

    def failing(name: str) -> Any:
        real = getattr(Store, name)

        def once(self: Store, *given: Any, **named: Any) -> Any:
            if name in failures:
                failures.remove(name)
                raise StoreError("away")
            return real(self, *given, **named)

        return once

    monkeypatch.setattr(Store, "prune", failing("prune"))
    monkeypatch.setattr(Store, "audit", failing("audit"))
    with keeping(store, metrics, clock, first_audit_seconds=0.0):
        wait_until(lambda: not failures)
        assert value(metrics, "timestamp_seconds") == 0
        clock.advance(60)
        wait_until(lambda: value(metrics, "timestamp_seconds") > 0)
    assert metrics.store_errors == 2


def test_bookkeeping_of_an_audit_that_fails_keeps_what_was_found_and_when(
    store: Store, metrics: Metrics, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A time that stands still is what an alert rule sees; the log says why."""
    stored(store, 5)
    spoil(store, "DELETE FROM alert WHERE sequence = 3")

    def away(_self: Store, **_named: object) -> Audit:
        raise StoreError("The database is away.")

    with keeping(store, metrics, clock, first_audit_seconds=0.0) as keeper:
        wait_audited(keeper, clock)
        assert value(metrics, "faults") == 1
        audited = value(metrics, "timestamp_seconds")
        monkeypatch.setattr(Store, "audit", away)
        clock.advance(3600)
        wait_until(lambda: metrics.store_errors)
        assert (value(metrics, "faults"), value(metrics, "timestamp_seconds")) == (1, audited)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == ["the ledger could not be audited, which is tried again in a minute: The database is away."]


def test_bookkeeping_stops_in_the_middle_of_an_audit(
    store: Store, metrics: Metrics, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rests after each snapshot, and a rest ends with the daemon; what was not ended is not told."""
    stored(store, 5)
    resting: list[Audit | None] = []
    monkeypatch.setattr(bookkeeping, "_LEAST_REST_SECONDS", 3600.0)
    monkeypatch.setattr(bookkeeping, "_LONGEST_REST_SECONDS", 3600.0)
    real = Bookkeeper._rest

    def rest(self: Bookkeeper, seconds: float) -> bool:
        resting.append(None)
        return real(self, seconds)

    monkeypatch.setattr(Bookkeeper, "_rest", rest)
    with keeping(store, metrics, clock, first_audit_seconds=0.0):
        wait_until(lambda: resting)
    assert value(metrics, "timestamp_seconds") == 0


def test_daemon_audits_itself_and_removes_what_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    monkeypatch.setattr("subscriber.bookkeeping.FIRST_AUDIT_SECONDS", 0.0)
    with Store(f"sqlite:///{tmp_path / 'alertbus.db'}", clock) as store:
        stored(store, 3)
        clock.advance(2 * DAY_SECONDS)
        with running_service({"ALERTBUS_RETENTION": "86400"}, tmp_path) as daemon:
            wait_until(lambda: daemon.metric("alertbus_audit_timestamp_seconds"))
            wait_until(lambda: alerts(store) == 0)
            assert daemon.metric("alertbus_audit_faults") == 0
