"""Removing what is old: all of it or nothing, never what somebody still waits for, and the ledger balances."""

from __future__ import annotations

from collections import Counter
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select

from subscriber.deliveries import DeliveryState, Done, GiveUp, PlannedDelivery, Why
from subscriber.store import Incoming, Store, schema
from subscriber.store.retention import Pruned
from tests.support.alerts import OTHER_STREAM, STREAM, agent_action, incoming, risk_event, system_event
from tests.support.books import ACCEPTED, REJECTED, Books, spoil
from tests.support.clock import START_US, FakeClock
from tests.support.receipted import CHANNEL, Sender

DAY_SECONDS = 86_400


def rows_of(store: Store, table: str) -> list[Any]:
    with store.database.reading() as connection:
        return list(connection.execute(select(schema.metadata.tables[table])))


def totals_of(store: Store, scope: str, name: str) -> dict[str, int]:
    return {row.word: row.total for row in rows_of(store, "ledger_total") if (row.scope, row.name) == (scope, name)}


def suppressed(channel: str) -> PlannedDelivery:
    return PlannedDelivery(channel, START_US, DeliveryState.SUPPRESSED, Why.DISABLED)


def prune_all(store: Store, clock: FakeClock, bite: int = 100) -> Counter[str]:
    """Prune everything that is a second old, in bites; the ledger balances after each."""
    clock.advance(1)
    removed: Counter[str] = Counter()
    after: int | None = 0
    while after is not None:
        pruned = store.prune(clock.now_us(), bite, after)
        removed += Counter(alerts=pruned.alerts, deliveries=pruned.deliveries, attempts=pruned.attempts)
        after = pruned.next_after
        assert store.audit().faults == ()
    return removed


def told(store: Store, number: int, *channels: str) -> Incoming:
    """Store an alert under a number, and let every channel accept it."""
    item = incoming(risk_event(), number, *channels)
    store.accept([item], {STREAM: number})
    for channel in channels:
        claimed = store.claim(channel, "worker", 60, 1)
        store.close_attempt(store.open_attempt(claimed), claimed, ACCEPTED, Done(), 0.1)
    return item


def test_prune_removes_an_old_alert_with_all_that_hangs_on_it(store: Store, clock: FakeClock) -> None:
    store.begin(STREAM, "trader-1", 1)
    told(store, 1, "telegram", "whatsapp")
    clock.advance(DAY_SECONDS)
    young = told(store, 2, "telegram")
    assert store.prune(clock.now_us() - 1, 100) == Pruned(alerts=1, deliveries=2, attempts=2)
    assert [row.id for row in rows_of(store, "alert")] == [young.alert.id.bytes]
    assert [len(rows_of(store, name)) for name in ("notification_queue", "attempt", "attempt_delivery")] == [1, 1, 1]
    assert totals_of(store, "stream", STREAM.hex()) == {"stored": 1, "highest": 1}
    assert totals_of(store, "channel", "telegram") == {"planned": 1, "accepted": 1}
    assert totals_of(store, "channel", "whatsapp") == {"planned": 1, "accepted": 1}
    assert store.audit().faults == ()


def test_prune_of_what_is_stored_at_the_bound_waits(store: Store, clock: FakeClock) -> None:
    """By when it was stored, in the daemon's time: a trader's wrong clock removes nothing."""
    store.begin(STREAM, "trader-1", 1)
    store.accept([incoming(agent_action(), 1, published_us=1)], {STREAM: 1})
    assert store.prune(clock.now_us(), 100) == Pruned()
    assert store.prune(clock.now_us() + 1, 100).alerts == 1


def test_prune_again_adds_up(store: Store, clock: FakeClock) -> None:
    store.begin(STREAM, "trader-1", 1)
    for number in range(1, 8):
        told(store, number, "telegram")
        assert prune_all(store, clock)["alerts"] == 1
    assert totals_of(store, "stream", STREAM.hex()) == {"stored": 7, "highest": 7}
    assert totals_of(store, "channel", "telegram") == {"planned": 7, "accepted": 7}


