"""Whatever happens, and in whatever order: each alert is told, or counted by exactly one message that is."""

from __future__ import annotations

import random
from collections import Counter
from threading import Thread
from uuid import UUID

import pytest

from bus.clock import MICROSECONDS
from subscriber.deliveries import Dedup, DeliveryState, Done, GiveUp, Grouping, Outcome, PlannedDelivery, RetryAt
from subscriber.store import Incoming, Store
from tests.support.alerts import OTHER_STREAM, STREAM, incoming, risk_event
from tests.support.books import ACCEPTED, NETWORK, REJECTED, TIMEOUT
from tests.support.clock import FakeClock
from tests.support.counted import Stored, older

CHANNELS = ("telegram", "desk")
WINDOW_SECONDS = 30
FINGERPRINTS = [Dedup(bytes([number]) * 16, WINDOW_SECONDS * MICROSECONDS) for number in range(4)]
GROUPING = Grouping(2 * MICROSECONDS, 7 * MICROSECONDS)


def tellers(stored: Stored) -> Counter[tuple[str, UUID]]:
    """Return for each delivery that was not counted how many end at it; follows each chain name by name."""
    rows = {(row.channel, row.alert_id): row for row in stored.rows()}
    ends: Counter[tuple[str, UUID]] = Counter()
    for row in rows.values():
        end, steps = row, 0
        while end.why == "dedup":
            end, steps = rows[row.channel, end.told_by], steps + 1
            assert steps <= len(rows), "the chain goes round in a circle"
        ends[end.channel, UUID(bytes=end.alert_id)] += 1
    return ends


def check(stored: Stored) -> None:
    ends = tellers(stored)
    for row in stored.rows():
        if row.why != "dedup":
            assert (row.more or 0) + 1 == ends[row.channel, UUID(bytes=row.alert_id)]
    assert sum(ends.values()) == len(stored.rows())
    assert stored.balanced()


@pytest.mark.parametrize("seed", range(8))
def test_sums_are_exact_whatever_happens(store: Store, store_url: str, clock: FakeClock, seed: int) -> None:
    """Batches of any size and order, replays, channels that fail, people, and a new process at any time."""
    chance = random.Random(seed)
    stored = Stored(store, clock)
    known: list[Incoming] = []
    for _ in range(12):
        with Store(store_url, clock) as now:  # nothing is kept in memory
            for _ in range(5):
                do_something(stored, now, known, chance)
                clock.advance(chance.choice([0, 0.1, 1, 5, 20, 100]))
    check(stored)
    for worker in ("gone", "worker"):
        store.release_worker(worker)
    for _ in range(4):
        clock.advance(1000)
        for channel in CHANNELS:
            send(store, channel, chance, accepted=True)
    assert {row.status for row in stored.rows()}.isdisjoint({"pending", "in_doubt"})
    check(stored)


def do_something(stored: Stored, now: Store, known: list[Incoming], chance: random.Random) -> None:
    match chance.randrange(8):
        case 0 | 1 | 2 | 3:
            batch = [some_alert(stored, chance) for _ in range(chance.choice([1, 1, 2, 5, 40]))]
            known += batch
            again = chance.sample(known, min(len(known), chance.randrange(3)))
            stored.accept(*chance.sample(batch, len(batch)), *again, store=now)
        case 4 | 5:
            send(now, chance.choice(CHANNELS), chance)
        case 6:
            waiting = [row.id for row in stored.rows() if row.status == "pending"]
            for number in waiting and [chance.choice(waiting)]:
                now.mark_notification_sent(number, chance.choice(["sent", "suppressed", "expired"]))
        case _:
            now.claim(chance.choice(CHANNELS), "gone", chance.choice([0.0, 5.0]), 2)


def some_alert(stored: Stored, chance: random.Random) -> Incoming:
    grouping = chance.choice([None, GROUPING])
    item = stored.item(
        *chance.choice([CHANNELS, CHANNELS[:1]]),
        dedup=chance.choice([None, *FINGERPRINTS]),
        grouping=grouping,
        batch="group:desk:TNA" if grouping else chance.choice([None, "quiet:night"]),
        max_age_us=chance.choice([None, 600 * MICROSECONDS]),
    )
    return older(item, chance.choice([0, 0, 3, 60, 1000]))


def send(store: Store, channel: str, chance: random.Random, *, accepted: bool = False) -> None:
    """Send some of what is due, or all of it with success; now and then the worker ends in the middle."""
    now_us = store.database.clock.now_us()
    results: list[tuple[Outcome, Done | RetryAt | GiveUp]] = [
        (ACCEPTED, Done()),
        (NETWORK, RetryAt(now_us + MICROSECONDS)),
        (TIMEOUT, RetryAt(now_us, in_doubt=True)),
        (REJECTED, GiveUp(DeliveryState.DEAD)),
    ]
    for delivery in store.claim(channel, "worker", 5.0, 10_000 if accepted else 3):
        outcome, decision = results[0] if accepted else chance.choice(results)
        attempt = store.open_attempt([delivery])
        if accepted or chance.random() < 0.9:
            store.close_attempt(attempt, [delivery], outcome, decision, 0.1)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_daemons_that_store_at_once_neither_deadlock_nor_tell_twice(
    store: Store, store_url: str, clock: FakeClock
) -> None:
    """Two intakes with streams of their own and alerts alike, and a worker that claims and sends meanwhile."""
    stored = Stored(store, clock)
    store.begin(OTHER_STREAM, "trader-2", 1)
    failures: list[Exception] = []
    replaced: Counter[str] = Counter()

    def daemon(stream: bytes, seed: int) -> None:
        chance = random.Random(seed)
        try:
            with Store(store_url, clock) as own:
                for first in range(1, 401, 20):
                    batch = [alike(stream, number, chance, clock) for number in range(first, first + 20)]
                    replaced.update(own.accept(chance.sample(batch, 20), {stream: first + 19}).replaced)
        except Exception as error:  # noqa: BLE001 - told in the test's thread
            failures.append(error)

    def worker() -> None:
        chance = random.Random(0)
        try:
            with Store(store_url, clock) as own:
                for _ in range(40):
                    send(own, chance.choice(CHANNELS), chance)
        except Exception as error:  # noqa: BLE001 - told in the test's thread
            failures.append(error)

    threads = [Thread(target=daemon, args=(stream, seed)) for seed, stream in enumerate((STREAM, OTHER_STREAM))]
    threads.append(Thread(target=worker))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    rows = stored.rows()
    for channel in CHANNELS:
        # one is told at once and one at the end, for each fingerprint
        told = [row for row in rows if row.channel == channel and row.why != "dedup"]
        assert len(told) == 2 * len(FINGERPRINTS)
        assert sum(1 + (row.more or 0) for row in told) == 800
        assert len({row.due_at for row in told if row.more is None and row.batch is not None}) <= 1
    check(stored)


def alike(stream: bytes, number: int, chance: random.Random, clock: FakeClock) -> Incoming:
    now_us = clock.now_us()
    dedup, grouped = chance.choice(FINGERPRINTS), chance.random() < 0.5
    channels = chance.sample(CHANNELS, 2)
    batch, grouping = ("group:desk:TNA", GROUPING) if grouped else (None, None)
    planned = tuple(PlannedDelivery(name, now_us, dedup=dedup, batch=batch, grouping=grouping) for name in channels)
    return incoming(risk_event(severity="WARNING"), number, stream=stream, published_us=now_us, planned=planned)
