"""Audits dedup: is everything that was counted instead of sent told of, and counted right?

A delivery that was counted names the alert that took its place (`told_by`), and that one's delivery, which may have
been counted in turn, says how many there were before it (`more`). So for each delivery `more` is the sum over those
that name it, of one and of their own `more`. Where all these sums are right no chain of names goes round in a circle,
each ends at a delivery that was not counted, and this one's `more` is the number of all whose chains end at it.

What was counted and what tells of it come in any order, so sums are kept from one snapshot to the next while they are
not settled: about as many as there are open windows. What is left at the end is asked for once more, in one snapshot.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, bindparam, func, or_, select

from subscriber.deliveries import DeliveryState, Step, Why
from subscriber.store import schema
from subscriber.store.auditing_alerts import CHANNEL, alert_named
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.ledger import FaultKind, Findings
from subscriber.store.part import chunks

#: Rows of one snapshot.
GROUP: Final = 20_000

_queue: Final = schema.notification_queue
_teller: Final = _queue.alias("teller")
_total: Final = schema.ledger_total
_SUPPRESSED: Final = DeliveryState.SUPPRESSED.value
_DEDUP: Final = Why.DEDUP.value

Teller = tuple[str, bytes]  #: a channel, and the alert that tells of others there


@dataclass(slots=True)
class Countings:
    """What does not add up yet."""

    #: For each teller, what names it minus what it says; nothing where that is 0.
    open: dict[Teller, int] = field(default_factory=dict)

    def add(self, teller: Teller, count: int) -> None:
        """Add what names a teller, or take away what it says."""
        total = self.open.get(teller, 0) + count
        if total:
            self.open[teller] = total
        else:
            self.open.pop(teller, None)


def read_windows(connection: Connection, after: int, countings: Countings, findings: Findings) -> int | None:
    """Read the next deliveries by their ids, and find those of which nobody tells.

    Returns:
        The last id of the group; None where there are no more.
    """
    until = connection.scalar(_last, {"after": after})
    if until is None:
        return None
    removed = _removed(connection)
    for row in connection.execute(_rows, {"after": after, "until": until}):
        more = row.more or 0
        if more:
            countings.add((row.channel, row.alert_id), -more)
        if row.counts:
            countings.add((row.channel, row.told_by), 1 + more)
        elif row.is_counted and (row.told_by is None or not removed[row.channel]):
            by = "names no alert" if row.told_by is None else f"names {alert_named(row.told_by)}, which has none there,"
            findings.add(
                FaultKind.UNTOLD_COUNT,
                f"{alert_named(row.alert_id)}, channel {row.channel}",
                f"The delivery {row.id} was counted instead of sent, and {by} to tell of it.",
            )
    return int(until)


def judge_windows(connection: Connection, countings: Countings, findings: Findings) -> None:
    """Tell the counts that are wrong, unless retention may have removed what was counted."""
    missing: Counter[str] = Counter()
    removed = _removed(connection)
    for some in chunks(sorted(countings.open)):
        names = {"tellers": sorted({alert for _channel, alert in some})}
        counted = {(row.channel, row.told_by): row.counted for row in connection.execute(_sums, names)}
        for row in connection.execute(_said, names):
            teller = (row.channel, row.alert_id)
            if teller not in countings.open:
                continue
            lost = row.more - counted.get(teller, 0)
            if lost > 0:
                missing[row.channel] += lost
            if lost < 0 or missing[row.channel] > removed[row.channel]:
                _wrong(row, counted.get(teller, 0), findings)


def _wrong(row: AnyRow, counted: int, findings: Findings) -> None:
    findings.add(
        FaultKind.WRONG_COUNT,
        f"{alert_named(row.alert_id)}, channel {row.channel}",
        f"The delivery {row.id} tells of {row.more} more, and {counted} were counted.",
    )


def _removed(connection: Connection) -> Counter[str]:
    """Return how many suppressed deliveries retention removed, by channel."""
    return Counter({row.name: row.total for row in connection.execute(_removals)})


_page: Final = select(_queue.c.id).where(_queue.c.id > bindparam("after")).order_by(_queue.c.id).limit(GROUP).subquery()
_last: Final = select(func.max(_page.c.id))
_is_counted: Final = (_queue.c.status == _SUPPRESSED) & (func.coalesce(_queue.c.why, "") == _DEDUP)
_is_its_teller: Final = (
    (_teller.c.alert_id == _queue.c.told_by)
    & (_teller.c.channel == _queue.c.channel)
    & (_teller.c.step == Step.FIRST.value)
)
# A person may have set what was counted to another state; and what expired names the alert that told of it, which
# counts nothing.
_counts: Final = _teller.c.id.is_not(None) & (_is_counted | _teller.c.more.is_not(None))
_rows: Final = (
    select(
        _queue.c.id,
        _queue.c.alert_id,
        _queue.c.channel,
        _queue.c.more,
        _queue.c.told_by,
        _is_counted.label("is_counted"),
        _counts.label("counts"),
    )
    .outerjoin(_teller, _is_its_teller)
    .where(
        _queue.c.id > bindparam("after"),
        _queue.c.id <= bindparam("until"),
        or_(_queue.c.more > 0, _is_counted, _queue.c.told_by.is_not(None)),
    )
)
_sums: Final = (
    select(_queue.c.channel, _queue.c.told_by, func.sum(1 + func.coalesce(_queue.c.more, 0)).label("counted"))
    .join(_teller, _is_its_teller)
    .where(_queue.c.told_by.in_(bindparam("tellers", expanding=True)), _counts)
    .group_by(_queue.c.channel, _queue.c.told_by)
)
_said: Final = (
    select(_queue.c.id, _queue.c.channel, _queue.c.alert_id, func.coalesce(_queue.c.more, 0).label("more"))
    .where(_queue.c.alert_id.in_(bindparam("tellers", expanding=True)), _queue.c.step == Step.FIRST.value)
    .order_by(_queue.c.id)
)
_removals: Final = select(_total.c.name, _total.c.total).where(_total.c.scope == CHANNEL, _total.c.word == _SUPPRESSED)
