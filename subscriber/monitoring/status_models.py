"""What `GET /status` answers. Times are ISO 8601 in UTC with milliseconds, lengths of time are seconds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from subscriber.monitoring.alert_models import Shown

Moment = str | None


class LastError(Shown):
    """A channel's newest attempt that was not accepted."""

    reason: str = Field(description="Why, by the word of alertbus.")
    status: int | None = Field(description="The HTTP status; null where there was no answer.")
    code: str | None = Field(description="The provider's own code.")
    detail: str | None = Field(description="What the provider said, without secrets.")
    at_us: int = Field(description="When, in microseconds of UTC.")
    at: Moment = Field(description="The same moment.")
    alert_id: str | None = Field(description="Whose attempt it was; of a digest, the alert that leads it.")


class Problem(Shown):
    """What keeps a channel from sending."""

    kind: Literal["paused", "failing", "held"] = Field(
        description="Whether it waits for a person, for its provider to work again, or for a time its provider named."
    )
    text: str = Field(description="One sentence for a person: what is wrong, and what to do.")
    since_at: Moment = Field(description="Since when, where that is known.")
    until_at: Moment = Field(description="When it is tried next, where that is known.")


class Breaker(Shown):
    """Whether a channel asks its provider before it sends."""

    state: str = Field(description="closed: it sends; open: it waits; half_open: it tries one.")
    next_probe_at: Moment = Field(description="When the provider is asked next.")


class Pace(Shown):
    """How fast a channel may send."""

    interval_seconds: float = Field(description="Between two messages in the long run; 0 without a limit.")
    wait_seconds: float = Field(description="Until the next message may go.")


class ReceiptsShown(Shown):
    """How a channel hears whether a message arrived."""

    mode: str = Field(description="none, off, polling or webhook.")
    waiting: int = Field(description="Accepted messages without a final receipt.")


class WindowShown(Shown):
    """WhatsApp's 24-hour window."""

    state: str = Field(description="open, closed or unknown.")
    last_message_of_person_at: Moment = Field(description="When the person last wrote.")
    last_refusal_at: Moment = Field(description="When a text was last refused for being outside of it.")


class LatencyPoint(Shown):
    """One message."""

    at: str = Field(description="When its provider took it.")
    seconds: float = Field(description="From publication to acceptance.")
    alert_id: str = Field(description="Its alert; of a digest, the one that leads it.")


class Latency(Shown):
    """How quick a channel was lately."""

    recent: list[LatencyPoint] = Field(description="The newest messages, at most 40, the oldest first.")
    p50_seconds: float | None = Field(description="Half of these took no longer; null without any.")
    p95_seconds: float | None = Field(description="95 % of these took no longer; null without any.")


class LastAlert(Shown):
    """The newest alert that a channel's provider took."""

    alert_id: str = Field(description="Its id.")
    at: str = Field(description="When the provider took it.")
    severity: str = Field(description="INFO, WARNING or CRITICAL; an action counts as INFO.")
    event_type: str = Field(description="The event's type, or the action.")
    symbol: str | None = Field(description="What it is about.")
    text: str = Field(description="What happened, in one line.")
    seconds: float = Field(description="From publication to acceptance.")


class SwitchedShown(Shown):
    """How a person set a channel's switch."""

    enabled: bool = Field(description="Whether it was switched on.")
    at: str = Field(description="When.")
    author: str = Field(description="Who, as far as that is known.")
    via: str = Field(description="By which way: api, page or cli.")


class ChannelStatus(Shown):
    """How a channel stands."""

    name: str = Field(description="Its name.")
    provider: str = Field(description="Its provider; empty where nobody knows.")
    enabled: bool = Field(description="Whether it is switched on.")
    state: Literal["ok", "error", "disabled", "dry_run", "not_running", "not_configured"] = Field(
        description="How it stands, in one word."
    )
    backlog: int = Field(description="Deliveries that wait to be sent.")
    oldest_published_at: Moment = Field(description="When the oldest of these was published.")
    dead: int = Field(description="Deliveries that were refused for good.")
    deliveries: dict[str, int] = Field(description="All deliveries that are kept, by state.")
    last_success_at: Moment = Field(description="When its provider last took a message.")
    last_error: LastError | None = Field(description="Its newest attempt that was not accepted.")
    problem: Problem | None = Field(description="What keeps it from sending; null where nothing does.")
    paused: bool = Field(description="Whether it waits for a person to resume it.")
    paused_since: Moment = Field(description="Since when.")
    breaker: Breaker | None = Field(description="Whether it asks its provider before it sends.")
    held_until: Moment = Field(description="Until when its provider asked to be left alone.")
    wait_seconds: float | None = Field(description="Until its pace and its provider allow the next message.")
    pace: Pace | None = Field(description="How fast it may send.")
    receipts: ReceiptsShown | None = Field(description="How it hears whether a message arrived.")
    window: WindowShown | None = Field(description="WhatsApp's 24-hour window; null for any other channel.")
    latency: Latency = Field(description="How quick it was lately.")
    last_alert: LastAlert | None = Field(description="The newest alert that its provider took.")
    routes: list[str] = Field(description="The names of the routes that lead to it.")
    switched: SwitchedShown | None = Field(description="Who set its switch; null where nobody ever did.")


class PublisherStatus(Shown):
    """How a publisher stands."""

    source: str = Field(description="Its name.")
    up: bool = Field(description="Whether its heartbeats arrive.")
    last_heard_seconds_ago: float = Field(description="Seconds since the newest one.")
    last_heard_at: str = Field(description="When that was.")
    goodbye: str | None = Field(description="Why it ended, where it ended on purpose.")
    last_sequence: int = Field(description="The highest number that it gave out.")
    acknowledged: int | None = Field(description="Every number up to here is settled; null while that is not known.")
    journal_alerts: int | None = Field(description="Alerts in its journal; null where this daemon never heard it.")
    refused: int | None = Field(
        description="Alerts that its full queue refused; null where this daemon never heard it."
    )
    volatile: bool = Field(description="Whether it holds its alerts in memory only.")
    hung: bool = Field(description="Whether its trading loop stands still.")


class AccessShown(Shown):
    """What the asker may do."""

    scope: Literal["operate", "read"] = Field(description="operate: everything; read: nothing that changes anything.")


class StreamsShown(Shown):
    """The streams of events."""

    open: int = Field(description="How many are open.")
    most: int = Field(description="How many may be.")


class StatusAnswer(Shown):
    """How everything stands."""

    version: str = Field(description="Of alertbus.")
    running: bool = Field(description="Whether a daemon runs.")
    started_at: Moment = Field(description="When it started.")
    now_at: str = Field(description="The daemon's time.")
    dry_run: bool = Field(description="Whether nothing is really sent.")
    database: str = Field(description="The URL of the database, without secrets.")
    store_id: str = Field(description="The id of the database.")
    channels: list[ChannelStatus] = Field(description="Every channel, and what still waits for one that is gone.")
    silences: int = Field(description="Silences that hold or drop alerts now.")
    held: int = Field(description="Deliveries that wait for the end of a silence or of quiet hours.")
    refused: bool = Field(description="Whether a change of the configuration was refused, and not put right since.")
    uncovered_critical: int = Field(description="CRITICAL deliveries that wait because no channel is switched on.")
    unacknowledged_critical: int = Field(
        description="CRITICAL alerts of the last 24 hours that nobody acknowledged; at most 10,000 are counted."
    )
    publishers: list[PublisherStatus] = Field(description="Every publisher that ran in the last hours.")
    access: AccessShown = Field(description="What the asker may do.")
    events: StreamsShown = Field(description="The streams of events.")
