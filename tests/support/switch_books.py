"""Books of channels that are switched off and on: what is planned, who sends it, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from bus.alerts import Alert
from subscriber.deliveries import (
    Delivery,
    PlannedDelivery,
)
from subscriber.store import Store
from tests.support.alerts import STREAM, incoming, risk_event

CHANNELS: Final = ("telegram", "whatsapp", "desk")
DISABLED: Final = ("suppressed", "disabled")
WAITS: Final = ("pending", None)


class Books:
    """Stores alerts under the next numbers, and says where they stand."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._numbers = 0
        store.begin(STREAM, "trader-1", 1)

    def add(self, *channels: str, severity: str = "CRITICAL", planned: Sequence[PlannedDelivery] = ()) -> Alert:
        """Store an alert for some channels."""
        self._numbers += 1
        alert = risk_event(severity=severity)
        item = incoming(alert, self._numbers, *channels, planned=tuple(planned)) if planned else None
        self.store.accept([item or incoming(alert, self._numbers, *channels)], {STREAM: self._numbers})
        return alert

    def off(self, *channels: str) -> None:
        """Switch channels off; nothing is settled by that."""
        for channel in channels:
            self.store.switch_channel(channel, enabled=False, author="kim", via="api")

    def on(self, channel: str) -> None:
        """Switch a channel on."""
        self.store.switch_channel(channel, enabled=True, author="kim", via="api")

    def settle(self, channels: Sequence[str] = CHANNELS) -> tuple[dict[str, int], dict[str, int]]:
        """Settle what there is; return what was suppressed, and what was handed over."""
        done = self.store.settle_switched_off(channels, 500)
        return dict(done.suppressed), dict(done.handed_over)

    def story(self, alert: Alert) -> dict[tuple[str, str], tuple[str, str | None]]:
        """Return an alert's deliveries: (channel, step) to (status, why)."""
        return {(row["channel"], row["step"]): (row["status"], row["why"]) for row in self.rows(alert.id)}

    def rows(self, alert_id: UUID) -> list[dict[str, Any]]:
        """Return an alert's deliveries with their attempts."""
        story = self.store.story(alert_id)
        assert story is not None
        rows: list[dict[str, Any]] = story["deliveries"]
        return rows

    def claim(self, channel: str = "telegram", lease_seconds: float = 60.0) -> Delivery:
        """Claim what is due next."""
        (delivery,) = self.store.claim(channel, "worker", lease_seconds, 1)
        return delivery

    def balanced(self) -> None:
        """Make sure that the ledger balances."""
        assert self.store.audit().faults == ()
