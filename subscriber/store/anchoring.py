"""Moves what waits when this machine's wall clock is set, so that nothing becomes due, or too old, by that alone.

On SQLite every time of a delivery is this machine's. On PostgreSQL the daemons of several machines share them, so a
clock that is set on one of them moves nothing.

What people chose by the wall clock does not move: the ends of quiet hours and silences, and what they hold until then.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Connection, and_, bindparam, case, or_, update

from bus.clock import Moment
from subscriber.store import schema
from subscriber.store.incoming import HELD_BATCHES
from subscriber.store.settings import Settings, write_setting

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_memory: Final = schema.channel_memory
_dedup_window: Final = schema.dedup_window
_group_window: Final = schema.group_window
_escalation: Final = schema.escalation
_NOTED: Final = "clock"
_SET_AT: Final = "clock_set_us"


class Anchoring(Settings):
    """Times that follow the wall clock."""

    def note_clock(self, note: Moment) -> None:
        """Remember what the clocks say, for `noted_clock` after a restart.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.writing(forgettable=True) as connection:
            self._note(connection, note)

    def noted_clock(self) -> Moment | None:
        """Return what the clocks said last; None where nobody noted it, and on PostgreSQL.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        noted = None if self.database.is_postgresql else self.setting(_NOTED)
        return None if noted is None else Moment.of(noted)

    def clock_set_us(self) -> int | None:
        """Return when the wall clock was last seen to have been set, by the clock as it was then; None for never.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        moment = self.setting(_SET_AT)
        return None if moment is None else int(moment)

    def move_waiting(self, step_us: int, note: Moment) -> None:
        """Move the times of everything that waits by what the wall clock was set forward; negative for back.

        Args:
            step_us: By how much.
            note: What the clocks say now; it is remembered in the same transaction, so that nothing is moved twice.

        Raises:
            StoreError: The database can't be used at the moment; nothing was moved.
        """
        with self.database.writing() as connection:
            if not self.database.is_postgresql:
                given = {"moved_us": step_us, "unset_us": note.wall_us - step_us}
                for statement in _moves:
                    connection.execute(statement, given)
            self._note(connection, note)
            write_setting(self.database, connection, _SET_AT, str(note.wall_us), note.wall_us)

    def _note(self, connection: Connection, note: Moment) -> None:
        write_setting(self.database, connection, _NOTED, note.text(), note.wall_us)


_step: Final = bindparam("moved_us", type_=BigInteger)
#: What is held until a time that people chose, and that was still to come before the clock was set.
_is_held: Final = and_(
    or_(*(_queue.c.batch.like(f"{batch}%") for batch in HELD_BATCHES)),
    _queue.c.due_at > bindparam("unset_us", type_=BigInteger),
    _queue.c.last_reason.is_(None),
)
_moves: Final = (
    update(_queue)
    .where(schema.OPEN)
    .values(
        due_at=case((_is_held, _queue.c.due_at), else_=_queue.c.due_at + _step),
        **{name: _queue.c[name] + _step for name in ("published_us", "lease_until", "expires_at", "more_since")},
    ),
    update(_attempt)
    .where(schema.UNTOLD)
    .values({name: _attempt.c[name] + _step for name in ("receipt_due", "receipt_until")}),
    update(_memory).values({name: _memory.c[name] + _step for name in ("held_until", "inbound", "outside")}),
    update(_dedup_window).values(until_us=_dedup_window.c.until_us + _step),
    update(_group_window).values(flush_us=_group_window.c.flush_us + _step),
    update(_escalation).where(schema.UNENDED).values(due_us=_escalation.c.due_us + _step),
)
