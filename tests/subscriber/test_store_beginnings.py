"""Escalations begin with their alerts, and end with what resolves these."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select, update

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import Dedup, Escalation, PlannedDelivery
from subscriber.store import Incoming, Store, schema
from tests.support.alerts import STREAM, incoming, risk_event, system_event
from tests.support.clock import START_US, FakeClock

ACK_WITHIN_US = 300 * MICROSECONDS
TO_DESK = Escalation(ACK_WITHIN_US, ("desk", "whatsapp"))
TO_MAIL = Escalation(60 * MICROSECONDS, ("mail",))


def escalations(store: Store) -> list[Any]:
    with store.database.reading() as connection:
        return list(connection.execute(select(schema.escalation)))


def escalating(alert: Alert, *of: Escalation | None, number: int | None = 1) -> Incoming:
    planned = tuple(PlannedDelivery(f"channel{n}", START_US, escalation=each) for n, each in enumerate(of))
    return incoming(alert, number, stream=STREAM if number else None, planned=planned)


def test_critical_begins_the_escalation_that_its_plan_names_first(store: Store, clock: FakeClock) -> None:
    item = escalating(risk_event(), None, TO_DESK, TO_MAIL)
    clock.advance(7)
    store.accept([item])
    (row,) = escalations(store)
    assert (row.alert_id, row.ack_within_us, json.loads(row.channels)) == (
        item.alert.id.bytes,
        ACK_WITHIN_US,
        ["desk", "whatsapp"],
    )
    assert (row.turn, row.due_us) == (1, clock.now_us() + ACK_WITHIN_US)
    assert (row.ended_us, row.ended_why) == (None, None)


def test_replay_begins_nothing_again(store: Store, clock: FakeClock) -> None:
    item = escalating(risk_event(), TO_DESK)
    store.accept([item])
    before = escalations(store)
    clock.advance(100)
    store.accept([item])
    assert escalations(store) == before


@pytest.mark.parametrize(
    "item",
    [
        escalating(risk_event(severity="WARNING"), TO_DESK),
        escalating(risk_event(), Escalation(1, ())),
        escalating(risk_event(), None),
    ],
)
def test_others_begin_none(store: Store, item: Incoming) -> None:
    store.accept([item])
    assert escalations(store) == []


@pytest.mark.parametrize("own", [True, False])
def test_event_that_resolves_an_alert_ends_its_escalation(store: Store, clock: FakeClock, own: bool) -> None:
    hung, other = risk_event(), risk_event()
    store.accept([escalating(hung, TO_DESK), escalating(other, TO_DESK, number=2)])
    clock.advance(5)
    ended = system_event(event_type="OVER", resolves=hung.id)
    store.accept([escalating(ended, None, number=None if own else 3)])
    assert {row.alert_id: (row.ended_why, row.ended_us) for row in escalations(store)} == {
        hung.id.bytes: ("resolved", clock.now_us()),
        other.id.bytes: (None, None),
    }


def test_event_that_resolves_an_alert_of_its_own_batch_ends_its_escalation(store: Store) -> None:
    alert = risk_event()
    ended = system_event(event_type="OVER", resolves=alert.id)
    store.accept([escalating(ended, None, number=2), escalating(alert, TO_DESK)])
    assert [row.ended_why for row in escalations(store)] == ["resolved"]


def test_end_of_a_silence_ends_its_escalation_in_the_same_transaction(store: Store, clock: FakeClock) -> None:
    """As the watch over publishers tells it."""
    store.begin(STREAM, "trader-1", 1)
    silent = system_event()
    store.tell_silence(STREAM, "trader-1", None, escalating(silent, TO_DESK, number=None))
    clock.advance(5)
    ended = system_event(event_type="PUBLISHER_BACK", resolves=silent.id)
    told = store.tell_silence_ended(STREAM, silent.id.bytes, escalating(ended, None, number=None), beats_again=True)
    assert told is not None
    assert told.deliveries == {"channel0": 1}
    assert [row.ended_why for row in escalations(store)] == ["resolved"]


def test_escalation_that_has_ended_stays_as_it_is(store: Store, clock: FakeClock) -> None:
    alert = risk_event()
    store.accept([escalating(alert, TO_DESK)])
    for number in (2, 3):
        store.accept([escalating(system_event(event_type="OVER", resolves=alert.id), None, number=number)])
        clock.advance(5)
    assert [row.ended_us for row in escalations(store)] == [START_US]


# --- counted and replaced ----------------------------------------------------------------------------------------

WINDOW_US = 10 * MICROSECONDS
ALIKE = Dedup(b"f" * 16, WINDOW_US)


def counted(number: int, *channels: str, escalation: Escalation | None = TO_DESK) -> Incoming:
    """Return a CRITICAL that is counted with others like it."""
    planned = tuple(
        PlannedDelivery(name, START_US, dedup=ALIKE, escalation=escalation) for name in channels or ("telegram",)
    )
    return incoming(risk_event(), number, planned=planned, published_us=START_US + number)


def keys(store: Store) -> set[bytes]:
    return {row.alert_id for row in escalations(store)}


def test_counted_alerts_of_one_batch_begin_none(store: Store) -> None:
    """Nobody is told of them, so nobody could acknowledge them."""
    first, *others, newest = (counted(number) for number in range(1, 6))
    assert len(others) == 3
    store.accept([first, *others, newest])
    assert keys(store) == {first.alert.id.bytes, newest.alert.id.bytes}


def test_counted_alert_that_another_channel_tells_by_itself_begins_its_escalation(store: Store) -> None:
    store.accept([counted(1), counted(2)])
    told = counted(3, "telegram", "whatsapp")
    newest = counted(4)
    store.accept([told, newest])
    assert told.alert.id.bytes in keys(store)


def test_newer_alert_takes_over_the_escalation_of_the_one_that_it_replaces(store: Store, clock: FakeClock) -> None:
    """With the time that people were given first, and the turn that it has."""
    first, waiting = counted(1), counted(2)
    store.accept([first, waiting])
    clock.advance(1)
    newer = counted(3)
    store.accept([newer])
    rows = {row.alert_id: (row.turn, row.due_us) for row in escalations(store)}
    assert rows == {
        first.alert.id.bytes: (1, START_US + ACK_WITHIN_US),
        newer.alert.id.bytes: (1, START_US + ACK_WITHIN_US),
    }
    with store.database.writing() as connection:
        connection.execute(update(schema.escalation).values(turn=2, due_us=START_US + 2 * ACK_WITHIN_US))
    store.accept([counted(4, escalation=None)])
    assert sorted((row.turn, row.due_us) for row in escalations(store)) == [(2, START_US + 2 * ACK_WITHIN_US)] * 2


def test_acknowledgement_of_a_replaced_alert_ends_nothing_of_the_newer_one(store: Store, clock: FakeClock) -> None:
    store.accept([counted(1), waiting := counted(2)])
    assert store.acknowledge(waiting.alert.id, "kim", "api") is not None
    clock.advance(1)
    newer = counted(3)
    store.accept([newer])
    rows = {row.alert_id: (row.ended_why, row.due_us) for row in escalations(store)}
    assert rows[newer.alert.id.bytes] == (None, clock.now_us() + ACK_WITHIN_US)
    assert rows[waiting.alert.id.bytes][0] == "acknowledged"


def test_acknowledgement_covers_the_alerts_that_it_tells_of(store: Store, clock: FakeClock) -> None:
    """What their escalations planned before a newer one took their place is told nobody."""
    store.accept([counted(1), older := counted(2)])
    clock.advance(300)
    for due in store.due_escalations(10):
        store.escalate(due, ["desk", "whatsapp"])
    middle = counted(3)
    store.accept([middle])
    newest = counted(4)
    store.accept([newest])
    story = store.story(older.alert.id)
    assert story is not None
    assert [each["status"] for each in story["deliveries"]] == ["suppressed", "pending"]
    acknowledged = store.acknowledge(newest.alert.id, "kim", "api")
    assert acknowledged is not None
    assert acknowledged.suppressed == {"desk": 2}  # the first one, which is like it, is covered as well
    story = store.story(older.alert.id)
    assert story is not None
    assert [(each["status"], each["why"]) for each in story["deliveries"]] == [
        ("suppressed", "dedup"),
        ("suppressed", "acknowledged"),
    ]
    assert store.audit().balanced
