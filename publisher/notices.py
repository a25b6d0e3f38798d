"""What is to be told of journals: alerts of the publisher's own, for the trader must not be the one who finds out."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from bus.alerts import Severity, SystemEvent

logger = logging.getLogger(__name__)


class Notices:
    """Collects events until the sender publishes them. Used by the sender's thread alone."""

    def __init__(self, source: str) -> None:
        """Tell in the name of a publisher."""
        self._source = source
        #: What happened, still to be published.
        self.events: list[SystemEvent] = []

    def tell(
        self, event_type: str, description: str, severity: Severity = Severity.CRITICAL, **fields: Any
    ) -> SystemEvent:
        """Log an event and keep it for publishing.

        Args:
            event_type: What happened, like `JOURNAL_FAILED`.
            description: What a person should read.
            severity: CRITICAL, or INFO for the end of something.
            fields: Of the event: `resolves`, the event that this one ends, or an `id` that is the same each time.
        """
        event = SystemEvent(
            event_type=event_type, severity=severity, source=self._source, description=description, **fields
        )
        self.events.append(event)
        level = logging.CRITICAL if severity is Severity.CRITICAL else logging.INFO
        with suppress(Exception):  # a handler of the trader's may raise
            logger.log(level, "%s: %s", event_type, description)
        return event

    def take(self) -> list[SystemEvent]:
        """Return what is to be published now, once."""
        events, self.events = self.events, []
        return events
