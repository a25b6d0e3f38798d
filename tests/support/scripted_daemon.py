"""A small daemon on real ZeroMQ sockets that does what a test tells it to, and keeps what it heard.

It binds SUB and ROUTER on free ports of 127.0.0.1 and runs in a thread of its own. By default it behaves: it welcomes,
acknowledges contiguous numbers, asks for what is missing, and records as lost what is unavailable. A test switches
each of these off, pauses it, or sends whatever a broken daemon could send.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import zmq

from bus.alerts import Alert
from bus.sockets import bound_endpoint, open_daemon_control, open_daemon_data
from bus.wire import (
    NOT_OFFERED,
    Ack,
    Control,
    Envelope,
    Goodbye,
    Heartbeat,
    Replay,
    Replayed,
    Unavailable,
    Welcome,
    decode_control,
    decode_frames,
    encode_control,
)

_ANY_PORT: Final = "tcp://127.0.0.1:*"
_POLL_MILLISECONDS: Final = 2
_JOIN_SECONDS: Final = 60.0
_NO_LOSS: Final = (NOT_OFFERED, "above the last")


@dataclass
class StreamRecord:
    """What the daemon knows of one stream."""

    next: int | None = None  #: the lowest number that is missing; None before the first heartbeat
    envelopes: dict[int, Envelope] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    repeats: int = 0
    replayed: list[int] = field(default_factory=list)
    unavailable: list[Unavailable] = field(default_factory=list)
    goodbyes: list[Goodbye] = field(default_factory=list)
    identities: set[bytes] = field(default_factory=set)

    @property
    def alerts(self) -> list[Alert]:
        """What was received, by number."""
        return [self.envelopes[sequence].alert for sequence in sorted(self.envelopes)]

    def keep(self, envelope: Envelope) -> None:
        """Keep an alert once."""
        self.repeats += envelope.header.sequence in self.envelopes
        self.envelopes[envelope.header.sequence] = envelope

    def settled_up_to(self) -> int | None:
        """Move on over what is there, and return the highest number without anything missing below."""
        if self.next is None:
            return None
        while self.next in self.envelopes or self.next in self.lost:
            self.next += 1
        return self.next - 1


class ScriptedDaemon:
    """A daemon for tests; use it in a `with` statement."""

    def __init__(
        self,
        *,
        store_id: str = "store-a",
        endpoints: tuple[str, str] = (_ANY_PORT, _ANY_PORT),
        streams: dict[bytes, StreamRecord] | None = None,
    ) -> None:
        """Choose who it is.

        Args:
            store_id: Told in each welcome.
            endpoints: Data and control; those of an earlier daemon, to restart it.
            streams: What it has stored already; that of an earlier daemon with the same database.
        """
        self.store_id = store_id
        self.data_endpoint, self.control_endpoint = endpoints
        self.streams: dict[bytes, StreamRecord] = {} if streams is None else streams
        for record in self.streams.values():
            record.identities.clear()
        self.heartbeats: list[Heartbeat] = []
        self.welcomes = True
        self.acknowledges = True
        self.asks_replays = True
        self.paused = False
        self._commands: deque[Callable[[], None]] = deque()
        self._stopping = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="scripted-daemon", daemon=True)

    def __enter__(self) -> Self:
        """Bind, and run in a thread."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._data = open_daemon_data(self._context, [self.data_endpoint])
        self._control = open_daemon_control(self._context, [self.control_endpoint])
        self.data_endpoint = bound_endpoint(self._data)
        self.control_endpoint = bound_endpoint(self._control)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the sockets; what went wrong in the thread fails the test."""
        self.stop()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End as a process does that dies: without a word to anybody."""
        self._stopping = True
        self._thread.join(_JOIN_SECONDS)

    @property
    def endpoints(self) -> tuple[str, str]:
        """Data and control, to connect to or to bind again."""
        return self.data_endpoint, self.control_endpoint

    @property
    def alerts(self) -> list[Alert]:
        """Every alert, stream by stream, by number."""
        return [alert for record in list(self.streams.values()) for alert in record.alerts]

    @property
    def goodbyes(self) -> list[Goodbye]:
        """Every goodbye, stream by stream."""
        return [goodbye for record in list(self.streams.values()) for goodbye in record.goodbyes]

    def record_of(self, source: str) -> StreamRecord:
        """Return the one stream that publishes under a name."""
        heard = {beat.stream for beat in self.heartbeats if beat.source == source}
        (stream,) = heard
        return self.streams[stream]

    def send(self, message: Control) -> None:
        """Send a control message to every publisher that was heard."""
        self.send_frames([encode_control(message)])

    def send_frames(self, frames: list[bytes]) -> None:
        """Send anything to every publisher that was heard."""
        self._commands.append(lambda: self._send_to_all(frames))

    # --- the thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._data, zmq.POLLIN)
        poller.register(self._control, zmq.POLLIN)
        idle = threading.Event()
        try:
            while not self._stopping:
                while self._commands:
                    self._commands.popleft()()
                if self.paused:
                    idle.wait(_POLL_MILLISECONDS / 1000)
                elif poller.poll(_POLL_MILLISECONDS):
                    self._receive()
        except BaseException as error:  # noqa: BLE001 - the test's own thread raises it
            self._failure = error
        finally:
            self._data.close()
            self._control.close()
            self._context.term()

    def _receive(self) -> None:
        touched: set[bytes] = set()
        while self._data.poll(0):
            touched.add(self._keep(self._data.recv_multipart()))
        while self._control.poll(0):
            identity, first, *rest = self._control.recv_multipart()
            message = decode_control(first)
            if isinstance(message, Heartbeat):
                self._heard(identity, message)
            elif isinstance(message, Goodbye):
                self.streams.setdefault(message.stream, StreamRecord()).goodbyes.append(message)
                self._acknowledge(message.stream, goodbye=True)
            elif isinstance(message, Unavailable):
                self._settle(message)
                touched.add(message.stream)
            else:
                assert isinstance(message, Replayed), message
                stream = self._keep(rest)
                self.streams[stream].replayed.append(decode_frames(rest).header.sequence)
                touched.add(stream)
        for stream in touched:
            self._acknowledge(stream)

    def _keep(self, frames: list[bytes]) -> bytes:
        envelope = decode_frames(frames)
        self.streams.setdefault(envelope.header.stream, StreamRecord()).keep(envelope)
        return envelope.header.stream

    def _settle(self, answer: Unavailable) -> None:
        record = self.streams.setdefault(answer.stream, StreamRecord())
        record.unavailable.append(answer)
        if answer.reason not in _NO_LOSS:
            missing = set(range(answer.first, answer.last + 1)) - record.envelopes.keys() - set(record.lost)
            record.lost.extend(sorted(missing))

    def _heard(self, identity: bytes, heartbeat: Heartbeat) -> None:
        record = self.streams.setdefault(heartbeat.stream, StreamRecord())
        record.identities.add(identity)
        self.heartbeats.append(heartbeat)
        if self.welcomes:
            self._send(identity, Welcome(store_id=self.store_id, version="scripted"))
        if record.next is None:
            record.next = heartbeat.first_unacknowledged
        record.settled_up_to()
        record.lost.extend(range(record.next, heartbeat.first_held))
        settled = record.settled_up_to() or 0
        if self.asks_replays and settled < heartbeat.last:
            self._send(identity, Replay(stream=heartbeat.stream, first=settled + 1, last=heartbeat.last))
        self._acknowledge(heartbeat.stream)

    def _acknowledge(self, stream: bytes, *, goodbye: bool = False) -> None:
        record = self.streams[stream]
        settled = record.settled_up_to()
        if self.acknowledges and settled is not None:
            for identity in record.identities:
                self._send(identity, Ack(stream=stream, up_to=settled, goodbye=goodbye))

    def _send_to_all(self, frames: list[bytes]) -> None:
        for identity in {name for record in self.streams.values() for name in record.identities}:
            self._send_frames(identity, frames)

    def _send(self, identity: bytes, message: Control) -> None:
        self._send_frames(identity, [encode_control(message)])

    def _send_frames(self, identity: bytes, frames: list[bytes]) -> None:
        try:
            self._control.send_multipart([identity, *frames], zmq.DONTWAIT)
        except zmq.ZMQError as error:  # the publisher has gone meanwhile
            if error.errno not in {zmq.EHOSTUNREACH, zmq.EAGAIN}:
                raise
