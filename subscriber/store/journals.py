"""Reads publishers' journals beside the store: read-only, also while their publishers write.

What a journal's file looks like is told in `publisher/journal.py`; the daemon has nothing else of the publisher. Its
file is only opened for reading, so a running publisher is never in the way of a lock, and never kept from one for
longer than a page takes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, NullPool, bindparam, create_engine, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bus.alerts import NAME_LIMIT
from bus.conversion import text_of
from subscriber.errors import StoreError
from subscriber.store import schema
from subscriber.store.auditing_streams import removed_of
from subscriber.store.incoming import digest_of
from subscriber.store.ledger import FaultKind, Findings, JournalLedger
from subscriber.store.numbering import Range
from subscriber.store.streams import StreamPosition

SUFFIX: Final = ".journal"
_FORMAT: Final = 1
_STREAM_BYTES: Final = 16
#: Alerts of one page: few, because each may take 64 KiB of memory.
_PAGE: Final = 1_000
_BUSY_TIMEOUT_SECONDS: Final = 5.0

_alert: Final = schema.alert
_mark: Final = schema.stream_mark
_stream: Final = schema.stream

Snapshot = Callable[[Callable[[Connection], Any]], Any]
Entry = tuple[int, bytes]  #: a number, and its body


def journal_files(path: Path) -> list[Path]:
    """Return the journals of a folder by their names, or the one file that is named.

    Raises:
        StoreError: The folder can't be read.
    """
    if not path.is_dir():
        return [path]
    try:
        return sorted(file for file in path.iterdir() if file.suffix == SUFFIX)
    except OSError as error:
        raise StoreError(f"The folder {path} can't be read: {error.strerror}.") from error


@dataclass(frozen=True, slots=True)
class _Head:
    """What a journal says of itself."""

    stream: bytes
    source: str
    acknowledged: int | None  #: by the store that is audited
    first_held: int
    last_held: int  #: below `first_held` when nothing is held

    @property
    def held(self) -> int:
        return self.last_held - self.first_held + 1


@dataclass(slots=True)
class _There:
    """What the store has of some numbers."""

    digests: defaultdict[int, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    marked: set[int] = field(default_factory=set)
    ranges: list[Range] = field(default_factory=list)  #: marked, several numbers each
    first: int = 1
    pruned_to: int = 0

    def accounts_for(self, number: int) -> bool:
        """Whether a number that is not stored need not be."""
        if number in self.marked or number < self.first or number <= self.pruned_to:
            return True
        return any(low <= number <= high for low, high in self.ranges)


def audit_journal(
    file: Path, store_id: str, position: Callable[[bytes], StreamPosition], snapshot: Snapshot, findings: Findings
) -> JournalLedger | None:
    """Check one journal against the store.

    Args:
        file: The journal.
        store_id: The store's, by which the journal keeps what was acknowledged.
        position: How far the store has settled a stream; asked after the journal was read.
        snapshot: Reads from one state of the store.
        findings: Where faults go.

    Returns:
        Its ledger; None where it can't be read, or its publisher has settled and removed it by now.

    Raises:
        StoreError: The store can't be used at the moment.
    """
    try:
        with _opened(file) as journal:
            head = _head(journal, store_id)
            if head is None:
                return None
            settled_to = position(head.stream).up_to
            name = f"stream {head.stream.hex()}"
            if (head.acknowledged or 0) > settled_to:
                findings.add(
                    FaultKind.NEVER_STORED,
                    name,
                    f"{file.name} says that this store acknowledged it up to {head.acknowledged}; it has it up to "
                    f"{settled_to}.",
                )
            for entries in _pages(journal, head.first_held, settled_to):
                there = snapshot(partial(_stored, stream=head.stream, low=entries[0][0], high=entries[-1][0]))
                _compare(file, name, entries, there, findings)
    except (_Unreadable, SQLAlchemyError) as error:
        if file.exists():
            findings.add(FaultKind.UNREADABLE_JOURNAL, str(file), f"It can't be read: {_reason(error)}.")
        return None
    return JournalLedger(
        file=str(file),
        stream=head.stream.hex(),
        source=head.source,
        acknowledged=head.acknowledged,
        held=head.held,
        outstanding=max(head.last_held - max(settled_to, head.first_held - 1), 0),
    )


class _Unreadable(Exception):
    """A journal is not what a journal is."""


@contextmanager
def _opened(file: Path) -> Iterator[Connection]:
    url = URL.create("sqlite+pysqlite", database=file.resolve().as_uri(), query={"mode": "ro", "uri": "true"})
    engine = create_engine(
        url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": _BUSY_TIMEOUT_SECONDS}
    )
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _head(journal: Connection, store_id: str) -> _Head | None:
    """Read what a journal says of itself; None where its publisher ended before it wrote anything."""
    version = journal.exec_driver_sql("PRAGMA user_version").scalar()
    tables = journal.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()
    if version == tables == 0:
        return None
    if version != _FORMAT:
        raise _Unreadable(f"it has format {version}, and this version reads {_FORMAT}")
    meta = {row.key: row.value for row in journal.exec_driver_sql("SELECT key, value FROM meta")}
    stream = meta.get("stream")
    if not isinstance(stream, bytes) or len(stream) != _STREAM_BYTES:
        raise _Unreadable("it names no stream")
    acknowledged = journal.exec_driver_sql(
        "SELECT up_to FROM acknowledged WHERE store_id = ?", (store_id,)
    ).scalar_one_or_none()
    first, last = journal.exec_driver_sql(
        "SELECT (SELECT min(sequence) FROM outbox), (SELECT max(sequence) FROM outbox)"
    ).one()
    if not all(number is None or (isinstance(number, int) and number >= 0) for number in (acknowledged, first, last)):
        raise _Unreadable("it holds numbers that no stream has")
    return _Head(stream, text_of(meta.get("source"), NAME_LIMIT), acknowledged, first or 1, last or 0)


def _pages(journal: Connection, first: int, settled_to: int) -> Iterator[Sequence[Entry]]:
    """Return what is held of what the store should have."""
    after = first - 1
    while True:
        rows = journal.exec_driver_sql(
            "SELECT sequence, body FROM outbox WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?",
            (after, settled_to, _PAGE),
        ).all()
        if not rows:
            return
        if not all(isinstance(row.body, bytes) for row in rows):
            raise _Unreadable("it holds what is no alert")
        yield [(row.sequence, row.body) for row in rows]
        after = rows[-1].sequence


def _stored(connection: Connection, stream: bytes, low: int, high: int) -> _There:
    given = {"s": stream, "low": low, "high": high}
    there = _There(pruned_to=removed_of(connection, [stream])[stream].highest)
    there.first = connection.scalar(_first, {"s": stream}) or 1
    for row in connection.execute(_digests, given):
        there.digests[row.sequence].add(row.digest)
    for row in connection.execute(_marks, given):
        if row.first == row.last:
            there.marked.add(row.first)
        else:
            there.ranges.append((row.first, row.last))
    return there


def _compare(file: Path, name: str, entries: Sequence[Entry], there: _There, findings: Findings) -> None:
    for number, body in entries:
        digests = there.digests.get(number)
        if there.accounts_for(number) or (digests and digest_of(body) in digests):
            continue
        if digests:
            text = f"Number {number} is stored with another body than {file.name} holds."
            findings.add(FaultKind.CHANGED_BODY, name, text)
        else:
            text = f"Number {number} is acknowledged and not stored; {file.name} still holds it."
            findings.add(FaultKind.HOLE, name, text)


def _reason(error: Exception) -> str:
    original = error.orig if isinstance(error, DBAPIError) else None
    return getattr(original, "sqlite_errorname", None) or (str(error) if isinstance(error, _Unreadable) else "")


_first: Final = select(_stream.c.first).where(_stream.c.stream == bindparam("s"))
_digests: Final = select(_alert.c.sequence, _alert.c.digest).where(
    _alert.c.stream == bindparam("s"), _alert.c.sequence.between(bindparam("low"), bindparam("high"))
)
_marks: Final = select(_mark.c.first, _mark.c.last).where(
    _mark.c.stream == bindparam("s"), _mark.c.last >= bindparam("low"), _mark.c.first <= bindparam("high")
)
