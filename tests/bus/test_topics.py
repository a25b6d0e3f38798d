"""Topics: what they look like, that a prefix never matches by chance, and that a symbol can hold anything."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.alerts import Action, AgentAction, Alert, OpaqueAlert, RiskEvent, Severity, SystemEvent
from bus.topics import KNOWN_LEVELS, OTHER_LEVELS, SEPARATOR, subscription_prefix, topic_of, two_levels
from tests.bus.strategies import alerts, examples

symbols = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64)


def risk_event(**fields: Any) -> RiskEvent:
    return RiskEvent(**{"event_type": "X", "severity": "CRITICAL", **fields})


@pytest.mark.parametrize(
    ("alert", "topic"),
    [
        (risk_event(symbol="TNA"), "severity.CRITICAL.TNA."),
        (risk_event(severity="warning"), "severity.WARNING."),
        (risk_event(symbol=""), "severity.CRITICAL."),
        (SystemEvent(event_type="X", severity=Severity.INFO), "severity.INFO."),
        (OpaqueAlert(original_kind="fill", event_type="FILL", symbol="TNA"), "severity.WARNING.TNA."),
        (AgentAction(action=Action.BUY, symbol="TNA"), "action.BUY.TNA."),
        (AgentAction(action=Action.HOLD), "action.HOLD."),
    ],
)
def test_topic_of_alert_is_severity_or_action_and_symbol(alert: Alert, topic: str) -> None:
    assert topic_of(alert) == topic


@pytest.mark.parametrize(
    ("symbol", "escaped"),
    [
        ("BRK.B", "BRK%2EB"),
        ("BTC/USDT", "BTC%2FUSDT"),
        ("EUR USD", "EUR%20USD"),
        ("50%", "50%25"),
        ("BRK%2EB", "BRK%252EB"),
        ("ES=F", "ES=F"),
        ("^VIX", "^VIX"),
        ("BTC-USD_1:2", "BTC-USD_1:2"),
        ("~a", "~a"),
        ("é", "%C3%A9"),
        ("..", "%2E%2E"),
        ("a\n\0b", "a%0A%00b"),
    ],
)
def test_topic_of_symbol_with_special_characters_is_escaped(symbol: str, escaped: str) -> None:
    assert topic_of(risk_event(symbol=symbol)) == f"severity.CRITICAL.{escaped}."


@examples(60)
@given(alerts)
def test_topic_of_any_alert_ends_in_separator_and_has_two_or_three_levels(alert: Alert) -> None:
    topic = topic_of(alert)
    assert re.fullmatch(r"(severity|action)\.[A-Z]+\.([A-Za-z0-9~_^=:%-]+\.)?", topic)
    assert two_levels(topic) in KNOWN_LEVELS


@examples(80)
@given(symbols, symbols)
def test_topic_of_one_symbol_is_never_a_prefix_of_another(one: str, other: str) -> None:
    """`severity.CRITICAL.T.` must not match TNA, and no two symbols share a topic."""
    matches = topic_of(risk_event(symbol=other)).startswith(topic_of(risk_event(symbol=one)))
    assert matches is (one == other)


@pytest.mark.parametrize(
    ("levels", "prefix"),
    [
        ((), ""),
        (("severity",), "severity."),
        (("severity", "CRITICAL"), "severity.CRITICAL."),
        (("severity", Severity.CRITICAL, "BRK.B"), "severity.CRITICAL.BRK%2EB."),
        (("action", Action.BUY, None), "action.BUY."),
    ],
)
def test_subscription_prefix_of_levels_ends_in_separator(levels: tuple[str | None, ...], prefix: str) -> None:
    assert subscription_prefix(*levels) == prefix


@examples(60)
@given(alerts)
def test_subscription_prefix_of_an_alerts_own_levels_matches_its_topic(alert: Alert) -> None:
    kind, level = two_levels(topic_of(alert)).split(SEPARATOR)
    assert topic_of(alert).startswith(subscription_prefix(kind, level, alert.symbol))


@pytest.mark.parametrize("levels", KNOWN_LEVELS)
def test_two_levels_of_known_topic_are_kept(levels: str) -> None:
    assert two_levels(f"{levels}.TNA.") == levels
    assert two_levels(f"{levels}.") == levels


@pytest.mark.parametrize("topic", ["", ".", "severity.", "severity.FATAL.", "severity.critical.", "price.BUY.", "\0"])
def test_two_levels_of_foreign_topic_are_other(topic: str) -> None:
    """A metric has one label per value, and strangers must not choose how many there are."""
    assert two_levels(topic) == OTHER_LEVELS
