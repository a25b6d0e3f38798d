"""The headers that every answer has, whoever makes it, and those that let pages of other origins read it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from fastapi import Response
from fastapi.datastructures import Headers
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from subscriber.monitoring.answers import ErrorCode, problem

#: What a page of another origin may ask for: the API with its events, and the module of the page.
_SHARED: Final = ("/api/", "/static/")
_PRIVATE: Final = ("/api/", "/webhooks/")
_EVERYWHERE: Final = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    # An answer that is opened as if it were a page may load and do nothing; pages say their own.
    b"content-security-policy": b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
}


class SafeHeaders:
    """Adds what keeps browsers from misusing an answer, where the answer does not say it itself."""

    def __init__(self, app: ASGIApp, origins: Collection[str] = ()) -> None:
        """Keep whether pages of other origins use the page's files, which hold nothing of anybody's."""
        self._app = app
        self._shares_files = bool(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = dict(_EVERYWHERE)
        path: str = scope["path"]
        if path.startswith(_PRIVATE):
            added[b"cache-control"] = b"no-store"
        if path.startswith("/static/") and self._shares_files:
            added[b"cross-origin-resource-policy"] = b"cross-origin"

        async def say(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.lower() for name, _ in message.get("headers", ())}
                missing = [(name, value) for name, value in added.items() if name not in said]
                message = {**message, "headers": [*message.get("headers", ()), *missing]}
            await send(message)

        await self._app(scope, receive, say)


class SharedWith:
    """Lets pages of the allowed origins read the API and the page's module (CORS); never with cookies, never `*`."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._shared = _Cors(
            app,
            allow_origins=sorted(origins),
            allow_methods=("GET", "POST", "PATCH", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "Last-Event-ID"),
            expose_headers=("Retry-After",),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or answer the question that a browser asks before it."""
        shared = scope["type"] == "http" and self._origins and scope["path"].startswith(_SHARED)
        await (self._shared if shared else self._app)(scope, receive, send)


class _Cors(CORSMiddleware):
    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:
            return answer
        text = "Pages of this origin may not ask this; ALERTBUS_CORS_ORIGINS says which may."
        return problem(403, ErrorCode.FORBIDDEN_ORIGIN, text, headers={"Vary": "Origin"})
