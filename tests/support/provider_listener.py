"""What one connection to the provider server goes through: a request, a fault perhaps, an answer perhaps.

Owns reading requests, carrying out faults and writing answers, in the connection's own thread. Knows desks and
faults, no provider. A client that goes away is nothing special here.
"""

import ssl
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.support.loopback_server import LoopbackServer
from tests.support.provider_desk import ProviderDesk
from tests.support.provider_faults import Drip, Ending, Fault, Hold, ok
from tests.support.provider_rules import Judgement, ProviderRequest, ProviderRules, Reply

DeskFor = Callable[[str], ProviderDesk[ProviderRules]]


class ProviderListener(LoopbackServer):
    """The provider server's socket; `desk_for` finds who serves a path."""

    def __init__(self, port: int, desk_for: DeskFor, ssl_context: ssl.SSLContext | None) -> None:
        self.desk_for = desk_for
        super().__init__(port, _Handler, name="provider-server", ssl_context=ssl_context)


class _Handler(BaseHTTPRequestHandler):
    """One connection: requests in, answers or faults out."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ProviderListener

    def handle(self) -> None:
        try:
            if isinstance(self.connection, ssl.SSLSocket):
                self.connection.do_handshake()
            super().handle()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True  # the client went away, or the test cut it off

    def finish(self) -> None:
        try:
            super().finish()
        except (ConnectionError, ssl.SSLError):
            return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is BaseHTTPRequestHandler's
        """Keep quiet; the desks remember everything."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        location = urlsplit(self.path)
        desk = self.server.desk_for(location.path)
        fault = desk.next_fault(self.command)
        course = fault or ok()
        request = ProviderRequest(
            method=self.command,
            path=location.path,
            query=location.query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=b"" if course.ending is Ending.RESET_UNREAD else self._read_body(),
        )
        connection = self.server.number_of(self.request)
        number = desk.arrived(request, connection, fault)
        verdict, reply = self._follow(course, desk, request, connection)
        desk.settled(number, verdict, None if reply is None else reply.status)
        if reply is None:
            self._end(course.ending)
        else:
            self._send(reply, course.drip)

    def _read_body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise ValueError("the provider server reads no chunked bodies; no client here sends them")
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client went away in the middle of its request")
        return body

    def _follow(
        self, course: Fault, desk: ProviderDesk[ProviderRules], request: ProviderRequest, connection: int
    ) -> tuple[str, Reply | None]:
        """Do what the fault says and return the verdict, and the answer unless there is to be none."""
        if course.hold is not None and not course.hold.after_accepting and not self._wait(course.hold):
            return course.name, None
        judgement = desk.rules.judge(request, fails_later=course.fails_later) if course.judged else None
        if judgement is not None and judgement.message is not None:
            desk.accept(judgement.message, connection)
        verdict = _verdict(course, judgement)
        if course.hold is not None and course.hold.after_accepting and not self._wait(course.hold):
            return verdict, None
        if course.ending is not Ending.ANSWER:
            return verdict, None
        if course.reply is not None:
            return verdict, course.reply(desk.rules)
        return verdict, None if judgement is None else judgement.reply

    def _wait(self, hold: Hold) -> bool:
        """Wait for the end of a pause; False when the server closes, and nobody is served any more."""
        # Closing sets this event first and releases the pauses that it knows afterwards, so none is missed.
        if not self.server.closing.is_set():
            hold.wait()
        return not self.server.closing.is_set()

    def _end(self, ending: Ending) -> None:
        if ending in (Ending.RESET, Ending.RESET_UNREAD):
            self.server.will_reset(self.request)
        self.close_connection = True

    def _send(self, reply: Reply, drip: Drip | None) -> None:
        lines = [
            f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}",
            f"Content-Type: {reply.content_type}",
            f"Content-Length: {len(reply.body)}",
            *(f"{name}: {value}" for name, value in reply.headers.items()),
        ]
        answer = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + reply.body
        if drip is None:
            self.wfile.write(answer)
            return
        for start in range(0, len(answer), drip.chunk_bytes):
            self.wfile.write(answer[start : start + drip.chunk_bytes])
            if self.server.closing.wait(drip.interval_seconds):
                self.close_connection = True
                return


def _verdict(course: Fault, judgement: Judgement | None) -> str:
    """Name what became of a request: what the rules said, unless a fault had the word."""
    if judgement is None:
        return course.name
    if judgement.message is not None:
        return "accepted"
    return "answered" if judgement.reply.status < 400 else "refused"
