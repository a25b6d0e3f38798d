"""Takes alerts from the bus: decode -> position -> plan -> store -> acknowledge, or ask for a replay.

One thread owns both sockets. It drains what has arrived, stores it in one transaction, and only then acknowledges.
While the database is away it holds its batch and acknowledges nothing; what ZeroMQ drops meanwhile is found missing by
its number and replayed. House rule: nothing that arrives can end this thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Final

import zmq

from bus.clock import MICROSECONDS, Clock, shift_of
from bus.errors import AlertBusError, UndecodableFrames, UnsupportedVersion
from bus.sockets import open_daemon_control, open_daemon_data
from bus.topics import topic_of, two_levels
from bus.wire import VERSION, Envelope, Goodbye, Header, Heartbeat, Replayed, Unavailable, decode_control, decode_frames
from subscriber.intake.announcing import Planner, Waker, count_deliveries
from subscriber.intake.correspondence import Correspondence
from subscriber.intake.notices import Notices
from subscriber.intake.sequences import Observation
from subscriber.intake.streams import OfferedStream
from subscriber.monitoring.metrics import Metrics
from subscriber.store.incoming import Incoming
from subscriber.store.inserting import Accepted
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

_POLL_MILLISECONDS: Final = 100
#: Messages taken from one socket before the batch is stored: large enough for the database, small for memory.
_BATCH_MESSAGES: Final = 2_000
_STORE_BACKOFF_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
#: Foreign versions of which people are told; garbage may look like any number of them.
_MOST_VERSIONS: Final = 4

#: By stream, kind of message and connection.
Notes = dict[tuple[bytes, str, bytes], Heartbeat | Goodbye]


class Ingest:
    """The ingest thread."""

    def __init__(
        self,
        *,
        data_endpoints: Sequence[str],
        control_endpoints: Sequence[str],
        store: Store,
        planner: Planner,
        waker: Waker,
        correspondence: Correspondence,
        notices: Notices,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        """Store what is needed; `start` opens the sockets."""
        self._data_endpoints = data_endpoints
        self._control_endpoints = control_endpoints
        self._store = store
        self._planner = planner
        self._waker = waker
        self._correspondence = correspondence
        self._notices = notices
        self._metrics = metrics
        self._clock = clock
        self._batch: list[Incoming] = []
        self._touched: dict[bytes, OfferedStream] = {}
        self._unavailable: list[tuple[bytes, Unavailable]] = []
        self._versions: set[int] = set()
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._failure: AlertBusError | None = None
        self._data: zmq.Socket[bytes]
        self._control: zmq.Socket[bytes]
        #: Monotonic seconds of the last turn; it stands still while the database is away, and readiness says so.
        self.last_turn = clock.monotonic()
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)

    def start(self, timeout: float = 10.0) -> None:
        """Bind the sockets and start taking alerts.

        Raises:
            ConfigurationError: An endpoint is taken or not valid.
            AlertBusError: The thread was not ready within `timeout` seconds.
        """
        self._thread.start()
        if not self._ready.wait(timeout):
            self._stopping.set()
            raise AlertBusError(f"The bus was not bound within {timeout:g} s.")
        if self._failure is not None:
            raise self._failure

    def stop(self, timeout: float) -> None:
        """Take nothing more; what was not stored stays with its publishers."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    # --- the thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._data = open_daemon_data(context, self._data_endpoints)
            self._control = open_daemon_control(context, self._control_endpoints)
            self._correspondence.open(self._control)
            self._ready.set()
            self._serve()
        except AlertBusError as error:
            self._failure = error
        except Exception as error:  # such as no more file descriptors
            logger.exception("the bus could not be opened")
            self._failure = AlertBusError(f"The bus could not be opened: {type(error).__name__}.")
        finally:
            context.destroy(linger=0)
            self._ready.set()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._data, zmq.POLLIN)
        poller.register(self._control, zmq.POLLIN)
        while not self._stopping.is_set():
            try:
                self._turn(dict(poller.poll(_POLL_MILLISECONDS)))
            except AlertBusError as error:
                self._metrics.store_error()
                self._notices.warn("store", f"What came from the bus was not stored, and is asked for again: {error}")
                self._recover()
            except Exception as error:  # noqa: BLE001 - a bug of ours, which is logged
                self._notices.failed("a batch from the bus was dropped; its publishers are asked for it again", error)
                self._recover()

    def _recover(self) -> None:
        """Read every position again: those in memory may be ahead of the store now."""
        self._correspondence.forget()
        self._stopping.wait(_STORE_BACKOFF_SECONDS[0])

    def _turn(self, events: dict[zmq.Socket[bytes], int]) -> None:
        self._batch, self._touched, self._unavailable = [], {}, []
        if self._data in events:
            for frames in _drained(self._data):
                self._take(frames, asked_for=False)
        notes: Notes = {}
        if self._control in events:
            for identity, *frames in _drained(self._control):
                self._take_control(identity, frames, notes)
        if self._batch:
            self._commit()
        for (
            _,
            _,
            identity,
        ), message in notes.items():  # after the data of the same turn, which they may have overtaken
            self._hear(identity, message)
        for identity, unavailable in self._unavailable:  # after the data that came before it
            self._correspondence.hear_unavailable(identity, unavailable)
        self._correspondence.look_for_missing()
        for known in self._touched.values():
            self._correspondence.data_came(known)
        self._correspondence.watch()
        self.last_turn = self._clock.monotonic()

    # --- data -----------------------------------------------------------------------------------------------

    def _take(self, frames: Sequence[bytes], *, asked_for: bool) -> None:
        try:
            self._take_in(decode_frames(frames), asked_for=asked_for)
        except UnsupportedVersion as error:
            self._notices.invalid("version", str(error))
        except UndecodableFrames as error:
            self._notices.invalid(error.reason, str(error))
            if asked_for and error.header is not None:  # the journal's own copy can't be read either: settle it
                self._give_up(error.header)
            # otherwise it may have been damaged on the way; its number is missing and is asked for
        except AlertBusError:  # the database is away: nothing can be taken
            raise
        except Exception as error:  # noqa: BLE001 - a bug that one alert meets must not cost the others
            self._notices.failed("an alert was skipped; its publisher is asked for it again", error)

    def _take_in(self, envelope: Envelope, *, asked_for: bool) -> None:
        alert, header = envelope.alert, envelope.header
        topic = topic_of(alert)
        if envelope.topic != topic:
            self._notices.invalid("topic", "A topic said something else than its alert; the alert was believed.")
        known = self._correspondence.known(header.stream)
        shift_us = shift_of(self._clock)
        planned = self._planner(alert)
        incoming = Incoming(
            alert=alert,
            body=envelope.body,
            topic=topic,
            stream=header.stream,
            sequence=header.sequence,
            published_us=known.clock.published_us(
                header.sequence,
                header.published_us,
                self._clock.now_us(),
                round(self._clock.monotonic() * MICROSECONDS),
                live=not asked_for,
            ),
            planned=planned,
            not_routed=not planned,
            shift_us=shift_us,
        )
        self._touched[known.stream] = known
        new = known.observe(header.sequence, asked_for=asked_for) is Observation.NEW
        if asked_for and new:
            self._metrics.replayed()
        self._batch.append(incoming)  # also when its number is known: it may hold another alert

    def _give_up(self, header: Header) -> None:
        known = self._correspondence.known(header.stream)
        if known.offers.newest is not None and not known.position.settled(header.sequence):
            self._correspondence.lose(known, [(header.sequence, header.sequence)], "undecodable")
            self._touched[known.stream] = known

    def _commit(self) -> None:
        """Store the batch, however long the database takes to come back; nothing is acknowledged before."""
        positions = {
            stream: known.position.contiguous
            for stream, known in self._touched.items()
            if known.position.contiguous is not None
        }
        attempt = 0
        while True:
            began = self._clock.monotonic()
            try:
                accepted = self._store.accept(self._batch, positions)
                break
            except AlertBusError as error:
                self._metrics.store_error()
                self._notices.warn("store", f"Alerts wait in memory, and their publishers keep them: {error}")
                if self._stopping.wait(_STORE_BACKOFF_SECONDS[min(attempt, len(_STORE_BACKOFF_SECONDS) - 1)]):
                    raise
                attempt += 1
        self._metrics.batch_stored(self._clock.monotonic() - began)
        self._stored(accepted)

    def _stored(self, accepted: Accepted) -> None:
        new = set(accepted.inserted)
        for incoming in self._batch:
            if incoming.alert.id in new:
                new.remove(incoming.alert.id)  # one batch may hold an alert twice: live and replayed
                self._metrics.received((two_levels(incoming.topic),))
                self._metrics.not_routed(incoming.not_routed)
        count_deliveries(self._metrics, accepted)
        self._metrics.duplicate(len(accepted.replayed) + len(accepted.duplicates))
        if accepted.recovered:
            logger.info("alerts that were lost arrived after all", extra={"count": accepted.recovered})
        self._waker(accepted.deliveries)
        for stream, sequence in dict(reversed(accepted.collisions)).items():  # the first number of each stream
            self._notices.tell(
                "SEQUENCE_COLLISION",
                f"Number {sequence} of the stream {stream.hex()} holds two different alerts; both are kept, as any "
                "further ones are. Was a journal copied while its publisher ran?",
                stream.hex(),
            )

    # --- control --------------------------------------------------------------------------------------------

    def _hear(self, identity: bytes, message: Heartbeat | Goodbye) -> None:
        try:
            self._correspondence.hear(identity, message)
        except AlertBusError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug that one stream meets must not cost the others
            self._notices.failed("a control message was skipped; its publisher repeats it", error)

    def _take_control(self, identity: bytes, frames: Sequence[bytes], notes: Notes) -> None:
        if not frames:
            self._notices.invalid("frame_count", "A control message had no frames.")
            return
        try:
            message = decode_control(frames[0])
        except UnsupportedVersion as error:
            self._notices.invalid("version", str(error))
            self._tell_version(error.version)
            return
        except UndecodableFrames as error:
            self._notices.invalid(error.reason, str(error))
            return
        match message:
            case Replayed():
                self._take(frames[1:], asked_for=True)
            case Heartbeat() | Goodbye() if len(frames) == 1:
                # Only the last word counts: several that waited together say nothing about progress.
                notes[message.stream, message.type, identity] = message
            case Unavailable() if len(frames) == 1:
                self._unavailable.append((identity, message))
            case _:
                self._notices.invalid("control", "A publisher sent a message that is not for daemons.")

    def _tell_version(self, version: int) -> None:
        if version in self._versions or len(self._versions) >= _MOST_VERSIONS:
            return
        self._notices.tell(
            "UNSUPPORTED_VERSION",
            f"A publisher speaks version {version} of the bus, this daemon speaks {VERSION}: upgrade the older side. "
            "Its alerts wait in its journal.",
            str(version),
        )
        self._versions.add(version)


def _drained(socket: zmq.Socket[bytes]) -> list[list[bytes]]:
    """Take what has arrived, up to a batch."""
    messages: list[list[bytes]] = []
    try:
        while len(messages) < _BATCH_MESSAGES:
            messages.append(socket.recv_multipart(zmq.DONTWAIT))
    except zmq.Again:
        pass
    return messages
