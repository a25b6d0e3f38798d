"""Models of the delivery policy, for OpenAPI: what is in force, where an alert would go, and what requests changed."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from bus.alerts import Severity
from subscriber.deliveries import DeliveryState, Dialect, Why
from subscriber.monitoring.alert_models import MomentUs, Shown
from subscriber.monitoring.silence_models import SilenceShown
from subscriber.policy.routing import Level

KindOf = Literal["risk_event", "agent_action", "system_event", "opaque"]
_Seconds = Annotated[float, Field(description="Seconds.")]
Channels = Annotated[list[str], Field(description="Names of channels.")]
Fallback = Annotated[
    list[str] | None, Field(description="Who tells it instead, in order; null: the default, empty: nobody.")
]
TemplateName = Annotated[str | None, Field(description="By its name; null: what the channel and the kind have.")]
QuietNames = Annotated[list[str], Field(description="Names of the quiet hours that it keeps to.")]
_Age = Annotated[float | None, Field(description="How old it may be to be told, in seconds; null: any age.")]


class Escalate(Shown):
    """Whom to wake, one after the other, while nobody acknowledges an alert."""

    ack_within_seconds: float = Field(description="How long each turn waits, in seconds.")
    channels: Channels


class GroupBy(Shown):
    """Alerts with the same values are told in one message."""

    by: list[str] = Field(description="The fields whose values are compared.")
    wait_seconds: float = Field(description="After the first of a group, in seconds.")
    interval_seconds: float = Field(description="Between two messages of a group at least, in seconds.")


class CountBy(Shown):
    """Alerts with the same values within a window are counted instead of sent."""

    by: list[str] = Field(description="The fields whose values are compared.")
    window_seconds: float | None = Field(description="The window, in seconds; null: each is told.")
    critical_seconds: float | None = Field(description="The window of CRITICAL, in seconds; null: each is told.")
    kinds: list[KindOf] | None = Field(description="Of which kinds; null: of all.")


class RouteShown(Shown):
    """A rule from alerts to channels, with all below it."""

    name: str = Field(description="The route's name.")
    match: dict[str, list[str]] = Field(description="Which alerts it takes: field by field the words; empty: all.")
    channels: dict[str, Level] = Field(description="How each channel tells it; none: the history only.")
    max_age_seconds: _Age
    critical_max_age_seconds: _Age
    group: GroupBy | None = Field(description="Null: each is a message of its own.")
    dedup: CountBy | None = Field(description="Null: each is told.")
    quiet_hours: QuietNames
    template: TemplateName
    fallback: Fallback
    escalate: Escalate | None = Field(description="Null: nobody further is woken.")
    continue_: bool = Field(alias="continue", description="The routes beside it are asked, too.")
    routes: list[RouteShown] = Field(description="Those below it, which hold in its place where they match.")


class QuietShown(Shown):
    """Hours in which alerts are held, or dropped."""

    name: str = Field(description="By which routes name them.")
    windows: str = Field(description="When, as in the file.")
    channels: list[str] = Field(description="Channels that keep to them whatever the route says.")
    critical: Literal["held", "through"] = Field(description="What happens to CRITICAL.")
    others: Literal["held", "dropped"] = Field(description="What happens to all others.")


class TemplateShown(Shown):
    """A template of the file."""

    name: str = Field(description="By which routes name it.")
    text: str = Field(description="As it stands in the file.")
    kinds: list[KindOf] | None = Field(description="Kinds of alerts that it holds for; null: where it is named.")
    channels: list[str] = Field(description="Channels that it holds for.")


class Reloaded(Shown):
    """What became of reading the configuration again."""

    loaded: bool = Field(description="Whether it is in force.")
    at_us: MomentUs
    via: str = Field(description="How it was asked for: file, signal, api, cli or start.")
    problems: list[str] = Field(description="Why it was refused; what was in force stays.")
    waits_for_restart: list[str] = Field(description="What it says and only a restart brings into force.")


class SourceShown(Shown):
    """Where the rules come from."""

    file: str = Field(description="The name of the file, without its folder.")
    digest: str = Field(description="Tells one content of the file from another; empty: there is no file.")
    loaded_us: MomentUs
    waits_for_restart: list[str] = Field(description="What the file says and only a restart brings into force.")
    refused: Reloaded | None = Field(description="What was refused since; null: nothing.")


class RulesShown(Shown):
    """The delivery policy in force."""

    built_in: bool = Field(description="The routes are the built-in ones.")
    channels: Channels
    routes: list[RouteShown] = Field(description="In the order in which they are asked.")
    quiet_hours: list[QuietShown] = Field(description="Those of the file.")
    templates: list[TemplateShown] = Field(description="Those of the file.")
    hints: list[str] = Field(description="What looks like a mistake and is allowed.")
    source: SourceShown
    silences: list[SilenceShown] = Field(description="Those that have not ended.")


class ExplainedAlert(Shown):
    """The alert that was asked about."""

    kind: KindOf = Field(description="Which kind of alert it is.")
    severity: Severity = Field(description="A trade counts as INFO.")
    event: str = Field(description="The type of the event, or the action.")
    symbol: str | None = Field(description="Null: not given.")
    agent_name: str | None = Field(description="Null: not given.")
    source: str = Field(description="The publishing process.")


class RouteTried(Shown):
    """A route that was asked."""

    route: str = Field(description="Its name.")
    depth: int = Field(description="0 for a route that stands in no other.")
    taken: bool = Field(description="It matches.")
    holds: bool = Field(description="It is this one that decides, and none below it.")
    field: str | None = Field(description="The field by which it refused; null: it did not.")
    why: str = Field(description="The reason in words.")


class DedupShown(Shown):
    """What it would be counted with."""

    by: list[str] = Field(description="The fields whose values are compared.")
    window_seconds: _Seconds
    fingerprint: str = Field(description="The same for alerts with the same values; 32 hexadecimal digits.")


class GroupShown(Shown):
    """What it would be told with."""

    batch: str | None = Field(description="The same for alerts of one group.")
    wait_seconds: float = Field(description="After the first of a group, in seconds.")
    interval_seconds: float = Field(description="Between two messages of a group at least, in seconds.")


class ChannelExplained(Shown):
    """What would be planned for a channel, and what holds there."""

    channel: str = Field(description="Its name.")
    route: str = Field(description="The route that sends it there.")
    level: Level = Field(description="How the channel tells it.")
    state: DeliveryState = Field(description="In which the delivery would be planned.")
    suppressed_by: Why | None = Field(description="Why it would not be sent; null: it would.")
    why: str = Field(description="What becomes of it, in words.")
    due_us: MomentUs
    held_by: str | None = Field(description="`silence:` and its number, or `quiet:` and the name; null: nothing.")
    quiet_hours: QuietNames
    dedup: DedupShown | None = Field(description="Null: it is not counted.")
    group: GroupShown | None = Field(description="Null: it is a message of its own.")
    max_age_seconds: _Age
    silent: bool = Field(description="Sent without a sound.")
    template: TemplateName
    fallback: Fallback
    escalate: Escalate | None = Field(description="Null: nobody further is woken.")


class Explanation(Shown):
    """Where an alert would go now, and why."""

    alert: ExplainedAlert
    at_us: MomentUs
    not_routed: bool = Field(description="It would be kept in the history only.")
    safety_net: bool = Field(description="It is CRITICAL, no route sends it anywhere, and so all channels tell it.")
    routes: list[RouteTried] = Field(description="Every route that was asked, in order.")
    channels: list[ChannelExplained] = Field(description="Where it would go.")


class Acknowledged(Shown):
    """Who knows of the alert: the first who said so."""

    alert_id: UUID = Field(description="The alert.")
    at_us: MomentUs
    author: str = Field(description="Who; may be empty.")
    via: str = Field(description="By which way: api, cli, page or telegram.")
    note: str = Field(description="What they said; may be empty.")
    new: bool = Field(description="Whether that was now; otherwise somebody was first, and that stands.")
    suppressed: dict[str, int] = Field(description="Deliveries that nobody gets any more, by channel.")


class Preview(Shown):
    """What a message would say."""

    channel: str = Field(description="Whose limits and dialect hold.")
    template: str | None = Field(description="Which template; null: none, the message is the built-in one.")
    text: str = Field(description="For a person, without markup.")
    body: str = Field(description="As it is sent, in the dialect.")
    dialect: Dialect = Field(description="The markup of `body`.")
    parameters: list[str] = Field(description="The same for a provider's approved template, where there is one.")
    fault: str | None = Field(
        description="Why the template failed, and the built-in message was used; null: it did not."
    )
