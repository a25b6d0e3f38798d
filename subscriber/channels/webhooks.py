"""What a provider's webhook call is, and what is read from one; no web framework here, and nothing is stored.

A provider calls whenever it likes: late, twice, out of order, before its own answer reached us. A reader says what one
call tells; it reads nothing that is not signed by the provider, and compares in constant time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from subscriber.receipts import Receipt


class WebhookRefused(Exception):
    """A webhook call was not read."""

    def __init__(self, status: int, text: str) -> None:
        """Say why.

        Args:
            status: The HTTP status to answer with: 400 unreadable, 403 not the provider, 405 another method.
            text: One sentence without anything of the request in it.
        """
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One call, as it came."""

    method: str
    url: str = field(repr=False)  #: path and query exactly as received; scheme and host do not matter
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)  #: names in lower case
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Inbound:
    """A person wrote to us, which opens WhatsApp's 24-hour window."""

    sender: str = field(repr=False)  #: like +15551234567
    at_us: int | None  #: by the provider's clock, which may be ahead of ours; None means now
    channels: tuple[str, ...]  #: those that write to this person


@dataclass(frozen=True, slots=True)
class WebhookNews:
    """What one call told; nothing where it is of no concern to us."""

    receipts: tuple[Receipt, ...] = ()
    inbound: tuple[Inbound, ...] = ()


class WebhookReader(Protocol):
    """Reads the calls of one provider; safe for any thread."""

    @property
    def provider(self) -> str:
        """twilio or meta: the last part of the URL that it calls."""
        ...

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels whose messages it tells of."""
        ...

    def greet(self, request: WebhookRequest) -> str | None:
        """Return the text, to be answered as text/plain, by which a webhook is set up; None: there is none.

        Raises:
            WebhookRefused: It is not the provider that asks.
        """
        ...

    def read(self, request: WebhookRequest) -> WebhookNews:
        """Return what a call tells; calls of a kind that we do not know tell nothing.

        Raises:
            WebhookRefused: It is not signed by the provider, or it is unreadable.
        """
        ...
