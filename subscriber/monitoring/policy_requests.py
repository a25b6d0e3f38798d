"""What is asked of the delivery policy over HTTP: the bodies of requests."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bus.alerts import Action, Alert, Severity
from subscriber.monitoring.answers import (
    CHANNEL_PATTERN,
    LARGEST_NUMBER,
    NAME_LIMIT,
    TEXT_LIMIT,
    ApiError,
    ErrorCode,
)
from subscriber.monitoring.silence_models import Match
from subscriber.policy.samples import sample_of

_TEMPLATE_LIMIT: Final = 10_000
_LONGEST_SILENCE_SECONDS: Final = 366 * 86_400

Author = Annotated[str, Field(max_length=NAME_LIMIT, description="Who does it, for the record.")]
Kind = Literal["risk_event", "agent_action", "system_event"]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _example(*examples: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


#: By which way somebody does something.
Via = Annotated[Literal["api", "cli", "page"], Field(description="By which way, for the record.")]


class RouteRequest(_Request):
    """An alert that might come. With an `action` it is a trade, which has no severity or event type of its own."""

    model_config = _example(
        {"severity": "CRITICAL", "event_type": "DRAWDOWN_BREACHED", "symbol": "TNA"},
        {"action": "BUY", "symbol": "TNA", "quantity": 10},
    )

    kind: Kind | None = Field(default=None, description="Told by the other fields where it is left out.")
    severity: Severity | None = Field(default=None, description="Of an event; WARNING when left out.")
    action: Action | None = Field(default=None, description="Of a trade.")
    event_type: str | None = Field(default=None, min_length=1, max_length=NAME_LIMIT, description="What happened.")
    symbol: str | None = Field(default=None, max_length=NAME_LIMIT, description="What it is about.")
    agent_name: str | None = Field(default=None, max_length=NAME_LIMIT, description="Which agent.")
    source: str | None = Field(default=None, max_length=NAME_LIMIT, description="Which publishing process.")
    quantity: float | None = Field(default=None, description="Of a trade; exactly 0: nothing was traded.")
    description: str | None = Field(default=None, max_length=TEXT_LIMIT, description="In words.")


def asked_alert(request: RouteRequest) -> Alert:
    """Return the alert that might come.

    Raises:
        ApiError: There can be none; the text names the field and shows no value.
    """
    try:
        return sample_of(request.model_dump())
    except ValidationError as error:
        faults = error.errors(include_input=False)
        said = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
    except ValueError as error:
        said = str(error)
    raise ApiError(422, ErrorCode.INVALID_REQUEST, f"There can be no such alert: {said}")


class SilenceRequest(_Request):
    """What is not to be told for a while."""

    model_config = _example(
        {"match": {"symbol": "TNA"}, "seconds": 1800, "author": "Kim", "reason": "the reverse split is known"}
    )

    match: Match = Field(description='As the match of a route, for example {"symbol": "TNA"}; empty for all.')
    seconds: float | None = Field(
        default=None, gt=0, le=_LONGEST_SILENCE_SECONDS, description="How long, from its start on."
    )
    starts_us: int | None = Field(
        default=None, ge=0, le=LARGEST_NUMBER, description="Microseconds of UTC since 1970; now when left out."
    )
    ends_us: int | None = Field(
        default=None, ge=0, le=LARGEST_NUMBER, description="In place of `seconds`: microseconds of UTC since 1970."
    )
    author: Author
    reason: str = Field(default="", max_length=TEXT_LIMIT, description="Why, for whoever wonders.")
    drops: bool = Field(default=False, description="What falls in it is not told at its end.")
    lets_critical: bool = Field(default=True, description="CRITICAL is told all the same.")
    via: Via = "api"


class AckRequest(_Request):
    """Who knows of an alert."""

    model_config = _example({"author": "Kim", "note": "on it", "via": "page"})

    author: Author = ""
    note: str = Field(default="", max_length=TEXT_LIMIT, description="What they say about it.")
    via: Via = "api"


class ReloadRequest(_Request):
    """Who asks for it."""

    model_config = _example({"author": "Kim"})

    author: Author = ""


class PreviewRequest(_Request):
    """A template and what to show in it."""

    model_config = _example({"channel": "telegram", "text": "{{ severity }} {{ event }} {{ symbol }}"})

    channel: str = Field(pattern=CHANNEL_PATTERN, description="Whose limits and dialect hold.")
    text: str | None = Field(
        default=None, max_length=_TEMPLATE_LIMIT, description="A template that is not in the file."
    )
    name: str | None = Field(default=None, max_length=NAME_LIMIT, description="One that is.")
    kind: Kind = Field(default="risk_event", description="Of the sample.")
    alert_id: UUID | None = Field(default=None, description="A stored alert; a sample when left out.")
