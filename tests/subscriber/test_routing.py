"""Which channels an alert is planned for, by the default routes and by a person's own."""

from __future__ import annotations

from typing import Any

import pytest

from bus.alerts import Action, AgentAction, Alert, OpaqueAlert, RiskEvent, Severity, SystemEvent
from subscriber.deliveries import DeliveryState, PlannedDelivery, Why
from subscriber.errors import RoutingError
from subscriber.policy.matching import KINDS, Match, at_least
from subscriber.policy.routing import SAFETY_NET, Route, RouteTable, default_routes, plan_deliveries

NOW_US = 1_770_000_000_000_000
BOTH = ("whatsapp", "telegram")
EVERYTHING = Route("everything", Match(), ("telegram",))


def risk(severity: Severity = Severity.CRITICAL, **fields: Any) -> RiskEvent:
    return RiskEvent(event_type=fields.pop("event_type", "DRAWDOWN_BREACH"), severity=severity, **fields)


def trade(action: Action = Action.BUY, quantity: float | None = 10.0, **fields: Any) -> AgentAction:
    return AgentAction(action=action, quantity=quantity, **fields)


def opaque(severity: Severity) -> OpaqueAlert:
    return OpaqueAlert(original_kind="margin_call", event_type="MARGIN_CALL", severity=severity)


def planned(table: RouteTable, alert: Alert, enabled: tuple[str, ...] | None = None) -> tuple[str, ...]:
    plan = table.plan(alert, NOW_US, enabled=table.channels if enabled is None else enabled, dry_run=False)
    return tuple(delivery.channel for delivery in plan.deliveries)


