"""Serves one application on loopback as the daemon does, without the rest of a daemon."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from fastapi import FastAPI

from subscriber.http_server import make_server
from subscriber.monitoring.listening import open_listener
from tests.support.waiting import wait_until

#: Far longer than anything should take on a busy machine.
_PATIENCE_SECONDS = 60.0


@contextmanager
def serving(app: FastAPI) -> Iterator[httpx2.Client]:
    """Serve it on a free port; yield a client whose `base_url` it is."""
    with open_listener("127.0.0.1", 0) as listener:
        server = make_server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started, _PATIENCE_SECONDS)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx2.Client(base_url=url, timeout=_PATIENCE_SECONDS, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(_PATIENCE_SECONDS)
            assert not thread.is_alive(), "the server did not stop"
