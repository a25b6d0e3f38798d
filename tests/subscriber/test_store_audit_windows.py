"""The audit of dedup: what was counted is told by somebody, and counted right."""

from __future__ import annotations

from uuid import uuid4

import pytest

from subscriber.deliveries import DeliveryState, Done, PlannedDelivery, Why
from subscriber.store import Store, auditing_windows
from subscriber.store.ledger import Fault, FaultKind
from tests.support.alerts import incoming, system_event
from tests.support.books import ACCEPTED, spoil
from tests.support.clock import START_US, FakeClock
from tests.support.counted import CHANNEL, OTHERS, WINDOW_SECONDS, Stored

YEAR_SECONDS = 365 * 86_400


@pytest.fixture
def stored(store: Store, clock: FakeClock) -> Stored:
    """Two windows of one fingerprint, the first told; chains of several batches; and some others."""
    made = Stored(store, clock)
    for count in (1, 3, 1, 4):
        made.accept(*(made.item(CHANNEL, "desk") for _ in range(count)))
        clock.advance(1)
    made.add(dedup=OTHERS)
    clock.advance(WINDOW_SECONDS)
    for channel in (CHANNEL, "desk"):
        for delivery in store.claim(channel, "worker", 60.0, 100):
            store.close_attempt(store.open_attempt([delivery]), [delivery], ACCEPTED, Done(), 0.1)
    for _ in range(3):
        made.add(CHANNEL, "desk")
    assert made.balanced()
    return made


def the_fault(stored: Stored) -> Fault:
    audit = stored.store.audit()
    assert not audit.balanced
    (fault,) = audit.faults
    assert audit.fault_counts == {fault.kind: 1}
    return fault


def carrier(stored: Stored) -> int:
    """Return the delivery that told of the first window."""
    return int(next(row.id for row in stored.rows() if row.status == "accepted" and row.more))


def counted(stored: Stored) -> int:
    return int(next(row.id for row in stored.rows() if row.why == "dedup"))


@pytest.mark.parametrize("by", [1, -1])
def test_audit_finds_a_wrong_count(stored: Stored, by: int) -> None:
    spoil(stored.store, "UPDATE notification_queue SET more = more + :by WHERE id = :id", by=by, id=carrier(stored))
    fault = the_fault(stored)
    assert fault.kind is FaultKind.WRONG_COUNT
    assert fault.text.endswith(f"tells of {7 + by} more, and 7 were counted.")


def test_audit_finds_a_count_that_was_forgotten(stored: Stored) -> None:
    spoil(stored.store, "UPDATE notification_queue SET more = NULL WHERE id = :id", id=carrier(stored))
    fault = the_fault(stored)
    assert fault.kind is FaultKind.WRONG_COUNT
    assert fault.text.endswith("tells of 0 more, and 7 were counted.")


def test_audit_finds_a_counted_alert_that_nobody_tells_of(stored: Stored) -> None:
    """Its teller's count is wrong, too."""
    spoil(stored.store, "UPDATE notification_queue SET told_by = NULL WHERE id = :id", id=counted(stored))
    assert stored.store.audit().fault_counts == {FaultKind.UNTOLD_COUNT: 1, FaultKind.WRONG_COUNT: 1}


@pytest.mark.parametrize("whose", ["nobody", "another channel"])
def test_audit_finds_a_counted_alert_whose_teller_is_not_there(stored: Stored, whose: str) -> None:
    name = uuid4().bytes
    if whose == "another channel":
        alone = stored.item("mail", dedup=None)
        stored.accept(alone)
        name = alone.alert.id.bytes
    spoil(stored.store, "UPDATE notification_queue SET told_by = :by WHERE id = :id", by=name, id=counted(stored))
    assert stored.store.audit().fault_counts == {FaultKind.UNTOLD_COUNT: 1, FaultKind.WRONG_COUNT: 1}


