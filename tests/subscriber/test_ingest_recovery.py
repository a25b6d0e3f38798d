"""The database goes away, and our own bugs: nothing is acknowledged that is not stored, and everything recovers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bus.errors import ConfigurationError
from bus.wire import Ack
from subscriber.errors import StoreError
from tests.support.alerts import OTHER_STREAM, STREAM
from tests.support.clock import FakeClock
from tests.support.running_intake import FaultyStore, Intake, on_sqlite, running_intake
from tests.support.waiting import wait_until

pytestmark = on_sqlite


@pytest.fixture
def store(store_url: str, clock: FakeClock) -> Iterator[FaultyStore]:
    with FaultyStore(store_url, clock) as opened:
        yield opened


@pytest.fixture
def intake(store: FaultyStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Intake]:
    monkeypatch.setattr("subscriber.intake.ingest._STORE_BACKOFF_SECONDS", (0.01, 0.02))
    with running_intake(store, clock) as running:
        yield running


def errors(intake: Intake) -> float:
    return intake.metric("store_errors_total")


def test_commit_is_over_before_the_acknowledgement(intake: Intake, store: FaultyStore) -> None:
    """While the transaction lasts nobody is told that an alert is safe."""
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.wait_for_ack(0)
        store.gate.clear()
        publisher.publish(1, 2)
        wait_until(lambda: store.offered)
        publisher.beat()
        assert publisher.acknowledged == 0
        assert intake.numbers() == []
        store.gate.set()
        publisher.wait_for_ack(2)
        assert intake.numbers() == [1, 2]


def test_commit_that_fails_is_tried_again_with_the_same_batch(
    intake: Intake, store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """What is in memory stays there, unacknowledged, until the database is back; nothing is asked for again."""
    with intake.publisher() as publisher:
        publisher.meet()
        store.break_down("accept", error=StoreError("The disk is full."))
        publisher.publish(1, 2)
        wait_until(lambda: errors(intake) >= 4)
        publisher.publish(3)
        publisher.beat()
        assert len({tuple(batch) for batch in store.offered}) == 1
        assert publisher.acknowledged <= 0
        store.failing.clear()
        publisher.wait_for_ack(3)
        assert publisher.replays == []
        assert intake.numbers() == [1, 2, 3]
    (line,) = [record for record in caplog.records if "wait in memory" in record.message]
    assert "The disk is full." in line.message
    assert intake.metric("alerts_received_total", topic="severity.CRITICAL") == 3


def test_commit_after_password_was_changed_goes_on_too(intake: Intake, store: FaultyStore) -> None:
    """In mid-run a setting that must be changed is as good as a database that is away."""
    with intake.publisher() as publisher:
        publisher.meet()
        store.break_down("accept", "heard", error=ConfigurationError("The database refuses the password."))
        publisher.publish(1)
        wait_until(lambda: errors(intake) >= 2)
        store.failing.clear()
        publisher.wait_for_ack(1)
        assert publisher.replays == []


def test_last_turn_stands_still_while_the_database_is_away(
    intake: Intake, store: FaultyStore, clock: FakeClock
) -> None:
    """Readiness says that alerts are not taken."""
    with intake.publisher() as publisher:
        publisher.meet()
        store.break_down("accept")
        publisher.publish(1)
        wait_until(lambda: errors(intake) >= 1)
        stood_at = intake.ingest.last_turn
        clock.advance(30.0)
        before = errors(intake)
        wait_until(lambda: errors(intake) > before + 1)
        assert intake.ingest.last_turn == stood_at


def test_stop_while_the_database_is_away_ends_promptly(
    intake: Intake, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in memory is dropped, for its publisher still has it."""
    monkeypatch.setattr("subscriber.intake.ingest._STORE_BACKOFF_SECONDS", (3600.0,))
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.publish(1)
        publisher.wait_for_ack(1)
        store.break_down("accept")
        publisher.publish(2)
        wait_until(lambda: errors(intake) >= 1)
        intake.ingest.stop(10.0)
        assert not intake.ingest._thread.is_alive()
        assert publisher.acknowledged == 1
        assert intake.numbers() == [1]


