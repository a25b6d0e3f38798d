"""Why an alert goes where it goes: each route that was asked, and each channel with what holds there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bus.alerts import Alert
from subscriber.deliveries import DeliveryState, PlannedDelivery, Why, event_of, severity_of
from subscriber.policy.durations import duration_text
from subscriber.policy.routing import SAFETY_NET, Choice, Route, escalation_fields, takers

_MICROSECONDS: Final = 1_000_000
_REASONS: Final = {
    Why.DRY_RUN: "in a dry run nothing is sent",
    Why.OFF: "the route switches the channel off",
    Why.DISABLED: "the channel is disabled",
    Why.SILENCE: "it is dropped",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one route that was asked."""

    route: Route
    depth: int  #: 0 for a route that stands in no other
    taken: bool
    holds: bool  #: whether it is this one, and none below it, that decides
    refusal: tuple[str, str | None, list[str]] | None = None  #: field, the alert's value, what the route asks for

    @property
    def why(self) -> str:
        """The reason in words."""
        if self.refusal is not None:
            name, value, words = self.refusal
            return f"{name} is {'not given' if value is None else value}; it asks for {', '.join(words)}"
        if not self.holds:
            return "a route below it holds"
        return "it matches, and the routes beside it are asked, too" if self.route.continue_ else "it matches"

    def fields(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "route": self.route.name,
            "depth": self.depth,
            "taken": self.taken,
            "holds": self.holds,
            "field": None if self.refusal is None else self.refusal[0],
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class ChannelStory:
    """What was planned for one channel, and what holds there."""

    planned: PlannedDelivery
    choice: Choice
    alert: Alert
    quiet_hours: tuple[str, ...]  #: that it keeps to, whether they are in force or not

    @property
    def why(self) -> str:
        """What becomes of it, in words."""
        planned = self.planned
        batch = planned.batch or ""
        if planned.why is not None:
            by = f" by {_holder(batch)}" if planned.why is Why.SILENCE else ""
            return _REASONS[planned.why] + by
        if batch.startswith(("silence:", "quiet:")):
            return f"it is held by {_holder(batch)}, and told at the end"
        if planned.handling.route == SAFETY_NET:
            return "it is sent now, to every channel: it is CRITICAL, and no route sends it to one"
        if planned.grouping is not None:
            return f"it is told with others of its group after {duration_text(planned.grouping.wait_us)} at most"
        return "it is sent now"

    def fields(self) -> dict[str, Any]:
        """Return it as plain data."""
        planned = self.planned
        held = planned.state is DeliveryState.PENDING and (planned.batch or "").startswith(("silence:", "quiet:"))
        counting = self.choice.treatment.counting
        return {
            "channel": planned.channel,
            "route": planned.handling.route,
            "level": self.choice.level.value,
            "state": planned.state.value,
            "suppressed_by": None if planned.why is None else planned.why.value,
            "why": self.why,
            "due_us": planned.due_at_us,
            "held_by": planned.batch if held or planned.why is Why.SILENCE else None,
            "quiet_hours": list(self.quiet_hours),
            "dedup": None
            if planned.dedup is None or counting is None
            else {
                "by": list(counting.by),
                "window_seconds": planned.dedup.window_us / _MICROSECONDS,
                "fingerprint": planned.dedup.fingerprint.hex(),
            },
            "group": None
            if planned.grouping is None
            else {
                "batch": planned.batch,
                "wait_seconds": planned.grouping.wait_us / _MICROSECONDS,
                "interval_seconds": planned.grouping.interval_us / _MICROSECONDS,
            },
            "max_age_seconds": None if planned.max_age_us is None else planned.max_age_us / _MICROSECONDS,
            "silent": planned.handling.silent,
            "template": planned.handling.template,
            "fallback": None if planned.handling.fallbacks is None else list(planned.handling.fallbacks),
            "escalate": None if planned.escalation is None else escalation_fields(planned.escalation),
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where one alert goes, and why."""

    alert: Alert
    now_us: int
    routes: tuple[Tried, ...]  #: every route that was asked, in order
    channels: tuple[ChannelStory, ...]

    @property
    def not_routed(self) -> bool:
        """Whether it is kept in the history only."""
        return not self.channels

    def fields(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "alert": {
                "kind": self.alert.kind,
                "severity": severity_of(self.alert).value,
                "event": event_of(self.alert),
                "symbol": self.alert.symbol,
                "agent_name": self.alert.agent_name,
                "source": self.alert.source,
            },
            "at_us": self.now_us,
            "not_routed": self.not_routed,
            "safety_net": any(story.planned.handling.route == SAFETY_NET for story in self.channels),
            "routes": [route.fields() for route in self.routes],
            "channels": [story.fields() for story in self.channels],
        }


def tried(routes: Sequence[Route], alert: Alert, depth: int = 0) -> Iterator[Tried]:
    """Return each route that is asked about an alert, in the order in which `takers` asks them."""
    for route in routes:
        refusal = route.match.refusal(alert)
        if refusal is not None:
            yield Tried(route, depth, taken=False, holds=False, refusal=refusal)
            continue
        below = list(tried(route.children, alert, depth + 1))
        yield Tried(route, depth, taken=True, holds=not takers(route.children, alert))
        yield from below
        if not route.continue_:
            return


def _holder(batch: str) -> str:
    kind, _, name = batch.partition(":")
    return f"silence {name}" if kind == "silence" else f'the quiet hours "{name}"'
