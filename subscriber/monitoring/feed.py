"""What the streams of events tell: one thread reads the store for all of them, and runs only while somebody listens.

It looks each second, and at once when this daemon commits something; never for more than a tenth of the time, however
busy the daemon is. A listener that does not take what it is told is cut off: it comes again with the id of the last
event that it had, and is told what it missed. The loop's thread calls `join`, `leave` and what a `Listener` has, any
thread `wake` and `close`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from bus.errors import AlertBusError
from subscriber.logs import OncePerMinute
from subscriber.monitoring.listener import Event, Listener
from subscriber.monitoring.metrics import Metrics
from subscriber.monitoring.reader import Reader
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

Fields = dict[str, Any]

#: What is open at once.
MOST_STREAMS: Final = 64
#: How often the store is looked at: other daemons write to it as well.
_LOOK_SECONDS: Final = 1.0
#: Between two looks at least: so long that a burst is one look, so short that nobody sees it.
_SHORTEST_PAUSE_SECONDS: Final = 0.05
#: The pause after a look, in lengths of that look: a tenth of the time is spent on looking.
_PAUSE_SHARE: Final = 9.0
_LONGEST_PAUSE_SECONDS: Final = 5.0
#: Events of one look after which the next is as late as if nothing woke it: each costs something for each listener.
_MANY: Final = 20
#: The status is told when it changed, at most so often, and at least so often.
_STATUS_SECONDS: Final = 1.0
_STATUS_LATEST_SECONDS: Final = 5.0


class Feed:
    """The streams of one daemon, and what they are told."""

    def __init__(
        self,
        store: Store,
        status: Callable[[], Fields],
        metrics: Metrics,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without a listener; nothing is read.

        Args:
            store: What is followed.
            status: Returns the status; called by the reader's thread.
            metrics: Counts the streams.
            monotonic: Seconds that only ever grow: the machine's own, whatever clock the daemon goes by.
        """
        self._store = store
        self._status = status
        self._metrics = metrics
        self._monotonic = monotonic
        self._once = OncePerMinute(store.database.clock)
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._newcomers: list[Listener] = []
        self._thread: threading.Thread | None = None
        self._ring = threading.Event()
        self._over = threading.Event()
        self._reader = Reader(store)
        self._told_status = ""
        self._status_at = float("-inf")
        store.database.on_commit = self.wake

    @property
    def open(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    @property
    def reading(self) -> bool:
        """Whether a thread reads the store."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    @property
    def full(self) -> bool:
        """Whether there is room for no further stream, or the daemon is stopping."""
        return self._over.is_set() or self.open >= MOST_STREAMS

    def counts(self) -> Fields:
        """Return how many streams are open, and how many may be, for the status."""
        return {"open": self.open, "most": MOST_STREAMS}

    def refused(self) -> None:
        """Count a stream that found no room."""
        self._metrics.event_stream_refused()

    def join(self, listener: Listener) -> None:
        """Let somebody listen from the next look on; whoever calls it looked at `full` before."""
        with self._lock:
            self._listeners.add(listener)
            self._newcomers.append(listener)
            self._metrics.event_streams(len(self._listeners))
            if self._thread is None and not self._over.is_set():
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()
        if self._over.is_set():
            listener.end()
        self._ring.set()

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        with self._lock:
            self._listeners.discard(listener)
            self._metrics.event_streams(len(self._listeners))

    def wake(self) -> None:
        """Say that something was written; costs next to nothing while nobody listens."""
        if self._listeners:
            self._ring.set()

    def close(self) -> None:
        """End every stream, and take no further one."""
        with self._lock:
            self._over.set()
            listeners = list(self._listeners)
        for listener in listeners:
            listener.end()
        self._ring.set()

    # --- the reader -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._goes_on():
            self._ring.wait(_LOOK_SECONDS)
            self._ring.clear()
            pause = _LOOK_SECONDS
            try:
                pause = self._look()
            except AlertBusError as error:
                self._warn("the event streams wait for the database: %s", error)
            except Exception:
                logger.exception("the reader of the event streams failed unexpectedly")
            self._over.wait(min(max(pause, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS))

    def _goes_on(self) -> bool:
        with self._lock:
            if self._listeners and not self._over.is_set():
                return True
            self._thread = None
            self._reader = Reader(self._store)  # what happens until somebody listens again is not read
            self._told_status = ""
            return False

    def _look(self) -> float:
        """Tell what changed; return for how long to pause: longer in a storm that nobody can follow."""
        with self._lock:
            newcomers, self._newcomers = self._newcomers, []
            others = self._listeners.difference(newcomers)
        try:
            if newcomers:
                self._greet(newcomers)
            began = self._monotonic()
            tidings = self._reader.look()
            self._tell({*others, *(each for each in newcomers if each.cursor is None)}, tidings)
            for listener in newcomers:
                if listener.cursor is not None:
                    listener.tell(self._reader.since(listener.cursor))
            took = self._monotonic() - began
        except Exception:
            with self._lock:  # whoever was not told all comes first the next time
                self._newcomers = [each for each in newcomers if each in self._listeners] + self._newcomers
            raise
        self._tell_status(others)
        calm = _LOOK_SECONDS if len(tidings) > _MANY or any(event.kind == "reset" for event in tidings) else 0.0
        return max(_PAUSE_SHARE * took, calm)

    def _greet(self, newcomers: Sequence[Listener]) -> None:
        """Say who speaks, and how everything stands; to none of them twice."""
        here, status = self._reader.begin(), self._whole_status()
        hello = {name: status[name] for name in ("version", "store_id", "started_at")}
        for listener in newcomers:
            if not listener.greeted:
                listener.greeted = True
                listener.tell([Event.of("hello", hello, None if listener.cursor else here)])
                listener.tell([_for_scope(status, listener.scope)])

    def _tell(self, listeners: set[Listener], events: Sequence[Event]) -> None:
        if events:
            for listener in listeners:
                listener.tell(events)

    def _tell_status(self, listeners: set[Listener]) -> None:
        now = self._monotonic()
        if not listeners or now - self._status_at < _STATUS_SECONDS:
            return
        status = self._whole_status()
        lasting = _lasting(status)
        if lasting == self._told_status and now - self._status_at < _STATUS_LATEST_SECONDS:
            return
        self._told_status, self._status_at = lasting, now
        by_scope = {scope: _for_scope(status, scope) for scope in {listener.scope for listener in listeners}}
        for listener in listeners:
            listener.tell([by_scope[listener.scope]])

    def _whole_status(self) -> Fields:
        return {**self._status(), "events": self.counts()}

    def _warn(self, text: str, error: AlertBusError) -> None:
        held_back = self._once.held_back("events")
        if held_back is not None:
            logger.warning(text, error, extra={"held_back": held_back})


def _for_scope(status: Fields, scope: str) -> Event:
    return Event.of("status", {**status, "access": {"scope": scope}})


def _lasting(status: Fields) -> str:
    """Return what makes a status another one: all but how long ago something was."""
    passing = {"last_heard_at", "last_heard_seconds_ago"}
    publishers = [{name: value for name, value in each.items() if name not in passing} for each in status["publishers"]]
    return repr({**status, "now_at": None, "publishers": publishers})
