"""What the audit has to find of receipts: each corruption is planted behind the store's back."""

from __future__ import annotations

from random import Random
from threading import Thread

import pytest

from subscriber.deliveries import DeliveryState, GiveUp, RetryAt
from subscriber.receipts import Receipt, ReceiptState
from subscriber.store import Store
from subscriber.store.ledger import FaultKind
from tests.support.books import spoil
from tests.support.clock import START_US, FakeClock
from tests.support.receipted import CHANNEL, TIMEOUT, UNDELIVERED, Flight, Sender, taken

LOST = FaultKind.LOST_RECEIPT
TWO = FaultKind.TWO_STATES


@pytest.fixture
def sender(store: Store, clock: FakeClock) -> Sender:
    return Sender(store, clock)


@pytest.fixture
def told(sender: Sender) -> dict[str, Flight]:
    """One message for each end that receipts can bring about; the ledger balances."""
    flights: dict[str, Flight] = {}
    for number, name in enumerate(("waiting", "sent", "delivered", "failing", "settled", "doubt", "again")):
        sender.add(description=name)
        flight = flights[name] = sender.begin()
        message = f"SM-{name}"
        sender.end(flight, TIMEOUT if name in {"doubt", "again"} else taken(message))
        sender.clock.advance(1 + number)
        if name == "sent":
            sender.tell("sent", message)
        elif name == "delivered":
            sender.tell("sent", message)
            sender.tell("delivered", message)
        elif name == "failing":
            sender.tell("failed", message)
        elif name == "settled":
            sender.tell("failed", message)
            failed = sender.store.failed_receipts([CHANNEL])[-1]
            sender.store.settle_failed(failed, TIMEOUT, GiveUp(DeliveryState.DEAD))
        elif name == "doubt":
            sender.tell("delivered", message, reference=flight.reference)
        elif name == "again":
            sender.begin(lease_seconds=3600)
            sender.tell("delivered", message, reference=flight.reference)
    sender.tell("sent", "SM-stranger")
    assert sender.store.audit().faults == ()
    return flights


def found(sender: Sender) -> list[tuple[FaultKind, str]]:
    return [(fault.kind, fault.where) for fault in sender.store.audit().faults]


def attempt_named(flight: Flight) -> str:
    return f"attempt {flight.attempt}, channel {CHANNEL}"


def delivery_named(flight: Flight) -> str:
    return f"alert {flight.delivery.alert.id}, channel {CHANNEL}"


@pytest.mark.parametrize(
    ("name", "change", "kinds"),
    [
        ("waiting", "receipt = 'delivered'", {LOST, TWO}),  # nobody told it, and its delivery does not know it
        ("waiting", "receipt = 'failed'", {LOST}),
        ("waiting", "receipt = 'gone'", {FaultKind.UNKNOWN_STATE}),
        ("sent", "receipt = 'queued'", {LOST}),
        ("sent", "receipt = 'read'", {LOST, TWO}),
        ("delivered", "receipt = 'sent'", {LOST, TWO}),
        ("delivered", "receipt = NULL", {LOST, TWO}),
        ("delivered", "reason = 'rejected'", {TWO}),
        ("doubt", "reason = 'timeout', in_doubt = true", {TWO}),
        ("again", "receipt = 'sent'", {LOST}),
        ("failing", "receipt = 'sent'", {LOST}),
        ("settled", "reason = 'accepted'", {LOST, TWO}),
    ],
)
def test_audit_finds_an_attempt_that_says_something_else_than_its_receipts(
    sender: Sender, told: dict[str, Flight], name: str, change: str, kinds: set[FaultKind]
) -> None:
    spoil(sender.store, f"UPDATE attempt SET {change} WHERE id = :id", id=told[name].attempt)
    faults = found(sender)
    assert {kind for kind, _ in faults} == kinds
    receipts = {
        f"receipt {row.id}, provider twilio" for row in sender.receipts() if row.attempt_id == told[name].attempt
    }
    assert {where for _, where in faults} <= {attempt_named(told[name]), delivery_named(told[name])} | receipts


@pytest.mark.parametrize(
    ("name", "change", "kinds"),
    [
        ("sent", "settled_us = NULL", {LOST}),
        ("delivered", "settled_us = NULL", {LOST}),
        ("failing", "settled_us = 5", {LOST}),  # nobody would ever send it again
        ("settled", "settled_us = NULL", set()),  # drawn once more, which changes nothing
        ("doubt", "settled_us = NULL", {LOST}),
        ("sent", "state = 'read'", {LOST}),
        ("sent", "state = 'lost'", {LOST, FaultKind.UNKNOWN_STATE}),
        ("sent", "attempt_id = NULL", {LOST}),
        ("delivered", "attempt_id = NULL, settled_us = NULL", {LOST, TWO}),
    ],
)
def test_audit_finds_a_receipt_from_which_nothing_followed(
    sender: Sender, told: dict[str, Flight], name: str, change: str, kinds: set[FaultKind]
) -> None:
    where = "WHERE attempt_id = :id" + (" AND state = 'delivered'" if name == "delivered" else "")
    spoil(sender.store, f"UPDATE receipt SET {change} {where}", id=told[name].attempt)
    assert {kind for kind, _ in found(sender)} >= (kinds - {TWO})
    assert bool(found(sender)) is bool(kinds)


