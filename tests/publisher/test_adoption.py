"""What a publisher finds in the folder: journals of the dead, of the living, damaged ones and foreign ones."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from publisher.errors import JournalDamaged, JournalError
from publisher.journal import Journal
from publisher.journal_folder import left_behind, set_aside
from tests.publisher.builders import python, rows


def left(folder: Path, count: int = 3) -> Path:
    """Leave a journal behind, as a process does that closes before all was acknowledged."""
    journal = Journal.create(folder, "trader", sync="normal")
    journal.append(rows(count))
    journal.close()
    return folder / f"{journal.stream.hex()}.journal"


def adopted(path: Path) -> Journal:
    journal = Journal.adopt(path, sync="normal")
    assert journal is not None
    return journal


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def test_adopt_offers_the_same_stream_and_numbers(folder: Path) -> None:
    """An adopter goes on where the dead one stood, and gives out no number twice."""
    journal = Journal.create(folder, "trader", sync="normal")
    journal.append(rows(5))
    journal.acknowledge("b", 1, 1)
    journal.acknowledge("a", 2, 1)
    journal.say_goodbye("exception: ValueError")
    journal.close()

    with closing(adopted(left_behind(folder)[0])) as again:
        assert (again.stream, again.source, again.own) == (journal.stream, "trader", False)
        assert (again.last, again.first_held(), again.held()) == (5, 2, 4)
        assert (again.first_unacknowledged("a"), again.first_unacknowledged("b")) == (3, 2)
        assert (again.goodbye, again.goodbye_heard_by) == ("exception: ValueError", set())
        assert [entry.body for entry in again.read(1, 9, 9)] == [f"body {number}".encode() for number in range(2, 6)]


def test_adopt_everything_acknowledged_remembers_the_last_number(folder: Path) -> None:
    """Killed after the last ack: the file is empty, and the stream still ends where it ended."""
    path = left(folder)
    change(path, "DELETE FROM outbox")
    change(path, "INSERT INTO acknowledged VALUES ('a', 3, 1)")
    with closing(adopted(path)) as journal:
        assert (journal.last, journal.held(), journal.first_held()) == (3, 0, 4)
    assert not path.exists()


def test_adopt_live_journal_returns_none(folder: Path) -> None:
    """What a running publisher offers is its own."""
    with closing(Journal.create(folder, "trader", sync="normal")):
        (path,) = left_behind(folder)
        assert Journal.adopt(path, sync="normal") is None


def test_adopt_settled_meanwhile_returns_none(folder: Path) -> None:
    """Its owner may close between our listing and our lock."""
    path = left(folder)
    path.unlink()
    assert Journal.adopt(path, sync="normal") is None
    assert not path.with_suffix(".lock").exists()


def test_adopt_file_without_a_first_commit_removes_it(folder: Path) -> None:
    """A process that was killed while it made the file left nothing in it."""
    folder.mkdir()
    path = folder / f"{'0' * 32}.journal"
    path.touch()
    assert Journal.adopt(path, sync="normal") is None
    assert list(folder.iterdir()) == []


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(20_000))


def text(path: Path) -> None:
    path.write_text("these are no alerts")


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 4_000)


def another_database(path: Path) -> None:
    path.unlink()
    change(path, "CREATE TABLE notes (text)")


def without_tables(path: Path) -> None:
    change(path, "DROP TABLE meta")


def without_stream(path: Path) -> None:
    change(path, "DELETE FROM meta WHERE key = 'stream'")


def stream_of_text(path: Path) -> None:
    change(path, "UPDATE meta SET value = 'sixteen letters!' WHERE key = 'stream'")


def short_stream(path: Path) -> None:
    change(path, "UPDATE meta SET value = x'00' WHERE key = 'stream'")


def negative_number(path: Path) -> None:
    change(path, "UPDATE outbox SET sequence = -1 WHERE sequence = 1")


def text_for_a_number(path: Path) -> None:
    change(path, "INSERT INTO acknowledged VALUES ('a', 'many', 1)")


@pytest.mark.parametrize(
    "damage",
    [
        garbage, text, overwritten, another_database, without_tables, without_stream, stream_of_text, short_stream,
        negative_number, text_for_a_number,
    ],
)  # fmt: skip
def test_adopt_damaged_file_says_so_and_lets_it_be_set_aside(folder: Path, damage: Callable[[Path], None]) -> None:
    """Nothing in it is destroyed, nobody trips over it again, and nothing stays open or locked."""
    path = left(folder)
    damage(path)
    content = path.read_bytes()
    with pytest.raises(JournalDamaged, match=path.name):
        Journal.adopt(path, sync="normal")

    aside = set_aside(path)

    assert aside.suffix == ".corrupt"
    assert aside.read_bytes()[100:] == content[100:]
    assert left_behind(folder) == []
    assert not path.with_suffix(".lock").exists()


def test_set_aside_takes_the_write_ahead_log_along(folder: Path) -> None:
    """The last commits may be in it, and a new file must not meet it."""
    path = left(folder)
    path.with_name(path.name + "-wal").write_bytes(b"log")
    aside = set_aside(path)
    assert aside.with_name(aside.name + "-wal").read_bytes() == b"log"


def test_set_aside_gone_file_raises_journal_error(folder: Path) -> None:
    """Another publisher may have been faster."""
    path = left(folder)
    path.unlink()
    with pytest.raises(JournalError):
        set_aside(path)


def test_adopt_newer_format_refuses_and_leaves_it(folder: Path) -> None:
    """It is not damaged: the version that wrote it can still send it."""
    path = left(folder)
    change(path, "PRAGMA user_version = 2")
    with pytest.raises(JournalError, match=r"format 2; this version reads 1\. Upgrade") as caught:
        Journal.adopt(path, sync="normal")
    assert not isinstance(caught.value, JournalDamaged)

    change(path, "PRAGMA user_version = 1")
    adopted(path).close()


def test_adopt_file_that_cannot_be_opened_is_not_called_damaged(folder: Path) -> None:
    """No handle left, a locked disk: another try may read it."""
    path = folder / f"{'1' * 32}.journal"
    path.mkdir(parents=True)
    with pytest.raises(JournalError) as caught:
        Journal.adopt(path, sync="normal")
    assert not isinstance(caught.value, JournalDamaged)


def test_left_behind_returns_oldest_first(folder: Path) -> None:
    """What waits longest is offered first when there are many."""
    paths = [left(folder) for _ in range(3)]
    for age, path in enumerate(paths):
        os.utime(path, ns=(0, 10**9 - age))
    assert left_behind(folder) == paths[::-1]


def test_left_behind_vanishing_file_is_left_out(folder: Path) -> None:
    """One that is settled while we look must not hide the others."""
    path = left(folder)
    (folder / "gone.journal").symlink_to(folder / "nothing")
    assert left_behind(folder) == [path]


def test_left_behind_missing_folder_is_empty(folder: Path) -> None:
    """The first publisher of a machine finds nothing."""
    assert left_behind(folder) == []


def test_left_behind_impossible_folder_raises_journal_error(tmp_path: Path) -> None:
    """Whatever the system refuses becomes an error that the sender knows."""
    with pytest.raises(JournalError):
        left_behind(tmp_path / ("n" * 300))


def test_adopt_copy_of_a_folder_offers_what_the_copy_held(folder: Path, tmp_path: Path) -> None:
    """A restored backup goes on under its own stream: no number of it is ever given to another alert."""
    journal = Journal.create(folder, "trader", sync="normal")
    journal.append(rows(3))
    journal.close()
    shutil.copytree(folder, tmp_path / "backup")
    with closing(adopted(left_behind(folder)[0])) as original:
        original.acknowledge("a", 3, 1)
    with closing(adopted(left_behind(tmp_path / "backup")[0])) as restored:
        assert (restored.stream, restored.held()) == (journal.stream, 3)


APPEND_FOR_EVER = """
import sys
from pathlib import Path
from publisher.journal import Journal
journal = Journal.create(Path(sys.argv[1]), "trader", sync="normal")
while True:
    batch = [(1, "severity.INFO.", f"body {journal.last + 1 + n}".encode() * 20) for n in range(7)]
    journal.append(batch)
    print(journal.last, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 400])
def test_adopt_killed_while_appending_holds_all_that_was_reported(folder: Path, lines: int) -> None:
    """kill -9 in the middle of appending loses nothing that append had returned for, and leaves no gap."""
    with python(APPEND_FOR_EVER, str(folder)) as child:
        assert child.stdout is not None
        for _ in range(lines):
            child.stdout.readline()
        child.kill()
        reported = [int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]

    with closing(adopted(left_behind(folder)[0])) as journal:
        assert journal.last >= max([7 * lines, *reported])
        entries = journal.read(1, journal.last, journal.last)
        assert [entry.sequence for entry in entries] == list(range(1, journal.last + 1))
        assert all(entry.body == f"body {entry.sequence}".encode() * 20 for entry in entries)