@pytest.mark.parametrize(
    ("alert", "channels", "expected"),
    [
        (risk(Severity.CRITICAL), BOTH, BOTH),
        (risk(Severity.WARNING), BOTH, BOTH),
        (risk(Severity.INFO), BOTH, ()),
        (risk(Severity.CRITICAL), (*BOTH, "desk"), BOTH),
        (risk(Severity.WARNING), ("telegram", "desk"), ("telegram",)),
        (risk(Severity.WARNING), ("desk", "mail"), ("desk", "mail")),
        (SystemEvent(event_type="PUBLISHER_SILENT", severity=Severity.CRITICAL), BOTH, BOTH),
        (SystemEvent(event_type="PUBLISHER_BACK", severity=Severity.INFO), BOTH, ()),
        (opaque(Severity.WARNING), BOTH, BOTH),
        (opaque(Severity.INFO), BOTH, ()),
        (trade(Action.BUY), BOTH, ("telegram",)),
        (trade(Action.SELL), (*BOTH, "desk"), ("telegram",)),
        (trade(Action.BUY), ("whatsapp",), ("whatsapp",)),
        (trade(Action.SELL), ("whatsapp", "desk"), ("whatsapp", "desk")),
        (trade(Action.BUY, quantity=None), BOTH, ("telegram",)),
        (trade(Action.BUY, quantity=0.0), BOTH, ()),
        (trade(Action.HOLD), BOTH, ()),
    ],
)
def test_default_routes_send_each_alert_where_the_design_says(
    alert: Alert, channels: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    """Severity from WARNING on goes to the chats, executed trades to Telegram, the rest to the history."""
    table = RouteTable(default_routes(channels), channels)
    plan = table.plan(alert, NOW_US, enabled=channels, dry_run=False)
    assert plan.deliveries == tuple(PlannedDelivery(channel, NOW_US) for channel in expected)
    assert plan.not_routed is (expected == ())


@pytest.mark.parametrize(
    ("alert", "names"), [(risk(), ("warnings",)), (trade(), ("trades",)), (trade(Action.HOLD), ())]
)
def test_plan_names_the_routes_that_took_the_alert(alert: Alert, names: tuple[str, ...]) -> None:
    """`explain` tells a person which routes decided."""
    table = RouteTable(default_routes(BOTH), BOTH)
    assert table.plan(alert, NOW_US, enabled=BOTH, dry_run=False).routes == names


SUPPRESSED = PlannedDelivery("telegram", NOW_US, DeliveryState.SUPPRESSED, Why.DISABLED)


@pytest.mark.parametrize(
    ("severity", "enabled", "expected"),
    [
        (Severity.CRITICAL, ("whatsapp",), (PlannedDelivery("whatsapp", NOW_US), SUPPRESSED)),
        (Severity.CRITICAL, (), (PlannedDelivery("whatsapp", NOW_US), PlannedDelivery("telegram", NOW_US))),
        (Severity.WARNING, ("whatsapp",), (PlannedDelivery("whatsapp", NOW_US), SUPPRESSED)),
        (
            Severity.WARNING,
            (),
            (PlannedDelivery("whatsapp", NOW_US, DeliveryState.SUPPRESSED, Why.DISABLED), SUPPRESSED),
        ),
    ],
)
def test_channel_switched_off_suppresses_all_but_a_critical_without_another(
    severity: Severity, enabled: tuple[str, ...], expected: tuple[PlannedDelivery, ...]
) -> None:
    """A CRITICAL that no enabled channel would tell stays pending; the rest is suppressed for good."""
    table = RouteTable(default_routes(BOTH), BOTH)
    assert table.plan(risk(severity), NOW_US, enabled=enabled, dry_run=False).deliveries == expected


@pytest.mark.parametrize("enabled", [BOTH, ()])
def test_dry_run_plans_everything_as_suppressed(enabled: tuple[str, ...]) -> None:
    """In a dry run nothing waits, not even a CRITICAL without an enabled channel."""
    plan = RouteTable(default_routes(BOTH), BOTH).plan(risk(), NOW_US, enabled=enabled, dry_run=True)
    assert plan.deliveries == tuple(
        PlannedDelivery(channel, NOW_US, DeliveryState.SUPPRESSED, Why.DRY_RUN) for channel in BOTH
    )


def test_plan_deliveries_takes_each_channel_once() -> None:
    """Two routes that name the same channel make one delivery."""
    deliveries = plan_deliveries(risk(), ["telegram", "desk", "telegram"], NOW_US, enabled=BOTH, dry_run=False)
    assert [delivery.channel for delivery in deliveries] == ["telegram", "desk"]


TNA: dict[str, Any] = {"symbol": "TNA", "agent_name": "PPO", "source": "trader-1"}


@pytest.mark.parametrize(
    ("match", "alert", "taken"),
    [
        (Match(), trade(Action.HOLD), True),
        (Match(severities=at_least(Severity.WARNING)), risk(Severity.CRITICAL), True),
        (Match(severities=frozenset({Severity.WARNING})), risk(Severity.CRITICAL), False),
        (Match(severities=frozenset({Severity.INFO})), trade(), True),
        (Match(actions=frozenset({Action.BUY})), trade(Action.BUY), True),
        (Match(actions=frozenset({Action.BUY})), trade(Action.BUY, quantity=0.0), False),
        (Match(actions=frozenset({Action.BUY})), trade(Action.SELL), False),
        (Match(actions=frozenset({Action.HOLD})), trade(Action.HOLD, quantity=0.0), True),
        (Match(actions=frozenset({Action.BUY})), risk(), False),
        (Match(kinds=frozenset({"agent_action"})), trade(Action.BUY, quantity=0.0), True),
        (Match(kinds=frozenset({"opaque"})), opaque(Severity.WARNING), True),
        (Match(kinds=frozenset({"risk_event"})), trade(), False),
        (Match(event_types=frozenset({"DRAWDOWN_BREACH"})), risk(), True),
        (Match(event_types=frozenset({"BUY"})), trade(), False),
        (Match(symbols=frozenset({"TNA", "UPRO"})), risk(**TNA), True),
        (Match(symbols=frozenset({"TNA"})), risk(), False),
        (Match(agent_names=frozenset({"PPO"})), risk(**TNA), True),
        (Match(sources=frozenset({"trader-2"})), risk(**TNA), False),
        (Match(symbols=frozenset({"TNA"}), sources=frozenset({"trader-1"})), trade(**TNA), True),
        (Match(symbols=frozenset({"TNA"}), sources=frozenset({"trader-2"})), trade(**TNA), False),
    ],
)
def test_match_takes_an_alert_that_has_every_field_asked_for(match: Match, alert: Alert, taken: bool) -> None:
    """All fields have to fit; in each one of the allowed values is enough."""
    assert match.takes(alert) is taken


def test_kinds_are_those_of_the_alerts() -> None:
    """A route can name every kind of alert that exists."""
    assert KINDS == ("risk_event", "agent_action", "system_event", "opaque")


@pytest.mark.parametrize(("continue_", "expected"), [(False, ("desk",)), (True, ("desk", "telegram"))])
def test_table_stops_at_the_first_match_unless_it_continues(continue_: bool, expected: tuple[str, ...]) -> None:
    """First match, unless continue = true."""
    first = Route("first", Match(symbols=frozenset({"TNA"})), ("desk",), continue_)
    table = RouteTable([first, EVERYTHING], ("desk", "telegram"))
    assert planned(table, risk(**TNA)) == expected
    assert planned(table, risk()) == ("telegram",)


@pytest.mark.parametrize(
    "first",
    [Route("history", Match(symbols=frozenset({"TNA"})), ()), Route("other", Match(symbols=frozenset({"X"})), ())],
)
def test_critical_that_falls_through_all_routes_goes_to_every_channel(first: Route) -> None:
    """A plan without deliveries is legal for anything but CRITICAL."""
    last = Route("some", Match(symbols=frozenset({"UPRO"})), ("telegram",))
    table = RouteTable([first, last], BOTH)
    plan = table.plan(risk(**TNA), NOW_US, enabled=BOTH, dry_run=False)
    assert [delivery.channel for delivery in plan.deliveries] == list(BOTH)
    assert plan.routes[-1] == SAFETY_NET
    assert table.plan(risk(Severity.WARNING, **TNA), NOW_US, enabled=BOTH, dry_run=False).not_routed


def test_table_with_several_faults_tells_all_of_them() -> None:
    """Each unknown channel is named with its route, and the missing CRITICAL as well."""
    routes = [
        Route("warnings", Match(severities=frozenset({Severity.WARNING})), ("telegram", "pager")),
        Route("trades", Match(kinds=frozenset({"agent_action"})), ("fax",)),
    ]
    with pytest.raises(RoutingError) as raised:
        RouteTable(routes, BOTH)
    unknown_pager, unknown_fax, no_critical = raised.value.problems
    assert '"warnings"' in unknown_pager
    assert '"pager"' in unknown_pager
    assert "telegram, whatsapp" in unknown_pager
    assert '"trades"' in unknown_fax
    assert '"fax"' in unknown_fax
    assert "CRITICAL" in no_critical


@pytest.mark.parametrize(
    ("routes", "channels"),
    [
        ((), BOTH),
        ((Route("history", Match(), ()),), BOTH),
        ((Route("buys", Match(actions=frozenset({Action.BUY})), BOTH),), BOTH),
        (default_routes(()), ()),
    ],
)
def test_table_without_a_way_for_critical_is_refused(routes: tuple[Route, ...], channels: tuple[str, ...]) -> None:
    """Whatever else is configured, a CRITICAL must be able to reach a person."""
    with pytest.raises(RoutingError, match="No route takes CRITICAL"):
        RouteTable(routes, channels)
