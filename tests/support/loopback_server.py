"""A threaded server on loopback that ends when it is told to.

Owns a listening socket, one accept thread and one thread per connection, with TLS if given a context. What
socketserver leaves open, tests cannot: `close` wakes threads that read from idle connections, waits for all of
them, and raises what went wrong in any.
"""

import contextlib
import os
import socket
import socketserver
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

_CLOSE_SECONDS = 60.0
# struct linger: two ints on POSIX, two shorts on Windows; zero seconds make close() send RST.
_RESET_ON_CLOSE = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class LoopbackServer(socketserver.ThreadingTCPServer):
    """A listening socket on 127.0.0.1 and every connection that came through it."""

    daemon_threads = True
    request_queue_size = 128
    # On Windows the option means something else: two servers on one port.
    allow_reuse_address = os.name != "nt"

    def __init__(
        self,
        port: int,
        handler: Callable[[Any, Any, Any], socketserver.BaseRequestHandler],
        *,
        name: str,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.closing = threading.Event()
        self.connections = 0
        self._ssl_context = ssl_context
        self._lock = threading.Condition()
        self._open: dict[Any, int] = {}
        self._resetting: set[Any] = set()
        self._failures: list[Exception] = []
        super().__init__(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._accept, name=name, daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Accept connections in a thread of its own."""
        self._thread.start()

    def close(self, before_cutting: Callable[[], None] | None = None) -> None:
        """End every connection and thread; does nothing the second time.

        Raises:
            ExceptionGroup: a connection's thread failed for a reason of its own.
        """
        if self.closing.is_set():
            return
        self.closing.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()  # wakes the accept thread
        self._thread.join(_CLOSE_SECONDS)
        if before_cutting is not None:
            before_cutting()
        with self._lock:
            for connection in self._open:
                _cut(connection)
            if not self._lock.wait_for(lambda: not self._open, _CLOSE_SECONDS):
                self._failures.append(TimeoutError("a connection did not end"))
        self.server_close()
        if self._failures:
            raise ExceptionGroup(f"{self._thread.name} failed", self._failures)

    def _accept(self) -> None:
        # Not serve_forever: it polls, and each close would cost an interval.
        while not self.closing.is_set():
            self.handle_request()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return not self.closing.is_set()

    def number_of(self, connection: Any) -> int:
        """Return the number of a connection; the first is 1."""
        with self._lock:
            return self._open[connection]

    def will_reset(self, connection: Any) -> None:
        """Let the peer see a reset instead of an orderly end when this connection is over."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        with self._lock:
            self._resetting.add(connection)

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        if self._ssl_context is not None:
            # The handshake is left to the connection's thread, or one slow client would block all.
            connection = self._ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self.connections += 1
            self._open[request] = self.connections
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            resetting = request in self._resetting
            self._resetting.discard(request)
        if resetting:
            request.close()  # an orderly shutdown first would send FIN instead of RST
        else:
            super().shutdown_request(request)
        with self._lock:
            self._open.pop(request, None)
            self._lock.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        failure = sys.exception()
        with self._lock:
            self._failures.append(failure if isinstance(failure, Exception) else RuntimeError(repr(failure)))


def _cut(connection: Any) -> None:
    """Wake a thread that reads or writes; SSLSocket's own shutdown would pull TLS from under it."""
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return  # it is gone already
