"""A publisher of raw ZeroMQ sockets that does what a test tells it to, and keeps what the daemon says.

It runs in the test's own thread: nothing is sent, answered or read unless a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import zmq

from bus.alerts import Alert
from bus.sockets import open_publisher_control
from bus.topics import topic_of
from bus.wire import (
    Ack,
    Control,
    Goodbye,
    Header,
    Heartbeat,
    Replay,
    Replayed,
    Welcome,
    decode_control,
    encode_alert,
    encode_control,
    encode_frames,
)
from tests.support.alerts import STREAM, risk_event
from tests.support.clock import START_US, FakeClock
from tests.support.waiting import wait_until

_REPLAYED: Final = encode_control(Replayed())
_CONNECT_MILLISECONDS: Final = 10_000
_Message = TypeVar("_Message", Ack, Replay, Welcome)


class ScriptedPublisher:
    """A publisher for tests; use it in a `with` statement."""

    def __init__(
        self, endpoints: tuple[str, str], *, stream: bytes = STREAM, source: str = "trader-1", own: bool = True
    ) -> None:
        """Choose what it offers.

        Args:
            endpoints: Data and control of a daemon.
            stream: 16 bytes.
            source: Its name.
            own: False for a stream that a dead publisher left.
        """
        self.stream = stream
        self.source = source
        self.own = own
        self.first_held = 1
        self.first_unacknowledged = 1
        #: What it holds, by number.
        self.alerts: dict[int, Alert] = {}
        #: Everything that the daemon sent, in order.
        self.heard: list[Control] = []
        self._answered = 0
        self._endpoints = endpoints

    def __enter__(self) -> Self:
        """Connect, and wait until the daemon has subscribed and can be written to."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._data = self._context.socket(zmq.XPUB)  # a PUB that shows when somebody subscribed
        self._data.setsockopt(zmq.SNDHWM, 0)
        self._data.setsockopt(zmq.LINGER, 0)
        self._data.connect(self._endpoints[0])
        self._control = open_publisher_control(self._context, self._endpoints[1])
        assert self._data.poll(_CONNECT_MILLISECONDS), "no daemon subscribed"
        assert self._data.recv() == b"\x01"
        assert self._control.poll(_CONNECT_MILLISECONDS, zmq.POLLOUT), "no daemon on the control endpoint"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Vanish without a word."""
        self._context.destroy(linger=0)

    # --- what it offers -------------------------------------------------------------------------------------

    def alert(self, number: int) -> Alert:
        """Return the alert of a number; made when it is asked for first."""
        return self.alerts.setdefault(number, risk_event(source=self.source, description=f"number {number}"))

    def frames(self, number: int, **header: Any) -> list[bytes]:
        """Return a number's three frames."""
        alert = self.alert(number)
        place = Header(**{"stream": self.stream, "sequence": number, "published_us": START_US, **header})
        return encode_frames(topic_of(alert), place, encode_alert(alert))

    def publish(self, *numbers: int) -> None:
        """Send alerts on the data connection."""
        for number in numbers:
            self.send_data(self.frames(number))

    def lose(self, *numbers: int) -> None:
        """Hold alerts as if they had been sent and lost on the way."""
        for number in numbers:
            self.alert(number)

    def replay(self, *numbers: int) -> None:
        """Send alerts again on the control connection."""
        for number in numbers:
            self.send_control([_REPLAYED, *self.frames(number)])

    def beat(self, **fields: Any) -> None:
        """Send a heartbeat; by default it tells the truth about what is held."""
        given: dict[str, Any] = {
            "stream": self.stream,
            "source": self.source,
            "own": self.own,
            "first_held": self.first_held,
            "first_unacknowledged": self.first_unacknowledged,
            "last": max(self.alerts, default=self.first_held - 1),
            "clock_us": START_US,
            "journal_alerts": len(self.alerts),
        }
        self.say(Heartbeat(**{**given, **fields}))

    def say_goodbye(self, reason: str = "closed", last: int | None = None) -> None:
        """Send a goodbye."""
        highest = max(self.alerts, default=0) if last is None else last
        self.say(Goodbye(stream=self.stream, source=self.source, last=highest, reason=reason))

    def say(self, message: Control) -> None:
        """Send a control message."""
        self.send_control([encode_control(message)])

    def send_data(self, frames: Sequence[bytes]) -> None:
        """Send anything on the data connection."""
        self._data.send_multipart(frames)

    def send_control(self, frames: Sequence[bytes]) -> None:
        """Send anything on the control connection."""
        self._control.send_multipart(frames)

    # --- what the daemon says -------------------------------------------------------------------------------

    def listen(self) -> Self:
        """Read what has arrived."""
        try:
            while True:
                (frame,) = self._control.recv_multipart(zmq.DONTWAIT)
                self.heard.append(decode_control(frame))
        except zmq.Again:
            return self

    @property
    def acks(self) -> list[Ack]:
        """The acknowledgements so far, of this stream."""
        return [ack for ack in self._all(Ack) if ack.stream == self.stream]

    @property
    def replays(self) -> list[tuple[int, int]]:
        """The ranges of this stream that were asked for so far."""
        return [(replay.first, replay.last) for replay in self._all(Replay) if replay.stream == self.stream]

    @property
    def welcomes(self) -> list[Welcome]:
        """The welcomes so far."""
        return self._all(Welcome)

    @property
    def acknowledged(self) -> int:
        """Up to where everything is acknowledged; -1 before the first acknowledgement."""
        return max((ack.up_to for ack in self.acks), default=-1)

    def _all(self, kind: type[_Message]) -> list[_Message]:
        return [message for message in self.listen().heard if isinstance(message, kind)]

    def meet(self) -> None:
        """Beat, and wait for the daemon's answer: what was sent on the control connection before it is done."""
        welcomes = len(self.welcomes)
        self.beat()
        wait_until(lambda: len(self.welcomes) > welcomes)

    def wait_for_ack(self, up_to: int) -> None:
        """Wait until everything up to a number is acknowledged."""
        wait_until(lambda: self.acknowledged >= up_to)

    def wait_for_replays(self, *ranges: tuple[int, int]) -> None:
        """Wait until exactly these ranges were asked for."""
        wait_until(lambda: len(self.replays) >= len(ranges))
        assert self.replays == list(ranges)

    def answer(self) -> int:
        """Send what was asked for since the last time and is held; return how many ranges that were."""
        asked = self.replays[self._answered :]
        self._answered += len(asked)
        for first, last in asked:
            self.replay(*self._held(range(first, last + 1)))
        return len(asked)

    def answer_until_acknowledged(self, up_to: int) -> None:
        """Answer whatever is asked for until everything up to a number is acknowledged."""
        wait_until(lambda: self.answer() == 0 and self.acknowledged >= up_to)

    def beat_until_acknowledged(self, up_to: int, clock: FakeClock) -> None:
        """Beat each second and answer, as a publisher does, until everything up to a number is acknowledged."""

        def acknowledged() -> bool:
            clock.advance(1.1)
            self.meet()
            return self.answer() == 0 and self.acknowledged >= up_to

        wait_until(acknowledged)

    def _held(self, numbers: Iterable[int]) -> list[int]:
        return [number for number in numbers if number in self.alerts and number >= self.first_held]
