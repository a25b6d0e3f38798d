"""Keeps what people were told of publishers: each silence, hung loop and failed end once, and then its end.

Each function changes the stream's row only if it is as its caller saw it, and stores the alert that tells people in
the same transaction: so several daemons of one database tell it once, and a crash tells it or leaves it to be told.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Connection, case, null, or_, select, update

from subscriber.store import schema
from subscriber.store.incoming import Incoming
from subscriber.store.inserting import Accepted, Inserting
from subscriber.store.numbering import lock_streams
from subscriber.store.part import storable
from subscriber.store.streams import StreamState

_stream: Final = schema.stream


class Liveness(Inserting):
    """What people were told of streams."""

    def watched(self) -> list[StreamState]:
        """Return the streams of which people may still have to be told.

        That is those that have not ended, those that were told of as silent or hung until that has ended, and those
        that ended with numbers told of which did not come.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            rows = connection.execute(select(_stream).where(schema.WATCHED).order_by(_stream.c.first_seen_us)).all()
        return [StreamState(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it

    def succeeded(self) -> frozenset[bytes]:
        """Return the streams told of as silent or hung whose publisher was heard in a later stream.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return frozenset(connection.scalars(_succeeded))

    def open_silence(self, stream: bytes) -> StreamState | None:
        """Return a stream of whose silence people were told and not yet of its end; None for any other.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        wanted = select(_stream).where(_stream.c.stream == stream, _stream.c.silence.is_not(None))
        with self.database.reading() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else StreamState(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it

    def said_goodbye(
        self, stream: bytes, source: str, reason: str, last: int, telling: Incoming | None = None
    ) -> Accepted | None:
        """Note that a stream ended on purpose, and tell people where that was a failure.

        Returns:
            What became of the alert; None where the goodbye was known.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        now_us = self._now_us()
        announced = case((_stream.c.announced > last, _stream.c.announced), else_=last)
        changes: dict[str, object] = {"source": storable(source), "goodbye": storable(reason), "announced": announced}
        with self.database.writing() as connection:
            lock_streams(self.database, connection, {stream: source}, now_us)
            if telling is not None:
                changes["silence"] = telling.alert.id.bytes
            if not _changed(connection, stream, _stream.c.goodbye.is_(None), changes):
                return None
            return Accepted() if telling is None else self._store_own(connection, telling)

    def tell_silence(self, stream: bytes, source: str, last_heard_us: int | None, telling: Incoming) -> Accepted | None:
        """Note that people are told of a silent stream, unless a daemon heard it meanwhile or told them.

        Args:
            stream: Which one.
            source: Its publisher, where the stream is not known yet.
            last_heard_us: The newest sign of life that the caller knows of.
            telling: The alert.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        now_us = self._now_us()
        heard = _stream.c.last_heard_us
        unchanged = heard.is_(None) if last_heard_us is None else heard == last_heard_us
        condition = _stream.c.goodbye.is_(None) & _stream.c.silent_us.is_(None) & unchanged
        changes = {"silent_us": now_us, "silence": telling.alert.id.bytes}
        with self.database.writing() as connection:
            lock_streams(self.database, connection, {stream: source}, now_us)
            if not _changed(connection, stream, condition, changes):
                return None
            return self._store_own(connection, telling)

    def tell_hang(self, stream: bytes, telling: Incoming) -> Accepted | None:
        """Note that people are told of a hung loop, unless they were told.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        condition = _stream.c.hang.is_(None) & _stream.c.goodbye.is_(None)
        with self.database.writing() as connection:
            if not _changed(connection, stream, condition, {"hang": telling.alert.id.bytes}):
                return None
            return self._store_own(connection, telling)

    def tell_silence_ended(
        self, stream: bytes, silence: bytes, telling: Incoming, *, beats_again: bool
    ) -> Accepted | None:
        """Note that people are told of the end of a silence, unless they were told.

        Args:
            stream: Which one.
            silence: The alert that told of the silence.
            telling: The alert.
            beats_again: Whether the stream itself lives, and so may fall silent once more.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        changes: dict[str, object] = {"silence": null()}
        if beats_again:
            changes["silent_us"] = null()
        return self._tell_end(stream, _stream.c.silence == silence, changes, telling)

    def tell_hang_ended(self, stream: bytes, hang: bytes, telling: Incoming) -> Accepted | None:
        """Note that people are told that a hung loop moves again, or is no more, unless they were told.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        return self._tell_end(stream, _stream.c.hang == hang, {"hang": null()}, telling)

    def _tell_end(
        self, stream: bytes, condition: ColumnElement[bool], changes: dict[str, object], telling: Incoming
    ) -> Accepted | None:
        with self.database.writing() as connection:
            if not _changed(connection, stream, condition, changes):
                return None
            return self._store_own(connection, telling)


_other: Final = _stream.alias("other")
#: A stream that was over before any daemon heard it: whoever runs now came later.
_later: Final = case(
    (_stream.c.last_heard_us.is_(None), _other.c.goodbye.is_(None) & _other.c.silent_us.is_(None)),
    else_=_other.c.first_seen_us > _stream.c.last_heard_us,
)
_succeeded: Final = select(_stream.c.stream).where(
    or_(_stream.c.silence.is_not(None), _stream.c.hang.is_not(None)),
    select(_other.c.stream)
    .where(
        _other.c.source == _stream.c.source,
        _other.c.stream != _stream.c.stream,
        _other.c.last_heard_us.is_not(None),
        _later,
    )
    .exists(),
)


def _changed(connection: Connection, stream: bytes, condition: ColumnElement[bool], changes: dict[str, object]) -> bool:
    statement = update(_stream).where(_stream.c.stream == stream, condition).values(changes)
    return connection.execute(statement).rowcount == 1
