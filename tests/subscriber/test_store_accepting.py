"""Storing what comes in: everything or nothing, and every replay is harmless."""

from __future__ import annotations

import json
import random
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Row, select

from bus.wire import decode_alert
from subscriber.deliveries import DeliveryState, Handling, PlannedDelivery, Step, Why
from subscriber.store import Accepted, Incoming, Store, StreamPosition, accepting, schema
from subscriber.store.handling import handling_of
from tests.support.alerts import OTHER_STREAM, STREAM, agent_action, incoming, risk_event, system_event
from tests.support.clock import START_US, FakeClock


def rows_of(store: Store, table: str) -> list[Row[Any]]:
    with store.database.reading() as connection:
        return list(connection.execute(select(schema.metadata.tables[table])))


def test_accept_new_alert_writes_alert_and_deliveries(store: Store, clock: FakeClock) -> None:
    """An alert is stored as it came, with one pending delivery for each channel."""
    item = incoming(risk_event(), 1, "whatsapp", "telegram")
    accepted = store.accept([item])
    assert accepted == Accepted(
        inserted=(item.alert.id,),
        deliveries={"whatsapp": 1, "telegram": 1},
        states={("whatsapp", DeliveryState.PENDING): 1, ("telegram", DeliveryState.PENDING): 1},
    )
    (alert,) = rows_of(store, "alert")
    assert (alert.id, alert.stream, alert.sequence, alert.body) == (item.alert.id.bytes, STREAM, 1, item.body)
    assert (alert.topic, alert.kind, alert.event_type, alert.severity, alert.symbol, alert.source) == (
        "severity.CRITICAL.TNA.",
        "risk_event",
        "DRAWDOWN_BREACHED",
        "CRITICAL",
        "TNA",
        "trader-1",
    )
    assert (alert.published_us, alert.stored_us, alert.marks) == (START_US, clock.now_us(), "")
    assert json.loads(alert.planned) == [["whatsapp", "first"], ["telegram", "first"]]
    deliveries = rows_of(store, "notification_queue")
    assert [(row.channel, row.status, row.retries, row.created_at) for row in deliveries] == [
        ("whatsapp", "pending", 0, clock.now_us()),
        ("telegram", "pending", 0, clock.now_us()),
    ]


def test_accept_nothing_does_nothing(store: Store) -> None:
    """An empty batch without positions is no work."""
    assert store.accept([]) == Accepted()


def test_accept_unrouted_alert_marks_it(store: Store) -> None:
    """What no route wanted is in the history, with its mark."""
    store.accept([incoming(agent_action(action="HOLD"), 1)])
    assert [row.marks for row in rows_of(store, "alert")] == ["not_routed"]
    assert rows_of(store, "notification_queue") == []


def test_accept_payload_is_compact_json_without_state(store: Store) -> None:
    """People and SQL read the payload; the agent's observation is no part of it."""
    store.accept([incoming(agent_action(state={"rsi": 70}, rationale="a < b & c"), 1, "telegram")])
    (row,) = rows_of(store, "notification_queue")
    assert "state" not in json.loads(row.payload)
    assert json.loads(row.payload)["rationale"] == "a < b & c"
    assert ": " not in row.payload
    assert decode_alert(rows_of(store, "alert")[0].body).state == {"rsi": 70}  # type: ignore[union-attr]


def test_accept_replay_is_harmless(store: Store) -> None:
    """The same number with the same alert changes nothing and plans nothing."""
    item = incoming(risk_event(), 1, "telegram")
    store.accept([item])
    assert store.accept([item]) == Accepted(replayed=(item.alert.id,))
    assert len(rows_of(store, "notification_queue")) == 1
    assert rows_of(store, "stream_mark") == []


def test_accept_replay_in_one_batch_is_harmless(store: Store) -> None:
    """The same envelope twice in one batch is stored once."""
    alert = risk_event()
    accepted = store.accept([incoming(alert, 1, "telegram"), incoming(alert, 1, "telegram")])
    assert (accepted.inserted, accepted.replayed, accepted.duplicates) == ((alert.id,), (alert.id,), ())
    assert accepted.deliveries == {"telegram": 1}


