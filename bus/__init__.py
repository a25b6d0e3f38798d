"""What publisher and subscriber must agree on: alerts, topics, frames and sockets."""

from bus.alerts import Action, AgentAction, Alert, OpaqueAlert, RiskEvent, Severity, SystemEvent
from bus.errors import AlertBusError, ConfigurationError, UndecodableFrames, UnsupportedVersion, WireError
from bus.topics import topic_of

__all__ = [
    "Action",
    "AgentAction",
    "Alert",
    "AlertBusError",
    "ConfigurationError",
    "OpaqueAlert",
    "RiskEvent",
    "Severity",
    "SystemEvent",
    "UndecodableFrames",
    "UnsupportedVersion",
    "WireError",
    "topic_of",
]
