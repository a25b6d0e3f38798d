"""A link with a long way: a TCP relay on loopback whose bytes arrive a while after they left, in each direction.

What is on its way does not hold up what follows, so the link is as wide as loopback; and nothing passes before a round
trip is over, as with the handshake of a TCP connection over such a way.

    with SlowLink(server.port, delay_ms=50) as link:
        requests.post(f"https://127.0.0.1:{link.port}/hook", ...)
"""

import contextlib
import queue
import socket
import socketserver
import threading
import time
from types import TracebackType
from typing import Self

from tests.support.loopback_server import LoopbackServer

CHUNK_BYTES = 65_536


class SlowLink:
    """Leads from a port of its own to another one on loopback."""

    def __init__(self, upstream_port: int, *, delay_ms: float) -> None:
        """Prepare; `delay_ms` is the time of one way."""
        self._listener = SlowListener(_Relay, name="slow-link", delay_seconds=delay_ms / 1000)
        self._listener.upstream_port = upstream_port

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    @property
    def port(self) -> int:
        """Where the link begins."""
        return self._listener.port

    @property
    def connections(self) -> int:
        """How many connections were ever made through it."""
        return self._listener.connections


class SlowListener(LoopbackServer):
    """A socket whose connections lead elsewhere, slowly."""

    def __init__(self, handler: type[socketserver.BaseRequestHandler], *, name: str, delay_seconds: float) -> None:
        self.delay_seconds = delay_seconds
        self.upstream_port = 0
        super().__init__(0, handler, name=name)

    def connect(self, client: socket.socket) -> socket.socket | None:
        """Return a connection to the far end for a client's, or None where nobody listens any more."""
        try:
            upstream = socket.create_connection(("127.0.0.1", self.upstream_port))
        except OSError:
            return None
        for end in (client, upstream):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return upstream

    def carry(self, client: socket.socket, upstream: socket.socket) -> None:
        """Carry bytes both ways until both directions have ended; an end arrives as an end, a reset as a reset."""
        broken = threading.Event()
        there = _Lane(client, upstream, self, broken)
        back = _Lane(upstream, client, self, broken)
        threads = [
            threading.Thread(target=step, name="slow-lane", daemon=True)
            for step in (there.write, back.read, back.write)
        ]
        for thread in threads:
            thread.start()
        there.read()
        for thread in threads:
            thread.join()
        if broken.is_set():
            self.will_reset(client)


class _Relay(socketserver.BaseRequestHandler):
    """One connection over the link."""

    request: socket.socket
    server: SlowListener

    def handle(self) -> None:
        upstream = self.server.connect(self.request)
        if upstream is None:
            self.server.will_reset(self.request)
            return
        with upstream:
            self.server.closing.wait(2 * self.server.delay_seconds)  # SYN there, and its answer back
            self.server.carry(self.request, upstream)


class _Lane:
    """One direction of a connection: bytes arrive at `sink` a delay after they left `source`."""

    def __init__(
        self, source: socket.socket, sink: socket.socket, server: SlowListener, broken: threading.Event
    ) -> None:
        self._source = source
        self._sink = sink
        self._server = server
        self._broken = broken
        self._on_the_way: queue.SimpleQueue[tuple[float, bytes | None]] = queue.SimpleQueue()

    def read(self) -> None:
        """Take bytes in until the source ends, in order or by a reset."""
        while True:
            data: bytes | None
            try:
                data = self._source.recv(CHUNK_BYTES)
            except OSError:
                data = None
            self._on_the_way.put((time.monotonic() + self._server.delay_seconds, data))
            if not data:
                return

    def write(self) -> None:
        """Hand bytes out when they are due; pass an end on as an end, a reset as a reset."""
        while True:
            due, data = self._on_the_way.get()
            if self._server.delay_seconds:
                self._server.closing.wait(max(0.0, due - time.monotonic()))
            try:
                if data is None:
                    self._break()
                elif data:
                    self._sink.sendall(data)
                else:
                    self._sink.shutdown(socket.SHUT_WR)
            except OSError:
                self._break()
            if not data:
                return

    def _break(self) -> None:
        """Wake whoever still reads, so that the connection can end with a reset."""
        self._broken.set()
        for end in (self._source, self._sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RD)
