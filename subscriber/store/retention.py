"""Removes old alerts, and writes down in the same transaction how much of what it was, for the ledger.

What may go, and what stays however old it is, is chosen in `bites`. What hangs on no alert is removed by `tidying`, and
`sizing` says how much there is.

Lock order: streams, alerts, deliveries, digests, attempts, receipts; the same as everybody's. But what is removed must
not be referred to meanwhile, and PostgreSQL refers to an alert wherever a transaction changes a delivery of it twice:
then one of the two is undone, and repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from sqlalchemy import BindParameter, ColumnElement, Connection, bindparam, case, delete, select

from bus.clock import MICROSECONDS
from subscriber.deliveries import Mark
from subscriber.store import schema
from subscriber.store.auditing_alerts import CHANNEL, PLANNED, plan_of
from subscriber.store.auditing_streams import DUPLICATE, HIGHEST, STORED, STREAM, AnyRow
from subscriber.store.bites import Bite, chosen
from subscriber.store.database import repeated
from subscriber.store.digests import forget_members
from subscriber.store.numbering import Place
from subscriber.store.part import chunks
from subscriber.store.sizing import Sizing
from subscriber.store.tidying import Tidying

_alert: Final = schema.alert
_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery
_mark: Final = schema.stream_mark
_total: Final = schema.ledger_total
_receipt: Final = schema.receipt
_acknowledgement: Final = schema.acknowledgement
_escalation: Final = schema.escalation

Key = TypeVar("Key", int, bytes)

#: How long a receipt may wait for the attempt that it is about: providers repeat theirs for as long.
_STRAY_US: Final = 7 * 86_400 * MICROSECONDS


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one bite removed."""

    alerts: int = 0
    deliveries: int = 0
    attempts: int = 0
    receipts: int = 0  #: of messages that nobody ever knew; others go with their attempts, uncounted
    looked_at: int = field(default=0, compare=False)  #: alerts that were old enough, whether they went or not
    next_after: int | None = None  #: where the next bite begins; None where nothing older is left


class Retention(Tidying, Sizing):
    """Forgetting."""

    @repeated
    def prune(self, before_us: int, limit: int, after: int = 0) -> Pruned:
        """Look at some of the oldest alerts, and remove those that were stored before a time and are settled.

        With an alert go its deliveries, their attempts (one that tried several deliveries goes with the last of
        them) with their receipts, the marks of its duplicates, its acknowledgement and its escalation, and digests of
        which nothing is left. The first bite also removes receipts of messages
        that nobody knew for a week, at most `limit`.

        Args:
            before_us: Only what was stored before, in microseconds.
            limit: How many alerts to look at: what bounds the time for which nobody else can write to SQLite.
            after: Where the bite before left off (`Pruned.next_after`); 0 begins with the oldest.

        Raises:
            StoreError: The database can't be used at the moment; nothing was removed.
        """
        with self.database.reading() as connection:  # nearly always there is nothing to do, and no lock is taken
            rows = connection.execute(_oldest, {"after": after, "most": limit}).all()
            strays = [] if after else self._strays(connection, limit)
        numbers = [row.number for row in rows if row.stored_us < before_us]
        if not numbers and not strays:
            return Pruned()
        # A power loss may undo it: the next bite removes the same again.
        with self.database.writing(forgettable=True) as connection:
            bite = chosen(connection, numbers, self._now_us()) if numbers else Bite()
            attempts = _remove(connection, bite)
            self._write_down(connection, bite)
            receipts = connection.execute(_forget_strays, {"ids": strays}).rowcount if strays else 0
        more = len(numbers) == limit
        return Pruned(
            alerts=len(bite.alerts),
            deliveries=len(bite.deliveries),
            attempts=attempts,
            receipts=receipts,
            looked_at=len(numbers),
            next_after=rows[-1].number if more else None,
        )

    def _strays(self, connection: Connection, limit: int) -> Sequence[int]:
        given = {"before_us": self._now_us() - _STRAY_US, "most": limit}
        return connection.scalars(_old_strays, given).all()

    def _write_down(self, connection: Connection, bite: Bite) -> None:
        totals: Counter[tuple[str, str, str]] = Counter()
        highest: dict[tuple[str, str, str], int] = {}
        for row in bite.alerts.values():
            for channel, _step in plan_of(row.planned) or ():
                totals[CHANNEL, channel, PLANNED] += 1
        for row in bite.deliveries:
            totals[CHANNEL, row.channel, row.status] += 1
        for (stream, number), word in _unaccounted(connection, bite).items():
            name = stream.hex()
            totals[STREAM, name, word] += 1
            highest[STREAM, name, HIGHEST] = max(highest.get((STREAM, name, HIGHEST), 0), number)
        written = self.database.insert(_total)
        old, new = _total.c.total, written.excluded.total
        keys = ["scope", "name", "word"]
        adding = written.on_conflict_do_update(index_elements=keys, set_={"total": old + new})
        raising = written.on_conflict_do_update(index_elements=keys, set_={"total": case((old > new, old), else_=new)})
        for statement, found in ((adding, totals), (raising, highest)):
            rows = [dict(zip((*keys, "total"), (*key, total), strict=True)) for key, total in sorted(found.items())]
            if rows:
                connection.execute(statement, rows)


