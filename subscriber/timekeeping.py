"""Keeps the daemon's time: notices a wall clock that was set, and moves what waits by as much.

A running daemon's clock can't be set (`bus.clock.SteadyClock`); here it follows the wall clock, first having moved what
waits, so that nothing is due, overdue or too old because somebody set a clock. Used by the housekeeping thread.
"""

from __future__ import annotations

import logging
from typing import Final

from bus.clock import MICROSECONDS, SteadyClock
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

#: A clock that is corrected by slewing moves by far less between two looks; this is a clock that was set.
_STEP_US: Final = 2 * MICROSECONDS
#: How often the store is told what time it is.
_NOTE_SECONDS: Final = 10.0


class Timekeeper:
    """Follows the wall clock."""

    def __init__(self, store: Store, clock: SteadyClock) -> None:
        """Keep what is needed."""
        self._store = store
        self._clock = clock
        self._note_at = float("-inf")

    def begin(self) -> None:
        """Move what waits if the wall clock was set back while no daemon ran.

        A clock that was set forward meanwhile can't be told from a long outage.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        back_us = self._store.clock_went_back()
        if back_us:
            self._move(-back_us)
        self._store.note_clock()

    def look(self) -> None:
        """Follow the wall clock.

        Raises:
            StoreError: The database can't be used at the moment; the clock stays as it is until it can.
        """
        step_us = self._clock.step_us()
        if abs(step_us) > _STEP_US:
            self._move(step_us)
        self._clock.anchor()
        now = self._clock.monotonic()
        if abs(step_us) > _STEP_US or now >= self._note_at:
            self._note_at = now + _NOTE_SECONDS
            self._store.note_clock()

    def _move(self, step_us: int) -> None:
        self._store.move_waiting(step_us)
        logger.warning(
            "the wall clock was set; what waits was moved with it", extra={"seconds": round(step_us / MICROSECONDS, 1)}
        )
