"""A ZeroMQ context and whoever closes the sockets of a test: what a test forgets to hand over fails it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq

from bus.sockets import (
    bound_endpoint,
    open_daemon_control,
    open_daemon_data,
    open_publisher_control,
    open_publisher_data,
)
from tests.bus.polling import LOOPBACK, Context, Socket

Keep = Callable[[Socket], Socket]
OpenSocket = Callable[..., Socket]
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
def keep(context: Context) -> Iterator[Keep]:
    """Lend a function that closes the socket given to it, without lingering, after the test."""
    kept: list[Socket] = []

    def keep(socket: Socket) -> Socket:
        kept.append(socket)
        return socket

    yield keep
    for socket in kept:
        socket.close(linger=0)


@pytest.fixture
def socket(context: Context, keep: Keep) -> OpenSocket:
    """Lend a factory of plain sockets, as a foreign program would open them."""

    def open_socket(kind: zmq.SocketType, **options: Any) -> Socket:
        opened = keep(context.socket(kind))
        for name, value in options.items():
            opened.setsockopt(getattr(zmq, name), value)
        return opened

    return open_socket


@pytest.fixture
def daemon_data(context: Context, keep: Keep) -> Socket:
    return keep(open_daemon_data(context, [LOOPBACK]))


@pytest.fixture
def daemon_control(context: Context, keep: Keep) -> Socket:
    return keep(open_daemon_control(context, [LOOPBACK]))


@pytest.fixture
def publisher_data(context: Context, keep: Keep, daemon_data: Socket) -> Socket:
    return keep(open_publisher_data(context, [bound_endpoint(daemon_data)]))


@pytest.fixture
def publisher_control(context: Context, keep: Keep, daemon_control: Socket) -> Socket:
    return keep(open_publisher_control(context, bound_endpoint(daemon_control)))


@pytest.fixture
def taken(socket: OpenSocket) -> str:
    """An endpoint that another program has bound."""
    other = socket(zmq.PULL)
    other.bind(LOOPBACK)
    return bound_endpoint(other)
