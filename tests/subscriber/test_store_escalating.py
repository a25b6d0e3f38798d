"""Escalation: the next channel is told while nobody acknowledged, a bounded number of times, and by one daemon."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import (
    Decision,
    DeliveryState,
    Done,
    Escalation,
    GiveUp,
    Outcome,
    PlannedDelivery,
    Reason,
    RetryAt,
)
from subscriber.errors import StoreError
from subscriber.store import Store, schema
from subscriber.store.turns import DueEscalation, Escalated
from tests.support.alerts import STREAM, incoming, risk_event
from tests.support.books import ACCEPTED, NETWORK, REJECTED, TIMEOUT, spoil
from tests.support.clock import START_US, FakeClock

ALL = ("telegram", "desk", "whatsapp")
ACK_WITHIN = 300


def escalating(store: Store, *channels: str, number: int = 1) -> Alert:
    """Store a CRITICAL for telegram that escalates to these channels."""
    store.begin(STREAM, "trader-1", 1)
    alert = risk_event()
    store.accept([incoming(alert, number, "telegram")], {STREAM: number})
    with store.database.writing() as connection:
        connection.execute(
            insert(schema.escalation).values(
                alert_id=alert.id.bytes,
                ack_within_us=ACK_WITHIN * MICROSECONDS,
                channels=json.dumps(channels),
                turn=1,
                due_us=store.database.clock.now_us() + ACK_WITHIN * MICROSECONDS,
            )
        )
    return alert


def turn(store: Store, enabled: Sequence[str] = ALL, *, dry_run: bool = False) -> Escalated | None:
    """Take the one turn that is due."""
    (due,) = store.due_escalations(10)
    return store.escalate(due, enabled, dry_run=dry_run)


def row_of(store: Store) -> Any:
    with store.database.reading() as connection:
        return connection.execute(select(schema.escalation)).one()


def deliveries(store: Store, alert: Alert) -> list[tuple[str, str, str]]:
    story = store.story(alert.id)
    assert story is not None
    return [(each["channel"], each["step"], each["status"]) for each in story["deliveries"]]


def balanced(store: Store) -> bool:
    audit = store.audit()
    assert audit.faults == ()
    return audit.balanced


def test_due_escalations_are_those_whose_time_has_come(store: Store, clock: FakeClock) -> None:
    alert = escalating(store, "desk", "whatsapp")
    clock.advance(10)
    later = escalating(store, "desk", number=2)
    assert store.due_escalations(10) == []
    clock.advance(ACK_WITHIN - 10)
    assert store.due_escalations(10) == [
        DueEscalation(
            alert_id=alert.id,
            turn=1,
            channel="desk",
            turns=2,
            due_us=clock.now_us(),
            severity="CRITICAL",
            event_type="DRAWDOWN_BREACHED",
            symbol="TNA",
            source="trader-1",
        )
    ]
    clock.advance(10)
    assert [due.alert_id for due in store.due_escalations(10)] == [alert.id, later.id]
    assert [due.alert_id for due in store.due_escalations(1)] == [alert.id]


def test_escalate_tells_each_turns_channel_and_then_no_more(store: Store, clock: FakeClock) -> None:
    """A channel that was told is told again, and the one that had it first as well; each after its own wait."""
    alert = escalating(store, "desk", "telegram", "desk")
    for number, channel in enumerate(("desk", "telegram", "desk"), start=1):
        clock.advance(ACK_WITHIN)
        assert turn(store) == Escalated(alert.id, number, channel, ended=number == 3)
        assert balanced(store)
    clock.advance(10 * ACK_WITHIN)
    assert store.due_escalations(10) == []
    assert deliveries(store, alert) == [
        ("telegram", "first", "pending"),
        ("desk", "escalation 1", "pending"),
        ("telegram", "escalation 2", "pending"),
        ("desk", "escalation 3", "pending"),
    ]
    ended = row_of(store)
    assert (ended.ended_why, ended.ended_us) == ("exhausted", START_US + 3 * ACK_WITHIN * MICROSECONDS)
    assert len(store.claim("desk", "worker", 60, 10)) == 2


def test_escalate_waits_from_when_the_turn_was_taken(store: Store, clock: FakeClock) -> None:
    """A daemon that was down does not wake everybody at once."""
    escalating(store, "desk", "whatsapp")
    clock.advance(10 * ACK_WITHIN)
    assert turn(store) is not None
    assert store.due_escalations(10) == []
    clock.advance(ACK_WITHIN)
    assert turn(store) is not None


def test_escalate_passes_over_channels_that_are_not_there(store: Store, clock: FakeClock) -> None:
    alert = escalating(store, "gone", "off", "desk", "gone")
    clock.advance(ACK_WITHIN)
    assert turn(store) == Escalated(alert.id, 3, "desk", ("gone", "off"))
    clock.advance(ACK_WITHIN)
    assert turn(store) == Escalated(alert.id, 5, None, ("gone",), ended=True)
    assert row_of(store).ended_why == "exhausted"
    assert deliveries(store, alert) == [("telegram", "first", "pending"), ("desk", "escalation 3", "pending")]
    assert balanced(store)


@pytest.mark.parametrize("text", ["[]", "nonsense", '{"a": 1}'])
def test_escalate_to_nobody_ends(store: Store, clock: FakeClock, text: str) -> None:
    alert = escalating(store)
    spoil(store, "UPDATE escalation SET channels = :text", text=text)
    clock.advance(ACK_WITHIN)
    assert store.due_escalations(1)[0].channel == ""
    assert turn(store) == Escalated(alert.id, 1, None, ended=True)
    assert store.due_escalations(1) == []


def test_escalate_keeps_the_route_and_has_a_sound(store: Store, clock: FakeClock) -> None:
    escalating(store, "desk")
    text = json.dumps({"route": "desk", "silent": True, "template": "short", "fallbacks": ["mail"]})
    spoil(store, "UPDATE notification_queue SET handling = :text, expires_at = 1", text=text)
    clock.advance(ACK_WITHIN)
    assert turn(store) is not None
    with store.database.reading() as connection:
        found = connection.execute(select(schema.notification_queue).order_by(schema.notification_queue.c.id)).all()[1]
    assert json.loads(found.handling) == {"route": "desk", "template": "short", "fallbacks": ["mail"]}
    assert (found.expires_at, found.priority, found.published_us) == (None, 0, START_US)
    assert (found.due_at, found.created_at, found.retries) == (clock.now_us(), clock.now_us(), 0)


def test_escalate_in_a_dry_run_sends_nothing(store: Store, clock: FakeClock) -> None:
    alert = escalating(store, "desk")
    clock.advance(ACK_WITHIN)
    assert turn(store, dry_run=True) is not None
    assert deliveries(store, alert)[1] == ("desk", "escalation 1", "suppressed")
    assert store.claim("desk", "worker", 60, 1) == []
    assert [each.alert for each in store.claim("desk", "worker", 60, 1, rehearsal=True)] == [alert]
    assert balanced(store)


def test_escalate_of_two_daemons_tells_once(store: Store, store_url: str, clock: FakeClock) -> None:
    alert = escalating(store, "desk", "whatsapp")
    clock.advance(ACK_WITHIN)
    with Store(store_url, clock) as other:
        (mine,), (theirs,) = store.due_escalations(1), other.due_escalations(1)
        assert store.escalate(mine, ALL) is not None
        assert other.escalate(theirs, ALL) is None
    assert len(deliveries(store, alert)) == 2


def test_escalate_of_an_alert_that_is_gone_does_nothing(store: Store, clock: FakeClock) -> None:
    escalating(store, "desk")
    clock.advance(ACK_WITHIN)
    (due,) = store.due_escalations(1)
    for table in ("escalation", "notification_queue", "alert"):
        spoil(store, f"DELETE FROM {table}")
    assert store.escalate(due, ALL) is None


def test_acknowledge_ends_the_escalation_and_what_it_had_planned(store: Store, clock: FakeClock) -> None:
    alert = escalating(store, "desk", "whatsapp", "desk")
    clock.advance(ACK_WITHIN)
    turn(store)
    due_later = DueEscalation(alert.id, 2, "whatsapp", 3, clock.now_us(), "CRITICAL", "", None, "")
    acknowledged = store.acknowledge(alert.id, "kim", "telegram", "on \0 it")
    assert acknowledged is not None
    assert acknowledged.new
    assert (acknowledged.author, acknowledged.via, acknowledged.note) == ("kim", "telegram", "on \ufffd it")
    assert acknowledged.suppressed == {"desk": 1}
    assert deliveries(store, alert) == [("telegram", "first", "pending"), ("desk", "escalation 1", "suppressed")]
    story = store.story(alert.id)
    assert story is not None
    assert story["deliveries"][1]["why"] == "acknowledged"
    assert (row_of(store).ended_why, row_of(store).ended_us) == ("acknowledged", clock.now_us())
    clock.advance(ACK_WITHIN)
    assert store.due_escalations(1) == []
    assert store.escalate(due_later, ALL) is None
    assert [(change["what"], change["author"], change["via"]) for change in store.changes(10)] == [
        ("acknowledged", "kim", "telegram")
    ]
    assert store.changes(10)[0]["detail"] == {"alert_id": str(alert.id), "note": "on \ufffd it"}
    json.dumps(acknowledged.fields())
    assert balanced(store)


def test_acknowledge_again_returns_the_first_one(store: Store, store_url: str, clock: FakeClock) -> None:
    alert = escalating(store, "desk")
    first = store.acknowledge(alert.id, "kim", "page", "")
    assert first is not None
    clock.advance(1)
    with Store(store_url, clock) as other:
        assert other.acknowledge(alert.id, "jo", "api", "late") == replace(first, new=False)
    assert len(store.changes(10)) == 1


def test_acknowledge_of_no_alert_is_none(store: Store) -> None:
    assert store.acknowledge(risk_event().id, "kim", "api", "") is None
    assert store.changes(10) == []


def test_acknowledge_after_the_last_turn_still_stops_what_waits(store: Store, clock: FakeClock) -> None:
    alert = escalating(store, "desk")
    clock.advance(ACK_WITHIN)
    turn(store)
    acknowledged = store.acknowledge(alert.id, "kim", "page", "")
    assert acknowledged is not None
    assert acknowledged.suppressed == {"desk": 1}
    assert row_of(store).ended_why == "exhausted"


def test_acknowledge_takes_a_delivery_from_a_worker_that_has_not_begun(store: Store, clock: FakeClock) -> None:
    alert = escalating(store, "desk")
    clock.advance(ACK_WITHIN)
    turn(store)
    claimed = store.claim("desk", "worker", 60, 1)
    assert store.acknowledge(alert.id, "kim", "page", "") is not None
    with pytest.raises(StoreError):
        store.open_attempt(claimed)
    assert balanced(store)


@pytest.mark.parametrize(
    ("outcome", "left"), [(NETWORK, "suppressed"), (TIMEOUT, "in_doubt"), (ACCEPTED, "accepted"), (REJECTED, "dead")]
)
def test_acknowledge_leaves_what_may_have_reached_somebody(
    store: Store, clock: FakeClock, outcome: Outcome, left: str
) -> None:
    alert = escalating(store, "desk")
    clock.advance(ACK_WITHIN)
    turn(store)
    claimed = store.claim("desk", "worker", 60, 1)
    decisions: dict[Reason, Decision] = {
        Reason.ACCEPTED: Done(),
        Reason.REJECTED: GiveUp(DeliveryState.DEAD),
        Reason.NETWORK: RetryAt(clock.now_us() + 1),
        Reason.TIMEOUT: RetryAt(clock.now_us() + 1, in_doubt=True),
    }
    store.close_attempt(store.open_attempt(claimed), claimed, outcome, decisions[outcome.reason], 0.1)
    assert store.acknowledge(alert.id, "kim", "page", "") is not None
    assert deliveries(store, alert)[1] == ("desk", "escalation 1", left)
    assert balanced(store)


def test_acknowledge_leaves_what_is_being_sent(store: Store, clock: FakeClock) -> None:
    alert = escalating(store, "desk")
    clock.advance(ACK_WITHIN)
    turn(store)
    claimed = store.claim("desk", "worker", 60, 1)
    attempt = store.open_attempt(claimed)
    assert store.acknowledge(alert.id, "kim", "page", "") is not None
    store.close_attempt(attempt, claimed, ACCEPTED, Done(), 0.1)
    assert deliveries(store, alert)[1] == ("desk", "escalation 1", "accepted")
    assert balanced(store)


def test_escalating_and_acknowledging_at_once_never_deadlocks(store: Store, store_url: str, clock: FakeClock) -> None:
    """Two daemons take turns, hand over and acknowledge at the same time; each turn is told once, and it balances."""
    alerts = [escalating(store, *["desk", "whatsapp"] * 5, number=number) for number in range(1, 21)]
    told: list[tuple[object, int]] = []

    def take_turns(daemon: Store) -> None:
        for _ in range(10):
            done = [daemon.escalate(due, ALL) for due in daemon.due_escalations(100)]
            told.extend((each.alert_id, each.turn) for each in done if each is not None)
            daemon.hand_over_overdue("telegram", clock.now_us(), ("whatsapp",), 5)
            clock.advance(ACK_WITHIN)

    def acknowledge(daemon: Store) -> None:
        for alert in alerts:
            daemon.acknowledge(alert.id, "kim", "api", "")

    with Store(store_url, clock) as other, ThreadPoolExecutor(4) as threads:
        running = [threads.submit(each, daemon) for each in (take_turns, acknowledge) for daemon in (store, other)]
        for each in running:
            each.result()
    assert len(told) == len(set(told))
    assert store.due_escalations(100) == []
    assert len(store.changes(100)) == len(alerts)
    assert balanced(store)


def test_acknowledge_covers_earlier_alerts_like_it_and_no_others(store: Store, clock: FakeClock) -> None:
    """Who presses the button below the newest message knows of what the older ones said."""
    likes = [risk_event(), risk_event(symbol="SPY"), risk_event(), risk_event()]
    us = clock.now_us()
    escalation = Escalation(60_000_000, ("desk",))
    for number, alert in enumerate(likes, start=1):
        planned = (PlannedDelivery("telegram", us, escalation=escalation),)
        store.accept([incoming(alert, number, planned=planned, published_us=us + number)])
    store.acknowledge(likes[2].id, "kim", "telegram")
    clock.advance(61)
    assert {due.alert_id for due in store.due_escalations(10)} == {likes[1].id, likes[3].id}
    assert balanced(store)
