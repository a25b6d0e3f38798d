"""Puts new deliveries where dedup and grouping want them, in the transaction that stores their alerts.

Everything that counts and waits stands in the tables, so neither a restart nor another daemon tells anything twice.

Lock order, after the alerts: windows of dedup by fingerprint and channel, windows of groups by batch and channel, then
the deliveries that tell at a window's end, by their ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, not_, or_, select, true, update

from bus.alerts import Severity
from subscriber.deliveries import DeliveryState, Grouping, PlannedDelivery, Step, Why, severity_of
from subscriber.store import schema
from subscriber.store.bulk import BulkUpdate, BulkUpsert, Row
from subscriber.store.database import Database
from subscriber.store.dedup import Carrier, Window
from subscriber.store.grouping import Group, step_us
from subscriber.store.incoming import Incoming, Placement, is_held, planned_once
from subscriber.store.leases import FREE
from subscriber.store.part import chunks, storable

_queue: Final = schema.notification_queue
_dedup_windows: Final = BulkUpsert(schema.dedup_window, ("channel", "fingerprint"), ("until_us", "carrier"))
_group_windows: Final = BulkUpsert(schema.group_window, ("channel", "batch"), ("flush_us",))
_carry: Final = BulkUpdate(schema.dedup_window, ("carrier",), ("channel", "fingerprint"))
_succeed: Final = BulkUpdate(_queue, ("status", "why", "told_by", "finished_at"), ("id",))
_grow: Final = BulkUpdate(_queue, ("more", "more_since"), ("id",))
#: The end of a window that nobody has opened yet.
_NEVER: Final = 0
_PENDING: Final = DeliveryState.PENDING.value
_SUPPRESSED: Final = DeliveryState.SUPPRESSED.value
_DEDUP: Final = Why.DEDUP.value

Key = tuple[str, bytes]  #: a channel and a fingerprint
Batch = tuple[str, str]  #: a channel and a batch


#: A planned delivery that windows may move: its alert, when that was published, the channel, its window of dedup and
#: how long that is, its group and how that waits. A plain tuple: there is one for each alert of a storm.
_Candidate = tuple[bytes, int, str, Key | None, int, Batch | None, Grouping | None]


@dataclass(frozen=True, slots=True)
class Applied:
    """What windows made of new alerts."""

    placements: Mapping[tuple[bytes, str], Placement] = field(default_factory=dict)
    replaced: Mapping[str, int] = field(default_factory=dict)  #: deliveries that waited and are told by newer ones
    successors: Mapping[bytes, bytes] = field(default_factory=dict)  #: the alert that tells of a stored one now


_NOTHING: Final = Applied()


def apply_windows(connection: Connection, database: Database, items: Sequence[Incoming], now_us: int) -> Applied:
    """Decide where the deliveries of new alerts go, and change those that waited and are told by newer ones.

    Deliveries that are suppressed, held until a time that people chose, or too old already take no part.

    Args:
        connection: A writing transaction that has inserted the alerts.
        database: For its clock of leases.
        items: The new alerts, in their order.
        now_us: The time of storing, by which windows go.
    """
    candidates = list(_candidates(items, now_us))
    if not candidates:
        return _NOTHING
    windows = _locked_windows(connection, database, {key for *_, key, _, _, _ in candidates if key is not None})
    groups = _locked_groups(connection, {batch for *_, batch, _ in candidates if batch is not None})
    before = {key: window.until_us for key, window in windows.items()}
    placements: dict[tuple[bytes, str], Placement] = {}
    for alert, published_us, channel, key, window_us, batch, grouping in candidates:
        if key is not None:
            window, group_us = windows[key], 0 if grouping is None else step_us(grouping)
            former = window.carrier
            if not window.take(alert, published_us, window_us, now_us, group_us):
                carrier = window.carrier
                begins = carrier is not None and carrier is not former and window.replaced is None
                if carrier is not None and begins and batch is not None and grouping is not None:
                    carrier.due_us = groups[batch].after_us(grouping, carrier.due_us, now_us)
                continue
        if batch is not None and grouping is not None:
            placements[alert, channel] = Placement(groups[batch].next_us(grouping, now_us))
    for key, window in windows.items():
        _place(placements, key[0], window)
    _group_windows.run(connection, [(*batch, group.flush_us) for batch, group in groups.items() if group.moved])
    successors = {
        window.replaced.alert: window.carrier.alert
        for window in windows.values()
        if window.replaced is not None and window.carrier is not None
    }
    return Applied(placements, _write_windows(connection, windows, before, now_us), successors)


def _candidates(items: Sequence[Incoming], now_us: int) -> Iterator[_Candidate]:
    for item in items:
        for planned in item.planned if len(item.planned) < 2 else planned_once(item.planned):
            dedup, grouping = planned.dedup, planned.grouping
            if (dedup is None and grouping is None) or not _takes_part(item, planned, now_us):
                continue
            channel, key, window_us, batch, group = planned.channel, None, 0, None, None
            if dedup is not None and item.stream is not None:  # a daemon's own events are told once anyway
                key, window_us = (channel, dedup.fingerprint), max(dedup.window_us, 1)
            if grouping is not None and planned.batch is not None and not _is_critical(item):
                batch, group = (channel, storable(planned.batch)), grouping
            if key is not None or batch is not None:
                yield item.alert.id.bytes, item.published_us, channel, key, window_us, batch, group


def _is_critical(item: Incoming) -> bool:
    return severity_of(item.alert) is Severity.CRITICAL


def _takes_part(item: Incoming, planned: PlannedDelivery, now_us: int) -> bool:
    if planned.state is not DeliveryState.PENDING or planned.step is not Step.FIRST or is_held(planned.batch):
        return False
    return planned.max_age_us is None or item.published_us + planned.max_age_us > now_us


def _place(placements: dict[tuple[bytes, str], Placement], channel: str, window: Window) -> None:
    carrier = window.carrier
    if carrier is None:
        return
    for alert in carrier.counted:
        placements[alert, channel] = Placement(carrier.due_us, told_by=carrier.alert)
    if carrier.row is None:
        placements[carrier.alert, channel] = Placement(carrier.due_us, carrier.more, carrier.more_since_us)


def _locked_windows(connection: Connection, database: Database, keys: set[Key]) -> dict[Key, Window]:
    missing = [(*key, _NEVER, None) for key in sorted(keys, key=lambda key: (key[1], key[0]))]
    found = {(row[0], row[1]): (row[2], row[3]) for row in _dedup_windows.locked(connection, missing)}
    windows: dict[Key, Window] = {}
    named: dict[tuple[bytes, str], Window] = {}
    for key in keys:
        until_us, carrier = found.get(key, (_NEVER, None))
        windows[key] = Window(until_us)
        if carrier is not None:
            named[carrier, key[0]] = windows[key]
    channels = sorted({channel for _alert, channel in named})
    statement = _carriers(database.lease_now)
    for some in chunks(sorted({alert for alert, _channel in named})):
        for alert, channel, *carrier in connection.execute(statement, {"alerts": some, "channels": channels}).all():
            window = named.get((alert, channel))
            if window is not None:
                window.carrier = Carrier(alert, *carrier)
    return windows


def _locked_groups(connection: Connection, batches: set[Batch]) -> dict[Batch, Group]:
    missing = [(*batch, _NEVER) for batch in sorted(batches, key=lambda batch: (batch[1], batch[0]))]
    found = {(row[0], row[1]): row[2] for row in _group_windows.locked(connection, missing)}
    return {batch: Group(found.get(batch, _NEVER)) for batch in batches}


def _write_windows(
    connection: Connection, windows: Mapping[Key, Window], before: Mapping[Key, int], now_us: int
) -> Mapping[str, int]:
    """Write windows, and the stored deliveries in them; return how many of these are told by newer ones."""
    moved: list[Row] = []
    carried: list[Row] = []
    succeeded: list[Row] = []
    grown: list[Row] = []
    leased: list[int] = []
    replaced: Counter[str] = Counter()
    for key, window in windows.items():
        carrier, former = window.carrier, window.replaced
        if carrier is None or window.until_us != before[key]:
            moved.append((*key, window.until_us, None if carrier is None else carrier.alert))
        elif carrier.row is None:
            carried.append((carrier.alert, *key))
        if carrier is None:
            continue
        if former is not None and former.row is not None:
            succeeded.append((_SUPPRESSED, _DEDUP, carrier.alert, now_us, former.row))
            replaced[key[0]] += 1
            if former.leased:
                leased.append(former.row)
        elif carrier.row is not None:
            grown.append((carrier.more, carrier.more_since_us, carrier.row))
    _dedup_windows.run(connection, moved)
    _carry.run(connection, carried)
    _succeed.run(connection, succeeded)
    _grow.run(connection, grown)
    for some in chunks(leased):
        connection.execute(update(_queue).where(_queue.c.id.in_(some)).values(FREE))
    return dict(replaced)


def _carriers(lease_now: ColumnElement[int]) -> Select[Any]:
    """Build the statement that locks deliveries and reads what a `Carrier` is made of."""
    waiting = and_(
        _queue.c.status == _PENDING,
        _queue.c.retries == 0,
        not_(_queue.c.possible_repeat),
        _queue.c.open_attempt.is_(None),
        or_(_queue.c.lease_until.is_(None), _queue.c.lease_until <= lease_now),
        # a digest's text says what it tells of, and what another channel tells instead has been told
        _queue.c.digest.is_(None),
        _queue.c.handed_over.is_not(true()),
    )
    return (
        select(
            _queue.c.alert_id,
            _queue.c.channel,
            _queue.c.published_us,
            _queue.c.due_at,
            _queue.c.id,
            _queue.c.lease_until.is_not(None),
            waiting,
            _queue.c.finished_at,
            func.coalesce(_queue.c.more, 0),
            _queue.c.more_since,
        )
        .where(
            _queue.c.alert_id.in_(bindparam("alerts", expanding=True)),
            _queue.c.channel.in_(bindparam("channels", expanding=True)),
            _queue.c.step == Step.FIRST.value,
        )
        .order_by(_queue.c.id)
        .with_for_update()
    )
