"""The metrics of the bus: holes when they are found, what is outstanding until it came or is lost, and the batches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bus.wire import NOT_OFFERED, Unavailable
from tests.support.alerts import STREAM
from tests.support.clock import FakeClock
from tests.support.running_intake import FaultyStore, Intake, on_sqlite, running_intake
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


def test_gap_is_counted_when_it_is_found_and_not_when_it_is_asked_for_again(intake: Intake, clock: FakeClock) -> None:
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.publish(1)
        publisher.lose(2, 3)
        publisher.publish(4)
        publisher.wait_for_ack(1)
        wait_until(lambda: publisher.listen().replays)
        wait_until(lambda: intake.metric("alerts_missing") == 2)
        asked = len(publisher.replays)
        clock.advance(2.0)
        publisher.meet()
        clock.advance(2.0)
        publisher.meet()
        wait_until(lambda: len(publisher.listen().replays) > asked)
        wait_until(lambda: intake.metric("sequence_gaps_total") == 1)
        publisher.lose(5)
        publisher.publish(6)
        wait_until(lambda: intake.metric("alerts_missing") == 3)
        publisher.answer_until_acknowledged(6)
        wait_until(lambda: intake.metric("alerts_missing") == 0)
        assert intake.metric("sequence_gaps_total") == 2


def test_missing_alerts_that_are_lost_are_missing_no_more(intake: Intake) -> None:
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.publish(1)
        publisher.wait_for_ack(1)
        publisher.lose(2)
        publisher.publish(3)
        wait_until(lambda: publisher.listen().replays)
        wait_until(lambda: intake.metric("alerts_missing") == 1)
        publisher.say(Unavailable(stream=STREAM, first=2, last=2, reason="damaged"))
        wait_until(lambda: intake.metric("alerts_missing") == 0)
    wait_until(lambda: intake.metric("alerts_lost_total") == 1)


def test_missing_alerts_of_a_stream_that_is_not_offered_stay_missing(intake: Intake) -> None:
    """Somebody may offer it again."""
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.publish(1)
        publisher.lose(2)
        publisher.publish(3)
        wait_until(lambda: publisher.listen().replays)
        publisher.say(Unavailable(stream=STREAM, first=2, last=2, reason=NOT_OFFERED))
        publisher.meet()
        assert intake.metric("alerts_missing") == 1


def test_batch_is_observed_when_it_is_stored_and_not_when_it_fails(intake: Intake, store: FaultyStore) -> None:
    with intake.publisher() as publisher:
        publisher.meet()
        store.break_down("accept")
        publisher.publish(1)
        wait_until(lambda: intake.metric("store_errors_total") >= 1)
        assert intake.metric("store_batch_seconds_count") == 0
        store.failing.clear()
        publisher.wait_for_ack(1)
        assert intake.metric("store_batch_seconds_count") == 1
