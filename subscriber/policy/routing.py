"""Routes: which alerts they take, by which channels these go and how; a tree whose deepest match holds. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from bus.alerts import Action, Alert, Severity
from subscriber.deliveries import DeliveryState, Escalation, Handling, PlannedDelivery, Why, severity_of
from subscriber.policy.fingerprints import DEFAULT_FIELDS
from subscriber.policy.matching import Match, at_least

#: The name under which a CRITICAL that fell through all routes goes to every channel.
SAFETY_NET: Final = "critical-safety-net"
#: What is counted together where no route says otherwise: each trade is a fact of its own.
_COUNTED_KINDS: Final = frozenset({"risk_event", "opaque"})
_MICROSECONDS: Final = 1_000_000
_WHATSAPP: Final = "whatsapp"
_TELEGRAM: Final = "telegram"


class Level(StrEnum):
    """How a channel tells what a route sends there; a closed set."""

    ON = "on"
    SILENT = "silent"  #: delivered without a sound
    OFF = "off"  #: not at all, and the ledger says so


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts with the same values are told in one message."""

    by: tuple[str, ...]
    wait_us: int  #: after the first of a group
    interval_us: int  #: between two messages of a group, at least

    def fields(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "by": list(self.by),
            "wait_seconds": _seconds(self.wait_us),
            "interval_seconds": _seconds(self.interval_us),
        }


@dataclass(frozen=True, slots=True)
class Counting:
    """Alerts with the same values within a window are counted instead of sent; a window that is None counts nothing."""

    by: tuple[str, ...] = DEFAULT_FIELDS
    window_us: int | None = None
    critical_us: int | None = None  #: the window of CRITICAL alerts
    kinds: frozenset[str] | None = None  #: of which kinds; None for all

    def window_of(self, alert: Alert, *, critical: bool) -> int | None:
        """Return the window of an alert, or None where each is told."""
        if self.kinds is not None and alert.kind not in self.kinds:
            return None
        return self.critical_us if critical else self.window_us

    def fields(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "by": list(self.by),
            "window_seconds": _seconds(self.window_us),
            "critical_seconds": _seconds(self.critical_us),
            "kinds": None if self.kinds is None else sorted(self.kinds),
        }


@dataclass(frozen=True, slots=True)
class Treatment:
    """How a route's alerts are told; children of a route have it from their parent, each part of it as a whole."""

    levels: tuple[tuple[str, Level], ...] = ()  #: by channel, in order
    max_age_us: int | None = None  #: since publication; None means never
    critical_max_age_us: int | None = None  #: the same for CRITICAL
    group: Group | None = None
    counting: Counting | None = None
    quiet_hours: tuple[str, ...] = ()
    template: str | None = None
    fallbacks: tuple[str, ...] | None = None  #: who tells it instead; None for the default, empty for nobody
    escalation: Escalation | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that tell it."""
        return tuple(name for name, level in self.levels if level is not Level.OFF)

    def max_age_of(self, *, critical: bool) -> int | None:
        """Return how old an alert may be to be told, in microseconds since its publication; None means any age."""
        return self.critical_max_age_us if critical else self.max_age_us

    def fields(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "channels": {name: level.value for name, level in self.levels},
            "max_age_seconds": _seconds(self.max_age_us),
            "critical_max_age_seconds": _seconds(self.critical_max_age_us),
            "group": None if self.group is None else self.group.fields(),
            "dedup": None if self.counting is None else self.counting.fields(),
            "quiet_hours": list(self.quiet_hours),
            "template": self.template,
            "fallback": None if self.fallbacks is None else list(self.fallbacks),
            "escalate": None if self.escalation is None else escalation_fields(self.escalation),
        }


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where no route says otherwise. Microseconds; a window that is None counts nothing."""

    max_age_us: int | None = None  #: of all but CRITICAL
    dedup_us: int | None = None
    dedup_critical_us: int | None = None

    @classmethod
    def of_seconds(cls, max_age: float | None, dedup: float | None, dedup_critical: float | None) -> Defaults:
        """Return the defaults for settings in seconds."""
        return cls(_us(max_age), _us(dedup), _us(dedup_critical))

    def treatment(self, channels: Iterable[str] = ()) -> Treatment:
        """Return how alerts are told that a route sends to some channels and says nothing more of."""
        counted = self.dedup_us is not None or self.dedup_critical_us is not None
        counting = Counting(DEFAULT_FIELDS, self.dedup_us, self.dedup_critical_us, _COUNTED_KINDS)
        return Treatment(
            levels=tuple((name, Level.ON) for name in dict.fromkeys(channels)),
            max_age_us=self.max_age_us,
            counting=counting if counted else None,
        )


