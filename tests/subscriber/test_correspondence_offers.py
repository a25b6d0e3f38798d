"""Who holds what: a publisher that can't answer, two that offer one stream, and a store that comes later."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from bus.wire import Unavailable
from subscriber.errors import StoreError
from subscriber.store import Store
from tests.support.alerts import OTHER_STREAM, STREAM
from tests.support.clock import FakeClock
from tests.support.running_intake import FaultyStore, Intake, lost_in, on_sqlite, running_intake
from tests.support.scripted_publisher import ScriptedPublisher
from tests.support.waiting import wait_until

pytestmark = on_sqlite


@pytest.fixture
def store(store_url: str, clock: FakeClock) -> Iterator[FaultyStore]:
    with FaultyStore(store_url, clock) as opened:
        yield opened


@pytest.fixture
def intake(store: FaultyStore, clock: FakeClock) -> Iterator[Intake]:
    with running_intake(store, clock) as running:
        yield running


def more_welcomes(publisher: ScriptedPublisher, than: int) -> bool:
    return len(publisher.welcomes) > than


def say_unavailable(publisher: ScriptedPublisher, first: int, last: int, reason: str = "damaged") -> None:
    publisher.say(Unavailable(stream=publisher.stream, first=first, last=last, reason=reason))


def test_unavailable_numbers_are_lost_and_block_nothing(intake: Intake, store: Store) -> None:
    """A damaged page of the journal: its neighbours arrive, it is told, and everything is acknowledged."""
    with intake.publisher() as publisher:
        publisher.lose(*range(1, 10))
        publisher.meet()
        publisher.publish(10)
        publisher.wait_for_replays((1, 9))
        publisher.replay(1, 2, 3, 7, 8, 9)
        say_unavailable(publisher, 4, 6)
        publisher.wait_for_ack(10)
        assert publisher.replays == [(1, 9)]
    assert lost_in(store) == [(4, 6)]
    (told,) = intake.told("ALERTS_LOST")
    assert "3 alerts of trader-1 are lost (damaged)" in told
    assert intake.metric("alerts_lost_total") == 3


def test_unavailable_numbers_that_are_stored_by_now_are_not_lost(intake: Intake, store: Store) -> None:
    """Missing means missing in the store."""
    with intake.publisher() as publisher:
        publisher.lose(1, 2)
        publisher.meet()
        publisher.publish(3)
        publisher.wait_for_replays((1, 2))
        publisher.replay(1, 2)
        say_unavailable(publisher, 1, 2)
        publisher.wait_for_ack(3)
    assert (lost_in(store), intake.told("ALERTS_LOST")) == ([], [])


def test_unavailable_without_a_question_is_ignored(intake: Intake, store: Store) -> None:
    """Nobody can declare lost what was not asked of him."""
    with intake.publisher() as publisher, intake.publisher(stream=OTHER_STREAM) as stranger:
        publisher.publish(1)
        publisher.meet()
        publisher.wait_for_ack(1)
        say_unavailable(publisher, 2, 1000)
        stranger.say(Unavailable(stream=STREAM, first=2, last=1000, reason="damaged"))
        publisher.meet()
        publisher.publish(2)
        publisher.wait_for_ack(2)
    assert lost_in(store) == []


def test_unavailable_of_a_stranger_is_counted_and_believed_by_nobody(intake: Intake, store: Store) -> None:
    with intake.publisher() as publisher, intake.publisher(stream=OTHER_STREAM) as stranger:
        publisher.lose(1, 2)
        publisher.meet()
        publisher.publish(3)
        publisher.wait_for_replays((1, 2))
        stranger.say(Unavailable(stream=STREAM, first=1, last=2, reason="damaged"))
        wait_until(lambda: intake.invalid("control") == 1)
        publisher.answer_until_acknowledged(3)
    assert lost_in(store) == []


def test_unavailable_at_one_publisher_is_asked_of_the_other(intake: Intake, store: Store) -> None:
    """A journal was copied: what one file lacks the other may hold."""
    with intake.publisher(own=False) as original, intake.publisher(own=False) as copy:
        original.lose(*range(1, 6))
        copy.alerts = original.alerts
        copy.meet()
        copy.wait_for_replays((1, 5))
        copy.replay(1)
        original.meet()
        say_unavailable(copy, 2, 5)
        original.answer_until_acknowledged(5)
        assert original.replays[-1][1] == 5
    assert lost_in(store) == []
    assert intake.numbers() == [1, 2, 3, 4, 5]


def test_not_offered_stream_is_asked_of_whoever_offers_it(intake: Intake, store: Store) -> None:
    """It was settled and let go there; that says nothing about anybody else."""
    with intake.publisher(own=False) as former, intake.publisher(own=False) as adopter:
        former.lose(1, 2)
        adopter.alerts = former.alerts
        former.meet()
        former.wait_for_replays((1, 2))
        say_unavailable(former, 1, 2, "not offered")
        adopter.meet()
        adopter.answer_until_acknowledged(2)
    assert lost_in(store) == []


def test_two_publishers_of_one_stream_lose_nothing_that_one_of_them_holds(intake: Intake, store: Store) -> None:
    """The one has dropped what the other, an older copy of the same journal, still has."""
    with intake.publisher() as trader, intake.publisher(own=False) as copy:
        trader.lose(*range(1, 21))
        trader.first_held = 11
        copy.alerts = {number: alert for number, alert in trader.alerts.items() if number <= 15}
        copy.meet()
        trader.meet()
        trader.publish(21)
        wait_until(lambda: trader.answer() + copy.answer() == 0 and trader.acknowledged == 21)
        assert copy.listen().acknowledged == 21
    assert lost_in(store) == []
    assert intake.numbers() == list(range(1, 22))
    assert intake.metric("alerts_duplicate_total") == 0


def test_unknown_stream_begins_only_when_its_publisher_knows_the_store(intake: Intake, store: Store) -> None:
    """Before its welcome it drops what other stores acknowledge, and what it says of a start may be old by then."""
    with intake.publisher() as publisher:
        publisher.beat(first_held=1, first_unacknowledged=1, last=9, store_id="")
        wait_until(lambda: publisher.welcomes)
        publisher.first_held = publisher.first_unacknowledged = 6
        publisher.lose(6, 7, 8, 9)
        for _ in range(3):
            welcomes = len(publisher.welcomes)
            publisher.beat(store_id=store.store_id)
            wait_until(partial(more_welcomes, publisher, welcomes))
        publisher.wait_for_replays((6, 9))
        publisher.answer_until_acknowledged(9)
    assert lost_in(store) == []
    (state,) = store.streams()
    assert state.first == 6


def test_loss_and_the_alert_that_tells_of_it_are_one_transaction(
    intake: Intake, store: FaultyStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails in between: a loss that is recorded is told."""

    def failing(*_arguments: object) -> None:
        raise StoreError("The disk is full.")

    with intake.publisher() as publisher:
        monkeypatch.setattr(Store, "_store_own", failing)
        publisher.first_held = 4
        publisher.meet()
        publisher.publish(4)
        while store.calls["record_lost"] < 3:
            clock.advance(1.1)
            publisher.meet()
        assert lost_in(store) == []
        monkeypatch.undo()
        publisher.beat_until_acknowledged(4, clock)
    assert lost_in(store) == [(1, 3)]
    assert len(intake.told("ALERTS_LOST")) == 1
