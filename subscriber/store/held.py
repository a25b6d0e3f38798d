"""Plans anew what waited for the end of quiet hours or of a silence, or was dropped in it, when that holds it no more.

What is let go may be held all the same: by other quiet hours, or by another silence. The rules say so, by `Holding`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import BigInteger, BindParameter, Connection, and_, bindparam, null, or_, select, update

from bus.alerts import Alert
from subscriber.deliveries import DeliveryState, Hold, Why
from subscriber.store import schema
from subscriber.store.claiming import CRITICAL
from subscriber.store.database import repeated
from subscriber.store.handling import handling_of
from subscriber.store.incoming import HELD_BATCHES
from subscriber.store.part import StorePart, alerts_of, chunks, storable
from subscriber.store.silences import Silence, silence_from

_queue: Final = schema.notification_queue
_silence: Final = schema.silence

#: Says of an alert, a channel and the name of a route what holds that now; None where it can be told.
HeldBy = Callable[[Alert, str, str], Hold | None]


class Holding(Protocol):
    """What the rules in force hold."""

    def is_quiet(self, channel: str, route: str, now_us: int, *, critical: bool) -> bool:
        """Say whether quiet hours hold now what a route sends to a channel."""
        ...

    def held_by(self, silences: Sequence[Silence], now_us: int) -> HeldBy:
        """Return what says of a delivery what holds it now, while these silences go on."""
        ...


class Freed(NamedTuple):
    """What was let go, by channel."""

    due: dict[str, int]  #: was held, and is due now
    reopened: dict[str, int]  #: was dropped, and is pending again, now or later


class Held(StorePart):
    """What is held by quiet hours and silences."""

    @repeated
    def let_go(self, holding: Holding) -> dict[str, int]:
        """Make due now what waits for the end of quiet hours, or of a silence, that are no more.

        So it is after a reload that took them away. Cheap where nothing waits; harmless when it is done again.

        Returns:
            How many deliveries are due now, by channel.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        now_us = self._now_us()
        with self.database.reading() as connection:  # nearly always all of it waits on, and no lock is taken
            found = _let_go_of(connection, holding, now_us)
        if not found:
            return {}
        with self.database.writing() as connection:
            held_by = holding.held_by(open_silences_of(connection), now_us)
            ids: list[int] = []
            for kind in _let_go_of(connection, holding, now_us):
                ids.extend(connection.scalars(_of_kind(kind), {"now_us": now_us}))
            return plan_anew(connection, ids, held_by, now_us).due


def open_silences_of(connection: Connection) -> list[Silence]:
    """Return the silences that have not ended, as they stand in this transaction."""
    return [silence_from(row) for row in connection.execute(_open_silences)]


def plan_anew(connection: Connection, ids: Sequence[int], held_by: HeldBy, now_us: int) -> Freed:
    """Let deliveries be told that were held, or were dropped by a silence; what holds them now gets them.

    What was held stays held, and is told at the end, also where it is a silence that drops: people were promised it.
    What was dropped stays so under another silence that drops.

    Args:
        connection: A writing transaction.
        ids: Deliveries in any order; those that are in another state by now, or are being sent, are left alone.
        held_by: From `Holding.held_by`.
        now_us: The time.
    """
    freed = Freed(Counter(), Counter())
    for some in chunks(sorted(ids)):
        rows = connection.execute(_in_order, {"ids": some}).all()
        alerts = alerts_of(connection, {row.alert_id for row in rows})
        moved: defaultdict[tuple[str, Hold | None], list[Any]] = defaultdict(list)
        for row in rows:
            hold = held_by(alerts[row.alert_id], row.channel, handling_of(row.handling).route)
            moved[row.status, hold].append(row)
        for (status, hold), them in moved.items():
            _move(connection, them, status, hold, now_us)
            channels = [row.channel for row in them]
            if status == _PENDING and hold is None:
                freed.due.update(channels)
            elif status != _PENDING and not (hold is not None and hold.drops):
                freed.reopened.update(channels)
    return Freed(dict(freed.due), dict(freed.reopened))


def _move(connection: Connection, rows: Sequence[Any], status: str, hold: Hold | None, now_us: int) -> None:
    given = {"ids": [row.id for row in rows], "due_us": now_us if hold is None else hold.until_us}
    if status == _PENDING:
        connection.execute(_hold_on if hold is not None else _make_due, given)
    elif hold is None or not hold.drops:
        connection.execute(_reopen, given)
    if hold is not None:
        connection.execute(_rename, {"ids": given["ids"], "word": storable(hold.batch)})


def _let_go_of(connection: Connection, holding: Holding, now_us: int) -> list[Any]:
    """Return which kinds of deliveries wait for the end of something that holds them no more."""
    kinds = connection.execute(_kinds, {"now_us": now_us}).all()
    silenced = {silence.batch for silence in open_silences_of(connection)} if kinds else set()
    return [
        kind
        for kind in kinds
        if kind.batch not in silenced
        and not holding.is_quiet(
            kind.channel, handling_of(kind.handling).route, now_us, critical=kind.priority == CRITICAL
        )
    ]


def _of_kind(kind: Any) -> Any:
    wanted = [_queue.c[name] == getattr(kind, name) for name in ("batch", "channel", "priority")]
    handling = _queue.c.handling.is_(None) if kind.handling is None else _queue.c.handling == kind.handling
    return select(_queue.c.id).where(_waits, *wanted, handling)


_PENDING: Final = DeliveryState.PENDING.value
_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_due: Final = bindparam("due_us", type_=BigInteger)
_chosen: Final = _queue.c.id.in_(_ids)
#: Nobody has tried to tell it: what was tried has a time of its own.
_untried: Final = and_(_queue.c.status == _PENDING, _queue.c.open_attempt.is_(None), _queue.c.retries == 0)
_dropped: Final = and_(_queue.c.status == DeliveryState.SUPPRESSED.value, _queue.c.why == Why.SILENCE.value)
_waits: Final = and_(
    schema.OPEN,
    _untried,
    _queue.c.due_at > bindparam("now_us", type_=BigInteger),
    or_(*(_queue.c.batch.like(f"{word}%") for word in HELD_BATCHES)),
)
_kind: Final = (_queue.c.batch, _queue.c.channel, _queue.c.handling, _queue.c.priority)
_kinds: Final = select(*_kind).where(_waits).distinct()
_open_silences: Final = select(_silence).where(schema.UNENDED).order_by(_silence.c.id)
_in_order: Final = (
    select(_queue.c.id, _queue.c.alert_id, _queue.c.channel, _queue.c.handling, _queue.c.status)
    .where(_chosen, or_(_untried, _dropped))
    .order_by(_queue.c.id)
    .with_for_update()
)
_make_due: Final = update(_queue).where(_chosen).values(due_at=_due)
# What is held on purpose grows no older meanwhile.
_hold_on: Final = (
    update(_queue).where(_chosen).values(due_at=_due, expires_at=_queue.c.expires_at + (_due - _queue.c.due_at))
)
# What is told again is news then: its age counts from that time.
_reopen: Final = (
    update(_queue)
    .where(_chosen)
    .values(
        status=_PENDING,
        why=null(),
        due_at=_due,
        finished_at=null(),
        expires_at=_due + (_queue.c.expires_at - _queue.c.published_us),
    )
)
_rename: Final = update(_queue).where(_chosen).values(batch=bindparam("word"))
