"""Adds and ends silences, and lets what they held, or what still holds of what they dropped, be told at their end.

A silence is a promise to people, by the wall clock. What it holds waits by itself until its end; so nothing has to be
done for it then, and a daemon that was down meanwhile tells it when it starts.

Lock order: the silence, then deliveries by their ids.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Connection, bindparam, case, insert, select, update

from bus.clock import MICROSECONDS
from subscriber.deliveries import DeliveryState, Why
from subscriber.store import schema
from subscriber.store.changes import ChangeKind, json_text, note_change
from subscriber.store.conditions import still_holding
from subscriber.store.database import repeated
from subscriber.store.held import Freed, HeldBy, Holding, open_silences_of, plan_anew
from subscriber.store.part import StorePart, storable
from subscriber.store.silences import Finished, NewSilence, Silence, silence_from

#: A condition whose newest alert came so shortly before a silence's end still holds.
STILL_TRUE_US: Final = 10 * 60 * MICROSECONDS
#: For so long after its end somebody who did not know of it may still store what it holds.
_UNKNOWN_END_US: Final = 3600 * MICROSECONDS

_queue: Final = schema.notification_queue
_silence: Final = schema.silence


class Silencing(StorePart):
    """Silences."""

    def add_silence(self, new: NewSilence, via: str) -> Silence:
        """Store a silence, and who asked for it.

        Args:
            new: What it says; its matchers were checked by the caller.
            via: By which way: api, cli, page or telegram.

        Raises:
            ValueError: It ends before it starts.
            StoreError: The database can't be used at the moment; nothing was stored.
        """
        if new.ends_us <= new.starts_us:
            raise ValueError("A silence ends after its start.")
        now_us = self._now_us()
        values = {
            "matchers": json_text(new.matchers),
            "author": storable(new.author),
            "via": via,
            "reason": storable(new.reason),
            "created_us": now_us,
            "starts_us": new.starts_us,
            "ends_us": new.ends_us,
            "drops": new.drops,
            "lets_critical": new.lets_critical,
        }
        with self.database.writing() as connection:
            silence = silence_from(connection.execute(_insert, values).one())
            detail = {name: value for name, value in silence.fields().items() if not name.startswith("ended")}
            note_change(connection, ChangeKind.SILENCE_ADDED, new.author, via, detail, now_us)
        return silence

    @repeated
    def end_silence(
        self,
        id: int,  # noqa: A002 - the contract's name
        by: str,
        via: str,
        holding: Holding,
        still_true_us: int = STILL_TRUE_US,
    ) -> Finished | None:
        """End a silence now: what it held is due, and what it dropped and still holds is told, as at its own end.

        What quiet hours or another silence hold as well stays until their end.

        Args:
            id: Which one.
            by: Who ends it.
            via: By which way: api, cli, page or telegram.
            holding: What the rules in force hold.
            still_true_us: As for `finish_silence`.

        Returns:
            What follows; None where there is none that is open.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        now_us = self._now_us()
        with self.database.writing() as connection:
            row = connection.execute(_end, {"which": id, "now_us": now_us, "whom": storable(by)}).one_or_none()
            if row is None:
                return None
            silence = silence_from(row)
            held_by = holding.held_by(open_silences_of(connection), now_us)
            held = connection.scalars(_held_by, {"held_by": silence.batch, "now_us": now_us}).all()
            plan_anew(connection, held, held_by, now_us)
            note_change(connection, ChangeKind.SILENCE_ENDED, by, via, {"id": silence.id}, now_us)
            return Finished(silence, _tell_again(connection, silence, held_by, now_us, still_true_us))

    def silences(self, *, ended: bool = False, limit: int = 100, before: int | None = None) -> list[Silence]:
        """Return silences, the newest first.

        Args:
            ended: Those that have ended, too.
            limit: How many at most.
            before: The `id` of the last one of the page before.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        wanted = select(_silence).order_by(_silence.c.id.desc()).limit(limit)
        if not ended:
            wanted = wanted.where(schema.UNENDED)
        if before is not None:
            wanted = wanted.where(_silence.c.id < before)
        with self.database.reading() as connection:
            return [silence_from(row) for row in connection.execute(wanted)]

    def open_silences(self) -> list[Silence]:
        """Return all that have not ended, in the order of their making; some may begin later, or be over since.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return open_silences_of(connection)

    def over_silences(self) -> list[Silence]:
        """Return those whose time is over and whose end nobody noted yet: what `finish_silence` is for.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return [silence_from(row) for row in connection.execute(_over, {"now_us": self._now_us()})]

    @repeated
    def finish_silence(
        self,
        id: int,  # noqa: A002 - the contract's name
        holding: Holding,
        still_true_us: int = STILL_TRUE_US,
    ) -> Finished | None:
        """Note that a silence is over; where it dropped, what still holds is told again, once for each condition.

        A condition still holds when its newest alert came at most `still_true_us` before the end, or is an event of the
        daemon's own that nothing resolved; not where a person acknowledged that alert. What quiet hours or another
        silence hold is told again at their end.

        Args:
            id: Which one.
            holding: What the rules in force hold.
            still_true_us: Microseconds.

        Returns:
            What follows; None where another daemon was quicker, or it is not over.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        now_us = self._now_us()
        with self.database.writing() as connection:
            row = connection.execute(_finish, {"which": id, "now_us": now_us, "whom": None}).one_or_none()
            if row is None:
                return None
            silence = silence_from(row)
            held_by = holding.held_by(open_silences_of(connection), now_us)
            return Finished(silence, _tell_again(connection, silence, held_by, now_us, still_true_us))

    @repeated
    def free_stragglers(self, holding: Holding) -> Freed:
        """Let be told what was stored under a silence after its end, by somebody who did not know of that yet.

        Cheap where there is nothing of the kind. Harmless when several daemons do it.

        Args:
            holding: What the rules in force hold.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        now_us = self._now_us()
        given = {"now_us": now_us, "since_us": now_us - _UNKNOWN_END_US}
        with self.database.reading() as connection:  # nearly always there is nothing to do, and no lock is taken
            ended = [silence_from(row) for row in connection.execute(_lately_ended, given)]
            late = [silence for silence in ended if connection.execute(_straggling, _about(silence, now_us)).first()]
        if not late:
            return Freed({}, {})
        with self.database.writing() as connection:
            held_by = holding.held_by(open_silences_of(connection), now_us)
            found = [connection.scalars(_stragglers, _about(silence, now_us)).all() for silence in late]
            return plan_anew(connection, [number for some in found for number in some], held_by, now_us)


def _about(silence: Silence, now_us: int) -> dict[str, Any]:
    return {
        "held_by": silence.batch,
        "until_us": silence.ends_us,
        "end_us": silence.ended_us,
        "now_us": now_us,
    }


def _tell_again(
    connection: Connection, silence: Silence, held_by: HeldBy, now_us: int, still_true_us: int
) -> dict[str, int]:
    if not silence.drops:
        return {}
    end_us = now_us if silence.ended_us is None else silence.ended_us
    again = still_holding(connection, silence.batch, end_us - still_true_us)
    return plan_anew(connection, again, held_by, now_us).reopened


_now: Final = bindparam("now_us", type_=BigInteger)
_pending: Final = DeliveryState.PENDING.value
_insert: Final = insert(_silence).returning(*_silence.c)
_over: Final = select(_silence).where(schema.UNENDED, _silence.c.ends_us <= _now).order_by(_silence.c.id)
_end: Final = (
    update(_silence)
    .where(_silence.c.id == bindparam("which"), schema.UNENDED)
    .values(ended_us=case((_silence.c.ends_us < _now, _silence.c.ends_us), else_=_now), ended_by=bindparam("whom"))
    .returning(*_silence.c)
)
_finish: Final = _end.where(_silence.c.ends_us <= _now)
_lately_ended: Final = (
    select(_silence)
    .where(
        _silence.c.ended_us.is_not(None),
        (_silence.c.ended_us >= bindparam("since_us")) | (_silence.c.ends_us > _now),
    )
    .order_by(_silence.c.id)
)
_batch: Final = _queue.c.batch == bindparam("held_by")
_is_held: Final = (
    (_queue.c.status == _pending)
    & (_queue.c.due_at > _now)
    & (_queue.c.open_attempt.is_(None) & (_queue.c.retries == 0))
)
_is_held_late: Final = _is_held & (_queue.c.due_at <= bindparam("until_us"))
_is_dropped: Final = (_queue.c.status == DeliveryState.SUPPRESSED.value) & (_queue.c.why == Why.SILENCE.value)
_is_dropped_late: Final = _is_dropped & (_queue.c.created_at > bindparam("end_us"))
_stragglers: Final = select(_queue.c.id).where(_batch, _is_held_late | _is_dropped_late)
_straggling: Final = _stragglers.limit(1)
_held_by: Final = select(_queue.c.id).where(_batch, _is_held)
