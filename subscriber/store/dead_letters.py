"""Dead letters: deliveries that were refused for good, as people read them; `retrying.py` has them sent again.

What expired is none: it was too old to be told one by one, and people were told so.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    Select,
    Text,
    bindparam,
    func,
    literal,
    or_,
    select,
    true,
)

from subscriber.deliveries import Delivery, DeliveryState, Reason, escalation_step
from subscriber.store import schema
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.delivery_rows import CLAIMED, delivery_from
from subscriber.store.part import StorePart, alerts_of, chunks, storable

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery
_acknowledgement: Final = schema.acknowledgement

_DEAD: Final = DeliveryState.DEAD.value
#: States that say that somebody was told.
TOLD: Final = tuple(state.value for state in (DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.FOLDED))
_ESCALATION: Final = escalation_step(1).removesuffix("1")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was refused for good."""

    delivery: Delivery  #: as whoever sends it again would have it: a possible repeat where it may have arrived
    died_us: int
    attempts: int  #: that were made for it
    reason: str | None  #: a word of Reason; None where a person said that it is dead
    status: int | None  #: of HTTP
    code: str | None  #: the provider's own
    detail: str | None
    told_elsewhere: tuple[str, ...]  #: the other channels that told the alert
    acknowledged: bool  #: a person knows of the alert

    @property
    def why_not(self) -> str | None:
        """Why it is not sent again, whatever its channel; None where it may be."""
        return why_not_again(self.delivery.step, acknowledged=self.acknowledged)


class DeadLetters(StorePart):
    """What was refused for good."""

    def dead_letters(self, limit: int, before: int | None = None, channel: str | None = None) -> list[DeadLetter]:
        """Return dead letters, the newest delivery first.

        Args:
            limit: How many at most.
            before: The id of the last one of the page before.
            channel: Only this channel's.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            given = {"before": before, "most": limit}
            pages = [
                connection.scalars(self._page(before), {**given, "name": name}).all()
                for name in _channels(connection, channel)
            ]
            ids = heapq.nlargest(limit, (number for page in pages for number in page))
            return _letters(connection, ids)

    def dead_letter(self, delivery: int) -> DeadLetter | None:
        """Return one dead letter; None where there is no such delivery, or it is not dead (any more).

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return next(iter(_letters(connection, [delivery])), None)

    def dead_letter_count(self, channel: str | None = None) -> int:
        """Count the dead letters, of one channel or of all.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            counts = [connection.scalar(_count, {"name": name}) or 0 for name in _channels(connection, channel)]
        return sum(counts)

    def dead_letter_ids(self, limit: int, after: int = 0, channel: str | None = None) -> list[int]:
        """Return the ids of dead letters in rising order: for whoever wants to have all of them sent again.

        Args:
            limit: How many at most.
            after: The last one of the ids before.
            channel: Only this channel's.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            pages = [
                connection.scalars(self._following, {"name": name, "after": after, "most": limit}).all()
                for name in _channels(connection, channel)
            ]
        return heapq.nsmallest(limit, (number for page in pages for number in page))

    def _page(self, before: int | None) -> Select[int]:
        bounded = _queue.c.id < bindparam("before", type_=BigInteger) if before is not None else true()
        return _of_channel.where(bounded).order_by(self._order.desc()).limit(bindparam("most", type_=BigInteger))

    @property
    def _following(self) -> Select[int]:
        bounded = _queue.c.id > bindparam("after", type_=BigInteger)
        return _of_channel.where(bounded).order_by(self._order).limit(bindparam("most", type_=BigInteger))

    @property
    def _order(self) -> Any:
        """The ids in an order that the index of channels and states gives.

        SQLite's index ends in the id. PostgreSQL's does not; it would read the whole table in the order of the ids
        where it believes that a dead one is found soon, so it is kept from that, and sorts the dead ones alone.
        """
        return _queue.c.id + literal(0) if self.database.is_postgresql else _queue.c.id


def _channels(connection: Connection, channel: str | None) -> list[str]:
    """Return the channels to look at: the one that is asked for, or all that have any delivery, each by one step."""
    if channel is not None:
        return [storable(channel)]
    found: list[str] = []
    name = connection.scalar(_first_channel)
    while name is not None:
        found.append(name)
        name = connection.scalar(_next_channel, {"name": name})
    return found


