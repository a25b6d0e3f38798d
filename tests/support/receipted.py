"""A channel whose provider tells later what became of its messages: sends, answers and receipts in one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select, text

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import Decision, Delivery, DeliveryState, Done, GiveUp, Outcome, Reason, RetryAt
from subscriber.receipts import Receipt, ReceiptMode, ReceiptState
from subscriber.store import Closed, FailedReceipt, Noted, Store, schema
from tests.support.alerts import STREAM, incoming, risk_event
from tests.support.clock import FakeClock

CHANNEL: Final = "whatsapp"
PROVIDER: Final = "twilio"
TIMEOUT: Final = Outcome(Reason.TIMEOUT, "no answer in 15 s", in_doubt=True)
NETWORK: Final = Outcome(Reason.NETWORK, "connection refused")
UNDELIVERED: Final = Outcome(Reason.REJECTED, "the recipient has no WhatsApp", code="63024")
DEAD: Final = GiveUp(DeliveryState.DEAD, fallback=True)


def taken(message_id: str = "SM1") -> Outcome:
    """Return a provider's acceptance."""
    return Outcome(Reason.ACCEPTED, status=201, provider_message_id=message_id)


@dataclass(frozen=True)
class Flight:
    """An attempt whose answer is not recorded yet."""

    delivery: Delivery
    attempt: int
    reference: str


class Sender:
    """Sends to one channel; each alert is stored under the next number."""

    def __init__(self, store: Store, clock: FakeClock, mode: ReceiptMode = ReceiptMode.POLLING) -> None:
        self.store = store
        self.clock = clock
        self.mode = mode
        self._numbers = 0
        store.begin(STREAM, "trader-1", 1)

    def add(self, *channels: str, **fields: Any) -> Alert:
        """Store an alert, for CHANNEL where none is named."""
        self._numbers += 1
        alert = risk_event(**fields)
        self.store.accept([incoming(alert, self._numbers, *(channels or (CHANNEL,)))], {STREAM: self._numbers})
        return alert

    def begin(self, channel: str = CHANNEL, lease_seconds: float = 60.0) -> Flight:
        """Claim what is due next and open an attempt for it."""
        (delivery,) = self.store.claim(channel, "worker", lease_seconds, 1)
        attempt = self.store.open_attempt([delivery])
        return Flight(delivery, attempt, self.store.reference_of(attempt))

    def end(self, flight: Flight, outcome: Outcome, decision: Decision | None = None, *fallbacks: str) -> Closed:
        """Record the answer; what was not accepted is due again at once where nothing else is decided."""
        follows = decision or (Done() if outcome.accepted else RetryAt(self.clock.now_us(), in_doubt=outcome.in_doubt))
        deliveries = [flight.delivery]
        return self.store.close_attempt(
            flight.attempt, deliveries, outcome, follows, 0.2, receipts=self.mode, fallbacks=fallbacks
        )

    def send(self, message_id: str = "SM1") -> Flight:
        """Send what is due next; the provider accepts it."""
        flight = self.begin()
        self.end(flight, taken(message_id))
        return flight

    def tell(self, state: str, message_id: str = "SM1", reference: str = "", **fields: Any) -> Noted:
        """Note a receipt."""
        receipt = Receipt(message_id, ReceiptState(state), reference=reference, **fields)
        return self.store.note_receipt(PROVIDER, [CHANNEL], receipt, polling=self.mode is ReceiptMode.POLLING)

    def failed(self) -> FailedReceipt:
        """Return the one failed message that nobody has settled."""
        (found,) = self.store.failed_receipts([CHANNEL])
        return found

    def settle(self, decision: Decision, *fallbacks: str, outcome: Outcome = UNDELIVERED) -> Closed | None:
        """Settle the one failed message."""
        return self.store.settle_failed(self.failed(), outcome, decision, fallbacks=fallbacks)

    def delivery(self, alert: Alert, channel: str = CHANNEL) -> dict[str, Any]:
        """Return a delivery with its attempts, as the alert's story tells it."""
        story = self.store.story(alert.id)
        assert story is not None
        (found,) = [row for row in story["deliveries"] if row["channel"] == channel]
        return dict(found)

    def state(self, alert: Alert, channel: str = CHANNEL) -> str:
        """Return the state of a delivery."""
        return str(self.delivery(alert, channel)["status"])

    def receipts(self) -> list[Any]:
        """Return the rows of the table."""
        with self.store.database.reading() as connection:
            return list(connection.execute(select(schema.receipt).order_by(schema.receipt.c.id)))

    def attempt(self, flight: Flight) -> Any:
        """Return the row of an attempt."""
        with self.store.database.reading() as connection:
            return connection.execute(text("SELECT * FROM attempt WHERE id = :id"), {"id": flight.attempt}).one()

    def later(self, seconds: float) -> int:
        """Return the time in so many seconds."""
        return self.clock.now_us() + round(seconds * MICROSECONDS)
