"""What a request may cost: how many at a time, how many bytes, how many seconds. ASGI middlewares, in the event loop.

What an operator needs to see a daemon in trouble, and what providers call, has no turn to wait for: `/healthz`,
`/readyz`, `/metrics` and the webhooks, which limit themselves.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from subscriber.monitoring.access import is_api
from subscriber.monitoring.answers import ApiError, ErrorCode
from subscriber.monitoring.webhooks import PATH as WEBHOOKS

#: Bytes of a request's body; the webhooks have a limit of their own.
BODY_LIMIT: Final = 64 * 1024
#: A body that comes slower than this is refused.
BODY_SECONDS: Final = 10.0
#: Requests that are answered at a time, open event streams included; each may hold `BODY_LIMIT` of memory.
MOST_REQUESTS: Final = 256

_ALWAYS: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_WITHOUT_MEANING: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # no path of these looks at a body
_BUSY_SECONDS: Final = "2"


class TurnLimit:
    """Answers so many requests at a time, and refuses the others at once, with a word on when to come again."""

    def __init__(self, app: ASGIApp, most: int = MOST_REQUESTS) -> None:
        self._app = app
        self._most = most
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http" or scope["path"] in _ALWAYS or scope["path"].startswith(WEBHOOKS):
            await self._app(scope, receive, send)
            return
        if self._running >= self._most:
            refusal = ApiError(
                503,
                ErrorCode.BUSY,
                f"{self._most} requests are being answered already; ask again in some seconds.",
                headers={"Retry-After": _BUSY_SECONDS},
            )
            await refusal.answer()(scope, receive, send)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1


class BodyLimit:
    """Reads a body before anything else sees the request: within its limits, and below the API as JSON only.

    A form, or text that is no JSON, is what a page of another origin can post without asking first.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on with its body."""
        if scope["type"] != "http" or scope["path"].startswith(WEBHOOKS) or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        try:
            _check_head(scope)
            body = await _read(receive)
        except ApiError as refused:
            await refused.answer()(scope, receive, send)
            return
        if body is None:  # the client went away: nobody is there to be answered
            return
        await self._app(scope, _Replayed(body, receive), send)


class _Replayed:
    """Hands out a body that was read already, and then what comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._message: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._receive = receive

    async def __call__(self) -> Message:
        message, self._message = self._message, None
        return await self._receive() if message is None else message


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0") != b""


def _check_head(scope: Scope) -> None:
    """Refuse what can be refused before a byte of the body is read.

    Raises:
        ApiError: It says itself that it is too large, or that it is no JSON.
    """
    headers = dict(scope["headers"])
    said = headers.get(b"content-length", b"").lstrip(b"0")
    if len(said) > len(str(BODY_LIMIT)) or (said.isdigit() and int(said) > BODY_LIMIT):
        raise _too_large()
    if scope["method"] in _WITHOUT_MEANING or not is_api(scope["path"]):
        return
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
        raise ApiError(415, ErrorCode.UNSUPPORTED_MEDIA_TYPE, "Send JSON, and say so: Content-Type: application/json.")


async def _read(receive: Receive) -> bytes | None:
    """Return a whole body, or None where the client went away.

    Raises:
        ApiError: It is too large, or too slow.
    """
    body = bytearray()
    more = True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                if len(body) > BODY_LIMIT:
                    raise _too_large()
                more = message.get("more_body", False)
    except TimeoutError:
        raise ApiError(
            408,
            ErrorCode.BODY_TOO_SLOW,
            f"The body did not come whole within {BODY_SECONDS:g} s.",
            headers={"Connection": "close"},
        ) from None
    return bytes(body)


def _too_large() -> ApiError:
    # The connection stays: closed now, it would be reset under a client that still writes and never sees this answer.
    return ApiError(413, ErrorCode.BODY_TOO_LARGE, f"More than {BODY_LIMIT} bytes are not read.")
