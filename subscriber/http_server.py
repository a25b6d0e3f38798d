"""The HTTP server of the daemon: uvicorn, quiet, and without a word in when the daemon ends."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Generator
from typing import Any, Final

import uvicorn

from bus.clock import SystemClock
from subscriber.http_connections import bounded_protocol, most_connections
from subscriber.logs import OncePerMinute

logger = logging.getLogger(__name__)

#: Requests and kept-alive connections are closed after so many seconds at the end.
_STOP_SECONDS: Final = 2
#: Connections that are taken in at a time, and so may be open for a moment beyond the server's limit.
_TAKEN_AT_ONCE: Final = 64
#: Connections that the system keeps waiting until then; it leaves others to their next try, a second later.
_WAITING: Final = 1024
#: Where uvicorn says what it warns of.
_SERVER_LOG: Final = "uvicorn.error"


def make_server(
    app: Callable[..., Any],
    *,
    end_streams: Callable[[], None] = lambda: None,
    answered: Callable[[int], None] = lambda _status: None,
) -> uvicorn.Server:
    """Return a server for the application; `run` serves until `should_exit` is set.

    Args:
        app: The application.
        end_streams: Ends what would go on for ever, when the server stops.
        answered: Counts what the server answers by itself, without the application, by its status.
    """
    return _QuietServer(
        uvicorn.Config(
            app,
            http=bounded_protocol(most_connections(), answered),
            ws="none",
            backlog=_TAKEN_AT_ONCE,
            log_config=None,
            log_level=max(logging.WARNING, logger.getEffectiveLevel()),  # what it says at INFO, we said ourselves
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        ),
        end_streams,
    )


class _WarnsOncePerMinute(logging.Filter):
    """Lets each of the server's warnings through once a minute: whoever can connect can bring them about."""

    def __init__(self) -> None:
        super().__init__()
        self._once = OncePerMinute(SystemClock())

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is logged; what is worse than a warning always is."""
        if record.levelno != logging.WARNING:
            return True
        held_back = self._once.held_back(f"{record.module}:{record.lineno}")
        vars(record)["held_back"] = held_back
        return held_back is not None


class _QuietServer(uvicorn.Server):
    """Leaves signals to the service, which stops the other parts first."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams
        self._filter = _WarnsOncePerMinute()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve; asyncio makes two things of its one backlog, of which the system's queue may be longer."""
        logging.getLogger(_SERVER_LOG).addFilter(self._filter)
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_WAITING)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams of events first, which would go on for ever, and then as uvicorn does."""
        self._end_streams()
        await super().shutdown(sockets)
        logging.getLogger(_SERVER_LOG).removeFilter(self._filter)
