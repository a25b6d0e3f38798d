"""What is held, and for whom: `stats().unacknowledged`, and a drain that waits for nobody who is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.clock import SystemClock
from bus.wire import encode_alert
from publisher import Publisher, PublisherSettings
from publisher import adopting as adopting_module
from publisher.__main__ import EXIT_DONE, EXIT_NOT_STORED, run
from publisher.journal import Journal
from publisher.journal_folder import left_behind
from publisher.outboxes import Outboxes
from tests.publisher.builders import alert, numbers, rows
from tests.publisher.conftest import MakePublisher
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> Iterator[ScriptedDaemon]:
    """A daemon that the command's environment names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALERTBUS_JOURNAL", str(folder))
    monkeypatch.setenv("ALERTBUS_HEARTBEAT_INTERVAL", "0.1")
    with ScriptedDaemon(store_id="here") as daemon:
        monkeypatch.setenv("ALERTBUS_DATA_ENDPOINT", daemon.data_endpoint)
        monkeypatch.setenv("ALERTBUS_CONTROL_ENDPOINT", daemon.control_endpoint)
        yield daemon


def leave(folder: Path, count: int, *, stores: tuple[str, ...] = (), goodbye: str | None = None) -> None:
    journal = Journal.create(folder, "dead", sync="normal")
    now_us = SystemClock().now_us()
    journal.append([(now_us, "severity.INFO.", encode_alert(alert(number))) for number in range(1, count + 1)])
    for store_id in stores:
        journal.note_store(store_id, now_us)
    if goodbye is not None:
        journal.say_goodbye(goodbye)
    journal.close()


def test_lacking_is_what_one_of_these_stores_has_not(outboxes: Outboxes) -> None:
    """Of the streams together; a number that is not held any more is lacked by nobody."""
    outboxes.append(rows(10))
    for store_id in ("a", "b", "away"):
        outboxes.store_seen(store_id)
    outboxes.acknowledge(outboxes.own, "a", 4, goodbye_heard=False)
    outboxes.acknowledge(outboxes.own, "b", 9, goodbye_heard=False)
    assert [outboxes.lacking(stores) for stores in ([], ["a"], ["b"], ["a", "b"], ["away"])] == [10, 6, 1, 6, 10]
    outboxes.acknowledge(outboxes.own, "away", 7, goodbye_heard=False)
    outboxes.acknowledge(outboxes.own, "a", 10, goodbye_heard=False)
    assert (outboxes.held(), outboxes.lacking(["a"]), outboxes.lacking(["away"])) == (3, 0, 3)


def test_unacknowledged_counts_for_who_answers(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, nowhere: tuple[str, str]
) -> None:
    """Where nobody answers it is all that is held; a store that is away does not count."""
    publisher = make_publisher()
    publisher.publish(alert())
    assert publisher.flush(10.0)
    assert (publisher.stats().unacknowledged, publisher.stats().journal_alerts) == (1, 1)
    publisher.close(timeout=0.0)

    with ScriptedDaemon(store_id="second") as second:
        publisher = make_publisher(
            data_endpoints=f"{daemon.data_endpoint},{second.data_endpoint}",
            control_endpoints=f"{daemon.control_endpoint},{second.control_endpoint}",
        )
        wait_until(lambda: all(each.answers for each in publisher.stats().daemons))
        wait_until(lambda: publisher.stats().journal_alerts == 0)
        second.acknowledges = False
        publisher.publish(alert(2), wait=10.0)
        assert publisher.stats().unacknowledged == publisher.stats().journal_alerts == 1
    wait_until(lambda: publisher.stats().unacknowledged == 0)
    assert publisher.stats().journal_alerts == 1
    assert [each.answers for each in publisher.stats().daemons] == [True, False]


