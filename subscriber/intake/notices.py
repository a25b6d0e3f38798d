"""What intake says about odd things: counted, logged once per reason and minute, told to people where it matters."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from bus.alerts import Severity, SystemEvent
from bus.clock import Clock
from subscriber.deliveries import system_event_id
from subscriber.intake.accounts import DAEMON_SOURCE
from subscriber.intake.announcing import Announcer
from subscriber.logs import OncePerMinute
from subscriber.monitoring.metrics import Metrics
from subscriber.store.incoming import Incoming
from subscriber.store.numbering import Range
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

#: Events that are known to be told already; beyond it the store finds out by their ids.
_MOST_TOLD: Final = 10_000


class Notices:
    """Counts, logs and tells. Used by the ingest thread."""

    def __init__(self, store: Store, announcer: Announcer, metrics: Metrics, clock: Clock) -> None:
        """Store what is needed."""
        self._store = store
        self._announcer = announcer
        self._metrics = metrics
        self._once = OncePerMinute(clock)
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
        event = self._event(event_type, description, *about)
        if event.id in self._told:
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._announcer.announce(event)
        self._told.add(event.id)

    def lose(self, stream: bytes, ranges: Sequence[Range], source: str, why: str) -> None:
        """Record what of these numbers is really missing as lost, and tell people in the same transaction.

        Raises:
            StoreError: The database can't be used at the moment; nothing was recorded.
        """
        made: list[Incoming] = []

        def telling(lost: Sequence[Range]) -> Incoming:
            count = sum(last - first + 1 for first, last in lost)
            made.append(
                self._announcer.incoming(
                    self._event(
                        "ALERTS_LOST",
                        f"{count} alerts of {source or 'a publisher'} are lost ({why}), between the numbers "
                        f"{lost[0][0]} and {lost[-1][1]} of the stream {stream.hex()}.",
                        stream.hex(),
                        str(lost[0][0]),
                        str(lost[-1][1]),
                    )
                )
            )
            return made[-1]

        lost = self._store.record_lost(stream, ranges, why, telling)
        self._metrics.lost(sum(last - first + 1 for first, last in lost.ranges))
        self._announcer.stored(lost.told)

    def _event(self, event_type: str, description: str, *about: str) -> SystemEvent:
        return SystemEvent(
            id=system_event_id(event_type, self._store.store_id, *about),
            source=DAEMON_SOURCE,
            event_type=event_type,
            severity=Severity.CRITICAL,
            description=description,
        )
