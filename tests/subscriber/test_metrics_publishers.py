"""The metrics of publishers, fed by heartbeats over real sockets: counted once, never backwards, and let go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bus.wire import Heartbeat
from subscriber.intake.publisher_figures import _MOST_RUNS, _MOST_SOURCES
from subscriber.monitoring.metrics import MOST_SOURCES, OTHER_SOURCE
from tests.support.alerts import OTHER_STREAM, STREAM
from tests.support.clock import START_US, FakeClock
from tests.support.running_intake import FaultyStore, Intake, on_sqlite, running_intake
from tests.support.scripted_publisher import ScriptedPublisher
from tests.support.waiting import wait_until

pytestmark = on_sqlite
_TIMEOUT_SECONDS = 15.0
_RUN = b"r" * 16
_LARGEST = 2**63 - 1
_COUNTERS = ("refused_alerts_total", "timed_publishes_total", "publish_seconds_total")


@pytest.fixture
def store(store_url: str, clock: FakeClock) -> Iterator[FaultyStore]:
    with FaultyStore(store_url, clock) as opened:
        yield opened


@pytest.fixture
def intake(store: FaultyStore, clock: FakeClock) -> Iterator[Intake]:
    with running_intake(store, clock) as running:
        yield running


def value(intake: Intake, name: str, source: str = "trader-1") -> float:
    return intake.metric(f"publisher_{name}", source=source)


def counted(intake: Intake, source: str = "trader-1") -> list[float]:
    return [value(intake, name, source) for name in _COUNTERS]


def wait_while_time_passes(clock: FakeClock, step_seconds: float, condition: Callable[[], bool]) -> None:
    def passed() -> bool:
        clock.advance(step_seconds)
        return condition()

    wait_until(passed)


def beat(publisher: ScriptedPublisher, refused: int, timed: int, seconds: float, **fields: Any) -> None:
    """Send a heartbeat and wait for the answer to it."""
    answered = len(publisher.listen().welcomes)
    publisher.beat(refused=refused, timed_publishes=timed, publish_ns=round(seconds * 1e9), **fields)
    wait_until(lambda: len(publisher.listen().welcomes) > answered)


def has_series(intake: Intake, source: str) -> bool:
    families = intake.metrics.registry.collect()
    return any(sample.labels.get("source") == source for family in families for sample in family.samples)


def test_counts_of_a_run_are_added_as_they_grow(intake: Intake) -> None:
    with intake.publisher() as publisher:
        beat(publisher, 0, 0, 0.0, run=_RUN)
        assert counted(intake) == [0, 0, 0]
        beat(publisher, 3, 100, 0.5, run=_RUN, publish_longest_ns=2_000_000)
        beat(publisher, 3, 100, 0.5, run=_RUN, publish_longest_ns=2_000_000)
        assert counted(intake) == [3, 100, 0.5]
        assert value(intake, "publish_longest_seconds") == 0.002
        beat(publisher, 4, 110, 0.75, run=_RUN, publish_longest_ns=1_000_000)
        assert counted(intake) == [4, 110, 0.75]
        assert value(intake, "publish_longest_seconds") == 0.001


def test_counts_of_a_restarted_publisher_begin_at_zero_and_are_added(intake: Intake) -> None:
    with intake.publisher() as publisher:
        beat(publisher, 5, 50, 1.0, run=_RUN)
    with intake.publisher(stream=OTHER_STREAM) as restarted:
        beat(restarted, 2, 20, 0.5, run=b"s" * 16)
    assert counted(intake) == [7, 70, 1.5]


def test_counts_of_a_run_go_on_in_a_new_stream(intake: Intake) -> None:
    """A journal that failed begins a new stream, and the publisher's counts go on."""
    with intake.publisher() as before, intake.publisher(stream=OTHER_STREAM) as after:
        beat(before, 5, 50, 1.0, run=_RUN)
        beat(after, 6, 60, 1.5, run=_RUN)
    assert counted(intake) == [6, 60, 1.5]


