"""A store in which everything has happened that can happen, and whose ledger balances; and raw SQL to spoil it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from bus.alerts import Alert
from subscriber.deliveries import (
    Delivery,
    DeliveryState,
    Done,
    GiveUp,
    Outcome,
    PlannedDelivery,
    Reason,
    RetryAt,
    Why,
)
from subscriber.store import Incoming, Store
from tests.support.alerts import OTHER_STREAM, STREAM, agent_action, incoming, risk_event, system_event
from tests.support.clock import START_US, FakeClock

ACCEPTED: Final = Outcome(Reason.ACCEPTED, status=200)
REJECTED: Final = Outcome(Reason.REJECTED, status=400)
TIMEOUT: Final = Outcome(Reason.TIMEOUT, in_doubt=True)
NETWORK: Final = Outcome(Reason.NETWORK)


class Books:
    """Everything in it was done by the store's own functions."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.alerts: dict[str, Alert] = {}
        store.begin(STREAM, "trader-1", 1)
        store.begin(OTHER_STREAM, "trader-2", 41)
        self._numbers = 0

    def write(self) -> None:
        """Let everything happen."""
        for name in ("accepted", "dead", "expired", "pending", "in_doubt", "open", "taken_over", "by_hand", "again"):
            self.add(name)
        self._deliver()
        clock = self.clock
        self.accept(incoming(agent_action(action="HOLD"), self.next()))
        self.alerts["dry"] = risk_event()
        planned = PlannedDelivery("telegram", clock.now_us(), DeliveryState.SUPPRESSED, Why.DRY_RUN)
        self.accept(incoming(self.alerts["dry"], self.next(), planned=(planned,)))
        (rehearsed,) = self.store.claim("telegram", "w", 60, 1, rehearsal=True)
        self.store.rehearsed(rehearsed)
        self._events()
        self._numbers_of_the_other_stream()

    def add(self, name: str, *channels: str) -> Alert:
        """Store an alert under the next number, for telegram where no channel is named."""
        self.alerts[name] = risk_event(description=name)
        self.accept(incoming(self.alerts[name], self.next(), *(channels or ("telegram",))))
        return self.alerts[name]

    def accept(self, item: Any) -> None:
        """Store it, with the position that follows."""
        self.store.accept([replace(item, published_us=self.clock.now_us())], {STREAM: self._numbers})
        self.clock.advance(0.01)

    def next(self) -> int:
        """Return the next number of STREAM."""
        self._numbers += 1
        return self._numbers

    def claim(self, name: str, channel: str = "telegram", seconds: float = 60) -> Delivery:
        """Take the delivery of one alert; give the others back."""
        claimed = self.store.claim(channel, "worker", seconds, 100)
        mine = [delivery for delivery in claimed if delivery.alert.id == self.alerts[name].id]
        self.store.release([delivery for delivery in claimed if delivery not in mine])
        return mine[0]

    def end(self, name: str, outcome: Outcome, decision: Done | RetryAt | GiveUp, channel: str = "telegram") -> None:
        """Make one attempt for an alert."""
        delivery = self.claim(name, channel)
        attempt = self.store.open_attempt([delivery])
        self.clock.advance(0.2)
        self.store.close_attempt(attempt, [delivery], outcome, decision, 0.2)

    def _deliver(self) -> None:
        later = RetryAt(self.clock.now_us())
        for name in ("accepted", "again"):
            self.end(name, NETWORK, later)
            self.end(name, TIMEOUT, replace(later, in_doubt=True))
            self.end(name, ACCEPTED, Done())
        self.end("dead", REJECTED, GiveUp(DeliveryState.DEAD))
        self.end("expired", NETWORK, later)
        self.store.finish(self.claim("expired"), DeliveryState.EXPIRED)
        self.end("in_doubt", TIMEOUT, replace(later, in_doubt=True))
        taken = self.claim("taken_over", seconds=0.0)
        self.store.open_attempt([taken])
        self.clock.advance(1)
        self.store.release([self.claim("taken_over")])
        self.store.open_attempt([self.claim("open", seconds=3600)])
        by_hand = self.claim("by_hand")
        self.store.open_attempt([by_hand])
        self.clock.advance(1)
        assert self.store.mark_notification_sent(by_hand.id, "sent")
        again = self.row("again")
        assert self.store.mark_notification_sent(again["id"], "pending")

    def _events(self) -> None:
        """What the daemon says itself: without a stream."""
        self.alerts["silence"] = system_event()
        self.store.tell_silence(OTHER_STREAM, "trader-2", None, own(self.alerts["silence"]))

    def _numbers_of_the_other_stream(self) -> None:
        """Lost numbers, one that came after all, duplicates, a collision, numbers below the start and ahead."""
        store = self.store
        store.accept([incoming(agent_action(), 40, stream=OTHER_STREAM)])  # below: somebody else acknowledged it
        store.accept([incoming(agent_action(), 41, "desk", stream=OTHER_STREAM)], {OTHER_STREAM: 41})
        self.alerts["told"] = lose(store, OTHER_STREAM, 42, 46)
        store.accept([incoming(agent_action(), 44, stream=OTHER_STREAM)], {OTHER_STREAM: 46})
        twice = [incoming(self.alerts["accepted"], number, stream=OTHER_STREAM) for number in (47, 48)]
        store.accept(twice, {OTHER_STREAM: 48})
        both = [incoming(agent_action(), 49, "desk", stream=OTHER_STREAM) for _ in range(2)]
        store.accept(both, {OTHER_STREAM: 49})
        store.accept([incoming(self.alerts["dead"], 49, stream=OTHER_STREAM)])  # stored and a duplicate: stored counts
        store.accept([incoming(agent_action(), number, stream=OTHER_STREAM) for number in (52, 53)])
        store.record_lost(OTHER_STREAM, [(50, 50)], "undecodable")

    def row(self, name: str, channel: str = "telegram") -> dict[str, Any]:
        """Return the delivery of an alert as it stands in its table."""
        with self.store.database.reading() as connection:
            found = connection.execute(
                text("SELECT * FROM notification_queue WHERE alert_id = :id AND channel = :channel"),
                {"id": self.alerts[name].id.bytes, "channel": channel},
            ).one()
        return dict(found._mapping)

    def key(self, name: str) -> UUID:
        """Return an alert's id."""
        return self.alerts[name].id


