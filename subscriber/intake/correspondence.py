"""The control channel, as the daemon leads it: hears heartbeats and goodbyes, acknowledges, asks for replays.

It knows every stream on offer and its position, and records as lost what nobody holds any more. Everything it sends is
repeated with the next heartbeat, so an answer that a full or departed peer misses does no harm. Used by the ingest
thread alone, except `publishers`.
"""

from __future__ import annotations

import logging
from typing import Final

import zmq

from bus.clock import Clock
from bus.wire import Ack, Control, Goodbye, Heartbeat, Replay, Welcome, encode_control
from subscriber.errors import StoreError
from subscriber.intake.notices import Notices
from subscriber.intake.sequences import Position, Range
from subscriber.intake.streams import OfferedStream
from subscriber.monitoring.metrics import Metrics, alertbus_version
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

#: How often the store is told that a publisher lives: rarely, since every write is an fsync.
_NOTE_SECONDS: Final = 5.0

PublisherView = dict[str, str | int | float | bool | None]


class Correspondence:
    """What is said between this daemon and its publishers."""

    def __init__(
        self, *, store: Store, notices: Notices, metrics: Metrics, clock: Clock, publisher_timeout_seconds: float
    ) -> None:
        """Store what is needed; `open` gives it the socket."""
        self._store = store
        self._notices = notices
        self._metrics = metrics
        self._clock = clock
        self._timeout_seconds = publisher_timeout_seconds
        self._streams: dict[bytes, OfferedStream] = {}
        self._control: zmq.Socket[bytes]

    def open(self, control: zmq.Socket[bytes]) -> None:
        """Take the bound ROUTER, which its opener closes."""
        self._control = control

    def forget(self) -> None:
        """Forget every stream; positions are read from the store again, the rest comes with the next heartbeats."""
        self._streams.clear()

    def data_came(self, known: OfferedStream) -> None:
        """Acknowledge what is stored now, and ask for a new hole or the next window of a replay."""
        self._acknowledge(known)
        wanted = known.wanted()
        if wanted:
            self._ask(known, wanted)

    def publishers(self) -> list[PublisherView]:
        """Return what is known of each publisher that beat since the daemon started."""
        now = self._clock.monotonic()
        return [
            {
                "source": known.heartbeat.source,
                "up": known.goodbye is None and now - known.heard_at <= self._timeout_seconds,
                "last_heard_seconds_ago": round(now - known.heard_at, 1),
                "goodbye": known.goodbye,
                "last_sequence": known.heartbeat.last,
                "acknowledged": known.position.contiguous,
                "journal_alerts": known.heartbeat.journal_alerts,
                "refused": known.heartbeat.refused,
                "volatile": known.heartbeat.volatile,
            }
            for known in list(self._streams.values())
            if known.heartbeat is not None and known.heartbeat.own
        ]

    def hear(self, identity: bytes, message: Heartbeat | Goodbye, *, drained: bool) -> None:
        """Take a publisher's word on a stream, answer it, and ask for what it says we miss.

        Args:
            identity: The ROUTER's name for the connection that it came by.
            message: What it said.
            drained: Whether the data socket was empty when it was read.
        """
        known = self.known(message.stream)
        if known.identity != identity:
            known.asked_to = 0  # what was asked over another connection is not coming any more
        known.identity = identity
        known.heard_at = self._clock.monotonic()
        if isinstance(message, Heartbeat):
            self._hear_heartbeat(known, message)
        else:
            self._hear_goodbye(known, message)
        self._send(known, Welcome(store_id=self._store.store_id, version=alertbus_version()))
        self._acknowledge(known)
        wanted = known.noticed(message.last, known.heard_at, drained=drained)
        if wanted:
            self._ask(known, wanted)

    def _hear_heartbeat(self, known: OfferedStream, heartbeat: Heartbeat) -> None:
        known.heartbeat = heartbeat
        known.position.begin(heartbeat.first_unacknowledged)
        if heartbeat.own:
            self._metrics.publisher(
                heartbeat.source, up=True, journal_alerts=heartbeat.journal_alerts, refused=heartbeat.refused
            )
        now = self._clock.monotonic()
        if now >= known.noted_at + _NOTE_SECONDS:
            known.noted_at = now
            try:
                self._store.heard(known.stream, heartbeat.source, self._clock.now_us())
            except StoreError as error:  # the next heartbeat notes it
                self._metrics.store_error()
                self._notices.warn("store", str(error))

    def _hear_goodbye(self, known: OfferedStream, goodbye: Goodbye) -> None:
        if known.goodbye is None:
            try:
                self._store.said_goodbye(known.stream, goodbye.source, goodbye.reason, self._clock.now_us())
            except StoreError as error:  # it is repeated until we answer it, and we have not
                self._metrics.store_error()
                self._notices.warn("store", str(error))
                return
            known.goodbye = goodbye.reason
            self._metrics.publisher(goodbye.source, up=False)
            logger.info("publisher said goodbye", extra={"source": goodbye.source, "reason": goodbye.reason})

    def _acknowledge(self, known: OfferedStream) -> None:
        if known.position.contiguous is not None:
            goodbye = known.goodbye is not None
            self._send(known, Ack(stream=known.stream, up_to=known.position.contiguous, goodbye=goodbye))

    def _ask(self, known: OfferedStream, last: int) -> None:
        """Ask for what is missing in the store; another daemon may have stored it meanwhile."""
        if known.identity is None or known.heartbeat is None:
            return
        self._read_position(known.stream, known.position)
        for lost in known.position.missing(min(last, known.heartbeat.first_held - 1), last):
            self.lose(known, lost, "not held any more")
        for first, end in known.window(last, self._clock.monotonic()):
            self._send(known, Replay(stream=known.stream, first=first, last=end))
            logger.info("asked for a replay", extra={"stream": known.stream.hex(), "first": first, "last": end})
        self._acknowledge(known)

    def lose(self, known: OfferedStream, lost: Range, why: str) -> None:
        """Record a range as lost, so that it never blocks what is behind it, and tell people."""
        first, last = lost
        for low, high in self._store.record_lost(known.stream, first, last, why):
            source = known.heartbeat.source if known.heartbeat else ""
            self._metrics.lost(high - low + 1)
            self._notices.tell(
                "ALERTS_LOST",
                f"{high - low + 1} alerts of {source or 'a publisher'} are lost ({why}): numbers {low} to {high} of "
                f"the stream {known.stream.hex()}.",
                known.stream.hex(),
                str(low),
                str(high),
            )
        known.position.settle(first, last)

    def known(self, stream: bytes) -> OfferedStream:
        """Return a stream, read from the store when this daemon meets it for the first time."""
        known = self._streams.get(stream)
        if known is None:
            known = OfferedStream(stream, Position())
            self._read_position(stream, known.position)
            self._streams[stream] = known
        return known

    def _read_position(self, stream: bytes, position: Position) -> None:
        stored = self._store.position(stream)
        if stored.known:
            position.begin(stored.up_to + 1)
            if stored.up_to:
                position.settle(1, stored.up_to)
        for first, last in stored.ahead:
            position.settle(first, last)

    def watch(self) -> None:
        """Notice publishers that fell silent, for the metric; their streams stay known."""
        now = self._clock.monotonic()
        silent: dict[str, bool] = {}
        for known in self._streams.values():
            if known.heartbeat is not None and known.heartbeat.own and known.goodbye is None:
                source = known.heartbeat.source
                late = now - known.heard_at > self._timeout_seconds
                silent[source] = late and silent.get(source, True)
        for source, is_silent in silent.items():
            if is_silent:
                self._metrics.publisher(source, up=False)

    def _send(self, known: OfferedStream, message: Control) -> None:
        if known.identity is None:
            return
        try:
            self._control.send_multipart([known.identity, encode_control(message)], zmq.DONTWAIT)
        except zmq.ZMQError:  # gone (EHOSTUNREACH) or full (EAGAIN); everything is repeated with the next heartbeat
            known.identity = None
