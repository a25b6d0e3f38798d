"""Keeps the daemon's time: notices a wall clock that was set, and moves what waits by as much.

A running daemon's clock can't be set (`bus.clock.SteadyClock`); here it follows the wall clock, first having moved what
waits, so that nothing is due, overdue or too old because somebody set a clock. Used by the housekeeping thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bus.clock import MICROSECONDS, Moment, SteadyClock, boot_id
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

#: A clock that is corrected by slewing moves by far less between two looks; this is a clock that was set.
_STEP_US: Final = 2 * MICROSECONDS
#: How often the store is told what time it is.
_NOTE_SECONDS: Final = 10.0
#: How long a clock that was set is not trusted with what can't be undone.
_DISTRUST_US: Final = 86_400 * MICROSECONDS


class Timekeeper:
    """Follows the wall clock."""

    def __init__(self, store: Store, clock: SteadyClock, boot: str | None = None) -> None:
        """Keep what is needed.

        Args:
            store: Where what waits is moved.
            clock: The daemon's.
            boot: Which start of the machine this is; the system is asked when it is left out.
        """
        #: Hears by how many microseconds the wall clock was set while the daemon runs.
        self.on_step: Callable[[int], None] = lambda _step_us: None
        self._store = store
        self._clock = clock
        self._boot = boot_id() if boot is None else boot
        self._note_at = float("-inf")

    def begin(self) -> None:
        """Move what waits if the wall clock was set while no daemon ran.

        Since a machine's start its monotonic clock says how long that was. Across two starts only a clock that went
        back is noticed; one that was set forward meanwhile can't be told from a long outage.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        noted, now = self._store.noted_clock(), self._note()
        if noted is not None:
            unset_us = noted.unset_us(now)
            step_us = now.wall_us - (noted.wall_us if unset_us is None else unset_us)
            if abs(step_us) > _STEP_US and (unset_us is not None or step_us < 0):
                self._move(step_us)
                return
        self._store.note_clock(now)

    def look(self) -> None:
        """Follow the wall clock.

        Raises:
            StoreError: The database can't be used at the moment; the clock stays as it is until it can.
        """
        with self._store.database.alone():  # what others write before or after has its times by one clock
            step_us = self._clock.step_us()
            if abs(step_us) > _STEP_US:
                self._move(step_us)
                self.on_step(step_us)
            self._clock.anchor()
        if self._clock.monotonic() >= self._note_at:
            self._note_at = self._clock.monotonic() + _NOTE_SECONDS
            self._store.note_clock(self._note())

    def trusts(self) -> bool:
        """Whether the clock may be believed where that can't be undone: it was not set within the last day.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        set_us = self._store.clock_set_us()
        return set_us is None or not abs(self._clock.now_us() - set_us) < _DISTRUST_US

    def _move(self, step_us: int) -> None:
        noted = self._note()
        self._store.move_waiting(step_us, noted)
        logger.warning(
            "the wall clock was set; what waits was moved with it", extra={"seconds": round(step_us / MICROSECONDS, 1)}
        )

    def _note(self) -> Moment:
        """Read the wall clock itself, which may be ahead of the daemon's time."""
        steady = Moment.now(self._clock, self._boot)
        return replace(steady, wall_us=steady.wall_us + self._clock.step_us())
