"""What people and metrics read: history, one alert's story, counts, and what the daemon remembers."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from sqlalchemy import update

from bus.alerts import Alert
from subscriber.deliveries import (
    Delivery,
    DeliveryState,
    Done,
    GiveUp,
    Outcome,
    PlannedDelivery,
    Reason,
    RetryAt,
)
from subscriber.errors import StoreError
from subscriber.store import Store, schema
from tests.support.alerts import STREAM, agent_action, incoming, risk_event, system_event
from tests.support.clock import START_US, FakeClock


def attempt(store: Store, channel: str, outcome: Outcome) -> Delivery:
    """Claim one delivery of a channel and end an attempt at it; it is due again at once."""
    (delivery,) = store.claim(channel, "a", 60, 1)
    number = store.open_attempt([delivery])
    decision = Done() if outcome.accepted else RetryAt(START_US)
    store.close_attempt(number, [delivery], outcome, decision, 0.1)
    return delivery


def test_history_is_newest_first_with_deliveries(store: Store) -> None:
    """Every alert is in it, routed or not; pages follow each other without a gap."""
    alerts: list[Alert] = [risk_event(), agent_action(action="HOLD", state={"rsi": 1}), agent_action()]
    for number, alert in enumerate(alerts, start=1):
        store.accept([incoming(alert, number, *(["telegram"] if number != 2 else []))])
    entries = store.history(2)
    assert [entry["alert"]["id"] for entry in entries] == [str(alert.id) for alert in reversed(alerts)][:2]
    assert [len(entry["deliveries"]) for entry in entries] == [1, 0]
    assert entries[1]["marks"] == ["not_routed"]
    assert "state" not in entries[1]["alert"]
    (rest,) = store.history(10, before=entries[-1]["number"])
    assert rest["alert"]["id"] == str(alerts[0].id)
    json.dumps(entries)


def test_history_can_be_asked_by_channel_and_state(store: Store) -> None:
    """Only alerts with such a delivery are told, each with all of its deliveries."""
    store.accept([incoming(risk_event(), 1, "telegram", "whatsapp"), incoming(risk_event(), 2, "telegram")])
    store.finish(store.claim("whatsapp", "a", 60, 1)[0], DeliveryState.EXPIRED)
    assert [entry["sequence"] for entry in store.history(10, channel="telegram")] == [2, 1]
    assert [entry["sequence"] for entry in store.history(10, channel="whatsapp")] == [1]
    assert [entry["sequence"] for entry in store.history(10, state="expired")] == [1]
    assert store.history(10, channel="telegram", state="expired") == []
    assert len(store.history(10, channel="whatsapp", state="expired")[0]["deliveries"]) == 2


def test_story_tells_everything_about_one_alert(store: Store) -> None:
    """Where it came from, what was planned, each attempt and how it ended."""
    alert = risk_event()
    store.accept([incoming(alert, 7, "telegram", "whatsapp")])
    attempt(store, "telegram", Outcome(Reason.UNAVAILABLE, "502", 502, in_doubt=True))
    attempt(store, "telegram", Outcome(Reason.ACCEPTED, status=200, provider_message_id="1"))
    story = store.story(alert.id)
    assert story is not None
    assert (story["stream"], story["sequence"], story["severity"]) == (STREAM.hex(), 7, "CRITICAL")
    by_channel = {delivery["channel"]: delivery for delivery in story["deliveries"]}
    assert [recorded["reason"] for recorded in by_channel["telegram"]["attempts"]] == ["unavailable", "accepted"]
    assert by_channel["whatsapp"]["attempts"] == []
    json.dumps(story)


def test_story_of_a_daemons_own_event_has_no_stream(store: Store) -> None:
    """What a daemon itself has to say came on no stream."""
    store.accept([incoming(event := system_event(), None, "telegram", stream=None)])
    story = store.story(event.id)
    assert story is not None
    assert (story["stream"], story["sequence"]) == (None, None)


def test_story_of_unknown_alert_is_none(store: Store) -> None:
    """There is nothing to tell."""
    assert store.story(uuid4()) is None


def test_channel_counts_by_channel_and_state(store: Store) -> None:
    """Each delivery is in exactly one state of one channel."""
    assert store.channel_counts() == {}
    store.accept([incoming(risk_event(), number, "telegram", "whatsapp") for number in (1, 2, 3)])
    attempt(store, "telegram", Outcome(Reason.ACCEPTED))
    assert store.channel_counts() == {"telegram": {"accepted": 1, "pending": 2}, "whatsapp": {"pending": 3}}
    assert store.open_counts() == {"telegram": 2, "whatsapp": 3}


def test_queue_oldest_is_the_oldest_that_waits(store: Store) -> None:
    """Whatever its priority; what has ended does not wait."""
    assert store.queue_oldest_us("telegram") is None
    store.accept(
        [
            incoming(risk_event(), 1, "telegram", published_us=START_US - 5),
            incoming(risk_event(severity="INFO"), 2, "telegram", published_us=START_US - 9),
        ]
    )
    assert store.queue_oldest_us("telegram") == START_US - 9
    assert store.queue_oldest_us("whatsapp") is None
    attempt(store, "telegram", Outcome(Reason.ACCEPTED))
    attempt(store, "telegram", Outcome(Reason.ACCEPTED))
    assert store.queue_oldest_us("telegram") is None


def test_last_success_and_last_error_of_a_channel(store: Store, clock: FakeClock) -> None:
    """The newest of each kind, with the provider's own code."""
    assert (store.last_success_us("telegram"), store.last_error("telegram")) == (None, None)
    first, second = (incoming(risk_event(), number, "telegram") for number in (1, 2))
    store.accept([first, second])
    attempt(store, "telegram", Outcome(Reason.TIMEOUT, "no answer", in_doubt=True))
    clock.advance(1)
    attempt(store, "telegram", Outcome(Reason.REJECTED, "too long", 400, "400"))
    clock.advance(1)
    attempt(store, "telegram", Outcome(Reason.ACCEPTED))
    assert store.last_success_us("telegram") == START_US + 2_000_000
    assert store.last_error("telegram") == {
        "reason": "rejected",
        "status": 400,
        "code": "400",
        "detail": "too long",
        "at_us": START_US + 1_000_000,
        "alert_id": str(first.alert.id),
    }
    assert store.last_error("whatsapp") is None


