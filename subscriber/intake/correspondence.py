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
from bus.errors import AlertBusError
from bus.wire import Ack, Control, Goodbye, Heartbeat, Replay, Welcome, encode_control
from subscriber.intake.notices import Notices
from subscriber.intake.sequences import Position, Range
from subscriber.intake.streams import OfferedStream
from subscriber.monitoring.metrics import Metrics, alertbus_version
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

#: How often the store is told that a publisher lives: rarely, since every write is an fsync.
_NOTE_SECONDS: Final = 5.0
#: How often streams are let go, and how long one is remembered of which nobody speaks: the store knows them all.
_SWEEP_SECONDS: Final = 60.0
_REMEMBERED_SECONDS: Final = 3_600.0
#: A publisher that died without a word is shown for a day.
_DEAD_SHOWN_SECONDS: Final = 86_400.0

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
        #: Streams of which a publisher spoke in this turn.
        self._spoken_of: dict[bytes, OfferedStream] = {}
        #: By source, monotonic seconds of the last heartbeat of an own stream, while the metric says that it is up.
        self._beating: dict[str, float] = {}
        self._sweep_at = 0.0
        self._control: zmq.Socket[bytes]

    def open(self, control: zmq.Socket[bytes]) -> None:
        """Take the bound ROUTER, which its opener closes."""
        self._control = control

    def forget(self) -> None:
        """Forget how far each stream is, which is read from the store again; who offers it stays known."""
        self._spoken_of.clear()
        for known in self._streams.values():
            known.forget()

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

    def hear(self, identity: bytes, message: Heartbeat | Goodbye) -> None:
        """Take a publisher's word on a stream and answer it; `look_for_missing` asks for what it says we miss."""
        if isinstance(message, Heartbeat) and message.last + 1 < max(message.first_held, message.first_unacknowledged):
            self._notices.invalid("control", "A heartbeat told of numbers that its stream does not have.")
            return
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
        known.announced = max(known.announced, message.last)
        self._spoken_of[known.stream] = known

    def look_for_missing(self) -> None:
        """Ask for what this turn's heartbeats and goodbyes say we miss; each stream is judged once."""
        spoken_of, self._spoken_of = self._spoken_of, {}
        for known in spoken_of.values():
            announced, known.announced = known.announced, 0
            wanted = known.noticed(announced, self._clock.monotonic())
            if wanted:
                self._ask(known, wanted)

    def _hear_heartbeat(self, known: OfferedStream, heartbeat: Heartbeat) -> None:
        known.heartbeat = heartbeat
        known.position.begin(heartbeat.first_unacknowledged)
        if not heartbeat.own:
            return  # an adopter beats for it, which is no sign of life
        if known.goodbye is None:  # else it is closing, and beats until that is acknowledged
            self._beating[heartbeat.source] = known.heard_at
            self._metrics.publisher(
                heartbeat.source, up=True, journal_alerts=heartbeat.journal_alerts, refused=heartbeat.refused
            )
        if known.heard_at >= known.noted_at + _NOTE_SECONDS:
            known.noted_at = known.heard_at
            try:
                self._store.heard(known.stream, heartbeat.source, self._clock.now_us())
            except AlertBusError as error:  # a later heartbeat notes it
                self._metrics.store_error()
                self._notices.warn("store", str(error))

    def _hear_goodbye(self, known: OfferedStream, goodbye: Goodbye) -> None:
        if known.goodbye is None:
            try:
                self._store.said_goodbye(known.stream, goodbye.source, goodbye.reason, self._clock.now_us())
            except AlertBusError as error:  # it is repeated until we answer it, and we have not
                self._metrics.store_error()
                self._notices.warn("store", str(error))
                return
            known.goodbye = goodbye.reason
            logger.info("publisher said goodbye", extra={"source": goodbye.source, "reason": goodbye.reason})
            if not any(self._lives(other, goodbye.source) for other in self._streams.values()):
                self._beating.pop(goodbye.source, None)
                self._metrics.publisher(goodbye.source, up=False)

    def _lives(self, known: OfferedStream, source: str) -> bool:
        """Whether this is a stream that a running publisher of that name has begun."""
        beat = known.heartbeat
        late = self._clock.monotonic() - known.heard_at > self._timeout_seconds
        return beat is not None and beat.own and beat.source == source and known.goodbye is None and not late

    def _acknowledge(self, known: OfferedStream) -> None:
        if known.position.contiguous is not None:
            goodbye = known.goodbye is not None
            self._send(known, Ack(stream=known.stream, up_to=known.position.contiguous, goodbye=goodbye))

    def _ask(self, known: OfferedStream, last: int) -> None:
        """Ask for what is missing in the store; another daemon may have stored it meanwhile."""
        if known.identity is None or known.heartbeat is None:
            return
        self._read_position(known.stream, known.position)
        gone = known.position.missing(min(last, known.heartbeat.first_held - 1), last)
        if gone:
            self.lose(known, (gone[0][0], gone[-1][1]), "not held any more")
        for first, end in known.window(last, self._clock.monotonic()):
            self._send(known, Replay(stream=known.stream, first=first, last=end))
            logger.info("asked for a replay", extra={"stream": known.stream.hex(), "first": first, "last": end})
        self._acknowledge(known)

    def lose(self, known: OfferedStream, lost: Range, why: str) -> None:
        """Record what is missing of a range as lost, so that it never blocks what is behind it, and tell people."""
        first, last = lost
        ranges = self._store.record_lost(known.stream, first, last, why)
        if ranges:
            count = sum(high - low + 1 for low, high in ranges)
            source = known.heartbeat.source if known.heartbeat else ""
            self._metrics.lost(count)
            self._notices.tell(
                "ALERTS_LOST",
                f"{count} alerts of {source or 'a publisher'} are lost ({why}), between the numbers {ranges[0][0]} "
                f"and {ranges[-1][1]} of the stream {known.stream.hex()}.",
                known.stream.hex(),
                str(ranges[0][0]),
                str(ranges[-1][1]),
            )
        known.position.settle(first, last)

    def known(self, stream: bytes) -> OfferedStream:
        """Return a stream; its position is read from the store where it is not known, or not sure any more."""
        known = self._streams.get(stream)
        if known is None:
            known = OfferedStream(stream, Position(), heard_at=self._clock.monotonic(), stale=True)
        if known.stale:
            self._read_position(stream, known.position)
            known.stale = False
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
        """Notice publishers that fell silent, for the metric, and let go of streams that nobody offers any more."""
        now = self._clock.monotonic()
        for source in [source for source, at in self._beating.items() if now - at > self._timeout_seconds]:
            del self._beating[source]
            self._metrics.publisher(source, up=False)
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_SECONDS
            for known in [known for known in self._streams.values() if _forgettable(known, now)]:
                del self._streams[known.stream]

    def _send(self, known: OfferedStream, message: Control) -> None:
        if known.identity is None:
            return
        try:
            self._control.send_multipart([known.identity, encode_control(message)], zmq.DONTWAIT)
        except zmq.ZMQError:  # gone (EHOSTUNREACH) or full (EAGAIN); everything is repeated with the next heartbeat
            known.identity = None


def _forgettable(known: OfferedStream, now: float) -> bool:
    died = known.heartbeat is not None and known.heartbeat.own and known.goodbye is None
    return now - known.heard_at > (_DEAD_SHOWN_SECONDS if died else _REMEMBERED_SECONDS)
