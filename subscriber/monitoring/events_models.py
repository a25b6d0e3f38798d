"""What the events of `GET /events` say, by the names of the events: for the documentation and its checks."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from subscriber.monitoring.records_models import HistoryEntry
from subscriber.monitoring.status_models import StatusAnswer


class Hello(BaseModel):
    """The first event of a stream: who speaks."""

    model_config = ConfigDict(extra="forbid")

    version: str = Field(description="The version of alertbus.")
    store_id: str = Field(description="The id of the database; another one means other alerts.")
    started_at: str = Field(
        description="When the daemon started, ISO 8601 in UTC. Another time than before: it was started again."
    )


class Change(BaseModel):
    """Somebody changed something: read it again."""

    model_config = ConfigDict(extra="forbid")

    what: Literal["silences", "channels", "routes", "dead_letters"] = Field(description="What was changed.")


class Reset(BaseModel):
    """More changed than is told one by one, or the id of the last event means nothing here: read the history again."""

    model_config = ConfigDict(extra="forbid")

    why: str = Field(description="Why, for a person.")


#: By the name of the event.
EVENTS: Final[dict[str, type[BaseModel]]] = {
    "hello": Hello,
    "status": StatusAnswer,
    "alert": HistoryEntry,
    "change": Change,
    "reset": Reset,
}
