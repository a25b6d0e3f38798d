"""Alerts that nobody published, to see where they would go."""

from __future__ import annotations

import pytest

from bus.alerts import AgentAction, RiskEvent, Severity, SystemEvent
from subscriber.policy.samples import sample_of


def test_sample_of_nothing_is_a_warning() -> None:
    alert = sample_of({})
    assert isinstance(alert, RiskEvent)
    assert alert.severity is Severity.WARNING


def test_sample_with_action_is_a_trade() -> None:
    alert = sample_of({"action": "SELL", "symbol": "TNA", "severity": None})
    assert isinstance(alert, AgentAction)
    assert alert.executed
    assert alert.symbol == "TNA"


def test_sample_of_system_event_has_the_daemons_source() -> None:
    alert = sample_of({"kind": "system_event", "event_type": "PUBLISHER_SILENT", "severity": "CRITICAL"})
    assert isinstance(alert, SystemEvent)
    assert alert.source == "alertbus"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"severity": "LOUD"}, "severity"),
        ({"action": "HODL"}, "action"),
        ({"action": "BUY", "severity": "CRITICAL"}, "severity"),
        ({"kind": "opaque"}, "kind"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_sample_that_can_not_be_names_the_field(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        sample_of(fields)
