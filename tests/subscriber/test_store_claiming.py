"""Leases: a delivery has one holder at a time, and a holder that goes away leaves it to the next."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import event, update

from bus.alerts import Alert, OpaqueAlert, RiskEvent
from subscriber.deliveries import Delivery, DeliveryState, Outcome, PlannedDelivery, Reason, RetryAt, Why
from subscriber.errors import LeaseLost
from subscriber.store import Store, schema
from tests.support.alerts import agent_action, incoming, risk_event
from tests.support.clock import START_US, FakeClock

EXPIRED = -1.0  # seconds of a lease that has run out by the time it is given, on either database's clock
LEASE = 60.0


def plan(store: Store, count: int = 1, channel: str = "telegram") -> None:
    """Store alerts with one delivery each, the oldest first."""
    known = len(store.history(1000))
    store.accept(
        [
            incoming(risk_event(), known + number, channel, published_us=START_US - 1000 + number)
            for number in range(1, count + 1)
        ]
    )


def claim_one(store: Store, worker: str = "a", lease_seconds: float = LEASE) -> Delivery:
    (delivery,) = store.claim("telegram", worker, lease_seconds, 1)
    return delivery


def test_claim_returns_what_was_planned(store: Store, clock: FakeClock) -> None:
    """A worker gets the alert itself, and all that its decisions need."""
    alert = risk_event()
    store.accept([incoming(alert, 1, "telegram")])
    delivery = claim_one(store)
    assert delivery == Delivery(
        id=delivery.id,
        alert=alert,
        channel="telegram",
        state=DeliveryState.PENDING,
        published_us=START_US,
        due_at_us=START_US,
        retries=0,
        lease=delivery.lease,
        possible_repeat=False,
    )


def test_claim_serves_by_priority_then_the_oldest_first(store: Store) -> None:
    """A CRITICAL overtakes all, trades go before the rest; the same order holds over several claims."""
    alerts: list[tuple[Alert, int]] = [
        (risk_event(severity="INFO"), 1),
        (agent_action(), 2),
        (risk_event(severity="WARNING"), 3),
        (risk_event(), 5),
        (risk_event(), 4),
    ]
    store.accept([incoming(alert, number, "telegram", published_us=START_US - 10 + number) for alert, number in alerts])
    first = store.claim("telegram", "a", LEASE, 3)
    second = store.claim("telegram", "a", LEASE, 3)
    assert [delivery.published_us - START_US + 10 for delivery in first] == [4, 5, 2]
    assert [delivery.published_us - START_US + 10 for delivery in second] == [3, 1]


def test_claim_leaves_what_is_not_due(store: Store, clock: FakeClock) -> None:
    """What is planned for later is claimed later."""
    later = PlannedDelivery("telegram", START_US + 5_000_000)
    store.accept([incoming(risk_event(), 1, planned=(later,))])
    assert store.claim("telegram", "a", LEASE, 10) == []
    assert store.next_due_us("telegram") == START_US + 5_000_000
    clock.advance(5)
    assert len(store.claim("telegram", "a", LEASE, 10)) == 1


def test_claim_takes_its_own_channel_and_at_most_its_limit(store: Store) -> None:
    """Each channel has its own queue."""
    plan(store, 3)
    plan(store, 1, "whatsapp")
    assert len(store.claim("telegram", "a", LEASE, 2)) == 2
    assert len(store.claim("telegram", "a", LEASE, 2)) == 1
    assert store.claim("telegram", "a", LEASE, 2) == []
    assert store.claim("other", "a", LEASE, 2) == []


def test_claim_after_lease_expiry_hands_delivery_to_next_worker(store: Store) -> None:
    """A worker that dies holding a delivery loses it when the lease runs out; nothing was sent, so it is no repeat."""
    plan(store)
    first = claim_one(store, "a", EXPIRED)
    second = claim_one(store, "b")
    assert (second.id, second.retries, second.possible_repeat) == (first.id, 0, False)
    assert second.lease != first.lease
    with pytest.raises(LeaseLost, match="1 of 1"):
        store.open_attempt([first])


def test_claim_after_expiry_with_an_open_attempt_is_in_doubt(store: Store, clock: FakeClock) -> None:
    """Nobody knows whether the former holder's request arrived: the next attempt is a possible repeat."""
    plan(store)
    first = claim_one(store, "a", EXPIRED)
    attempt = store.open_attempt([first])
    clock.advance(7)
    second = claim_one(store, "b")
    assert (second.state, second.possible_repeat, second.retries) == (DeliveryState.IN_DOUBT, True, 1)
    with pytest.raises(LeaseLost):
        store.close_attempt(attempt, [first], Outcome(Reason.ACCEPTED), RetryAt(0), 1.0)
    story = store.story(second.alert.id)
    assert story is not None
    (delivery,) = story["deliveries"]
    assert (delivery["status"], delivery["possible_repeat"], delivery["retries"]) == ("in_doubt", True, 1)
    (recorded,) = delivery["attempts"]
    assert (recorded["reason"], recorded["in_doubt"], recorded["closed_us"]) == ("timeout", True, clock.now_us())
    assert recorded["detail"] == "the worker ended before the answer was recorded"


