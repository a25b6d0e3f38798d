"""The webhook that Alertmanager tells: it keeps every alert that it was told of, firing and resolved."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self

from tests.support.loopback_server import LoopbackServer


@dataclass(frozen=True, slots=True)
class Told:
    """One alert of one notification."""

    receiver: str  #: Alertmanager's name of it
    status: str  #: `firing` or `resolved`
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels["alertname"]


class Webhook(LoopbackServer):
    """Takes whatever Alertmanager posts."""

    def __init__(self) -> None:
        super().__init__(0, _Handler, name="alarms")
        self.url = f"http://127.0.0.1:{self.port}/"
        self._told: list[Told] = []
        self._told_lock = threading.Lock()

    @property
    def told(self) -> list[Told]:
        """Every alert of every notification so far, in order."""
        with self._told_lock:
            return list(self._told)

    def names(self, status: str) -> set[str]:
        """Return the names of the alerts that were told with a status."""
        return {told.name for told in self.told if told.status == status}

    def take(self, payload: Mapping[str, Any]) -> None:
        """Keep what a notification tells."""
        news = [
            Told(payload["receiver"], alert["status"], alert["labels"], alert["annotations"])
            for alert in payload["alerts"]
        ]
        with self._told_lock:
            self._told.extend(news)

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
    server: Webhook

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is BaseHTTPRequestHandler's
        """Keep quiet; the server remembers everything."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True  # Alertmanager was ended

    def do_POST(self) -> None:
        self.server.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
