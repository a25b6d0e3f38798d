"""A webhook that remembers what providers posted to it, and answers as a test says."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from tests.support.loopback_server import LoopbackServer


@dataclass(frozen=True)
class Posted:
    """One call: the path as it was asked for, headers in lower case, the body."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form body."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


class RecordedWebhook:
    """Listens on loopback; a GET is answered by its own hub.challenge if the token is the one that is wanted."""

    def __init__(self, *, status: int = 200, verify_token: str = "") -> None:
        self.status = status
        self.verify_token = verify_token
        self._lock = threading.Lock()
        self._calls: list[Posted] = []
        self._listener = _Listener(self)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return f"http://127.0.0.1:{self._listener.port}"

    @property
    def calls(self) -> list[Posted]:
        """Every call so far, in order."""
        with self._lock:
            return list(self._calls)

    def called(self, call: Posted) -> tuple[int, bytes]:
        """Remember a call and say what to answer."""
        with self._lock:
            self._calls.append(call)
        if call.method == "POST":
            return self.status, b""
        asked = dict(parse_qsl(urlsplit(call.target).query))
        fits = (asked.get("hub.mode"), asked.get("hub.verify_token")) == ("subscribe", self.verify_token)
        return (200, asked["hub.challenge"].encode()) if fits else (403, b"")


class _Listener(LoopbackServer):
    def __init__(self, webhook: RecordedWebhook) -> None:
        self.webhook = webhook
        super().__init__(0, _Handler, name="recorded-webhook")


class _Handler(BaseHTTPRequestHandler):
    server: _Listener

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is BaseHTTPRequestHandler's
        """Keep quiet; the webhook remembers everything."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer = self.server.webhook.called(Posted(self.command, self.path, headers, body))
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if answer:  # a client that has read the whole answer may be gone
            self.wfile.write(answer)
