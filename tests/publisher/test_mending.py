"""A journal that fails while the publisher runs: damaged, removed, locked, on a full disk; and the way back."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bus.alerts import Severity
from publisher import journal_file
from publisher.errors import JournalDamaged, JournalError
from publisher.handover import Counters
from publisher.journal import Journal
from publisher.outboxes import Outboxes
from publisher.volatile import VolatileOutbox
from tests.publisher.builders import HandClock, alert, numbers, rows
from tests.publisher.conftest import MakePublisher
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until

PAGE_BYTES = 4096


def own_journal(outboxes: Outboxes) -> Journal:
    assert isinstance(outboxes.own, Journal)
    return outboxes.own


def drop_table(journal: Journal, table: str) -> None:
    """Damage a file while it is in use, as a broken disk does."""
    with closing(sqlite3.connect(journal.path)) as other, other:
        other.execute(f"DROP TABLE {table}")


def told(outboxes: Outboxes) -> list[tuple[str, Severity]]:
    return [(event.event_type, event.severity) for event in outboxes.notices.take()]


@pytest.fixture
def no_new_journal(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The disk takes no new file."""

    def fail(*_: object, **__: object) -> Journal:
        raise JournalError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "create", fail)
        yield patch


@pytest.mark.parametrize("verb", ["append", "acknowledge", "prune"])
def test_own_journal_damaged_goes_on_in_a_new_one(outboxes: Outboxes, counters: Counters, verb: str) -> None:
    """Durable as before; what the damaged file holds stays on offer, and people are told once."""
    outboxes.append(rows(3))
    damaged = own_journal(outboxes)
    drop_table(damaged, "acknowledged" if verb == "acknowledge" else "outbox")

    if verb == "append":
        assert outboxes.append(rows(2, first=4)) == 1
    elif verb == "acknowledge":
        outboxes.acknowledge(damaged, "a", 1, goodbye_heard=False)
        assert counters.acknowledged == 1
    else:
        outboxes.prune()
    outboxes.mend()
    outboxes.mend()

    assert not outboxes.volatile
    assert own_journal(outboxes).path != damaged.path
    assert (damaged.own, damaged.goodbye, outboxes.get(damaged.stream)) == (False, "journal failed", damaged)
    assert told(outboxes) == [("JOURNAL_REPLACED", Severity.CRITICAL)]
    assert outboxes.append(rows(1)) == (3 if verb == "append" else 1)


def test_own_journal_damaged_is_set_aside_when_it_is_let_go_of(outboxes: Outboxes, folder: Path) -> None:
    """Nothing in it is destroyed, and what could be read of it arrived before."""
    outboxes.append(rows(3))
    damaged = own_journal(outboxes)
    outboxes.store_seen("a")
    drop_table(damaged, "outbox")
    outboxes.append(rows(1))
    outboxes.acknowledge(damaged, "a", 3, goodbye_heard=True)
    assert outboxes.get(damaged.stream) is None
    assert damaged.path.with_suffix(".corrupt").exists()
    assert not damaged.path.exists()
    assert list(folder.glob("*.lock")) == [own_journal(outboxes).path.with_suffix(".lock")]


def test_own_journal_damaged_and_not_settled_stays_for_the_next(outboxes: Outboxes) -> None:
    """What can still be read of it is offered by whoever comes."""
    outboxes.append(rows(3))
    damaged = own_journal(outboxes)
    drop_table(damaged, "acknowledged")
    outboxes.acknowledge(damaged, "a", 1, goodbye_heard=False)
    outboxes.mend()
    outboxes.close()
    assert damaged.path.exists()


def test_own_journal_damaged_and_no_new_one_goes_on_from_memory(
    outboxes: Outboxes, no_new_journal: pytest.MonkeyPatch
) -> None:
    """Only then."""
    drop_table(own_journal(outboxes), "outbox")
    assert outboxes.append(rows(2)) == 1
    assert (outboxes.volatile, outboxes.own.held()) == (True, 2)
    assert told(outboxes) == [("JOURNAL_FAILED", Severity.CRITICAL)]


