"""Inserts alerts and their planned deliveries inside a writing transaction of somebody else's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from bus.clock import shift_of
from subscriber.deliveries import DeliveryState, Why
from subscriber.store import schema
from subscriber.store.beginnings import begin_and_end
from subscriber.store.bulk import BulkInsert, Row
from subscriber.store.database import Database
from subscriber.store.incoming import ALERT_COLUMNS, DELIVERY_COLUMNS, Incoming, alert_row, delivery_rows
from subscriber.store.numbering import Place
from subscriber.store.part import StorePart
from subscriber.store.windows import apply_windows

_insert_alerts: Final = BulkInsert(schema.alert, ALERT_COLUMNS, returning="id")
_insert_deliveries: Final = BulkInsert(schema.notification_queue, DELIVERY_COLUMNS)
_CHANNEL: Final = DELIVERY_COLUMNS.index("channel")
_STATE: Final = DELIVERY_COLUMNS.index("status")
_WHY: Final = DELIVERY_COLUMNS.index("why")


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a batch."""

    inserted: tuple[UUID, ...] = ()  #: alerts that are new, in the order of (stream, sequence)
    replayed: tuple[UUID, ...] = ()  #: came again under the number that they have
    duplicates: tuple[UUID, ...] = ()  #: are kept under another number; marked
    collisions: tuple[Place, ...] = ()  #: numbers that now hold more than one alert: a person has to hear of it
    recovered: int = 0  #: numbers that were lost and arrived after all
    deliveries: Mapping[str, int] = field(default_factory=dict)  #: how many were planned now, by channel
    states: Mapping[tuple[str, DeliveryState], int] = field(default_factory=dict)  #: the same, by channel and state
    suppressed: Mapping[tuple[str, Why], int] = field(default_factory=dict)  #: those of them that are, by why
    #: How many that waited are told by newer ones now, and so became suppressed, by channel.
    replaced: Mapping[str, int] = field(default_factory=dict)


class Planned(NamedTuple):
    """What was planned for new alerts: `Accepted.states`, `Accepted.suppressed` and `Accepted.replaced`."""

    states: Mapping[tuple[str, DeliveryState], int]
    suppressed: Mapping[tuple[str, Why], int]
    replaced: Mapping[str, int]

    def by_channel(self) -> dict[str, int]:
        """Return `Accepted.deliveries`."""
        counts: Counter[str] = Counter()
        for (channel, _state), count in self.states.items():
            counts[channel] += count
        return dict(counts)


def insert_alerts(
    connection: Connection, ordered: Sequence[Incoming], now_us: int
) -> tuple[list[Incoming], list[Incoming]]:
    """Insert the alerts that are new; return them, and the others."""
    first: dict[bytes, Incoming] = {}
    others = [item for item in ordered if first.setdefault(item.alert.id.bytes, item) is not item]
    rows = [alert_row(key, item, now_us) for key, item in first.items()]
    new = _insert_alerts.run_returning(connection, rows)
    if len(new) == len(first):
        return list(first.values()), others
    others.extend(item for key, item in first.items() if key not in new)
    return [item for key, item in first.items() if key in new], others


def store_new(
    connection: Connection, database: Database, ordered: Sequence[Incoming], now_us: int
) -> tuple[list[Incoming], list[Incoming], Planned]:
    """Insert alerts that are new, with all that is planned for them.

    Lock order: alerts, windows, the deliveries that tell at a window's end, escalations.

    Args:
        connection: A writing transaction that has locked the alerts' streams.
        database: The transaction's.
        ordered: In one order for everybody, with their times by our clock as it is now.
        now_us: The time of storing.

    Returns:
        The new alerts, the others, and what was planned.
    """
    inserted, others = insert_alerts(connection, ordered, now_us)
    applied = apply_windows(connection, database, inserted, now_us)
    begin_and_end(connection, inserted, applied, now_us)
    rows: list[Row] = []
    for item in inserted:
        if item.planned:
            rows.extend(delivery_rows(item, now_us, applied.placements))
    _insert_deliveries.run(connection, rows)
    counted = Counter([(row[_CHANNEL], row[_STATE]) for row in rows])
    states = {(channel, DeliveryState(word)): count for (channel, word), count in counted.items()}
    reasons = Counter([(row[_CHANNEL], row[_WHY]) for row in rows if row[_WHY] is not None])
    suppressed = {(channel, Why(word)): count for (channel, word), count in reasons.items()}
    return inserted, others, Planned(states, suppressed, applied.replaced)


class Inserting(StorePart):
    """A part of the store that tells people of what it notes, in the same transaction."""

    def _store_own(self, connection: Connection, item: Incoming) -> Accepted:
        """Store an event of the daemon's own beside what it tells of; one with the same id is stored once."""
        ordered = [item.rebased(shift_of(self.database.clock))]
        inserted, others, planned = store_new(connection, self.database, ordered, self._now_us())
        return Accepted(
            inserted=tuple(found.alert.id for found in inserted),
            replayed=tuple(found.alert.id for found in others),
            deliveries=planned.by_channel(),
            states=planned.states,
            suppressed=planned.suppressed,
            replaced=planned.replaced,
        )
