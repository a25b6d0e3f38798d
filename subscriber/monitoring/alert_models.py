"""An alert as the API tells it: one model for each kind, told apart by `kind`; and the words that all models share.

Models describe answers for OpenAPI; handlers return plain data. `extra="forbid"`, so that a field that nobody described
fails the tests that compare the two.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from bus.alerts import Action, Severity

#: What is JSON and of no fixed shape: whatever a trader put there.
Plain = dict[str, Any]


class Shown(BaseModel):
    """What a model of an answer has: no field but its own."""

    model_config = ConfigDict(extra="forbid")


Number = Annotated[float | None, Field(description="As the trader gave it, without a unit of ours; null: not given.")]
Text = Annotated[str | None, Field(description="Null: not given.")]
Extra = Annotated[Plain, Field(description="What else the trader said, as plain data of at most 8 KiB.")]
Altered = Annotated[
    dict[str, str], Field(description="Fields that could not be carried as given, and what was done to each.")
]
AlertId = Annotated[
    UUID, Field(description="The alert's id everywhere: a UUID of version 7, or 5 for the daemon's own.")
]
EventType = Annotated[str, Field(description="What happened, for example DRAWDOWN_BREACHED.")]
SeverityOf = Annotated[Severity, Field(description="INFO < WARNING < CRITICAL.")]
Moment = Annotated[datetime, Field(description="When it happened, ISO 8601 in UTC.")]


class _AlertShown(Shown):
    id: AlertId
    source: str = Field(description="The publishing process; empty where it did not say.")
    occurred_at: Moment
    extra: Extra
    altered: Altered


class RiskEventShown(_AlertShown):
    """A risk rule fired."""

    kind: Literal["risk_event"] = Field(description="Which kind of alert this is.")
    event_type: EventType
    severity: SeverityOf
    description: str = Field(description="In the trader's words; may be empty.")
    agent_name: Text
    symbol: Text
    value: Number
    threshold: Number
    action_taken: Text
    pnl: Number
    position: Number


class AgentActionShown(_AlertShown):
    """An agent acted. The agent's state is kept and never shown."""

    kind: Literal["agent_action"] = Field(description="Which kind of alert this is.")
    agent_name: Text
    symbol: Text
    action: Action = Field(description="What the agent decided.")
    quantity: Number
    price: Number
    reward: Number
    rationale: Text
    confidence: Number
    pnl: Number
    position: Number


class SystemEventShown(_AlertShown):
    """Something that alertbus itself, or a program's log, has to say."""

    kind: Literal["system_event"] = Field(description="Which kind of alert this is.")
    event_type: EventType
    severity: SeverityOf
    description: str = Field(description="In words; may be empty.")
    agent_name: Text
    symbol: Text
    resolves: UUID | None = Field(description="The alert that this one ends; null: none.")


class OpaqueAlertShown(_AlertShown):
    """An alert of a kind, or with fields, that this version does not know."""

    kind: Literal["opaque"] = Field(description="Which kind of alert this is.")
    original_kind: str = Field(description="The kind that it says it is.")
    event_type: EventType
    severity: SeverityOf
    symbol: Text
    agent_name: Text
    fields: Plain = Field(description="All that it said, as plain data of at most 8 KiB.")


AlertShown = Annotated[
    RiskEventShown | AgentActionShown | SystemEventShown | OpaqueAlertShown, Field(discriminator="kind")
]

MomentUs = Annotated[int, Field(description="Microseconds of UTC since 1970.")]
OptionalMomentUs = Annotated[int | None, Field(description="Microseconds of UTC since 1970; null: not yet, or never.")]
