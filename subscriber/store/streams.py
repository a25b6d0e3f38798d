"""Keeps the streams: where each one starts, how far it is settled, which numbers are lost, when it was last heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Select, bindparam, case, func, literal, select, union, update

from subscriber.store import schema
from subscriber.store.incoming import Incoming
from subscriber.store.inserting import Accepted, Inserting
from subscriber.store.numbering import Range, holes, insert_lost, lock_streams
from subscriber.store.part import storable

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
    announced: int | None = None  #: the highest number that its publisher told of …
    last_heard_us: int | None = None  #: … in its newest heartbeat, and when that was
    behind: bool = False  #: whether the stream's row says less than `up_to`: see `advance`


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as the daemons know it."""

    stream: bytes
    source: str
    up_to: int | None  #: None until its start is known
    last_seen: int  #: the highest number that came
    first_seen_us: int
    last_heard_us: int | None  #: the newest heartbeat of its own publisher that any daemon heard
    goodbye: str | None  #: the reason it gave when it ended on purpose
    first: int | None  #: where it starts for this store; None until that is known
    announced: int | None  #: the highest number that its publisher told of
    volatile: bool | None  #: whether its publisher held it in memory only
    silent_us: int | None  #: when people were told that it is silent
    silence: bytes | None  #: the alert that told them, until they are told of its end
    hang: bytes | None  #: the alert that told of a hung loop, until people are told of its end

    @property
    def ended(self) -> bool:
        """Whether it ended on purpose, or is silent and people know."""
        return self.goodbye is not None or self.silent_us is not None


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """What a heartbeat of a stream's own publisher says for the store."""

    source: str
    last: int  #: the highest number that it gave out
    volatile: bool = False  #: whether it holds its alerts in memory only


@dataclass(frozen=True, slots=True)
class Lost:
    """What was recorded as lost, and what became of the alert that tells of it."""

    ranges: tuple[Range, ...] = ()  #: what is really lost and was not recorded before
    told: Accepted = field(default_factory=Accepted)


class Streams(Inserting):
    """What is known of streams."""

    def begin(self, stream: bytes, source: str, first: int) -> None:
        """Note where a stream starts for this store, unless that is known: the numbers below are somebody else's.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.writing() as connection:
            lock_streams(self.database, connection, {stream: source}, self._now_us())
            connection.execute(
                update(_stream)
                .where(_stream.c.stream == stream, _stream.c.up_to.is_(None))
                .values(first=first, up_to=first - 1)
            )
            _advance(connection, stream)

    def advance(self, stream: bytes) -> None:
        """Note how far a stream is settled, after `position` found it further than that: before it is acknowledged.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.writing() as connection:
            lock_streams(self.database, connection, {stream: ""}, self._now_us())
            _advance(connection, stream)

    def position(self, stream: bytes, last: int | None = None) -> StreamPosition:
        """Read how far a stream is settled, from what is stored and marked, whichever daemon did it.

        Args:
            stream: Which one.
            last: Where to stop reading: a long stream that is far ahead of a gap need not be read as a whole.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            row = connection.execute(_place_of, {"which": stream}).first()
            up_to, announced, last_heard_us = row or (None, None, None)
            ranges = _settled(connection, stream, min((up_to or 0) + 1, _HIGHEST), last)
        noted = up_to
        if up_to is not None and ranges and ranges[0][0] == up_to + 1:
            up_to = ranges.pop(0)[1]
        return StreamPosition(
            up_to or 0, tuple(ranges), up_to is not None, announced, last_heard_us, behind=noted != up_to
        )

    def record_lost(
        self,
        stream: bytes,
        ranges: Sequence[Range],
        reason: str,
        tell: Callable[[tuple[Range, ...]], Incoming] | None = None,
    ) -> Lost:
        """Record that nobody holds these numbers any more; what is stored or marked by now is left alone.

        Args:
            stream: Whose numbers.
            ranges: The first and the last number of each range, rising.
            reason: Why, in a few words.
            tell: Makes the alert that tells people of the ranges that are really lost; it is stored in the same
                transaction, so that no loss is recorded and not told.

        Raises:
            StoreError: The database can't be used at the moment; nothing was recorded.
        """
        now_us = self._now_us()
        with self.database.writing() as connection:
            lock_streams(self.database, connection, {stream: ""}, now_us)
            missing = tuple(
                hole for first, last in ranges for hole in holes(_settled(connection, stream, first, last), first, last)
            )
            insert_lost(connection, [(stream, *hole) for hole in missing], storable(reason), now_us)
            _advance(connection, stream)
            if not missing or tell is None:
                return Lost(missing)
            return Lost(missing, self._store_own(connection, tell(missing)))

    def heard(self, stream: bytes, sign: SignOfLife, now_us: int) -> None:
        """Note a sign of life of a stream; times and numbers never move backwards, whichever daemon heard it.

        The time always moves, if by a microsecond only, though a clock was set back: by that others see the life.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        heard, announced = _stream.c.last_heard_us, _stream.c.announced
        with self.database.writing(forgettable=True) as connection:
            lock_streams(self.database, connection, {stream: sign.source}, now_us)
            connection.execute(
                update(_stream)
                .where(_stream.c.stream == stream)
                .values(
                    source=storable(sign.source),
                    last_heard_us=case((heard >= now_us, heard + 1), else_=now_us),
                    announced=case((announced > sign.last, announced), else_=sign.last),
                    volatile=sign.volatile,
                )
            )

    def streams(self) -> list[StreamState]:
        """Return every stream, the newest last.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            rows = connection.execute(select(_stream).order_by(_stream.c.first_seen_us, _stream.c.stream)).all()
        return [StreamState(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def _advance(connection: Connection, stream: bytes) -> None:
    """Move the position in a locked stream's row to the end of what is settled without a hole."""
    up_to = connection.scalar(select(_stream.c.up_to).where(_stream.c.stream == stream))
    if up_to is None or up_to >= _HIGHEST:
        return
    ranges = _settled(connection, stream, up_to + 1, None)
    if ranges and ranges[0][0] == up_to + 1:
        connection.execute(update(_stream).where(_stream.c.stream == stream).values(up_to=ranges[0][1]))


_place_of: Final = select(_stream.c.up_to, _stream.c.announced, _stream.c.last_heard_us).where(
    _stream.c.stream == bindparam("which")
)


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
