"""Moves the numbers of streams forward while a batch is stored: positions, lost numbers that came, collisions.

Works inside a writing transaction that has locked the streams' rows; that lock also keeps `Streams.record_lost` away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from subscriber.deliveries import Mark
from subscriber.store import schema
from subscriber.store.database import Database
from subscriber.store.part import chunks, storable

Place = tuple[bytes, int]  #: a stream, and a number in it
Range = tuple[int, int]  #: the first and the last number, both included

_stream: Final = schema.stream
_mark: Final = schema.stream_mark
_alert: Final = schema.alert


@dataclass(frozen=True, slots=True)
class LockedStream:
    """A stream's row as it was when this transaction locked it."""

    up_to: int | None
    last_seen: int


def lock_streams(
    database: Database, connection: Connection, sources: Mapping[bytes, str], now_us: int
) -> dict[bytes, LockedStream]:
    """Lock the rows of streams until the transaction ends, in one order for everybody; make those that are new.

    Args:
        database: For its kind of INSERT.
        connection: A writing transaction.
        sources: By stream, the name of its publisher, for those that are new.
        now_us: When they are seen for the first time.
    """
    if not sources:
        return {}
    found = _locked(connection, sources)
    new = sorted(sources.keys() - found.keys())
    if new:
        rows = [
            {"stream": stream, "source": storable(sources[stream]), "last_seen": 0, "first_seen_us": now_us}
            for stream in new
        ]
        connection.execute(database.insert(_stream).on_conflict_do_nothing(), rows)
        found = _locked(connection, sources)
    return found


_lock: Final = (
    select(_stream.c.stream, _stream.c.up_to, _stream.c.last_seen)
    .where(_stream.c.stream.in_(bindparam("streams", expanding=True)))
    .order_by(_stream.c.stream)
    .with_for_update()
)


def _locked(connection: Connection, streams: Iterable[bytes]) -> dict[bytes, LockedStream]:
    rows = connection.execute(_lock, {"streams": sorted(streams)})
    return {row.stream: LockedStream(row.up_to, row.last_seen) for row in rows}


_move: Final = (
    update(_stream)
    .where(_stream.c.stream == bindparam("which"))
    .values(up_to=bindparam("new_up_to"), last_seen=bindparam("new_last_seen"))
)


def move_streams(
    connection: Connection,
    streams: Mapping[bytes, LockedStream],
    places: Iterable[Place],
    positions: Mapping[bytes, int],
) -> None:
    """Move locked streams forward: to the highest number that came, and to their new positions."""
    highest = {stream: locked.last_seen for stream, locked in streams.items()}
    for stream, sequence in places:
        highest[stream] = max(highest[stream], sequence)
    changed = []
    for stream, locked in streams.items():
        up_to = _greater(locked.up_to, positions.get(stream))
        if (up_to, highest[stream]) != (locked.up_to, locked.last_seen):
            changed.append({"which": stream, "new_up_to": up_to, "new_last_seen": highest[stream]})
    if changed:
        connection.execute(_move, changed)


def _greater(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return max(one, other)


def arrived(connection: Connection, places: Sequence[Place]) -> int:
    """Take numbers that came after all out of the lost ranges; return how many were in one."""
    by_stream: dict[bytes, list[int]] = defaultdict(list)
    for stream, sequence in places:
        by_stream[stream].append(sequence)
    recovered = 0
    for stream, numbers in by_stream.items():
        lost = connection.execute(_lost_between, {"s": stream, "low": min(numbers), "high": max(numbers)}).all()
        for row in lost:
            came = sorted({number for number in numbers if row.first <= number <= row.last})
            if not came:
                continue
            recovered += len(came)
            connection.execute(delete(_mark).where(_mark.c.id == row.id))
            rest = holes([(number, number) for number in came], row.first, row.last)
            insert_lost(connection, [(stream, *hole) for hole in rest], row.reason, row.noted_us)
    return recovered


_lost_between: Final = select(_mark).where(
    _mark.c.stream == bindparam("s"),
    _mark.c.last >= bindparam("low"),
    _mark.c.first <= bindparam("high"),
    _mark.c.mark == Mark.LOST.value,
)


def colliding(
    connection: Connection, places: Sequence[Place], streams: Mapping[bytes, LockedStream]
) -> tuple[Place, ...]:
    """Find the numbers, among those of alerts just inserted, that hold another alert as well."""
    suspects: dict[bytes, set[int]] = defaultdict(set)
    seen: set[Place] = set()
    for place in places:
        stream, sequence = place
        if place in seen or sequence <= streams[stream].last_seen:
            suspects[stream].add(sequence)
        seen.add(place)
    found: list[Place] = []
    for stream, numbers in suspects.items():
        for some in chunks(sorted(numbers)):
            twice = connection.scalars(_held_twice, {"s": stream, "numbers": some})
            found.extend((stream, number) for number in twice)
    return tuple(found)


_held_twice: Final = (
    select(_alert.c.sequence)
    .where(_alert.c.stream == bindparam("s"), _alert.c.sequence.in_(bindparam("numbers", expanding=True)))
    .group_by(_alert.c.sequence)
    .having(func.count() > 1)
    .order_by(_alert.c.sequence)
)


def insert_lost(connection: Connection, ranges: Sequence[tuple[bytes, int, int]], reason: str, now_us: int) -> None:
    """Record ranges of streams as lost."""
    if ranges:
        connection.execute(
            insert(_mark),
            [
                {
                    "stream": stream,
                    "first": first,
                    "last": last,
                    "mark": Mark.LOST.value,
                    "reason": reason,
                    "noted_us": now_us,
                }
                for stream, first, last in ranges
            ],
        )


def holes(settled: Iterable[Range], first: int, last: int) -> Iterable[Range]:
    """Return what is missing between two numbers, both included."""
    wanted = first
    for low, high in settled:
        if low > wanted:
            yield wanted, low - 1
        wanted = max(wanted, high + 1)
    if wanted <= last:
        yield wanted, last
