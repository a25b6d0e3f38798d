"""Models of dead letters, for OpenAPI, and what is asked for them.

Models describe answers; handlers return plain data.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from bus.alerts import Severity
from subscriber.deliveries import Dialect, Reason
from subscriber.monitoring.alert_models import Shown
from subscriber.monitoring.answers import CHANNEL_PATTERN, LARGEST_NUMBER, NAME_LIMIT
from subscriber.monitoring.records_models import AttemptShown

#: Dead letters that one request may name.
MOST_NAMED: Final = 500

LetterId = Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]
Author = Annotated[str, Field(max_length=NAME_LIMIT, description="Who does it, for the record.")]
Via = Annotated[Literal["api", "cli", "page"], Field(description="By which way, for the record.")]


class DeadLetterShown(Shown):
    """A delivery that was refused for good."""

    id: int = Field(description="The delivery's number; the cursor of the list.")
    channel: str = Field(description="The channel that could not tell it.")
    step: str = Field(description="Which turn planned it: first, fallback, or escalation and the number of the turn.")
    alert_id: UUID = Field(description="The alert that it is of.")
    severity: Severity = Field(description="Of the alert; a trade counts as INFO.")
    event_type: str = Field(description="What happened, or the action of a trade.")
    symbol: str | None = Field(description="What it is about; null: not given.")
    source: str = Field(description="The publishing process; may be empty.")
    text: str = Field(description="The alert in one line of at most 200 characters.")
    published_at: datetime = Field(description="When it was published, ISO 8601 in UTC.")
    died_at: datetime = Field(description="When it was given up, ISO 8601 in UTC.")
    attempts: int = Field(ge=0, description="How many attempts were made for it.")
    reason: Reason | None = Field(description="How the last one ended; null: a person said that it is dead.")
    status: int | None = Field(description="The HTTP status of the last answer; null: there was none.")
    code: str | None = Field(description="The provider's own error code; null: none.")
    detail: str | None = Field(description="The provider's own words, without secrets; null: none.")
    possible_repeat: bool = Field(description="It may have arrived; another try says that it may be a repeat.")
    told_elsewhere: list[str] = Field(description="The other channels that told the alert.")
    retriable: bool = Field(description="Whether it can be sent again.")
    why_not: str | None = Field(description="Why it can't be; null: it can.")


class DeadLetterList(Shown):
    """A page of dead letters."""

    total: int = Field(ge=0, description="How many there are, of the channel where one is given.")
    dead_letters: list[DeadLetterShown] = Field(description="The newest delivery first.")


class RetryMessage(Shown):
    """What another try would say."""

    text: str = Field(description="Without markup.")
    dialect: Dialect = Field(description="The markup that it is sent in.")
    template: str | None = Field(description="The template that makes it; null: the built-in text.")


class DeadLetterStory(DeadLetterShown):
    """A dead letter with every attempt, and what another one would say."""

    message: RetryMessage | None = Field(description="Null: its channel is not configured any more.")
    attempts_made: list[AttemptShown] = Field(description="The oldest first.")


class Skipped(Shown):
    """What is not sent again."""

    id: int = Field(description="The delivery's number.")
    why: str = Field(description="Why, for people.")


class RetriedOne(Shown):
    """A dead letter that waits to be sent again."""

    retried: list[int] = Field(description="Its number.")
    skipped: list[Skipped] = Field(description="Nothing: what can't be sent again is answered 404 or 409.")


class RetriedSome(Shown):
    """What became of dead letters that somebody wanted to be sent again."""

    retried: list[int] = Field(description="The numbers of those that wait now; the first 500.")
    count: int = Field(ge=0, description="How many wait now.")
    skipped: list[Skipped] = Field(description="Those that are not sent again; the first 500.")


class RetryRequest(BaseModel):
    """Who wants it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"author": "Kim", "via": "page"}]})

    author: Author = ""
    via: Via = "api"


class RetrySomeRequest(BaseModel):
    """Which dead letters to send again."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"ids": [17, 18], "author": "Kim", "via": "page"}]}
    )

    ids: list[LetterId] = Field(min_length=1, max_length=MOST_NAMED, description="Numbers of deliveries, at most 500.")
    author: Author = ""
    via: Via = "api"


class RetryAllRequest(BaseModel):
    """Send every dead letter again, of one channel or of all."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"all": True, "channel": "telegram", "author": "Kim", "via": "page"}]},
    )

    all: Literal[True] = Field(description="In place of `ids`.")
    channel: str | None = Field(
        default=None, pattern=CHANNEL_PATTERN, description="Only this channel's; every channel's when left out."
    )
    author: Author = ""
    via: Via = "api"