@dataclass(frozen=True, slots=True)
class Route:
    """A rule from alerts to channels; without channels it keeps what it takes in the history only."""

    name: str
    match: Match
    treatment: Treatment
    continue_: bool = False  #: whether the routes beside it are asked as well
    children: tuple[Route, ...] = ()
    choices: tuple[Choice, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make up once what every plan needs."""
        choices = tuple(choice_of(name, level, self.treatment, self.name) for name, level in self.treatment.levels)
        object.__setattr__(self, "choices", choices)

    def all(self) -> Iterator[Route]:
        """Return this route and all below it."""
        yield self
        for child in self.children:
            yield from child.all()

    def fields(self) -> dict[str, Any]:
        """Return it, and all below it, as plain data."""
        return {
            "name": self.name,
            "match": self.match.fields(),
            **self.treatment.fields(),
            "continue": self.continue_,
            "routes": [child.fields() for child in self.children],
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """One channel that a route chose, and how it is to tell."""

    channel: str
    level: Level
    treatment: Treatment
    handling: Handling


def choice_of(channel: str, level: Level, treatment: Treatment, route: str) -> Choice:
    """Return the choice of a channel by a route of this name."""
    handling = Handling(route, level is Level.SILENT, treatment.template, treatment.fallbacks)
    return Choice(channel, level, treatment, handling)


def takers(routes: Sequence[Route], alert: Alert) -> list[Route]:
    """Return the routes that hold for an alert, in order: the first that matches, and what it lets continue.

    Of a route whose children match, these hold in its place.
    """
    found: list[Route] = []
    for route in routes:
        if route.match.takes(alert):
            found.extend((takers(route.children, alert) if route.children else None) or (route,))
            if not route.continue_:
                break
    return found


def default_routes(channels: Collection[str], defaults: Defaults) -> tuple[Route, ...]:
    """Return the routes that hold without a file, for the channels that are configured."""
    chats = tuple(name for name in (_WHATSAPP, _TELEGRAM) if name in channels)
    trades = (_TELEGRAM,) if _TELEGRAM in channels else tuple(channels)
    warned = defaults.treatment(chats or tuple(channels))
    return (
        Route("warnings", Match(severities=at_least(Severity.WARNING)), warned),
        Route("trades", Match(actions=frozenset({Action.BUY, Action.SELL})), defaults.treatment(trades)),
    )


def plan_deliveries(
    alert: Alert, channels: Iterable[str], now_us: int, *, enabled: Collection[str], dry_run: bool
) -> tuple[PlannedDelivery, ...]:
    """Plan an alert for channels that are already chosen, past all routes: for a test of a channel.

    A channel that is switched off is planned as suppressed, so that the ledger tells of it; but a CRITICAL none of
    whose channels is enabled stays pending, and goes out by the first of them that is switched on.
    """
    names = tuple(dict.fromkeys(channels))
    if dry_run:
        return tuple(_suppressed(name, now_us, Why.DRY_RUN) for name in names)
    waits = severity_of(alert) is Severity.CRITICAL and not any(name in enabled for name in names)
    return tuple(
        PlannedDelivery(name, now_us) if waits or name in enabled else _suppressed(name, now_us, Why.DISABLED)
        for name in names
    )


def escalation_fields(escalation: Escalation) -> dict[str, Any]:
    """Return an escalation as plain data."""
    return {"ack_within_seconds": _seconds(escalation.ack_within_us), "channels": list(escalation.channels)}


def _suppressed(channel: str, now_us: int, why: Why) -> PlannedDelivery:
    return PlannedDelivery(channel, now_us, DeliveryState.SUPPRESSED, why)


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / _MICROSECONDS


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * _MICROSECONDS)
