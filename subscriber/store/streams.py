"""Keeps the streams: how far each one is settled, which numbers are lost, and when it was last heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Select, case, func, literal, select, union, update

from subscriber.store import schema
from subscriber.store.numbering import Range, holes, insert_lost, lock_streams
from subscriber.store.part import StorePart, storable

#: The highest number that a column holds; only a forged stream gets there.
_HIGHEST: Final = 2**63 - 1

_stream: Final = schema.stream
_mark: Final = schema.stream_mark
_alert: Final = schema.alert


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """What the store has of a stream."""

    up_to: int = 0  #: every number up to here is stored, lost or a duplicate
    ahead: tuple[Range, ...] = ()  #: what is settled beyond; rising, never touching each other or `up_to`
    known: bool = False  #: False while no daemon has said where the stream starts: begin at its first unacknowledged


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as the daemons know it."""

    stream: bytes
    source: str
    up_to: int | None  #: None until its start is known
    last_seen: int  #: the highest number that came
    first_seen_us: int
    last_heard_us: int | None  #: the newest heartbeat that any daemon heard
    goodbye: str | None  #: the reason it gave when it ended on purpose


class Streams(StorePart):
    """What is known of streams."""

    def position(self, stream: bytes) -> StreamPosition:
        """Read how far a stream is settled, from what is stored and marked, whichever daemon did it.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            up_to = connection.scalar(select(_stream.c.up_to).where(_stream.c.stream == stream))
            ranges = _settled(connection, stream, min((up_to or 0) + 1, _HIGHEST), None)
        if up_to is not None and ranges and ranges[0][0] == up_to + 1:
            up_to = ranges.pop(0)[1]
        return StreamPosition(up_to or 0, tuple(ranges), known=up_to is not None)

    def record_lost(self, stream: bytes, first: int, last: int, reason: str) -> tuple[Range, ...]:
        """Record that nobody holds these numbers any more; what is stored or marked by now is left alone.

        Returns:
            The ranges that are really lost and were not recorded before.

        Raises:
            StoreError: The database can't be used at the moment; nothing was recorded.
        """
        now_us = self._now_us()
        with self.database.writing() as connection:
            lock_streams(self.database, connection, {stream: ""}, now_us)
            missing = tuple(holes(_settled(connection, stream, first, last), first, last))
            insert_lost(connection, [(stream, *hole) for hole in missing], storable(reason), now_us)
        return missing

    def heard(self, stream: bytes, source: str, now_us: int) -> None:
        """Note a sign of life of a stream; times never move backwards, whichever daemon heard it.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.writing(forgettable=True) as connection:
            lock_streams(self.database, connection, {stream: source}, now_us)
            heard = _stream.c.last_heard_us
            connection.execute(
                update(_stream)
                .where(_stream.c.stream == stream)
                .values(source=storable(source), last_heard_us=case((heard > now_us, heard), else_=now_us))
            )

    def said_goodbye(self, stream: bytes, source: str, reason: str, now_us: int) -> None:
        """Note that a stream ended on purpose.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.writing() as connection:
            lock_streams(self.database, connection, {stream: source}, now_us)
            connection.execute(
                update(_stream)
                .where(_stream.c.stream == stream)
                .values(source=storable(source), goodbye=storable(reason))
            )

    def streams(self) -> list[StreamState]:
        """Return every stream, the newest last.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            rows = connection.execute(select(_stream).order_by(_stream.c.first_seen_us, _stream.c.stream)).all()
        return [StreamState(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def _settled(connection: Connection, stream: bytes, first: int, last: int | None) -> list[Range]:
    """Return the settled ranges of a stream from a number on, rising and joined where they touch."""
    rows = connection.execute(_settled_statement(stream, first, last)).all()
    joined: list[Range] = []
    for low, high in rows:
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return joined


def _settled_statement(stream: bytes, first: int, last: int | None) -> Select[int, int]:
    """Let the database fold a million stored numbers into a few ranges: a run has one number minus row number."""
    numbers = select(_alert.c.sequence).where(_alert.c.stream == stream, _alert.c.sequence >= first).distinct()
    marks = select(_mark.c.first, _mark.c.last).where(_mark.c.stream == stream, _mark.c.last >= first)
    if last is not None:
        numbers = numbers.where(_alert.c.sequence <= last)
        marks = marks.where(_mark.c.first <= last)
    found = numbers.subquery()
    runs = select(
        found.c.sequence,
        (found.c.sequence - func.row_number().over(order_by=found.c.sequence)).label("run"),
    ).subquery()
    stored = select(func.min(runs.c.sequence), func.max(runs.c.sequence)).group_by(runs.c.run)
    both = union(stored, marks).subquery()
    low, high = both.c.values()
    # a mark may begin before the range that was asked for
    return select(case((low < first, literal(first)), else_=low).label("low"), high).order_by("low")
