"""Moves what waits when this machine's wall clock is set, so that nothing becomes due, or too old, by that alone.

On SQLite every time of a delivery is this machine's. On PostgreSQL the daemons of several machines share them, so a
clock that is set on one of them moves nothing.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, bindparam, update

from subscriber.store import schema
from subscriber.store.settings import Settings

_queue: Final = schema.notification_queue
#: When a daemon of this database last looked at its clock.
_CLOCK: Final = "clock_us"
#: A clock that stands by so much before the time at which it was last looked at was set back.
_TOLERANCE_US: Final = 2_000_000


class Anchoring(Settings):
    """Times that follow the wall clock."""

    def note_clock(self) -> None:
        """Remember the time, for `clock_went_back` after a restart.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        self.remember(_CLOCK, str(self._now_us()), forgettable=True)

    def clock_went_back(self) -> int:
        """Return by how many microseconds at least the clock was set back since a daemon looked at it, or 0.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        noted = self.setting(_CLOCK)
        back_us = int(noted) - self._now_us() if noted is not None and not self.database.is_postgresql else 0
        return back_us if back_us > _TOLERANCE_US else 0

    def move_waiting(self, step_us: int) -> None:
        """Move the times of everything that waits by what the wall clock was set forward; negative for back.

        Raises:
            StoreError: The database can't be used at the moment; nothing was moved.
        """
        if self.database.is_postgresql:
            return
        with self.database.writing() as connection:
            connection.execute(_move, {"moved_us": step_us})


_step: Final = bindparam("moved_us", type_=BigInteger)
_move: Final = (
    update(_queue)
    .where(schema.OPEN)
    .values(
        due_at=_queue.c.due_at + _step,
        published_us=_queue.c.published_us + _step,
        lease_until=_queue.c.lease_until + _step,
    )
)
