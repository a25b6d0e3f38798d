"""Messages that failed on channels that are no more, or that hear of no receipts now: nobody else would settle them."""

from __future__ import annotations

import pytest

from subscriber.store import Store
from subscriber.store.retention import Pruned
from tests.support.clock import FakeClock
from tests.support.receipted import CHANNEL, Sender

YEAR = 365 * 86_400


@pytest.fixture
def sender(store: Store, clock: FakeClock) -> Sender:
    return Sender(store, clock)


def balanced(sender: Sender) -> bool:
    audit = sender.store.audit()
    assert audit.faults == ()
    return audit.balanced


def test_settle_orphans_lets_another_channel_tell_what_failed_on_one_that_is_no_more(sender: Sender) -> None:
    alert = sender.add()
    flight = sender.send()
    sender.tell("failed", code="63016", detail="outside the window")
    assert sender.store.settle_orphans([], ["telegram", "mail"]) == 1
    delivery = sender.delivery(alert)
    assert (delivery["status"], delivery["retries"], delivery["last_reason"]) == ("dead", 1, "rejected")
    row = sender.attempt(flight)
    assert (row.reason, row.code, row.detail) == ("rejected", "63016", "outside the window")
    fallback = sender.delivery(alert, "telegram")
    assert (fallback["status"], fallback["step"]) == ("pending", "fallback")
    assert sender.store.failed_receipts([CHANNEL]) == []
    assert balanced(sender)


def test_settle_orphans_chooses_a_channel_that_did_not_have_the_alert(sender: Sender) -> None:
    """The channel itself may be enabled, and hear of no receipts."""
    alert = sender.add(CHANNEL, "telegram")
    sender.send()
    sender.tell("failed")
    assert sender.store.settle_orphans(["telegram"], [CHANNEL, "telegram", "mail"]) == 1
    assert sender.store.channels_of(alert.id) == (CHANNEL, "telegram", "mail")
    assert sender.state(alert) == "dead"
    assert balanced(sender)


def test_settle_orphans_without_another_channel_gives_up(sender: Sender) -> None:
    alert = sender.add()
    sender.send()
    sender.tell("failed")
    assert sender.store.settle_orphans([], []) == 1
    assert (sender.state(alert), sender.store.channels_of(alert.id)) == ("dead", (CHANNEL,))


def test_settle_orphans_leaves_what_a_keeper_settles(sender: Sender) -> None:
    alert = sender.add()
    sender.send()
    sender.tell("failed")
    assert sender.store.settle_orphans([CHANNEL], ["telegram"]) == 0
    assert sender.state(alert) == "accepted"
    assert len(sender.store.failed_receipts([CHANNEL])) == 1


def test_settle_orphans_leaves_what_arrived_after_all(sender: Sender) -> None:
    alert = sender.add()
    sender.send()
    sender.tell("failed")
    sender.tell("delivered")
    assert sender.store.settle_orphans([], ["telegram"]) == 0
    assert sender.state(alert) == "delivered"


def test_settle_orphans_settles_all_of_them_once(sender: Sender) -> None:
    """More than are read at once."""
    count = 120
    for number in range(count):
        sender.add()
        sender.send(f"SM{number}")
        sender.tell("failed", f"SM{number}")
    assert sender.store.settle_orphans(["telegram"], ["telegram"]) == count
    assert sender.store.settle_orphans(["telegram"], ["telegram"]) == 0
    assert sender.store.channel_counts() == {CHANNEL: {"dead": count}, "telegram": {"pending": count}}
    assert balanced(sender)


def test_settle_orphans_of_two_messages_of_one_delivery_gives_it_up_once(sender: Sender) -> None:
    """What follows from the first one changes what the second one is about."""
    alert = sender.add()
    first = sender.send("SM1")
    sender.clock.advance(1)
    sender.store.mark_notification_sent(first.delivery.id, "pending")
    sender.send("SM2")
    sender.tell("failed", "SM1")
    sender.tell("failed", "SM2")
    assert sender.store.settle_orphans([], ["telegram", "mail"]) == 2
    assert sender.store.channels_of(alert.id) == (CHANNEL, "telegram")
    assert sender.delivery(alert)["retries"] == 1
    assert balanced(sender)


def test_orphans_that_are_settled_go_with_their_alert(sender: Sender) -> None:
    """One that nobody settles would stay for ever."""
    sender.add()
    sender.send()
    sender.tell("failed")
    sender.clock.advance(YEAR)
    assert sender.store.prune(sender.clock.now_us(), 10) == Pruned()
    sender.store.settle_orphans([], [])
    assert sender.store.prune(sender.clock.now_us(), 10) == Pruned(alerts=1, deliveries=1, attempts=1)
    assert sender.receipts() == []
    assert balanced(sender)
