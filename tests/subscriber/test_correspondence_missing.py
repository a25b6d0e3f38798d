"""What is missing: asked for where somebody holds it, recorded as lost and told where nobody does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from subscriber.errors import StoreError
from subscriber.intake.streams import REPLAY_WINDOW
from subscriber.store.numbering import Range
from subscriber.store.streams import Lost
from tests.support.alerts import OTHER_STREAM, STREAM
from tests.support.clock import FakeClock
from tests.support.running_intake import FaultyStore, Intake, lost_in, on_sqlite, running_intake
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


def test_missing_first_numbers_are_replayed(intake: Intake) -> None:
    """Connect, then publish at once: ZeroMQ drops the first alerts, and each of them arrives all the same."""
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.lose(*range(1, 8))
        publisher.publish(8, 9)
        publisher.answer_until_acknowledged(9)
        assert publisher.replays == [(1, 7)]
        assert intake.numbers() == list(range(1, 10))
    assert intake.metric("alerts_replayed_total") == 7
    assert intake.metric("alerts_duplicate_total") == 0
    assert intake.metric("alerts_received_total", topic="severity.CRITICAL") == 9
    assert intake.metric("deliveries_total", channel="telegram", state="pending") == 9


def test_missing_tail_is_found_by_heartbeats(intake: Intake) -> None:
    """Nothing comes behind the last alerts that would show their loss; two heartbeats without progress do."""
    with intake.publisher() as publisher:
        publisher.publish(1)
        publisher.meet()
        publisher.wait_for_ack(1)
        publisher.lose(2, 3)
        publisher.meet()
        publisher.meet()
        publisher.meet()
        publisher.answer_until_acknowledged(3)
        assert publisher.replays == [(2, 3)]


def test_missing_tail_that_is_on_its_way_is_not_asked_for(intake: Intake, store: FaultyStore) -> None:
    """Heartbeats that waited while the database was slow say nothing of the data that waited beside them."""
    with intake.publisher() as publisher:
        publisher.meet()
        store.gate.clear()
        publisher.publish(1)
        wait_until(lambda: store.offered)
        publisher.lose(*range(2, 102))
        for _ in range(5):
            publisher.beat()
        publisher.say_goodbye()
        publisher.publish(*range(2, 102))
        store.gate.set()
        publisher.wait_for_ack(101)
        assert publisher.replays == []
        assert intake.numbers() == list(range(1, 102))


def test_missing_tail_of_one_is_found_while_another_floods(
    intake: Intake, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher that never lets our socket run dry does not hold up what another one lost."""
    monkeypatch.setattr("subscriber.intake.ingest._BATCH_MESSAGES", 1)
    with intake.publisher() as quiet, intake.publisher(stream=OTHER_STREAM, source="flood") as flood:
        quiet.meet()
        flood.meet()
        flood.publish(*range(1, 3001))
        quiet.lose(1)
        wait_until(lambda: len(intake.numbers(OTHER_STREAM)) > 10)
        quiet.meet()
        quiet.meet()
        quiet.answer_until_acknowledged(1)
        assert len(intake.numbers(OTHER_STREAM)) < 3000
        monkeypatch.undo()
        flood.wait_for_ack(3000)
        assert flood.replays == []


def test_missing_adopted_stream_is_asked_for_at_once(intake: Intake) -> None:
    """What a dead publisher left comes on no data connection, so one heartbeat is enough."""
    with intake.publisher(own=False) as adopter:
        adopter.lose(1, 2, 3)
        adopter.first_held = adopter.first_unacknowledged = 2
        adopter.meet()
        adopter.wait_for_replays((2, 3))
        adopter.answer_until_acknowledged(3)
        assert intake.numbers() == [2, 3]


def test_missing_adopted_stream_with_goodbye_is_asked_for_once(intake: Intake) -> None:
    """Its heartbeat and its goodbye come together, and each of them tells of the same tail."""
    with intake.publisher(own=False) as adopter:
        adopter.lose(1, 2, 3)
        for _ in range(3):
            adopter.say_goodbye()
            adopter.meet()
        adopter.wait_for_replays((1, 3))


def test_missing_long_backlog_comes_in_windows(intake: Intake) -> None:
    """A backlog is asked for window after window, each once, while live alerts go on."""
    last = 2 * REPLAY_WINDOW + 100
    with intake.publisher() as publisher:
        publisher.lose(*range(1, last + 1))
        publisher.meet()
        publisher.publish(last + 1)
        publisher.wait_for_replays((last - 499, last), (1, 1500))
        publisher.publish(last + 2)
        publisher.answer_until_acknowledged(last + 2)
        assert publisher.replays == [(3601, 4100), (1, 1500), (1501, 3500), (3501, 3600)]
    assert intake.metric("alerts_duplicate_total") == 0


def test_missing_many_holes_are_asked_for_in_several_turns(intake: Intake) -> None:
    """More holes than a publisher would remember."""
    with intake.publisher() as publisher:
        publisher.lose(*range(1, 241))
        publisher.meet()
        publisher.publish(*range(2, 241, 2))
        publisher.answer_until_acknowledged(240)
        assert sorted(publisher.replays) == [(number, number) for number in range(1, 240, 2)]
        assert intake.numbers() == list(range(1, 241))


