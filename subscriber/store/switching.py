"""What becomes of deliveries whose channel is switched off, or is no more: suppressed for good, but no CRITICAL falls
between two chairs.

A CRITICAL that nobody tells goes to a channel that is on; where none is left for it, it waits where it is. What is
being sent ends as it ends. Each turn of every daemon looks for such deliveries, so it does not matter who plans another
one while a switch is set, who opens it again later, or who dies in between.

Lock order: switches, alerts, deliveries by their ids, attempts, receipts, digests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    distinct,
    exists,
    func,
    not_,
    or_,
    select,
    update,
)

from subscriber.deliveries import OPEN_STATES, DeliveryState, Step, Why
from subscriber.store import schema
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.channel_switches import ChannelSwitches, switched_off
from subscriber.store.claiming import CRITICAL, unheld
from subscriber.store.database import repeated
from subscriber.store.dead_letters import TOLD
from subscriber.store.digests import leave_digests
from subscriber.store.fallbacks import (
    fallback_of,
    lock_alerts,
    look_again,
    passed_over,
    plan_fallback,
    replaced,
)
from subscriber.store.incoming import is_held
from subscriber.store.interruptions import settle_interrupted
from subscriber.store.leases import FREE
from subscriber.store.part import chunks
from subscriber.store.receipts import SwitchedOff

_queue: Final = schema.notification_queue
_told: Final = _queue.alias("told")

_OPEN: Final = sorted(state.value for state in OPEN_STATES)


class Switching(ChannelSwitches):
    """Deliveries of channels that are switched off, or are no more."""

    def waiting_elsewhere(self, channels: Sequence[str]) -> dict[str, int]:
        """Count what waits for channels other than these, by channel.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        statement = (
            select(_queue.c.channel, func.count().label("waiting"))
            .where(schema.OPEN, _queue.c.channel.not_in(list(channels)))
            .group_by(_queue.c.channel)
        )
        with self.database.reading() as connection:
            return {row.channel: row.waiting for row in connection.execute(statement)}

    def uncovered_critical(self) -> int:
        """Count the CRITICAL deliveries that wait for a channel that is switched off, because no other one is left.

        What is being sent at the moment does not count.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        counted = select(func.count()).where(
            schema.OPEN, _queue.c.priority == CRITICAL, _queue.c.channel.in_(_off), unheld(self.database.lease_now)
        )
        with self.database.reading() as connection:
            off = switched_off(connection)
            return connection.execute(counted, {"off": off}).scalar_one() if off else 0

    def waiting_critical(self, channel: str) -> int:
        """Count the CRITICAL deliveries that wait for one channel.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        waiting = (schema.OPEN, _queue.c.priority == CRITICAL, _queue.c.channel == channel)
        with self.database.reading() as connection:
            return connection.execute(select(func.count()).where(*waiting)).scalar_one()

    @repeated
    def settle_switched_off(self, channels: Sequence[str], limit: int) -> SwitchedOff:
        """Suppress what waits for channels that are switched off, and hand over each CRITICAL that nobody else tells.

        A CRITICAL for which no channel is left waits on. What a worker holds is left to it: the end of its attempt
        settles it (`Delivering.close_attempt`), or the end of its lease lets the next call do so. Cheap where nothing
        waits; harmless when it is done again, or by several daemons at once.

        Args:
            channels: Those that this daemon has, in the order in which they are to tell what nobody else tells.
            limit: How many deliveries to settle at most; nothing is left when nothing was settled.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        with self.database.reading() as connection:  # nearly always there is nothing to do, and no lock is taken
            found = self._to_settle(connection, channels, switched_off(connection), limit)
        if not found:
            return SwitchedOff()
        with self.database.writing() as connection:
            off = switched_off(connection, lock=True)
            lock_alerts(connection, [row.id for row in found if row.priority == CRITICAL])
            given = {**_given(channels, off), "most": limit, "ids": [row.id for row in found]}
            ids = connection.scalars(self._locked, given).all() if off else []
            settle_interrupted(connection, ids, self._now_us())  # first: what it says of repeats is handed over
            return settle_disabled(connection, ids, given["enabled"], self._now_us())

    @repeated
    def switch_off_others(self, channels: Sequence[str]) -> dict[str, int]:
        """Suppress what waits for any channel but these; no worker of such a channel may be running.

        A CRITICAL that nobody tells goes to one of them instead: to one that is switched on, if there is one left.

        Args:
            channels: The channels that there are, at least one.

        Returns:
            How many deliveries were suppressed, by channel.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        waiting_elsewhere = schema.OPEN & _queue.c.channel.not_in(list(channels))
        wanted = select(_queue.c.id).where(waiting_elsewhere).order_by(_queue.c.id)
        with self.database.writing() as connection:
            off = switched_off(connection, lock=True)
            enabled = [channel for channel in channels if channel not in off]
            critical = connection.scalars(wanted.where(_queue.c.priority == CRITICAL)).all()
            lock_alerts(connection, critical)
            ids = connection.scalars(wanted.with_for_update()).all()
            settle_interrupted(connection, ids, self._now_us())
            done = Counter(settle_disabled(connection, ids, enabled, self._now_us()).suppressed)
            # for what no channel that is on is left waits for one that is off
            done += settle_disabled(connection, ids, channels, self._now_us(), for_good=True).suppressed
            look_again(connection)  # there may be channels that there were not
        return dict(done)

    def _to_settle(
        self, connection: Connection, channels: Sequence[str], off: Sequence[str], limit: int
    ) -> Sequence[AnyRow]:
        if not off:
            return ()
        return connection.execute(self._candidates.limit(limit), _given(channels, off)).all()

    @cached_property
    def _candidates(self) -> Select[Any]:
        """What is to be settled: not what somebody sends, nor a CRITICAL for which no channel is left."""
        return select(_queue.c.id, _queue.c.priority).where(
            schema.OPEN,
            _queue.c.channel.in_(_off),
            unheld(self.database.lease_now),
            or_(_queue.c.priority != CRITICAL, _is_told, _is_tellable),
        )

    @cached_property
    def _locked(self) -> Select[Any]:
        chosen = self._candidates.with_only_columns(_queue.c.id).where(_queue.c.id.in_(_ids))
        return chosen.order_by(_queue.c.id).with_for_update()


