"""Which routes hold for an alert: the built-in ones, and a tree whose deepest match holds."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from bus.alerts import Action, AgentAction, Alert, OpaqueAlert, RiskEvent, Severity, SystemEvent
from subscriber.deliveries import DeliveryState, Handling, PlannedDelivery, Why
from subscriber.policy.hours_file import Zones
from subscriber.policy.reading import PolicyDocument
from subscriber.policy.routing import SAFETY_NET, Defaults, plan_deliveries, takers
from subscriber.policy.rules import Rules
from subscriber.policy.rules_file import rules_of
from subscriber.setting_groups import zone_of

NOW_US = 1_770_000_000_000_000
BOTH = ("whatsapp", "telegram")
ALL = (*BOTH, "desk")


def risk(severity: Severity = Severity.CRITICAL, **fields: Any) -> RiskEvent:
    return RiskEvent(event_type=fields.pop("event_type", "DRAWDOWN_BREACH"), severity=severity, **fields)


def trade(action: Action = Action.BUY, quantity: float | None = 10.0, **fields: Any) -> AgentAction:
    return AgentAction(action=action, quantity=quantity, **fields)


def opaque(severity: Severity) -> OpaqueAlert:
    return OpaqueAlert(original_kind="margin_call", event_type="MARGIN_CALL", severity=severity)


def rules(toml: str, channels: tuple[str, ...] = ALL) -> Rules:
    document = PolicyDocument(tomllib.loads(toml))
    return rules_of(document, channels, defaults=Defaults(), zones=Zones(zone_of("UTC"), zone_of))


def plan(
    found: Rules, alert: Alert, enabled: tuple[str, ...] | None = None, *, dry_run: bool = False
) -> tuple[PlannedDelivery, ...]:
    return found.plan(alert, NOW_US, enabled=found.channels if enabled is None else enabled, dry_run=dry_run)


def channels_of(found: Rules, alert: Alert) -> dict[str, str]:
    """Return the route that planned each channel of an alert."""
    return {each.channel: each.handling.route for each in plan(found, alert)}


# --- the built-in routes -----------------------------------------------------------------------------------------


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
    found = plan(Rules.of_defaults(channels), alert)
    route = "trades" if isinstance(alert, AgentAction) else "warnings"
    assert found == tuple(PlannedDelivery(name, NOW_US, handling=Handling(route)) for name in expected)


def suppressed(channel: str, why: Why) -> PlannedDelivery:
    return PlannedDelivery(channel, NOW_US, DeliveryState.SUPPRESSED, why, handling=Handling("warnings"))


def pending(channel: str) -> PlannedDelivery:
    return PlannedDelivery(channel, NOW_US, handling=Handling("warnings"))


@pytest.mark.parametrize(
    ("severity", "enabled", "expected"),
    [
        (Severity.CRITICAL, ("whatsapp",), (pending("whatsapp"), suppressed("telegram", Why.DISABLED))),
        (Severity.CRITICAL, (), (pending("whatsapp"), pending("telegram"))),
        (Severity.WARNING, ("whatsapp",), (pending("whatsapp"), suppressed("telegram", Why.DISABLED))),
        (Severity.WARNING, (), (suppressed("whatsapp", Why.DISABLED), suppressed("telegram", Why.DISABLED))),
    ],
)
def test_channel_switched_off_suppresses_all_but_a_critical_without_another(
    severity: Severity, enabled: tuple[str, ...], expected: tuple[PlannedDelivery, ...]
) -> None:
    """A CRITICAL that no enabled channel would tell stays pending; the rest is suppressed for good."""
    assert plan(Rules.of_defaults(BOTH), risk(severity), enabled) == expected


@pytest.mark.parametrize("enabled", [BOTH, ()])
def test_dry_run_plans_everything_as_suppressed(enabled: tuple[str, ...]) -> None:
    """In a dry run nothing waits, not even a CRITICAL without an enabled channel."""
    found = plan(Rules.of_defaults(BOTH), risk(), enabled, dry_run=True)
    assert found == tuple(suppressed(channel, Why.DRY_RUN) for channel in BOTH)


@pytest.mark.parametrize("dry_run", [True, False])
def test_plan_deliveries_takes_each_channel_once(dry_run: bool) -> None:
    """A test of channels goes past the routes."""
    found = plan_deliveries(risk(), ["telegram", "desk", "telegram"], NOW_US, enabled=BOTH, dry_run=dry_run)
    assert [delivery.channel for delivery in found] == ["telegram", "desk"]
    assert [delivery.why for delivery in found] == ([Why.DRY_RUN] * 2 if dry_run else [None, Why.DISABLED])


# --- a person's own ----------------------------------------------------------------------------------------------

TREE = """
[[routes]]
name = "top"
channels = ["telegram"]
match = { severity = ">=WARNING" }
  [[routes.routes]]
  name = "tna"
  match = { symbol = "TNA" }
  channels = ["desk"]
    [[routes.routes.routes]]
    name = "tna-critical"
    match = { severity = "CRITICAL" }
    channels = ["desk", "whatsapp"]
  [[routes.routes]]
  name = "ppo"
  match = { agent_name = "ppo" }
  channels = ["whatsapp"]
  continue = true
  [[routes.routes]]
  name = "a-trader"
  match = { source = "a" }
  channels = ["desk"]
