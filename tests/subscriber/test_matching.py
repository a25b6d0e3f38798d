"""Which alerts a match takes, what it says where one does not fit, and how it is written."""

from __future__ import annotations

from typing import Any

import pytest

from bus.alerts import Action, AgentAction, Alert, OpaqueAlert, RiskEvent, Severity, SystemEvent
from bus.errors import ConfigurationError
from subscriber.policy.match_file import match_of
from subscriber.policy.matching import KINDS, Match, at_least
from subscriber.policy.patterns import texts_of

TNA: dict[str, Any] = {"symbol": "TNA", "agent_name": "PPO", "source": "trader-1"}


def risk(severity: Severity = Severity.CRITICAL, **fields: Any) -> RiskEvent:
    return RiskEvent(event_type=fields.pop("event_type", "DRAWDOWN_BREACH"), severity=severity, **fields)


def trade(action: Action = Action.BUY, quantity: float | None = 10.0, **fields: Any) -> AgentAction:
    return AgentAction(action=action, quantity=quantity, **fields)


def opaque(severity: Severity) -> OpaqueAlert:
    return OpaqueAlert(original_kind="margin_call", event_type="MARGIN_CALL", severity=severity)


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
        (Match(event_types=texts_of(["DRAW*"])), risk(), True),
        (Match(event_types=texts_of(["!DRAW*"])), risk(), False),
        (Match(event_types=texts_of(["!DRAW*"])), trade(), True),
        (Match(symbols=frozenset({"TNA", "UPRO"})), risk(**TNA), True),
        (Match(symbols=frozenset({"TNA"})), risk(), False),
        (Match(symbols=texts_of(["T*", "!TNA"])), risk(**TNA), False),
        (Match(agent_names=frozenset({"PPO"})), risk(**TNA), True),
        (Match(agent_names=texts_of(["!backtest-*"])), risk(), True),
        (Match(sources=frozenset({"trader-2"})), risk(**TNA), False),
        (Match(symbols=frozenset({"TNA"}), sources=frozenset({"trader-1"})), trade(**TNA), True),
        (Match(symbols=frozenset({"TNA"}), sources=frozenset({"trader-2"})), trade(**TNA), False),
    ],
)
def test_match_takes_an_alert_that_has_every_field_asked_for(match: Match, alert: Alert, taken: bool) -> None:
    """All fields have to fit; in each one of the allowed values is enough; `refusal` says the same."""
    assert match.takes(alert) is taken
    assert (match.refusal(alert) is None) is taken


def test_kinds_are_those_of_the_alerts() -> None:
    """A route can name every kind of alert that exists."""
    assert KINDS == ("risk_event", "agent_action", "system_event", "opaque")


@pytest.mark.parametrize(
    ("match", "alert", "refusal"),
    [
        ({"severity": ">=WARNING"}, trade(), ("severity", "INFO", ["WARNING", "CRITICAL"])),
        ({"symbol": ["U*", "!UPRO"]}, risk(**TNA), ("symbol", "TNA", ["U*", "!UPRO"])),
        ({"symbol": "TNA"}, risk(), ("symbol", None, ["TNA"])),
        ({"action": "BUY"}, trade(quantity=0.0), ("action", "BUY of nothing", ["BUY"])),
        ({"action": "BUY"}, risk(), ("action", None, ["BUY"])),
        ({"event_type": "A"}, trade(), ("event_type", None, ["A"])),
        ({"severity": "CRITICAL", "source": "b"}, risk(**TNA), ("source", "trader-1", ["b"])),
    ],
)
def test_refusal_names_the_first_field_that_does_not_fit(match: dict[str, Any], alert: Alert, refusal: object) -> None:
    assert match_of(match).refusal(alert) == refusal


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, Match()),
        ({"severity": "critical"}, Match(severities=frozenset({Severity.CRITICAL}))),
        ({"severity": ">= warning"}, Match(severities=at_least(Severity.WARNING))),
        ({"severity": ["INFO", ">=CRITICAL"]}, Match(severities=frozenset({Severity.INFO, Severity.CRITICAL}))),
        ({"severity": "!INFO"}, Match(severities=at_least(Severity.WARNING))),
        ({"severity": [">=WARNING", "! critical"]}, Match(severities=frozenset({Severity.WARNING}))),
        ({"severity": "!>=WARNING"}, Match(severities=frozenset({Severity.INFO}))),
        ({"action": ["buy", "SELL"]}, Match(actions=frozenset({Action.BUY, Action.SELL}))),
        ({"action": "!HOLD"}, Match(actions=frozenset({Action.BUY, Action.SELL}))),
        ({"kind": "system_event"}, Match(kinds=frozenset({"system_event"}))),
        ({"kind": "!system_event"}, Match(kinds=frozenset(KINDS) - {"system_event"})),
        ({"event_type": "DRAWDOWN_BREACH"}, Match(event_types=frozenset({"DRAWDOWN_BREACH"}))),
        ({"symbol": ["U*", "!UPRO"]}, Match(symbols=texts_of(["U*", "!UPRO"]))),
        ({"agent_name": ["a", " b "]}, Match(agent_names=frozenset({"a", "b"}))),
        ({"source": "trader-1"}, Match(sources=frozenset({"trader-1"}))),
    ],
)
def test_match_of_reads_each_field(written: dict[str, Any], expected: Match) -> None:
    """A text means one value, a list any of them; words of closed sets are read without regard to case."""
    assert match_of(written) == expected


