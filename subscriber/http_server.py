"""The HTTP server of the daemon: uvicorn, quiet, and without a word in when the daemon ends."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator
from typing import Any, Final

import uvicorn

logger = logging.getLogger(__name__)

#: Requests and kept-alive connections are closed after so many seconds at the end.
_STOP_SECONDS: Final = 2


def make_server(app: Callable[..., Any]) -> uvicorn.Server:
    """Return a server for the application; `run` serves until `should_exit` is set."""
    return _QuietServer(
        uvicorn.Config(
            app,
            log_config=None,
            log_level=max(logging.WARNING, logger.getEffectiveLevel()),  # what it says at INFO, we said ourselves
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )


class _QuietServer(uvicorn.Server):
    """Leaves signals to the service, which stops the other parts first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
