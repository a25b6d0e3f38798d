"""Topics: the routing key of an alert, and the prefix by which ZeroMQ subscribers choose.

    severity.CRITICAL.TNA.     a risk or system event; the symbol only where there is one
    action.BUY.TNA.            a trade

SUB matches by prefix, so a topic always ends in the separator: `severity.CRITICAL.T.` never matches TNA. Whatever
could be mistaken for a separator inside a symbol is percent-encoded: BRK.B is `BRK%2EB`. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import quote

from bus.alerts import Action, AgentAction, Alert, Severity

SEPARATOR: Final = "."
#: Bytes that any topic of ours stays below: 64 characters of a symbol, percent-encoded at worst.
TOPIC_LIMIT_BYTES: Final = 1024
#: The first two levels of every topic there is; they are the label of `alertbus_alerts_received_total`.
KNOWN_LEVELS: Final = tuple(
    [f"severity.{severity}" for severity in Severity] + [f"action.{action}" for action in Action]
)
#: The label for whatever a foreign publisher writes.
OTHER_LEVELS: Final = "other"


def topic_of(alert: Alert) -> str:
    """Return the topic under which an alert is published."""
    if isinstance(alert, AgentAction):
        return subscription_prefix("action", alert.action, alert.symbol)
    return subscription_prefix("severity", alert.severity, alert.symbol)


def subscription_prefix(*levels: str | None) -> str:
    """Return what to subscribe to for everything below these levels, for example ("severity", "CRITICAL")."""
    return "".join(_escaped(level) + SEPARATOR for level in levels if level)


def two_levels(topic: str) -> str:
    """Cut a topic to its first two levels, or to `other`, so that a metric's label values stay few."""
    parts = topic.split(SEPARATOR, 2)
    levels = SEPARATOR.join(parts[:2])
    return levels if levels in KNOWN_LEVELS else OTHER_LEVELS


@lru_cache(maxsize=4096)
def _escaped(level: str) -> str:
    return quote(level, safe="-_^=:").replace(SEPARATOR, "%2E")
