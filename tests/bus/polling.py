"""Waits for sockets without sleeping: polls until what a test waits for is there, for at most `LIMIT_SECONDS`."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import zmq

from bus.errors import EndpointTaken
from bus.sockets import open_daemon_control

Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]

LIMIT_SECONDS = 10.0
LOOPBACK = "tcp://127.0.0.1:*"


def attempts(poll_milliseconds: int = 10) -> Iterator[int]:
    """Count tries until the limit, and fail then."""
    limit = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < limit:
        yield poll_milliseconds
    pytest.fail(f"nothing happened in {LIMIT_SECONDS} s")


def received(socket: Socket) -> list[bytes]:
    """Wait for the next message."""
    assert socket.poll(int(LIMIT_SECONDS * 1000)), "nothing arrived"
    return socket.recv_multipart()


def sent_until_received(sender: Socket, frames: list[bytes], receiver: Socket) -> list[bytes]:
    """Send again and again, until the first message arrives: a PUB drops what nobody subscribed to yet."""
    for milliseconds in attempts():
        sender.send_multipart(frames)
        if receiver.poll(milliseconds):
            return receiver.recv_multipart()
    raise AssertionError


def sent_once_connected(dealer: Socket, frames: list[bytes]) -> None:
    """Send as soon as the daemon is there; until then a DEALER refuses."""
    for milliseconds in attempts():
        try:
            dealer.send_multipart(frames, zmq.DONTWAIT)
        except zmq.Again:
            dealer.poll(milliseconds, zmq.POLLOUT)
        else:
            return


def bound_again(context: Context, endpoint: str) -> Socket:
    """Bind an endpoint as soon as ZeroMQ has given it back, which happens in its own thread."""
    for _ in attempts():
        try:
            return open_daemon_control(context, [endpoint])
        except EndpointTaken:
            continue
    raise AssertionError
