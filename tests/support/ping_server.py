"""What a daemon pings: a server on loopback that remembers each request and answers as it is told to."""

from __future__ import annotations

import threading
import time
from collections import deque
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self

from tests.support.loopback_server import LoopbackServer

#: Like the UUID in an address of healthchecks.io.
TOKEN = "5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"


class Slow(Enum):
    """An answer that never ends."""

    HANG = "nothing comes"
    DRIP = "a byte comes now and then"


class PingServer(LoopbackServer):
    """Answers 200 OK unless other answers, by their status, were prepared."""

    def __init__(self) -> None:
        super().__init__(0, _Handler, name="ping-server")
        self.url = f"http://127.0.0.1:{self.port}/{TOKEN}"
        #: Method, target and headers of each request so far.
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        #: When one was answered by 200 last, in Unix seconds.
        self.taken_at = 0.0
        self.answers: deque[int | Slow] = deque()
        self.body = b"OK"
        self.location: str | None = None
        #: Set when the far end of a request whose answer never ends is gone.
        self.gave_up = threading.Event()

    @property
    def count(self) -> int:
        """How many requests came so far."""
        return len(self.requests)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: PingServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is BaseHTTPRequestHandler's
        """Keep quiet; the server remembers everything."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True  # the client went away, or the test cut it off

    def do_GET(self) -> None:
        answer = self.server.answers.popleft() if self.server.answers else 200
        self.server.requests.append((self.command, self.path, dict(self.headers)))
        if isinstance(answer, Slow):
            self._stall(answer)
            return
        if answer == HTTPStatus.OK:
            self.server.taken_at = time.time()
        self.send_response(answer)
        self.send_header("Content-Length", str(len(self.server.body)))
        if self.server.location is not None:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(self.server.body)

    def _stall(self, how: Slow) -> None:
        try:
            if how is Slow.DRIP:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
                while not self.server.closing.wait(0.02):
                    self.wfile.write(b"x")
            else:
                self.rfile.read(1)  # comes back when the other end, or this server, closes the connection
        finally:
            self.server.gave_up.set()
            self.close_connection = True
