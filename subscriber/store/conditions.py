"""Finds the conditions that still hold when a silence ends: `subscriber.deliveries.condition_of` what it dropped.

A condition's newest delivery of each channel stands for it. What the daemon itself tells is a condition for each event,
for all of these have one source and no symbol: it holds until another one of its events resolves it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import BindParameter, Connection, bindparam, case, func, select

from bus.alerts import SystemEvent
from subscriber.deliveries import DeliveryState, Why
from subscriber.store import schema
from subscriber.store.part import BODY, alert_from, alerts_of, chunks

_queue: Final = schema.notification_queue
_alert: Final = schema.alert
_acknowledgement: Final = schema.acknowledgement
#: What a body has in it that resolves an alert, as msgpack writes the name of the field.
_RESOLVES: Final = b"resolves"
#: Rows that are read at once.
_AT_ONCE: Final = 500


def still_holding(connection: Connection, batch: str, since_us: int) -> list[int]:
    """Return the deliveries to tell again of what was dropped under a batch, by their ids.

    Args:
        connection: A transaction.
        batch: The word for what a silence dropped.
        since_us: Alerts that were published since then still hold; those of the daemon's own do so until another one
            resolves them.
    """
    newest = connection.execute(_newest, {"dropped_by": batch}).all()
    known = _acknowledged(connection, [row.alert_id for row in newest])
    rows = [row for row in newest if row.alert_id not in known]
    own = {row.alert_id: row.number for row in rows if row.stream is None}
    alerts = {key: alert for key, alert in alerts_of(connection, own).items() if isinstance(alert, SystemEvent)}
    begun = {key: own[key] for key, alert in alerts.items() if alert.resolves is None}
    # nobody was told of its beginning, so nobody has to be told of its end
    ended = {key for key, alert in alerts.items() if alert.resolves is not None and alert.resolves.bytes in begun}
    lasting = _unresolved(connection, begun)
    over = (begun.keys() - lasting) | ended
    return sorted(
        row.id for row in rows if row.alert_id in lasting or (row.published_us >= since_us and row.alert_id not in over)
    )


def _acknowledged(connection: Connection, ids: Collection[bytes]) -> set[bytes]:
    return {key for some in chunks(sorted(set(ids))) for key in connection.scalars(_acknowledgements, {"ids": some})}


def _unresolved(connection: Connection, begun: Mapping[bytes, int]) -> set[bytes]:
    """Return those of the daemon's own events, given with their numbers, whose end no later one tells."""
    beginnings = set(begun)
    after = min(begun.values(), default=None)
    while beginnings and after is not None:
        rows = connection.execute(_own_since, {"after": after, "most": _AT_ONCE}).all()
        for row in rows:
            ending = alert_from(row) if _RESOLVES in row.body else None
            if isinstance(ending, SystemEvent) and ending.resolves is not None:
                beginnings.discard(ending.resolves.bytes)
        after = rows[-1].number if len(rows) == _AT_ONCE else None
    return beginnings


_ids: Final[BindParameter[bytes]] = bindparam("ids", expanding=True)
_own_id: Final = case((_alert.c.stream.is_(None), _alert.c.id))
_condition: Final = (
    _queue.c.channel,
    _alert.c.source,
    _alert.c.event_type,
    _alert.c.symbol,
    _alert.c.agent_name,
    _own_id,
)
_ranked: Final = (
    select(
        _queue.c.id,
        _queue.c.alert_id,
        _queue.c.published_us,
        _alert.c.stream,
        _alert.c.number,
        func.row_number()
        .over(partition_by=_condition, order_by=(_queue.c.published_us.desc(), _queue.c.id.desc()))
        .label("place"),
    )
    .join(_alert, _alert.c.id == _queue.c.alert_id)
    .where(
        _queue.c.batch == bindparam("dropped_by"),
        _queue.c.status == DeliveryState.SUPPRESSED.value,
        _queue.c.why == Why.SILENCE.value,
    )
    .subquery()
)
_newest: Final = select(_ranked).where(_ranked.c.place == 1)
_acknowledgements: Final = select(_acknowledgement.c.alert_id).where(_acknowledgement.c.alert_id.in_(_ids))
_own_since: Final = (
    select(
        _alert.c.number,
        _alert.c.id.label("alert_id"),
        BODY,
        *(_alert.c[name] for name in ("source", "kind", "event_type", "severity", "symbol", "agent_name")),
    )
    .where(_alert.c.stream.is_(None), _alert.c.number > bindparam("after"))
    .order_by(_alert.c.number)
    .limit(bindparam("most"))
)
