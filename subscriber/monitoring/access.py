"""Who may ask the API for what: bearer tokens with scopes, and pages by their origin."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency

from bus.endpoints import is_loopback
from subscriber.monitoring.answers import ApiError, ErrorCode


class Access:
    """Guards of paths. Each path depends on `read` or on `operate`."""

    def __init__(self, token: str | None) -> None:
        """Keep who may ask.

        Args:
            token: The bearer token that may do everything; without one the daemon listens on loopback only.
        """
        self._token = token
        self.read: list[Dependency] = [Depends(self._check)]
        self.operate: list[Dependency] = [Depends(self._check)]

    def _check(self, request: Request) -> None:
        if self._token is None:
            host = request.url.hostname or ""
            origin = request.headers.get("origin")
            if not is_loopback(host) or (origin is not None and not is_loopback(urlsplit(origin).hostname or "")):
                raise ApiError(
                    403,
                    ErrorCode.FORBIDDEN_HOST,
                    "Only pages and programs of this machine may ask; set ALERTBUS_API_TOKEN.",
                )
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(given.encode(), self._token.encode()):
            raise ApiError(
                401,
                ErrorCode.UNAUTHENTICATED,
                "Give the token of ALERTBUS_API_TOKEN as a bearer token.",
                headers={"WWW-Authenticate": "Bearer"},
            )