def test_drain_store_that_does_not_answer_any_more_is_not_waited_for(
    reached: ScriptedDaemon, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stays is said, and stays."""
    leave(folder, 5, stores=("gone",))
    assert run(["--drain", "--wait", "20"]) == EXIT_DONE
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "0 of 5 alerts drained, 5 left",
        "5 alerts stay in the journal for a store that does not answer any more",
    ]
    (record,) = [each for each in reached.streams.values() if each.envelopes]
    assert sorted(record.envelopes) == [1, 2, 3, 4, 5]
    (path,) = left_behind(folder)
    journal = Journal.adopt(path, sync="normal")
    assert journal is not None
    assert (journal.first_unacknowledged("here"), journal.first_unacknowledged("gone")) == (6, 1)
    journal.close()


def test_drain_daemon_that_answers_and_does_not_store_is_no_success(
    reached: ScriptedDaemon, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 3, as when nobody answers."""
    reached.acknowledges = False
    leave(folder, 5)
    assert run(["--drain", "--wait", "0.5"]) == EXIT_NOT_STORED
    assert "answers but has not stored all" in capsys.readouterr().err


def test_drain_more_files_than_are_offered_at_a_time_drains_all(
    reached: ScriptedDaemon, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not done while there is something to adopt."""
    monkeypatch.setattr(adopting_module, "_MOST_ADOPTED", 3)
    for _ in range(10):
        leave(folder, 2)
    assert run(["--drain", "--wait", "30"]) == EXIT_DONE
    assert capsys.readouterr().out == "20 of 20 alerts drained, 0 left\n"
    assert left_behind(folder) == []


def test_drain_waits_until_goodbyes_were_heard(reached: ScriptedDaemon, folder: Path) -> None:
    """Else the daemon accuses, minutes later, a trader that closed in order."""
    for _ in range(3):
        leave(folder, 1, goodbye="closed")
    assert run(["--drain", "--wait", "20"]) == EXIT_DONE
    heard = [record.goodbyes for record in reached.streams.values() if record.envelopes]
    assert len(heard) == 3
    assert all(heard)
    assert left_behind(folder) == []


@pytest.mark.parametrize("reason", ["closed", "exception: ValueError", "signal: SIGTERM"])
def test_drain_goodbye_without_alerts_is_waited_for(
    reached: ScriptedDaemon, folder: Path, capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    """Of a trader whose alerts were all stored, and whose daemon was away when it closed."""
    leave(folder, 0, stores=("here",), goodbye=reason)
    assert run(["--drain", "--wait", "20"]) == EXIT_DONE
    assert capsys.readouterr().out == "1 of 1 ends of publishers told; no alerts were left\n"
    assert reason in {bye.reason for bye in reached.record_of("dead").goodbyes}
    assert left_behind(folder) == []


def test_drain_goodbye_before_the_daemon_runs_waits_for_it(
    reached: ScriptedDaemon, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are started by one unit, and nobody says which is quicker."""
    reached.paused = True
    leave(folder, 0, stores=("here",), goodbye="closed")
    assert run(["--drain", "--wait", "0.3"]) == EXIT_NOT_STORED
    told = capsys.readouterr()
    assert told.out == "0 of 1 ends of publishers told; no alerts were left\n"
    assert "not drained within 0.3 s" in told.err
    assert len(left_behind(folder)) == 1


def test_waiting_journals_where_nobody_answers_counts_what_waits_for_anybody(
    make_publisher: MakePublisher, folder: Path
) -> None:
    """A goodbye that nobody heard waits, daemon or not; a crash without one does not."""
    leave(folder, 0, stores=("here",), goodbye="closed")
    leave(folder, 1)
    stats = make_publisher().stats()
    assert (stats.waiting_journals, stats.journal_alerts) == (1, 1)


@pytest.mark.parametrize("count", [1, 10])
def test_drain_endpoint_that_never_answered_holds_up_nothing(
    reached: ScriptedDaemon, nowhere: tuple[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], count: int,
) -> None:  # fmt: skip
    """Of a second daemon that is named and never ran: also where not all files can be offered at a time."""
    monkeypatch.setattr(adopting_module, "_MOST_ADOPTED", 3)
    data, control = reached.endpoints
    monkeypatch.setenv("ALERTBUS_DATA_ENDPOINT", f"{data},{nowhere[0]}")
    monkeypatch.setenv("ALERTBUS_CONTROL_ENDPOINT", f"{control},{nowhere[1]}")
    for _ in range(count):
        leave(folder, 2)
    assert run(["--drain", "--wait", "20"]) == EXIT_DONE
    assert capsys.readouterr().out == f"{2 * count} of {2 * count} alerts drained, 0 left\n"
    assert left_behind(folder) == []


class StoppedClock(SystemClock):
    """A wall clock that a test sets; time itself goes on."""

    us = 0

    def now_us(self) -> int:
        return self.us


@pytest.mark.parametrize("us", [-5_000_000, 0, 4_000_000_000 * 1_000_000])
def test_publisher_whose_wall_clock_is_wrong_works(
    daemon: ScriptedDaemon, settings: PublisherSettings, us: int
) -> None:
    """In 1969, in 1970 or in 2096: alerts go out, are stored, and the heartbeats go on."""
    data, control = daemon.endpoints
    clock = StoppedClock()
    clock.us = us
    changes = {"data_endpoints": (data,), "control_endpoints": (control,)}
    with Publisher(settings.model_copy(update=changes), clock=clock) as publisher:
        publisher.progress(30.0)
        assert publisher.publish(alert(1), wait=10.0)
        beats = len(daemon.heartbeats)
        wait_until(lambda: len(daemon.heartbeats) > beats + 2)
        assert publisher.stats().errors == 0
    assert numbers(daemon.alerts) == [1]
    assert all(max(us, 0) <= beat.clock_us < max(us, 0) + 60_000_000 for beat in daemon.heartbeats)


@pytest.mark.parametrize("step_us", [-86_400_000_000, 86_400_000_000])
def test_progress_wall_clock_that_steps_accuses_nobody(
    daemon: ScriptedDaemon, settings: PublisherSettings, step_us: int
) -> None:
    """How long ago the loop moved is measured by the monotonic clock, and so is the time that heartbeats tell."""
    data, control = daemon.endpoints
    clock = StoppedClock()
    clock.us = 1_760_000_000 * 1_000_000
    changes = {"data_endpoints": (data,), "control_endpoints": (control,)}
    with Publisher(settings.model_copy(update=changes), clock=clock) as publisher:
        publisher.progress(30.0)
        wait_until(lambda: any(beat.progressed_us for beat in daemon.heartbeats))
        set_at, beats = clock.us, len(daemon.heartbeats)
        clock.us += step_us
        wait_until(lambda: len(daemon.heartbeats) > beats + 2)
        beat = daemon.heartbeats[-1]
    assert beat.progressed_us is not None
    assert 0 <= beat.clock_us - beat.progressed_us < 60_000_000
    assert 0 <= beat.clock_us - set_at < 60_000_000
