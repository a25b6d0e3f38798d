"""An alert whose body can't be read: asked for when it may have been damaged on its way, lost when it was not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from bus.wire import Replayed, encode_control
from tests.support.alerts import OTHER_STREAM
from tests.support.clock import FakeClock
from tests.support.running_intake import FaultyStore, Intake, lost_in, on_sqlite, running_intake
from tests.support.waiting import wait_until

pytestmark = on_sqlite
REPLAYED: Final = encode_control(Replayed())


@pytest.fixture
def store(store_url: str, clock: FakeClock) -> Iterator[FaultyStore]:
    with FaultyStore(store_url, clock) as opened:
        yield opened


@pytest.fixture
def intake(store: FaultyStore, clock: FakeClock) -> Iterator[Intake]:
    with running_intake(store, clock) as running:
        yield running


def test_undecodable_on_the_wire_is_asked_for_and_not_lost(intake: Intake, store: FaultyStore) -> None:
    """It may have been damaged on its way: the journal's own copy decides."""
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.publish(1)
        publisher.alert(2)
        publisher.send_data([*publisher.frames(2)[:2], b"damaged"])
        publisher.publish(3)
        publisher.answer_until_acknowledged(3)
        assert publisher.replays == [(2, 2)]
        assert intake.numbers() == [1, 2, 3]
    assert lost_in(store) == []


def test_undecodable_replay_is_lost_and_blocks_nothing(intake: Intake, store: FaultyStore) -> None:
    """The journal's own copy can't be read either, now or ever: it is told, and what is behind it acknowledged."""
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.lose(1)
        publisher.publish(2)
        publisher.wait_for_replays((1, 1))
        for _ in range(2):
            publisher.send_control([REPLAYED, *publisher.frames(1)[:2], b"damaged"])
        publisher.wait_for_ack(2)
    wait_until(lambda: intake.invalid("body") == 2)
    assert lost_in(store) == [(1, 1)]
    assert intake.metric("alerts_lost_total") == 1
    (told,) = intake.told("ALERTS_LOST")
    assert "1 alerts of trader-1 are lost (undecodable)" in told


def test_undecodable_replay_of_what_is_there_loses_nothing(intake: Intake, store: FaultyStore) -> None:
    """The same number came whole by another way: before, or in the same batch and not stored yet."""
    with intake.publisher() as publisher:
        publisher.meet()
        store.gate.clear()
        publisher.publish(1)
        wait_until(lambda: store.offered)
        publisher.publish(2)
        publisher.beat()
        for number in (1, 2):
            publisher.send_control([REPLAYED, *publisher.frames(number)[:2], b"damaged"])
        store.gate.set()
        publisher.wait_for_ack(2)
    assert (intake.invalid("body"), store.calls["record_lost"], intake.told("ALERTS_LOST")) == (2, 0, [])


def test_undecodable_replay_of_a_stream_that_nobody_offers_is_only_counted(intake: Intake, store: FaultyStore) -> None:
    """Who never beat was never asked."""
    with intake.publisher() as publisher, intake.publisher(stream=OTHER_STREAM) as other:
        publisher.send_control([REPLAYED, *publisher.frames(1)[:2], b"damaged"])
        wait_until(lambda: intake.invalid("body") == 1)
        other.meet()
    assert (lost_in(store), intake.told("ALERTS_LOST")) == ([], [])
