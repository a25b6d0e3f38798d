"""Another channel instead of one that gave an alert up: chosen and planned with the end of the attempt."""

from __future__ import annotations

import pytest

from subscriber.deliveries import DeliveryState, Done, GiveUp, RetryAt
from subscriber.errors import LeaseLost
from subscriber.store import Closed, Store
from tests.support.clock import START_US, FakeClock
from tests.support.receipted import CHANNEL, DEAD, NETWORK, TIMEOUT, UNDELIVERED, Sender, taken

SOON = RetryAt(START_US + 60_000_000)


@pytest.fixture
def sender(store: Store, clock: FakeClock) -> Sender:
    return Sender(store, clock)


def balanced(sender: Sender) -> bool:
    audit = sender.store.audit()
    assert audit.faults == ()
    return audit.balanced


def test_close_attempt_hands_a_rejected_alert_over_to_the_next_channel(sender: Sender) -> None:
    """Written with the end of the attempt, in the ledger too."""
    alert = sender.add()
    sender.clock.advance(5)
    closed = sender.end(sender.begin(), UNDELIVERED, DEAD, "telegram", "mail")
    assert closed == Closed(DeliveryState.DEAD, "telegram")
    fallback = sender.delivery(alert, "telegram")
    assert (fallback["status"], fallback["step"], fallback["retries"]) == ("pending", "fallback", 0)
    assert (fallback["due_at"], fallback["created_at"]) == (sender.clock.now_us(), sender.clock.now_us())
    assert sender.store.channels_of(alert.id) == (CHANNEL, "telegram")
    (claimed,) = sender.store.claim("telegram", "worker", 60, 5)
    assert (claimed.alert, claimed.published_us) == (alert, START_US)
    assert balanced(sender)


def test_close_attempt_hands_over_to_a_channel_that_was_not_to_tell_it(sender: Sender) -> None:
    alert = sender.add(CHANNEL, "telegram")
    assert sender.end(sender.begin(), UNDELIVERED, DEAD, "telegram", "mail").fallback == "mail"
    assert sender.store.channels_of(alert.id) == (CHANNEL, "telegram", "mail")
    assert balanced(sender)


@pytest.mark.parametrize("fallbacks", [(), ("telegram",)])
def test_close_attempt_without_another_channel_hands_nothing_over(sender: Sender, fallbacks: tuple[str, ...]) -> None:
    """None is there, or each one has the alert anyway: so what one falls back to does not come back."""
    sender.add(CHANNEL, "telegram")
    assert sender.end(sender.begin(), UNDELIVERED, DEAD, *fallbacks) == Closed(DeliveryState.DEAD)
    assert sender.store.channel_counts() == {CHANNEL: {"dead": 1}, "telegram": {"pending": 1}}


@pytest.mark.parametrize("decision", [SOON, GiveUp(DeliveryState.EXPIRED), Done()])
def test_close_attempt_hands_over_only_where_the_decision_says_so(
    sender: Sender, decision: RetryAt | GiveUp | Done
) -> None:
    sender.add()
    outcome = taken() if isinstance(decision, Done) else NETWORK
    assert sender.end(sender.begin(), outcome, decision, "telegram").fallback is None
    assert "telegram" not in sender.store.channel_counts()


def test_close_attempt_hands_nothing_over_that_has_arrived(sender: Sender) -> None:
    sender.add()
    flight = sender.begin()
    sender.tell("delivered", reference=flight.reference)
    assert sender.end(flight, UNDELIVERED, DEAD, "telegram") == Closed(DeliveryState.DELIVERED)
    assert "telegram" not in sender.store.channel_counts()


def test_close_attempt_that_lost_its_lease_hands_nothing_over(sender: Sender) -> None:
    sender.add()
    flight = sender.begin()
    sender.store.release_worker("worker")
    with pytest.raises(LeaseLost):
        sender.end(flight, UNDELIVERED, DEAD, "telegram")
    assert "telegram" not in sender.store.channel_counts()


def test_fallback_of_what_may_have_arrived_is_a_possible_repeat(sender: Sender) -> None:
    sender.add()
    sender.end(sender.begin(), TIMEOUT)
    sender.end(sender.begin(), UNDELIVERED, DEAD, "telegram")
    (claimed,) = sender.store.claim("telegram", "worker", 60, 1)
    assert claimed.possible_repeat


def test_settle_failed_hands_over_to_the_next_channel(sender: Sender) -> None:
    alert = sender.add()
    sender.send()
    sender.tell("failed")
    assert sender.settle(DEAD, "telegram") == Closed(DeliveryState.DEAD, "telegram")
    assert sender.state(alert, "telegram") == "pending"
    assert balanced(sender)


def test_fallback_that_fails_too_ends_there(sender: Sender) -> None:
    """WhatsApp falls back to Telegram, and Telegram not to WhatsApp."""
    sender.add()
    sender.end(sender.begin(), UNDELIVERED, DEAD, "telegram")
    assert sender.end(sender.begin("telegram"), UNDELIVERED, DEAD, CHANNEL) == Closed(DeliveryState.DEAD)
    assert sender.store.channel_counts() == {CHANNEL: {"dead": 1}, "telegram": {"dead": 1}}
    assert balanced(sender)
