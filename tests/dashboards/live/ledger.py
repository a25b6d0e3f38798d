"""What was driven in the day: counted where it was done, by publishers and by the providers' own records.

Nothing in it comes from a metric, so it can be held against the metrics.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bus.alerts import AgentAction, Alert, RiskEvent, Severity
from bus.topics import topic_of, two_levels
from subscriber.deliveries import severity_of
from tests.support.provider_desk import AcceptedMessage, RecordedRequest
from tests.support.provider_server import ProviderServer

#: What stands in a message of the daemon's own events.
_OWN = "source alertbus"
_MARK = re.compile(r"mark-\d{4}")
#: How an attempt ended, by the status that a stand-in answered; None is a connection that it cut after reading.
_OUTCOMES = {
    200: "accepted",
    201: "accepted",
    400: "rejected",
    403: "unauthorized",
    429: "rate_limited",
    503: "unavailable",
    None: "timeout",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """An alert that was published."""

    alert: Alert
    at: float  #: Unix seconds
    channel: str  #: where its route leads; empty for nowhere

    @property
    def mark(self) -> str:
        """The words in its text that no other alert has."""
        said = self.alert.rationale if isinstance(self.alert, AgentAction) else getattr(self.alert, "description", "")
        found = _MARK.search(said or "")
        return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that a provider took, alone or in a digest."""

    sent: Sent
    age_seconds: float
    message: AcceptedMessage
    folded: bool


@dataclass(frozen=True, slots=True)
class Digested:
    """A message that told several alerts."""

    channel: str
    kind: str
    alerts: int


@dataclass(slots=True)
class Ledger:
    """The day's numbers."""

    #: Unix seconds of moments at which nothing moved, by their names.
    moments: dict[str, float] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    #: Ids of alerts that no provider is told: kept in the history, expired, refused, suppressed.
    untold: set[str] = field(default_factory=set)
    #: Alerts that a daemon acknowledged, by the first two levels of their topics.
    topics: Counter[str] = field(default_factory=Counter)
    #: Deliveries that entered a state, by channel and state, but for those that a provider took.
    states: Counter[tuple[str, str]] = field(default_factory=Counter)
    suppressed: Counter[tuple[str, str]] = field(default_factory=Counter)
    receipts: Counter[tuple[str, str]] = field(default_factory=Counter)
    webhooks: Counter[tuple[str, str]] = field(default_factory=Counter)
    invalid: Counter[str] = field(default_factory=Counter)
    #: Single numbers, by what they count: `lost`, `replayed`, `gaps` …
    counts: Counter[str] = field(default_factory=Counter)
    #: Numbers that held at a moment, by moment and what: depths, sizes, times.
    levels: dict[tuple[str, str], float] = field(default_factory=dict)
    #: Attempts to deliver, by channel and how they ended; known when the day is over.
    attempts: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: What providers took of what was published; known when the day is over.
    told: list[Told] = field(default_factory=list)
    #: Messages by channel that told the daemon's own events, or went to `ops`; known when the day is over.
    own: dict[str, list[AcceptedMessage]] = field(default_factory=dict)
    #: When each channel's provider took its last message, in Unix seconds; known when the day is over.
    last_taken: dict[str, float] = field(default_factory=dict)

    def publish(self, alert: Alert, at: float) -> None:
        """Note an alert before it is published, at a time in Unix seconds."""
        self.sent.append(Sent(alert, at, channel_of(alert)))
        self.topics[two_levels(topic_of(alert))] += 1

    def settle(self, providers: ProviderServer) -> None:
        """Read the providers' records, when the day is over."""
        for channel, requests in _posts(providers).items():
            self.attempts.update((channel, _OUTCOMES[request.status]) for request in requests)
        wall = time.time() - time.monotonic()
        asked = {request.path for request in providers.twilio.requests if "/Messages/" in request.path}
        self.receipts["whatsapp", "queued"] = len(asked)  # each look-up tells it, and the first one is news
        for channel, messages in _messages(providers).items():
            self.last_taken[channel] = wall + max(message.at for message in messages)
            own = [message for message in messages if channel == "ops" or _OWN in message.text]
            self.own[channel] = own
            self.told += self._told(channel, [message for message in messages if message not in own], wall)

    def _told(self, channel: str, messages: Sequence[AcceptedMessage], wall: float) -> list[Told]:
        """Find the message that told each alert of a channel: its own, or the first digest after it was published."""
        alone = {marks[0]: message for message in messages if len(marks := _MARK.findall(message.text)) == 1}
        digests = [message for message in messages if message not in alone.values()]
        told = []
        for sent in self.sent:
            if sent.channel != channel or str(sent.alert.id) in self.untold:
                continue
            own = alone.get(sent.mark)
            message = own or next(digest for digest in digests if wall + digest.at > sent.at)
            told.append(Told(sent, wall + message.at - sent.at, message, folded=own is None))
        return told

    def age(self, moment: str, what: str) -> float:
        """Return the seconds from a noted time to a moment."""
        return self.moments[moment] - self.levels[moment, what]

    def took(self, channel: str, *, folded: bool) -> int:
        """Return how many alerts a channel's provider took, alone or in digests; the daemon's own are alone."""
        took = sum(told.folded is folded for told in self.told if told.sent.channel == channel)
        return took if folded else took + len(self.own[channel])

    def digested(self) -> list[Digested]:
        """Return the messages that told several alerts, with why they did: it is seen by what they told."""
        members: dict[tuple[str, str], list[Alert]] = {}
        for told in self.told:
            if told.folded:
                members.setdefault((told.sent.channel, told.message.message_id), []).append(told.sent.alert)
        return [Digested(channel, _kind(alerts), len(alerts)) for (channel, _id), alerts in members.items()]

    def own_of(self, severity: str) -> list[float]:
        """Return an age, which is next to nothing, for each message of a severity that is among `own`."""
        return [0.0 for own in self.own.values() for message in own if severity in message.text.split("\n")[0]]

    def ages(self, channel: str = "", severity: str = "") -> list[float]:
        """Return the seconds from publication to the provider, in order; of a channel or a severity, or of all."""
        return sorted(
            told.age_seconds
            for told in self.told
            if channel in ("", told.sent.channel) and severity in ("", severity_of(told.sent.alert).value)
        )


