"""What a channel knows over restarts, and how it follows the wall clock."""

from __future__ import annotations

import pytest

from bus.clock import Moment
from subscriber.deliveries import Remembered
from subscriber.store import Store, remembering
from tests.support.clock import START_US, FakeClock
from tests.support.receipted import CHANNEL, TIMEOUT, Sender


@pytest.fixture
def sender(store: Store, clock: FakeClock) -> Sender:
    return Sender(store, clock)


def test_channel_that_never_learned_anything_knows_nothing(store: Store) -> None:
    assert store.remembered(CHANNEL) == Remembered()


def test_remember_channel_keeps_what_is_named_and_leaves_the_rest(store: Store, store_url: str) -> None:
    store.remember_channel(CHANNEL, {"held_until_us": 5, "moved_from": "digest\0"})
    store.remember_channel("telegram", {"held_until_us": 6})
    store.remember_channel(CHANNEL, {"inbound_us": 7, "outside_us": 8, "moved_to": "-100", "target": "of the number"})
    store.remember_channel(CHANNEL, {"held_until_us": None})
    store.remember_channel(CHANNEL, {})
    with Store(store_url) as again:
        assert again.remembered(CHANNEL) == Remembered(None, 7, 8, "digest�", "-100", "of the number")
        assert again.remembered("telegram") == Remembered(held_until_us=6)


def test_remember_channel_of_an_unknown_field_is_refused(store: Store) -> None:
    """By name, with what there is."""
    with pytest.raises(ValueError, match=r"remembers no held_until; it remembers: held_until_us, .*moved_to"):
        store.remember_channel(CHANNEL, {"held_until": 5, "inbound_us": 6})
    assert store.remembered(CHANNEL) == Remembered()


def test_recent_attempts_are_those_of_one_channel_the_oldest_first(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever became of them, over several pages."""
    monkeypatch.setattr(remembering, "_PAGE", 3)
    monkeypatch.setattr(remembering, "_page_before", remembering._page_before.limit(3))
    for number in range(10):
        sender.add(CHANNEL, "telegram")
        flight = sender.begin()
        sender.begin("telegram")
        if number % 2:
            sender.end(flight, TIMEOUT)
            sender.store.mark_notification_sent(flight.delivery.id, "dead")
        sender.clock.advance(1)
    assert sender.store.recent_attempts(CHANNEL, START_US + 4_000_000) == [
        START_US + second * 1_000_000 for second in range(4, 10)
    ]
    assert len(sender.store.recent_attempts(CHANNEL, 0)) == 10
    assert sender.store.recent_attempts("desk", 0) == []


def test_recent_attempts_of_an_empty_store_are_none(store: Store) -> None:
    assert store.recent_attempts(CHANNEL, 0) == []


@pytest.mark.parametrize("step", [-3_600_000_000, 3_600_000_000])
def test_move_waiting_moves_what_channels_wait_for(sender: Sender, step: int) -> None:
    """On PostgreSQL the daemons of several machines share it, so one machine's clock moves nothing."""
    store = sender.store
    store.remember_channel(CHANNEL, {"held_until_us": START_US + 5, "inbound_us": START_US, "moved_to": "-100"})
    waiting, told = [(sender.add(), sender.send(f"SM{number}"))[1] for number in range(2)]
    sender.tell("delivered", "SM1")
    store.move_waiting(step, Moment(START_US + step, 0, "this start"))
    moved = 0 if store.database.is_postgresql else step
    assert store.remembered(CHANNEL) == Remembered(START_US + 5 + moved, START_US + moved, None, None, "-100")
    assert sender.attempt(waiting).receipt_due == START_US + 2_000_000 + moved
    assert sender.attempt(waiting).receipt_until == START_US + 86_400_000_000 + moved
    assert sender.attempt(told).receipt_due is None
