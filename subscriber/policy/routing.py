"""Which channels an alert is planned for: routes in order, checked as a whole when the table is built. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from bus.alerts import Action, Alert, Severity
from subscriber.deliveries import DeliveryState, PlannedDelivery, Why, severity_of
from subscriber.errors import RoutingError
from subscriber.policy.matching import Match, at_least

#: The name under which `Plan.routes` tells that a CRITICAL fell through all routes and goes to every channel.
SAFETY_NET: Final = "critical-safety-net"
_WHATSAPP: Final = "whatsapp"
_TELEGRAM: Final = "telegram"


@dataclass(frozen=True, slots=True)
class Route:
    """A rule from alerts to channels; without channels it keeps what it takes in the history only."""

    name: str
    match: Match
    channels: tuple[str, ...]
    continue_: bool = False  #: whether the routes behind it are asked as well


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen with one alert."""

    deliveries: tuple[PlannedDelivery, ...]
    routes: tuple[str, ...]  #: the names of the routes that took it, in order

    @property
    def not_routed(self) -> bool:
        """Whether it goes to the history only."""
        return not self.deliveries


def default_routes(channels: Collection[str]) -> tuple[Route, ...]:
    """Return the routes that hold without a file, for the channels that are configured."""
    chats = tuple(name for name in (_WHATSAPP, _TELEGRAM) if name in channels)
    trades = (_TELEGRAM,) if _TELEGRAM in channels else tuple(channels)
    return (
        Route("warnings", Match(severities=at_least(Severity.WARNING)), chats or tuple(channels)),
        Route("trades", Match(actions=frozenset({Action.BUY, Action.SELL})), trades),
    )


def plan_deliveries(
    alert: Alert, channels: Iterable[str], now_us: int, *, enabled: Collection[str], dry_run: bool
) -> tuple[PlannedDelivery, ...]:
    """Plan an alert for channels that are already chosen: by routes, for a resolve, or for a test of a channel.

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


class RouteTable:
    """All routes in force. A CRITICAL always has a plan: one that no route takes goes to every channel there is."""

    def __init__(self, routes: Iterable[Route], channels: Iterable[str]) -> None:
        """Check the routes against the channels that exist.

        Raises:
            RoutingError: A route names an unknown channel, or no route takes CRITICAL; all faults at once.
        """
        self.routes = tuple(routes)
        self.channels = tuple(dict.fromkeys(channels))
        problems = _faults(self.routes, self.channels)
        if problems:
            raise RoutingError(*problems)

    def plan(self, alert: Alert, now_us: int, *, enabled: Collection[str], dry_run: bool) -> Plan:
        """Plan an alert; `now_us` is when its deliveries are due, `enabled` the channels that are switched on."""
        taken_by: list[str] = []
        chosen: list[str] = []
        for route in self.routes:
            if route.match.takes(alert):
                taken_by.append(route.name)
                chosen.extend(route.channels)
                if not route.continue_:
                    break
        if not chosen and severity_of(alert) is Severity.CRITICAL:
            taken_by.append(SAFETY_NET)
            chosen.extend(self.channels)
        deliveries = plan_deliveries(alert, chosen, now_us, enabled=enabled, dry_run=dry_run)
        return Plan(deliveries, tuple(taken_by))


def _suppressed(channel: str, now_us: int, why: Why) -> PlannedDelivery:
    return PlannedDelivery(channel, now_us, DeliveryState.SUPPRESSED, why)


def _faults(routes: tuple[Route, ...], channels: tuple[str, ...]) -> list[str]:
    there_are = ", ".join(sorted(channels)) or "none"
    problems = [
        f'The route "{route.name}" names the channel "{channel}", which does not exist; there are: {there_are}.'
        for route in routes
        for channel in route.channels
        if channel not in channels
    ]
    if not any(route.channels and route.match.may_take_critical() for route in routes):
        problems.append(
            "No route takes CRITICAL alerts to a channel: add one whose match allows severity CRITICAL and whose "
            "channels are not empty."
        )
    return problems
