"""Who may ask for what: bearer tokens with scopes, the name the daemon is asked by, and pages by their origin.

Below the API's path everybody is looked at before a byte of a body is read (`AccessGate`); each path says itself, by
what it depends on, whether reading is enough. A page of another origin can make a browser ask, so that what changes
something takes no such page, with a token neither. The first answer counts: host, token, origin, scope; then what
the query names (`queries`).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from enum import StrEnum
from typing import Final

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from bus.endpoints import is_loopback, origin_of
from subscriber.monitoring.answers import PREFIX, ApiError, ErrorCode
from subscriber.monitoring.queries import check_query

#: Where a request keeps what its token allows, once that is known.
_KEPT: Final = "alertbus.scope"


class Scope(StrEnum):
    """What a token allows; `operate` includes the other two."""

    OPERATE = "operate"  #: everything
    READ = "read"  #: whatever changes nothing, and the metrics
    METRICS = "metrics"  #: the metrics alone


class Access:
    """Guards of paths. Each path of the API depends on `read` or on `operate`, `/metrics` on `metrics`."""

    def __init__(
        self,
        token: str | None,
        *,
        read_token: str | None = None,
        metrics_token: str | None = None,
        origins: Collection[str] = (),
    ) -> None:
        """Keep who may ask.

        Args:
            token: The bearer token that may do everything; without one the daemon listens on loopback only.
            read_token: The one that may read.
            metrics_token: The one that may read the metrics, which everybody may without it.
            origins: The other origins whose pages may ask, like `http://localhost:3000`.
        """
        given = ((token, Scope.OPERATE), (read_token, Scope.READ), (metrics_token, Scope.METRICS))
        self._tokens = [(text.encode(), scope) for text, scope in given if text is not None]
        self._guards_api = token is not None
        self._guards_metrics = metrics_token is not None
        self.origins = frozenset(origins)
        self.read: list[Dependency] = [Depends(self._check_read)]
        self.operate: list[Dependency] = [Depends(self._check_operate)]
        self.metrics: list[Dependency] = [Depends(self._check_metrics)]

    def scope_of(self, request: Request) -> str:
        """Return `operate` or `read`: what the asker of a guarded path may do.

        Raises:
            ApiError: Nothing at all.
        """
        return self.admit(request).value

    def admit(self, request: Request) -> Scope:
        """Return what the asker may do in the API; looked at once for each request.

        Raises:
            ApiError: Nothing: there is no token, or a wrong one; without a token in the settings, who asks is not of
                this machine.
        """
        known: Scope | None = request.scope.get(_KEPT)
        if known is None:
            known = request.scope[_KEPT] = self._by_token(request) if self._guards_api else self._by_place(request)
        return known

    def _by_token(self, request: Request) -> Scope:
        scope = self._scope_of_token(request)
        if scope is None or scope is Scope.METRICS:
            raise _unauthenticated("Give the token of ALERTBUS_API_TOKEN or ALERTBUS_API_READ_TOKEN as a bearer token.")
        return scope

    def _by_place(self, request: Request) -> Scope:
        if not is_loopback(_host_name(request)):  # a name of somebody's own can lead here as well (DNS rebinding)
            raise ApiError(
                403,
                ErrorCode.FORBIDDEN_HOST,
                "Without a token only this machine may ask, as localhost or 127.0.0.1; set ALERTBUS_API_TOKEN.",
            )
        if self._is_foreign(request):
            raise _foreign_page()
        return Scope.OPERATE

    def _scope_of_token(self, request: Request) -> Scope | None:
        """Compare with every token, whichever fits: the time tells nothing of how near a guess was, or to which."""
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        given = text.strip(" ").encode() if scheme.lower() == "bearer" else b""
        found: Scope | None = None
        for token, scope in self._tokens:
            if secrets.compare_digest(given, token):
                found = scope
        return found

    def _is_foreign(self, request: Request) -> bool:
        """Say whether a page asks that is neither the daemon's own nor of an allowed origin."""
        given = request.headers.getlist("origin")
        if not given:  # browsers leave it out where a page can't read the answer, and say this instead
            return request.headers.get("sec-fetch-site", "").lower() == "cross-site"
        own = origin_of(f"{request.scope['scheme']}://{request.headers.get('host', '')}")
        return any(origin is None or (origin != own and origin not in self.origins) for origin in map(origin_of, given))

    async def _check_read(self, request: Request) -> None:  # in the loop itself: a refusal costs no thread
        self.admit(request)
        check_query(request)

    async def _check_operate(self, request: Request) -> None:
        scope = self.admit(request)
        if self._is_foreign(request):
            raise _foreign_page()
        if scope is not Scope.OPERATE:
            raise ApiError(
                403,
                ErrorCode.FORBIDDEN_SCOPE,
                "This token may read and change nothing; give the one of ALERTBUS_API_TOKEN.",
            )
        check_query(request)

    async def _check_metrics(self, request: Request) -> None:
        if self._guards_metrics and self._scope_of_token(request) is None:
            raise _unauthenticated("Give the token of ALERTBUS_METRICS_TOKEN as a bearer token.")


class AccessGate:
    """Stands before everything below the API's path: who may not even read learns nothing of it, paths included."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "http" and is_api(scope["path"]):
            try:
                self._access.admit(Request(scope))
            except ApiError as refused:
                await refused.answer()(scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_api(path: str) -> bool:
    """Say whether a path is one of the API's, whether it exists or not."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def _host_name(request: Request) -> str:
    host = request.headers.get("host", "")
    if origin_of(f"http://{host}") is None:
        return ""
    return host.partition("]")[0][1:] if host.startswith("[") else host.partition(":")[0]


def _unauthenticated(text: str) -> ApiError:
    return ApiError(401, ErrorCode.UNAUTHENTICATED, text, headers={"WWW-Authenticate": "Bearer"})


def _foreign_page() -> ApiError:
    return ApiError(
        403, ErrorCode.FORBIDDEN_ORIGIN, "Pages of this origin may not ask; name it in ALERTBUS_CORS_ORIGINS."
    )
