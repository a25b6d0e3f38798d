"""What one provider has to say about itself, so that AppriseChannel can treat all of them alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Self

from subscriber.channels.calls import Exchange
from subscriber.channels.channel import Limit
from subscriber.channels.plugins import Plugin
from subscriber.channels.redaction import Redaction
from subscriber.channels.verdicts import Answer
from subscriber.deliveries import Message, MessageLimits, Outcome, Reason, Window
from subscriber.receipts import Receipt, ReceiptMode


@dataclass(frozen=True, slots=True)
class Probe:
    """A request that asks the provider something, without sending anything to anybody."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TemplateMessage(Message):
    """A message of which the parameters go out, in the approved template, and not the body."""

    @classmethod
    def of(cls, message: Message) -> Self:
        """Return the message in this form."""
        return cls(**{each.name: getattr(message, each.name) for each in fields(message)})


class Provider(ABC):
    """One provider with one target; its methods run in the channel's lanes, several at once."""

    name: str
    message_limits: MessageLimits
    pace: tuple[Limit, ...] = ()
    concurrency: int = 1
    #: The base URL that its plugin has built in, by which requests are led elsewhere; None if there is none.
    origin: str | None = None
    #: The literal values that nobody may read.
    secrets: Sequence[str] = ()
    #: Whether a URL's path is harmless once the secrets are out of it.
    show_paths: bool = True
    #: Whether its plugin makes HTTP requests; one that does not can't be rehearsed, and no socket of it closed.
    uses_http: bool = True
    #: How it tells whether an accepted message arrived.
    receipts: ReceiptMode = ReceiptMode.NONE

    @abstractmethod
    def plugin(self, message: Message) -> Plugin:
        """Return the plugin that is to send a message; it is built once and kept, unless it holds the message."""

    @abstractmethod
    def submit(self, plugin: Plugin, message: Message) -> bool:
        """Let the plugin send, and return what it says of it."""

    @abstractmethod
    def judge(self, answer: Answer, redaction: Redaction) -> Outcome:
        """Say what an answer to a message means."""

    def chosen(self, message: Message) -> Message:
        """Return a message in the form in which it is to go now: as it is, or as a `TemplateMessage`."""
        return message

    def again(self, _answer: Answer, _message: Message) -> Message | None:
        """Return what to send at once instead, where the answer asks for it; None nearly always."""
        return None

    def reaches_target(self, _exchange: Exchange) -> bool:
        """Say whether a rehearsed request is addressed to exactly the configured target."""
        return True

    def carries(self, _exchange: Exchange, _message: Message) -> bool:
        """Say whether a rehearsed request holds what we add to that of Apprise's plugin."""
        return True

    def probe(self) -> Probe | None:
        """Return the request that asks whether the credentials hold, where the provider has one."""
        return None

    def judge_probe(self, answer: Answer, redaction: Redaction) -> Outcome:
        """Say what the answer to the probe means."""
        return self.judge(answer, redaction)

    def window(self, _now_us: int) -> Window:
        """Say whether WhatsApp's 24-hour window is open, as far as anybody can know."""
        return Window.NONE

    def ask_receipt(self, _message_id: str) -> Probe | None:
        """Return the request that asks what became of a message, where the provider has one."""
        return None

    def read_receipt(self, answer: Answer, redaction: Redaction) -> Receipt | Outcome:
        """Return what the answer to `ask_receipt` tells; an Outcome says why it tells nothing."""
        return self.judge(answer, redaction)

    def judge_receipt(self, receipt: Receipt, *, by_template: bool) -> Outcome:
        """Say what the receipt of a message that failed means, and remember what it says of the window."""
        return Outcome(Reason.REJECTED, receipt.detail, code=receipt.code, by_template=by_template)

    def ask_inbound(self) -> Probe | None:
        """Return the request that asks when the person last wrote to us, where the provider has one."""
        return None

    def read_inbound(self, _answer: Answer) -> bool:
        """Remember what the answer to `ask_inbound` tells; return whether it was understood."""
        return False
