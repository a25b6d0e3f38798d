"""The daemon's words: deliveries, attempts, outcomes and messages, as frozen values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from bus.alerts import Action, AgentAction, Alert, Severity

#: The types of the events that tests tell begin with it; the daemon tells nothing else with it.
TEST_PREFIX: Final = "TEST_"


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
    ACKNOWLEDGED = "acknowledged"  #: a person knows of it, and nobody further is to be woken


class Mark(StrEnum):
    """What is noted about a number of a stream, or about an alert, beside its deliveries; a closed set."""

    NOT_ROUTED = "not_routed"
    DUPLICATE = "duplicate"
    LOST = "lost"


class Step(StrEnum):
    """Which turn of an alert on its way to people planned a delivery."""

    FIRST = "first"
    FALLBACK = "fallback"


def escalation_step(turn: int) -> str:
    """Return the word for a turn of an escalation, the first of which is 1."""
    return f"escalation {turn}"


class DigestKind(StrEnum):
    """Why alerts are told in one message; a closed set, and a metric's label."""

    STORM = "storm"  #: one by one they would take too long at the provider's pace
    CRITICALS = "criticals"  #: the same for CRITICAL alone: a line for each
    GROUP = "group"  #: their route groups them
    QUIET = "quiet"  #: they were held in quiet hours
    SILENCE = "silence"  #: they were held, or are told again, at the end of a silence


class DigestState(StrEnum):
    """Where a digest stands; a closed set."""

    OPEN = "open"  #: its members wait for it
    TOLD = "told"  #: its provider took it: the members are `folded`
    SPLIT = "split"  #: refused for good: its members are in two others, or alone


class Reason(StrEnum):
    """How an attempt ended; a closed set, and the label `outcome` of `alertbus_attempts_total`."""

    ACCEPTED = "accepted"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    NETWORK = "network"
    TIMEOUT = "timeout"
    UNAUTHORIZED = "unauthorized"
    REJECTED = "rejected"


class Window(StrEnum):
    """Whether WhatsApp lets us write freely: for 24 hours after the person's last message; shown in the status."""

    NONE = "none"  #: the provider has no such rule
    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


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
class TemplateLimits:
    """What the parameters of an approved template have to keep to; no parameter may be empty or have a line break."""

    parameters: int  #: how many the template has, at least 1
    length: int  #: the most units that all of them together may have
    unit: LengthUnit = LengthUnit.UTF16


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """What a message for a channel has to keep to."""

    dialect: Dialect
    length: int  #: the most units of text that a person may see
    unit: LengthUnit = LengthUnit.CODE_POINTS
    template: TemplateLimits | None = None  #: the channel can also send by a template


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `messages` in any `seconds`, of which `burst` may go at once.

    Channels whose limits have the same scope share them: a bot's, a chat's. A scope may hold a secret and is kept in
    memory only; the empty one is the channel's own.
    """

    messages: float
    seconds: float
    burst: int = 1
    scope: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Button:
    """What a person may press below a message, where the provider has such a thing."""

    label: str
    data: str  #: what the provider tells back, at most 64 bytes


@dataclass(frozen=True, slots=True)
class Message:
    """What one request tells one target."""

    body: str  #: in the channel's dialect, escaped, within its limit
    text: str  #: the same for a person, without markup: for the dry run and the history
    dialect: Dialect
    silent: bool = False  #: delivered without a sound
    parameters: tuple[str, ...] = ()  #: the same for an approved template, where the channel has one
    reference: str = ""  #: of the attempt, for providers that tell it back with their receipts; harmless to show
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a channel knows of its provider and target, kept over restarts. Times are the daemon's, microseconds."""

    held_until_us: int | None = None  #: the provider asked to be left alone until then
    inbound_us: int | None = None  #: when the person last wrote to us, which opens WhatsApp's 24-hour window
    outside_us: int | None = None  #: when the provider last refused a text for being outside of that window
    moved_from: str | None = None  #: a digest of the configured target that has moved
    moved_to: str | None = None  #: and where to
    target: str | None = None  #: a digest of the configured target that all of this is about
    paused_by: str | None = None  #: the id of the alert that told of its pause, until one tells that it works again


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
    by_template: bool = False  #: sent in an approved template
    template_instead: bool = False  #: refused as text only: a try at once, by template, is worth it

    @property
    def accepted(self) -> bool:
        """Whether the provider took the message."""
        return self.reason is Reason.ACCEPTED


