"""What the store says of attempts that have ended and of what providers told later: frozen values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from subscriber.deliveries import Delivery, DeliveryState
from subscriber.receipts import Receipt


@dataclass(frozen=True, slots=True)
class SwitchedOff:
    """What became of deliveries whose channel is switched off; true where any of them ended."""

    suppressed: Mapping[str, int] = field(default_factory=dict)  #: how many ended so, by their channel
    handed_over: Mapping[str, int] = field(default_factory=dict)  #: CRITICAL alerts, by the channel that tells them now

    def __bool__(self) -> bool:
        return bool(self.suppressed)


@dataclass(frozen=True, slots=True)
class Closed:
    """What became of an attempt's deliveries."""

    #: What they are now; None where their states stayed as they were.
    state: DeliveryState | None = None
    #: The channel that tells the alert instead; the first of them where several alerts were in the message.
    fallback: str | None = None
    #: The digest that told them was refused for good, and they wait in its halves, or alone.
    split: bool = False
    #: What became of those that would have waited, and whose channel was switched off meanwhile; None for no such.
    switched_off: SwitchedOff | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """What a receipt meant."""

    new: bool  #: this state of this message was not told before
    channel: str | None = None  #: whose message it is; None while nobody knows
    delivered: int = 0  #: deliveries that are `delivered` by it
    accepted_us: int | None = None  #: when the provider's acceptance was recorded; None where it was not yet
    alert_id: UUID | None = None  #: whose it is, of a digest the first one's; None while nobody knows


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