def test_prune_looks_at_so_many_and_says_where_to_go_on(store: Store, clock: FakeClock) -> None:
    store.begin(STREAM, "trader-1", 1)
    store.accept([incoming(agent_action(), number) for number in range(1, 8)], {STREAM: 7})
    clock.advance(1)
    first = store.prune(clock.now_us(), 3)
    assert first.alerts == 3
    assert first.next_after is not None
    second = store.prune(clock.now_us(), 3, first.next_after)
    assert (second.alerts, len(rows_of(store, "alert"))) == (3, 1)
    assert store.prune(clock.now_us(), 3, second.next_after or 0) == Pruned(alerts=1)


@pytest.mark.parametrize("bite", [1, 3, 1000])
def test_prune_of_everything_that_can_happen_leaves_what_people_wait_for(
    store: Store, clock: FakeClock, bite: int
) -> None:
    """The same whatever the bites: two alerts of one number, duplicates and their alerts fall into different ones."""
    books = Books(store, clock)
    books.write()
    clock.advance(DAY_SECONDS)
    assert prune_all(store, clock, bite) == Counter(alerts=9, deliveries=6, attempts=6)
    left = {row.id for row in rows_of(store, "alert")}
    named = {name: alert.id.bytes for name, alert in books.alerts.items()}
    assert {name for name, key in named.items() if key in left} == {
        "pending", "in_doubt", "open", "taken_over", "again", "silence"
    }  # fmt: skip
    assert {row.status for row in rows_of(store, "notification_queue")} == {"pending", "in_doubt", "suppressed"}
    assert {(row.mark, row.first) for row in rows_of(store, "stream_mark")} == {
        ("lost", 42), ("lost", 45), ("lost", 50)
    }  # fmt: skip
    assert totals_of(store, "stream", STREAM.hex()) == {"stored": 6, "highest": 11}
    assert totals_of(store, "stream", OTHER_STREAM.hex()) == {"stored": 1, "duplicate": 2, "highest": 48}
    assert prune_all(store, clock) == Counter()


@pytest.mark.parametrize("state", ["pending", "in_doubt"])
def test_prune_never_removes_what_is_still_to_be_sent(store: Store, clock: FakeClock, state: str) -> None:
    store.begin(STREAM, "trader-1", 1)
    told(store, 1, "telegram", "whatsapp")
    whatsapp = next(row for row in rows_of(store, "notification_queue") if row.channel == "whatsapp")
    store.mark_notification_sent(whatsapp.id, state)
    clock.advance(10_000 * DAY_SECONDS)
    assert store.prune(clock.now_us(), 100) == Pruned()
    store.mark_notification_sent(whatsapp.id, "dead")
    assert store.prune(clock.now_us(), 100) == Pruned(alerts=1, deliveries=2, attempts=2)


@pytest.mark.parametrize("begun", [False, True])
def test_prune_never_removes_what_is_not_acknowledged(store: Store, clock: FakeClock, begun: bool) -> None:
    """Above the position, or of a stream whose start nobody knows: a replay of it must be known as one."""
    if begun:
        store.begin(STREAM, "trader-1", 1)
    store.accept([incoming(agent_action(), 2)])
    assert prune_all(store, clock) == Counter()
    if begun:
        store.accept([incoming(agent_action(), 1)], {STREAM: 2})
        assert prune_all(store, clock) == Counter(alerts=2)


def test_prune_never_removes_an_alert_whose_duplicate_is_not_acknowledged(store: Store, clock: FakeClock) -> None:
    store.begin(STREAM, "trader-1", 1)
    store.begin(OTHER_STREAM, "trader-1", 1)
    item = told(store, 1, "telegram")
    store.accept([incoming(item.alert, 2, stream=OTHER_STREAM)])
    assert prune_all(store, clock) == Counter()
    store.accept([incoming(agent_action(), 1, stream=OTHER_STREAM)], {OTHER_STREAM: 2})
    assert prune_all(store, clock)["alerts"] == 2
    assert totals_of(store, "stream", OTHER_STREAM.hex()) == {"stored": 1, "duplicate": 1, "highest": 2}


