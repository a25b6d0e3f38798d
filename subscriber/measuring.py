"""Sets the gauges that tell how things stand, each second; a question that is dear is asked the more rarely.

Called by the housekeeping thread. What counts rows takes as long as there are rows: next to nothing at rest, a tenth of
a second where a hundred thousand deliveries wait. So each such question rests for many times as long as it took, and
never takes more than a small share of a core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bus.clock import MICROSECONDS, Clock
from subscriber.deliveries import Window
from subscriber.delivery.breaker import BreakerState
from subscriber.delivery.desk import ChannelDesk
from subscriber.errors import StoreError
from subscriber.monitoring.metrics import Metrics
from subscriber.store.store import Store

#: A question rests for so many times as long as it took: it takes a fiftieth of a core at most.
_REST_SHARE: Final = 50.0
#: And no longer than this: a gauge that is a minute old still tells what an operator has to know.
_LONGEST_REST_SECONDS: Final = 60.0
#: For so long a CRITICAL that nobody acknowledged is counted.
_UNACKNOWLEDGED_US: Final = 86_400 * MICROSECONDS


class Question:
    """Something to ask of the database, as often as it is cheap."""

    def __init__(self, ask: Callable[[], None], clock: Clock) -> None:
        """Keep what is asked; the first turn asks it.

        Args:
            ask: Asks, and tells the answer; raises StoreError.
            clock: Whose monotonic seconds count.
        """
        self._ask = ask
        self._clock = clock
        self._next = float("-inf")

    def turn(self) -> None:
        """Ask, unless it was dear a short time ago; one that failed is asked by the next turn.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        began = self._clock.monotonic()
        if began < self._next:
            return
        self._ask()
        ended = self._clock.monotonic()
        self._next = ended + min((ended - began) * _REST_SHARE, _LONGEST_REST_SECONDS)


class Gauges:
    """The gauges of one daemon that nobody sets when something happens."""

    def __init__(self, store: Store, desks: Mapping[str, ChannelDesk], metrics: Metrics, clock: Clock) -> None:
        """Keep what is needed; nothing is asked yet.

        Args:
            store: What waits, and what has ended.
            desks: The channels, by name.
            metrics: Where the gauges are.
            clock: The daemon's.
        """
        self._store = store
        self._desks = desks
        self._metrics = metrics
        self._clock = clock
        #: Those of the settings, and others for which something waited or is dead: that must be seen, too.
        self._channels = set(desks)
        asked = (self._queues, self._held, self._dead_letters, self._receipts, self._unacknowledged, self._room)
        self._questions = [Question(ask, clock) for ask in asked]

    def measure(self) -> None:
        """Set all gauges whose turn it is.

        Raises:
            StoreError: A question found no answer; all others were asked, and the gauges of the channels set.
        """
        for name, desk in self._desks.items():
            self._channel(name, desk)
        failures = []
        for question in self._questions:
            try:
                question.turn()
            except StoreError as error:
                self._metrics.store_error()
                failures.append(error)
        if failures:
            raise failures[0]

    def _channel(self, name: str, desk: ChannelDesk) -> None:
        desk.channel.memory.keep_again()
        view = desk.view
        self._metrics.channel_up(name, up=view.up)
        self._metrics.channel_paused(name, paused=view.paused)
        self._metrics.breaker(name, is_open=view.breaker.state is not BreakerState.CLOSED)
        self._metrics.held(name, view.held_until_us)
        self._metrics.pace_wait(name, view.wait_seconds)
        window = desk.channel.window
        if window is not Window.NONE:
            self._metrics.window(name, window)

    def _queues(self) -> None:
        counts = self._store.open_counts()
        self._channels |= counts.keys()
        for name in self._channels:
            if name in counts:
                oldest, overdue = self._store.queue_oldest_us(name), self._store.queue_overdue_us(name)
                self._metrics.queue(name, counts[name], oldest, overdue)
            else:
                self._metrics.queue(name, 0, None, None)

    def _held(self) -> None:
        self._metrics.held_deliveries(self._store.held_count())

    def _dead_letters(self) -> None:
        counts = self._store.dead_counts()
        self._channels |= {name for name, count in counts.items() if count}
        for name in self._channels:
            self._metrics.dead_letters(name, counts.get(name, 0))

    def _receipts(self) -> None:
        waiting = self._store.receipts_waiting()
        for name, desk in self._desks.items():
            if desk.channel.receipts.comes:
                self._metrics.receipts_waiting(name, waiting.get(name, 0))

    def _unacknowledged(self) -> None:
        found = self._store.unacknowledged_since(self._clock.now_us() - _UNACKNOWLEDGED_US)
        self._metrics.unacknowledged_critical(found.alerts, found.oldest_us)

    def _room(self) -> None:
        room = self._store.room()
        self._metrics.database_size(room.database)
        if room.disk_free is not None and room.disk_size is not None:
            self._metrics.disk(room.disk_free, room.disk_size)
