"""Builds alerts for tests, and reads what an error names."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bus.alerts import AgentAction, RiskEvent


def risk_event(**fields: Any) -> RiskEvent:
    return RiskEvent(**{"event_type": "DRAWDOWN_BREACH", "severity": "WARNING", **fields})


def agent_action(**fields: Any) -> AgentAction:
    return AgentAction(**{"action": "BUY", **fields})


def refused_fields(error: pytest.ExceptionInfo[ValidationError]) -> set[str]:
    return {str(fault["loc"][0]) for fault in error.value.errors()}
