"""What Apprise's plugins use in place of `requests`: one channel's kept-alive way to its provider.

A plugin's call arrives here through `requests_seam`, is encoded by requests' own PreparedRequest (so that forms, JSON,
files and authentication are exactly what the plugin meant) and goes out over urllib3: one pool per channel with the
environment's proxies and CA bundle, no redirect followed (it would carry the token elsewhere), no retry (the queue
decides), answers bounded. The plugin's own timeouts are ignored: the deadline of the whole call counts, and whoever
waits for it ends it by `Call.give_up`. What happened is written into the call's `Exchange`. In rehearsal all is done
but the request itself.
"""

from __future__ import annotations

import http.client
import io
import logging
import ssl
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

import requests
import urllib3
from urllib3.util import Timeout, make_headers, parse_url

from subscriber.channels.calls import Call, Exchange, GivenUp
from subscriber.channels.connections import POOL_CLASSES, SOCKET_OPTIONS
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.channels.redaction import Redaction

#: Of an answer no more than this is read; a provider's own are a few hundred bytes.
MAX_ANSWER_BYTES: Final = 256 * 1024
_READ_BYTES: Final = 16 * 1024
#: What may be asked of the seam beyond what a PreparedRequest holds; each is the channel's business, not the plugin's.
_OURS: Final = frozenset({"timeout", "allow_redirects", "stream", "proxies", "verify", "hooks"})


