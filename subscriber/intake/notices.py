"""What intake says about odd things: counted, logged once per reason and minute, told to people where it matters."""

from __future__ import annotations

import logging
from typing import Final
from uuid import UUID

from bus.alerts import Severity, SystemEvent
from bus.clock import Clock
from subscriber.deliveries import system_event_id
from subscriber.intake.announcing import Announcer
from subscriber.logs import OncePerMinute
from subscriber.monitoring.metrics import Metrics

logger = logging.getLogger(__name__)

#: Events that are known to be told already; beyond it the store finds out by their ids.
_MOST_TOLD: Final = 10_000


class Notices:
    """Counts, logs and tells. Used by the ingest thread."""

    def __init__(self, announcer: Announcer, metrics: Metrics, clock: Clock, store_id: str) -> None:
        """Store what is needed."""
        self._announcer = announcer
        self._metrics = metrics
        self._once = OncePerMinute(clock)
        self._store_id = store_id
        self._told: set[UUID] = set()

    def invalid(self, reason: str, text: str) -> None:
        """Count and log a message that was not as it must be; `reason` is one of `bus.wire.INVALID_REASONS`."""
        self._metrics.invalid(reason)
        self.warn(reason, text)

    def warn(self, reason: str, text: str) -> None:
        """Log a warning, once per reason and minute; the next line says how many were held back."""
        held_back = self._once.held_back(reason)
        if held_back is not None:
            logger.warning(text, extra={"reason": reason, "held_back": held_back})

    def failed(self, text: str, error: Exception) -> None:
        """Log an exception that a bug of ours raised, once per text and minute."""
        held_back = self._once.held_back(text)
        if held_back is not None:
            logger.error(text, extra={"held_back": held_back}, exc_info=error)

    def tell(self, event_type: str, description: str, *about: str) -> None:
        """Tell people, as CRITICAL; the same event about the same thing is told once, however often it is seen."""
        event = SystemEvent(
            id=system_event_id(event_type, self._store_id, *about),
            source="alertbus",
            event_type=event_type,
            severity=Severity.CRITICAL,
            description=description,
        )
        if event.id in self._told:
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._announcer.announce(event)
        self._told.add(event.id)
