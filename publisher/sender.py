"""The background thread of a publisher: queue -> journal -> PUB, and the control channel to each daemon.

It owns every socket, the journal, and nothing that the trader's threads wait for. It polls the queue every
millisecond while alerts come and for a second after, every 10 ms when idle: waking it would cost the trader's thread
ten times what appending costs (docs/design.md, *Hand-over*).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import zmq

from bus.alerts import NAME_LIMIT
from bus.clock import Clock, Moment
from bus.conversion import text_of
from bus.errors import AlertBusError, WireError
from bus.sockets import open_publisher_control, open_publisher_data
from bus.wire import Ack, Goodbye, Header, Heartbeat, Replay, Welcome, encode_frames
from publisher.beats import Beats
from publisher.daemons import Daemon
from publisher.handover import Flush, Handover, Item, Receipt
from publisher.outbox import Outbox
from publisher.outboxes import Outboxes
from publisher.packing import pack
from publisher.progress import Progress
from publisher.replaying import Replaying
from publisher.settings import PublisherSettings

logger = logging.getLogger(__name__)

_BATCH_ALERTS: Final = 1024
_BUSY_POLL_MILLISECONDS: Final = 1
_IDLE_POLL_MILLISECONDS: Final = 10
_BUSY_SECONDS: Final = 1.0
#: Messages read from one daemon before the alerts get their turn: no flood of garbage holds them up.
_RECEIVE_SLICE: Final = 1000
_GOODBYE_REPEAT_SECONDS: Final = 0.05
#: How long the end waits for a daemon that never answered: the journal has everything, and a trader's exit is quick.
_ABSENT_DAEMON_SECONDS: Final = 0.5
_PRUNE_SECONDS: Final = 30.0
#: How often the folder is looked into for what dead publishers left, and the own journal is looked after.
_LOOK_SECONDS: Final = 2.0
#: How much longer than its own limit a stop is waited for: past it only when a disk hangs.
JOIN_GRACE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Stop:
    reason: str
    limit: float
    absent_limit: float


class Sender:
    """Runs the thread; the first part is called by the publisher, the rest by the thread itself."""

    def __init__(self, settings: PublisherSettings, handover: Handover, clock: Clock) -> None:
        """Store what is needed; nothing is opened yet."""
        self._settings = settings
        self._handover = handover
        self._clock = clock
        self._counters = handover.counters
        self._outboxes = Outboxes(settings, handover.counters, clock)
        self._replaying = Replaying(self._outboxes, handover.counters, clock)
        #: By stream, because a disk that fails begins a new one while the old one can still be acknowledged.
        self._receipts: defaultdict[bytes, deque[tuple[int, Receipt]]] = defaultdict(deque)
        self._ready = threading.Event()
        self._beginning = threading.Lock()
        self._stop: _Stop | None = None
        self._settled = False
        self._failure: AlertBusError | None = None
        self._progress: Progress | None = None
        #: Tells this publisher from any other, and from those before and after it under the same name.
        self._run_id = os.urandom(16)
        self._busy_until = 0.0
        self._beats = Beats(settings.heartbeat_interval_seconds)
        self._prune_due = 0.0
        self._look_due = 0.0
        #: The daemons and how they stand, for `stats()`.
        self.daemons: list[Daemon] = []
        self._thread = threading.Thread(target=self._run, name="alertbus-sender", daemon=True)

    # --- called by the publisher ----------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the thread, if nobody did, and wait for nothing; what goes wrong is told by `stats()` and the log."""
        with self._beginning:
            if self._thread.ident is None:
                self._thread.start()

    def start(self, timeout: float) -> None:
        """Start the thread and wait until its sockets are open; when that fails it ends by itself.

        Raises:
            ConfigurationError: An endpoint can't be used.
            AlertBusError: It was not ready within `timeout` seconds.
        """
        self.begin()
        ready = False
        try:
            ready = self._ready.wait(timeout)
        finally:
            if not ready:
                self._request_stop("not started", 0.0)
        if not ready:
            raise AlertBusError(f"The publisher's thread was not ready within {timeout:g} s.")
        if self._failure is not None:
            raise self._failure

    def stop(self, reason: str, timeout: float, grace_seconds: float = JOIN_GRACE_SECONDS) -> bool:
        """Journal and send what is queued, say goodbye, end the thread.

        Args:
            reason: Told to the daemon.
            timeout: Seconds to wait for acknowledgements.
            grace_seconds: How much longer the thread is waited for, when a disk hangs.

        Returns:
            Whether every daemon acknowledged everything; otherwise it stays in the journal.
        """
        self._request_stop(reason, timeout)
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout + grace_seconds)
        return self._settled

    def _request_stop(self, reason: str, timeout: float) -> None:
        if self._stop is None:
            now = time.monotonic()
            reason = text_of(reason, NAME_LIMIT)
            self._stop = _Stop(reason, now + timeout, now + min(timeout, _ABSENT_DAEMON_SECONDS))

    def progress(self, limit_seconds: float) -> None:
        """Note that the trading loop moved on, and by when it should again."""
        self._progress = Progress.made(self._clock.monotonic(), limit_seconds)

    @property
    def running(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    @property
    def volatile(self) -> bool:
        """Whether alerts are held in memory only because the journal's disk fails."""
        return self._outboxes.volatile

    @property
    def held_in_memory(self) -> int:
        """How many alerts are held in memory only, after a disk failed, also while a new journal works again."""
        return self._outboxes.held_in_memory

    @property
    def journal_alerts(self) -> int:
        """How many alerts are held until they are acknowledged, adopted ones included."""
        return self._outboxes.held()

    @property
    def unacknowledged(self) -> int:
        """How many alerts are held that a daemon which answers now lacks; all that are held where none answers."""
        return self._outboxes.lacking(self._answering())

    @property
    def waiting_journals(self) -> int:
        """How many files wait to be adopted, and how many adopted streams for an answer to their goodbye."""
        return self._outboxes.waiting_journals + self._outboxes.unheard(self._answering())

    def _answering(self) -> set[str]:
        return {store for daemon in list(self.daemons) if (store := daemon.answering) is not None}

    # --- the thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        data: zmq.Socket[bytes] | None = None
        try:
            self._outboxes.open()  # first: what was published is kept, whatever is wrong with an endpoint
            data = open_publisher_data(context, self._settings.data_endpoints, self._settings.publish_bind)
            for endpoint in self._settings.control_endpoints:
                self.daemons.append(Daemon(open_publisher_control(context, endpoint), endpoint))
            self._ready.set()
            self._serve(data)
        except AlertBusError as error:
            self._failure = error
            self._counters.failed(error)
        except Exception as error:  # a bug of ours is told in stats() and the log, never in the trader's thread
            self._failure = AlertBusError(f"The publisher's thread ended: {type(error).__name__}.")
            self._counters.failed(error)
            with suppress(Exception):  # a handler of the trader's may raise
                logger.exception("the publisher's thread ended unexpectedly")
        finally:
            self._handover.end()
            self._journal_the_rest()
            self._outboxes.close()
            for daemon in self.daemons:
                daemon.close()
            if data is not None:
                data.close()
            context.term()
            self._ready.set()

    def _journal_the_rest(self) -> None:
        """Journal what came in the last moment, for an adopter; what can't be is refused after all."""
        try:
            while self._handover.items:
                items = self._handover.take(_BATCH_ALERTS)
                batch = pack(items, self._settings.source, self._counters)
                if batch.rows:
                    self._outboxes.append(batch.rows)
                    self._counters.journaled += len(batch.rows)
                _set_flushed(items)
        except Exception as error:  # whatever it is, the sockets must be closed
            self._counters.failed(error)
            with suppress(Exception):  # a handler of the trader's may raise
                logger.exception("what was queued could not be journaled")
        for item in self._handover.take(len(self._handover.items)):
            if not isinstance(item, Flush):
                self._counters.refuse()

    def _serve(self, data: zmq.Socket[bytes]) -> None:
        poller = zmq.Poller()
        for daemon in self.daemons:
            poller.register(daemon.socket, zmq.POLLIN)
        goodbye_due = 0.0
        while True:
            now = time.monotonic()
            sent = self._send_queued(data, now)
            replaying = [daemon for daemon in self.daemons if self._replaying.serve(daemon)]
            if sent and not self._handover.items:
                self._beats.burst_ended(now)
            self._beat(now)
            if now >= self._prune_due:
                self._prune_due = now + _PRUNE_SECONDS
                self._outboxes.prune()
            if now >= self._look_due and self._stop is None:
                self._look_due = now + _LOOK_SECONDS
                self._outboxes.mend()
                self._outboxes.adopt()
            if self._stop is not None and not self._handover.items and not self._outboxes.notices.events:
                if now >= goodbye_due:
                    goodbye_due = now + _GOODBYE_REPEAT_SECONDS
                    self._say_goodbye(self._stop.reason)  # at least once, and journaled, however little time there is
                if self._over(self._stop, now):
                    return
            if poller.poll(0 if sent or replaying else self._poll_milliseconds(now)):
                self._receive()

    def _poll_milliseconds(self, now: float) -> int:
        busy = now < self._busy_until or self._stop is not None
        return _BUSY_POLL_MILLISECONDS if busy else _IDLE_POLL_MILLISECONDS

    # --- out ------------------------------------------------------------------------------------------------

    def _send_queued(self, data: zmq.Socket[bytes], now: float) -> bool:
        items = self._handover.take(_BATCH_ALERTS)
        items += [(self._clock.now_us(), event, None) for event in self._outboxes.notices.take()]
        if not items:
            return False
        self._busy_until = now + _BUSY_SECONDS
        batch = pack(items, self._settings.source, self._counters)
        if batch.rows:
            first = self._outboxes.append(batch.rows)
            stream = self._outboxes.own.stream
            self._counters.journaled += len(batch.rows)
            for sequence, (published_us, topic, body) in enumerate(batch.rows, first):
                # PUB never blocks: what a daemon can't take is dropped here, and found missing by its number.
                data.send_multipart(encode_frames(topic, Header(stream, sequence, published_us), body), zmq.DONTWAIT)
            self._counters.sent += len(batch.rows)
            if batch.receipts:
                self._receipts[stream].extend((first + offset, receipt) for offset, receipt in batch.receipts)
        _set_flushed(items)
        return bool(batch.rows)

    def _beat(self, now: float) -> None:
        if self._beats.round_due(now):
            daemons = self.daemons
        elif self._beats.try_due(now):
            daemons = [daemon for daemon in self.daemons if not daemon.reachable]
        else:
            return
        held = self._outboxes.held()
        for daemon in daemons:
            for outbox in self._outboxes:
                if not daemon.send(self._heartbeat(outbox, daemon, held)):
                    break  # it is away, and there may be hundreds of streams
                if outbox.goodbye is not None and outbox is not self._outboxes.own:
                    daemon.send(_goodbye(outbox, outbox.goodbye))

    def _heartbeat(self, outbox: Outbox, daemon: Daemon, held: int) -> Heartbeat:
        progress = self._progress if outbox.own else None
        store_id = daemon.store_id if daemon.welcomed else None  # another store may listen there since it was away
        now = Moment.now(self._clock)
        # The clock in which the stream's stamps are written, as it would be now if nobody had set it since.
        clock_us = max((outbox.began and outbox.began.unset_us(now)) or now.wall_us, 0)
        cost = self._handover.cost.figures(self._clock.monotonic()) if outbox.own else None
        return Heartbeat(
            stream=outbox.stream,
            source=outbox.source,
            own=outbox.own,
            first_held=outbox.first_held(),
            first_unacknowledged=outbox.first_unacknowledged(store_id),
            last=outbox.last,
            clock_us=clock_us,
            journal_alerts=held,
            refused=self._counters.refused,
            volatile=self._outboxes.volatile,
            progressed_us=progress.at_us(clock_us, self._clock.monotonic()) if progress else None,
            progress_limit_us=progress.limit_us if progress else None,
            run=self._run_id if outbox.own else None,
            timed_publishes=cost.timed if cost else None,
            publish_ns=cost.total_ns if cost else None,
            publish_longest_ns=cost.longest_ns if cost else None,
            store_id=store_id or "",
        )

    # --- in -------------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        for daemon in self.daemons:
            for _ in range(_RECEIVE_SLICE):
                try:
                    message = daemon.receive()
                except WireError as error:
                    self._counters.failed(error)
                    continue
                if message is None:
                    break
                self._handle(daemon, message)

    def _handle(self, daemon: Daemon, message: Welcome | Ack | Replay) -> None:
        match message:
            case Welcome():
                daemon.welcome(message.store_id)
                self._outboxes.store_seen(message.store_id)
                self._outboxes.answered(daemon.endpoint, message.store_id)
            case Ack():
                self._acknowledged(daemon, message)
            case Replay():
                self._replaying.ask(daemon, message)

    def _acknowledged(self, daemon: Daemon, ack: Ack) -> None:
        outbox = self._outboxes.get(ack.stream)
        if outbox is None or daemon.store_id is None:
            return
        self._outboxes.acknowledge(outbox, daemon.store_id, ack.up_to, goodbye_heard=ack.goodbye)
        if ack.goodbye and outbox is self._outboxes.own:
            daemon.goodbye_ack = ack
        waiting = self._receipts.get(ack.stream)
        while waiting and waiting[0][0] <= ack.up_to:
            waiting.popleft()[1].confirm()

    # --- the end --------------------------------------------------------------------------------------------

    def _say_goodbye(self, reason: str) -> None:
        self._outboxes.say_goodbye(reason)
        for daemon in self.daemons:
            if not self._has_everything(daemon):
                daemon.send(_goodbye(self._outboxes.own, reason))

    def _over(self, stop: _Stop, now: float) -> bool:
        """Whether every daemon has everything and heard the goodbye, or the time for that is up."""
        waited_for = [daemon for daemon in self.daemons if not self._has_everything(daemon)]
        self._settled = not waited_for
        if self._settled or now >= stop.limit:
            return True
        return now >= stop.absent_limit and not any(daemon.reachable for daemon in waited_for)

    def _has_everything(self, daemon: Daemon) -> bool:
        """Whether a daemon has all that was published here, and heard that the own stream ends."""
        ack, own = daemon.goodbye_ack, self._outboxes.own
        heard = ack is not None and ack.stream == own.stream and ack.up_to >= own.last
        # What a failed journal, or memory, held before belongs to it; whatever else is on offer does not.
        return heard and all(
            outbox.first_unacknowledged(daemon.store_id) > outbox.last for outbox in self._outboxes.former
        )


def _set_flushed(items: list[Item]) -> None:
    for item in items:
        if isinstance(item, Flush):
            item.done.set()


def _goodbye(outbox: Outbox, reason: str) -> Goodbye:
    return Goodbye(stream=outbox.stream, source=outbox.source, last=outbox.last, reason=reason)
