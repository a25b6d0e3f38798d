"""An alert that nobody published, to see where one like it would go and how it would read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bus.alerts import AgentAction, Alert, RiskEvent, SystemEvent

#: What a sample is of where nothing says otherwise.
_EVENT: Final = {"source": "live_trader", "event_type": "SAMPLE", "severity": "WARNING"}
_TRADE: Final = {"source": "live_trader", "action": "BUY", "quantity": 10.0}


def sample_of(fields: Mapping[str, Any]) -> Alert:
    """Return an alert with these fields; one with an `action` is a trade, everything else a risk event.

    Args:
        fields: Of an alert, and `kind` for one that its fields don't tell; those that are None count as not given.

    Raises:
        ValueError: No such alert can be; pydantic's ValidationError is one, and names the field.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    kind = given.pop("kind", None) or ("agent_action" if "action" in given else "risk_event")
    match kind:
        case "agent_action":
            if "severity" in given or "event_type" in given:
                raise ValueError("A trade has an action, and no severity or event_type of its own.")
            return AgentAction.model_validate({**_TRADE, **given})
        case "system_event":
            return SystemEvent.model_validate({**_EVENT, "source": "alertbus", **given})
        case "risk_event":
            return RiskEvent.model_validate({**_EVENT, **given})
    raise ValueError(f"There is no sample of the kind {kind!r}; write risk_event, agent_action or system_event.")
