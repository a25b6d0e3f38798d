"""Models of what was stored, for OpenAPI: the history, one alert's story, digests and changes.

Fields that end in `_us`, and those that end in `_at` or are called `at` here, are microseconds of UTC since 1970.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bus.alerts import Severity
from subscriber.deliveries import DeliveryState, DigestKind, DigestState, Mark, Reason, Why
from subscriber.monitoring.alert_models import (
    AlertId,
    AlertShown,
    EventType,
    MomentUs,
    OptionalMomentUs,
    Plain,
    SeverityOf,
    Shown,
    Text,
)
from subscriber.monitoring.silence_models import SilenceShown
from subscriber.receipts import ReceiptState
from subscriber.store.changes import ChangeKind
from subscriber.store.turns import EscalationEnd

ChannelOf = Annotated[str, Field(description="A channel's name.")]
Author = Annotated[str, Field(description="Who did it, as far as that is known; may be empty.")]
Via = Annotated[str, Field(description="By which way: api, cli, page, telegram, file, signal or start.")]
DeliveryId = Annotated[int, Field(description="The number of the delivery.")]


class DigestRef(Shown):
    """The digest that tells a delivery."""

    id: int = Field(description="The digest's number, for GET /digests/{number}.")
    kind: DigestKind = Field(description="Why its alerts are told in one message.")
    members: int = Field(description="How many deliveries it tells.")
    state: DigestState = Field(description="Where it stands.")


class DeliveryShown(Shown):
    """One alert for one channel, and how that stands."""

    id: DeliveryId
    channel: ChannelOf
    step: str = Field(description="Which turn planned it: first, fallback, or escalation and the number of the turn.")
    status: DeliveryState = Field(description="Where it stands.")
    why: Why | None = Field(description="Why it is suppressed; null: it is not.")
    retries: int = Field(description="Attempts that count and ended without acceptance.")
    created_at: MomentUs
    due_at: MomentUs = Field(description="When it is sent at the earliest, microseconds of UTC since 1970.")
    finished_at: OptionalMomentUs
    expires_at: int | None = Field(description="When it is too old, microseconds of UTC since 1970; null: never.")
    possible_repeat: bool = Field(description="An earlier attempt may have reached the person.")
    last_reason: Reason | None = Field(description="How the last attempt ended; null: there was none.")
    last_code: str | None = Field(description="The provider's own error code; null: none.")
    last_detail: str | None = Field(description="The provider's own words, without secrets; null: none.")
    batch: str | None = Field(description="What holds it, or the group it is told with; null: neither.")
    more_since: int | None = Field(
        description="When the first of `more` was published, microseconds of UTC since 1970; null: none."
    )
    route: str = Field(description="The route that planned it; empty where none did.")
    silent: bool = Field(description="Sent without a sound.")
    template: str | None = Field(description="The template that its route names; null: the channel's own.")
    more: int = Field(description="Alerts like it that were counted instead of sent, and that it tells of.")
    told_by: str | None = Field(description="The id of the alert that tells of it instead; null: it tells itself.")
    handed_over: bool = Field(description="A fallback channel tells it, too.")
    digest: DigestRef | None = Field(description="The digest that tells it; null: none.")
    silence: SilenceShown | None = Field(description="The silence that holds or dropped it; null: none.")


class _Stored(Shown):
    number: int = Field(description="The order of storing: the cursor of GET /history.")
    alert: AlertShown = Field(description="As the trader published it.")
    topic: str = Field(description="As it was published, for example severity.CRITICAL.TNA.")
    severity: Severity = Field(description="INFO < WARNING < CRITICAL; a trade counts as INFO.")
    stream: str | None = Field(description="The stream that carried it, 32 hexadecimal digits; null: the daemon's own.")
    sequence: int | None = Field(description="Its number in the stream; null: the daemon's own.")
    published_us: MomentUs
    stored_us: MomentUs
    marks: list[Mark] = Field(description="What is noted of it beside its deliveries.")
    resolved_by: str | None = Field(description="The alert that told of its end, by its id; null: none did.")


class AcknowledgementShown(Shown):
    """Who knows of an alert."""

    at_us: MomentUs
    author: Author
    via: Via
    note: str = Field(description="What they said about it; may be empty.")


class HistoryEntry(_Stored):
    """One alert with its deliveries."""

    acknowledgement: AcknowledgementShown | None = Field(description="Null: nobody acknowledged it.")
    deliveries: list[DeliveryShown] = Field(description="In the order of planning; none where it went nowhere.")


class ReceiptShown(Shown):
    """What the provider told of a message after it took it."""

    state: ReceiptState = Field(description="What became of the message.")
    at: MomentUs = Field(description="When, by the provider's clock where it says so, microseconds of UTC since 1970.")
    code: str | None = Field(description="Why it failed, by the provider's own code; null: none.")
    detail: str = Field(description="In the provider's words; may be empty.")


class AttemptShown(Shown):
    """One request to a provider."""

    id: int = Field(description="The attempt's number; a digest's attempt is in the story of each of its alerts.")
    opened_us: MomentUs
    closed_us: OptionalMomentUs
    channel: ChannelOf
    reason: Reason | None = Field(description="How it ended; null: nobody knows yet.")
    status: int | None = Field(description="The HTTP status of the answer; null: there was none.")
    code: str | None = Field(description="The provider's own error code; null: none.")
    detail: str | None = Field(description="The provider's own words, without secrets; null: not known yet.")
    provider_message_id: str | None = Field(description="The provider's own id of the message; null: none.")
    in_doubt: bool = Field(description="The provider may have taken it although nobody knows.")
    seconds: float | None = Field(description="How long it took, in seconds; null: not known.")
    possible_repeat: bool = Field(description="Its text said that it may be a repeat.")
    receipt: ReceiptState | None = Field(description="The newest receipt; null: none is expected, or none came.")
    by_template: bool = Field(description="Sent in an approved template.")
    receipt_at: OptionalMomentUs
    receipts: list[ReceiptShown] = Field(description="All receipts, in the order of coming.")


class DeliveryStory(DeliveryShown):
    """One alert for one channel, with every attempt."""

    attempts: list[AttemptShown] = Field(description="The oldest first.")


class EscalationShown(Shown):
    """Whom an alert wakes while nobody acknowledges it."""

    channels: list[str] = Field(description="The channel of each turn.")
    ack_within_us: int = Field(description="How long each turn waits for somebody, in microseconds.")
    turn: int = Field(description="The next turn; the first is 1.")
    due_us: int = Field(description="When that is, microseconds of UTC since 1970.")
    ended_us: OptionalMomentUs
    ended_why: EscalationEnd | None = Field(description="Why it ended; null: it goes on.")


class AlertStory(_Stored):
    """All that is known of one alert."""

    acknowledgement: AcknowledgementShown | None = Field(description="Null: nobody acknowledged it.")
    escalation: EscalationShown | None = Field(description="Null: it has none.")
    deliveries: list[DeliveryStory] = Field(description="In the order of planning.")


class DigestMember(Shown):
    """An alert in a digest."""

    id: AlertId
    published_us: MomentUs
    severity: SeverityOf
    event_type: EventType
    symbol: Text
    agent_name: Text
    source: str = Field(description="The publishing process.")
    state: DeliveryState = Field(description="Where its delivery stands.")


class DigestStory(DigestRef):
    """What a digest told, and of which alerts."""

    channel: ChannelOf
    created_us: MomentUs
    finished_us: OptionalMomentUs
    parent: int | None = Field(description="The digest of which it is a half; null: none.")
    halves: list[int] = Field(description="The digests that it was split into when it was refused for good.")
    text: str | None = Field(description="What it said, without markup; null: it is not written yet.")
    alerts: list[DigestMember] = Field(description="In the order of its lines.")


class ChangeShown(Shown):
    """Something that a person, or a file, changed."""

    id: int = Field(description="The cursor of GET /changes.")
    at_us: MomentUs
    what: ChangeKind = Field(description="What was changed.")
    author: Author
    via: Via
    detail: Plain = Field(description="The particulars, which depend on `what`.")
