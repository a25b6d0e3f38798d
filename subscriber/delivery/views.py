"""How a channel stands, as frozen values for the status."""

from __future__ import annotations

from dataclasses import dataclass

from subscriber.delivery.breaker import BreakerState


@dataclass(frozen=True, slots=True)
class BreakerView:
    """How a channel's breaker stands."""

    state: BreakerState
    next_probe_us: int | None = None  #: when the provider is asked next, while it is open


@dataclass(frozen=True, slots=True)
class DeskView:
    """How a channel stands, for the status. Times are the daemon's, microseconds."""

    up: bool  #: not paused, and the breaker is closed
    paused: bool  #: nothing is sent until a person resumes it
    paused_since_us: int | None
    breaker: BreakerView
    held_until_us: int | None  #: the provider asked to be left alone until then
    wait_seconds: float  #: until the pace and the hold allow the next message
