"""AppriseChannel: runs one Apprise plugin within a deadline and turns what happened into an Outcome.

Its methods are called in the channel's own threads; the plugin runs in a lane, which is given up when it hangs. The
verdict comes from what `ProviderHttp` recorded, never from Apprise's word or log: for 200 with `ok: false` Apprise says
success, and for a refused connection and a timeout the same sentence.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Final

from bus.errors import ConfigurationError
from subscriber.channels import verdicts
from subscriber.channels.calls import Call, Exchange
from subscriber.channels.channel import Limit
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.channels.lanes import SPARE_LANES, Lanes, NoLaneFree, StillRunning
from subscriber.channels.provider_http import ProviderHttp
from subscriber.channels.providers import Provider
from subscriber.channels.redaction import Redaction
from subscriber.channels.requests_seam import routed
from subscriber.channels.verdicts import Answer
from subscriber.deliveries import Message, MessageLimits, Outcome, Reason

logger = logging.getLogger(__name__)

#: Hears of a send that ended after its deadline, when its outcome had already been reported as in doubt.
LateListener = Callable[[Message | None, Outcome], None]

#: A message, once more as plain text, once more to the group's new id: nothing needs more requests than this.
_MAX_REQUESTS: Final = 3


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
            rehearsal: Nothing is ever requested.
            on_late: Hears of late results; without one they are logged.
        """
        self._name = name
        self._provider = provider
        self._deadline_seconds = deadline_seconds
        self._rehearsal = rehearsal
        self._on_late = on_late
        self._redaction = Redaction(provider.secrets, show_paths=provider.show_paths)
        self._lanes = Lanes(name, count=provider.concurrency + SPARE_LANES)
        origins = {provider.origin: base_url} if provider.origin and base_url else {}
        self._http = ProviderHttp(
            environment, self._redaction, connections=provider.concurrency + SPARE_LANES, origins=origins
        )

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

    def send(self, message: Message) -> Outcome:
        """Make one request and say what became of it, within the deadline."""
        return self._within_deadline(lambda call: self._deliver(call, message), message)

    def probe(self) -> Outcome:
        """Ask the provider whether the credentials hold, without sending a message."""
        if self._provider.probe() is None:
            return Outcome(Reason.ACCEPTED, "this service can't be asked without sending; nothing was requested")
        return self._within_deadline(self._ask, None)

    def rehearse(self, message: Message) -> str:
        """Do all that `send` does but the request itself; return what would be requested, without secrets."""
        if not self._provider.uses_http:
            return f"{len(message.body.encode())} bytes by {self._provider.name}"
        call = self._rehearsed(message)
        exchange = call.last
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
        """Make sure, without a request, that the plugin calls through our HTTP and addresses exactly our target.

        Raises:
            ConfigurationError: This release of Apprise does otherwise, and would write to somebody else.
        """
        exchange = self._rehearsed(message).last
        try:
            reached = exchange is not None and self._provider.reaches_target(exchange)
        except ValueError:  # not even the encoding is the one that was read for this
            reached = False
        if not reached:
            raise ConfigurationError(
                f"Apprise's {self._provider.name} plugin does not address what channel {self._name} is configured "
                "for; install the release of apprise that alertbus is locked to."
            )

    def close(self) -> None:
        """Close the kept-alive connections and let the lanes end."""
        self._lanes.close()
        self._http.close()

    def _within_deadline(self, work: Callable[[Call], Outcome], message: Message | None) -> Outcome:
        if self._rehearsal:
            return Outcome(Reason.NETWORK, "nothing was sent: this is a rehearsal")
        call = Call(self._deadline_seconds)
        try:
            return self._lanes.run(
                lambda: work(call),
                seconds=self._deadline_seconds,
                give_up=call.give_up,
                late=lambda outcome: self._late(message, outcome),
            )
        except NoLaneFree:
            return Outcome(Reason.NETWORK, "nothing was sent: all threads still hang in earlier sends")
        except StillRunning:
            if self._provider.uses_http:
                return self._judged(call, call.exchanges, taken=False)
            return Outcome(Reason.TIMEOUT, f"no result within {self._deadline_seconds:g} s", in_doubt=True)

    def _deliver(self, call: Call, message: Message) -> Outcome:
        for _ in range(_MAX_REQUESTS):
            judged, again = self._request(call, message)
            if again is None:
                break
            message = again
        return judged

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

    def _ask(self, call: Call) -> Outcome:
        probe = self._provider.probe()
        assert probe is not None  # noqa: S101 - asked for in `probe`
        # Every exception of requests is an OSError; the exchange says what happened.
        with routed(self._http, call), contextlib.suppress(OSError):
            self._http.request(call, "GET", probe.url, headers=probe.headers, auth=probe.auth)
        exchange = call.exchanges[-1]
        if exchange.answered:
            return self._provider.judge_probe(Answer(exchange, taken=True), self._redaction)
        return verdicts.without_answer(call, exchange, self._redaction)

    def _rehearsed(self, message: Message) -> Call:
        call = Call(self._deadline_seconds, rehearsal=True)
        with routed(self._http, call):
            self._provider.submit(self._provider.plugin(message), message)
        return call

    def _late(self, message: Message | None, outcome: Outcome) -> None:
        logger.warning(
            "a send ended after its deadline", extra={"channel": self._name, "outcome": outcome.reason.value}
        )
        if self._on_late is not None:
            self._on_late(message, outcome)
