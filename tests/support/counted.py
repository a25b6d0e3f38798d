"""Alerts that are alike, stored with dedup; and what the tables say of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from bus.clock import MICROSECONDS
from subscriber.deliveries import Dedup, PlannedDelivery
from subscriber.store import Accepted, Incoming, Store, schema
from tests.support.alerts import STREAM, incoming, risk_event
from tests.support.clock import FakeClock

CHANNEL: Final = "telegram"
WINDOW_SECONDS: Final = 300
ALIKE: Final = Dedup(b"like this one   ", WINDOW_SECONDS * MICROSECONDS)
OTHERS: Final = Dedup(b"like another one", WINDOW_SECONDS * MICROSECONDS)


class Stored:
    """A store, and the numbers of its one stream."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self._number = 0
        store.begin(STREAM, "trader-1", 1)

    def item(self, *channels: str, dedup: Dedup | None = ALIKE, age: float = 0.0, **planned: Any) -> Incoming:
        """Return the next alert, published so many seconds ago; not stored yet."""
        self._number += 1
        now_us = self.clock.now_us()
        plan = tuple(PlannedDelivery(name, now_us, dedup=dedup, **planned) for name in channels or (CHANNEL,))
        alert = risk_event(severity="WARNING", description=f"number {self._number}")
        return incoming(alert, self._number, published_us=now_us - round(age * MICROSECONDS), planned=plan)

    def accept(self, *items: Incoming, store: Store | None = None) -> Accepted:
        """Store alerts in one batch, with the position that follows."""
        return (store or self.store).accept(items, {STREAM: self._number})

    def add(self, *channels: str, **planned: Any) -> UUID:
        """Store the next alert alone; return its id."""
        item = self.item(*channels, **planned)
        self.accept(item)
        return item.alert.id

    def row(self, alert: UUID, channel: str = CHANNEL) -> Any:
        """Return an alert's delivery."""
        wanted = (schema.notification_queue.c.alert_id == alert.bytes) & (
            schema.notification_queue.c.channel == channel
        )
        with self.store.database.reading() as connection:
            return connection.execute(select(schema.notification_queue).where(wanted)).one()

    def rows(self, table: str = "notification_queue") -> list[Any]:
        """Return all rows of a table, in the order of its first column."""
        found = schema.metadata.tables[table]
        with self.store.database.reading() as connection:
            return list(connection.execute(select(found).order_by(next(iter(found.c)))))

    def states(self) -> list[str]:
        """Return what each delivery is: its state, or why it is suppressed."""
        return [row.why or row.status for row in self.rows()]

    def balanced(self) -> bool:
        """Whether the audit finds nothing."""
        audit = self.store.audit()
        assert audit.faults == ()
        return audit.balanced


def older(item: Incoming, seconds: float) -> Incoming:
    """Return an alert as if it had been published earlier."""
    return replace(item, published_us=item.published_us - round(seconds * MICROSECONDS))
