"""Watches over publishers: tells people of each that fell silent, hangs or failed, once, and of the end of it.

The store knows what was told, so a restarted daemon, and several daemons of one database, tell nothing twice. Used by
the ingest thread alone, which has heard all there was to hear when it looks.
"""

from __future__ import annotations

import logging
from datetime import UTC, tzinfo
from typing import Final

from bus.alerts import SystemEvent
from bus.clock import MICROSECONDS, Clock
from bus.errors import AlertBusError
from bus.wire import Goodbye, Heartbeat
from subscriber.intake import accounts
from subscriber.intake.announcing import Announcer
from subscriber.intake.liveness import Liveness
from subscriber.logs import OncePerMinute
from subscriber.monitoring.metrics import Metrics
from subscriber.policy.market_hours import MarketHours
from subscriber.store.incoming import Incoming
from subscriber.store.inserting import Accepted
from subscriber.store.store import Store
from subscriber.store.streams import StreamState

logger = logging.getLogger(__name__)

#: Looks at the publishers in one timeout, and how far they are apart at most.
_LOOKS: Final = 20
_LONGEST_SECONDS: Final = 0.5


class Vigil:
    """Hears who lives, judges who does not, and tells."""

    def __init__(
        self,
        *,
        store: Store,
        announcer: Announcer,
        metrics: Metrics,
        clock: Clock,
        timeout_seconds: float,
        market_hours: MarketHours | None = None,
        zone: tzinfo = UTC,
    ) -> None:
        """Store what is needed.

        Args:
            store: Knows what was told.
            announcer: Tells.
            metrics: Shows whom people were told of.
            clock: The daemon's.
            timeout_seconds: How long a publisher may be silent.
            market_hours: When silence and hung loops are told; None is always.
            zone: The time zone of times in messages.
        """
        self._store = store
        self._announcer = announcer
        self._metrics = metrics
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._hours = market_hours
        self._zone = zone
        self._liveness = Liveness(timeout_seconds)
        self._once = OncePerMinute(clock)
        self._look_at = float("-inf")
        #: Streams told of whose publisher was started anew, as the store knows.
        self._succeeded: frozenset[bytes] = frozenset()
        #: By stream, monotonic seconds of the first heartbeat of its own publisher.
        self._began: dict[bytes, float] = {}
        #: The last heartbeats of each stream's own publisher, and of whoever adopted it.
        self._own: dict[bytes, Heartbeat] = {}
        self._adopted: dict[bytes, Heartbeat] = {}
        #: Sources whose silence people were told of, and those whose hung loop they were told of.
        self.accused: frozenset[str] = frozenset()
        self._hanging: frozenset[str] = frozenset()

    def heard(self, heartbeat: Heartbeat) -> None:
        """Note a heartbeat; an adopter's is no sign of life."""
        if heartbeat.own:
            self._liveness.heard(heartbeat.stream, self._clock.monotonic())
            self._began.setdefault(heartbeat.stream, self._clock.monotonic())
            self._own[heartbeat.stream] = heartbeat
        else:
            self._adopted[heartbeat.stream] = heartbeat

    def said_goodbye(self, goodbye: Goodbye) -> None:
        """Note that a stream ended on purpose; one that came from an exception or a signal is told.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        telling = None
        if accounts.is_failure(goodbye.reason):
            silent = self._store.open_silence(goodbye.stream)
            if silent is not None and silent.silence is not None and silent.goodbye is None:  # told with its reason
                self._tell_silence_ended(silent, silent.silence, accounts.failed_after_all(goodbye), beats=False)
            telling = self._announcer.incoming(accounts.failed(goodbye, self._store.store_id))
        told = self._store.said_goodbye(goodbye.stream, goodbye.source, goodbye.reason, goodbye.last, telling)
        self._stored(telling, told)

    def look(self) -> list[StreamState]:
        """Judge every publisher and tell people what changed.

        Returns:
            Streams that have ended with numbers told of that did not come: somebody may still hold them.
        """
        now = self._clock.monotonic()
        self._liveness.look(now, judging=self._hours is None or self._hours.open_at(self._clock.now_us()))
        if now < self._look_at:
            return []
        self._look_at = now + min(_LONGEST_SECONDS, self._timeout_seconds / _LOOKS)
        try:
            watched = self._store.watched()
            told_of = any(state.silence is not None or state.hang is not None for state in watched)
            self._succeeded = self._store.succeeded() if told_of else frozenset()
            for state in watched:
                self._liveness.told(state.stream, state.last_heard_us, now)
                self._judge(state, now)
        except AlertBusError as error:  # it is told at a later look
            self._metrics.store_error()
            held_back = self._once.held_back("store")
            if held_back is not None:
                logger.warning("publishers can't be watched: %s", error, extra={"held_back": held_back})
            return []
        self._show(watched, now)
        self._forget_all_but({state.stream for state in watched})
        return [state for state in watched if state.ended and self._liveness.silent(state.stream, now)]

    def _judge(self, state: StreamState, now: float) -> None:
        if not state.ended:
            if self._liveness.silent(state.stream, now) and self._was_there(state):
                self._accuse(state)
            else:
                self._judge_loop(state, now)
            return
        if state.silence is not None:
            self._judge_silence(state, state.silence, now)
        if state.hang is not None:
            self._judge_ended_loop(state, state.hang)

    def _show(self, watched: list[StreamState], now: float) -> None:
        """Show whom people were told of and of no end of it: what was read before this look's judgement, so one late.

        After its goodbye nobody is accused any more, whether people have read of that or not; and a loop does not hang
        in a process that is not heard.
        """
        accused = frozenset(
            state.source
            for state in watched
            if state.silence is not None and state.silent_us is not None and state.goodbye is None
        )
        hanging = frozenset(
            state.source
            for state in watched
            if state.hang is not None and not state.ended and self._liveness.beats(state.stream, now)
        )
        for source in accused ^ self.accused:
            self._metrics.publisher_silent(source, silent=source in accused)
        for source in hanging ^ self._hanging:
            self._metrics.publisher_hung(source, hung=source in hanging)
        self.accused, self._hanging = accused, hanging

    def _was_there(self, state: StreamState) -> bool:
        """Whether there is somebody to accuse: heard by a daemon once, or known by the journal that was left."""
        return state.last_heard_us is not None or state.stream in self._adopted or state.stream in self._own

    def _accuse(self, state: StreamState) -> None:
        left = self._adopted.get(state.stream)
        event = accounts.silent(state, self._timeout_seconds, left, self._store.store_id, self._zone)
        telling = self._announcer.incoming(event)
        self._stored(telling, self._store.tell_silence(state.stream, state.source, state.last_heard_us, telling))

    def _judge_silence(self, state: StreamState, silence: bytes, now: float) -> None:
        beats = state.goodbye is None and self._liveness.beats(state.stream, now)
        if beats:
            text = accounts.heard_again(state)
        elif state.silent_us is not None and state.goodbye is not None and not accounts.is_failure(state.goodbye):
            text = accounts.had_said_goodbye(state)
        elif self._has_successor(state):
            text = accounts.runs_again(state)
        else:
            return
        self._tell_silence_ended(state, silence, text, beats=beats)

    def _tell_silence_ended(self, state: StreamState, silence: bytes, text: str, *, beats: bool) -> None:
        telling = self._end(silence, "PUBLISHER_HEARD", text + accounts.lasted(state, self._clock.now_us()))
        self._stored(telling, self._store.tell_silence_ended(state.stream, silence, telling, beats_again=beats))

    def _judge_loop(self, state: StreamState, now: float) -> None:
        beat = self._own.get(state.stream)
        if beat is None or not self._liveness.beats(state.stream, now):
            return
        overdue = accounts.overdue_us(beat) > 0
        if state.hang is not None and not overdue:
            self._tell_hang_ended(state, state.hang, accounts.moves_again(state))
        elif overdue and state.hang is None:
            # not for a loop that stood still while the market was closed, or before the daemon began to listen
            limit_seconds = (beat.progress_limit_us or 0) / MICROSECONDS
            if self._liveness.listening_seconds(now) > limit_seconds:
                telling = self._announcer.incoming(accounts.hung(state, beat, self._store.store_id))
                self._stored(telling, self._store.tell_hang(state.stream, telling))

    def _judge_ended_loop(self, state: StreamState, hang: bytes) -> None:
        if self._has_successor(state):
            self._tell_hang_ended(state, hang, accounts.runs_again(state))
        elif state.goodbye is not None:
            self._tell_hang_ended(state, hang, accounts.hung_no_more(state))

    def _has_successor(self, state: StreamState) -> bool:
        """Whether its publisher was started anew: as the store knows, or, where a clock was set, as was heard here."""
        if state.stream in self._succeeded:
            return True
        last = self._liveness.beat_at(state.stream)
        return last is not None and any(
            beat.source == state.source and stream != state.stream and self._began[stream] > last
            for stream, beat in self._own.items()
        )

    def _tell_hang_ended(self, state: StreamState, hang: bytes, text: str) -> None:
        telling = self._end(hang, "PUBLISHER_MOVES", text)
        self._stored(telling, self._store.tell_hang_ended(state.stream, hang, telling))

    def _end(self, told: bytes, event_type: str, text: str) -> Incoming:
        """Make the alert of an end; by its `resolves` it is planned for where the beginning went."""
        return self._announcer.incoming(accounts.ended(told, event_type, text, self._store.store_id))

    def _stored(self, telling: Incoming | None, told: Accepted | None) -> None:
        """Deliver what was stored; None where another daemon told it."""
        if telling is None or told is None:
            return
        if isinstance(telling.alert, SystemEvent):
            logger.warning("%s: %s", telling.alert.event_type, telling.alert.description)
        self._announcer.stored(told)

    def _forget_all_but(self, streams: set[bytes]) -> None:
        self._liveness.keep(streams)
        for known in (self._own, self._adopted, self._began):
            for stream in known.keys() - streams:
                del known[stream]
