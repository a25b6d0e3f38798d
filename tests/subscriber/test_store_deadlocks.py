"""Transactions that wait for each other on PostgreSQL: few do, and what the server undoes for it is run again."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

import pytest
from sqlalchemy import text

from subscriber.errors import StoreError
from subscriber.store import Store
from subscriber.store.database import repeated
from subscriber.store.fallbacks import lock_alerts
from tests.subscriber.conftest import PostgresqlServer
from tests.support.clock import FakeClock
from tests.support.receipted import CHANNEL, DEAD, TIMEOUT, UNDELIVERED, Sender, taken
from tests.support.waiting import wait_until

pytestmark = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)

YEAR = 365 * 86_400


@pytest.fixture
def sender(store: Store, clock: FakeClock) -> Sender:
    return Sender(store, clock)


def close(sender: Sender) -> Callable[[], object]:
    flight = sender.begin()
    return lambda: sender.end(flight, UNDELIVERED, DEAD, "telegram")


def note(sender: Sender) -> Callable[[], object]:
    sender.send()
    return lambda: sender.tell("delivered")


def settle(sender: Sender) -> Callable[[], object]:
    sender.send()
    sender.tell("failed")
    return lambda: sender.settle(DEAD, "telegram")


def settle_late(sender: Sender) -> Callable[[], object]:
    flight = sender.begin()
    sender.end(flight, TIMEOUT)
    return lambda: sender.store.settle_late(flight.attempt, taken(), receipts=sender.mode)


def claim(sender: Sender) -> Callable[[], object]:
    sender.begin(lease_seconds=-3600.0)
    return lambda: sender.store.claim(CHANNEL, "next", 60.0, 1)


def switch_off(sender: Sender) -> Callable[[], object]:
    sender.begin()
    return lambda: sender.store.switch_off_others(["telegram"])


def settle_switched_off(sender: Sender) -> Callable[[], object]:
    sender.begin(lease_seconds=-3600.0)
    sender.store.switch_channel(CHANNEL, enabled=False, author="kim", via="api")
    return lambda: sender.store.settle_switched_off([CHANNEL, "telegram"], 10)


def close_switched_off(sender: Sender) -> Callable[[], object]:
    flight = sender.begin()
    sender.store.switch_channel(CHANNEL, enabled=False, author="kim", via="api")
    return lambda: sender.end(flight, TIMEOUT, None, "telegram")


def set_by_hand(sender: Sender) -> Callable[[], object]:
    number = sender.begin().delivery.id
    return lambda: sender.store.mark_notification_sent(number, "dead")


def prune(sender: Sender) -> Callable[[], object]:
    sender.send()
    sender.clock.advance(YEAR)
    return lambda: sender.store.prune(sender.clock.now_us(), 10).alerts


@pytest.mark.parametrize(
    "prepare",
    [
        close,
        note,
        settle,
        settle_late,
        claim,
        switch_off,
        settle_switched_off,
        close_switched_off,
        set_by_hand,
        prune,
    ],
)
def test_transaction_that_the_server_undid_for_a_deadlock_is_run_again(
    sender: Sender, store_url: str, postgresql: PostgresqlServer, prepare: Callable[[Sender], Callable[[], object]]
) -> None:
    """Somebody holds the attempt, and then wants the delivery, which is the wrong order."""
    sender.add()
    act = prepare(sender)
    done: list[object] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            done.append(act())
        except Exception as error:  # noqa: BLE001 - told in the test's thread
            failures.append(error)

    before = deadlocks(sender.store)
    thread = Thread(target=run)
    with sender.store.database.writing() as connection:
        connection.execute(text("SET LOCAL deadlock_timeout = '1min'"))  # so that it is the other one that is undone
        connection.execute(text("SELECT id FROM attempt FOR UPDATE"))
        thread.start()
        wait_until(lambda: postgresql.waiting(store_url) == 1)
        connection.execute(text("SELECT id FROM notification_queue FOR UPDATE"))
    thread.join()
    assert failures == []
    assert len(done) == 1
    # a server's session that is idle tells its counts after ten seconds
    wait_until(lambda: deadlocks(sender.store) == before + 1)
    assert sender.store.audit().faults == ()


def deadlocks(store: Store) -> int:
    """Count those that this database ever met; the server tells it a moment later."""
    counted = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    with store.database.reading() as connection:
        return int(connection.execute(counted).scalar_one())


def test_deadlock_that_comes_again_and_again_is_told_after_three_runs(store: Store) -> None:
    runs: list[int] = []

    @repeated
    def always() -> None:
        runs.append(1)
        raised(store, "40P01")

    with pytest.raises(StoreError, match="met a deadlock"):
        always()
    assert len(runs) == 3


def test_two_transactions_that_can_not_follow_each_other_are_run_again(store: Store) -> None:
    runs: list[int] = []

    @repeated
    def once() -> str:
        runs.append(1)
        if len(runs) == 1:
            raised(store, "40001")
        return "done"

    assert (once(), len(runs)) == ("done", 2)


def test_other_failure_is_told_at_once(store: Store) -> None:
    """Waiting for a lock again would double the wait."""
    runs: list[int] = []

    @repeated
    def locked() -> None:
        runs.append(1)
        raised(store, "55P03")

    with pytest.raises(StoreError, match="waiting for a lock"):
        locked()
    assert len(runs) == 1


def raised(store: Store, state: str) -> None:
    """Have the server fail with a SQLSTATE."""
    with store.database.writing() as connection:
        connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'as a test says' USING ERRCODE = '{state}'; END $$")


def test_lock_of_a_hand_over_lets_others_change_a_delivery_of_the_alert_twice(sender: Sender) -> None:
    """A second change in one transaction makes PostgreSQL look at the alert, while whoever hands over waits for it."""
    alert = sender.add(CHANNEL, "desk")
    number = sender.delivery(alert, "desk")["id"]
    changed = text("UPDATE notification_queue SET retries = retries + 1 WHERE id = :id")
    with sender.store.database.writing() as handing:
        lock_alerts(handing, [sender.delivery(alert)["id"]])
        with sender.store.database.writing() as other:
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            for _ in range(2):
                other.execute(changed, {"id": number})
    assert sender.delivery(alert, "desk")["retries"] == 2


def test_lock_of_a_hand_over_keeps_another_one_out(sender: Sender) -> None:
    """Both would plan a delivery of the same channel."""
    ids = [sender.delivery(sender.add())["id"]]
    with sender.store.database.writing() as first:
        lock_alerts(first, ids)
        with pytest.raises(StoreError, match="waiting for a lock"):
            lock_impatiently(sender.store, ids)


def lock_impatiently(store: Store, deliveries: list[int]) -> None:
    with store.database.writing() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '50ms'"))
        lock_alerts(connection, deliveries)
