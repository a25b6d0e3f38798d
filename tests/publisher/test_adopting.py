"""A running publisher goes on looking: what dies meanwhile, copies, what can't be read, and how many at a time."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from publisher import PublisherSettings
from publisher import adopting as module
from publisher.errors import JournalError
from publisher.handover import Counters
from publisher.journal import Journal
from publisher.locks import FileLock
from publisher.outboxes import Outboxes
from tests.publisher.builders import HandClock, alert, numbers, python, rows
from tests.publisher.conftest import MakePublisher
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until


def leave(folder: Path, count: int = 3) -> Path:
    journal = Journal.create(folder, "dead", sync="normal")
    journal.append(rows(count))
    journal.close()
    return journal.path


def adopted(outboxes: Outboxes) -> list[bytes]:
    return [outbox.stream for outbox in outboxes if outbox is not outboxes.own]


def test_adopt_what_dies_while_the_publisher_runs_is_offered(folder: Path, outboxes: Outboxes) -> None:
    """Nobody needs to start again for it."""
    assert adopted(outboxes) == []
    path = leave(folder)
    outboxes.adopt()
    assert [stream.hex() for stream in adopted(outboxes)] == [path.stem]


def test_adopt_again_tries_no_lock_that_is_held_here(
    folder: Path, outboxes: Outboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that finds nothing new is one listing of the folder."""
    leave(folder)
    outboxes.adopt()

    def tried(path: Path) -> None:
        raise AssertionError(path)

    monkeypatch.setattr(FileLock, "acquire", tried)
    outboxes.adopt()
    assert len(adopted(outboxes)) == 1


def test_adopt_file_that_could_not_be_read_is_told_once_and_tried_again(
    folder: Path, outboxes: Outboxes, clock: HandClock, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hesitated is no reason to leave alerts behind."""
    leave(folder)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "adopt", failing)
        for _ in range(5):
            outboxes.adopt()
            clock.advance(60)
        outboxes.adopt()
    assert [event.event_type for event in outboxes.notices.take()] == ["JOURNAL_UNREADABLE"]
    assert counters.errors == 1
    outboxes.adopt()
    assert adopted(outboxes) == []
    clock.advance(60)
    outboxes.adopt()
    assert len(adopted(outboxes)) == 1
    assert outboxes.notices.take() == []


def failing(path: Path, *, sync: str) -> Journal:
    raise JournalError(f"{path}: disk I/O error ({sync})")


def test_adopt_newer_file_is_the_same_event_for_every_publisher(
    folder: Path, outboxes: Outboxes, counters: Counters
) -> None:
    """So a daemon keeps one of them, however often publishers start; another file is another event."""
    for _ in range(2):
        path = leave(folder)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 2")
    outboxes.adopt()
    second = Outboxes(PublisherSettings(journal=folder, source="second"), counters, HandClock())
    second.open()
    first_ids, second_ids = ([event.id for event in each.notices.take()] for each in (outboxes, second))
    assert sorted(first_ids) == sorted(second_ids)
    assert len(set(first_ids)) == 2
    outboxes.adopt()
    assert outboxes.notices.take() == []
    second.close()


def test_adopt_copy_waits_until_its_stream_is_settled(folder: Path, outboxes: Outboxes) -> None:
    """Then it is offered too: it may hold what the other file had not any more."""
    path = leave(folder)
    shutil.copy(path, folder / "copy.journal")
    outboxes.adopt()
    outboxes.adopt()
    assert (len(adopted(outboxes)), outboxes.waiting_journals) == (1, 1)
    (first,) = [outbox for outbox in outboxes if outbox is not outboxes.own]
    outboxes.acknowledge(first, "a", 3, goodbye_heard=False)
    assert (len(adopted(outboxes)), outboxes.waiting_journals) == (1, 0)
    (copy,) = [outbox for outbox in outboxes if outbox is not outboxes.own]
    assert isinstance(copy, Journal)
    assert copy.path.name == "copy.journal" or copy.path == path
    outboxes.acknowledge(copy, "a", 3, goodbye_heard=False)
    assert adopted(outboxes) == []
    assert len(list(folder.glob("*.journal"))) == 1


def test_adopt_while_running_takes_a_few_a_turn(folder: Path, outboxes: Outboxes) -> None:
    """Live alerts do not wait until hundreds of files are open."""
    for _ in range(20):
        leave(folder, 1)
    outboxes.adopt()
    assert (len(adopted(outboxes)), outboxes.waiting_journals) == (16, 4)
    outboxes.adopt()
    assert (len(adopted(outboxes)), outboxes.waiting_journals) == (20, 0)


def test_adopt_folder_that_cannot_be_listed_is_counted_once(
    outboxes: Outboxes, folder: Path, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at every other second; the errors in `stats()` are not."""

    def denied(*_: object) -> list[Path]:
        raise JournalError("permission denied")

    monkeypatch.setattr(module, "left_behind", denied)
    for _ in range(10):
        outboxes.adopt()
    assert counters.errors == 1


@pytest.mark.skipif("sys.platform == 'win32'", reason="there is no such limit")
@pytest.mark.parametrize(("limit", "most"), [(64, 4), (1_024, 64), (1_000_000, 256), (-1, 256)])
def test_most_adopted_leaves_the_trader_its_files(monkeypatch: pytest.MonkeyPatch, limit: int, most: int) -> None:
    """A folder full of old journals must never use up what a process may have open."""
    import resource  # noqa: PLC0415 - POSIX only

    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert module.most_adopted() == most


PUBLISH_AND_WAIT = """
import sys
from pathlib import Path
from publisher import Publisher, PublisherSettings
_, folder, data, control = sys.argv
settings = PublisherSettings(journal=Path(folder), data_endpoints=data, control_endpoints=control, source="dies")
publisher = Publisher(settings).start()
for number in range(1, 51):
    publisher.risk_event(f"TEST_{number}", "INFO")
assert publisher.flush(20.0)
print("journaled", flush=True)
sys.stdin.read()
"""


def test_killed_publisher_is_adopted_by_one_that_runs_already(
    folder: Path, nowhere: tuple[str, str], daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """kill -9, and what it held arrives within seconds, once, without anybody's start."""
    running = make_publisher(daemon)
    with python(PUBLISH_AND_WAIT, str(folder), *nowhere) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "journaled\n"
        child.kill()
    wait_until(lambda: any(beat.source == "dies" for beat in daemon.heartbeats))
    record = daemon.record_of("dies")
    wait_until(lambda: numbers(record.alerts) == list(range(1, 51)))
    assert {beat.own for beat in daemon.heartbeats if beat.source == "dies"} == {False}
    wait_until(lambda: len(list(folder.glob("*.journal"))) == 1)
    assert running.publish(alert(), wait=10.0)


def test_two_publishers_race_for_a_file_and_one_gets_it(
    folder: Path, daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """Each file is offered by one of them, and everything arrives once."""
    publishers = [make_publisher(daemon, source=name) for name in ("one", "two")]
    for number in range(5):
        elsewhere = folder / "elsewhere" / str(number)
        short = make_publisher(source=f"short-{number}", journal=elsewhere)
        short.publish(alert(number))
        short.close(timeout=0.0)
        (left,) = elsewhere.glob("*.journal")
        left.rename(folder / left.name)
    wait_until(lambda: sorted(numbers(daemon.alerts)) == [0, 1, 2, 3, 4])
    wait_until(lambda: len(list(folder.glob("*.journal"))) == len(publishers))
    assert all(record.repeats == 0 for record in list(daemon.streams.values()))