@pytest.mark.parametrize("column", ["silence", "hang"])
def test_prune_never_removes_what_told_of_a_publisher_whose_end_is_untold(
    store: Store, clock: FakeClock, column: str
) -> None:
    store.begin(STREAM, "trader-1", 1)
    event = system_event()
    item = incoming(event, None, stream=None, planned=(suppressed("telegram"),))
    end = incoming(system_event(), None, stream=None, planned=(suppressed("telegram"),))
    if column == "silence":
        store.tell_silence(STREAM, "trader-1", None, item)
    else:
        store.tell_hang(STREAM, item)
    assert prune_all(store, clock) == Counter()
    if column == "silence":
        store.tell_silence_ended(STREAM, event.id.bytes, end, beats_again=True)
    else:
        store.tell_hang_ended(STREAM, event.id.bytes, end)
    assert prune_all(store, clock)["alerts"] == 2


def test_prune_keeps_an_attempt_of_several_deliveries_until_the_last_goes(store: Store, clock: FakeClock) -> None:
    """As a digest has it."""
    store.begin(STREAM, "trader-1", 1)
    for number in (1, 2):
        store.accept([incoming(risk_event(), number, "telegram")], {STREAM: number})
    claimed = store.claim("telegram", "worker", 60, 10)
    store.close_attempt(store.open_attempt(claimed), claimed, ACCEPTED, Done(), 0.1)
    clock.advance(1)
    first = store.prune(clock.now_us(), 1)
    assert (first.alerts, first.attempts) == (1, 0)
    assert len(rows_of(store, "attempt_delivery")) == 1
    assert store.audit().faults == ()
    assert store.prune(clock.now_us(), 1, first.next_after or 0).attempts == 1


def test_prune_never_removes_a_delivery_that_waits_for_an_answer(store: Store, clock: FakeClock) -> None:
    """Whatever its state says: somebody is about to write the end of its attempt."""
    store.begin(STREAM, "trader-1", 1)
    store.accept([incoming(risk_event(), 1, "telegram")], {STREAM: 1})
    claimed = store.claim("telegram", "worker", 3600, 1)
    attempt = store.open_attempt(claimed)
    spoil(store, "UPDATE notification_queue SET status = 'dead', finished_at = 1")
    clock.advance(1)
    assert store.prune(clock.now_us(), 10) == Pruned()
    store.close_attempt(attempt, claimed, REJECTED, GiveUp(DeliveryState.DEAD), 0.1)
    clock.advance(1)
    assert store.prune(clock.now_us(), 10).alerts == 1


@pytest.mark.parametrize(
    "statement",
    ["UPDATE alert SET planned = '{'", "UPDATE notification_queue SET status = 'gone'", "DELETE FROM stream"],
)
def test_prune_leaves_what_can_not_be_counted_to_the_audit(store: Store, clock: FakeClock, statement: str) -> None:
    store.begin(STREAM, "trader-1", 1)
    told(store, 1, "telegram")
    spoil(store, statement)
    clock.advance(1)
    assert store.prune(clock.now_us(), 10) == Pruned()


def test_prune_carries_a_fault_into_the_totals(store: Store, clock: FakeClock) -> None:
    """A delivery that vanished is not forgotten with its alert."""
    store.begin(STREAM, "trader-1", 1)
    told(store, 1, "telegram", "whatsapp")
    spoil(store, "DELETE FROM attempt_delivery")
    spoil(store, "DELETE FROM notification_queue WHERE channel = 'whatsapp'")
    clock.advance(1)
    assert store.prune(clock.now_us(), 10).alerts == 1
    (fault,) = store.audit().faults
    assert (fault.kind, fault.where) == ("wrong_total", "channel whatsapp")