[[routes]]
name = "rest"
channels = []
"""


@pytest.mark.parametrize(
    ("alert", "names"),
    [
        (risk(symbol="UPRO"), ["top"]),
        (risk(Severity.WARNING, symbol="TNA"), ["tna"]),
        (risk(symbol="TNA"), ["tna-critical"]),
        (risk(symbol="TNA", agent_name="ppo"), ["tna-critical"]),
        (risk(agent_name="ppo"), ["ppo"]),
        (risk(agent_name="ppo", source="a"), ["ppo", "a-trader"]),
        (risk(source="a"), ["a-trader"]),
        (trade(), ["rest"]),
    ],
)
def test_deepest_match_holds_and_continue_asks_its_siblings(alert: Alert, names: list[str]) -> None:
    """As in Alertmanager: depth first, the first match of a level ends it, `continue` goes on beside it."""
    assert [route.name for route in takers(rules(TREE).routes, alert)] == names


@pytest.mark.parametrize(("continue_", "expected"), [("false", ["desk"]), ("true", ["desk", "telegram"])])
def test_routes_stop_at_the_first_match_unless_it_continues(continue_: str, expected: list[str]) -> None:
    found = rules(
        f'[[routes]]\nmatch = {{ symbol = "TNA" }}\nchannels = ["desk"]\ncontinue = {continue_}\n'
        '[[routes]]\nchannels = ["telegram"]\n'
    )
    assert list(channels_of(found, risk(symbol="TNA"))) == expected
    assert list(channels_of(found, risk())) == ["telegram"]


TWO = """
[[routes]]
name = "first"
match = { symbol = "TNA" }
channels = { telegram = "LEVEL" }
continue = true
[[routes]]
name = "second"
channels = ["telegram", "desk"]
"""


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("silent", PlannedDelivery("telegram", NOW_US, handling=Handling("first", silent=True))),
        ("off", PlannedDelivery("telegram", NOW_US, DeliveryState.SUPPRESSED, Why.OFF, handling=Handling("first"))),
    ],
)
def test_first_route_that_names_a_channel_decides_how_it_tells(level: str, expected: PlannedDelivery) -> None:
    found = rules(TWO.replace("LEVEL", level))
    assert plan(found, risk(symbol="TNA")) == (
        expected,
        PlannedDelivery("desk", NOW_US, handling=Handling("second")),
    )
    assert set(channels_of(found, risk()).values()) == {"second"}


@pytest.mark.parametrize(
    "match", ['match = { symbol = "TNA" }\nchannels = []', 'match = { symbol = "X" }\nchannels = []']
)
def test_critical_that_falls_through_all_routes_goes_to_every_channel(match: str) -> None:
    """A plan without deliveries is legal for anything but CRITICAL."""
    found = rules(f'[[routes]]\n{match}\n[[routes]]\nmatch = {{ symbol = "UPRO" }}\nchannels = ["telegram"]\n', BOTH)
    assert channels_of(found, risk(symbol="TNA")) == dict.fromkeys(BOTH, SAFETY_NET)
    assert plan(found, risk(Severity.WARNING, symbol="TNA")) == ()


def test_critical_whose_channels_are_all_off_goes_to_the_others() -> None:
    """Off is kept to while somebody else can tell it."""
    toml = '[[routes]]\nname = "r"\nmatch = { symbol = "TNA" }\nchannels = { telegram = "off" }\n'
    toml += '[[routes]]\nchannels = ["telegram"]\n'
    assert channels_of(rules(toml), risk(symbol="TNA")) == {"whatsapp": SAFETY_NET, "desk": SAFETY_NET, "telegram": "r"}
    assert [each.why for each in plan(rules(toml), risk(symbol="TNA"))] == [None, None, Why.OFF]
    assert [each.why for each in plan(rules(toml), risk(Severity.WARNING, symbol="TNA"))] == [Why.OFF]
    assert channels_of(rules(toml, ("telegram",)), risk(symbol="TNA")) == {"telegram": SAFETY_NET}


def test_critical_waits_for_an_enabled_channel_but_not_for_one_that_is_off() -> None:
    toml = '[[routes]]\nchannels = { telegram = "on", desk = "off" }\n'
    assert [each.why for each in plan(rules(toml), risk(), ("desk",))] == [None, Why.OFF]


def test_resolve_goes_where_its_event_went_in_the_way_of_its_own_route() -> None:
    found = rules(
        '[[routes]]\nname = "r"\nmatch = { severity = "INFO" }\nchannels = { telegram = "silent", desk = "off" }\n'
        '[[routes]]\nchannels = ["telegram"]\n'
    )
    event = SystemEvent(event_type="PUBLISHER_BACK", severity=Severity.INFO)
    planned = found.plan(
        event, NOW_US, enabled=ALL, dry_run=False, channels=["telegram", "desk", "whatsapp", "telegram"]
    )
    assert planned == (
        PlannedDelivery("telegram", NOW_US, handling=Handling("r", silent=True)),
        PlannedDelivery("desk", NOW_US),
        PlannedDelivery("whatsapp", NOW_US),
    )
