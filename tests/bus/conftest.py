"""A ZeroMQ context and whoever closes the sockets of a test: what a test forgets to hand over fails it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq

Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]
#: How long a context may take to end once its sockets are closed.
TERM_SECONDS = 10.0


@pytest.fixture
def context() -> Iterator[Context]:
    """Lend a context, and fail when a socket of it is still open after the test."""
    context: Context = zmq.Context()
    yield context
    leaked = [socket for socket in context._sockets if not socket.closed]
    for socket in leaked:
        socket.close(linger=0)
    ending = threading.Thread(target=context.term, daemon=True)
    ending.start()
    ending.join(TERM_SECONDS)
    assert not leaked, f"left open: {leaked}"
    assert not ending.is_alive(), "the context did not end"


@pytest.fixture
def keep(context: Context) -> Iterator[Callable[[Socket], Socket]]:
    """Lend a function that closes the socket given to it, without lingering, after the test."""
    kept: list[Socket] = []

    def keep(socket: Socket) -> Socket:
        kept.append(socket)
        return socket

    yield keep
    for socket in kept:
        socket.close(linger=0)


@pytest.fixture
def socket(context: Context, keep: Callable[[Socket], Socket]) -> Callable[..., Socket]:
    """Lend a factory of plain sockets, as a foreign program would open them."""

    def open_socket(kind: zmq.SocketType, **options: Any) -> Socket:
        opened = keep(context.socket(kind))
        for name, value in options.items():
            opened.setsockopt(getattr(zmq, name), value)
        return opened

    return open_socket
