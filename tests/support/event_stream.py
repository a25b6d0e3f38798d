"""Listens to a daemon's event streams in tests: over real sockets, in a thread, or without reading anything at all."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx2

from tests.support.daemon import PATIENCE_SECONDS, PREFIX
from tests.support.waiting import wait_until

PATH: Final = f"{PREFIX}/events"


@dataclass
class Heard:
    """One event as it came."""

    kind: str
    data: Any
    id: str | None
    at: float = field(default_factory=time.monotonic)  #: monotonic seconds of its coming


class EventStream:
    """One open stream; what it says is in `heard`, and `ended` is set when the daemon ends it."""

    def __init__(
        self, url: str, *, last_event_id: str | None = None, query: str = "", token: str | None = None
    ) -> None:
        self.heard: list[Heard] = []
        self.comments: list[str] = []
        self.ended = threading.Event()
        headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx2.Client(timeout=PATIENCE_SECONDS, trust_env=False)
        self._request = self._http.build_request("GET", url + PATH + query, headers=headers)
        self.answer = self._http.send(self._request, stream=True)
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        assert self.answer.status_code == 200, self.answer.read()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stream = self.answer.extensions["network_stream"].get_extra_info("socket")
        with contextlib.suppress(OSError):  # it has ended
            stream.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_SECONDS)
        self.answer.close()
        self._http.close()

    def of(self, kind: str) -> list[Heard]:
        """Return the events of a kind so far."""
        return [event for event in list(self.heard) if event.kind == kind]

    def wait_for(self, kind: str, count: int = 1) -> list[Heard]:
        """Wait until so many events of a kind came, and return them."""
        wait_until(lambda: len(self.of(kind)) >= count, PATIENCE_SECONDS)
        return self.of(kind)

    def alerts(self) -> dict[str, Any]:
        """Return the newest entry that was told of each alert, by id."""
        return {event.data["alert"]["id"]: event.data for event in self.of("alert")}

    @property
    def last_id(self) -> str | None:
        """What a browser would send as Last-Event-ID."""
        return next((event.id for event in reversed(self.heard) if event.id is not None), None)

    def _read(self) -> None:
        fields: dict[str, str] = {}
        with contextlib.suppress(httpx2.HTTPError):
            for line in self.answer.iter_lines():
                if not line:
                    if "event" in fields:
                        self.heard.append(Heard(fields["event"], json.loads(fields["data"]), fields.get("id")))
                    fields = {}
                elif line.startswith(":"):
                    self.comments.append(line)
                else:
                    name, _, value = line.partition(": ")
                    fields[name] = value
        self.ended.set()


def opened(url: str) -> socket.socket:
    """Ask for a stream and read nothing of it."""
    place = urlsplit(url)
    assert place.hostname is not None
    connection = socket.create_connection((place.hostname, place.port or 80), PATIENCE_SECONDS)
    connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
    return connection
