"""Models of test alerts, for OpenAPI, and what is asked for them."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from subscriber.deliveries import DeliveryState, Reason, Why
from subscriber.monitoring.alert_models import Shown
from subscriber.monitoring.answers import TEXT_LIMIT
from subscriber.monitoring.policy_requests import RouteRequest


class TrialRequest(BaseModel):
    """What to test: one channel, every channel, or with `alert` where the routes send such an alert."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"channel": "telegram"},
                {"text": "Is anybody there?"},
                {"alert": {"severity": "CRITICAL", "event_type": "DRAWDOWN_BREACHED", "symbol": "TNA"}},
            ]
        },
    )

    channel: str | None = Field(
        default=None,
        max_length=64,
        description="One channel; all of them when left out. With `alert` it goes there as its routes would tell it.",
    )
    text: str | None = Field(default=None, min_length=1, max_length=TEXT_LIMIT, description="What the message says.")
    alert: RouteRequest | None = Field(
        default=None,
        description="Send it where the routes send such an alert: silences, quiet hours and all. It says that it is a "
        "test, escalates to nobody, and has no fallback.",
    )


class ChannelTrial(Shown):
    """What became of a test alert on one channel."""

    channel: str = Field(description="The channel.")
    provider: str = Field(description="Who carries its messages, for example telegram; empty where nobody knows.")
    state: DeliveryState = Field(description="Where its delivery stands.")
    why: Why | None = Field(description="Why it is suppressed; null: it is not.")
    accepted: bool = Field(description="Whether the provider took it.")
    waiting_for: str | None = Field(description="What it waits for, for people; null: nothing.")
    outcome: Reason | None = Field(description="How the last attempt ended; null: there was none, or it goes on.")
    status: int | None = Field(description="The HTTP status of the answer; null: there was none.")
    code: str | None = Field(description="The provider's own error code; null: none.")
    detail: str | None = Field(description="The provider's own words, without secrets; null: none.")
    message_id: str | None = Field(description="The provider's own id of the message; null: none.")
    seconds: float | None = Field(description="From the request to its end, in seconds; null: it has not ended.")
    resumed: bool = Field(description="It was paused, and is resumed by this test.")


class TrialShown(Shown):
    """What became of a test alert."""

    alert_id: UUID = Field(description="The test alert, for GET /alerts/{id}.")
    dry_run: bool = Field(description="Whether nothing is really sent.")
    route: str | None = Field(description="The route that takes such an alert; null: none, or none was asked.")
    not_routed: bool = Field(description="The routes keep such an alert in the history only.")
    seconds: float = Field(description="How long this answer took, in seconds.")
    channels: list[ChannelTrial] = Field(description="Each channel that was to tell it.")