def test_audit_finds_an_arrival_that_nobody_waits_for(sender: Sender, told: dict[str, Flight]) -> None:
    """What was being sent has ended, and did not look."""
    spoil(
        sender.store,
        "UPDATE notification_queue SET open_attempt = NULL WHERE id = :id",
        id=told["again"].delivery.id,
    )
    assert (LOST, attempt_named(told["again"])) in found(sender)


@pytest.mark.parametrize("name", ["waiting", "sent", "failing"])
def test_audit_finds_a_delivery_that_counts_as_delivered_by_no_receipt(
    sender: Sender, told: dict[str, Flight], name: str
) -> None:
    change = "UPDATE notification_queue SET status = 'delivered' WHERE id = :id"
    spoil(sender.store, change, id=told[name].delivery.id)
    assert found(sender) == [(TWO, delivery_named(told[name]))]


def test_audit_finds_a_delivery_that_arrived_and_counts_as_accepted(sender: Sender, told: dict[str, Flight]) -> None:
    spoil(
        sender.store,
        "UPDATE notification_queue SET status = 'accepted' WHERE id = :id",
        id=told["delivered"].delivery.id,
    )
    assert found(sender) == [(TWO, delivery_named(told["delivered"]))]


@pytest.mark.parametrize("state", ["pending", "in_doubt"])
def test_audit_finds_a_delivery_that_arrived_and_waits(sender: Sender, told: dict[str, Flight], state: str) -> None:
    """It would be sent again."""
    change = "UPDATE notification_queue SET status = :state, finished_at = NULL, last_reason = NULL WHERE id = :id"
    spoil(sender.store, change, state=state, id=told["doubt"].delivery.id)
    assert found(sender) == [(TWO, delivery_named(told["doubt"]))]


def test_audit_finds_a_receipt_that_was_settled_for_nobody(sender: Sender, told: dict[str, Flight]) -> None:
    spoil(sender.store, "UPDATE receipt SET settled_us = 5 WHERE attempt_id IS NULL")
    (number,) = [row.id for row in sender.receipts() if row.message_id == "SM-stranger"]
    assert found(sender) == [(LOST, f"receipt {number}, provider twilio")]


def test_audit_finds_an_acceptance_and_a_receipt_that_missed_each_other(sender: Sender) -> None:
    """As two transactions would that do not wait for each other."""
    sender.add()
    flight = sender.begin()
    sender.tell("delivered")
    sender.end(flight, taken("SM-other"))
    assert found(sender) == []
    spoil(sender.store, "UPDATE attempt SET provider_message_id = 'SM1'")
    (row,) = sender.receipts()
    assert found(sender) == [(LOST, f"receipt {row.id}, provider twilio")]


def test_audit_of_a_late_receipt_of_a_channel_that_is_no_more_balances(sender: Sender) -> None:
    """It was renamed since."""
    sender.add()
    sender.send()
    sender.clock.advance(3600)
    receipt = sender.store.note_receipt("twilio", ["other"], Receipt("SM1", ReceiptState.DELIVERED))
    assert receipt.channel is None
    assert found(sender) == []


def test_audit_of_a_retry_after_a_failure_balances(sender: Sender) -> None:
    sender.add()
    sender.send("SM1")
    sender.tell("failed", "SM1")
    sender.settle(RetryAt(START_US))
    assert found(sender) == []
    sender.send("SM2")
    sender.tell("read", "SM2")
    sender.tell("sent", "SM1")
    assert found(sender) == []


def test_audit_beside_receipts_that_come_raises_no_false_alarm(
    sender: Sender, store_url: str, clock: FakeClock
) -> None:
    """Messages are accepted, fail, arrive before their acceptance and after it, and are settled while it reads."""
    ended: list[str] = []

    def live() -> None:
        rng = Random(1)
        with Store(store_url, clock) as daemon:
            worker = Sender(daemon, clock)
            for number in range(120):
                worker.add()
                flight = worker.begin()
                message = f"SM{number}"
                early, late = rng.choices(("sent", "failed", "delivered", "read"), k=2)
                worker.tell(early, message, reference=rng.choice(("", flight.reference)))
                worker.end(flight, taken(message))
                worker.tell(late, message)
                for failed in daemon.failed_receipts([CHANNEL]):
                    daemon.settle_failed(failed, UNDELIVERED, GiveUp(DeliveryState.DEAD))
                ended.append(message)

    thread = Thread(target=live)
    thread.start()
    faults: list[object] = []
    while thread.is_alive():
        faults.extend(sender.store.audit().faults)
    thread.join()
    assert faults == []
    assert len(ended) == 120
    assert sender.store.audit().faults == ()
