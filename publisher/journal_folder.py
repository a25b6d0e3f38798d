"""The folder of journals: what lies there, and what becomes of one that can't be read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from publisher.errors import JournalBusy, JournalDamaged, JournalError
from publisher.locks import FileLock

SUFFIX: Final = ".journal"
#: What SQLite keeps beside a file that was not closed.
_BESIDE: Final = ("-wal", "-shm")
#: What SQLite says of a file that no waiting and no room on the disk will make readable.
#: SQLITE_ERROR is a table that is missing.
_DAMAGED_CODES: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_BUSY_CODES: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def left_behind(folder: Path, known: Collection[str] = ()) -> list[Path]:
    """Return the journals in a folder, whoever holds them, oldest first, without those whose names are known.

    Raises:
        JournalError: The folder can't be read.
    """
    found: list[tuple[int, Path]] = []
    with told(folder):
        if folder.is_dir():
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(SUFFIX) and entry.name not in known:
                        with suppress(FileNotFoundError):  # its owner has just settled it
                            found.append((entry.stat().st_mtime_ns, folder / entry.name))
    return [path for _, path in sorted(found)]


def set_aside(path: Path) -> Path:
    """Take the lock of a journal that can't be read, rename it, and return its new name; see `rename_aside`.

    Raises:
        JournalBusy: Another process has the lock.
        JournalError: It can't be renamed.
    """
    with told(path):
        lock = FileLock.acquire(path.with_suffix(".lock"))
    if lock is None:
        raise JournalBusy(f"{path} is locked by another process.")
    renamed = False
    try:
        aside = rename_aside(path)
        renamed = True
    finally:
        lock.release(remove=renamed)
    return aside


def rename_aside(path: Path) -> Path:
    """Rename a journal that can't be read, so that nobody trips over it again and nothing in it is destroyed.

    The caller has its lock: so nobody else takes the name that is found free here.

    Raises:
        JournalError: It can't be renamed.
    """
    with told(path):
        aside = path.with_suffix(".corrupt")
        number = 1
        while aside.exists() or any(aside.with_name(aside.name + suffix).exists() for suffix in _BESIDE):
            number += 1
            aside = path.with_suffix(f".corrupt-{number}")
        path.rename(aside)
        for suffix in _BESIDE:
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say into a JournalError that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code
        kind = JournalDamaged if code in _DAMAGED_CODES else JournalBusy if code in _BUSY_CODES else JournalError
        raise kind(f"{path}: {error}") from error
