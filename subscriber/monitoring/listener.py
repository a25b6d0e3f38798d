"""One stream of events: what waits to be sent to one listener, bounded, and the end of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from sse_starlette import ServerSentEvent

logger = logging.getLogger(__name__)

#: What waits for one listener at most; whoever takes less than that is cut off. Streams share what they are told.
MOST_WAITING: Final = 1_000
MOST_WAITING_BYTES: Final = 16_000_000
#: Bytes that are sent at a time, and whole events in any case.
_PIECE: Final = 64 * 1024
_LINE_END: Final = "\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as all listeners are told it."""

    kind: str
    data: str  #: JSON
    id: str | None = None  #: how far the one is who has it
    wire: bytes = b""  #: as it is sent, made once for all

    @classmethod
    def of(cls, kind: str, data: dict[str, Any], id: str | None = None) -> Self:  # noqa: A002 - the standard's name
        """Make an event of plain data."""
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return cls(kind, text, id, ServerSentEvent(text, event=kind, id=id, sep=_LINE_END).encode())


class Listener:
    """Somebody who listens. Made and read in the loop's thread; `tell` and `end` may be called in any."""

    def __init__(self, scope: str, cursor: str | None = None) -> None:
        """Begin with nothing to tell.

        Args:
            scope: What the listener may do, for the status.
            cursor: How far it was told before; None where it was not.
        """
        self.scope = scope
        self.cursor = cursor
        #: Whether it was told who speaks; the reader's.
        self.greeted = False
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Event] = deque()
        self._bytes = 0
        self._ended = False
        self._ring = asyncio.Event()

    def tell(self, events: Sequence[Event]) -> None:
        """Let it be told events."""
        self._call(lambda: self._put(events))

    def end(self) -> None:
        """End the stream, without what still waits."""
        self._call(self._end)

    async def events(self) -> AsyncIterator[bytes]:
        """Return what it is told until the end; the first line says how soon to come again."""
        yield ServerSentEvent(comment="alertbus", retry=2_000, sep=_LINE_END).encode()
        while not self._ended:
            if not self._waiting:
                self._ring.clear()
                await self._ring.wait()
                continue
            piece = bytearray()
            while self._waiting and len(piece) < _PIECE:
                piece += self._waiting.popleft().wire
            self._bytes -= len(piece)
            yield bytes(piece)

    def _put(self, events: Sequence[Event]) -> None:
        if self._ended:
            return
        self._waiting.extend(events)
        self._bytes += sum(len(event.wire) for event in events)
        if len(self._waiting) > MOST_WAITING or self._bytes > MOST_WAITING_BYTES:
            logger.info("a listener does not keep up, and is cut off")
            self._end()
        self._ring.set()

    def _end(self) -> None:
        self._ended = True
        self._waiting.clear()
        self._ring.set()

    def _call(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:  # the loop has ended, and every stream with it
            self._ended = True
