"""Which alerts are alike."""

from __future__ import annotations

import pytest

from bus.alerts import Action, AgentAction, RiskEvent, Severity
from subscriber.policy.fingerprints import DEFAULT_FIELDS, fingerprint_of, group_of


def risk(**fields: str | None) -> RiskEvent:
    given: dict[str, str | None] = {"event_type": "A", "symbol": "TNA", "agent_name": "ppo", "source": "t", **fields}
    return RiskEvent.model_validate({"severity": Severity.WARNING, **given})


def test_fingerprint_is_that_of_the_fields_alone() -> None:
    first, second = risk(description="a"), risk(description="b")
    found = fingerprint_of(first, DEFAULT_FIELDS, critical=False)
    assert found == fingerprint_of(second, DEFAULT_FIELDS, critical=False)
    assert len(found) == 16


@pytest.mark.parametrize(
    "other",
    [
        risk(symbol="UPRO"),
        risk(symbol=None),
        risk(symbol=""),
        risk(event_type="B"),
        risk(agent_name="TNA", symbol="ppo"),
        risk(source="T"),
        risk(event_type="A\x1fTNA", symbol="ppo"),
    ],
)
def test_fingerprint_of_another_value_is_another(other: RiskEvent) -> None:
    assert fingerprint_of(risk(), DEFAULT_FIELDS, critical=False) != fingerprint_of(
        other, DEFAULT_FIELDS, critical=False
    )


def test_fingerprint_of_none_is_not_that_of_an_empty_text() -> None:
    found = {fingerprint_of(risk(symbol=text), ("symbol",), critical=False) for text in (None, "", "-")}
    assert len(found) == 3


def test_fingerprint_of_a_critical_is_another() -> None:
    assert len({fingerprint_of(risk(), DEFAULT_FIELDS, critical=critical) for critical in (True, False)}) == 2


def test_fingerprint_of_an_action_is_by_what_was_done() -> None:
    buy, sell = (AgentAction(action=action, symbol="TNA") for action in (Action.BUY, Action.SELL))
    assert fingerprint_of(buy, DEFAULT_FIELDS, critical=False) != fingerprint_of(sell, DEFAULT_FIELDS, critical=False)


def test_group_of_names_route_and_values() -> None:
    assert group_of("desk", risk(symbol="BRK.B"), ("symbol", "severity")) == "group:desk:BRK.B,WARNING"
    assert group_of("desk", risk(), ()) == "group:desk:"


def test_group_of_values_never_holds_what_is_between_them() -> None:
    found = group_of("a:b", risk(symbol="x:y,z", event_type="%"), ("symbol", "event_type"))
    assert found == "group:a:b:x%3Ay%2Cz,%25"
    assert found.rpartition(":")[0] == "group:a:b"


def test_group_of_long_values_keeps_them_apart_and_short() -> None:
    found = {group_of("r", risk(event_type="ä" * 100 + end), ("event_type", "symbol")) for end in ("", "x", "y")}
    assert len(found) == 3
    assert max(map(len, found)) < 200
