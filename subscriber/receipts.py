"""The words of receipts: what a provider tells of a message after it took it, and how a channel hears of that. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ReceiptState(StrEnum):
    """What a provider tells of a message after it took it; a closed set, and a metric's label.

    `read` follows `delivered`; `failed` ends a message that was not delivered before.
    """

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"

    def follows(self, other: ReceiptState) -> bool:
        """Say whether this one is news after the other: receipts come late and out of order, the state only moves on.

        A message that reached the phone did not fail; one that failed may still turn out to have reached it.
        """
        return _RECEIPT_RANKS[self] > _RECEIPT_RANKS[other]

    @property
    def arrived(self) -> bool:
        """Whether the message is on the phone."""
        return self in {ReceiptState.DELIVERED, ReceiptState.READ}


_RECEIPT_RANKS: Final = {
    ReceiptState.QUEUED: 0,
    ReceiptState.SENT: 1,
    ReceiptState.FAILED: 2,
    ReceiptState.DELIVERED: 3,
    ReceiptState.READ: 4,
}


class ReceiptMode(StrEnum):
    """How a channel hears of receipts; a closed set, shown in the status."""

    NONE = "none"  #: the provider has none: accepted is all that can be known
    OFF = "off"  #: it has, and nothing is configured by which they would come
    POLLING = "polling"
    WEBHOOK = "webhook"

    @property
    def comes(self) -> bool:
        """Whether receipts are to be waited for."""
        return self in {ReceiptMode.POLLING, ReceiptMode.WEBHOOK}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider told of one message after it had taken it."""

    message_id: str  #: the provider's own id of the message
    state: ReceiptState
    at_us: int | None = None  #: when it happened, by the provider's clock
    code: str | None = None  #: why it failed, by the provider's own code
    detail: str = ""  #: why it failed, in the provider's words, without secrets
    reference: str = ""  #: `Message.reference`, where the provider tells it back