def test_audit_finds_names_that_go_round_in_a_circle(stored: Stored) -> None:
    """Each tells of the other, and nobody of both."""
    last = carrier(stored)
    first = next(row for row in stored.rows() if row.why == "dedup" and row.channel == CHANNEL)
    spoil(
        stored.store,
        "UPDATE notification_queue SET told_by = :by, status = 'suppressed', why = 'dedup', last_reason = NULL "
        "WHERE id = :id",
        by=first.alert_id,
        id=last,
    )
    assert FaultKind.WRONG_COUNT in stored.store.audit().fault_counts


def test_audit_lets_people_set_what_was_counted_to_another_state(stored: Stored) -> None:
    stored.store.mark_notification_sent(counted(stored), "pending")
    stored.store.mark_notification_sent(carrier(stored), "expired")
    assert stored.balanced()


def test_audit_knows_what_expired_from_what_was_counted(stored: Stored) -> None:
    """Both name the alert that told of them."""
    event = system_event(event_type="ALERTS_EXPIRED")
    stored.accept(incoming(event, None, stream=None, planned=(PlannedDelivery(CHANNEL, START_US),)))
    expired = [row.id for row in stored.rows() if row.status == "pending" and row.channel == CHANNEL][:2]
    for number in expired:
        stored.store.mark_notification_sent(number, "expired")
        spoil(stored.store, "UPDATE notification_queue SET told_by = :by WHERE id = :id", by=event.id.bytes, id=number)
    countings = stored.store.audit().fault_counts.keys() & {FaultKind.WRONG_COUNT, FaultKind.UNTOLD_COUNT}
    assert countings == set()


def test_audit_after_retention_removed_some_of_what_was_counted(stored: Stored, clock: FakeClock) -> None:
    """What tells of it stays for longer, and what it says is right."""
    clock.advance(YEAR_SECONDS)
    while stored.store.prune(clock.now_us(), 3).alerts:
        assert stored.balanced()
    assert len(stored.rows()) < 10
    spoil(stored.store, "UPDATE notification_queue SET more = 1000 WHERE more > 0 AND channel = 'desk'")
    assert the_fault(stored).kind is FaultKind.WRONG_COUNT


def test_audit_after_retention_removed_what_tells_of_others(stored: Stored) -> None:
    """It does so where an older alert could not go yet."""
    told = next(row for row in stored.rows() if row.id == carrier(stored))
    for table, column in (("attempt_delivery", "delivery_id"), ("notification_queue", "id")):
        spoil(stored.store, f"DELETE FROM {table} WHERE {column} = :id", id=told.id)
    spoil(stored.store, "UPDATE alert SET planned = :plan WHERE id = :id", plan='[["desk","first"]]', id=told.alert_id)
    gone = {"name": CHANNEL, "planned": "planned", "state": "suppressed"}
    spoil(
        stored.store,
        "INSERT INTO ledger_total VALUES ('channel', :name, :planned, 1), ('channel', :name, :state, 1)",
        **gone,
    )
    faults = stored.store.audit().fault_counts.keys()
    assert not faults & {FaultKind.WRONG_COUNT, FaultKind.UNTOLD_COUNT}


def test_audit_reads_counts_in_several_snapshots(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing_windows, "GROUP", 2)
    assert stored.balanced()


def test_audit_beside_a_daemon_that_counts_raises_no_false_alarm(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before is told by what came after, and counted by what was read before."""
    read = auditing_windows.read_windows

    def interrupted(*given: object, **named: object) -> int | None:
        last = read(*given, **named)  # type: ignore[arg-type]  # handed on as it came
        if len(stored.rows()) < 60:
            stored.accept(stored.item(CHANNEL, "desk"), stored.item(CHANNEL, "desk", age=0.5))
        return last

    monkeypatch.setattr(auditing_windows, "read_windows", interrupted)
    assert stored.balanced()
    assert stored.balanced()


def test_audit_of_what_was_suppressed_otherwise_asks_for_nobody(stored: Stored) -> None:
    stored.add(state=DeliveryState.SUPPRESSED, why=Why.SILENCE)
    assert stored.balanced()