def test_counts_of_several_publishers_of_one_source_are_added_up(intake: Intake) -> None:
    """What they hold, too; the longest call is the longest of those that live."""
    with intake.publisher() as one, intake.publisher(stream=OTHER_STREAM) as other:
        beat(one, 1, 10, 0.25, run=_RUN, journal_alerts=4, publish_longest_ns=5_000_000, volatile=True)
        beat(other, 2, 20, 0.5, run=b"s" * 16, journal_alerts=3, publish_longest_ns=1_000_000)
        beat(one, 2, 10, 0.25, run=_RUN, journal_alerts=4, publish_longest_ns=5_000_000, volatile=True)
        assert counted(intake) == [4, 30, 0.75]
        assert (value(intake, "journal_alerts"), value(intake, "volatile")) == (7, 1)
        one.say_goodbye()
        wait_until(lambda: any(ack.goodbye for ack in one.listen().acks))
        beat(other, 2, 20, 0.5, run=b"s" * 16, journal_alerts=3, publish_longest_ns=1_000_000)
        assert (value(intake, "journal_alerts"), value(intake, "volatile"), value(intake, "up")) == (3, 0, 1)
        assert value(intake, "publish_longest_seconds") == 0.001


def test_counts_that_were_heard_before_a_restart_of_the_daemon_are_not_counted_again(
    store: FaultyStore, clock: FakeClock
) -> None:
    with running_intake(store, clock) as before, before.publisher() as publisher:
        beat(publisher, 5, 50, 1.0, run=_RUN, store_id=store.store_id)
        assert counted(before) == [5, 50, 1.0]
    with running_intake(store, clock) as after, after.publisher() as publisher:
        beat(publisher, 6, 60, 1.5, run=_RUN, store_id=store.store_id)
        assert counted(after) == [0, 0, 0]
        beat(publisher, 8, 70, 2.0, run=_RUN, store_id=store.store_id)
        assert counted(after) == [2, 10, 0.5]


def test_counts_of_an_older_publisher_are_by_stream(intake: Intake) -> None:
    """It measures nothing, and names no run."""
    with intake.publisher() as publisher:
        publisher.beat(refused=3)
        wait_until(lambda: len(publisher.listen().welcomes) == 1)
        publisher.beat(refused=5)
        wait_until(lambda: len(publisher.listen().welcomes) == 2)
    assert counted(intake) == [5, 0, 0]
    assert value(intake, "publish_longest_seconds") == 0


def test_counts_that_go_backwards_or_are_huge_move_no_counter_back(intake: Intake) -> None:
    """Whatever a publisher says, the daemon goes on, and counts what can be true."""
    with intake.publisher() as publisher:
        beat(publisher, 5, 50, 1.0, run=_RUN)
        beat(publisher, 0, 0, 0.0, run=_RUN)
        beat(publisher, 5, 50, 1.0, run=_RUN)
        assert counted(intake) == [5, 50, 1.0]
        publisher.beat(
            refused=_LARGEST, timed_publishes=_LARGEST, publish_ns=_LARGEST, publish_longest_ns=_LARGEST,
            clock_us=_LARGEST, run=_RUN,
        )  # fmt: skip
        wait_until(lambda: counted(intake) == [5 + 1e12, 50 + 1e12, 1.0 + 1e6])
        beat(publisher, 6, 60, 2.0, run=_RUN)
        assert counted(intake) == [5 + 1e12, 50 + 1e12, 1.0 + 1e6]
        assert intake.invalid("control") == 0


def test_heartbeat_tells_when_it_came_and_how_far_the_clock_is_ahead(intake: Intake, clock: FakeClock) -> None:
    with intake.publisher() as publisher:
        beat(publisher, 0, 0, 0.0, clock_us=clock.now_us() + 3_500_000)
        assert value(intake, "clock_offset_seconds") == 3.5
        assert value(intake, "last_heartbeat_timestamp_seconds") == clock.now_us() / 1e6
    with intake.publisher(stream=OTHER_STREAM, source="behind") as behind:
        beat(behind, 0, 0, 0.0, clock_us=clock.now_us() - 2_000_000)
        assert value(intake, "clock_offset_seconds", "behind") == -2.0


def test_flags_exist_with_the_first_heartbeat(intake: Intake) -> None:
    with intake.publisher() as publisher:
        publisher.meet()
        assert [value(intake, name) for name in ("up", "silent", "hung", "volatile")] == [1, 0, 0, 0]


def test_volatile_publisher_that_said_goodbye_is_volatile_no_more(intake: Intake) -> None:
    with intake.publisher() as publisher:
        beat(publisher, 0, 0, 0.0, volatile=True)
        assert value(intake, "volatile") == 1
        publisher.say_goodbye()
        wait_until(lambda: any(ack.goodbye for ack in publisher.listen().acks) or value(intake, "up") == 0)
        beat(publisher, 0, 0, 0.0, volatile=True)
        assert (value(intake, "volatile"), value(intake, "up")) == (0, 0)


