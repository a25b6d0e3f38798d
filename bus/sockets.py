"""Opens the four sockets of the bus, with every option that matters set on purpose, in one table.

    data      daemon SUB  binds  <- publisher PUB connects (and may bind for other listeners)
    control   daemon ROUTER binds <-> publisher DEALER connects, one per daemon

Whoever opens a socket closes it, in the thread that uses it. Nothing here blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import zmq

from bus.errors import AlertBusError, ConfigurationError, EndpointTaken
from bus.wire import FRAME_LIMIT_BYTES

DEFAULT_DATA_ENDPOINT: Final = "tcp://127.0.0.1:5555"
DEFAULT_CONTROL_ENDPOINT: Final = "tcp://127.0.0.1:5556"

#: Messages that ZeroMQ holds per peer: 30 MB of alerts of 300 bytes; what is beyond is lost here and replayed.
DATA_HIGH_WATER_MARK: Final = 100_000
#: Control messages are few, and each is repeated by a timer.
CONTROL_HIGH_WATER_MARK: Final = 10_000

_COMMON: Final[dict[zmq.SocketOption, int]] = {
    zmq.LINGER: 0,  # closing never waits: the journal keeps what was not acknowledged
    zmq.MAXMSGSIZE: FRAME_LIMIT_BYTES,  # a peer that sends more is disconnected before we hold its message
    zmq.TCP_KEEPALIVE: 1,  # a firewall between the machines must not forget an idle connection
    zmq.TCP_KEEPALIVE_IDLE: 30,
    zmq.TCP_KEEPALIVE_INTVL: 10,
    zmq.TCP_KEEPALIVE_CNT: 3,
    zmq.HANDSHAKE_IVL: 5_000,  # a peer that connects and says nothing is dropped
    zmq.RECONNECT_IVL: 100,  # a restarted daemon is found again in a tenth of a second,
    zmq.RECONNECT_IVL_MAX: 2_000,  # and one that stays away costs little
}
_DATA: Final[dict[zmq.SocketOption, int]] = {
    zmq.SNDHWM: DATA_HIGH_WATER_MARK,
    zmq.RCVHWM: DATA_HIGH_WATER_MARK,
    # No ZMTP pings here, on purpose: while a daemon can't store, its full pipe stops the reading, and a ping that is
    # not read would end a connection that is well. Each reconnection adds another pipe's worth of memory, and numbers
    # that interleave look like holes (measured, database away for 45 s: 495 MiB and 105,636 needless replays with
    # pings, 312 MiB and none without). What a dead connection swallows is found missing by its number.
    zmq.HEARTBEAT_IVL: 0,
    # What is published until a daemon that came back is found has to be asked for: sooner than the control channel is.
    zmq.RECONNECT_IVL_MAX: 300,
}
_CONTROL: Final[dict[zmq.SocketOption, int]] = {
    zmq.SNDHWM: CONTROL_HIGH_WATER_MARK,
    zmq.RCVHWM: CONTROL_HIGH_WATER_MARK,
    zmq.HEARTBEAT_IVL: 2_000,  # ZMTP pings find a half-open connection in 6 s; keepalive alone takes a minute
    zmq.HEARTBEAT_TIMEOUT: 6_000,
    zmq.HEARTBEAT_TTL: 6_000,
}
_BY_TYPE: Final[dict[zmq.SocketType, dict[zmq.SocketOption, int]]] = {
    # IMMEDIATE: what is published while a daemon is away is in the journal and asked for, newest and oldest at once. In
    # the pipe it would be a hundred thousand old alerts before the first new one (measured: a CRITICAL waited 6 s).
    zmq.PUB: {**_DATA, zmq.IMMEDIATE: 1},
    zmq.SUB: _DATA,
    # IMMEDIATE: a heartbeat for a daemon that is away is refused at once instead of waiting for it and going stale.
    zmq.DEALER: {**_CONTROL, zmq.IMMEDIATE: 1},
    # MANDATORY: an answer to a peer that is gone or full is an error that we see, instead of a silent loss.
    zmq.ROUTER: {**_CONTROL, zmq.ROUTER_MANDATORY: 1},
}


def open_publisher_data(
    context: zmq.Context[zmq.Socket[bytes]], connect: Iterable[str], bind: str | None = None
) -> zmq.Socket[bytes]:
    """Open the PUB of a publisher: connected to every daemon, and bound too where any program may listen.

    Raises:
        ConfigurationError: An endpoint is not valid.
        EndpointTaken: The one to bind is in use.
    """
    socket = _open(context, zmq.PUB)
    try:
        for endpoint in connect:
            _attach(socket, endpoint, "ALERTBUS_DATA_ENDPOINT", bind=False)
        if bind:
            _attach(socket, bind, "ALERTBUS_PUBLISH_BIND", bind=True)
    except AlertBusError:
        socket.close()
        raise
    return socket


def open_publisher_control(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    """Open the DEALER of a publisher for one daemon.

    Raises:
        ConfigurationError: The endpoint is not valid.
    """
    socket = _open(context, zmq.DEALER)
    try:
        _attach(socket, endpoint, "ALERTBUS_CONTROL_ENDPOINT", bind=False)
    except AlertBusError:
        socket.close()
        raise
    return socket


def open_daemon_data(context: zmq.Context[zmq.Socket[bytes]], endpoints: Iterable[str]) -> zmq.Socket[bytes]:
    """Open the SUB of a daemon, subscribed to everything: a gap is then a loss and never a filter.

    Raises:
        ConfigurationError: An endpoint is not valid.
        EndpointTaken: It is in use.
    """
    socket = _open(context, zmq.SUB)
    socket.subscribe(b"")
    return _bound(socket, endpoints, "ALERTBUS_DATA_ENDPOINT")


def open_daemon_control(context: zmq.Context[zmq.Socket[bytes]], endpoints: Iterable[str]) -> zmq.Socket[bytes]:
    """Open the ROUTER of a daemon.

    Raises:
        ConfigurationError: An endpoint is not valid.
        EndpointTaken: It is in use.
    """
    return _bound(_open(context, zmq.ROUTER), endpoints, "ALERTBUS_CONTROL_ENDPOINT")


def bound_endpoint(socket: zmq.Socket[bytes]) -> str:
    """Return the endpoint that a socket bound last, with the port that the system chose for `:*`."""
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


def _open(context: zmq.Context[zmq.Socket[bytes]], kind: zmq.SocketType) -> zmq.Socket[bytes]:
    socket = context.socket(kind)
    for option, value in {**_COMMON, **_BY_TYPE[kind]}.items():
        socket.setsockopt(option, value)
    return socket


def _bound(socket: zmq.Socket[bytes], endpoints: Iterable[str], setting: str) -> zmq.Socket[bytes]:
    try:
        for endpoint in endpoints:
            _attach(socket, endpoint, setting, bind=True)
    except AlertBusError:
        socket.close()
        raise
    return socket


def _attach(socket: zmq.Socket[bytes], endpoint: str, setting: str, *, bind: bool) -> None:
    if "[" in endpoint:  # only then: an IPv6 socket on a machine without IPv6 can't bind an IPv4 address
        socket.setsockopt(zmq.IPV6, 1)
    try:
        if bind:
            socket.bind(endpoint)
        else:
            socket.connect(endpoint)
    except UnicodeError as error:  # an environment variable may hold bytes that are no text
        raise ConfigurationError(f"{setting}: it is no text; write it like {DEFAULT_DATA_ENDPOINT}.") from error
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise EndpointTaken(
                f"{setting}: {endpoint} is taken by another program (another alertbus daemon?); "
                "stop that one, or give this one another port."
            ) from error
        raise ConfigurationError(
            f"{setting}: {endpoint} can't be used ({error.strerror}); write it like {DEFAULT_DATA_ENDPOINT}."
        ) from error
