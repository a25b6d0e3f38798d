"""Audits streams: is each number up to the acknowledged one exactly one of stored, lost, duplicate, or pruned?

Streams are read in groups, each group in one snapshot, so that a position and the numbers below it belong together
however fast alerts come in. A stream without marks is counted by the database; one that has marks, or does not
balance, is walked through, page by page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, Row, and_, bindparam, case, func, or_, select, tuple_

from subscriber.deliveries import Mark
from subscriber.store import schema
from subscriber.store.ledger import FaultKind, Findings, StreamLedger
from subscriber.store.numbering import Range
from subscriber.store.tallying import Bounds, Tally, joined, runs, tallied

#: Streams of one snapshot at most, and their numbers together.
GROUP: Final = 200
_GROUP_NUMBERS: Final = 200_000
#: Rows of one page of a walk.
_PAGE: Final = 10_000

#: The words of `ledger_total` for a stream.
STREAM: Final = "stream"
STORED: Final = "stored"
DUPLICATE: Final = "duplicate"
HIGHEST: Final = "highest"

AnyRow = Row[*tuple[Any, ...]]

_stream: Final = schema.stream
_mark: Final = schema.stream_mark
_alert: Final = schema.alert
_total: Final = schema.ledger_total


@dataclass(slots=True)
class Removed:
    """What retention removed of a stream."""

    stored: int = 0
    duplicate: int = 0
    highest: int = 0
    others: list[str] = field(default_factory=list)  #: words that no total of a stream has

    @property
    def numbers(self) -> int:
        """How many numbers are not there any more."""
        return self.stored + self.duplicate


def audit_group(connection: Connection, after: bytes, findings: Findings) -> tuple[list[StreamLedger], bytes | None]:
    """Audit the next streams in the order of their ids.

    Args:
        connection: Sees one state of the database, whatever is asked of it.
        after: The last stream of the group before; empty for the first group.
        findings: Where faults go.

    Returns:
        The ledgers, and the last stream of the group; None where there are no more.
    """
    rows = _group(connection, after)
    if not rows:
        return [], None
    streams = [row.stream for row in rows]
    removed = removed_of(connection, streams)
    counts = {row.stream: row for row in connection.execute(_counts, {"streams": streams})}
    marked = set(connection.scalars(_marked, {"streams": streams}))
    ledgers = []
    for row in rows:
        gone = removed[row.stream]
        bounds = bounds_of(row, gone)
        tally = None if row.stream in marked else _counted(counts.get(row.stream), bounds, gone)
        if tally is None:
            tally = walk(connection, row.stream, bounds)
        before = findings.count
        _judge(row, bounds, tally, gone, findings)
        ledgers.append(_ledger(row, tally, gone, balanced=findings.count == before))
    return ledgers, streams[-1]


def bounds_of(row: AnyRow, removed: Removed) -> Bounds:
    """Return what of a stream has to be settled; nothing as long as its start is not known."""
    if row.first is None or row.up_to is None:
        return Bounds(1, 0)
    return Bounds(row.first, row.up_to, removed.highest)


def removed_of(connection: Connection, streams: Iterable[bytes]) -> defaultdict[bytes, Removed]:
    """Read what retention wrote down about streams."""
    found: defaultdict[bytes, Removed] = defaultdict(Removed)
    names = {stream.hex(): stream for stream in streams}
    for row in connection.execute(_totals, {"names": list(names)}):
        removed = found[names[row.name]]
        if row.word in {STORED, DUPLICATE, HIGHEST}:
            setattr(removed, row.word, row.total)
        else:
            removed.others.append(row.word)
    return found


def walk(connection: Connection, stream: bytes, bounds: Bounds) -> Tally:
    """Go through all numbers of a stream and say what each one is."""
    return tallied(
        runs(_numbers(connection, stream)),
        joined(_marks(connection, stream, Mark.DUPLICATE)),
        joined(_marks(connection, stream, Mark.LOST)),
        bounds,
    )


def audit_strangers(connection: Connection, after: str, findings: Findings) -> str | None:
    """Look for what retention wrote down about streams that have no row; a page of names after `after`.

    Returns:
        The last name of the page; None where there are no more.
    """
    names = connection.scalars(_names_after, {"after": after}).all()
    if not names:
        return None
    known = {stream.hex() for stream in connection.scalars(_known, {"streams": list(map(_bytes, names))})}
    for name in names:
        if name not in known:
            findings.add(FaultKind.WRONG_TOTAL, f"stream {name}", "There are totals of a stream that has no row.")
    return str(names[-1])


def _bytes(name: str) -> bytes:
    try:
        return bytes.fromhex(name)
    except ValueError:
        return b""


def _group(connection: Connection, after: bytes) -> list[AnyRow]:
    rows = connection.execute(_streams_after, {"after": after}).all()
    numbers = 0
    for place, row in enumerate(rows):
        numbers += max((row.up_to or 0) - (row.first or 0), 0)
        if numbers > _GROUP_NUMBERS:
            return list(rows[: place + 1])
    return list(rows)


def _counted(row: AnyRow | None, bounds: Bounds, removed: Removed) -> Tally | None:
    """Return the tally of a stream without marks by its counts; None where they leave a question open."""
    span = max(bounds.up_to - bounds.first + 1, 0)
    if row is None:
        return Tally(settled_to=bounds.first - 1) if not span else None
    if row.inside != span or removed.numbers or removed.others or removed.highest:
        return None
    return Tally(stored=row.inside, ahead=row.ahead, below=row.below)


def _judge(row: AnyRow, bounds: Bounds, tally: Tally, removed: Removed, findings: Findings) -> None:
    where = f"stream {row.stream.hex()}"
    if row.up_to is not None and (row.first is None or row.first > row.up_to + 1 or row.first < 1):
        told = "nobody noted where it starts" if row.first is None else f"it starts at {row.first}"
        findings.add(FaultKind.NO_START, where, f"It is acknowledged up to {row.up_to}, and {told}.")
    for low, high in tally.contradictions:
        findings.add(
            FaultKind.STORED_AND_LOST, where, f"{_named(low, high)} counts as lost and is there.", high - low + 1
        )
    _judge_gaps(where, row.last_seen, tally, findings)
    if removed.others:
        findings.add(FaultKind.WRONG_TOTAL, where, f"It has totals by unknown words: {', '.join(removed.others)}.")
    wrong = tally.removed != removed.numbers or min(removed.stored, removed.duplicate, removed.highest) < 0
    if wrong or removed.highest > bounds.up_to or (removed.numbers and not removed.highest):
        findings.add(
            FaultKind.WRONG_TOTAL,
            where,
            f"Retention removed {removed.stored} stored numbers and {removed.duplicate} duplicates up to "
            f"{removed.highest} by its totals; {tally.removed} are not there.",
        )


def _judge_gaps(where: str, last_seen: int, tally: Tally, findings: Findings) -> None:
    """Tell the missing numbers: those up to the highest that ever came are a hole, others never came."""
    told = 0
    for low, high in tally.gaps:
        told += high - low + 1
        came = min(high, last_seen)
        if came >= low:
            findings.add(
                FaultKind.HOLE,
                where,
                f"{_named(low, came)} is acknowledged, and neither stored nor lost nor a duplicate.",
                came - low + 1,
            )
        if came < high:
            first = max(low, came + 1)
            findings.add(
                FaultKind.NEVER_STORED,
                where,
                f"{_named(first, high)} is acknowledged and was never stored.",
                high - first + 1,
            )
    if tally.missing > told:
        findings.add(FaultKind.HOLE, where, f"{tally.missing - told} more numbers are missing.", tally.missing - told)


def _named(low: int, high: int) -> str:
    return f"Number {low}" if low == high else f"Each number from {low} to {high}"


def _ledger(row: AnyRow, tally: Tally, removed: Removed, *, balanced: bool) -> StreamLedger:
    return StreamLedger(
        stream=row.stream.hex(),
        source=row.source,
        first=row.first,
        up_to=row.up_to,
        stored=tally.stored,
        lost=tally.lost,
        duplicate=tally.duplicate,
        pruned=removed.numbers,
        ahead=tally.ahead,
        below=tally.below,
        balanced=balanced,
    )


def _numbers(connection: Connection, stream: bytes) -> Iterator[int]:
    """Return the stored numbers of a stream, rising."""
    after = -1
    while page := connection.scalars(_numbers_after, {"s": stream, "after": after}).all():
        yield from page
        after = page[-1]


def _marks(connection: Connection, stream: bytes, mark: Mark) -> Iterator[Range]:
    """Return the marked ranges of a stream, by their first numbers."""
    first, last_id = -1, -1
    while page := _page_of_marks(connection, stream, mark, first, last_id):
        yield from ((row.first, row.last) for row in page)
        first, last_id = page[-1].first, page[-1].id


def _page_of_marks(connection: Connection, stream: bytes, mark: Mark, first: int, last_id: int) -> Sequence[AnyRow]:
    given = {"s": stream, "mark": mark.value, "first": first, "last_id": last_id}
    return connection.execute(_marks_after, given).all()


_streams_after: Final = (
    select(_stream.c.stream, _stream.c.source, _stream.c.first, _stream.c.up_to, _stream.c.last_seen)
    .where(_stream.c.stream > bindparam("after"))
    .order_by(_stream.c.stream)
    .limit(GROUP)
)
_among: Final[BindParameter[bytes]] = bindparam("streams", expanding=True)
_totals: Final = select(_total.c.name, _total.c.word, _total.c.total).where(
    _total.c.scope == STREAM, _total.c.name.in_(bindparam("names", expanding=True))
)
_names_after: Final = (
    select(_total.c.name)
    .where(_total.c.scope == STREAM, _total.c.name > bindparam("after"))
    .distinct()
    .order_by(_total.c.name)
    .limit(_PAGE)
)
_known: Final = select(_stream.c.stream).where(_stream.c.stream.in_(_among))
_marked: Final = select(_mark.c.stream).where(_mark.c.stream.in_(_among)).distinct()
# DISTINCT first, by the index; a count of distinct values would sort them.
_distinct: Final = select(_alert.c.stream, _alert.c.sequence).where(_alert.c.stream.in_(_among)).distinct().subquery()
_unknown: Final = or_(_stream.c.first.is_(None), _stream.c.up_to.is_(None))
_is_ahead: Final = or_(_unknown, _distinct.c.sequence > _stream.c.up_to)
_is_below: Final = and_(~_unknown, _distinct.c.sequence < _stream.c.first)
_counts: Final = (
    select(
        _distinct.c.stream,
        func.sum(case((_is_ahead, 1), else_=0)).label("ahead"),
        func.sum(case((_is_below, 1), else_=0)).label("below"),
        func.sum(case((or_(_is_ahead, _is_below), 0), else_=1)).label("inside"),
    )
    .join(_stream, _stream.c.stream == _distinct.c.stream)
    .group_by(_distinct.c.stream)
)
_numbers_after: Final = (
    select(_alert.c.sequence)
    .where(_alert.c.stream == bindparam("s"), _alert.c.sequence > bindparam("after"))
    .distinct()
    .order_by(_alert.c.sequence)
    .limit(_PAGE)
)
_marks_after: Final = (
    select(_mark.c.id, _mark.c.first, _mark.c.last)
    .where(
        _mark.c.stream == bindparam("s"),
        _mark.c.mark == bindparam("mark"),
        tuple_(_mark.c.first, _mark.c.id) > tuple_(bindparam("first"), bindparam("last_id")),
    )
    .order_by(_mark.c.first, _mark.c.id)
    .limit(_PAGE)
)