def test_claim_of_one_member_makes_the_whole_digest_in_doubt(store: Store) -> None:
    """One attempt told them all, so nobody knows of any of them."""
    plan(store, 3)
    store.open_attempt(store.claim("telegram", "a", EXPIRED, 3))
    first = claim_one(store, "b")
    assert store.channel_counts() == {"telegram": {"in_doubt": 3}}
    taken = [first, *(claim_one(store, "b") for _ in range(2))]
    assert [(delivery.state, delivery.retries) for delivery in taken] == [(DeliveryState.IN_DOUBT, 1)] * 3


def test_claim_by_two_workers_at_once_never_shares_a_delivery(store: Store, store_url: str, clock: FakeClock) -> None:
    """Each delivery goes to one of them, and none is left."""
    plan(store, 200)
    barrier = Barrier(2)
    claimed: dict[str, list[int]] = {"a": [], "b": []}

    def work(worker: str) -> None:
        with Store(store_url, clock) as own:
            barrier.wait()
            while deliveries := own.claim("telegram", worker, LEASE, 7):
                claimed[worker].extend(delivery.id for delivery in deliveries)

    threads = [Thread(target=work, args=(worker,)) for worker in claimed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed["a"]) + len(claimed["b"]) == 200
    assert len({*claimed["a"], *claimed["b"]}) == 200


def test_claim_rehearsal_takes_what_a_dry_run_suppressed_once(store: Store) -> None:
    """A dry run shows each message once, also after a restart; a real run never claims it."""
    store.accept(
        [
            incoming(
                risk_event(),
                number,
                planned=(PlannedDelivery("telegram", START_US, DeliveryState.SUPPRESSED, why),),
            )
            for number, why in enumerate([Why.DRY_RUN, Why.SILENCE], start=1)
        ]
    )
    assert store.claim("telegram", "a", LEASE, 10) == []
    (delivery,) = store.claim("telegram", "a", LEASE, 10, rehearsal=True)
    assert delivery.state is DeliveryState.SUPPRESSED
    assert store.claim("telegram", "b", LEASE, 10, rehearsal=True) == []
    store.rehearsed(delivery)
    assert store.claim("telegram", "b", LEASE, 10, rehearsal=True) == []
    with pytest.raises(LeaseLost):
        store.rehearsed(delivery)


def test_claim_damaged_body_is_told_by_its_columns(store: Store) -> None:
    """An alert whose bytes were damaged blocks no channel: a person hears what the columns say."""
    alert = risk_event()
    store.accept([incoming(alert, 1, "telegram")])
    with store.database.writing() as connection:
        connection.execute(update(schema.alert).values(body=b"\xc1"))
    told = claim_one(store).alert
    assert isinstance(told, OpaqueAlert)
    assert (told.id, told.event_type, told.severity, told.symbol) == (
        alert.id,
        alert.event_type,
        alert.severity,
        alert.symbol,
    )


