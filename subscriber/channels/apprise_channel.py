"""AppriseChannel: runs one Apprise plugin within a deadline and turns what happened into an Outcome.

Its methods are called in the channel's own threads; the plugin runs in a lane, which is given up when it hangs. The
verdict comes from what `ProviderHttp` recorded, never from Apprise's word or log: for 200 with `ok: false` Apprise says
success, and for a refused connection and a timeout the same sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from bus.clock import SystemClock
from bus.errors import ConfigurationError
from subscriber.channels import verdicts
from subscriber.channels.asking import LANES, Questions, Result
from subscriber.channels.calls import Call, Exchange
from subscriber.channels.channel import Limit
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.channels.lanes import SPARE_LANES, Lanes, NoLaneFree, StillRunning
from subscriber.channels.memory import ChannelMemory
from subscriber.channels.provider_http import ProviderHttp
from subscriber.channels.providers import Probe, Provider, TemplateMessage
from subscriber.channels.redaction import Redaction
from subscriber.channels.requests_seam import routed
from subscriber.channels.verdicts import Answer
from subscriber.deliveries import Message, MessageLimits, Outcome, Reason, Window
from subscriber.receipts import Receipt, ReceiptMode

logger = logging.getLogger(__name__)

#: Hears of a send that ended after its deadline, when its outcome had already been reported as in doubt;
#: `Message.reference` tells which attempt it was.
LateListener = Callable[[Message, Outcome], None]

#: A message, once more as plain text, once more to the group's new id: nothing needs more requests than this.
_MAX_REQUESTS: Final = 3
_REHEARSAL: Final = Outcome(Reason.NETWORK, "nothing was sent: this is a rehearsal")


class _Sending:
    """A message on its way, in the form of its latest request; written by the lane, read when that hangs."""

    def __init__(self, message: Message) -> None:
        self.request: tuple[Message, int] = (message, 0)  #: and how many exchanges there were before it

    def ended(self, outcome: Outcome) -> Outcome:
        """Say of an outcome in which form the message went."""
        return replace(outcome, by_template=True) if isinstance(self.request[0], TemplateMessage) else outcome


class AppriseChannel:
    """One provider and one target, by one Apprise plugin."""

    def __init__(
        self,
        name: str,
        provider: Provider,
        environment: HttpEnvironment,
        *,
        base_url: str | None = None,
        deadline_seconds: float,
        memory: ChannelMemory | None = None,
        now_us: Callable[[], int] | None = None,
        rehearsal: bool = False,
        on_late: LateListener | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            name: The channel's name.
            provider: What is particular to the provider.
            environment: Proxies and trust.
            base_url: Where the provider is, if not at its own address.
            deadline_seconds: The wall clock that a send may take.
            memory: What the channel remembers, the same that its provider works by.
            now_us: The daemon's clock; the system's if not given.
            rehearsal: Nothing is ever requested.
            on_late: Hears of late results; without one they are logged.
        """
        self._name = name
        self._provider = provider
        self._deadline_seconds = deadline_seconds
        self._rehearsal = rehearsal
        self._on_late = on_late
        self._memory = memory or ChannelMemory()
        self._now_us = now_us or SystemClock().now_us
        self._redaction = Redaction(provider.secrets, show_paths=provider.show_paths)
        lanes = provider.concurrency + SPARE_LANES
        self._lanes = Lanes(name, count=lanes)
        origins = {provider.origin: base_url} if provider.origin and base_url else {}
        self._http = ProviderHttp(environment, self._redaction, connections=lanes + LANES, origins=origins)
        self._questions = Questions(name, self._http, self._redaction, deadline_seconds=deadline_seconds)

    def __repr__(self) -> str:
        """Name it, and nothing of what it knows."""
        return f"<{type(self).__name__} {self._name} by {self._provider.name}>"

    @property
    def name(self) -> str:
        """The name by which routes, metrics and people call it."""
        return self._name

    @property
    def provider(self) -> str:
        """The provider behind it, or the schema of its Apprise URL."""
        return self._provider.name

    @property
    def message_limits(self) -> MessageLimits:
        """What a message has to keep to."""
        return self._provider.message_limits

    @property
    def pace(self) -> tuple[Limit, ...]:
        """How fast the provider takes messages for this target."""
        return self._provider.pace

    @property
    def concurrency(self) -> int:
        """How many threads may send at once."""
        return self._provider.concurrency

    @property
    def memory(self) -> ChannelMemory:
        """What it knows over restarts."""
        return self._memory

    @property
    def receipts(self) -> ReceiptMode:
        """How it hears whether an accepted message arrived."""
        return self._provider.receipts

    @property
    def window(self) -> Window:
        """Whether WhatsApp's 24-hour window is open, as far as anybody can know."""
        return self._provider.window(self._now_us())

    def send(self, message: Message) -> Outcome:
        """Make one request and say what became of it, within the deadline."""
        if self._rehearsal:
            return _REHEARSAL
        call = Call(self._deadline_seconds)
        sending = _Sending(self._provider.chosen(message))
        try:
            return self._lanes.run(
                lambda: self._deliver(call, sending),
                seconds=self._deadline_seconds,
                give_up=call.give_up,
                late=lambda outcome: self._late(message, outcome),
            )
        except NoLaneFree:
            return Outcome(Reason.NETWORK, "nothing was sent: all threads still hang in earlier sends")
        except StillRunning:
            return sending.ended(self._unfinished(call, sending))

    def probe(self) -> Outcome:
        """Ask the provider whether the credentials hold, without sending a message."""
        question = self._provider.probe()
        if question is None:
            return Outcome(Reason.ACCEPTED, "this service can't be asked without sending; nothing was requested")
        return self._asked(question, lambda answer: self._provider.judge_probe(answer, self._redaction))

    def ask_receipt(self, message_id: str) -> Receipt | Outcome:
        """Ask the provider what became of a message; an Outcome says why it could not be asked.

        `rejected` means that there is nothing to ask, now or later: there is no such message, or no such question.
        """
        question = self._provider.ask_receipt(message_id)
        if question is None:
            return Outcome(Reason.REJECTED, "this service can't be asked what became of a message")
        return self._asked(question, lambda answer: self._provider.read_receipt(answer, self._redaction))

    def judge_receipt(self, receipt: Receipt, *, by_template: bool) -> Outcome:
        """Say what the receipt of a message that failed means, and remember what it says of the 24-hour window."""
        return self._provider.judge_receipt(receipt, by_template=by_template)

    def ask_inbound(self) -> bool:
        """Ask the provider when the person last wrote to us, and remember it.

        Returns:
            Whether it was asked and its answer understood; False also where a provider has no such question.
        """
        question = self._provider.ask_inbound()
        return question is not None and self._asked(question, self._provider.read_inbound) is True

    def rehearse(self, message: Message) -> str:
        """Do all that `send` does but the request itself; return what would be requested, without secrets."""
        if not self._provider.uses_http:
            return f"{len(message.body.encode())} bytes by {self._provider.name}"
        exchange = self._rehearsed(self._provider.chosen(message)).last
        if exchange is None:
            return "no request"
        return f"{exchange.method} {exchange.shown_url}, {len(exchange.request_body)} bytes"

    def prepare(self) -> None:
        """Read the CA bundle.

        Raises:
            ConfigurationError: It can't be read.
        """
        self._http.prepare()

    def verify(self, message: Message) -> None:
        """Make sure, without a request, that the plugin calls through our HTTP and says exactly what we mean to whom.

        Where the channel has a template, the same is said by that as well.

        Raises:
            ConfigurationError: This release of Apprise does otherwise, and would write something, or to somebody, else.
        """
        forms = [message]
        template = self.message_limits.template
        if template is not None:
            parameters = tuple(f"{message.text} {number}" for number in range(1, template.parameters + 1))
            forms.append(TemplateMessage.of(replace(message, parameters=parameters)))
        for form in forms:
            try:
                exchange = self._rehearsed(form).last
                reached = exchange is not None and self._provider.reaches_target(exchange)
                complete = exchange is not None and self._provider.carries(exchange, form)
            except (TypeError, ValueError):  # not even the encoding is the one that was read for this
                reached = complete = False
            if not reached or not complete:
                fault = "send what" if reached else "address what"
                raise ConfigurationError(
                    f"Apprise's {self._provider.name} plugin does not {fault} channel {self._name} is configured "
                    "for; install the release of apprise that alertbus is locked to."
                )

    def close(self) -> None:
        """Close the kept-alive connections and let the lanes end."""
        self._lanes.close()
        self._questions.close()
        self._http.close()

    def _unfinished(self, call: Call, sending: _Sending) -> Outcome:
        """Judge a send that no deadline ends by its latest request: an earlier one's answer says nothing of it."""
        latest = call.exchanges[sending.request[1] :]
        # What hangs outside of any request may have written all the same: nostr's plugin speaks to relays, too.
        elsewhere = not latest and self._provider.origin is None
        if elsewhere or not self._provider.uses_http:
            return Outcome(Reason.TIMEOUT, f"no result within {self._deadline_seconds:g} s", in_doubt=True)
        return self._judged(call, latest, taken=False)

    def _deliver(self, call: Call, sending: _Sending) -> Outcome:
        for _ in range(_MAX_REQUESTS):
            judged, again = self._request(call, sending.request[0])
            if again is None:
                break
            sending.request = (again, len(call.exchanges))
        return sending.ended(judged)

    def _request(self, call: Call, message: Message) -> tuple[Outcome, Message | None]:
        """Let the plugin send once; return what became of it and what its answer asks to send instead."""
        made = len(call.exchanges)
        error = None
        taken = False
        try:
            with routed(self._http, call):
                taken = self._provider.submit(self._provider.plugin(message), message)
        except Exception as failure:  # noqa: BLE001 - a plugin's bug must not end the channel's thread
            error = type(failure).__name__
        exchanges = call.exchanges[made:]
        if not exchanges:
            return self._unrecorded(taken=taken, error=error), None
        judged = self._judged(call, exchanges, taken=taken)
        if judged.accepted or not exchanges[-1].answered:
            return judged, None
        return judged, self._provider.again(Answer(exchanges[-1], taken=taken), message)

    def _judged(self, call: Call, exchanges: Sequence[Exchange], *, taken: bool) -> Outcome:
        # A plugin that tries again by itself, and then can't connect, has still sent what it sent before.
        decisive = next((each for each in reversed(exchanges) if each.written), exchanges[-1] if exchanges else None)
        if decisive is None or not decisive.answered:
            return verdicts.without_answer(call, decisive, self._redaction)
        return self._provider.judge(Answer(decisive, taken=taken), self._redaction)

    def _unrecorded(self, *, taken: bool, error: str | None) -> Outcome:
        """Judge a send of which nothing was seen, by the only word there is."""
        if taken:
            return Outcome(Reason.ACCEPTED)
        detail = f"the plugin failed: {error}" if error else "the plugin reports a failure"
        return Outcome(Reason.UNAVAILABLE, detail, in_doubt=True)

    def _asked(self, question: Probe, read: Callable[[Answer], Result]) -> Result | Outcome:
        return _REHEARSAL if self._rehearsal else self._questions.ask(question, read)

    def _rehearsed(self, message: Message) -> Call:
        call = Call(self._deadline_seconds, rehearsal=True)
        with routed(self._http, call):
            self._provider.submit(self._provider.plugin(message), message)
        return call

    def _late(self, message: Message, outcome: Outcome) -> None:
        logger.warning(
            "a send ended after its deadline", extra={"channel": self._name, "outcome": outcome.reason.value}
        )
        if self._on_late is not None:
            self._on_late(message, outcome)