@pytest.mark.parametrize("written", [{}, {"severity": ["WARNING"], "symbol": ["U*", "!UPRO"], "kind": ["opaque"]}])
def test_fields_of_a_match_are_read_as_the_same(written: dict[str, Any]) -> None:
    assert match_of(written).fields() == written
    assert match_of(match_of(written).fields()) == match_of(written)


@pytest.mark.parametrize(
    ("written", "place", "words"),
    [
        ({"severity": "hunter2"}, "match.severity", "allowed: INFO, WARNING, CRITICAL, each also behind >= or !"),
        ({"severity": ">=hunter2"}, "match.severity", "allowed: INFO"),
        ({"severity": ["INFO", "!INFO"]}, "match.severity", "must leave something to take"),
        ({"severity": 3}, "match.severity", "must be a text or a list of texts"),
        ({"severity": []}, "match.severity", "must be a text or a list of texts"),
        ({"action": "SHORT"}, "match.action", "allowed: BUY, SELL, HOLD"),
        ({"kind": "risk"}, "match.kind", "allowed: risk_event"),
        ({"symbol": []}, "match.symbol", "must be a text or a list of texts"),
        ({"symbol": ["a", "!"]}, "match.symbol", "must be a text or a list of texts"),
        ({"symbol": ["a"] * 1001}, "match.symbol", "must be a text or a list of texts"),
        ({"source": " "}, "match.source", "must be a text or a list of texts"),
        ({"colour": "hunter2"}, "match.colour", "is not known; known here: severity, action"),
        ({"simbol": "hunter2"}, "match.simbol", "did you mean symbol?"),
    ],
)
def test_match_of_with_a_fault_names_its_field(written: dict[str, Any], place: str, words: str) -> None:
    """A secret that somebody put in the wrong place stays out of the answer."""
    with pytest.raises(ConfigurationError) as raised:
        match_of(written)
    (problem,) = raised.value.problems
    assert problem.startswith(place)
    assert words in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("first", "second", "covers", "excludes"),
    [
        ({}, {"symbol": "TNA"}, True, False),
        ({"symbol": "TNA"}, {}, False, False),
        ({"symbol": ["TNA", "UPRO"]}, {"symbol": "TNA", "source": "a"}, True, False),
        ({"symbol": "T*"}, {"symbol": "TNA"}, True, False),
        ({"symbol": "T*"}, {"symbol": "T*"}, True, False),
        ({"symbol": "T*"}, {"symbol": "TN*"}, False, False),
        ({"symbol": "T*"}, {"symbol": "UPRO"}, False, True),
        ({"severity": "CRITICAL"}, {"severity": ">=WARNING"}, False, False),
        ({"severity": "CRITICAL"}, {"severity": "INFO", "symbol": "A"}, False, True),
    ],
)
def test_match_knows_what_another_one_leaves_to_it(
    first: dict[str, Any], second: dict[str, Any], covers: bool, excludes: bool
) -> None:
    assert match_of(first).covers(match_of(second)) is covers
    assert match_of(first).excludes(match_of(second)) is excludes
    assert match_of(second).excludes(match_of(first)) is excludes


@pytest.mark.parametrize(
    ("match", "may"),
    [
        ({}, True),
        ({"severity": "WARNING"}, False),
        ({"action": "BUY"}, False),
        ({"kind": "agent_action"}, False),
        ({"kind": ["agent_action", "opaque"]}, True),
        ({"symbol": "TNA"}, True),
    ],
)
def test_match_may_take_critical_unless_it_surely_can_not(match: dict[str, Any], may: bool) -> None:
    assert match_of(match).may_take_critical() is may


def test_match_without_a_field_takes_system_events() -> None:
    assert Match().takes(SystemEvent(event_type="PUBLISHER_BACK", severity=Severity.INFO))