@pytest.mark.parametrize("error", [StoreError("away"), OverflowError("a bug")], ids=["store error", "bug"])
def test_position_that_can_not_be_read_loses_nothing(
    intake: Intake, store: FaultyStore, clock: FakeClock, error: Exception
) -> None:
    """Alerts of a stream that can't be placed are dropped unacknowledged, and replayed when it can."""
    with intake.publisher() as publisher:
        store.break_down("position", error=error)
        publisher.publish(1, 2, 3)
        wait_until(lambda: store.calls["position"])
        publisher.beat()
        wait_until(lambda: store.calls["position"] >= 2)
        assert publisher.listen().heard == []
        store.failing.clear()
        publisher.beat_until_acknowledged(3, clock)
        assert intake.numbers() == [1, 2, 3]


def test_position_ahead_of_the_store_is_read_again(intake: Intake, store: FaultyStore, clock: FakeClock) -> None:
    """A batch that an error threw away was counted as there; its numbers are missing again, and asked for."""
    with intake.publisher() as publisher, intake.publisher(stream=OTHER_STREAM, source="script") as other:
        publisher.meet()
        publisher.publish(1)
        publisher.wait_for_ack(1)
        store.gate.clear()
        publisher.publish(2)
        wait_until(lambda: len(store.offered) == 2)  # the next turn finds all of these
        publisher.publish(3, 4)
        store.break_down("position")
        other.publish(1)
        other.beat()
        store.gate.set()
        wait_until(lambda: errors(intake) >= 1)
        publisher.wait_for_ack(2)
        store.failing.clear()
        publisher.publish(5)
        publisher.beat_until_acknowledged(5, clock)
        other.beat_until_acknowledged(1, clock)
        assert (intake.numbers(), intake.numbers(OTHER_STREAM)) == ([1, 2, 3, 4, 5], [1])


def test_bug_in_accept_acknowledges_nothing_and_recovers_by_replay(
    intake: Intake, store: FaultyStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody foresaw drops the batch, not the thread; it is logged with its traceback, once."""
    with intake.publisher() as publisher:
        publisher.meet()
        store.break_down("accept", error=ZeroDivisionError("a bug"))
        publisher.publish(1)
        wait_until(lambda: store.calls["accept"] == 1)
        publisher.publish(2)
        wait_until(lambda: store.calls["accept"] == 2)
        publisher.meet()
        assert publisher.acknowledged == 0
        store.failing.clear()
        publisher.beat_until_acknowledged(2, clock)
        assert intake.numbers() == [1, 2]
    (line,) = [record for record in caplog.records if record.exc_info]
    assert "a batch from the bus was dropped" in line.message
    assert errors(intake) == 0


def test_bug_that_one_alert_meets_costs_only_that_one(
    intake: Intake, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What can't be planned is not stored and not acknowledged; what is behind it is stored, and it comes again."""
    with intake.publisher() as publisher:
        publisher.meet()
        intake.planner_errors = [ZeroDivisionError("a bug"), ZeroDivisionError("a bug")]
        publisher.publish(1, 2, 3)
        intake.wait_for_numbers(3)
        publisher.meet()
        assert publisher.acknowledged == 0
        publisher.beat_until_acknowledged(3, clock)
        assert intake.numbers() == [1, 2, 3]
    (line,) = [record for record in caplog.records if record.exc_info]
    assert "an alert was skipped" in line.message


def test_bug_that_one_control_message_meets_costs_only_that_one(
    intake: Intake, store: FaultyStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One odd stream must not silence the others."""
    with intake.publisher() as publisher, intake.publisher(stream=OTHER_STREAM, source="script") as other:
        other.meet()
        clock.advance(10.0)
        store.break_down("said_goodbye", error=OverflowError("a bug"))
        publisher.say_goodbye()
        wait_until(lambda: store.calls["said_goodbye"])
        other.meet()
        other.publish(1)
        other.wait_for_ack(1)
        store.failing.clear()
        publisher.meet()
        publisher.say_goodbye()
        wait_until(lambda: Ack(stream=STREAM, up_to=0, goodbye=True) in publisher.acks)
    assert "a control message was skipped" in caplog.text