@dataclass(frozen=True, slots=True)
class Handling:
    """What a route said of a delivery when it was planned; kept with it: a reload changes nothing that waits."""

    route: str = ""  #: the route that planned it; empty where none did
    silent: bool = False  #: delivered without a sound
    template: str | None = None  #: by its name; None for what the channel and the kind have
    fallbacks: tuple[str, ...] | None = None  #: who tells it instead, in order; None for the default, empty for nobody


#: What holds where no route said anything.
PLAIN: Final = Handling()


@dataclass(frozen=True, slots=True)
class Hold:
    """What keeps a delivery from being told now that was held, or dropped, by something else."""

    batch: str  #: under which it is told
    until_us: int
    drops: bool = False  #: nothing that is new in it is told at its end


@dataclass(frozen=True, slots=True)
class Dedup:
    """Alerts of one fingerprint are told once in a window; what else comes in it is counted."""

    fingerprint: bytes  #: 16 bytes
    window_us: int


@dataclass(frozen=True, slots=True)
class Grouping:
    """Alerts of one batch are told in one message."""

    wait_us: int  #: after the first of a group
    interval_us: int  #: between two messages of a group, at least


@dataclass(frozen=True, slots=True)
class Escalation:
    """Whom to tell, one after the other, while nobody acknowledges an alert."""

    ack_within_us: int  #: before each turn
    channels: tuple[str, ...]  #: of each turn, the first of which is turn 1


@dataclass(frozen=True, slots=True)
class PlannedDelivery:
    """A delivery that a route asks for, before it is stored."""

    channel: str
    due_at_us: int
    state: DeliveryState = DeliveryState.PENDING
    why: Why | None = None
    step: Step = Step.FIRST
    handling: Handling = PLAIN
    max_age_us: int | None = None  #: since publication; None means never
    batch: str | None = None  #: what is due with the same word is told in one message
    dedup: Dedup | None = None
    grouping: Grouping | None = None  #: of its batch
    escalation: Escalation | None = None  #: of its alert; the first that a delivery of it has counts


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
    expires_at_us: int | None = None  #: when it is too old to be sent; None means never
    handling: Handling = PLAIN
    step: str = Step.FIRST.value
    batch: str | None = None  #: what is due with the same word is told in one message
    digest: int | None = None  #: the digest that tells it, once that is fixed
    more: int = 0  #: alerts like it that were counted instead of sent, and that it tells of
    more_since_us: int | None = None  #: when the first of these was published

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
    fallback: bool = False  #: another channel is to tell the alert instead


Decision = Done | RetryAt | GiveUp


def priority_of(alert: Alert) -> int:
    """Return the order in which a channel serves: 0 first. A CRITICAL overtakes all, trades go before the rest."""
    if isinstance(alert, AgentAction):
        return 1 if alert.action is not Action.HOLD else 2
    return 2 - alert.severity.rank


def event_of(alert: Alert) -> str:
    """Return the word for what happened: the event's type, or the action."""
    return alert.action.value if isinstance(alert, AgentAction) else alert.event_type


def condition_of(alert: Alert) -> tuple[str, str, str | None, str | None]:
    """Return what a trader's alert is about, as its columns have it: alerts of one condition say that it still holds.

    Each of the daemon's own events is a condition by itself.
    """
    return alert.source, event_of(alert), alert.symbol, alert.agent_name


def severity_of(alert: Alert) -> Severity:
    """Return an alert's severity; an action counts as INFO."""
    return Severity.INFO if isinstance(alert, AgentAction) else alert.severity


def system_event_id(*parts: str) -> UUID:
    """Return the id of a daemon's own SystemEvent: a UUIDv5 of what it tells, so every daemon derives the same."""
    return uuid5(_NAMESPACE, "\x1f".join(parts))


_NAMESPACE: Final = UUID("6f1c0b6e-5d0f-4a57-9e0e-3f0a5a1a7b11")
