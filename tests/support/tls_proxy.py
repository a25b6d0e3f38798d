"""The way to the providers' own https hosts: an HTTP CONNECT proxy in front of a provider server with TLS.

Owns a certificate authority of its own, a TLS ProviderServer with a certificate for the three hosts, and the
proxy that leads there. A client needs nothing but `environment`: HTTPS_PROXY and REQUESTS_CA_BUNDLE. Any other
host is refused with 502, so a test that would reach the real internet fails. With `delay_ms`, bytes spend that
long on their way in each direction, and CONNECT costs a round trip as a TCP handshake would.

    with TlsProxy() as proxy:
        subprocess.run([...], env=os.environ | proxy.environment)
        proxy.server.wait_for_accepted(1)
"""

import contextlib
import socket
import socketserver
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import trustme

from tests.support.provider_desk import AcceptedMessage
from tests.support.provider_server import ProviderServer
from tests.support.slow_link import CHUNK_BYTES, SlowListener

PROVIDER_HOSTS = ("api.telegram.org", "api.twilio.com", "graph.facebook.com")

_TARGETS = frozenset(f"{host}:443" for host in PROVIDER_HOSTS)
_HEAD_LIMIT_BYTES = 16_384

Part = TypeVar("Part")


class TlsProxy:
    """Stands between a client and the provider server as the internet would."""

    def __init__(self, *, delay_ms: float = 0.0, on_accepted: Callable[[AcceptedMessage], None] | None = None) -> None:
        self._delay_seconds = delay_ms / 1000
        self._on_accepted = on_accepted
        self._resources = contextlib.ExitStack()
        self._server: ProviderServer | None = None
        self._listener: _ProxyListener | None = None
        self._ca_bundle: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Make the certificates, start the provider server, listen."""
        folder = self._resources.enter_context(
            tempfile.TemporaryDirectory(prefix="alertbus-tls-", ignore_cleanup_errors=True)
        )
        self._ca_bundle = Path(folder) / "ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self._ca_bundle))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*PROVIDER_HOSTS).configure_cert(context)
        self._server = ProviderServer(ssl_context=context, on_accepted=self._on_accepted)
        self._server.start()
        self._listener = _ProxyListener(self._server.port, self._delay_seconds)
        self._listener.start()
        # Closed in reverse: a tunnel ends once the server has cut it off, not while the server hangs.
        self._resources.callback(self._listener.close)
        self._resources.callback(self._server.close)

    def close(self) -> None:
        """Stop the provider server, end every tunnel, remove the certificates."""
        self._resources.close()

    @property
    def server(self) -> ProviderServer:
        """The provider server at the far end, with its records and faults."""
        return _started(self._server)

    @property
    def url(self) -> str:
        """The proxy, for HTTPS_PROXY."""
        return f"http://127.0.0.1:{_started(self._listener).port}"

    @property
    def ca_bundle(self) -> str:
        """Path of the certificate to trust, for REQUESTS_CA_BUNDLE."""
        return str(_started(self._ca_bundle))

    @property
    def connects(self) -> list[str]:
        """Every target asked for by CONNECT, refused ones included, such as `api.twilio.com:443`."""
        return _started(self._listener).connects

    @property
    def environment(self) -> dict[str, str]:
        """What a client's environment needs; the lower-case names too, for they win over the others."""
        return {
            "HTTPS_PROXY": self.url,
            "https_proxy": self.url,
            "NO_PROXY": "",
            "no_proxy": "",
            "REQUESTS_CA_BUNDLE": self.ca_bundle,
        }


def _started(part: Part | None) -> Part:
    if part is None:
        raise RuntimeError("the TLS proxy was never started")
    return part


class _ProxyListener(SlowListener):
    """The proxy's socket; each connection is one tunnel."""

    def __init__(self, upstream_port: int, delay_seconds: float) -> None:
        super().__init__(_Tunnel, name="tls-proxy", delay_seconds=delay_seconds)
        self.upstream_port = upstream_port
        self._asked: list[str] = []

    @property
    def connects(self) -> list[str]:
        return list(self._asked)

    def asked(self, target: str) -> None:
        self._asked.append(target)


class _Tunnel(socketserver.BaseRequestHandler):
    """One CONNECT and the bytes that follow it."""

    request: socket.socket
    server: _ProxyListener

    def handle(self) -> None:
        # A client that leaves is nothing special; the lanes below see to their own ends.
        with contextlib.suppress(ConnectionError):
            target = self._read_target()
            if target is None:
                return
            self.server.asked(target)
            upstream = self.server.connect(self.request) if target in _TARGETS else None
            if upstream is None:
                self._refuse()
                return
            with upstream:
                self.server.closing.wait(2 * self.server.delay_seconds)
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self.server.carry(self.request, upstream)

    def _refuse(self) -> None:
        self.request.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def _read_target(self) -> str | None:
        """Read the request's head and return what CONNECT asks for; None if the client left."""
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _HEAD_LIMIT_BYTES:
            received = self.request.recv(CHUNK_BYTES)
            if not received:
                return None
            head += received
        method, _, rest = head.decode("latin-1").partition(" ")
        return rest.partition(" ")[0] if method == "CONNECT" else f"{method} without CONNECT"