def settle_disabled(
    connection: Connection, ids: Sequence[int], enabled: Sequence[str], now_us: int, *, for_good: bool = False
) -> SwitchedOff:
    """Suppress those of some deliveries that wait, for their channel is switched off; hand over each untold CRITICAL.

    Args:
        connection: A writing transaction that has locked the alerts of those that are CRITICAL, and the deliveries.
        ids: What nobody sends.
        enabled: The channels that are switched on, best first.
        now_us: The time.
        for_good: A CRITICAL for which no channel is left ends, too; else it waits on.
    """
    rows = [row for some in chunks(ids) for row in connection.execute(_waiting, {"ids": some})]
    critical = [row for row in rows if row.priority == CRITICAL]
    handed_over, left = _hand_over(connection, critical, enabled, now_us)
    ending = [row for row in rows if for_good or row.id not in left]
    leave_digests(connection, [row.id for row in ending], now_us)
    for some in chunks([row.id for row in ending]):
        connection.execute(_suppress, {"ids": some, "now_us": now_us})
    look_again(connection, sorted({row.alert_id for row in ending if row.step == Step.FALLBACK.value}))
    return SwitchedOff(Counter(row.channel for row in ending), handed_over)


def _hand_over(
    connection: Connection, rows: Sequence[AnyRow], enabled: Sequence[str], now_us: int
) -> tuple[Counter[str], set[int]]:
    """Hand over what nobody tells, each alert once; return who tells how many now, and what no channel is left for."""
    given = {"enabled": list(enabled)}
    known = {number for some in chunks([row.id for row in rows]) for number in _told_of(connection, some, given)}
    handed_over: Counter[str] = Counter()
    chosen: dict[bytes, str | None] = {}
    for row in rows:
        if row.id not in known and row.alert_id not in chosen:
            chosen[row.alert_id] = channel = _hand_over_one(connection, row.id, enabled, now_us)
            if channel is not None:
                handed_over[channel] += 1
    left = {row.id for row in rows if row.id not in known and chosen[row.alert_id] is None}
    return handed_over, left


def _told_of(connection: Connection, ids: Sequence[int], given: Mapping[str, Any]) -> Sequence[int]:
    return connection.scalars(_told_ones, {**given, "ids": ids}).all()


def _hand_over_one(connection: Connection, number: int, enabled: Sequence[str], now_us: int) -> str | None:
    row = connection.execute(replaced.where(_queue.c.id == number)).one()
    channel = fallback_of(connection, row, enabled)
    if channel is None:  # its route names others; but somebody has to tell it
        has = set(connection.scalars(_having, {"which": row.alert_id}))
        channel = next((name for name in enabled if name not in has), None)
    if channel is not None:
        waits = is_held(row.batch) and row.retries == 0 and row.due_at > now_us  # what people silenced stays silent
        plan_fallback(connection, row, channel, now_us, held_like=row if waits else None)
    return channel


def _given(channels: Sequence[str], off: Sequence[str]) -> dict[str, Any]:
    enabled = [channel for channel in channels if channel not in off]
    return {"off": list(off), "enabled": enabled, "how_many": len(enabled)}


_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_off: Final[BindParameter[str]] = bindparam("off", expanding=True)
_enabled: Final[BindParameter[str]] = bindparam("enabled", expanding=True)
_same_alert: Final = _told.c.alert_id == _queue.c.alert_id
#: A person was told, or a channel that is on is going to.
_is_told: Final[ColumnElement[bool]] = exists().where(
    _same_alert,
    _told.c.id != _queue.c.id,
    or_(_told.c.status.in_(TOLD), and_(_told.c.status.in_(_OPEN), _told.c.channel.in_(_enabled))),
)
#: Some channel that is on has nothing of the alert yet, or had it only while it was off.
_is_tellable: Final[ColumnElement[bool]] = select(func.count(distinct(_told.c.channel))).where(
    _same_alert, _told.c.channel.in_(_enabled), not_(passed_over(_told))
).scalar_subquery() < bindparam("how_many")
_having: Final = select(_queue.c.channel).where(_queue.c.alert_id == bindparam("which"), not_(passed_over(_queue)))
_told_ones: Final = select(_queue.c.id).where(_queue.c.id.in_(_ids), _is_told)
_waiting: Final = (
    select(_queue.c.id, _queue.c.alert_id, _queue.c.channel, _queue.c.step, _queue.c.priority)
    .where(_queue.c.id.in_(_ids), schema.OPEN)
    .order_by(_queue.c.id)
)
_suppress: Final = (
    update(_queue)
    .where(_queue.c.id.in_(_ids))
    .values(
        **FREE,
        status=DeliveryState.SUPPRESSED.value,
        why=Why.DISABLED.value,
        finished_at=bindparam("now_us"),
    )
)
