"""How many connections the HTTP server keeps open, and for how long: strangers must not use up what the daemon needs.

Each open connection takes a descriptor of the process, as the database, the bus and the providers do. Where all places
are taken, the connection that has waited longest without a request makes room, so that whoever asks something at once,
as a health check does, is always let in. What neither asks nor reads its answer is closed. All of it runs in the event
loop.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, ClassVar, Final, cast

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

#: Connections at a time, where the process may have twice as many descriptors.
MOST_CONNECTIONS: Final = 1000
_FEWEST_CONNECTIONS: Final = 32
#: A connection without a whole request's head for so long is closed, and so is one whose client reads nothing.
IDLE_SECONDS: Final = 10.0
#: A connection whose client is behind for so long without a break is closed, however much of it he takes.
BEHIND_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 2.0

_JSON_OF: Final = b'{"status":"error","error":"%s","code":"%s"}'
_BUSY: Final = _JSON_OF % (b"Too many connections are open; ask again in some seconds.", b"busy")
_UNREADABLE: Final = _JSON_OF % (b"That is no HTTP request.", b"invalid_request")


def most_connections() -> int:
    """Return how many connections may be open: half of the process's descriptors at most."""
    if sys.platform == "win32":  # where sockets are no descriptors
        return MOST_CONNECTIONS
    import resource  # noqa: PLC0415 - Windows lacks it

    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(_FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, most // 2))


def bounded_protocol(most: int, answered: Callable[[int], None]) -> type[asyncio.Protocol]:
    """Return the protocol of one server's connections.

    Args:
        most: How many of them may be open.
        answered: Counts what is answered before the application hears of it, by its status.
    """

    class OfOneServer(BoundedConnection):
        book = ConnectionBook(most, answered)

    return OfOneServer


class ConnectionBook:
    """Which connections of a server are open, and which of them have nothing to do."""

    def __init__(self, most: int, answered: Callable[[int], None]) -> None:
        #: Counts an answer by its status.
        self.answered = answered
        self._most = most
        self._open: set[BoundedConnection] = set()
        self._idle: dict[BoundedConnection, float] = {}  # since when, in the loop's seconds; the longest first
        self._looking = False

    def opened(self, connection: BoundedConnection) -> bool:
        """Take in a new connection; False where all others are being answered and it is one too many."""
        while len(self._open) >= self._most and self._idle:
            oldest = next(iter(self._idle))
            self.closed(oldest)
            oldest.transport.abort()
        has_room = len(self._open) < self._most
        self._open.add(connection)
        self.note(connection)
        if not self._looking:
            self._looking = True
            connection.loop.call_later(_LOOK_SECONDS, self._look, connection.loop)
        return has_room

    def closed(self, connection: BoundedConnection) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def note(self, connection: BoundedConnection) -> None:
        """Keep since when a connection has nothing to do."""
        if not connection.idle:
            self._idle.pop(connection, None)
        elif connection in self._open and connection not in self._idle:
            self._idle[connection] = connection.loop.time()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what nobody uses, and come again while anything is open."""
        now = loop.time()
        for connection in list(self._open):
            unread_since = connection.unread_since(now)
            since = unread_since if connection.unread else self._idle.get(connection, now)
            if now - since > IDLE_SECONDS or now - connection.behind_since(now) > BEHIND_SECONDS:
                self.closed(connection)
                connection.transport.abort()
        self._looking = bool(self._open)
        if self._looking:
            loop.call_later(_LOOK_SECONDS, self._look, loop)


class BoundedConnection(H11Protocol):
    """One connection; uvicorn's, with a place in its server's book."""

    book: ClassVar[ConnectionBook]

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self._has_place = True
        self._unread = 0
        self._unread_since: float | None = None
        self._behind_since: float | None = None

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # as it is until the first request
        return cycle is None or cycle.response_complete

    @property
    def unread(self) -> int:
        """How many bytes the client has not taken yet."""
        return self.transport.get_write_buffer_size()

    def unread_since(self, now: float) -> float:
        """Return since when the client has not taken a byte of what waits for it, as far as was looked; else now."""
        before, self._unread = self._unread, self.unread
        if not self._unread or self._unread < before or self._unread_since is None:
            self._unread_since = now
        return self._unread_since

    def behind_since(self, now: float) -> float:
        """Return since when something always waited for the client to take it, as far as was looked; else now."""
        if not self.unread or self._behind_since is None:
            self._behind_since = now
        return self._behind_since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Take a place."""
        super().connection_made(transport)
        self._has_place = self.book.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self.book.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, or say that there is no place: only now, because what is not read yet would undo the answer."""
        if not self._has_place:
            self._answer(503, b"Service Unavailable", _BUSY, b"retry-after: 5\r\n")
            return
        super().data_received(data)
        self.book.note(self)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self.book.note(self)

    def resume_writing(self) -> None:
        """Go on with an answer: the client reads."""
        self._unread_since = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless an answer has begun."""
        del msg
        if self.idle or not self.cycle.response_started:
            self._answer(400, b"Bad Request", _UNREADABLE)
        else:
            self.transport.abort()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing of a stranger who asks for another protocol: he is answered in this one."""

    def _answer(self, status: int, meaning: bytes, body: bytes, headers: bytes = b"") -> None:
        self.book.answered(status)
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n"
            b"cache-control: no-store\r\nx-content-type-options: nosniff\r\n%s\r\n%s"
            % (status, meaning, len(body), headers, body)
        )
        self.transport.close()
