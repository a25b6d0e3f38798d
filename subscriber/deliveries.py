"""The daemon's words: deliveries, attempts, outcomes and messages, as frozen values. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from bus.alerts import Action, AgentAction, Alert, Severity


class DeliveryState(StrEnum):
    """Where a delivery (one alert for one channel) stands; a closed set, and a metric's label."""

    PENDING = "pending"  #: waits to be sent, or to be tried again
    IN_DOUBT = "in_doubt"  #: a try was begun, and nobody knows whether the provider took it
    ACCEPTED = "accepted"  #: the provider took it; final where there are no receipts
    DELIVERED = "delivered"  #: its receipt says that it arrived
    DEAD = "dead"  #: refused for good; kept, and can be sent again by hand
    EXPIRED = "expired"  #: older than its route allows
    SUPPRESSED = "suppressed"  #: not sent on purpose; `why` says which
    FOLDED = "folded"  #: told in a digest


#: States in which a worker has something to do.
OPEN_STATES: Final = (DeliveryState.PENDING, DeliveryState.IN_DOUBT)


class Why(StrEnum):
    """Why a delivery is suppressed; a closed set."""

    SILENCE = "silence"
    DEDUP = "dedup"
    DISABLED = "disabled"
    OFF = "off"
    DRY_RUN = "dry_run"


class Mark(StrEnum):
    """What is noted about a number of a stream, or about an alert, beside its deliveries; a closed set."""

    NOT_ROUTED = "not_routed"
    DUPLICATE = "duplicate"
    LOST = "lost"


class Step(StrEnum):
    """Which turn of an alert on its way to people planned a delivery."""

    FIRST = "first"
    FALLBACK = "fallback"


class Reason(StrEnum):
    """How an attempt ended; a closed set, and the label `outcome` of `alertbus_attempts_total`."""

    ACCEPTED = "accepted"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    NETWORK = "network"
    TIMEOUT = "timeout"
    UNAUTHORIZED = "unauthorized"
    REJECTED = "rejected"


class Dialect(StrEnum):
    """The markup that a channel's messages are written in."""

    TELEGRAM_HTML = "telegram_html"
    WHATSAPP = "whatsapp"
    PLAIN = "plain"


class LengthUnit(StrEnum):
    """How a provider counts the length of a message."""

    UTF16 = "utf16"  #: UTF-16 code units after entities parsing: Telegram
    CODE_POINTS = "code_points"


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """What a message for a channel has to keep to."""

    dialect: Dialect
    length: int  #: the most units of text that a person may see
    unit: LengthUnit = LengthUnit.CODE_POINTS


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `messages` in any `seconds`, of which `burst` may go at once."""

    messages: float
    seconds: float
    burst: int = 1


@dataclass(frozen=True, slots=True)
class Message:
    """What one request tells one target."""

    body: str  #: in the channel's dialect, escaped, within its limit
    text: str  #: the same for a person, without markup: for the dry run and the history
    dialect: Dialect
    silent: bool = False  #: delivered without a sound


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt."""

    reason: Reason
    detail: str = ""  #: the provider's own words or the error's class, without secrets, at most 300 characters
    status: int | None = None  #: HTTP status, where there was an answer
    code: str | None = None  #: the provider's own error code
    retry_after_seconds: float | None = None  #: the provider's own wait
    provider_message_id: str | None = None
    in_doubt: bool = False  #: whether the provider may have taken it although we don't know

    @property
    def accepted(self) -> bool:
        """Whether the provider took the message."""
        return self.reason is Reason.ACCEPTED


@dataclass(frozen=True, slots=True)
class PlannedDelivery:
    """A delivery that a route asks for, before it is stored."""

    channel: str
    due_at_us: int
    state: DeliveryState = DeliveryState.PENDING
    why: Why | None = None
    step: Step = Step.FIRST


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that a worker holds by a lease."""

    id: int
    alert: Alert
    channel: str
    state: DeliveryState
    published_us: int
    due_at_us: int
    retries: int  #: attempts that count and ended without acceptance
    lease: str  #: token of this claim; a result is recorded only while the row still has it
    possible_repeat: bool = False  #: an earlier attempt may have reached the person

    def log_fields(self) -> dict[str, str]:
        """Return the keys under which every log line tells of this delivery."""
        return {"delivery_id": str(self.id), "channel": self.channel, **self.alert.log_fields()}


@dataclass(frozen=True, slots=True)
class Done:
    """The provider took it."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again, not before this time."""

    due_at_us: int
    counts: bool = True  #: whether the attempt counts as a retry
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End it in this state; a person sees it."""

    state: DeliveryState


Decision = Done | RetryAt | GiveUp


def priority_of(alert: Alert) -> int:
    """Return the order in which a channel serves: 0 first. A CRITICAL overtakes all, trades go before the rest."""
    if isinstance(alert, AgentAction):
        return 1 if alert.action is not Action.HOLD else 2
    return 2 - alert.severity.rank


def event_of(alert: Alert) -> str:
    """Return the word for what happened: the event's type, or the action."""
    return alert.action.value if isinstance(alert, AgentAction) else alert.event_type


def severity_of(alert: Alert) -> Severity:
    """Return an alert's severity; an action counts as INFO."""
    return Severity.INFO if isinstance(alert, AgentAction) else alert.severity


def system_event_id(*parts: str) -> UUID:
    """Return the id of a daemon's own SystemEvent: a UUIDv5 of what it tells, so every daemon derives the same."""
    return uuid5(_NAMESPACE, "\x1f".join(parts))


_NAMESPACE: Final = UUID("6f1c0b6e-5d0f-4a57-9e0e-3f0a5a1a7b11")
