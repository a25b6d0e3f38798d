"""The control channel, as the daemon leads it: hears heartbeats and goodbyes, acknowledges, asks for replays.

It knows every stream on offer and its position, and records as lost what nobody holds any more. Everything it sends is
repeated with the next heartbeat, so an answer that a full or departed peer misses does no harm. Used by the ingest
thread alone, except `publishers`.
"""

from __future__ import annotations

import logging
from typing import Final

import zmq

from bus.clock import MICROSECONDS, Clock
from bus.errors import AlertBusError
from bus.wire import NOT_OFFERED, Ack, Control, Goodbye, Heartbeat, Replay, Unavailable, Welcome, encode_control
from subscriber.intake.notices import Notices
from subscriber.intake.publisher_figures import PublisherFigures
from subscriber.intake.publisher_views import PublisherView, heard_view, told_apart, unheard_views
from subscriber.intake.sequences import Position, Range, common
from subscriber.intake.streams import OfferedStream
from subscriber.intake.vigil import Vigil
from subscriber.monitoring.metrics import Metrics, alertbus_version
from subscriber.store.store import Store
from subscriber.store.streams import SignOfLife, StreamState

logger = logging.getLogger(__name__)

#: How often the store is told that a publisher lives: rarely, since every write is an fsync.
_NOTE_SECONDS: Final = 5.0
#: The same, as a share of the publishers' timeout: other daemons of this database judge by it.
_NOTE_SHARE: Final = 0.25
#: How often streams are let go, and how long one is remembered of which nobody speaks: the store knows them all.
_SWEEP_SECONDS: Final = 60.0
_REMEMBERED_SECONDS: Final = 3_600.0
#: A publisher that died without a word is shown for a day.
_DEAD_SHOWN_SECONDS: Final = 86_400.0


