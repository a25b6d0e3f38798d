"""A publisher that ends on purpose says so until it is answered, and what is missing is still asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bus.wire import Ack
from subscriber.errors import StoreError
from subscriber.store import Store
from tests.support.alerts import OTHER_STREAM, STREAM
from tests.support.clock import FakeClock
from tests.support.running_intake import FaultyStore, Intake, on_sqlite, running_intake
from tests.support.scripted_publisher import ScriptedPublisher
from tests.support.waiting import wait_until

pytestmark = on_sqlite
_TIMEOUT_SECONDS = 15.0


@pytest.fixture
def store(store_url: str, clock: FakeClock) -> Iterator[FaultyStore]:
    with FaultyStore(store_url, clock) as opened:
        yield opened


@pytest.fixture
def intake(store: FaultyStore, clock: FakeClock) -> Iterator[Intake]:
    with running_intake(store, clock) as running:
        yield running


def up(intake: Intake) -> float:
    return intake.metric("publisher_up", source="trader-1")


def answers(publisher: ScriptedPublisher) -> int:
    return sum(ack.goodbye for ack in publisher.acks)


def asked_after_goodbye(publisher: ScriptedPublisher) -> bool:
    publisher.say_goodbye()
    return bool(publisher.replays)


def test_hear_goodbye_is_answered_each_time_and_kept(intake: Intake, store: Store) -> None:
    """It is repeated until the answer arrives, so each one is answered."""
    with intake.publisher() as publisher:
        publisher.publish(1)
        publisher.meet()
        publisher.wait_for_ack(1)
        publisher.say_goodbye("signal SIGTERM")
        wait_until(lambda: answers(publisher) == 1)
        publisher.say_goodbye("signal SIGTERM")
        wait_until(lambda: answers(publisher) == 2)
        assert [(state.source, state.goodbye) for state in store.streams()] == [("trader-1", "signal SIGTERM")]
        (view,) = intake.correspondence.publishers()
        assert (view["up"], view["goodbye"], up(intake)) == (False, "signal SIGTERM", 0)


def test_hear_beats_after_goodbye_do_not_revive(intake: Intake, clock: FakeClock) -> None:
    """A publisher that closes still beats for a moment."""
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.say_goodbye()
        publisher.meet()
        assert up(intake) == 0
    clock.advance(_TIMEOUT_SECONDS + 1)
    assert up(intake) == 0


def test_hear_goodbye_of_one_of_two_leaves_the_name_up(intake: Intake) -> None:
    """Scripts may share a name; it is down when the last of them has gone."""
    with intake.publisher() as one, intake.publisher(stream=OTHER_STREAM) as other:
        one.meet()
        other.meet()
        one.say_goodbye()
        wait_until(lambda: answers(one))
        assert up(intake) == 1
        other.say_goodbye()
        wait_until(lambda: answers(other))
        assert up(intake) == 0


def test_hear_adopted_goodbye_leaves_the_running_publisher_up(intake: Intake, store: Store) -> None:
    """The adopter repeats what the dead one said; it is about the dead one only."""
    with intake.publisher(stream=OTHER_STREAM) as running, intake.publisher(own=False) as adopted:
        running.meet()
        adopted.beat()
        adopted.say_goodbye("closed")
        wait_until(lambda: answers(adopted))
        assert up(intake) == 1
    assert {state.stream: state.goodbye for state in store.streams()} == {STREAM: "closed", OTHER_STREAM: None}


def test_hear_goodbye_with_missing_alerts_gets_them_first(intake: Intake) -> None:
    """Close right after publish: the goodbye is acknowledged, the number is not, until the tail has arrived."""
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.lose(1, 2, 3)
        wait_until(lambda: asked_after_goodbye(publisher))
        assert {ack.up_to for ack in publisher.acks} == {0}
        publisher.answer_until_acknowledged(3)
        assert publisher.acks[-1] == Ack(stream=STREAM, up_to=3, goodbye=True)


def test_hear_goodbye_while_store_is_away_is_not_answered(intake: Intake, store: FaultyStore) -> None:
    """The answer would end the repeats, and nobody would know of it after a restart."""
    with intake.publisher() as publisher:
        publisher.meet()
        store.break_down("said_goodbye", error=StoreError("The disk is full."))
        welcomes = len(publisher.welcomes)
        publisher.say_goodbye()
        wait_until(lambda: len(publisher.welcomes) > welcomes)
        assert not answers(publisher)
        assert up(intake) == 1
        store.failing.clear()
        publisher.say_goodbye()
        wait_until(lambda: answers(publisher))


def test_hear_goodbye_of_an_unknown_stream_waits_for_its_heartbeat(intake: Intake) -> None:
    """Right after a restart of the daemon nobody knows where the stream starts, so nothing can be acknowledged."""
    with intake.publisher() as publisher:
        publisher.say_goodbye(last=5)
        wait_until(lambda: publisher.welcomes)
        assert publisher.acks == []
        publisher.first_held = publisher.first_unacknowledged = 6
        publisher.beat(last=5)
        wait_until(lambda: Ack(stream=STREAM, up_to=5, goodbye=True) in publisher.acks)
