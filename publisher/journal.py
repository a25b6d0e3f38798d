"""The journal: the publisher's outbox on disk, one locked SQLite file per opening, which is one stream.

    <folder>/<stream in hex>.journal    what the stream's alerts were, until every store acknowledged them
    <folder>/<stream in hex>.lock       held by the process that offers the stream

A file whose lock is free was left by a process that died, or that closed before all was acknowledged: the next
publisher in this folder adopts it and offers it under its own stream and numbers. So a number that somebody
acknowledged is never given out again. Used by the sender's thread alone.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bus.alerts import NAME_LIMIT
from bus.conversion import text_of
from publisher.errors import JournalDamaged, JournalError
from publisher.journal_folder import SUFFIX, told
from publisher.locks import FileLock
from publisher.outbox import Entry

logger = logging.getLogger(__name__)

_STREAM_BYTES: Final = 16
_FORMAT: Final = 1
#: Rows of one INSERT statement, largest first. One statement gives the GIL up once instead of once per row, which a
#: trading loop that never sleeps makes dear; powers of two keep the prepared statements few.
_INSERT_SIZES: Final = tuple(2**power for power in range(10, -1, -1))
#: A file that is too large is cut to this share of its limit, so that it is not cut again at once.
_KEPT_SHARE: Final = 0.9
_SCHEMA: Final = """
CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY, published_us INTEGER NOT NULL, topic TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE acknowledged (store_id TEXT PRIMARY KEY, up_to INTEGER NOT NULL, seen_us INTEGER NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL);
"""


class Journal:
    """One stream in one file. The numbers that it holds have no gap: only the oldest ever leave."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FileLock, *, own: bool) -> None:
        """Read where the stream stands; use `create` or `adopt`.

        Raises:
            JournalError: The file can't be read.
            JournalDamaged: It is no journal.
        """
        self._path = path
        self._connection = connection
        self._lock = lock
        self.own = own
        self.goodbye_heard = False
        with told(path):
            meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
            acknowledged = connection.execute("SELECT store_id, up_to FROM acknowledged").fetchall()
            # Two searches in the index: one SELECT of both, or a count, would read the whole file.
            (lowest, highest) = connection.execute(
                "SELECT (SELECT min(sequence) FROM outbox), (SELECT max(sequence) FROM outbox)"
            ).fetchone()
        try:
            self.stream: bytes = memoryview(meta["stream"]).tobytes()  # of bytes only, a number is refused
            self._acknowledged = {str(store_id): int(up_to) for store_id, up_to in acknowledged}
            if len(self.stream) != _STREAM_BYTES or min([lowest or 1, *self._acknowledged.values()]) < 0:
                raise ValueError("it holds numbers that no stream has")
        except (KeyError, ValueError, TypeError) as error:
            raise JournalDamaged(f"{path} is no journal: {error}") from error
        self.source = text_of(meta.get("source"), NAME_LIMIT)
        self.goodbye: str | None = text_of(meta["goodbye"], NAME_LIMIT) if "goodbye" in meta else None
        self.last: int = max([highest or 0, *self._acknowledged.values()])
        self._first_held: int = lowest or self.last + 1

    @classmethod
    def create(cls, folder: Path, source: str, *, sync: str) -> Journal:
        """Begin a new stream in a new file.

        Args:
            folder: Made when it does not exist, readable by its owner only.
            source: The publisher's name, told with everything in the stream.
            sync: `normal` survives kill -9; `full` survives power loss and costs an fsync per batch.

        Raises:
            JournalError: The folder or the file can't be made.
        """
        stream = os.urandom(_STREAM_BYTES)
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
                connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {_FORMAT};")
                connection.execute("INSERT INTO meta VALUES ('stream', ?), ('source', ?)", (stream, source))
                connection.execute("COMMIT")
                return cls(path, connection, lock, own=True)
            except BaseException:
                if connection is not None:
                    connection.close()
                _remove(path)
                lock.release(remove=True)
                raise

    @classmethod
    def adopt(cls, path: Path, *, sync: str) -> Journal | None:
        """Take over what a process left, or return None when it is still held, or gone.

        Raises:
            JournalError: The file can't be read now, or only by a newer version; it stays where it is.
            JournalDamaged: It will never be readable; `set_aside` moves it out of the way.
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
            if version > _FORMAT:
                raise JournalError(f"{path} has format {version}; this version reads {_FORMAT}. Upgrade alertbus.")
            if version < _FORMAT:
                raise JournalDamaged(f"{path} is no journal: it has format {version}.")
            return cls(path, connection, lock, own=False)
        except BaseException:
            if connection is not None:
                connection.close()
            lock.release()
            raise

    def append(self, batch: Sequence[tuple[int, str, bytes]]) -> int:
        """Write a batch in one transaction; it is durable when this returns.

        Raises:
            JournalError: Nothing of it was written.
        """
        first = self.last + 1
        rows: list[object] = []
        for sequence, (published_us, topic, body) in enumerate(batch, first):
            rows += (sequence, published_us, topic, body)
        with self._transaction() as connection:
            start = 0
            for size in _sizes(len(batch)):
                connection.execute(_insert(size), rows[start : start + 4 * size])
                start += 4 * size
        self.last += len(batch)
        return first

    def read(self, first: int, last: int, limit: int) -> list[Entry]:
        """Return what is held of a range, oldest first, at most `limit`.

        Raises:
            JournalError: The file can't be read.
        """
        with told(self._path):
            rows = self._connection.execute(
                "SELECT sequence, published_us, topic, body FROM outbox WHERE sequence BETWEEN ? AND ? "
                "ORDER BY sequence LIMIT ?",
                (first, last, limit),
            ).fetchall()
        return [Entry(*row) for row in rows]

    def acknowledge(self, store_id: str, up_to: int, now_us: int) -> None:
        """Note how far a store has it; what every known store has is removed.

        A number beyond `last` is cut to it: no daemon can have stored what was never given out.

        Raises:
            JournalError: The file can't be written; the daemon's next ack tries again.
        """
        up_to = min(up_to, self.last)
        if up_to <= self._acknowledged.get(store_id, -1):
            return
        settled = min([up_to, *(number for store, number in self._acknowledged.items() if store != store_id)])
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO acknowledged VALUES (?, ?, ?) "
                "ON CONFLICT (store_id) DO UPDATE SET up_to = excluded.up_to, seen_us = excluded.seen_us",
                (store_id, up_to, now_us),
            )
            connection.execute("DELETE FROM outbox WHERE sequence <= ?", (settled,))
        self._acknowledged[store_id] = up_to
        self._first_held = max(self._first_held, settled + 1)

    def prune(self, published_before_us: int, most_bytes: int) -> int:
        """Forget what is too old, and the oldest when the file is too large; return how many alerts.

        They were not acknowledged by every store, so the daemon finds them missing and records them as lost. The
        newest one always stays: it says how many there were.

        Raises:
            JournalError: The file can't be written.
        """
        with told(self._path):
            (pages, page_bytes, free) = self._connection.execute(
                "SELECT page_count, page_size, freelist_count FROM pragma_page_count, pragma_page_size, "
                "pragma_freelist_count"
            ).fetchone()
            # Up to the first one that is young enough, whatever is behind it: a clock may have been set back, and
            # a gap in what is held could never be told from a loss on the way.
            young = self._connection.execute(
                "SELECT sequence FROM outbox WHERE published_us >= ? ORDER BY sequence LIMIT 1", (published_before_us,)
            ).fetchone()
        first_kept = self.last if young is None else int(young[0])
        used_bytes = (pages - free) * page_bytes
        if used_bytes > most_bytes:
            surplus = int(self.held() * (1 - _KEPT_SHARE * most_bytes / used_bytes)) + 1
            first_kept = max(first_kept, self._first_held + surplus)
        removed = min(first_kept, self.last) - self._first_held
        if removed <= 0:
            return 0
        with self._transaction() as connection:
            connection.execute("DELETE FROM outbox WHERE sequence < ?", (self._first_held + removed,))
        self._first_held += removed
        return removed

    def first_held(self) -> int:
        """Return the lowest number held; `last` + 1 when none is."""
        return self._first_held

    def first_unacknowledged(self, store_id: str | None) -> int:
        """Return the lowest number that this store has not acknowledged; for a new store, that a known one has not."""
        known: int | None = self._acknowledged.get(store_id) if store_id else None
        return (min(self._acknowledged.values(), default=0) if known is None else known) + 1

    def held(self) -> int:
        """Return how many alerts are held."""
        return self.last + 1 - self._first_held

    def say_goodbye(self, reason: str) -> None:
        """Note that the stream ended on purpose, so that an adopter repeats it.

        Raises:
            JournalError: The file can't be written.
        """
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('goodbye', ?)", (reason,))
        self.goodbye = reason

    def close(self) -> None:
        """Let go of the file; remove it when nothing is left in it, and no store waits for its goodbye."""
        with suppress(sqlite3.Error):
            self._connection.close()
        settled = self.held() == 0 and (self.goodbye is None or self.goodbye_heard or not self._acknowledged)
        if settled:
            _remove(self._path)
        self._lock.release(remove=settled)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with told(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk may have rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise


def _connect(path: Path, sync: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if sync == 'full' else 'NORMAL'}")
    except BaseException:
        connection.close()
        raise
    return connection


def _remove(path: Path) -> None:
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        with suppress(OSError):  # what stays is empty, and the next publisher tries again
            path.with_name(name).unlink()


def _sizes(count: int) -> Iterator[int]:
    for size in _INSERT_SIZES:
        while count >= size:
            yield size
            count -= size


def _insert(size: int) -> str:
    return "INSERT INTO outbox VALUES " + ",".join(["(?,?,?,?)"] * size)  # noqa: S608 - placeholders only
