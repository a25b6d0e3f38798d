"""What the store says of attempts that have ended and of what providers told later: frozen values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from subscriber.deliveries import Delivery, DeliveryState
from subscriber.receipts import Receipt


@dataclass(frozen=True, slots=True)
class Closed:
    """What became of an attempt's deliveries."""

    #: What they are now; None where their states stayed as they were.
    state: DeliveryState | None = None
    #: The channel that tells the alert instead; the first of them where several alerts were in the message.
    fallback: str | None = None
    #: The digest that told them was refused for good, and they wait in its halves, or alone.
    split: bool = False


@dataclass(frozen=True, slots=True)
class Noted:
    """What a receipt meant."""

    new: bool  #: this state of this message was not told before
    channel: str | None = None  #: whose message it is; None while nobody knows
    delivered: int = 0  #: deliveries that are `delivered` by it
    accepted_us: int | None = None  #: when the provider's acceptance was recorded; None where it was not yet


@dataclass(frozen=True, slots=True)
class FailedReceipt:
    """A message that was accepted and then failed, of which nobody has drawn the consequences yet."""

    receipt_id: int
    attempt: int
    opened_us: int  #: when the attempt was begun, by the daemon's clock as it was then
    by_template: bool
    receipt: Receipt
    #: Those that count as accepted by this attempt; none where they were told otherwise or a person decided.
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class WaitingReceipt:
    """An accepted message of which nothing final was told yet."""

    attempt: int
    message_id: str  #: the provider's own id
    accepted_us: int  #: by the clock as it is now: a clock that is set makes no message older
