"""Whoever publishes in the day, and waits until it is told: alerts that can be told apart, noted in the ledger."""

from __future__ import annotations

import itertools
import time
from typing import Any, Final

from bus.alerts import Alert
from publisher import AgentAction, RiskEvent
from tests.dashboards.live.town import Town

TAKEN_SECONDS: Final = 30.0


class Author:
    """Makes alerts and publishes them."""

    def __init__(self, town: Town) -> None:
        """Nothing happens yet."""
        self.town = town
        self.ledger = town.ledger
        self._marks = itertools.count(1)

    def risk(self, event_type: str, severity: str = "WARNING", **fields: Any) -> RiskEvent:
        """Make a risk event with a mark in its text that no other alert has."""
        given = {"agent_name": "ppo-1", "symbol": "TNA", "value": 12.4, "threshold": 10.0, **fields}
        return RiskEvent(event_type=event_type, severity=severity, source="trader", description=self._mark(), **given)

    def trade(self, action: str, quantity: float) -> AgentAction:
        """Make a trade with such a mark."""
        return AgentAction(
            action=action,
            quantity=quantity,
            price=41.2,
            agent_name="ppo-1",
            symbol="TNA",
            source="trader",
            rationale=self._mark(),
        )

    def _mark(self) -> str:
        return f"mark-{next(self._marks):04d}"

    def publish(self, *alerts: Alert) -> None:
        """Publish alerts and see that a daemon has stored them."""
        for alert in alerts:
            self.ledger.publish(alert, time.time())
            assert self.town.trader.publish(alert)
        self.town.until(self.acknowledged_all, TAKEN_SECONDS)

    def acknowledged_all(self) -> bool:
        stats = self.town.trader.stats()
        return stats.queued == 0 and stats.unacknowledged == 0

    def untold(self, *alerts: Alert) -> tuple[Alert, ...]:
        """Note alerts that no provider takes, and return them."""
        self.ledger.untold |= {str(alert.id) for alert in alerts}
        return alerts

    def settled(self, *channels: str) -> None:
        """Wait until no delivery of some channels waits to be sent."""

        def nothing_waits() -> bool:
            return not any(
                delivery["status"] in {"pending", "in_doubt"}
                for entry in self.town.daemon.history()
                for delivery in entry["deliveries"]
                if delivery["channel"] in channels
            )

        self.town.asked_until(nothing_waits)