def test_fetch_pending_notifications_returns_the_plans_fields(store: Store, clock: FakeClock) -> None:
    """The plan's helper: what waits, in the order of sending, with the payload parsed."""
    later = PlannedDelivery("telegram", START_US + 1_000_000)
    alert = risk_event()
    store.accept([incoming(agent_action(), 1, "telegram"), incoming(alert, 2, planned=(later,))])
    first, second = store.fetch_pending_notifications()
    assert first == {
        "id": first["id"],
        "payload": json.loads(alert.model_dump_json(exclude_none=True)),
        "status": "pending",
        "retries": 0,
        "created_at": clock.now_us(),
        "channel": "telegram",
    }
    assert second["payload"]["action"] == "BUY"
    assert len(store.fetch_pending_notifications(limit=1)) == 1


def test_fetch_pending_notifications_leaves_out_what_has_ended(store: Store) -> None:
    """What was marked sent is fetched no more."""
    store.accept([incoming(risk_event(), 1, "telegram")])
    (waiting,) = store.fetch_pending_notifications()
    store.mark_notification_sent(waiting["id"], "sent")
    assert store.fetch_pending_notifications() == []


def test_folded_delivery_is_no_backlog(store: Store) -> None:
    """What a digest told waits no more."""
    store.accept([incoming(risk_event(), 1, "telegram")])
    (delivery,) = store.claim("telegram", "a", 60, 1)
    number = store.open_attempt([delivery])
    store.close_attempt(number, [delivery], Outcome(Reason.ACCEPTED), GiveUp(DeliveryState.FOLDED), 0.1)
    assert store.queue_oldest_us("telegram") is None


def test_settings_are_remembered(store: Store, store_url: str, clock: FakeClock) -> None:
    """What is remembered outlives the daemon, and the last word counts."""
    assert store.setting("channel.telegram") is None
    store.remember("channel.telegram", "off")
    store.remember("channel.telegram", "on\0")
    with Store(store_url, clock) as again:
        assert again.setting("channel.telegram") == "on�"


def test_sent_for_real_is_remembered(store: Store, store_url: str) -> None:
    """A database that ever sent to people knows it."""
    assert not store.sent_for_real()
    store.remember_sent_for_real()
    with Store(store_url) as again:
        assert again.sent_for_real()


def test_store_id_is_made_once_and_shared(store: Store, store_url: str) -> None:
    """All daemons of one database are one store."""
    with Store(store_url) as other:
        assert other.store_id == store.store_id
    assert len(store.store_id) == 36


def test_store_id_before_open_is_an_error(store_url: str) -> None:
    """Nobody may greet a publisher with an id that is not known."""
    with pytest.raises(StoreError, match="never opened"):
        Store(store_url).store_id  # noqa: B018 - reading it is the test


def test_history_of_a_damaged_body_is_told_by_its_columns(store: Store) -> None:
    """One damaged row hides no other."""
    store.accept([incoming(risk_event(), 1), incoming(risk_event(), 2)])
    with store.database.writing() as connection:
        connection.execute(update(schema.alert).where(schema.alert.c.sequence == 1).values(body=b"\xc1"))
    assert [entry["alert"]["kind"] for entry in store.history(10)] == ["risk_event", "opaque"]