def own(alert: Alert) -> Incoming:
    """Wrap what the daemon itself has to say, for a desk that is switched off."""
    planned = (PlannedDelivery("desk", START_US, DeliveryState.SUPPRESSED, Why.DISABLED),)
    return incoming(alert, None, stream=None, planned=planned)


def lose(store: Store, stream: bytes, first: int, last: int) -> Alert:
    """Record numbers of a stream as lost; return the alert that tells of them."""
    told = system_event(event_type="ALERTS_LOST", description=f"{first} to {last} of the stream {stream.hex()}.")
    assert store.record_lost(stream, [(first, last)], "not held any more", lambda _ranges: own(told)).ranges
    return told


def spoil(store: Store, statement: str, **values: Any) -> int:
    """Change the tables behind the store's back; return how many rows."""
    with store.database.writing() as connection:
        if not store.database.is_postgresql:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        count: int = connection.execute(text(statement), values).rowcount
    assert count, "nothing was spoilt"
    return count


@contextmanager
def without_unique_deliveries(store: Store) -> Iterator[None]:
    """Take away what keeps a delivery unique; PostgreSQL, which the tests share, gets it back on an empty table."""
    table, constraint = "notification_queue", "notification_queue_alert_id_channel_step_key"
    with store.database.writing() as connection:
        if store.database.is_postgresql:
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
        else:
            connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO queue_before")
            connection.exec_driver_sql(f"CREATE TABLE {table} AS SELECT * FROM queue_before")
    try:
        yield
    finally:
        if store.database.is_postgresql:
            with store.database.writing() as connection:
                connection.exec_driver_sql(f"TRUNCATE {table} CASCADE")
                connection.exec_driver_sql(
                    f"ALTER TABLE {table} ADD CONSTRAINT {constraint} UNIQUE (alert_id, channel, step)"
                )
