"""What the delivery policy adds to retention: what is told together, escalated or expired stays until people know."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from sqlalchemy import insert, select

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import (
    Dedup,
    Delivery,
    DeliveryState,
    Dialect,
    DigestKind,
    Done,
    Message,
    PlannedDelivery,
    RetryAt,
)
from subscriber.store import Store, schema
from subscriber.store.digests import NewDigest
from subscriber.store.retention import Pruned
from tests.support.alerts import STREAM, incoming, risk_event
from tests.support.books import ACCEPTED, NETWORK, spoil
from tests.support.clock import FakeClock

DAY_SECONDS = 86_400
DIGEST = NewDigest(DigestKind.STORM, Message("body", "text", Dialect.PLAIN))


@pytest.fixture(autouse=True)
def _begun(store: Store) -> None:
    store.begin(STREAM, "trader-1", 1)


def rows_of(store: Store, table: str) -> list[Any]:
    with store.database.reading() as connection:
        return list(connection.execute(select(schema.metadata.tables[table])))


def add(store: Store, count: int) -> list[Alert]:
    alerts: list[Alert] = [risk_event() for _ in range(count)]
    store.accept([incoming(alert, number, "telegram") for number, alert in enumerate(alerts, 1)], {STREAM: count})
    return alerts


def prune_all(store: Store, clock: FakeClock, bite: int = 100) -> int:
    """Prune everything, in bites; the ledger balances after each. Return how many alerts went."""
    removed = 0
    after: int | None = 0
    while after is not None:
        pruned = store.prune(clock.now_us() + 1, bite, after)
        removed += pruned.alerts
        after = pruned.next_after
        assert store.audit().faults == ()
    return removed


def begun(store: Store) -> tuple[int, list[Delivery]]:
    """Open an attempt for a digest of all that waits."""
    (head,) = store.claim("telegram", "worker", 60, 1)
    members = store.fold(head, "worker", 60, 100)
    return store.open_attempt(members, digest=DIGEST), members


def test_prune_leaves_all_of_a_digest_until_it_is_told(store: Store, clock: FakeClock) -> None:
    """Also a member that a person ended meanwhile: a person may look at the digest that waits."""
    add(store, 3)
    attempt, members = begun(store)
    store.close_attempt(attempt, members, NETWORK, RetryAt(clock.now_us() + 1), 0.1)
    clock.advance(DAY_SECONDS)
    assert prune_all(store, clock) == 0
    (head,) = store.claim("telegram", "worker", 60, 1)
    held = store.claim_digest(head, "worker", 60)
    assert held is not None
    store.close_attempt(store.open_attempt(held.deliveries), held.deliveries, ACCEPTED, Done(), 0.1)
    assert prune_all(store, clock, 2) == 3
    assert rows_of(store, "digest") == rows_of(store, "attempt") == rows_of(store, "attempt_delivery") == []


def test_prune_of_some_of_a_digest_leaves_it_for_the_others(store: Store, clock: FakeClock) -> None:
    add(store, 3)
    attempt, members = begun(store)
    store.close_attempt(attempt, members, ACCEPTED, Done(), 0.1)
    assert store.prune(clock.now_us() + 1, 2).alerts == 2
    assert store.audit().faults == ()
    (digest,) = rows_of(store, "digest")
    assert digest.state == "told"
    assert prune_all(store, clock) == 1
    assert rows_of(store, "digest") == []


def test_prune_leaves_an_alert_that_goes_on_to_be_escalated(store: Store, clock: FakeClock) -> None:
    """With it go its escalation and its acknowledgement."""
    (alert,) = add(store, 1)
    with store.database.writing() as connection:
        connection.execute(
            insert(schema.escalation).values(
                alert_id=alert.id.bytes, ack_within_us=1, channels='["desk"]', turn=1, due_us=clock.now_us()
            )
        )
    claimed = store.claim("telegram", "worker", 60, 1)
    store.close_attempt(store.open_attempt(claimed), claimed, ACCEPTED, Done(), 0.1)
    clock.advance(DAY_SECONDS)
    assert prune_all(store, clock) == 0
    store.acknowledge(alert.id, "kim", "page", "")
    assert prune_all(store, clock) == 1
    assert rows_of(store, "escalation") == rows_of(store, "acknowledgement") == []


def test_prune_leaves_what_expired_until_people_are_told(store: Store, clock: FakeClock) -> None:
    """For a day: where the channel is no more, nobody ever tells it."""
    first, _second = add(store, 2)
    for delivery in store.claim("telegram", "worker", 60, 2):
        store.finish(delivery, DeliveryState.EXPIRED)
    assert store.prune(clock.now_us() + 1, 100) == Pruned()
    spoil(store, "UPDATE notification_queue SET told_by = :key WHERE alert_id = :key", key=first.id.bytes)
    assert store.prune(clock.now_us() + 1, 100).alerts == 1
    clock.advance(DAY_SECONDS)
    assert store.prune(clock.now_us() + 1, 100).alerts == 1


@pytest.mark.parametrize("bite", [1, 3, 100])
def test_prune_of_what_was_counted_instead_of_sent_balances(store: Store, clock: FakeClock, bite: int) -> None:
    """Whichever of a window go first, those that were counted or the one that told of them."""
    random = Random(bite)
    for number in range(1, 41):
        dedup = Dedup(bytes([random.randrange(2)]) * 16, 60 * MICROSECONDS)
        planned = PlannedDelivery("telegram", clock.now_us(), dedup=dedup)
        item = incoming(risk_event(), number, published_us=clock.now_us(), planned=(planned,))
        store.accept([item], {STREAM: number})
        clock.advance(random.uniform(0, 30))
        for delivery in store.claim("telegram", "worker", 60, 10):
            store.close_attempt(store.open_attempt([delivery]), [delivery], ACCEPTED, Done(), 0.1)
        store.prune(clock.now_us() - random.randrange(200) * MICROSECONDS, bite)
        assert store.audit().faults == ()
    states = {row.status for row in rows_of(store, "notification_queue")}
    assert states <= {"pending", "accepted", "suppressed"}
    clock.advance(3600)
    for delivery in store.claim("telegram", "worker", 60, 10):
        store.close_attempt(store.open_attempt([delivery]), [delivery], ACCEPTED, Done(), 0.1)
    prune_all(store, clock, bite)
    assert rows_of(store, "alert") == []
    totals = {row.word: row.total for row in rows_of(store, "ledger_total") if row.scope == "channel"}
    assert totals["planned"] == 40 == totals["accepted"] + totals["suppressed"]
    assert totals["suppressed"] > 0


def test_story_after_retention_still_names_who_told_it(store: Store, clock: FakeClock) -> None:
    (alert,) = add(store, 1)
    spoil(store, "UPDATE notification_queue SET digest = 99, batch = 'silence:99', told_by = :key", key=b"x" * 16)
    story = store.story(alert.id)
    assert story is not None
    json.dumps(story)
    (delivery,) = story["deliveries"]
    assert (delivery["digest"], delivery["silence"]) == (None, None)
    assert delivery["told_by"] is not None
