"""What a trading process imports: a publisher that never slows or stops it.

from publisher import Publisher

with Publisher.from_environment() as publisher:
    publisher.risk_event("DRAWDOWN_BREACH", "CRITICAL", "Drawdown 6.1 %", symbol="TNA", value=6.1, threshold=5.0)
"""

from bus.alerts import Action, AgentAction, Alert, RiskEvent, Severity, SystemEvent
from publisher.errors import JournalError, PublisherClosed
from publisher.logging_handler import AlertHandler
from publisher.publisher import DaemonStats, Publisher, PublisherStats
from publisher.settings import PublisherSettings

__all__ = [
    "Action",
    "AgentAction",
    "Alert",
    "AlertHandler",
    "DaemonStats",
    "JournalError",
    "Publisher",
    "PublisherClosed",
    "PublisherSettings",
    "PublisherStats",
    "RiskEvent",
    "Severity",
    "SystemEvent",
]