def test_new_journal_that_fails_at_once_ends_in_memory(outboxes: Outboxes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is never without a place, and its numbers are of the stream that took it."""

    def fail(*_: object) -> int:
        raise JournalDamaged("malformed")

    monkeypatch.setattr(Journal, "append", fail)
    assert outboxes.append(rows(2)) == 1
    assert isinstance(outboxes.own, VolatileOutbox)
    assert [kind for kind, _ in told(outboxes)] == ["JOURNAL_REPLACED", "JOURNAL_FAILED"]


def test_adopted_journal_damaged_is_told_once_and_settles(folder: Path, outboxes: Outboxes, counters: Counters) -> None:
    """An ack that can't be written counts all the same, so it does not stay on offer for ever."""
    dead = Journal.create(folder, "dead", sync="normal")
    dead.append(rows(3))
    dead.close()
    outboxes.adopt()
    _, adopted = outboxes
    assert isinstance(adopted, Journal)
    drop_table(adopted, "acknowledged")
    outboxes.acknowledge(adopted, "a", 2, goodbye_heard=False)
    outboxes.mend()
    outboxes.mend()
    assert told(outboxes) == [("JOURNAL_DAMAGED", Severity.CRITICAL)]
    assert (adopted.held(), outboxes.own.damaged) == (1, False)
    outboxes.acknowledge(adopted, "a", 3, goodbye_heard=False)
    assert list(outboxes) == [outboxes.own]
    assert adopted.path.with_suffix(".corrupt").exists()


@pytest.mark.skipif("sys.platform == 'win32'", reason="an open file can't be removed there")
def test_own_journal_removed_by_somebody_goes_on_in_a_new_one(outboxes: Outboxes, folder: Path) -> None:
    """An unlinked file would take everything along at the next kill -9; what it holds is still offered."""
    outboxes.append(rows(3))
    removed = own_journal(outboxes)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    outboxes.mend()
    outboxes.mend()
    assert told(outboxes) == [("JOURNAL_REPLACED", Severity.CRITICAL)]
    assert own_journal(outboxes).path.exists()
    assert [entry.sequence for entry in removed.read(1, 3, 3)] == [1, 2, 3]
    outboxes.store_seen("a")
    outboxes.acknowledge(removed, "a", 3, goodbye_heard=True)
    assert outboxes.get(removed.stream) is None


@pytest.mark.skipif("sys.platform == 'win32'", reason="an open file can't be removed there")
def test_own_journal_replaced_by_somebody_is_not_removed_at_the_end(outboxes: Outboxes) -> None:
    """Whatever lies at its place now is not ours."""
    removed = own_journal(outboxes)
    removed.path.unlink()
    removed.path.write_text("somebody else's")
    outboxes.mend()
    outboxes.close()
    assert removed.path.read_text() == "somebody else's"


@pytest.mark.skipif("sys.platform == 'win32'", reason="an open file can't be removed there")
def test_lock_removed_by_somebody_is_made_again(outboxes: Outboxes, folder: Path, counters: Counters) -> None:
    """Before another publisher takes a live journal for one of the dead."""
    own = own_journal(outboxes)
    own.path.with_suffix(".lock").unlink()
    outboxes.mend()
    assert own_journal(outboxes) is own
    assert Journal.adopt(own.path, sync="normal") is None
    assert counters.errors == 0


@pytest.mark.skipif("sys.platform == 'win32'", reason="an open file can't be removed there")
def test_lock_removed_and_taken_by_another_publisher_leaves_it_the_file(outboxes: Outboxes) -> None:
    """The other one offers it now; new alerts go to a file that is ours alone."""
    outboxes.append(rows(2))
    own = own_journal(outboxes)
    own.path.with_suffix(".lock").unlink()
    other = Journal.adopt(own.path, sync="normal")
    assert other is not None
    outboxes.mend()
    assert own_journal(outboxes) is not own
    outboxes.close()
    assert own.path.exists()
    assert other.held() == 2
    other.close()


def test_append_to_a_locked_journal_goes_on_in_a_new_one(outboxes: Outboxes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program's lock ends no durability; the old file settles when it is free again."""
    monkeypatch.setattr(journal_file, "_PATIENT_MILLISECONDS", 50)
    outboxes.append(rows(2))
    locked = own_journal(outboxes)
    with closing(sqlite3.connect(locked.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert outboxes.append(rows(1, first=3)) == 1
        other.execute("ROLLBACK")
    assert not outboxes.volatile
    assert told(outboxes) == [("JOURNAL_REPLACED", Severity.CRITICAL)]
    outboxes.store_seen("a")
    outboxes.acknowledge(locked, "a", 2, goodbye_heard=True)
    assert not locked.path.exists()


def test_append_lock_that_ends_in_time_changes_nothing(outboxes: Outboxes) -> None:
    """A backup that reads for a moment is waited for."""
    own = own_journal(outboxes)
    with closing(sqlite3.connect(own.path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
        release.start()
        assert outboxes.append(rows(1)) == 1
        release.join()
    assert own_journal(outboxes) is own


def test_memory_is_left_as_soon_as_a_journal_works(
    outboxes: Outboxes, clock: HandClock, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every ten seconds one is tried; the end is told, the stream in memory stays until it is settled."""
    outboxes.store_seen("a")
    own_journal(outboxes)._file.connection.execute("PRAGMA query_only = on")
    with monkeypatch.context() as patch:
        patch.setattr(journal_file, "_make_room", disk_is_full)
        outboxes.append(rows(3))
        assert outboxes.volatile
        (failed,) = outboxes.notices.take()
        outboxes.mend()
        clock.advance(10)
        outboxes.mend()
        assert outboxes.volatile
    volatile = outboxes.own
    clock.advance(9)
    outboxes.mend()
    assert outboxes.volatile
    clock.advance(1)
    outboxes.mend()

    assert isinstance(outboxes.own, Journal)
    assert outboxes.append(rows(1)) == 1
    (recovered,) = outboxes.notices.take()
    assert (recovered.event_type, recovered.severity) == ("JOURNAL_RECOVERED", Severity.INFO)
    assert recovered.resolves == failed.id
    assert (volatile.own, volatile.goodbye, outboxes.get(volatile.stream)) == (False, "journal recovered", volatile)
    outboxes.acknowledge(volatile, "a", 3, goodbye_heard=True)
    assert outboxes.get(volatile.stream) is None
    assert counters.dropped == 0


def disk_is_full(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def test_new_journal_after_a_failure_has_room_of_its_own(outboxes: Outboxes) -> None:
    """A disk that takes an empty file and nothing more would let it fail again at the next batch."""
    drop_table(own_journal(outboxes), "outbox")
    outboxes.append(rows(1))
    own = own_journal(outboxes)
    assert own.path.stat().st_size >= 2**20
    (free,) = own._file.connection.execute("PRAGMA freelist_count").fetchone()
    assert free * PAGE_BYTES >= 2**19
    outboxes.prune()
    assert own.held() == 1


def test_close_waits_for_what_the_failed_journal_held(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """It was published here: `close` promises that daemons have all of that, whatever stream it is in."""
    daemon.acknowledges = daemon.asks_replays = False
    publisher = make_publisher(daemon)
    for number in range(1, 21):
        publisher.publish(alert(number))
    wait_until(lambda: publisher.stats().sent == 20)
    (path,) = publisher.settings.journal_folder.glob("*.journal")
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("ALTER TABLE acknowledged RENAME TO gone")
    daemon.acknowledges = daemon.asks_replays = True
    wait_until(
        lambda: (
            len(list(publisher.settings.journal_folder.glob("*.journal"))) == 2 or path.with_suffix(".corrupt").exists()
        )
    )
    assert publisher.publish(alert(21), wait=10.0)
    assert publisher.close(timeout=20.0) is True
    assert sorted(numbers(daemon.alerts)) == list(range(1, 22))
    assert path.with_suffix(".corrupt").exists()
    assert list(publisher.settings.journal_folder.glob("*.journal")) == []
