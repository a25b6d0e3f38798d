"""What one provider has to say about itself, so that AppriseChannel can treat all of them alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from subscriber.channels.calls import Exchange
from subscriber.channels.channel import Limit
from subscriber.channels.plugins import Plugin
from subscriber.channels.redaction import Redaction
from subscriber.channels.verdicts import Answer
from subscriber.deliveries import Message, MessageLimits, Outcome


@dataclass(frozen=True, slots=True)
class Probe:
    """A request that asks whether the credentials hold, without sending anything."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)


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

    @abstractmethod
    def plugin(self, message: Message) -> Plugin:
        """Return the plugin that is to send a message, built once and kept."""

    @abstractmethod
    def submit(self, plugin: Plugin, message: Message) -> bool:
        """Let the plugin send, and return what it says of it."""

    @abstractmethod
    def judge(self, answer: Answer, redaction: Redaction) -> Outcome:
        """Say what an answer to a message means."""

    def again(self, _answer: Answer, _message: Message) -> Message | None:
        """Return what to send at once instead, where the answer asks for it; None nearly always."""
        return None

    def reaches_target(self, _exchange: Exchange) -> bool:
        """Say whether a rehearsed request is addressed to exactly the configured target."""
        return True

    def probe(self) -> Probe | None:
        """Return the request that asks whether the credentials hold, where the provider has one."""
        return None

    def judge_probe(self, answer: Answer, redaction: Redaction) -> Outcome:
        """Say what the answer to the probe means."""
        return self.judge(answer, redaction)