@pytest.mark.parametrize("one_batch", [True, False])
def test_accept_same_alert_under_another_number_is_marked_and_not_planned(store: Store, one_batch: bool) -> None:
    """No alert id is planned twice; its other number is settled by a mark."""
    alert = risk_event()
    first, second = incoming(alert, 1, "telegram"), incoming(alert, 7, "telegram", stream=OTHER_STREAM)
    if one_batch:
        accepted = store.accept([second, first])
    else:
        store.accept([first])
        accepted = store.accept([second])
    assert accepted.duplicates == (alert.id,)
    assert len(rows_of(store, "notification_queue")) == 1
    (mark,) = rows_of(store, "stream_mark")
    assert (mark.stream, mark.first, mark.last, mark.mark, mark.alert_id) == (
        OTHER_STREAM,
        7,
        7,
        "duplicate",
        alert.id.bytes,
    )
    assert store.position(OTHER_STREAM).ahead == ((7, 7),)


def test_accept_duplicate_again_is_marked_once(store: Store) -> None:
    """A replay of a duplicate number adds no second mark."""
    alert = risk_event()
    store.accept([incoming(alert, 1)])
    for _ in range(2):
        assert store.accept([incoming(alert, 2)]).duplicates == (alert.id,)
    assert len(rows_of(store, "stream_mark")) == 1


@pytest.mark.parametrize("one_batch", [True, False])
def test_accept_same_number_with_another_alert_keeps_both_and_tells(store: Store, one_batch: bool) -> None:
    """The same number with another alert id is never a duplicate."""
    first, second = incoming(risk_event(), 1, "telegram"), incoming(risk_event(), 1, "telegram")
    if one_batch:
        accepted = store.accept([first, second])
    else:
        assert store.accept([first]).collisions == ()
        accepted = store.accept([second])
    assert accepted.collisions == ((STREAM, 1),)
    assert len(rows_of(store, "alert")) == 2
    assert len(rows_of(store, "notification_queue")) == 2


def test_accept_late_number_is_no_collision(store: Store) -> None:
    """A number that comes after higher ones fills its hole and collides with nothing."""
    store.accept([incoming(risk_event(), 5)])
    assert store.accept([incoming(risk_event(), 3)]).collisions == ()


def test_accept_system_event_of_two_daemons_is_planned_once(store: Store) -> None:
    """A daemon's own event has an id that every daemon derives alike, and no stream."""
    event = system_event()
    first = store.accept([incoming(event, None, "telegram", stream=None)])
    second = store.accept([incoming(event, None, "telegram", stream=None)])
    assert (first.inserted, second.replayed) == ((event.id,), (event.id,))
    assert len(rows_of(store, "notification_queue")) == 1
    assert store.streams() == []


def test_accept_channel_planned_twice_gets_one_delivery(store: Store) -> None:
    """Two routes that name one channel make one delivery, in the queue and in the ledger."""
    store.accept([incoming(risk_event(), 1, "telegram", "telegram")])
    assert len(rows_of(store, "notification_queue")) == 1
    assert json.loads(rows_of(store, "alert")[0].planned) == [["telegram", "first"]]


def test_accept_suppressed_plan_is_finished_at_once(store: Store, clock: FakeClock) -> None:
    """What a route suppresses is kept with its reason, and nobody waits for it."""
    planned = PlannedDelivery("telegram", START_US, DeliveryState.SUPPRESSED, Why.DRY_RUN, Step.FALLBACK)
    store.accept([incoming(risk_event(), 1, planned=(planned,))])
    (row,) = rows_of(store, "notification_queue")
    assert (row.status, row.why, row.step, row.finished_at) == ("suppressed", "dry_run", "fallback", clock.now_us())


def test_accept_keeps_how_a_delivery_is_handled(store: Store) -> None:
    """A reload changes nothing that waits: what a route said stands in the row."""
    handling = Handling("desk", silent=True, template="short", fallbacks=("mail",))
    planned = (
        PlannedDelivery("telegram", START_US, handling=handling, max_age_us=90, batch="group:a\0"),
        PlannedDelivery("desk", START_US),
    )
    store.accept([incoming(risk_event(), 1, planned=planned)])
    handled, plain = rows_of(store, "notification_queue")
    assert handling_of(handled.handling) == handling
    assert (handled.expires_at, handled.batch) == (START_US + 90, "group:a\ufffd")
    assert (plain.handling, plain.expires_at, plain.batch) == (None, None, None)
    for row in (handled, plain):
        assert (row.more, row.more_since, row.told_by) == (None, None, None)


