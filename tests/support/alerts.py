"""Alerts, and what comes in from the bus, with values that a test need not care about."""

from __future__ import annotations

from typing import Any

from bus.alerts import AgentAction, Alert, RiskEvent, SystemEvent
from bus.topics import topic_of
from bus.wire import encode_alert
from subscriber.deliveries import PlannedDelivery
from subscriber.store import Incoming
from tests.support.clock import START_US

STREAM = b"stream-of-tests1"
OTHER_STREAM = b"stream-of-tests2"


def risk_event(**fields: Any) -> RiskEvent:
    """Build a CRITICAL risk event; name only the fields that matter to the test."""
    given: dict[str, Any] = {
        "event_type": "DRAWDOWN_BREACHED",
        "severity": "CRITICAL",
        "description": "Drawdown 12.4 % is above its limit",
        "agent_name": "ppo-1",
        "symbol": "TNA",
        "value": 12.4,
        "threshold": 10.0,
        "source": "trader-1",
    }
    return RiskEvent(**{**given, **fields})


def agent_action(**fields: Any) -> AgentAction:
    """Build an executed BUY; name only the fields that matter to the test."""
    given: dict[str, Any] = {
        "action": "BUY",
        "agent_name": "ppo-1",
        "symbol": "TNA",
        "quantity": 10,
        "price": 41.2,
        "source": "trader-1",
    }
    return AgentAction(**{**given, **fields})


def system_event(**fields: Any) -> SystemEvent:
    """Build something that alertbus itself has to say; name only the fields that matter to the test."""
    given: dict[str, Any] = {"event_type": "PUBLISHER_SILENT", "severity": "CRITICAL", "source": "alertbus"}
    return SystemEvent(**{**given, **fields})


def incoming(
    alert: Alert | None = None,
    sequence: int | None = 1,
    *channels: str,
    stream: bytes | None = STREAM,
    published_us: int = START_US,
    planned: tuple[PlannedDelivery, ...] = (),
) -> Incoming:
    """Wrap an alert as it comes from the bus, planned for these channels and due at once, or as `planned` says."""
    told = risk_event() if alert is None else alert
    plan = planned or tuple(PlannedDelivery(channel, published_us) for channel in channels)
    return Incoming(
        alert=told,
        body=encode_alert(told),
        topic=topic_of(told),
        stream=stream,
        sequence=sequence,
        published_us=published_us,
        planned=plan,
        not_routed=not plan,
    )
