"""The turns of escalations as frozen values: whose turn it is, and what became of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class EscalationEnd(StrEnum):
    """Why an escalation ended; a closed set."""

    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"  #: another alert tells of its end
    EXHAUSTED = "exhausted"  #: nobody is left to be told


@dataclass(frozen=True, slots=True)
class DueEscalation:
    """A turn that is due."""

    alert_id: UUID
    turn: int  #: the first is 1
    channel: str  #: whom it is meant for
    turns: int  #: how many there are in all
    due_us: int
    severity: str
    event_type: str
    symbol: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Escalated:
    """What became of a turn."""

    alert_id: UUID
    turn: int  #: the one that was taken: a later one where channels were passed over
    channel: str | None  #: who tells it now; None where nobody was left
    skipped: tuple[str, ...] = ()  #: channels that were passed over, because they are not there
    ended: bool = False  #: it was the last turn