def _remove(connection: Connection, bite: Bite) -> int:
    """Remove it all; return how many attempts went."""
    attempts: set[int] = set()
    alerts = list(bite.alerts)
    ids = [row.id for row in bite.deliveries]
    for some in chunks(ids):
        attempts |= set(connection.scalars(select(_link.c.attempt_id).where(_link.c.delivery_id.in_(some))))
        connection.execute(delete(_link).where(_link.c.delivery_id.in_(some)))
    for some in chunks(sorted(attempts)):
        attempts -= set(connection.scalars(select(_link.c.attempt_id).where(_link.c.attempt_id.in_(some))))
    forget_members(connection, ids)
    _delete(connection, _receipt.c.attempt_id, sorted(attempts))
    _delete(connection, _attempt.c.id, sorted(attempts))
    _delete(connection, _queue.c.id, ids)
    _delete(connection, _mark.c.id, [row.id for row in bite.marks])
    _delete(connection, _acknowledgement.c.alert_id, alerts)
    _delete(connection, _escalation.c.alert_id, alerts)
    _delete(connection, _alert.c.number, [row.number for row in bite.alerts.values()])
    return len(attempts)


def _delete(connection: Connection, column: ColumnElement[Key], keys: Sequence[Key]) -> None:
    for some in chunks(keys):
        connection.execute(delete(column.table).where(column.in_(some)))


def _unaccounted(connection: Connection, bite: Bite) -> dict[Place, str]:
    """Return the numbers of which nothing is left, each with what it was; others still stand in the ledger."""
    gone = {(row.stream, row.last): DUPLICATE for row in bite.marks}
    gone |= {(row.stream, row.sequence): STORED for row in bite.alerts.values() if row.stream is not None}
    gone = {place: word for place, word in gone.items() if _counts(bite.streams[place[0]], place[1])}
    for some in chunks(sorted(gone)):
        # any of these streams with any of these numbers: SQLite would read the whole index for a list of pairs
        given = {"streams": list({stream for stream, _ in some}), "numbers": list({number for _, number in some})}
        for statement in (_alerts_at, _marks_at):
            for stream, number in connection.execute(statement, given):
                gone.pop((stream, number), None)
    return gone


def _counts(stream: AnyRow, number: int) -> bool:
    """Whether a number is one of those that have to balance: what is below the start was never ours."""
    return stream.first is not None and number >= stream.first


_oldest: Final = (
    select(_alert.c.number, _alert.c.stored_us)
    .where(_alert.c.number > bindparam("after"))
    .order_by(_alert.c.number)
    .limit(bindparam("most"))
)
_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_old_strays: Final = (
    select(_receipt.c.id)
    .where(_receipt.c.attempt_id.is_(None), _receipt.c.received_us < bindparam("before_us"))
    .order_by(_receipt.c.received_us)
    .limit(bindparam("most"))
)
_forget_strays: Final = delete(_receipt).where(_receipt.c.id.in_(_ids), _receipt.c.attempt_id.is_(None))
_streams: Final[BindParameter[bytes]] = bindparam("streams", expanding=True)
_numbers: Final[BindParameter[int]] = bindparam("numbers", expanding=True)
_alerts_at: Final = select(_alert.c.stream, _alert.c.sequence).where(
    _alert.c.stream.in_(_streams), _alert.c.sequence.in_(_numbers)
)
_marks_at: Final = select(_mark.c.stream, _mark.c.first).where(
    _mark.c.stream.in_(_streams), _mark.c.first.in_(_numbers), _mark.c.mark == Mark.DUPLICATE.value
)
