"""What publishing costs is measured from the outermost entry, once, and told to every daemon."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns

import pytest

from bus.alerts import RiskEvent
from publisher import Publisher, PublisherClosed
from publisher.cost import EACH, FIRST_CALLS, LONGEST_SECONDS, CostFigures, PublishCost
from publisher.logging_handler import AlertHandler
from publisher.testing import RecordingPublisher
from tests.publisher.builders import alert
from tests.publisher.conftest import MakePublisher
from tests.publisher.database_manager import DatabaseManager
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until


def attached(publisher: RecordingPublisher) -> None:
    database = DatabaseManager()
    publisher.attach(database)
    database.log_risk_event("DRAWDOWN", "CRITICAL", "6.1 %")


def logged(publisher: RecordingPublisher) -> None:
    AlertHandler(publisher).emit(logging.makeLogRecord({"name": "trader", "levelno": logging.ERROR, "msg": "lost"}))


ENTRIES: dict[str, Callable[[RecordingPublisher], object]] = {
    "publish": lambda publisher: publisher.publish(alert()),
    "risk_event": lambda publisher: publisher.risk_event("DRAWDOWN", "CRITICAL"),
    "agent_action": lambda publisher: publisher.agent_action("ppo", "TNA", "BUY"),
    "attach": attached,
    "logging": logged,
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_publish_by_each_entry_is_timed_once(entry: Callable[[RecordingPublisher], object]) -> None:
    """Whoever calls another entry on the way is one call for the trader."""
    publisher = RecordingPublisher()
    for _ in range(3):
        entry(publisher)
    assert len(publisher.alerts) == 3
    assert publisher.stats().timed_publishes == 3


@pytest.mark.parametrize("entry", [ENTRIES["risk_event"], ENTRIES["agent_action"]], ids=["risk_event", "agent_action"])
def test_publish_by_a_shortcut_counts_the_making_of_the_alert(
    entry: Callable[[RecordingPublisher], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller pays for the check of its fields, too."""
    clock = iter(range(0, 1_000_000, 1000))
    monkeypatch.setattr("publisher.shortcuts.perf_counter_ns", lambda: next(clock) + 1)
    monkeypatch.setattr("publisher.cost.perf_counter_ns", lambda: next(clock) + 1)
    publisher = RecordingPublisher()
    monkeypatch.setattr(publisher, "_take", lambda *_: bool([next(clock), next(clock)]))
    entry(publisher)
    assert publisher.stats().publish_seconds_sum == pytest.approx(3e-6)


def test_due_is_true_for_the_first_calls_and_then_for_each_sixteenth() -> None:
    cost = PublishCost()
    due = [cost.due() for _ in range(FIRST_CALLS + 10 * EACH)]
    assert all(due[:FIRST_CALLS])
    assert [number for number, timed in enumerate(due[FIRST_CALLS:], 1) if timed] == [EACH * n for n in range(1, 11)]


def test_publish_with_a_wait_is_not_timed() -> None:
    """It waits on purpose; what it took would say nothing of the others."""
    publisher = RecordingPublisher()
    publisher.publish(alert(), wait=1.0)
    publisher.risk_event("DRAWDOWN", "CRITICAL", wait=1.0)
    publisher.agent_action("ppo", "TNA", "BUY", wait=1.0)
    assert publisher.stats().timed_publishes == 0


def test_publish_that_raises_is_not_timed() -> None:
    publisher = RecordingPublisher()
    with pytest.raises(ValueError, match="severity"):
        publisher.risk_event("DRAWDOWN", "no severity")
    publisher.close()
    with pytest.raises(PublisherClosed):
        publisher.publish(alert())
    assert publisher.stats().timed_publishes == 0


def test_figures_longest_is_told_for_a_minute_and_then_the_next_longest() -> None:
    """Whoever asks takes it from nobody; the sums stay."""
    cost = PublishCost()
    cost.took(perf_counter_ns() - 9_000_000_000)
    long_ns = cost.figures(100.0).longest_ns
    cost.took(perf_counter_ns() - 5_000_000_000)
    assert long_ns >= 9_000_000_000
    assert cost.figures(130.0).longest_ns == cost.figures(100.0 + LONGEST_SECONDS).longest_ns == long_ns
    later = cost.figures(100.5 + LONGEST_SECONDS)
    assert 5_000_000_000 <= later.longest_ns < 9_000_000_000
    assert cost.figures(130.5 + LONGEST_SECONDS).longest_ns == 0
    assert (later.timed, later.total_ns) == (2, cost.figures(1e9).total_ns)


def test_figures_that_a_signal_handler_asks_for_in_between_count_each_call_once() -> None:
    """The handler runs in the thread that is adding up, and takes what that one was about to take."""
    cost = PublishCost()
    told: list[CostFigures] = []

    class Interrupted(deque[int]):
        def popleft(self) -> int:
            if not told:
                told.append(CostFigures())
                told[0] = cost.figures(1.0)
            return super().popleft()

    cost._took = Interrupted([5, 9, 7])
    assert cost.figures(1.0) == CostFigures(3, 21, 9)
    assert told == [CostFigures(3, 21, 9)]


def test_figures_of_many_threads_count_every_timed_call() -> None:
    cost = PublishCost()

    def work() -> None:
        for _ in range(1_000):
            cost.took(perf_counter_ns())
            cost.figures(1.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cost.figures(1.0).timed == 4_000


def test_heartbeats_tell_two_daemons_the_same(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """A longest call that one of them heard of is not lost for the other."""
    with ScriptedDaemon() as second:
        endpoints = zip(daemon.endpoints, second.endpoints, strict=True)
        data, control = (",".join(pair) for pair in endpoints)
        publisher = make_publisher(data_endpoints=data, control_endpoints=control)
        for number in range(5):
            publisher.publish(RiskEvent(event_type=f"TEST_{number}", severity="INFO"))
        for each in (daemon, second):
            wait_until(lambda each=each: [beat for beat in each.heartbeats if beat.timed_publishes == 5])  # type: ignore[misc]  # mypy infers nothing of a lambda's defaults
        told = [next(beat for beat in each.heartbeats if beat.timed_publishes == 5) for each in (daemon, second)]
    figures = {(beat.run, beat.publish_ns, beat.publish_longest_ns) for beat in told}
    assert len(figures) == 1
    ((run, total_ns, longest_ns),) = figures
    assert run
    assert (total_ns or 0) >= (longest_ns or 0) > 0
    stats = publisher.stats()
    assert (stats.timed_publishes, stats.publish_seconds_sum) == (5, (total_ns or 0) / 1e9)


def test_heartbeats_of_two_publishers_name_two_runs(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    publishers: list[Publisher] = [make_publisher(daemon), make_publisher(daemon)]
    assert all(publisher.start() for publisher in publishers)
    wait_until(lambda: len({beat.run for beat in daemon.heartbeats if beat.own}) == 2)
