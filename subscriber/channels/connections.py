"""urllib3's connections, made to obey the deadline of the call that uses them and to know what has been written.

Runs in a channel's lanes. A connection tells its call which socket it holds from the moment it has one, so connecting
to a proxy, CONNECT, the TLS handshake, writing and a dripping answer all end when the call is given up.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from subscriber.channels.calls import Call, current_call

#: A connection that has been idle for longer is not used again: routers forget idle connections without a word (some
#: after a minute), and a request into such a hole ends in doubt, while a new connection costs two round trips.
MAX_IDLE_SECONDS: Final = 30.0

#: For what the idle limit does not see: a peer that vanishes is noticed by the system.
SOCKET_OPTIONS: Final = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]


class CallConnection(HTTPConnection):
    """A connection that works for one call at a time."""

    _handle: socket.socket | None = None
    _used_at: float = 0.0
    _requesting: bool = False

    def _new_conn(self) -> socket.socket:
        call = _the_call()
        try:
            connected = _connect(call, self._dns_host, self.port, self.socket_options or ())
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except OSError as error:
            raise NewConnectionError(self, "no connection") from error
        try:
            self._handle = connected.dup()
            call.hold(self._handle)
        except OSError:
            connected.close()
            raise
        self._used_at = time.monotonic()
        return connected

    @property
    def is_connected(self) -> bool:
        """Whether a kept-alive connection can be used again; urllib3 asks before it does so."""
        return time.monotonic() - self._used_at <= MAX_IDLE_SECONDS and super().is_connected

    def request(  # type: ignore[override]  # as urllib3's own
        self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        """Send a request, noting that its bytes leave."""
        if self.sock is None:
            self.connect()
        _the_call().hold(self._handle)
        self._requesting = True
        try:
            super().request(method, url, body=body, headers=headers, **options)
        finally:
            self._requesting = False
            self._used_at = time.monotonic()

    def send(self, data: Any) -> None:
        """Write to the socket; what a proxy is told before the tunnel stands is no part of the request."""
        call = _the_call()
        exchange = call.last
        if not self._requesting or exchange is None:
            super().send(data)
            return
        first = call.write_begins(exchange)
        try:
            super().send(data)
        except (BrokenPipeError, ConnectionResetError):
            # The system takes a first small write whole or not at all: the provider had closed before it.
            if first:
                call.write_refused(exchange)
            raise

    def close(self) -> None:
        """Close the socket and its duplicate."""
        try:
            super().close()
        finally:
            handle, self._handle = self._handle, None
            call = current_call()
            if handle is not None and (call is None or not call.adopt(handle)):
                handle.close()


class CallTlsConnection(CallConnection, HTTPSConnection):
    """The same over TLS."""


class CallPool(HTTPConnectionPool):
    """Kept-alive connections to one host."""

    ConnectionCls: ClassVar[type[CallConnection]] = CallConnection  # type: ignore[misc]


class CallTlsPool(HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls: ClassVar[type[CallTlsConnection]] = CallTlsConnection  # type: ignore[misc]


POOL_CLASSES: Final = {"http": CallPool, "https": CallTlsPool}


def _the_call() -> Call:
    call = current_call()
    if call is None:
        raise RuntimeError("a channel's connection was used outside of a call")
    return call


def _connect(call: Call, host: str, port: int, options: Any) -> socket.socket:
    """Connect to the first address that answers; each gets its share of the time that is left.

    A dead IPv6 route would otherwise use it all up before IPv4 gets a turn.
    """
    addresses = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    error: OSError = OSError("the name has no address")
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        candidate = socket.socket(family, kind, protocol)
        try:
            for option in options:
                candidate.setsockopt(*option)
            candidate.settimeout(call.seconds_left() / (len(addresses) - tried))
            candidate.connect(address)
            candidate.settimeout(call.seconds_left())  # for CONNECT and the TLS handshake
        except OSError as failure:
            candidate.close()
            error = failure
        else:
            return candidate
    raise error