def _kind(alerts: Sequence[Alert]) -> str:
    """Return why alerts were told together: a silence held them, or there were too many, of one severity or of any."""
    if all(getattr(alert, "symbol", "") == "HELD" for alert in alerts):
        return "silence"
    return "criticals" if all(severity_of(alert) is Severity.CRITICAL for alert in alerts) else "storm"


def channel_of(alert: Alert) -> str:
    """Return the channel to which the town's routes lead an alert; empty for none."""
    if isinstance(alert, AgentAction):
        return "desk" if alert.action in ("BUY", "SELL") else ""
    assert isinstance(alert, RiskEvent)
    if alert.event_type.startswith("CALL"):
        return "telegram"
    if alert.event_type.startswith("TEXT"):
        return "whatsapp"
    return "" if alert.severity.value == "INFO" else "desk"


def _posts(providers: ProviderServer) -> dict[str, list[RecordedRequest]]:
    """Return the requests that were to send a message, by channel."""
    hook = providers.hook.requests
    return {
        "telegram": [request for request in providers.telegram.requests if request.endpoint == "sendMessage"],
        "whatsapp": [request for request in providers.twilio.requests if request.request.method == "POST"],
        "desk": [request for request in hook if request.endpoint == "desk"],
        "ops": [request for request in hook if request.endpoint == "ops"],
    }


def _messages(providers: ProviderServer) -> dict[str, list[AcceptedMessage]]:
    hook = providers.hook.accepted
    return {
        "telegram": providers.telegram.accepted,
        "whatsapp": providers.twilio.accepted,
        "desk": [message for message in hook if message.target.endswith("/desk")],
        "ops": [message for message in hook if message.target.endswith("/ops")],
    }