class ProviderHttp:
    """The HTTP of one channel; safe for the channel's threads at once."""

    def __init__(
        self,
        environment: HttpEnvironment,
        redaction: Redaction,
        *,
        connections: int = 1,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            environment: Proxies and trust.
            redaction: Takes the channel's secrets out of what is shown.
            connections: How many are kept alive for one host; at least the channel's concurrency.
            origins: By the base URL that a plugin has built in, the one to use: a self-hosted server, a test's.
        """
        self._environment = environment
        self._redaction = redaction
        self._connections = connections
        self._origins = {built_in: used.rstrip("/") for built_in, used in (origins or {}).items()}
        self._lock = threading.Lock()
        self._managers: dict[tuple[str | None, bool], urllib3.PoolManager] = {}
        self._trust: dict[bool, ssl.SSLContext] = {}

    def prepare(self) -> None:
        """Read the CA bundle now, which the first request would do otherwise.

        Raises:
            ConfigurationError: It can't be read.
        """
        with self._lock:
            self._trusted(verify=True)

    def request(self, call: Call, method: str, url: str, **arguments: Any) -> requests.Response:
        """Make one request of a call, as `requests.request` would, and record it in the call.

        Raises:
            requests.RequestException: There is no whole answer; the call's exchange says why.
        """
        target = self._rewritten(url)
        content = {name: value for name, value in arguments.items() if name not in _OURS}
        prepared = requests.Request(method.upper(), target, **content).prepare()
        exchange = Exchange(prepared.method or method, self._redaction.url(target), _as_bytes(prepared.body))
        call.exchanges.append(exchange)
        if call.rehearsal:
            exchange.status = 200
            return _as_response(prepared, exchange)
        try:
            self._perform(call, exchange, prepared, verify=arguments.get("verify") is not False)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            exchange.failure = self._redaction.text(_told(call, error))
            raise _as_requests_error(error)(exchange.failure) from None
        finally:
            call.hold(None)
        return _as_response(prepared, exchange)

    def close(self) -> None:
        """Close the idle connections; those in use close when their call ends."""
        with self._lock:
            managers, self._managers = list(self._managers.values()), {}
        for manager in managers:
            manager.clear()

    def _rewritten(self, url: str) -> str:
        for built_in, used in self._origins.items():
            if url.startswith(f"{built_in}/"):
                return used + url[len(built_in) :]
        return url

    def _perform(self, call: Call, exchange: Exchange, prepared: requests.PreparedRequest, *, verify: bool) -> None:
        url = prepared.url or ""
        left = call.seconds_left()
        answer = self._manager(url, verify=verify).urlopen(
            prepared.method or "GET",
            url,
            body=prepared.body,
            headers=dict(prepared.headers),
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=Timeout(connect=left, read=left),
        )
        try:
            exchange.headers = {name.lower(): value for name, value in answer.headers.items()}
            exchange.status = answer.status
            self._read(exchange, answer)
        except BaseException:
            answer.close()
            raise
        if call.given_up:  # a body without a length ends as if it were whole when its socket is shut down
            answer.close()
            raise GivenUp
        call.hold(None)  # before anybody else can use this connection, so that no late give_up() hits them
        if exchange.truncated:
            answer.close()
        answer.release_conn()

    def _read(self, exchange: Exchange, answer: urllib3.BaseHTTPResponse) -> None:
        pieces: list[bytes] = []
        size = 0
        while size <= MAX_ANSWER_BYTES and (piece := answer.read(_READ_BYTES, decode_content=True)):
            pieces.append(piece)
            size += len(piece)
        exchange.truncated = size > MAX_ANSWER_BYTES
        exchange.body = b"".join(pieces)[:MAX_ANSWER_BYTES]

    def _manager(self, url: str, *, verify: bool) -> urllib3.PoolManager:
        proxy = self._environment.proxy_for(url)
        with self._lock:
            manager = self._managers.get((proxy, verify))
            if manager is None:
                manager = self._managers[proxy, verify] = self._new_manager(proxy, verify=verify)
            return manager

    def _trusted(self, *, verify: bool) -> ssl.SSLContext:
        if verify not in self._trust:
            if not verify:  # the channel's URL says so; a warning with each message helps nobody
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            self._trust[verify] = self._environment.trust(verify=verify)
        return self._trust[verify]

    def _new_manager(self, proxy: str | None, *, verify: bool) -> urllib3.PoolManager:
        options: dict[str, Any] = {
            "num_pools": 4,
            "maxsize": self._connections,
            "socket_options": SOCKET_OPTIONS,
            "ssl_context": self._trusted(verify=verify),
        }
        manager: urllib3.PoolManager
        if proxy is None:
            manager = urllib3.PoolManager(**options)
        else:
            credentials = parse_url(proxy).auth
            manager = urllib3.ProxyManager(
                proxy,
                proxy_headers=make_headers(proxy_basic_auth=unquote(credentials)) if credentials else {},
                proxy_ssl_context=self._trusted(verify=True),
                **options,
            )
        manager.pool_classes_by_scheme = POOL_CLASSES
        return manager


#: By logger, the least that it may say. Apprise says nothing that an Outcome does not say better, and prints tokens
#: even at WARNING; urllib3 logs each request's path at DEBUG, and that of an answer with odd headers at WARNING.
_TALKATIVE: Final = (("apprise", logging.CRITICAL + 1), ("urllib3", logging.ERROR))


def quieten(
    loggers: Iterable[tuple[str, int]] = _TALKATIVE,
) -> None:
    """Keep the libraries that log tokens from doing so, whatever level anybody sets later."""
    for name, level in loggers:
        for known in [name, *(other for other in logging.root.manager.loggerDict if other.startswith(f"{name}."))]:
            logger = logging.getLogger(known)
            if not any(isinstance(present, _AtLeast) for present in logger.filters):
                logger.addFilter(_AtLeast(level))


class _AtLeast(logging.Filter):
    """Drops what is below a level; unlike the logger's own level, nobody changes it by accident."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._level


def _as_bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else b""


def _as_response(prepared: requests.PreparedRequest, exchange: Exchange) -> requests.Response:
    response = requests.Response()
    response.status_code = exchange.status or 0
    response.headers.update(exchange.headers)
    response.raw = io.BytesIO(exchange.body)
    response.reason = http.client.responses.get(response.status_code, "")
    response.url = exchange.shown_url
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    response.request = prepared
    return response


def _told(call: Call, error: BaseException) -> str:
    """Say what went wrong by the innermost error, which is the system's own: the outer ones hold the URL."""
    root = _root(error)
    # The socket's own limit, which has no number of the system, is what remained of the deadline.
    if call.given_up or (isinstance(root, TimeoutError) and root.errno is None):
        return f"no answer within {call.deadline_seconds:g} s"
    words = str(root) if isinstance(root, OSError) else ""
    return f"{type(root).__name__}: {words}" if words else type(root).__name__


def _root(error: BaseException) -> BaseException:
    inner = getattr(error, "original_error", None) or error.__cause__
    if inner is None and error.args and isinstance(error.args[-1], BaseException):
        inner = error.args[-1]
    return error if inner is None or inner is error else _root(inner)


def _as_requests_error(error: BaseException) -> type[requests.RequestException]:
    """Return the class that a plugin would have met: requests.adapters.HTTPAdapter.send."""
    if isinstance(error, urllib3.exceptions.SSLError):
        return requests.exceptions.SSLError
    if isinstance(error, urllib3.exceptions.ProxyError):
        return requests.exceptions.ProxyError
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return requests.exceptions.ReadTimeout
    if isinstance(error, urllib3.exceptions.DecodeError):
        return requests.exceptions.ContentDecodingError
    return requests.exceptions.ConnectionError
