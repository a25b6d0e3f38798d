"""Has dead letters sent again, because a person wants it.

Lock order: alerts, deliveries, digests. Whoever retries locks the alerts first, as retention does, so that neither
removes or changes what the other one has chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import BigInteger, BindParameter, bindparam, case, exists, null, select, true, update

from subscriber.deliveries import OPEN_STATES, DeliveryState, Step, Why
from subscriber.store import schema
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.changes import ChangeKind, note_change
from subscriber.store.channel_switches import switched_off
from subscriber.store.database import repeated
from subscriber.store.dead_letters import MAY_HAVE_ARRIVED, TOLD, DeadLetters, why_not_again
from subscriber.store.digests import leave_digests
from subscriber.store.fallbacks import lock_alerts
from subscriber.store.leases import FREE
from subscriber.store.part import chunks

_queue: Final = schema.notification_queue
_acknowledgement: Final = schema.acknowledgement

_DEAD: Final = DeliveryState.DEAD.value

#: Says of a channel why nothing can be sent again by it; None where it can.
Unsendable = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of dead letters that a person wanted to be sent again."""

    retried: dict[int, str] = field(default_factory=dict)  #: the deliveries that wait now, and their channels
    skipped: dict[int, str] = field(default_factory=dict)  #: the others, and why
    unknown: frozenset[int] = frozenset()  #: those of the others that are no deliveries, or are no more

    @property
    def channels(self) -> Counter[str]:
        """How many wait now, by channel."""
        return Counter(self.retried.values())


class Retrying(DeadLetters):
    """Dead letters that a person wants to be told after all."""

    @repeated
    def retry_dead_letters(self, deliveries: Iterable[int], unsendable: Unsendable, author: str, via: str) -> Retried:
        """Let dead letters be sent again, due now, in one transaction, with a record of who wanted it.

        It is sent whatever silence or quiet hours hold others like it now, for a person wants it; alone, where it was
        tried before. Where one may have arrived its text will say so. It grows too old no more: how old the alert is,
        that person knows. Its attempts, its retries and why it died stay in its record until another
        attempt ends. Refused again, it is dead again; another channel tells it then only where none was chosen before,
        or that one could not tell it either.

        Args:
            deliveries: Which; those that are not dead (any more) are skipped, so doing it twice is harmless.
            unsendable: Asked of each channel.
            author: Who wants it, as far as that is known.
            via: By which way: api, page or cli.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        wanted = sorted(set(deliveries))
        now_us = self._now_us()
        with self.database.writing() as connection:
            lock_alerts(connection, wanted)
            rows = {row.id: row for some in chunks(wanted) for row in connection.execute(_lock, {"ids": some}).all()}
            off = switched_off(connection)
            skipped = {number: _why_skipped(rows.get(number), unsendable, off) for number in wanted}
            chosen = [number for number in wanted if skipped[number] is None]
            leave_digests(connection, chosen, now_us)
            for some in chunks(chosen):
                connection.execute(_again, {"ids": some, "now_us": now_us})
            retried = {number: rows[number].channel for number in chosen}
            if chosen:
                channels = dict(sorted(Counter(retried.values()).items()))
                detail = {"count": len(chosen), "channels": channels, "deliveries": chosen}
                note_change(connection, ChangeKind.DEAD_LETTERS_RETRIED, author, via, detail, now_us)
        return Retried(
            retried,
            {number: why for number, why in skipped.items() if why is not None},
            frozenset(wanted) - rows.keys(),
        )


def _why_skipped(row: AnyRow | None, unsendable: Unsendable, off: Collection[str]) -> str | None:
    """Say why a delivery is not sent again; None where it is. The row is locked, or not there."""
    if row is None:
        return "there is no such dead letter (any more)"
    if row.status != _DEAD:
        return f"it is {row.status}, and not dead (any more)"
    if row.channel in off:
        return f"its channel {row.channel} is switched off"
    return why_not_again(row.step, acknowledged=row.acknowledged) or unsendable(row.channel)


_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_is_dead: Final = _queue.c.status == _DEAD
_known_of: Final = exists().where(_acknowledgement.c.alert_id == _queue.c.alert_id)
_lock: Final = (
    select(
        *(_queue.c[name] for name in ("id", "channel", "status", "step")),
        _known_of.label("acknowledged"),
    )
    .where(_queue.c.id.in_(_ids))
    .order_by(_queue.c.id)
    .with_for_update(of=_queue)
)

_now: Final = bindparam("now_us", type_=BigInteger)
_other: Final = _queue.alias("other")
_is_told_elsewhere: Final = exists().where(
    _other.c.alert_id == _queue.c.alert_id,
    _other.c.id != _queue.c.id,
    _other.c.step == Step.FALLBACK.value,
    _other.c.status.in_((*TOLD, *(state.value for state in OPEN_STATES))),
)
#: What was counted is added up by the alert that it names, whatever became of it since.
_was_counted: Final = _queue.c.why == Why.DEDUP.value
_again: Final = (
    update(_queue)
    .where(_queue.c.id.in_(_ids), _is_dead)
    .values(
        **FREE,
        status=DeliveryState.PENDING.value,
        why=case((_was_counted, _queue.c.why), else_=null()),
        told_by=case((_was_counted, _queue.c.told_by), else_=null()),
        due_at=_now,
        finished_at=null(),
        # What nobody tried would wait for, and be told with, others of its batch.
        batch=case((_queue.c.retries > 0, _queue.c.batch), else_=null()),
        possible_repeat=MAY_HAVE_ARRIVED,
        expires_at=null(),
        handed_over=case((_is_told_elsewhere, true()), else_=null()),
    )
)
