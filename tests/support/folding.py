"""Digests in a store: many alerts for one channel, folded, opened and ended in one line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import text

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import (
    Decision,
    Delivery,
    DeliveryState,
    Dialect,
    DigestKind,
    Done,
    GiveUp,
    Handling,
    Message,
    Outcome,
    PlannedDelivery,
    Reason,
    RetryAt,
)
from subscriber.receipts import ReceiptMode
from subscriber.store import Closed, HeldDigest, NewDigest, Store
from tests.support.alerts import STREAM, incoming, risk_event
from tests.support.clock import FakeClock
from tests.support.receipted import CHANNEL, UNDELIVERED, taken

LEASE: Final = 60.0
GONE: Final = -3600.0  #: a lease that has run out, by the server's clock too
DEAD: Final = GiveUp(DeliveryState.DEAD, fallback=True)
TEXT: Final = Message("<b>3 alerts</b> \ud83d\0", "3 alerts", Dialect.TELEGRAM_HTML, silent=True, parameters=("3",))


@dataclass(frozen=True)
class Flight:
    """An attempt whose answer is not recorded yet."""

    deliveries: Sequence[Delivery]
    attempt: int


class Folder:
    """Tells many alerts of one channel in one message."""

    def __init__(self, store: Store, clock: FakeClock, mode: ReceiptMode = ReceiptMode.NONE) -> None:
        self.store = store
        self.clock = clock
        self.mode = mode
        self._numbers = 0
        store.begin(STREAM, "trader-1", 1)

    def add(self, count: int = 1, channel: str = CHANNEL, severity: str = "WARNING", **planned: Any) -> list[Alert]:
        """Store so many alerts in one batch, each published a millisecond after the one before."""
        alerts: list[Alert] = [risk_event(severity=severity) for _ in range(count)]
        now_us = self.clock.now_us()
        plan = (PlannedDelivery(channel, now_us, **planned),)
        items = []
        for alert in alerts:
            self._numbers += 1
            items.append(replace(incoming(alert, self._numbers, planned=plan), published_us=now_us))
        self.store.accept(items, {STREAM: self._numbers})
        return alerts

    def head(self, worker: str = "worker", lease_seconds: float = LEASE, channel: str = CHANNEL) -> Delivery:
        """Claim what is due next."""
        (found,) = self.store.claim(channel, worker, lease_seconds, 1)
        return found

    def fold(self, lease_seconds: float = LEASE, limit: int = 2000, channel: str = CHANNEL) -> list[Delivery]:
        """Claim what is due next, and all that is to be told with it."""
        return self.store.fold(self.head("worker", lease_seconds, channel), "worker", lease_seconds, limit)

    def begin(self, lease_seconds: float = LEASE, kind: DigestKind = DigestKind.STORM) -> Flight:
        """Open an attempt for a new digest."""
        members = self.fold(lease_seconds)
        return Flight(members, self.store.open_attempt(members, digest=NewDigest(kind, TEXT)))

    def held(self, worker: str = "worker", lease_seconds: float = LEASE) -> HeldDigest:
        """Claim a digest that is to be told again."""
        found = self.store.claim_digest(self.head(worker, lease_seconds), worker, lease_seconds)
        assert found is not None
        return found

    def again(self, held: HeldDigest) -> Flight:
        """Open the next attempt of a digest; one that was not written out yet is."""
        new = None if held.message is not None else NewDigest(held.kind, TEXT)
        return Flight(held.deliveries, self.store.open_attempt(held.deliveries, digest=new))

    def end(self, flight: Flight, outcome: Outcome, decision: Decision | None = None, *fallbacks: str) -> Closed:
        """Record the answer; what was refused is given up, what was not taken otherwise is due again at once."""
        follows = decision or (
            Done()
            if outcome.accepted
            else DEAD
            if outcome.reason is Reason.REJECTED
            else RetryAt(self.clock.now_us(), in_doubt=outcome.in_doubt)
        )
        return self.store.close_attempt(
            flight.attempt, flight.deliveries, outcome, follows, 0.2, receipts=self.mode, fallbacks=fallbacks
        )

    def told(self, count: int = 3) -> Flight:
        """Tell so many new alerts in one digest, which is accepted."""
        self.add(count)
        flight = self.begin()
        self.end(flight, taken())
        return flight

    def refuse(self) -> None:
        """Let the channel refuse what is due next for good."""
        head = self.head()
        if head.digest is None:
            flight = Flight([head], self.store.open_attempt([head]))
        else:
            held = self.store.claim_digest(head, "worker", LEASE)
            assert held is not None
            flight = self.again(held)
        self.end(flight, UNDELIVERED, DEAD, "telegram")

    def counts(self, channel: str = CHANNEL) -> dict[str, int]:
        """Return how many deliveries are in each state."""
        return self.store.channel_counts().get(channel, {})

    def row(self, alert: Alert, channel: str = CHANNEL) -> dict[str, Any]:
        """Return an alert's delivery as it stands in its table."""
        (found,) = self.rows(
            "SELECT * FROM notification_queue WHERE alert_id = :id AND channel = :channel",
            id=alert.id.bytes,
            channel=channel,
        )
        return found

    def digests(self) -> list[tuple[str, int, int | None]]:
        """Return state, number of members and parent of all digests."""
        rows = self.rows("SELECT state, members, parent FROM digest ORDER BY id")
        return [(row["state"], row["members"], row["parent"]) for row in rows]

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Return rows of the tables."""
        with self.store.database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(text(statement), values)]

    def later(self, seconds: float) -> int:
        """Return the time in so many seconds."""
        return self.clock.now_us() + round(seconds * MICROSECONDS)

    def balanced(self) -> bool:
        """Whether the ledger has no fault; the test's failure shows them."""
        audit = self.store.audit()
        assert audit.faults == (), audit.faults
        return audit.balanced


def routed(**fields: Any) -> Handling:
    """Return what a route said."""
    return Handling(**{"route": "desk", **fields})
