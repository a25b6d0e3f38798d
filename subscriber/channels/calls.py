"""One send or probe as it happens: its deadline, each HTTP exchange in it, and how it is given up.

A `Call` is written by the lane that runs it and read, and at the deadline given up, by the channel's own thread; its
lock makes giving up and writing exclude each other, so what it says of written bytes is true for good.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final


class GivenUp(OSError):
    """The deadline of the send has passed."""


@dataclass(slots=True)
class Exchange:
    """One HTTP request and what became of it."""

    method: str
    shown_url: str  #: where it went, without secrets
    request_body: bytes = field(default=b"", repr=False)
    written: bool = False  #: whether the provider may have got any byte of the request
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  #: names in lower case
    body: bytes = field(default=b"", repr=False)
    truncated: bool = False  #: the answer was longer than what is read of one
    failure: str | None = None  #: the error that ended it, by class and the system's words

    @property
    def answered(self) -> bool:
        """Whether a whole answer came, or at least a status that refuses."""
        return self.status is not None and (self.failure is None or self.status >= 400)


class Call:
    """One send, probe or rehearsal of a channel."""

    def __init__(self, deadline_seconds: float, *, rehearsal: bool = False) -> None:
        """Start the clock.

        Args:
            deadline_seconds: The wall clock that all of it may take.
            rehearsal: Requests are described and never made.
        """
        self.rehearsal = rehearsal
        self.deadline_seconds = deadline_seconds
        self.exchanges: list[Exchange] = []
        self._deadline_at = time.monotonic() + deadline_seconds
        self._lock = threading.Lock()
        self._given_up = False
        self._handle: socket.socket | None = None
        self._adopted = False

    @property
    def last(self) -> Exchange | None:
        """The latest exchange."""
        return self.exchanges[-1] if self.exchanges else None

    @property
    def given_up(self) -> bool:
        """Whether the deadline has ended it."""
        return self._given_up

    def seconds_left(self) -> float:
        """Return what remains until the deadline.

        Raises:
            GivenUp: Nothing remains.
        """
        left = self._deadline_at - time.monotonic()
        if self._given_up or left <= 0:
            raise GivenUp(f"no answer within {self.deadline_seconds:g} s")
        return left

    def hold(self, handle: socket.socket | None) -> None:
        """Name the connection that is in use, or that none is.

        Args:
            handle: A duplicate of its socket: TLS replaces the Python object, but a shutdown of any duplicate ends the
                connection itself.

        Raises:
            GivenUp: It is too late to use one.
        """
        with self._lock:
            if self._adopted and self._handle is not None:
                self._handle.close()
            self._handle, self._adopted = None, False
            if handle is not None and self._given_up:
                raise GivenUp(f"no answer within {self.deadline_seconds:g} s")
            self._handle = handle

    def adopt(self, handle: socket.socket) -> bool:
        """Keep the handle of a connection that closes before its answer is read, as one does that is not kept alive.

        Returns:
            Whether this is the one in use; it is then closed with the next `hold`.
        """
        with self._lock:
            self._adopted = self._handle is handle
            return self._adopted

    def write_begins(self, exchange: Exchange) -> bool:
        """Note that bytes of a request are about to leave; return whether they are the first.

        Raises:
            GivenUp: The deadline came first, so nothing leaves any more.
        """
        with self._lock:
            if self._given_up:
                raise GivenUp(f"no answer within {self.deadline_seconds:g} s")
            first = not exchange.written
            exchange.written = True
            return first

    def write_refused(self, exchange: Exchange) -> None:
        """Take back that bytes have left: the peer was gone before the first of them."""
        with self._lock:
            if not self._given_up:
                exchange.written = False

    def give_up(self) -> None:
        """End it now: shut the connection that is in use down, and let no further byte leave."""
        with self._lock:
            self._given_up = True
            if self._handle is not None:
                # Closed by its own end in the same moment: that is all that was wanted.
                with contextlib.suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def calling(call: Call) -> Iterator[Call]:
    """Make a call the one that this thread is on."""
    token = _CURRENT.set(call)
    try:
        yield call
    finally:
        _CURRENT.reset(token)


def current_call() -> Call | None:
    """Return the call that this thread is on."""
    return _CURRENT.get()


_CURRENT: Final[ContextVar[Call | None]] = ContextVar("alertbus_call", default=None)