def test_claim_reads_the_queue_in_order(tmp_path: Path, clock: FakeClock) -> None:
    """The claim walks its index and sorts nothing, so a long queue costs no more than a short one.

    On SQLite only: PostgreSQL's planner looks at the table's size, and a test's table is small.
    """
    with Store(f"sqlite:///{tmp_path / 'plan.db'}", clock) as store:
        plans = plans_of_claims(store)
    assert "notification_queue_claim" in plans[0]
    assert "notification_queue_rehearsal" in plans[1]
    assert not any("TEMP B-TREE" in told or "SCAN notification_queue" in told for told in plans)


def plans_of_claims(store: Store) -> list[str]:
    """Claim both ways, and ask the database how it did it."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        seen.append((statement, parameters))

    event.listen(store.database.engine, "before_cursor_execute", note)
    store.claim("telegram", "a", LEASE, 1)
    store.claim("telegram", "a", LEASE, 1, rehearsal=True)
    claims = [(statement, parameters) for statement, parameters in seen if statement.startswith("WITH due")]
    with store.database.reading() as connection:
        return [
            " ".join(row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))
            for statement, parameters in claims
        ]


def test_release_gives_back_only_what_is_still_held(store: Store) -> None:
    """A delivery that was taken over stays with its new holder."""
    plan(store, 2)
    (first,) = store.claim("telegram", "a", LEASE, 1)
    (second,) = store.claim("telegram", "a", EXPIRED, 1)
    taken = claim_one(store, "b")
    assert taken.id == second.id
    store.release([first, second])
    assert claim_one(store, "c").id == first.id
    store.renew([taken], LEASE)


def test_release_with_an_open_attempt_is_in_doubt(store: Store) -> None:
    """Whoever lets go between request and answer leaves a doubt, and no open attempt."""
    plan(store)
    delivery = claim_one(store)
    store.open_attempt([delivery])
    store.release([delivery])
    again = claim_one(store)
    assert (again.state, again.possible_repeat, again.retries) == (DeliveryState.IN_DOUBT, True, 1)


def test_release_worker_gives_back_all_of_its_deliveries(store: Store) -> None:
    """A worker that starts again under its name need not wait for its old leases."""
    plan(store, 4)
    held = store.claim("telegram", "a", LEASE, 2)
    store.claim("telegram", "b", LEASE, 1)
    store.open_attempt(held[:1])
    assert store.release_worker("a") == 2
    states = [delivery.state for delivery in store.claim("telegram", "c", LEASE, 10)]
    assert states == [DeliveryState.IN_DOUBT, DeliveryState.PENDING, DeliveryState.PENDING]
    assert store.release_worker("nobody") == 0


def test_renew_lengthens_a_lease(store: Store) -> None:
    """A renewed delivery is nobody else's."""
    plan(store)
    delivery = claim_one(store, "a", EXPIRED)
    store.renew([delivery], LEASE)
    assert store.claim("telegram", "b", LEASE, 1) == []
    store.renew([delivery], EXPIRED)
    claim_one(store, "b")
    with pytest.raises(LeaseLost):
        store.renew([delivery], LEASE)


def test_next_due_is_the_end_of_a_lease_where_one_is_held(store: Store) -> None:
    """A worker need not wake before there is something to claim."""
    assert store.next_due_us("telegram") is None
    plan(store)
    assert store.next_due_us("telegram") == START_US - 999
    claim_one(store, "a", 60)
    held_until = store.next_due_us("telegram")
    assert held_until is not None
    assert held_until > START_US


def test_claim_nothing_that_has_ended(store: Store) -> None:
    """An ended delivery is out of the queue, whatever its due time."""
    plan(store)
    store.finish(claim_one(store), DeliveryState.EXPIRED)
    assert store.claim("telegram", "a", LEASE, 1) == []
    assert store.next_due_us("telegram") is None


def test_claimed_alert_is_of_its_own_kind(store: Store) -> None:
    """What comes out is what went in, for every worker."""
    plan(store)
    assert isinstance(claim_one(store).alert, RiskEvent)
