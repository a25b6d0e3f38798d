"""One journal's SQLite file and the lock beside it: opening, transactions, and what is noticed of both.

Used by the sender's thread alone.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bus.clock import Moment
from publisher.errors import JournalDamaged, JournalError, JournalNewer
from publisher.journal_folder import SUFFIX, rename_aside, told
from publisher.locks import FileLock

FORMAT: Final = 1
#: How long a lock of another program is waited for, where nothing is lost by trying again later,
_BUSY_MILLISECONDS: Final = 100
#: and how long by an append, before alerts go elsewhere.
_PATIENT_MILLISECONDS: Final = 5_000
#: What a disk that was full has to prove that it takes.
_ROOM_BYTES: Final = 2**20
_SCHEMA: Final = """
CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY, published_us INTEGER NOT NULL, topic TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE acknowledged (store_id TEXT PRIMARY KEY, up_to INTEGER NOT NULL, seen_us INTEGER NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL);
"""


class JournalFile:
    """An open, locked file; its opener closes it."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FileLock) -> None:
        """Keep what `create` or `take_over` opened."""
        self.path = path
        self.connection = connection
        self.damaged = False  #: whether a statement met a damaged page
        self._lock = lock
        self._status = path.stat()
        self._removed = False

    @classmethod
    def create(
        cls,
        folder: Path,
        stream: bytes,
        source: str,
        *,
        sync: str,
        with_room: bool,
        began: Moment | None,
        stores: Mapping[str, int],
    ) -> JournalFile:
        """Make the file of a new stream; see `Journal.create`.

        Raises:
            JournalError: The folder or the file can't be made.
        """
        path = folder / f"{stream.hex()}{SUFFIX}"
        with told(path):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock.acquire(path.with_suffix(".lock"))
            if lock is None:
                raise JournalError(f"{path} is locked by another process although its name is new.")
            connection = None
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))  # what trades is nobody else's
                connection = _connect(path, sync)
                connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {FORMAT};")
                connection.execute("INSERT INTO meta VALUES ('stream', ?), ('source', ?)", (stream, source))
                if began is not None:
                    connection.execute("INSERT INTO meta VALUES ('began', ?)", (began.text(),))
                connection.executemany("INSERT INTO acknowledged VALUES (?, 0, ?)", list(stores.items()))
                connection.execute("COMMIT")
                if with_room:
                    _make_room(connection)
                return cls(path, connection, lock)
            except BaseException:
                if connection is not None:
                    connection.close()
                _remove(path)
                lock.release(remove=True)
                raise

    @classmethod
    def take_over(cls, path: Path, *, sync: str) -> JournalFile | None:
        """Open what a process left, or return None when it is still held, or gone; see `Journal.adopt`.

        Raises:
            JournalError: The file can't be read now.
            JournalNewer: Only a newer version can read it.
            JournalDamaged: It will never be readable.
        """
        with told(path):
            lock = FileLock.acquire(path.with_suffix(".lock"))
        if lock is None:
            return None
        connection = None
        try:
            with told(path):
                if not path.exists():  # its last owner settled and removed it between our listing and our lock
                    lock.release(remove=True)
                    return None
                connection = _connect(path, sync)
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                if version == tables == 0:  # a process died between making the file and its first commit
                    connection.close()
                    _remove(path)
                    lock.release(remove=True)
                    return None
                if version > FORMAT:
                    raise JournalNewer(str(path), version, FORMAT)
                if version < FORMAT:
                    raise JournalDamaged(f"{path} is no journal: it has format {version}.")
                return cls(path, connection, lock)
        except BaseException:
            if connection is not None:
                connection.close()
            lock.release()
            raise

    @contextmanager
    def transaction(self, *, patient: bool = False) -> Iterator[sqlite3.Connection]:
        """Write all that is done inside, or nothing.

        Args:
            patient: Whether to wait for a lock of another program.

        Raises:
            JournalError: Nothing was written.
        """
        with self.told():
            self._begin(patient=patient)
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk may have rolled back by itself
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what SQLite says into a JournalError, and note damage."""
        try:
            with told(self.path):
                yield
        except JournalDamaged:
            self.damaged = True
            raise

    def in_place(self) -> bool:
        """Whether the file and its lock are still where they were; False when somebody removed or replaced them.

        Raises:
            JournalError: The folder can't be looked into.
        """
        with told(self.path):
            try:
                there = os.path.samestat(self._status, self.path.stat())
            except (FileNotFoundError, NotADirectoryError):
                there = False
            self._removed = self._removed or not there or not self._lock.in_place()
        return not self._removed

    def close(self, *, settled: bool) -> None:
        """Let go of the file; a settled one is removed, or set aside where it is damaged.

        One that somebody removed, and perhaps replaced, is left alone.
        """
        with suppress(sqlite3.Error):
            self.connection.close()
        gone = settled and not self._removed
        if gone and self.damaged:
            with suppress(JournalError):  # the next publisher finds it, and sets it aside
                rename_aside(self.path)
        elif gone:
            _remove(self.path)
        self._lock.release(remove=gone)

    def _begin(self, *, patient: bool) -> None:
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not patient or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            self.connection.execute(f"PRAGMA busy_timeout = {_PATIENT_MILLISECONDS}")
            try:
                self.connection.execute("BEGIN IMMEDIATE")
            finally:
                self.connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")


def _connect(path: Path, sync: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_MILLISECONDS / 1000, isolation_level=None)
    try:
        # A text of a damaged page is read as far as that goes: an alert with an odd topic is better than none.
        connection.text_factory = lambda value: value.decode("utf-8", "replace")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if sync == 'full' else 'NORMAL'}")
    except BaseException:
        connection.close()
        raise
    return connection


def _make_room(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE room (bytes BLOB)")
    # Random, or a file system that compresses would promise what it does not have; in a transaction of its own, or
    # the pages would never be written. What is freed stays with the file, and with its write-ahead log.
    connection.execute("INSERT INTO room VALUES (randomblob(?))", (_ROOM_BYTES,))
    connection.execute("DROP TABLE room")
    connection.execute("PRAGMA wal_checkpoint")


def _remove(path: Path) -> None:
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        with suppress(OSError):  # what stays is empty, and the next publisher tries again
            path.with_name(name).unlink()
