"""One daemon as the publisher sees it: its control socket, who stores, and what it asked for."""

from __future__ import annotations

from typing import Final

import zmq

from bus.errors import WireError
from bus.wire import Ack, Control, Header, Replay, Replayed, Welcome, decode_control, encode_control, encode_frames
from publisher.asked import Asked
from publisher.outbox import Entry

_REPLAYED: Final = encode_control(Replayed())


class Daemon:
    """The control channel to one daemon. Used by the sender's thread alone; never blocks."""

    def __init__(self, socket: zmq.Socket[bytes], endpoint: str) -> None:
        """Own an open DEALER."""
        self.socket = socket
        self.endpoint = endpoint
        self.store_id: str | None = None
        self.reachable = False
        #: Whether it said who stores since it is reachable; another daemon may listen there now.
        self.welcomed = False
        #: Its newest answer to the goodbye of the publisher's own stream.
        self.goodbye_ack: Ack | None = None
        #: What it asked for and was not answered yet.
        self.asked = Asked()

    @property
    def answering(self) -> str | None:
        """The store that answers at this endpoint now; None where none does."""
        return self.store_id if self.reachable and self.welcomed else None

    def welcome(self, store_id: str) -> None:
        """Note who stores there."""
        self.store_id = store_id
        self.welcomed = True

    def send(self, message: Control) -> bool:
        """Send a control message, or return False when the daemon is away or can't keep up."""
        return self._send([encode_control(message)])

    def send_again(self, stream: bytes, entry: Entry) -> bool:
        """Send an alert once more, to this daemon only."""
        header = Header(stream, entry.sequence, entry.published_us)
        return self._send([_REPLAYED, *encode_frames(entry.topic, header, entry.body)])

    def receive(self) -> Welcome | Ack | Replay | None:
        """Return the next message, or None when there is none.

        Raises:
            WireError: A message could not be read.
        """
        try:
            frames = self.socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return None
        message = decode_control(frames[0]) if len(frames) == 1 else None
        if isinstance(message, Welcome | Ack | Replay):
            return message
        raise WireError(f"{WireError.__doc__} A daemon sent something that is not for publishers.")

    def close(self) -> None:
        """Close the socket; what was not sent is in the journal."""
        self.socket.close()

    def _send(self, frames: list[bytes]) -> bool:
        try:
            self.socket.send_multipart(frames, zmq.DONTWAIT)
        except zmq.Again:
            self.reachable = self.welcomed = False
            return False
        self.reachable = True
        return True
