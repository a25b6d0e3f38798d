"""One daemon of a scenario: all that a service is made of, on a database, taken through its turns by hand.

Nothing runs by itself: no thread, no socket of the bus. An alert goes the way of what the intake has taken from it; the
workers and the housekeeping do what they can when they are told to, and say how long nothing more can be done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from sqlalchemy import func, select

from bus.alerts import Alert
from bus.clock import MICROSECONDS, shift_of
from subscriber.assembly import Assembly
from subscriber.policy_desk import PolicyDesk
from subscriber.reloading import Reloaded
from subscriber.service import RunOptions, Service
from subscriber.settings import SubscriberSettings
from subscriber.store import Store, schema
from tests.support.alerts import STREAM, incoming
from tests.support.clock import FakeClock
from tests.support.worker_bench import HighestJitter

#: A worker's turn says how long nothing can be done, up to this: longer than any scenario.
_NEVER_SECONDS: Final = 366 * 86_400.0
#: Where a channel is not up, what follows from that is looked for so often.
_DOWN_SECONDS: Final = 30.0


class ScenarioDaemon:
    """A daemon whose time is a test's."""

    def __init__(self, environ: Mapping[str, str], clock: FakeClock) -> None:
        """Begin as a daemon does on the database that it finds.

        Args:
            environ: Its whole configuration.
            clock: The scenario's.
        """

        def read() -> SubscriberSettings:
            return SubscriberSettings.from_environment(environ, env_file=None)

        self._service = Service(
            read(),
            RunOptions(interval_seconds=_NEVER_SECONDS),
            say=lambda _text: None,
            clock=clock,
            rng=HighestJitter(),
            reread=read,
        )
        self.store: Store = self._service._store
        with ExitStack() as stack:  # closes what is open where the rest can't be built
            stack.enter_context(self.store)
            self._service._timekeeper.begin()
            self.parts = self._begin()
            stack.pop_all()

    def _begin(self) -> Assembly:
        """Build what a service builds, and do what it does before its workers start."""
        service = self._service
        parts = service._parts = Assembly(
            service._settings,
            service._configs,
            service._rules,
            self.store,
            clock=service._clock,
            rng=service._rng,
            dry_run=False,
            interval_seconds=_NEVER_SECONDS,
            show_rehearsal=service._show_rehearsal,
        )
        service._set_up_policy()
        parts.settle_other_channels()
        for worker in parts.workers:
            self.store.release_worker(worker.name)
        return parts

    @property
    def policy(self) -> PolicyDesk:
        """What people do with it."""
        return self._service._policy

    def close(self, *, killed: bool = False) -> None:
        """End; one that is killed gives back nothing."""
        if not killed:
            for worker in self.parts.workers:
                self.store.release_worker(worker.name)
        for ears in self._service._ears:
            ears.stop()
        self.parts.close()
        self.store.close()

    # --- what comes in --------------------------------------------------------------------------------------

    def take(self, alerts: Sequence[Alert], first: int) -> None:
        """Store alerts of one publisher, numbered from `first` on, as one batch."""
        clock = self._service._clock
        now_us, shift_us = clock.now_us(), shift_of(clock)
        if first == 1:
            self.store.begin(STREAM, "trader-1", 1)
        batch = [
            replace(
                incoming(alert, first + place, published_us=now_us, planned=self.parts.plan(alert)), shift_us=shift_us
            )
            for place, alert in enumerate(alerts)
        ]
        self.parts.announcer.stored(self.store.accept(batch))

    def hear(self) -> None:
        """Take what people wrote and pressed in Telegram, and do it."""
        for ears in self._service._ears:
            ears._turn()

    def reload(self) -> Reloaded:
        """Read the file again."""
        return self._service._reloader.reload("file", "")

    # --- its turns ------------------------------------------------------------------------------------------

    def turn(self) -> tuple[bool, float]:
        """Do all that can be done now; say whether anything was, and the seconds until something can be."""
        self._keep_house()
        done, wait = False, _NEVER_SECONDS
        for worker in self.parts.workers:
            while (seconds := worker._turn()) <= 0:
                done = True
            wait = min(wait, seconds)
        if any(not desk.up for desk in self.parts.desks.values()):
            wait = min(wait, _DOWN_SECONDS)
        return done, min(wait, self._duties_seconds())

    def _keep_house(self) -> None:
        """Do once what the housekeeping thread does each second."""
        self._service._timekeeper.look()
        self.parts.announcer.retry()
        self._service._reloader.look()
        self.parts.book.refresh()
        self._service._duties.turn()
        self.parts.measure()

    def _duties_seconds(self) -> float:
        """Return the seconds until the next turn of an escalation, or the next end of a silence."""
        now_us = self._service._clock.now_us()
        escalation, silence = schema.escalation.c, schema.silence.c
        turns = select(func.min(escalation.due_us)).where(escalation.ended_us.is_(None), escalation.due_us > now_us)
        ends = select(func.min(silence.ends_us)).where(silence.ended_us.is_(None), silence.ends_us > now_us)
        with self.store.database.reading() as connection:
            times = [time_us for statement in (turns, ends) if (time_us := connection.scalar(statement)) is not None]
        return min(((time_us - now_us) / MICROSECONDS for time_us in times), default=_NEVER_SECONDS)
