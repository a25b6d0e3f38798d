"""Switching a channel off: what waits for it is suppressed for good, but no CRITICAL falls between two chairs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from subscriber.store import Store
from tests.support.alerts import agent_action, incoming, risk_event
from tests.support.clock import FakeClock
from tests.support.receipted import Sender


def deliveries(store: Store, alert_id: UUID) -> dict[tuple[str, str], tuple[str, str | None]]:
    """Return an alert's deliveries: (channel, step) to (status, why)."""
    story = store.story(alert_id)
    assert story is not None
    rows: list[dict[str, Any]] = story["deliveries"]
    return {(row["channel"], row["step"]): (row["status"], row["why"]) for row in rows}


def test_switch_off_others_suppresses_what_waits_for_them(store: Store) -> None:
    trade, event = agent_action(), risk_event()
    store.accept([incoming(trade, 1, "whatsapp"), incoming(event, 2, "whatsapp", "telegram")])
    assert store.waiting_elsewhere(["telegram"]) == {"whatsapp": 2}
    assert store.switch_off_others(["telegram"]) == {"whatsapp": 2}
    assert deliveries(store, trade.id) == {("whatsapp", "first"): ("suppressed", "disabled")}
    assert deliveries(store, event.id) == {
        ("whatsapp", "first"): ("suppressed", "disabled"),
        ("telegram", "first"): ("pending", None),
    }
    assert store.waiting_elsewhere(["telegram"]) == {}


def test_switch_off_others_hands_a_critical_that_nobody_else_tells_to_the_first_enabled_channel(store: Store) -> None:
    event = risk_event()
    store.accept([incoming(event, 1, "whatsapp", "desk")])
    assert store.switch_off_others(["telegram", "mail"]) == {"whatsapp": 1, "desk": 1}
    assert deliveries(store, event.id) == {
        ("whatsapp", "first"): ("suppressed", "disabled"),
        ("desk", "first"): ("suppressed", "disabled"),
        ("telegram", "fallback"): ("pending", None),
    }
    (claimed,) = store.claim("telegram", "a", 60.0, 5)
    assert claimed.alert.id == event.id


def test_switch_off_others_twice_changes_nothing_more(store: Store) -> None:
    event = risk_event()
    store.accept([incoming(event, 1, "whatsapp")])
    store.switch_off_others(["telegram"])
    assert store.switch_off_others(["telegram"]) == {}
    assert len(deliveries(store, event.id)) == 2


def test_switch_off_others_takes_what_a_dead_worker_holds_and_says_that_it_may_have_arrived(store: Store) -> None:
    event = risk_event()
    store.accept([incoming(event, 1, "whatsapp", "telegram")])
    held = store.claim("whatsapp", "dead", 60.0, 1)
    store.open_attempt(held)
    store.switch_off_others(["telegram"])
    story = store.story(event.id)
    assert story is not None
    (row,) = [row for row in story["deliveries"] if row["channel"] == "whatsapp"]
    assert (row["status"], row["possible_repeat"]) == ("suppressed", True)
    assert [attempt["reason"] for attempt in row["attempts"]] == ["timeout"]


def test_switch_off_others_leaves_what_is_settled_alone(store: Store) -> None:
    event = risk_event(severity="WARNING")
    store.accept([incoming(event, 1, "whatsapp")])
    (held,) = store.claim("whatsapp", "a", 60.0, 1)
    store.mark_notification_sent(held.id, "sent")
    assert store.switch_off_others(["telegram"]) == {}
    assert deliveries(store, event.id) == {("whatsapp", "first"): ("accepted", None)}


def test_switch_off_others_hands_over_that_a_critical_may_have_arrived(store: Store) -> None:
    event = risk_event()
    store.accept([incoming(event, 1, "whatsapp")])
    store.open_attempt(store.claim("whatsapp", "dead", 60.0, 1))
    store.switch_off_others(["telegram"])
    (claimed,) = store.claim("telegram", "a", 60.0, 1)
    assert claimed.possible_repeat


def test_switch_off_others_leaves_what_has_arrived(store: Store, clock: FakeClock) -> None:
    """Its worker died before it could record the answer, and the receipt came all the same: nobody else tells it."""
    sender = Sender(store, clock)
    alert = sender.add()
    flight = sender.begin()
    sender.tell("delivered", reference=flight.reference)
    assert store.switch_off_others(["telegram"]) == {}
    assert deliveries(store, alert.id) == {("whatsapp", "first"): ("delivered", None)}


def test_receipt_of_what_was_switched_off_in_doubt_says_that_it_arrived(store: Store, clock: FakeClock) -> None:
    sender = Sender(store, clock)
    alert = sender.add(severity="WARNING")
    flight = sender.begin()
    store.switch_off_others(["telegram"])
    clock.advance(1)
    assert sender.tell("delivered", reference=flight.reference).delivered == 1
    assert deliveries(store, alert.id) == {("whatsapp", "first"): ("delivered", None)}
    assert store.audit().faults == ()
