"""What waits too long for a channel that is down: another one tells it, once, and the original goes on waiting."""

from __future__ import annotations

import json

import pytest

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import Outcome, RetryAt
from subscriber.store import Store
from tests.support.alerts import STREAM, incoming, risk_event
from tests.support.books import NETWORK, TIMEOUT, spoil
from tests.support.clock import FakeClock

LIMIT_US = 300 * MICROSECONDS
CHANNEL = "whatsapp"


def add(store: Store, number: int = 1, *channels: str) -> Alert:
    """Store an alert for whatsapp, or for these channels, due now."""
    alert = risk_event()
    store.begin(STREAM, "trader-1", 1)
    item = incoming(alert, number, *(channels or (CHANNEL,)), published_us=store.database.clock.now_us())
    store.accept([item], {STREAM: number})
    return alert


def overdue(store: Store, *fallbacks: str, limit: int = 100) -> dict[str, int]:
    """Hand over what was due five minutes ago."""
    since_us = store.database.clock.now_us() - LIMIT_US
    return store.hand_over_overdue(CHANNEL, since_us, fallbacks or ("telegram", "mail"), limit)


def states(store: Store, alert: Alert) -> list[tuple[str, str, str]]:
    story = store.story(alert.id)
    assert story is not None
    return [(each["channel"], each["step"], each["status"]) for each in story["deliveries"]]


def balanced(store: Store) -> bool:
    audit = store.audit()
    assert audit.faults == ()
    return audit.balanced


def test_hand_over_overdue_plans_a_fallback_once(store: Store, clock: FakeClock) -> None:
    alert = add(store)
    clock.advance(299)
    young = add(store, 2)
    assert overdue(store) == {}
    clock.advance(1)
    assert overdue(store) == {"telegram": 1}
    assert overdue(store) == {}
    assert states(store, alert) == [(CHANNEL, "first", "pending"), ("telegram", "fallback", "pending")]
    assert states(store, young) == [(CHANNEL, "first", "pending")]
    assert [each.alert for each in store.claim("telegram", "worker", 60, 10)] == [alert]
    assert {each.alert.id for each in store.claim(CHANNEL, "worker", 60, 10)} == {alert.id, young.id}
    assert balanced(store)


@pytest.mark.parametrize(("outcome", "doubt"), [(NETWORK, False), (TIMEOUT, True)])
def test_hand_over_overdue_counts_from_the_first_try(
    store: Store, clock: FakeClock, outcome: Outcome, doubt: bool
) -> None:
    """Each retry is due anew; what may have arrived is told as a possible repeat."""
    add(store)
    for _ in range(3):
        claimed = store.claim(CHANNEL, "worker", 60, 1)
        later = RetryAt(clock.now_us() + 100 * MICROSECONDS, in_doubt=doubt)
        store.close_attempt(store.open_attempt(claimed), claimed, outcome, later, 0.1)
        assert overdue(store) == {}
        clock.advance(100)
    assert overdue(store) == {"telegram": 1}
    (fallback,) = store.claim("telegram", "worker", 60, 1)
    assert fallback.possible_repeat is doubt
    assert balanced(store)


def test_hand_over_overdue_leaves_what_is_held_or_sent(store: Store, clock: FakeClock) -> None:
    add(store)
    clock.advance(301)
    claimed = store.claim(CHANNEL, "worker", 60, 1)
    assert overdue(store) == {}
    store.open_attempt(claimed)
    clock.advance(61)
    assert overdue(store) == {}
    store.release_worker("worker")
    assert overdue(store) == {"telegram": 1}


def test_hand_over_overdue_leaves_other_channels_and_what_is_due_later(store: Store, clock: FakeClock) -> None:
    add(store, 1, "desk")
    add(store, 2)
    spoil(store, "UPDATE notification_queue SET due_at = due_at + 3600000000 WHERE channel = 'whatsapp'")
    clock.advance(400)
    assert overdue(store) == {}


def test_hand_over_overdue_where_nobody_is_left_does_not_hide_what_others_can_tell(
    store: Store, clock: FakeClock
) -> None:
    everywhere = add(store, 1, CHANNEL, "telegram")
    clock.advance(1)
    add(store, 2)
    clock.advance(400)
    assert overdue(store, "telegram", limit=1) == {}
    assert overdue(store, "telegram", limit=1) == {"telegram": 1}
    assert len(states(store, everywhere)) == 2


def test_hand_over_overdue_asks_each_deliverys_route_first(store: Store, clock: FakeClock) -> None:
    """Its own order, of the channels that are there; an empty one means nobody."""
    for number, fallbacks in enumerate((["mail", "telegram"], ["gone", "telegram"], [], None), start=1):
        alert = add(store, number)
        if fallbacks is not None:
            spoil(
                store,
                "UPDATE notification_queue SET handling = :text WHERE alert_id = :key",
                text=json.dumps({"fallbacks": fallbacks}),
                key=alert.id.bytes,
            )
    clock.advance(400)
    assert overdue(store, "telegram", "mail") == {"mail": 1, "telegram": 2}
    assert balanced(store)


def test_hand_over_overdue_of_two_daemons_hands_over_once(store: Store, store_url: str, clock: FakeClock) -> None:
    add(store)
    clock.advance(400)
    with Store(store_url, clock) as other:
        assert [overdue(store), overdue(other)] == [{"telegram": 1}, {}]
