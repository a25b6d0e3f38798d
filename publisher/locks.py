"""A lock on a file, held while a process lives: the system drops it on any death, kill -9 included."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class FileLock:
    """An exclusive lock beside a file; a separate file, because SQLite locks its own and closing would drop both."""

    def __init__(self, descriptor: int, path: Path) -> None:
        """Keep what `acquire` opened."""
        self._descriptor: int | None = descriptor
        self._path = path

    @classmethod
    def acquire(cls, path: Path) -> FileLock | None:
        """Take the lock at once, or return None when another process, or another publisher here, has it.

        Raises:
            OSError: The file can't be made.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if _try_lock(descriptor) and _still_there(descriptor, path):
            return cls(descriptor, path)
        os.close(descriptor)
        return None

    def in_place(self) -> bool:
        """Whether the lock's file is still there; where somebody removed it, it is made and locked anew.

        Returns:
            False when another process was faster: it may take over what this lock protects.

        Raises:
            OSError: The file can't be made.
        """
        if self._descriptor is None or _still_there(self._descriptor, self._path):
            return True
        fresh = FileLock.acquire(self._path)
        if fresh is None:
            return False
        os.close(self._descriptor)
        self._descriptor = fresh.detach()
        return True

    def detach(self) -> int | None:
        """Give the open descriptor, with its lock, to somebody else."""
        descriptor, self._descriptor = self._descriptor, None
        return descriptor

    def release(self, *, remove: bool = False) -> None:
        """Give the lock up; with `remove`, its file goes first, where the system allows that. Once is enough."""
        descriptor = self.detach()
        if descriptor is None:  # the number may belong to another file by now
            return
        if remove and sys.platform != "win32":
            self._unlink()
        os.close(descriptor)
        if remove and sys.platform == "win32":
            self._unlink()

    def _unlink(self) -> None:
        with suppress(OSError):  # an empty file that stays does no harm; on Windows another process may look at it
            self._path.unlink()


def _still_there(descriptor: int, path: Path) -> bool:
    """Whether the locked file is still the one at this path: its last owner may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