def test_accept_counts_what_was_planned_by_state(store: Store) -> None:
    planned = (
        PlannedDelivery("telegram", START_US),
        PlannedDelivery("desk", START_US, DeliveryState.SUPPRESSED, Why.OFF),
    )
    accepted = store.accept([incoming(risk_event(), number, planned=planned) for number in (1, 2)])
    assert accepted.deliveries == {"telegram": 2, "desk": 2}
    assert accepted.states == {("telegram", DeliveryState.PENDING): 2, ("desk", DeliveryState.SUPPRESSED): 2}


def test_accept_nul_characters_are_met(store: Store) -> None:
    """PostgreSQL's text knows no NUL: it is replaced where people read, and kept in the body."""
    alert = risk_event(
        event_type="A\0B", description="x\0y\\u0000", symbol="T\0", agent_name="\0", source="s\0é", extra={"a": ["\0"]}
    )
    item = incoming(alert, 1, "telegram")
    store.accept([Incoming(alert, item.body, "severity.\0.", STREAM, 1, START_US, item.planned)])
    (row,) = rows_of(store, "alert")
    assert (row.event_type, row.symbol, row.source, row.topic) == ("A�B", "T�", "s�é", "severity.�.")
    assert json.loads(rows_of(store, "notification_queue")[0].payload)["description"] == "x�y\\u0000"
    (claimed,) = store.claim("telegram", "w", 60, 1)
    assert claimed.alert == alert


def test_accept_positions_never_move_backwards(store: Store) -> None:
    """A daemon that is behind can't take back what another acknowledged."""
    store.accept([], {STREAM: 5})
    store.accept([incoming(risk_event(), 3)], {STREAM: 3})
    assert store.position(STREAM) == StreamPosition(5, (), known=True)
    store.accept([], {STREAM: 6})
    assert store.position(STREAM).up_to == 6


def test_accept_failure_in_the_middle_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is one transaction: what fails at its last statement never was."""

    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(accepting, "move_streams", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        store.accept([incoming(risk_event(), 1, "telegram")], {STREAM: 1})
    for table in ("alert", "notification_queue", "stream"):
        assert rows_of(store, table) == []
    monkeypatch.undo()
    assert store.accept([incoming(risk_event(), 1, "telegram")], {STREAM: 1}).deliveries == {"telegram": 1}


def test_accept_large_unsorted_batch_is_stored_in_order(store: Store) -> None:
    """A batch comes in any order, from several streams."""
    batch = [incoming(risk_event(), n, "telegram", stream=s) for n in range(1, 1201) for s in (STREAM, OTHER_STREAM)]
    random.Random(1).shuffle(batch)
    accepted = store.accept(batch, {STREAM: 1200, OTHER_STREAM: 1200})
    assert (len(accepted.inserted), accepted.deliveries) == (2400, {"telegram": 2400})
    assert [row.sequence for row in rows_of(store, "alert")] == [*range(1, 1201)] * 2
    partly = store.accept([*batch[:600], *(incoming(risk_event(), n) for n in range(1201, 1301))])
    assert (len(partly.inserted), len(partly.replayed)) == (100, 600)


def test_accept_by_two_daemons_at_once_stores_each_alert_once(store: Store, store_url: str, clock: FakeClock) -> None:
    """Two daemons that store the same alerts in different orders neither deadlock nor plan anything twice."""
    alerts = [incoming(risk_event(), number, "telegram") for number in range(1, 401)]
    accepted: list[Accepted] = []

    def daemon(seed: int) -> None:
        own = random.Random(seed).sample(alerts, len(alerts))
        with Store(store_url, clock) as other:
            accepted.extend(other.accept(own[start : start + 50]) for start in range(0, len(own), 50))

    threads = [Thread(target=daemon, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(result.inserted) for result in accepted) == 400
    assert sum(len(result.replayed) for result in accepted) == 400
    assert len(rows_of(store, "notification_queue")) == 400