def wait_for_silence(intake: Intake, clock: FakeClock) -> None:
    """Let time pass in steps that do not look as if the daemon had been away."""
    for _ in range(5):
        clock.advance(_TIMEOUT_SECONDS / 4)
        turn = intake.ingest.last_turn
        wait_until(lambda turn=turn: intake.ingest.last_turn > turn)  # type: ignore[misc]  # mypy infers nothing of a lambda's defaults
    wait_while_time_passes(clock, 0.5, lambda: value(intake, "silent") == 1)


def test_silent_publisher_is_shown_until_it_beats_again(intake: Intake, clock: FakeClock) -> None:
    with intake.publisher() as publisher:
        publisher.meet()
        wait_for_silence(intake, clock)
        assert value(intake, "up") == 0
        publisher.meet()
        assert value(intake, "up") == 1
        wait_while_time_passes(clock, 0.1, lambda: value(intake, "silent") == 0)


def test_silent_publisher_is_shown_by_a_daemon_that_only_reads_of_it(store: FaultyStore, clock: FakeClock) -> None:
    """After a restart, and by other daemons of the same database, and until its successor is there."""
    with running_intake(store, clock) as before, before.publisher() as publisher:
        publisher.meet()
        wait_for_silence(before, clock)
    with running_intake(store, clock) as after:
        wait_while_time_passes(clock, 0.1, lambda: has_series(after, "trader-1"))
        assert (value(after, "silent"), value(after, "up")) == (1, 0)
        clock.advance(90_000.0)  # and it stays: nobody told people of an end
        turn = after.ingest.last_turn
        wait_until(lambda: after.ingest.last_turn > turn)
        assert value(after, "silent") == 1
        with after.publisher(stream=OTHER_STREAM) as successor:
            successor.meet()
            wait_while_time_passes(clock, 0.1, lambda: value(after, "silent") == 0)
            assert value(after, "up") == 1


def test_series_of_a_source_that_nobody_remembers_go(intake: Intake, clock: FakeClock) -> None:
    """It said goodbye an hour ago; one that beats stays."""
    with intake.publisher(source="gone") as gone, intake.publisher(stream=OTHER_STREAM) as stays:
        gone.meet()
        gone.say_goodbye()
        wait_until(lambda: value(intake, "up", "gone") == 0)
        clock.advance(3_700.0)
        stays.meet()
        wait_while_time_passes(clock, 61.0, lambda: not has_series(intake, "gone"))
        assert has_series(intake, "trader-1")


def test_runs_and_sources_without_end_are_bounded(intake: Intake, clock: FakeClock) -> None:
    """One stream, a new name and run in each heartbeat: no database row slows that down."""
    with intake.publisher() as publisher:
        publisher.meet()
        figures = intake.correspondence._figures
        for number in range(_MOST_RUNS + 50):
            publisher.beat(run=number.to_bytes(16, "big"))
            wait_until(lambda number=number: number.to_bytes(16, "big") in figures._runs["trader-1"])  # type: ignore[misc]  # as above
        assert len(figures._runs["trader-1"]) == _MOST_RUNS
    for number in range(_MOST_SOURCES + 50):
        told = Heartbeat(stream=STREAM, source=f"s{number}", first_held=1, first_unacknowledged=1, last=0, clock_us=0)
        figures.heard(told, new=False, closing=False, ahead_us=0)
    assert len(figures._runs) == _MOST_SOURCES


def test_sources_that_share_a_label_are_silent_as_long_as_any_is(intake: Intake) -> None:
    metrics = intake.metrics
    for number in range(MOST_SOURCES + 3):
        metrics.publisher_heard(f"trader-{number}", at_us=START_US, volatile=False, clock_offset_seconds=0.0)

    def silent() -> float | None:
        return metrics.registry.get_sample_value("alertbus_publisher_silent", {"source": OTHER_SOURCE})

    first, second = f"trader-{MOST_SOURCES}", f"trader-{MOST_SOURCES + 1}"
    metrics.publisher_silent(first, silent=True)
    metrics.publisher_silent(second, silent=True)
    metrics.publisher_silent(second, silent=False)
    assert silent() == 1
    metrics.keep_publishers({first})  # it gets a label of its own with its next word
    assert silent() == 1
    metrics.publisher_silent(first, silent=True)
    assert silent() == 0
    assert metrics.registry.get_sample_value("alertbus_publisher_silent", {"source": first}) == 1
    metrics.keep_publishers({first})
    assert silent() is None
