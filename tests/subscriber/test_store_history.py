"""The history by any of its filters, one alert's whole story, and what a digest told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert

from bus.alerts import Alert
from subscriber.deliveries import DeliveryState, PlannedDelivery, Why
from subscriber.store import Store, schema
from subscriber.store.silences import NewSilence
from tests.support.alerts import STREAM, agent_action, incoming, risk_event
from tests.support.books import spoil
from tests.support.clock import START_US, FakeClock

ALERTS: Sequence[Alert] = (
    risk_event(),
    risk_event(severity="WARNING", event_type="SLIPPAGE", symbol="UPRO", agent_name="sac-2"),
    agent_action(source="trader-2"),
)


def sequences(store: Store, **filters: Any) -> list[int]:
    return [entry["sequence"] for entry in store.history(10, **filters)]


def story_of(store: Store, alert: Alert) -> dict[str, Any]:
    story = store.story(alert.id)
    assert story is not None
    json.dumps(story)
    return story


def store_one(store: Store, *channels: str, **fields: Any) -> Alert:
    alert = risk_event(**fields)
    store.begin(STREAM, "trader-1", 1)
    store.accept([incoming(alert, 1, *(channels or ("telegram",)))], {STREAM: 1})
    return alert


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [3, 2, 1]),
        ({"severity": "WARNING"}, [2]),
        ({"severity": "INFO"}, [3]),
        ({"event_type": "SLIPPAGE"}, [2]),
        ({"event_type": "BUY"}, [3]),
        ({"symbol": "TNA"}, [3, 1]),
        ({"agent_name": "sac-2"}, [2]),
        ({"source": "trader-1"}, [2, 1]),
        ({"kind": "agent_action"}, [3]),
        ({"since_us": START_US + 2}, [3, 2]),
        ({"until_us": START_US + 2}, [1]),
        ({"since_us": START_US + 2, "until_us": START_US + 3}, [2]),
        ({"symbol": "TNA", "source": "trader-1"}, [1]),
        ({"symbol": "TNA", "channel": "desk"}, []),
        ({"symbol": "TNA", "channel": "telegram", "state": "pending"}, [3, 1]),
        ({"symbol": "T\0NA"}, []),
    ],
)
def test_history_finds_what_its_filters_say(store: Store, filters: dict[str, Any], found: list[int]) -> None:
    batch = [
        incoming(alert, number, "telegram", published_us=START_US + number) for number, alert in enumerate(ALERTS, 1)
    ]
    store.accept(batch)
    assert sequences(store, **filters) == found


def test_story_of_a_plain_alert_has_nothing_of_the_policy(store: Store) -> None:
    story = story_of(store, store_one(store))
    assert (story["acknowledgement"], story["escalation"]) == (None, None)
    (delivery,) = story["deliveries"]
    policy = ("route", "silent", "template", "expires_at", "batch", "digest", "silence", "more", "told_by")
    assert [delivery[name] for name in policy] == ["", False, None, None, None, None, None, 0, None]
    assert delivery["handed_over"] is False


def test_story_tells_what_the_route_said_and_who_tells_it_instead(store: Store) -> None:
    alert, other = store_one(store), uuid4()
    spoil(
        store,
        "UPDATE notification_queue SET handling = :said, expires_at = 5, more = 41, more_since = 4, told_by = :other, "
        "handed_over = :yes, batch = 'quiet:night'",
        said=json.dumps({"route": "night", "silent": True, "template": "short"}),
        other=other.bytes,
        yes=True,
    )
    (delivery,) = story_of(store, alert)["deliveries"]
    assert (delivery["route"], delivery["silent"], delivery["template"]) == ("night", True, "short")
    assert (delivery["expires_at"], delivery["more"], delivery["more_since"]) == (5, 41, 4)
    assert (delivery["told_by"], delivery["handed_over"], delivery["batch"]) == (str(other), True, "quiet:night")
    assert delivery["silence"] is None
    spoil(store, "UPDATE notification_queue SET told_by = :nobody", nobody=b"")  # it expired before this was kept
    assert story_of(store, alert)["deliveries"][0]["told_by"] is None


def test_story_tells_the_silence_that_dropped_an_alert(store: Store) -> None:
    new = NewSilence({"symbol": "TNA"}, "kim", "expected", START_US, START_US + 60_000_000, drops=True)
    silence = store.add_silence(new, "cli")
    alert = risk_event()
    planned = PlannedDelivery("telegram", START_US, DeliveryState.SUPPRESSED, Why.SILENCE)
    store.accept([incoming(alert, 1, planned=(planned,))])
    spoil(store, "UPDATE notification_queue SET batch = :batch", batch=silence.batch)
    (delivery,) = story_of(store, alert)["deliveries"]
    assert delivery["silence"] == silence.fields()
    assert (delivery["silence"]["author"], delivery["silence"]["reason"]) == ("kim", "expected")
    spoil(store, "DELETE FROM silence")
    assert story_of(store, alert)["deliveries"][0]["silence"] is None


def test_story_tells_who_acknowledged_and_how_the_escalation_stands(store: Store, clock: FakeClock) -> None:
    alert = store_one(store)
    with store.database.writing() as connection:
        connection.execute(
            insert(schema.escalation).values(
                alert_id=alert.id.bytes, ack_within_us=300, channels='["desk", "mail"]', turn=2, due_us=START_US + 300
            )
        )
    assert story_of(store, alert)["escalation"] == {
        "channels": ["desk", "mail"],
        "ack_within_us": 300,
        "turn": 2,
        "due_us": START_US + 300,
        "ended_us": None,
        "ended_why": None,
    }
    clock.advance(1)
    store.acknowledge(alert.id, "kim", "telegram", "on it")
    story = story_of(store, alert)
    at_us = START_US + 1_000_000
    assert story["acknowledgement"] == {"at_us": at_us, "author": "kim", "via": "telegram", "note": "on it"}
    assert (story["escalation"]["ended_us"], story["escalation"]["ended_why"]) == (at_us, "acknowledged")
    spoil(store, "UPDATE escalation SET channels = '{'")
    assert story_of(store, alert)["escalation"]["channels"] == []


def test_digest_story_tells_its_text_and_its_alerts(store: Store) -> None:
    """The most urgent first, as its channel serves; a half says of which digest, and that one names its halves."""
    alerts = [risk_event(severity="WARNING"), risk_event(symbol="UPRO"), risk_event(symbol="SPXL")]
    store.accept([incoming(alert, number, "telegram") for number, alert in enumerate(alerts, 1)])
    with store.database.writing() as connection:
        for parent, state in ((None, "split"), (1, "open"), (1, "told")):
            connection.execute(
                insert(schema.digest).values(
                    channel="telegram",
                    kind="storm",
                    state=state,
                    created_us=START_US,
                    members=3,
                    message=None if parent is None else json.dumps({"text": "3 alerts", "body": "<b>3 alerts</b>"}),
                    parent=parent,
                )
            )
    spoil(store, "UPDATE notification_queue SET digest = 2")
    story = store.digest_story(2)
    assert story is not None
    json.dumps(story)
    assert (story["id"], story["kind"], story["state"], story["members"]) == (2, "storm", "open", 3)
    assert (story["text"], story["channel"], story["parent"], story["halves"]) == ("3 alerts", "telegram", 1, [])
    assert (story["created_us"], story["finished_us"]) == (START_US, None)
    assert [each["id"] for each in story["alerts"]] == [str(alerts[number].id) for number in (1, 2, 0)]
    assert story["alerts"][0] == {
        "id": str(alerts[1].id),
        "published_us": START_US,
        "severity": "CRITICAL",
        "event_type": "DRAWDOWN_BREACHED",
        "symbol": "UPRO",
        "agent_name": "ppo-1",
        "source": "trader-1",
        "state": "pending",
    }
    parent_story = store.digest_story(1)
    assert parent_story is not None
    assert (parent_story["halves"], parent_story["alerts"], parent_story["text"]) == ([2, 3], [], None)
    (delivery,) = story_of(store, alerts[0])["deliveries"]
    assert delivery["digest"] == {"id": 2, "kind": "storm", "members": 3, "state": "open"}
    assert store.digest_story(99) is None
