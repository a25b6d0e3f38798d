"""The journal: the publisher's outbox on disk, one locked SQLite file per opening, which is one stream.

    <folder>/<stream in hex>.journal    what the stream's alerts were, until every store acknowledged them
    <folder>/<stream in hex>.lock       held by the process that offers the stream

A file whose lock is free was left by a process that died, or that closed before all was acknowledged: the next
publisher in this folder adopts it and offers it under its own stream and numbers. So a number that somebody
acknowledged is never given out again. Used by the sender's thread alone.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bus.alerts import NAME_LIMIT
from bus.clock import Moment
from bus.conversion import text_of
from publisher.acknowledged import Acknowledged
from publisher.errors import JournalDamaged, JournalError
from publisher.journal_file import JournalFile
from publisher.outbox import Entry, readable, settled

_STREAM_BYTES: Final = 16
#: Rows of one INSERT statement, largest first. One statement gives the GIL up once instead of once per row, which a
#: trading loop that never sleeps makes dear; powers of two keep the prepared statements few.
_INSERT_SIZES: Final = tuple(2**power for power in range(10, -1, -1))
#: A file that is too large is cut to this share of its limit, so that it is not cut again at once.
_KEPT_SHARE: Final = 0.9


class Journal:
    """One stream in one file. The numbers that it holds have no gap: only the oldest ever leave."""

    def __init__(self, file: JournalFile, *, own: bool) -> None:
        """Read where the stream stands; use `create` or `adopt`.

        Raises:
            JournalError: The file can't be read.
            JournalDamaged: It is no journal.
        """
        self._file = file
        self.own = own
        with file.told():
            meta: dict[str, Any] = dict(file.connection.execute("SELECT key, value FROM meta").fetchall())
            stores = file.connection.execute("SELECT store_id, up_to, seen_us FROM acknowledged").fetchall()
            # Two searches in the index: one SELECT of both, or a count, would read the whole file.
            (lowest, highest) = file.connection.execute(
                "SELECT (SELECT min(sequence) FROM outbox), (SELECT max(sequence) FROM outbox)"
            ).fetchone()
        try:
            self.stream: bytes = memoryview(meta["stream"]).tobytes()  # of bytes only, a number is refused
            up_to = {str(store_id): int(number) for store_id, number, _ in stores}
            #: By store, when it was last seen by the wall clock of whoever wrote it, in microseconds since 1970.
            self.seen_us = {str(store_id): int(seen_us) for store_id, _, seen_us in stores}
            floor = int(meta.get("settled", 0))
            least = min([0 if lowest is None else lowest - 1, floor, *up_to.values()])  # streams begin at 1
            if len(self.stream) != _STREAM_BYTES or least < 0:
                raise ValueError("it holds numbers that no stream has")
        except (KeyError, ValueError, TypeError) as error:
            raise JournalDamaged(f"{file.path} is no journal: {error}") from error
        self.source = text_of(meta.get("source"), NAME_LIMIT)
        self.began = _moment(meta.get("began"))
        self.goodbye: str | None = text_of(meta["goodbye"], NAME_LIMIT) if "goodbye" in meta else None
        self.goodbye_heard_by: set[str] = set()
        self.acknowledged = Acknowledged(up_to, floor)
        self.last: int = max([highest or 0, floor, *up_to.values()])
        self._first_held: int = lowest or self.last + 1

    @classmethod
    def create(
        cls,
        folder: Path,
        source: str,
        *,
        sync: str,
        with_room: bool = False,
        began: Moment | None = None,
        stores: Mapping[str, int] | None = None,
    ) -> Journal:
        """Begin a new stream in a new file.

        Args:
            folder: Made when it does not exist, readable by its owner only.
            source: The publisher's name, told with everything in the stream.
            sync: `normal` survives kill -9; `full` survives power loss and costs an fsync per batch.
            with_room: Whether the disk has to prove that it has some room, after it had none.
            began: What the clocks say, so that an adopter can tell whether the wall clock was set since.
            stores: For which stores it is kept from its first number on, though they may be away, and when each was
                last seen, in microseconds since 1970.

        Raises:
            JournalError: The folder or the file can't be made.
        """
        stream = os.urandom(_STREAM_BYTES)
        inherited = stores or {}
        file = JournalFile.create(folder, stream, source, sync=sync, with_room=with_room, began=began, stores=inherited)
        try:
            journal = cls(file, own=True)
        except BaseException:
            file.close(settled=True)
            raise
        journal.acknowledged.inherit(inherited)
        return journal

    @classmethod
    def adopt(cls, path: Path, *, sync: str) -> Journal | None:
        """Take over what a process left, or return None when it is still held, or gone.

        Raises:
            JournalError: The file can't be read now; it stays where it is.
            JournalNewer: Only a newer version can read it; it stays where it is.
            JournalDamaged: It will never be readable; `set_aside` moves it out of the way.
        """
        file = JournalFile.take_over(path, sync=sync)
        if file is None:
            return None
        try:
            return cls(file, own=False)
        except BaseException:
            file.close(settled=False)
            raise

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def damaged(self) -> bool:
        """Whether a part of the file turned out to be damaged; what can be read stays on offer."""
        return self._file.damaged

    def append(self, batch: Sequence[tuple[int, str, bytes]]) -> int:
        """Write a batch in one transaction; it is durable when this returns.

        Raises:
            JournalError: Nothing of it was written.
        """
        first = self.last + 1
        rows: list[object] = []
        for sequence, (published_us, topic, body) in enumerate(batch, first):
            rows += (sequence, published_us, topic, body)
        with self._file.transaction(patient=True) as connection:
            start = 0
            for size in _sizes(len(batch)):
                connection.execute(_insert(size), rows[start : start + 4 * size])
                start += 4 * size
        self.last += len(batch)
        return first

    def read(self, first: int, last: int, limit: int) -> list[Entry]:
        """Return what is held of a range, oldest first, at most `limit` numbers; a row that is no alert is left out.

        Raises:
            JournalError: The file can't be read now.
            JournalDamaged: A part of the range never can be.
        """
        with self._file.told():
            rows = self._file.connection.execute(
                "SELECT sequence, published_us, topic, body FROM outbox WHERE sequence BETWEEN ? AND ? "
                "ORDER BY sequence LIMIT ?",
                (max(first, self._first_held), last, limit),
            ).fetchall()
        return [Entry(*row) for row in rows if readable(*row[1:])]

    def note_store(self, store_id: str, seen_us: int) -> None:
        """Keep for a store, from now on, what it has not acknowledged, and note when it was seen.

        Raises:
            JournalError: The file can't be written; in memory it is noted all the same.
        """
        self.acknowledged.note(store_id, self.first_unacknowledged(store_id) - 1)
        self.seen_us[store_id] = seen_us
        with self._file.transaction() as connection:
            self._write_store(connection, store_id, self.acknowledged.of(store_id), seen_us)

    def acknowledge(self, store_id: str, up_to: int, now_us: int) -> None:
        """Note how far a store has it; what every known store has is removed.

        A number beyond `last` is cut to it: no daemon can have stored what was never given out.

        Raises:
            JournalError: The file can't be written. In memory it is noted all the same, for the store has it; an
                adopter would offer it once more.
        """
        up_to = min(up_to, self.last)
        if up_to <= self.acknowledged.of(store_id):
            return
        settled = self.acknowledged.settled_with(store_id, up_to)
        fault = None
        try:
            with self._file.transaction() as connection:
                self._write_store(connection, store_id, up_to, now_us)
                connection.execute("DELETE FROM outbox WHERE sequence <= ?", (settled,))
        except JournalError as error:
            fault = error
        self.acknowledged.note(store_id, up_to)
        self.seen_us[store_id] = now_us
        self._first_held = max(self._first_held, settled + 1)
        if fault is not None:
            raise fault

    def forget_stores(self, store_ids: Collection[str]) -> None:
        """Keep nothing for these stores any more; what all others have is removed.

        Raises:
            JournalError: The file can't be written; nothing changed.
        """
        settled = self.acknowledged.settled_without(store_ids)
        with self._file.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('settled', ?)", (settled,))
            connection.executemany("DELETE FROM acknowledged WHERE store_id = ?", [(each,) for each in store_ids])
            connection.execute("DELETE FROM outbox WHERE sequence <= ?", (settled,))
        self.acknowledged.forget(store_ids)
        for store_id in store_ids:
            self.seen_us.pop(store_id, None)
        self._first_held = max(self._first_held, settled + 1)

    def prune(self, most_bytes: int, *, old_up_to: int = 0, published_before_us: int = 0) -> int:
        """Forget what is too old, and the oldest when the file is too large; return how many alerts.

        They were not acknowledged by every store, so the daemon finds them missing and records them as lost. The
        newest one always stays: it says how many there were.

        Args:
            most_bytes: What the alerts may take.
            old_up_to: The highest number that is too old by the monotonic clock.
            published_before_us: What was published before is too old, too, by the wall clock.

        Raises:
            JournalError: The file can't be written.
        """
        with self._file.told():
            (pages, page_bytes, free) = self._file.connection.execute(
                "SELECT page_count, page_size, freelist_count FROM pragma_page_count, pragma_page_size, "
                "pragma_freelist_count"
            ).fetchone()
            # Up to the first one that is young enough, whatever is behind it: a clock may have been set back, and
            # a gap in what is held could never be told from a loss on the way.
            young = self._file.connection.execute(
                "SELECT sequence FROM outbox WHERE published_us >= ? ORDER BY sequence LIMIT 1", (published_before_us,)
            ).fetchone()
        first_kept = max(self.last if young is None else int(young[0]), old_up_to + 1)
        used_bytes = (pages - free) * page_bytes
        if used_bytes > most_bytes:
            surplus = int(self.held() * (1 - _KEPT_SHARE * most_bytes / used_bytes)) + 1
            first_kept = max(first_kept, self._first_held + surplus)
        removed = min(first_kept, self.last) - self._first_held
        if removed <= 0:
            return 0
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM outbox WHERE sequence < ?", (self._first_held + removed,))
        self._first_held += removed
        return removed

    def first_held(self) -> int:
        """Return the lowest number held; `last` + 1 when none is."""
        return self._first_held

    def first_unacknowledged(self, store_id: str | None) -> int:
        """Return the lowest number that this store has not acknowledged; for a new store, that a known one has not."""
        return self.acknowledged.first_missing(store_id)

    def held(self) -> int:
        """Return how many alerts are held."""
        return self.last + 1 - self._first_held

    def say_goodbye(self, reason: str) -> None:
        """Note that the stream ended on purpose, so that an adopter repeats it.

        Raises:
            JournalError: The file can't be written.
        """
        with self._file.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('goodbye', ?)", (reason,))
        self.goodbye = reason

    def in_place(self) -> bool:
        """Whether the file and its lock are still where they were; False when somebody removed or replaced them.

        Raises:
            JournalError: The folder can't be looked into.
        """
        return self._file.in_place()

    def close(self) -> None:
        """Let go of the file; remove it when nothing is left in it, and no store waits for its goodbye.

        A damaged one from which all was taken that can be read is set aside instead; one that somebody removed, and
        perhaps replaced, is left alone.
        """
        self._file.close(settled=settled(self))

    @staticmethod
    def _write_store(connection: sqlite3.Connection, store_id: str, up_to: int, seen_us: int) -> None:
        connection.execute(
            "INSERT INTO acknowledged VALUES (?, ?, ?) "
            "ON CONFLICT (store_id) DO UPDATE SET up_to = excluded.up_to, seen_us = excluded.seen_us",
            (store_id, up_to, seen_us),
        )


def _moment(text: object) -> Moment | None:
    """Read what `create` was given; whatever else stands there says nothing."""
    try:
        return None if text is None else Moment.of(str(text))
    except ValueError:
        return None


def _sizes(count: int) -> Iterator[int]:
    for size in _INSERT_SIZES:
        while count >= size:
            yield size
            count -= size


def _insert(size: int) -> str:
    return "INSERT INTO outbox VALUES " + ",".join(["(?,?,?,?)"] * size)  # noqa: S608 - placeholders only