class Correspondence:
    """What is said between this daemon and its publishers."""

    def __init__(
        self,
        *,
        store: Store,
        notices: Notices,
        vigil: Vigil,
        metrics: Metrics,
        clock: Clock,
        publisher_timeout_seconds: float,
    ) -> None:
        """Store what is needed; `open` gives it the socket."""
        self._store = store
        self._notices = notices
        self._vigil = vigil
        self._metrics = metrics
        self._clock = clock
        self._timeout_seconds = publisher_timeout_seconds
        self._note_seconds = min(_NOTE_SECONDS, _NOTE_SHARE * publisher_timeout_seconds)
        self._streams: dict[bytes, OfferedStream] = {}
        #: Streams of which a publisher spoke in this turn.
        self._spoken_of: dict[bytes, OfferedStream] = {}
        self._figures = PublisherFigures(
            metrics,
            clock,
            timeout_seconds=publisher_timeout_seconds,
            shown_seconds=_DEAD_SHOWN_SECONDS,
            ended_seconds=_REMEMBERED_SECONDS,
        )
        #: Numbers that are missing, in all streams together.
        self._missing = 0
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
        self._count_missing(known)

    def publishers(self) -> list[PublisherView]:
        """Return what is known of each publisher that beat since the daemon started, and of those the store knows of.

        Of a source that was started again, only what runs. Those of the store have ended without a goodbye before the
        daemon started, or only another daemon hears them.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        views = [
            heard_view(known, now=now, now_us=now_us, timeout_seconds=self._timeout_seconds)
            for known in list(self._streams.values())
            if known.offers.own is not None
        ]
        heard = {view["source"] for view in views}
        late_us = round((self._timeout_seconds + self._note_seconds) * MICROSECONDS)
        shown_us = round(_DEAD_SHOWN_SECONDS * MICROSECONDS)
        unheard = [state for state in self._store.watched() if state.source not in heard]
        unheard_too = unheard_views(unheard, now_us=now_us, timeout_us=late_us, shown_us=shown_us)
        return told_apart(views + unheard_too)

    # --- what publishers say --------------------------------------------------------------------------------

    def hear(self, identity: bytes, message: Heartbeat | Goodbye) -> None:
        """Take a publisher's word on a stream and answer it; `look_for_missing` asks for what it says we miss."""
        if isinstance(message, Heartbeat) and message.last + 1 < max(message.first_held, message.first_unacknowledged):
            self._notices.invalid("control", "A heartbeat told of numbers that its stream does not have.")
            return
        known = self.known(message.stream)
        known.heard_at = self._clock.monotonic()
        if isinstance(message, Heartbeat):
            self._hear_heartbeat(identity, known, message)
        else:
            self._hear_goodbye(known, message)
        self._send(known, identity, Welcome(store_id=self._store.store_id, version=alertbus_version()))
        self._acknowledge(known, identity)
        if known.settled_goodbye and (beat := known.offers.own) is not None:
            self._figures.settled(beat.source)
        known.announced = max(known.announced, message.last)
        known.told = max(known.told, message.last)
        self._spoken_of[known.stream] = known

    def look_for_missing(self) -> None:
        """Ask for what this turn's heartbeats and goodbyes say we miss; each stream is judged once."""
        spoken_of, self._spoken_of = self._spoken_of, {}
        for known in spoken_of.values():
            announced, known.announced = known.announced, 0
            wanted = known.noticed(announced, self._clock.monotonic())
            if wanted:
                self._ask(known, wanted)
            self._count_missing(known)

    def hear_unavailable(self, identity: bytes, message: Unavailable) -> None:
        """Take a publisher's word that it can't send what it was asked for; somebody else may, or it is lost."""
        known = self._streams.get(message.stream)
        if known is None or not known.target:
            return  # it was not asked, or we have forgotten that since, and ask again
        if message.reason == NOT_OFFERED:
            known.offers.gone(identity)
        elif not known.offers.unavailable(identity, message.first, min(message.last, known.target)):
            self._notices.invalid("control", "A publisher answered for a stream that it does not offer.")
            return
        self._ask_elsewhere(known, (message.first, min(message.last, known.target)), message.reason)
        self.data_came(known)

    def _hear_heartbeat(self, identity: bytes, known: OfferedStream, heartbeat: Heartbeat) -> None:
        if not known.offers.identities():
            known.asked_to = 0  # what was asked over a connection that has ended is not coming any more
        known.offers.heard(identity, heartbeat, known.heard_at)
        new = known.position.contiguous is None
        if known.position.contiguous is None and heartbeat.store_id in {None, self._store.store_id}:
            self._store.begin(known.stream, heartbeat.source, heartbeat.first_unacknowledged)
            self._read_position(known)
        self._vigil.heard(heartbeat)
        monotonic_us = round(known.heard_at * MICROSECONDS)
        known.clock.told(heartbeat.clock_us, heartbeat.last if heartbeat.own else None, monotonic_us)
        if not heartbeat.own:
            return  # an adopter beats for it, which is no sign of life
        ahead_us = known.clock.ahead_us(self._clock.now_us(), monotonic_us)
        self._figures.heard(heartbeat, new=new, closing=known.goodbye is not None, ahead_us=ahead_us)
        if known.heard_at >= known.noted_at + self._note_seconds:
            sign = SignOfLife(heartbeat.source, heartbeat.last, heartbeat.volatile)
            try:
                self._store.heard(known.stream, sign, self._clock.now_us())
                known.noted_at = known.heard_at
            except AlertBusError as error:  # the next heartbeat notes it
                self._metrics.store_error()
                self._notices.warn("store", str(error))

    def _hear_goodbye(self, known: OfferedStream, goodbye: Goodbye) -> None:
        if known.goodbye is not None:
            return
        try:
            self._vigil.said_goodbye(goodbye)
        except AlertBusError as error:  # it is repeated until we answer it, and we have not
            self._metrics.store_error()
            self._notices.warn("store", str(error))
            return
        known.goodbye = goodbye.reason
        logger.info("publisher said goodbye", extra={"source": goodbye.source, "reason": goodbye.reason})
        self._figures.said_goodbye(goodbye)

    # --- what the daemon says -------------------------------------------------------------------------------

    def _acknowledge(self, known: OfferedStream, *identities: bytes) -> None:
        if known.position.contiguous is not None:
            ack = Ack(stream=known.stream, up_to=known.position.contiguous, goodbye=known.goodbye is not None)
            for identity in identities or known.offers.identities():
                self._send(known, identity, ack)

    def _ask(self, known: OfferedStream, last: int) -> None:
        """Ask for what is missing in the store; another daemon may have stored it meanwhile."""
        now = self._clock.monotonic()
        if known.offers.newest is None:
            return
        wanted = known.next_window(last)
        if wanted:
            self._read_position(known, max(end for _, end in wanted))
        missing = known.position.missing(last, last)
        self._count_holes(known, missing, last)
        gone = known.offers.held_by_nobody(missing, now)
        if gone:
            self.lose(known, gone, "not held any more")
        for part in known.window(last, now):
            self._send_replay(known, part, now)
        self._acknowledge(known)

    def _ask_elsewhere(self, known: OfferedStream, part: Range, why: str) -> None:
        """Ask others for what one publisher can't send; what nobody else holds is lost."""
        now = self._clock.monotonic()
        self._read_position(known, part[1])
        gone = known.offers.held_by_nobody(common(known.position.missing(part[1], part[1]), [part]), now)
        if gone:
            self.lose(known, gone, why)
        for rest in common(known.position.missing(part[1], part[1]), [part]):
            self._send_replay(known, rest, now)

    def _send_replay(self, known: OfferedStream, part: Range, now: float) -> None:
        for identity, (first, last) in known.offers.share([part], now):
            self._send(known, identity, Replay(stream=known.stream, first=first, last=last))
            logger.info("asked for a replay", extra={"stream": known.stream.hex(), "first": first, "last": last})

    def _count_holes(self, known: OfferedStream, missing: list[Range], last: int) -> None:
        for _ in range(known.new_holes(missing, last)):
            self._metrics.gap()

    def _count_missing(self, known: OfferedStream) -> None:
        """Keep the sum of what publishers told of and what has not come."""
        if not known.stale:  # else it is not known at the moment
            self._set_missing(known, known.position.outstanding(known.told))

    def _set_missing(self, known: OfferedStream, outstanding: int) -> None:
        self._missing += outstanding - known.outstanding
        known.outstanding = outstanding
        self._metrics.missing(self._missing)

    def lose(self, known: OfferedStream, gone: list[Range], why: str) -> None:
        """Record what nobody holds as lost, so that it never blocks what is behind it, and tell people."""
        beat = known.offers.own or known.offers.newest
        self._notices.lose(known.stream, gone, beat.source if beat else "", why)
        for first, last in gone:
            known.position.settle(first, last)

    def known(self, stream: bytes) -> OfferedStream:
        """Return a stream; its position is read from the store where it is not known, or not sure any more."""
        known = self._streams.get(stream)
        if known is None:
            known = OfferedStream(stream, Position(), heard_at=self._clock.monotonic(), stale=True)
        if known.stale:
            self._read_position(known)
            known.stale = False
            self._streams[stream] = known
        return known

    def _read_position(self, known: OfferedStream, last: int | None = None) -> None:
        stored = self._store.position(known.stream, last)
        if stored.behind:  # what is acknowledged is in the stream's row first
            self._store.advance(known.stream)
        if stored.announced is not None and stored.last_heard_us is not None:
            age_us = self._clock.now_us() - stored.last_heard_us
            known.clock.gave_out(stored.announced, round(self._clock.monotonic() * MICROSECONDS) - max(age_us, 0))
        if stored.known:
            known.position.begin(stored.up_to + 1)
            if stored.up_to:
                known.position.settle(1, stored.up_to)
        for first, end in stored.ahead:
            known.position.settle(first, end)

    def watch(self) -> None:
        """Notice publishers that fell silent, and let go of streams that nobody offers any more."""
        now = self._clock.monotonic()
        self._figures.watch()
        for state in self._vigil.look():
            self._settle_ended(state, now)
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_SECONDS
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        for known in [known for known in self._streams.values() if _forgettable(known, now)]:
            self._set_missing(known, 0)
            del self._streams[known.stream]
        self._figures.sweep(self._vigil.accused)
        for known in self._streams.values():
            if known.outstanding and not known.offers.is_offered(now):  # another daemon may have got it since
                self._read_position(known)
                self._count_missing(known)

    def _settle_ended(self, state: StreamState, now: float) -> None:
        """Give up what a stream that has ended told of and what nobody has: it was in memory only, or a disk failed."""
        known = self.known(state.stream)
        announced = state.announced or 0
        known.told = max(known.told, announced)
        missing = known.position.missing(announced, announced)
        self._count_holes(known, missing, announced)
        if not state.volatile or known.offers.is_offered(now):
            missing = known.offers.held_by_nobody(missing, now)
        if missing:
            self.lose(known, missing, "its publisher ended and left them nowhere")
        self._count_missing(known)

    def _send(self, known: OfferedStream, identity: bytes, message: Control) -> None:
        try:
            self._control.send_multipart([identity, encode_control(message)], zmq.DONTWAIT)
        except zmq.ZMQError as error:  # gone, or full; everything is repeated with the next heartbeat
            if error.errno == zmq.EHOSTUNREACH:
                known.offers.gone(identity)


def _forgettable(known: OfferedStream, now: float) -> bool:
    died = known.offers.own is not None and known.goodbye is None
    return now - known.heard_at > (_DEAD_SHOWN_SECONDS if died else _REMEMBERED_SECONDS)