def test_prune_failure_in_the_middle_removes_nothing(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and totals are one transaction."""
    store.begin(STREAM, "trader-1", 1)
    told(store, 1, "telegram")
    clock.advance(1)

    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(Store, "_write_down", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        store.prune(clock.now_us(), 10)
    assert [len(rows_of(store, name)) for name in ("alert", "notification_queue", "attempt")] == [1, 1, 1]
    monkeypatch.undo()
    assert store.prune(clock.now_us(), 10).alerts == 1


def test_prune_by_two_daemons_beside_one_that_stores_counts_everything_once(
    store: Store, store_url: str, clock: FakeClock
) -> None:
    """Nothing that is stored meanwhile is touched, nobody deadlocks, and no total counts anything twice."""
    store.begin(STREAM, "trader-1", 1)
    store.accept([incoming(agent_action(), n) for n in range(1, 401)], {STREAM: 400})
    clock.advance(10)
    bound = clock.now_us()
    clock.advance(10)
    removed: list[int] = []
    failures: list[Exception] = []

    def prune() -> None:
        try:
            with Store(store_url, clock) as daemon:
                after: int | None = 0
                while after is not None:
                    pruned = daemon.prune(bound, 20, after)
                    removed.append(pruned.alerts)
                    after = pruned.next_after
        except Exception as error:  # noqa: BLE001 - told in the test's thread
            failures.append(error)

    threads = [Thread(target=prune) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(401, 601, 4):
        batch = [incoming(risk_event(), number + more, "telegram") for more in range(4)]
        store.accept([*batch, incoming(batch[0].alert, number, stream=OTHER_STREAM)], {STREAM: number + 3})
        assert store.claim("telegram", "worker", 60, 2)
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(removed) == 400
    assert len(rows_of(store, "alert")) == 200
    assert totals_of(store, "stream", STREAM.hex()) == {"stored": 400, "highest": 400}
    assert store.audit().faults == ()


# --- receipts ---------------------------------------------------------------------------------------------------


def test_prune_removes_receipts_with_their_attempts(store: Store, clock: FakeClock) -> None:
    """Also an acceptance of which nothing more was ever told: nobody waits for a year."""
    sender = Sender(store, clock)
    for number in range(3):
        sender.add()
        sender.send(f"SM{number}")
    sender.tell("delivered", "SM0")
    sender.tell("sent", "SM1")
    assert len(rows_of(store, "receipt")) == 2
    assert prune_all(store, clock) == Counter(alerts=3, deliveries=3, attempts=3)
    assert rows_of(store, "receipt") == []
    assert totals_of(store, "channel", CHANNEL) == {"planned": 3, "accepted": 2, "delivered": 1}


def test_prune_never_removes_a_message_that_failed_and_is_not_settled(store: Store, clock: FakeClock) -> None:
    """It counts as accepted, and is not."""
    sender = Sender(store, clock)
    sender.add()
    sender.send()
    sender.tell("failed")
    assert prune_all(store, clock) == Counter()
    sender.settle(GiveUp(DeliveryState.DEAD))
    assert prune_all(store, clock) == Counter(alerts=1, deliveries=1, attempts=1)
    assert rows_of(store, "receipt") == []


def test_prune_removes_receipts_of_unknown_messages_after_a_week(store: Store, clock: FakeClock) -> None:
    """However long alerts are kept, and whether any are there."""
    sender = Sender(store, clock)
    sender.tell("sent", "SM1")
    clock.advance(DAY_SECONDS)
    sender.tell("sent", "SM2")
    clock.advance(6 * DAY_SECONDS)
    assert store.prune(0, 100) == Pruned()
    clock.advance(1)
    assert store.prune(0, 100) == Pruned(receipts=1)
    assert [row.message_id for row in rows_of(store, "receipt")] == ["SM2"]
    clock.advance(DAY_SECONDS)
    assert store.prune(clock.now_us(), 100, 1) == Pruned()
    assert store.prune(clock.now_us(), 100) == Pruned(receipts=1)


def test_prune_removes_some_receipts_of_unknown_messages_at_a_time(store: Store, clock: FakeClock) -> None:
    sender = Sender(store, clock)
    for number in range(5):
        sender.tell("sent", f"SM{number}")
    clock.advance(8 * DAY_SECONDS)
    assert [store.prune(0, 2).receipts for _ in range(4)] == [2, 2, 1, 0]
