"""Test alerts of a running daemon: to channels, or where its routes send an alert."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from bus.alerts import Alert
from subscriber.assembly import Assembly
from subscriber.trial import DEFAULT_TEXT, Trial


class TryingOut:
    """What a person tests of one daemon. Any thread may call it."""

    def __init__(self, parts: Assembly, stopping: threading.Event) -> None:
        """Keep what is needed.

        Args:
            parts: Of the daemon.
            stopping: Nothing is waited for once it is set.
        """
        self._parts = parts
        self._trial = Trial(
            parts.store,
            parts.announcer.announce,
            parts.clock,
            dry_run=parts.dry_run,
            desks=parts.desks,
            stopping=stopping,
        )

    def channels(self, names: tuple[str, ...], text: str | None) -> dict[str, Any]:
        """Tell a test alert on channels, and say for each what became of it.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        return self._trial.run(names, self._parts.enabled(), text or DEFAULT_TEXT)

    def routed(self, alert: Alert, text: str | None, names: Iterable[str] | None) -> dict[str, Any]:
        """Tell a test alert as the routes send such an alert, and say what became of it.

        Args:
            alert: Such a one.
            text: What the message says behind its mark.
            names: The channels in place of where the routes send it; None for these.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        return self._trial.run_routed(
            alert, lambda each: self._parts.book.plan(each, names), self._parts.enabled(), text
        )
