"""What becomes of a journal that can't be read: it is renamed, and nothing is destroyed by that."""

from __future__ import annotations

from pathlib import Path

import pytest

from publisher.errors import JournalBusy, JournalError
from publisher.journal_folder import set_aside
from publisher.locks import FileLock


def test_set_aside_name_that_is_taken_destroys_nothing(tmp_path: Path) -> None:
    """A folder that is restored twice brings a file of the same name twice."""
    path = tmp_path / "aa.journal"
    names = []
    for number in range(1, 4):
        path.write_text(f"damage {number}")
        names.append(set_aside(path).name)
    assert names == ["aa.corrupt", "aa.corrupt-2", "aa.corrupt-3"]
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        name: f"damage {number}" for number, name in enumerate(names, 1)
    }


def test_set_aside_takes_along_what_lies_beside(tmp_path: Path) -> None:
    """The write-ahead log has alerts too; one that was left alone keeps its name."""
    path = tmp_path / "aa.journal"
    (tmp_path / "aa.corrupt-wal").write_text("of another one")
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).write_text(suffix)
    assert set_aside(path) == tmp_path / "aa.corrupt-2"
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "aa.corrupt-2", "aa.corrupt-2-shm", "aa.corrupt-2-wal", "aa.corrupt-wal",
    ]  # fmt: skip
    assert (tmp_path / "aa.corrupt-wal").read_text() == "of another one"


def test_set_aside_file_that_is_locked_stays(tmp_path: Path) -> None:
    """Whoever has the lock has the file."""
    path = tmp_path / "aa.journal"
    path.write_text("in use")
    lock = FileLock.acquire(path.with_suffix(".lock"))
    assert lock is not None
    with pytest.raises(JournalBusy):
        set_aside(path)
    lock.release(remove=True)
    assert [each.name for each in tmp_path.iterdir()] == ["aa.journal"]


def test_set_aside_file_that_is_gone_raises_and_gives_the_lock_back(tmp_path: Path) -> None:
    """Another publisher was faster."""
    path = tmp_path / "aa.journal"
    with pytest.raises(JournalError):
        set_aside(path)
    lock = FileLock.acquire(path.with_suffix(".lock"))
    assert lock is not None
    lock.release(remove=True)
