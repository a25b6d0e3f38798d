"""What a channel is to the rest of the daemon, and what has to be known to build one.

A channel is one provider and one target; one message is one request. Its methods run in the channel's own thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from subscriber.channels.memory import ChannelMemory
from subscriber.deliveries import Limit, Message, MessageLimits, Outcome, Window
from subscriber.receipts import Receipt, ReceiptMode

__all__ = [
    "DEFAULT_DEADLINE_SECONDS",
    "DEFAULT_TEMPLATE_PARAMETERS",
    "Addresses",
    "AppriseConfig",
    "Channel",
    "ChannelConfig",
    "Limit",
    "MetaConfig",
    "TelegramConfig",
    "TwilioConfig",
]

#: Seconds of wall clock that one send may take, everything included; a lease is longer than this.
DEFAULT_DEADLINE_SECONDS: Final = 15.0
#: Of the template in docs/whatsapp-templates.md: what happened, the rest, the id and the time.
DEFAULT_TEMPLATE_PARAMETERS: Final = 3


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the providers' APIs are, for channels whose URL names a provider and no address."""

    telegram: str = "https://api.telegram.org"
    twilio: str = "https://api.twilio.com"
    meta: str = "https://graph.facebook.com"


@dataclass(frozen=True, slots=True)
class TelegramConfig:
    """A bot and the chat that it writes to."""

    token: str = field(repr=False)
    chat_id: str = field(repr=False)
    name: str = "telegram"
    base_url: str = "https://api.telegram.org"
    deadline_seconds: float = DEFAULT_DEADLINE_SECONDS
    limits: tuple[Limit, ...] = ()  #: a pace of the configuration's own, kept beside the provider's
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class TwilioConfig:
    """A Twilio account, its WhatsApp sender and one recipient; numbers like +15551234567."""

    account_sid: str = field(repr=False)
    auth_token: str = field(repr=False)
    sender: str = field(repr=False)
    recipient: str = field(repr=False)
    name: str = "whatsapp"
    base_url: str = "https://api.twilio.com"
    deadline_seconds: float = DEFAULT_DEADLINE_SECONDS
    content_sid: str | None = None  #: of the approved template, HX and 32 hexadecimal digits
    template_parameters: int = DEFAULT_TEMPLATE_PARAMETERS
    public_url: str | None = None  #: where Twilio reaches this daemon; receipts are polled without it
    limits: tuple[Limit, ...] = ()  #: a pace of the configuration's own, kept beside the provider's
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class MetaConfig:
    """A WhatsApp Business phone at Meta's Cloud API and one recipient, like +15551234567."""

    access_token: str = field(repr=False)
    phone_number_id: str = field(repr=False)
    recipient: str = field(repr=False)
    name: str = "whatsapp"
    base_url: str = "https://graph.facebook.com"
    deadline_seconds: float = DEFAULT_DEADLINE_SECONDS
    template: str | None = None  #: the approved template's name
    template_language: str = "en_US"
    template_parameters: int = DEFAULT_TEMPLATE_PARAMETERS
    app_secret: str | None = field(default=None, repr=False)  #: signs Meta's webhook calls; no receipts without it
    verify_token: str | None = field(default=None, repr=False)  #: what Meta says when the webhook is set up
    limits: tuple[Limit, ...] = ()  #: a pace of the configuration's own, kept beside the provider's
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class AppriseConfig:
    """Any other service by its Apprise URL, which is a secret."""

    name: str
    url: str = field(repr=False)
    limits: tuple[Limit, ...] = ()
    concurrency: int = 1
    deadline_seconds: float = DEFAULT_DEADLINE_SECONDS
    addresses: Addresses = Addresses()  #: the daemon's, for a URL of a provider that has its own channel


ChannelConfig = TelegramConfig | TwilioConfig | MetaConfig | AppriseConfig


class Channel(Protocol):
    """One provider and one target."""

    @property
    def name(self) -> str:
        """The name by which routes, metrics and people call it."""
        ...

    @property
    def provider(self) -> str:
        """telegram, twilio, meta, or the schema of an Apprise URL."""
        ...

    @property
    def message_limits(self) -> MessageLimits:
        """What a message has to keep to."""
        ...

    @property
    def pace(self) -> tuple[Limit, ...]:
        """How fast the provider takes messages for this target; empty means that it sets no limit."""
        ...

    @property
    def concurrency(self) -> int:
        """How many threads may send at once; 1 keeps a chat in order."""
        ...

    @property
    def memory(self) -> ChannelMemory:
        """What it knows over restarts."""
        ...

    @property
    def receipts(self) -> ReceiptMode:
        """How it hears whether an accepted message arrived."""
        ...

    @property
    def window(self) -> Window:
        """Whether WhatsApp's 24-hour window is open, as far as anybody can know."""
        ...

    def send(self, message: Message) -> Outcome:
        """Make one request and say what became of it, within the deadline; never raises for the provider's sake."""
        ...

    def rehearse(self, message: Message) -> str:
        """Do all that `send` does but the request itself; return what would be requested, without secrets."""
        ...

    def probe(self) -> Outcome:
        """Ask the provider whether the credentials hold, without sending a message."""
        ...

    def ask_receipt(self, message_id: str) -> Receipt | Outcome:
        """Ask the provider what became of a message; an Outcome says why it could not be asked."""
        ...

    def ask_inbound(self) -> bool:
        """Ask the provider when the person last wrote to us, and remember it; whether that was asked and understood."""
        ...

    def judge_receipt(self, receipt: Receipt, *, by_template: bool) -> Outcome:
        """Say what the receipt of a message that failed means, and remember what it says of the 24-hour window."""
        ...

    def close(self) -> None:
        """Close the kept-alive connections."""
        ...