def test_missing_answer_is_asked_for_again(intake: Intake, clock: FakeClock) -> None:
    """A replay that nobody answered is asked for again, after a while and not sooner."""
    with intake.publisher() as publisher:
        publisher.lose(1)
        publisher.meet()
        publisher.publish(2)
        publisher.wait_for_replays((1, 1))
        publisher.meet()
        publisher.meet()
        clock.advance(1.5)
        publisher.meet()
        publisher.wait_for_replays((1, 1), (1, 1))
        publisher.answer_until_acknowledged(2)


def test_missing_after_reconnect_is_asked_for_there(intake: Intake) -> None:
    """What was asked for over a connection that broke is asked for again over the next one."""
    with intake.publisher() as before:
        before.lose(1)
        before.meet()
        before.publish(2)
        before.wait_for_replays((1, 1))
        held = dict(before.alerts)
    with intake.publisher() as after:
        after.alerts = held
        after.publish(3)  # its answer goes to a peer that has gone
        intake.wait_for_numbers(2, 3)
        after.meet()
        after.publish(4)
        after.answer_until_acknowledged(4)
        assert after.replays == [(1, 1)]


def test_missing_in_memory_but_stored_by_another_daemon_is_not_asked_for(intake: Intake, store: FaultyStore) -> None:
    """Missing means missing in the store, which is read again first."""
    with intake.publisher() as publisher:
        publisher.publish(1)
        publisher.meet()
        publisher.wait_for_ack(1)
        with running_intake(store, intake.clock) as other, other.publisher() as same:
            same.alerts = publisher.alerts
            same.lose(2, 3)
            same.publish(2, 3)
            other.wait_for_numbers(1, 2, 3)
        publisher.publish(4)
        publisher.wait_for_ack(4)
        assert publisher.replays == []
    assert intake.metric("alerts_lost_total") == 0


# --- lost -------------------------------------------------------------------------------------------------------


def test_lost_range_below_first_held_is_told_once_and_blocks_nothing(
    intake: Intake, store: FaultyStore, clock: FakeClock
) -> None:
    """What the journal dropped, even after we asked, is recorded and told; everything behind it is acknowledged."""
    with intake.publisher() as publisher:
        publisher.lose(*range(1, 7))
        publisher.meet()
        publisher.publish(7)
        publisher.wait_for_replays((1, 6))
        publisher.replay(2)
        publisher.first_held = 5
        publisher.answer()
        clock.advance(1.5)
        publisher.meet()
        publisher.meet()
        publisher.answer_until_acknowledged(7)
        publisher.meet()
    assert lost_in(store) == [(1, 1), (3, 4)]
    assert intake.metric("alerts_lost_total") == 3
    (told,) = intake.told("ALERTS_LOST")
    assert "3 alerts of trader-1 are lost (not held any more), between the numbers 1 and 4" in told
    assert STREAM.hex() in told
    assert intake.woken.count("telegram") >= 3


def test_lost_everything_that_was_announced_is_told(intake: Intake, store: FaultyStore) -> None:
    """A journal of which nothing is left still says how much there was."""
    with intake.publisher(own=False) as adopter:
        adopter.first_held = 8
        adopter.first_unacknowledged = 3
        adopter.beat(last=7)
        adopter.wait_for_ack(7)
    assert lost_in(store) == [(3, 7)]


def test_lost_number_that_arrives_after_all_is_lost_no_longer(
    intake: Intake, store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Lost is never the last word."""
    caplog.set_level("INFO")
    with intake.publisher() as publisher:
        publisher.lose(1, 2)
        publisher.first_held = 3
        publisher.meet()
        publisher.publish(3)
        publisher.wait_for_ack(3)
        assert lost_in(store) == [(1, 2)]
        publisher.publish(2)
        intake.wait_for_numbers(2, 3)
        assert lost_in(store) == [(1, 1)]
    assert "alerts that were lost arrived after all" in caplog.text
    assert intake.metric("alerts_duplicate_total") == 0


def test_lost_range_is_not_acknowledged_before_it_is_recorded(intake: Intake, store: FaultyStore) -> None:
    """While the database is away nothing can be declared lost."""
    store.break_down("record_lost", error=StoreError("The database is locked."))
    with intake.publisher() as publisher:
        publisher.lose(1)
        publisher.first_held = 2
        publisher.meet()
        publisher.publish(2)
        wait_until(lambda: store.calls["record_lost"])
        publisher.meet()
        assert publisher.acknowledged == 0
        assert intake.told("ALERTS_LOST") == []
        store.failing.clear()
        publisher.meet()
        publisher.meet()
        publisher.wait_for_ack(2)
    assert lost_in(store) == [(1, 1)]


def test_lost_range_that_another_daemon_recorded_is_not_told_again(
    intake: Intake, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two daemons find the same loss at the same moment: one of them tells."""
    record_lost = store.record_lost

    def recorded_twice(stream: bytes, ranges: Sequence[Range], reason: str, tell: Any) -> Lost:
        record_lost(stream, ranges, reason)
        return record_lost(stream, ranges, reason, tell)

    monkeypatch.setattr(store, "record_lost", recorded_twice)
    with intake.publisher() as publisher:
        publisher.first_held = 4
        publisher.meet()
        publisher.publish(4)
        publisher.wait_for_ack(4)
    assert (lost_in(store), intake.told("ALERTS_LOST"), intake.metric("alerts_lost_total")) == ([(1, 3)], [], 0)
