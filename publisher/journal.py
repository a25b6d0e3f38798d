"""The journal: the publisher's outbox on disk, one locked SQLite file per opening, which is one stream.

    <folder>/<stream in hex>.journal    what the stream's alerts were, until every store acknowledged them
    <folder>/<stream in hex>.lock       held by the process that offers the stream

A file whose lock is free was left by a process that died, or that closed before all was acknowledged: the next
publisher in this folder adopts it and offers it under its own stream and numbers. So a number that somebody
acknowledged is never given out again. Used by the sender's thread alone.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from publisher.errors import JournalError
from publisher.locks import FileLock

logger = logging.getLogger(__name__)

SUFFIX: Final = ".journal"
_STREAM_BYTES: Final = 16
_FORMAT: Final = 1
#: Rows of one INSERT statement, largest first. One statement gives the GIL up once instead of once per row, which a
#: trading loop that never sleeps makes dear; powers of two keep the prepared statements few.
_INSERT_SIZES: Final = tuple(2**power for power in range(10, -1, -1))
_SCHEMA: Final = """
CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY, published_us INTEGER NOT NULL, topic TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE acknowledged (store_id TEXT PRIMARY KEY, up_to INTEGER NOT NULL, seen_us INTEGER NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One alert as the outbox keeps it."""

    sequence: int
    published_us: int
    topic: str
    body: bytes


class Outbox(Protocol):
    """A stream and what of it is still held: on disk (`Journal`) or in memory (`VolatileOutbox`)."""

    stream: bytes
    source: str
    own: bool
    last: int
    goodbye: str | None

    def append(self, batch: Sequence[tuple[int, str, bytes]]) -> int:
        """Keep (published_us, topic, body) under the next numbers; return the first of them."""
        ...

    def read(self, first: int, last: int, limit: int) -> list[Entry]:
        """Return what is held of a range, oldest first."""
        ...

    def acknowledge(self, store_id: str, up_to: int, now_us: int) -> None:
        """Note how far a store has it, and forget what every known store has."""
        ...

    def first_held(self) -> int:
        """Return the lowest number held; `last` + 1 when none is."""
        ...

    def first_unacknowledged(self, store_id: str | None) -> int:
        """Return the lowest number that this store has not acknowledged; for a new store, that a known one has not."""
        ...

    def held(self) -> int:
        """Return how many alerts are held."""
        ...

    def say_goodbye(self, reason: str) -> None:
        """Note that the stream ended on purpose, so that an adopter repeats it."""
        ...

    def close(self) -> None:
        """Let go of it; what is settled everywhere is removed, the rest stays for an adopter."""
        ...


class Journal:
    """One stream in one file."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FileLock, *, own: bool) -> None:
        """Read where the stream stands; use `create` or `adopt`.

        Raises:
            JournalError: The file is no journal, or of a newer format.
        """
        self._path = path
        self._connection = connection
        self._lock = lock
        self.own = own
        with _told(path):
            meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
            self._acknowledged: dict[str, int] = dict(
                connection.execute("SELECT store_id, up_to FROM acknowledged").fetchall()
            )
            (lowest, highest, count) = connection.execute(
                "SELECT min(sequence), max(sequence), count(*) FROM outbox"
            ).fetchone()
        self.stream = bytes(meta["stream"])
        self.source = str(meta["source"])
        self.goodbye: str | None = meta.get("goodbye")
        self.last = max([highest or 0, *self._acknowledged.values()])
        self._first_held: int = lowest or self.last + 1
        self._held: int = count

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
        stream = secrets.token_bytes(_STREAM_BYTES)
        path = folder / f"{stream.hex()}{SUFFIX}"
        with _told(path):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock.acquire(path.with_suffix(".lock"))
            if lock is None:
                raise JournalError(f"{path} is locked by another process although its name is new.")
            try:
                connection = _connect(path, sync)
                connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {_FORMAT};")
                connection.execute("INSERT INTO meta VALUES ('stream', ?), ('source', ?)", (stream, source))
                connection.execute("COMMIT")
            except BaseException:
                lock.release(remove=True)
                raise
        return cls(path, connection, lock, own=True)

    @classmethod
    def adopt(cls, path: Path, *, sync: str) -> Journal | None:
        """Take over what a process left, or return None when it is still held, or gone.

        Raises:
            JournalError: The file can't be read; `set_aside` moves it out of the way.
        """
        with _told(path):
            lock = FileLock.acquire(path.with_suffix(".lock"))
        if lock is None:
            return None
        if not path.exists():  # its last owner settled and removed it between our listing and our lock
            lock.release(remove=True)
            return None
        try:
            with _told(path):
                connection = _connect(path, sync)
                (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:  # a process died between making the file and its first commit: nothing is in it
                connection.close()
                _remove(path)
                lock.release(remove=True)
                return None
            if version != _FORMAT:
                raise JournalError(f"{path} has format {version}; this version reads {_FORMAT}. Upgrade alertbus.")
            return cls(path, connection, lock, own=False)
        except JournalError:
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
        self._held += len(batch)
        return first

    def read(self, first: int, last: int, limit: int) -> list[Entry]:
        """Return what is held of a range, oldest first, at most `limit`.

        Raises:
            JournalError: The file can't be read.
        """
        with _told(self._path):
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
            removed = connection.execute("DELETE FROM outbox WHERE sequence <= ?", (settled,)).rowcount
        self._acknowledged[store_id] = up_to
        self._held -= removed
        self._first_held = max(self._first_held, settled + 1)

    def prune(self, published_before_us: int, most_bytes: int) -> int:
        """Forget what is too old, and the oldest tenth when the file is too large; return how many alerts.

        They were not acknowledged by every store, so the daemon finds them missing and records them as lost.

        Raises:
            JournalError: The file can't be written.
        """
        with _told(self._path):
            (pages, page_bytes, free) = self._connection.execute(
                "SELECT page_count, page_size, freelist_count FROM pragma_page_count, pragma_page_size, "
                "pragma_freelist_count"
            ).fetchone()
        up_to = self._first_held + self._held // 10 if (pages - free) * page_bytes > most_bytes else 0
        with self._transaction() as connection:
            removed = int(
                connection.execute(
                    "DELETE FROM outbox WHERE sequence <= ? OR published_us < ?", (up_to, published_before_us)
                ).rowcount
            )
            (lowest,) = connection.execute("SELECT min(sequence) FROM outbox").fetchone()
        self._held -= removed
        self._first_held = int(lowest or self.last + 1)
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
        return self._held

    def say_goodbye(self, reason: str) -> None:
        """Note that the stream ended on purpose, so that an adopter repeats it.

        Raises:
            JournalError: The file can't be written.
        """
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('goodbye', ?)", (reason,))
        self.goodbye = reason

    def close(self) -> None:
        """Let go of the file; when nothing is left in it, remove it."""
        with suppress(sqlite3.Error):
            self._connection.close()
        settled = self._held == 0
        if settled:
            _remove(self._path)
        self._lock.release(remove=settled)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _told(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk may have rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise


def left_behind(folder: Path) -> list[Path]:
    """Return the journals in a folder, whoever holds them, oldest first.

    Raises:
        JournalError: The folder can't be read.
    """
    if not folder.is_dir():
        return []
    with _told(folder):
        return sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime_ns)


def set_aside(path: Path) -> Path:
    """Rename a journal that can't be read, so that nobody trips over it again and nothing in it is destroyed.

    Raises:
        JournalError: It can't be renamed.
    """
    aside = path.with_suffix(".corrupt")
    with _told(path):
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    path.with_suffix(".lock").unlink(missing_ok=True)
    return aside


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say into a JournalError that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"{path}: {error}") from error


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
        path.with_name(name).unlink(missing_ok=True)


def _sizes(count: int) -> Iterator[int]:
    for size in _INSERT_SIZES:
        while count >= size:
            yield size
            count -= size


def _insert(size: int) -> str:
    return "INSERT INTO outbox VALUES " + ",".join(["(?,?,?,?)"] * size)  # noqa: S608 - placeholders only