def _letters(connection: Connection, ids: Sequence[int]) -> list[DeadLetter]:
    """Return those of some deliveries that are dead, in this order."""
    rows: list[AnyRow] = [row for some in chunks(ids) for row in connection.execute(_rows, {"ids": some}).all()]
    alerts = alerts_of(connection, {row.alert_id for row in rows})
    attempts = {
        row.delivery_id: row for some in chunks(ids) for row in connection.execute(_attempts, {"ids": some}).all()
    }
    told: defaultdict[bytes, list[AnyRow]] = defaultdict(list)
    known: set[bytes] = set()
    for some in chunks(sorted(alerts)):
        for each in connection.execute(_tellers, {"keys": some}):
            told[each.alert_id].append(each)
        known.update(connection.scalars(_known, {"keys": some}))
    found = {}
    for row in rows:
        tried = attempts.get(row.id)
        found[row.id] = DeadLetter(
            delivery=delivery_from(row, alerts[row.alert_id], ""),
            died_us=row.finished_at,
            attempts=0 if tried is None else tried.total,
            reason=row.last_reason,
            status=None if tried is None or row.last_reason is None else tried.status,
            code=row.last_code,
            detail=row.last_detail,
            told_elsewhere=tuple(
                dict.fromkeys(each.channel for each in told[row.alert_id] if each.channel != row.channel)
            ),
            acknowledged=row.alert_id in known,
        )
    return [found[number] for number in ids if number in found]


def why_not_again(step: str, *, acknowledged: bool) -> str | None:
    """Say why nobody may have a delivery of this step sent again; None where they may."""
    turn = step.startswith(_ESCALATION)
    return "somebody acknowledged its alert, so nobody further is to be woken for it" if turn and acknowledged else None


_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_keys: Final[BindParameter[bytes]] = bindparam("keys", expanding=True)
_name: Final = bindparam("name", type_=Text)
_first_channel: Final = select(func.min(_queue.c.channel))
_next_channel: Final = select(func.min(_queue.c.channel)).where(_queue.c.channel > _name)
_is_dead: Final = _queue.c.status == _DEAD
_of_channel: Final = select(_queue.c.id).where(_queue.c.channel == _name, _is_dead)
_count: Final = select(func.count()).select_from(_queue).where(_queue.c.channel == _name, _is_dead)

_doubtful: Final = (
    select(_attempt.c.id)
    .join(_link, _link.c.attempt_id == _attempt.c.id)
    .where(
        _link.c.delivery_id == _queue.c.id,
        # What was accepted and failed by its receipt is an attempt that was rejected.
        or_(_attempt.c.in_doubt, _attempt.c.reason == Reason.ACCEPTED.value),
    )
    .exists()
)
#: Of a delivery: an attempt of it may have reached the person, although it is dead.
MAY_HAVE_ARRIVED: Final = or_(_queue.c.possible_repeat, _doubtful)
_rows: Final = select(
    *(column for column in CLAIMED if column.name != "possible_repeat"),
    MAY_HAVE_ARRIVED.label("possible_repeat"),
    *(_queue.c[name] for name in ("finished_at", "last_reason", "last_code", "last_detail")),
).where(_queue.c.id.in_(_ids), _is_dead)
_last: Final = (
    select(_link.c.delivery_id, func.count().label("total"), func.max(_link.c.attempt_id).label("newest"))
    .where(_link.c.delivery_id.in_(_ids))
    .group_by(_link.c.delivery_id)
    .subquery()
)
_attempts: Final = select(_last.c.delivery_id, _last.c.total, _attempt.c.status).join(
    _attempt, _attempt.c.id == _last.c.newest
)
_tellers: Final = (
    select(_queue.c.alert_id, _queue.c.channel)
    .where(_queue.c.alert_id.in_(_keys), _queue.c.status.in_(TOLD))
    .order_by(_queue.c.id)
)
_known: Final = select(_acknowledgement.c.alert_id).where(_acknowledgement.c.alert_id.in_(_keys))
