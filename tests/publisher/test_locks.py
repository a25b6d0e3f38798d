"""The lock that says whether a journal's owner lives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from publisher import locks
from publisher.locks import FileLock
from tests.publisher.builders import python

HOLD = """
import sys
from pathlib import Path
from publisher.locks import FileLock
lock = FileLock.acquire(Path(sys.argv[1]))
print("held" if lock else "taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.lock"


def acquired(path: Path) -> FileLock:
    lock = FileLock.acquire(path)
    assert lock is not None
    return lock


def test_acquire_held_in_this_process_returns_none(path: Path) -> None:
    """Two publishers of one process exclude each other, too."""
    first = acquired(path)
    assert FileLock.acquire(path) is None
    first.release()
    acquired(path).release()


def test_acquire_killed_process_gets_the_lock(path: Path) -> None:
    """kill -9 gives the lock up: nothing has to be cleaned."""
    with python(HOLD, str(path)) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert FileLock.acquire(path) is None
        child.kill()
        child.wait()
    acquired(path).release()


def test_release_remove_takes_the_file_along(path: Path) -> None:
    """A settled journal leaves nothing behind."""
    acquired(path).release(remove=True)
    assert not path.exists()


def test_release_twice_closes_nobody_elses_file(path: Path, tmp_path: Path) -> None:
    """The second call must not close the file that got the same number meanwhile."""
    lock = acquired(path)
    lock.release()
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    lock.release()
    os.write(other, b"still open")
    os.close(other)


def test_release_file_already_gone_is_no_error(path: Path) -> None:
    """Somebody may have cleaned the folder."""
    lock = acquired(path)
    path.unlink()
    lock.release(remove=True)


def test_acquire_removed_between_open_and_lock_returns_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock on a file that its last owner has just removed would exclude nobody."""

    def removed_meanwhile(descriptor: int) -> bool:
        path.unlink()
        return True

    monkeypatch.setattr(locks, "_try_lock", removed_meanwhile)
    assert FileLock.acquire(path) is None


def test_acquire_replaced_between_open_and_lock_returns_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same when another process has made the file anew."""

    def replaced_meanwhile(descriptor: int) -> bool:
        path.rename(path.with_suffix(".old"))
        path.touch()
        return True

    monkeypatch.setattr(locks, "_try_lock", replaced_meanwhile)
    assert FileLock.acquire(path) is None


def test_acquire_missing_folder_raises(path: Path) -> None:
    """That is an error of the disk, not a lock that somebody holds."""
    with pytest.raises(FileNotFoundError):
        FileLock.acquire(path / "missing" / "a.lock")
