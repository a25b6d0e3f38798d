"""Makes the envelope of every error, whoever raised it: a handler, FastAPI, Starlette, or a bug of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bus.errors import AlertBusError
from subscriber.monitoring.answers import ApiError, ErrorCode, problem

#: What an HTTP status means where nothing closer is known, and its words.
_MEANINGS: Final = {
    404: (ErrorCode.NOT_FOUND, "There is no such path; /docs shows those that there are."),
    405: (ErrorCode.METHOD_NOT_ALLOWED, "This path takes another method; the header Allow and /docs say which."),
}


def add_error_answers(app: FastAPI) -> None:
    """Have each error of the application answered in the envelope; `Unbroken` answers what nobody expected."""

    @app.exception_handler(ApiError)
    async def answered(_request: Request, error: ApiError) -> JSONResponse:
        return error.answer()

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, error: StarletteHTTPException) -> JSONResponse:
        if error.status_code == 400:  # FastAPI's word for a body that its parser gave up on
            return _unusable(f"body: {error.detail}")
        code, text = _MEANINGS.get(error.status_code, (ErrorCode.INVALID_REQUEST, str(error.detail)))
        headers = {"Allow": _methods_of(request)} if error.status_code == 405 else error.headers
        return problem(error.status_code, code, text, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        return _unusable("; ".join(f"{_place(fault['loc'])}: {fault['msg']}" for fault in error.errors()))

    @app.exception_handler(AlertBusError)
    async def store_away(_request: Request, error: AlertBusError) -> JSONResponse:
        return problem(503, ErrorCode.STORE_UNAVAILABLE, str(error))


class Unbroken:
    """Answers for a request that met a bug; the server, which logs it, hears of it as well."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        begun = False

        async def say(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, say)
        except Exception:
            if not begun and scope["type"] == "http":
                text = "alertbus failed unexpectedly; its log says how."
                await problem(500, ErrorCode.INTERNAL, text)(scope, receive, send)
            raise


def _unusable(faults: str) -> JSONResponse:
    return problem(422, ErrorCode.INVALID_REQUEST, f"The request can't be used: {faults.rstrip('.')}.")


def _methods_of(request: Request) -> str:
    """Name all methods of a path; Starlette's own answer names those of the first endpoint that has the path."""
    path: str = request.scope["path"]
    matching = (each for each in request.app.routes if isinstance(each, APIRoute) and each.path_regex.match(path))
    return ", ".join(sorted({method for route in matching for method in route.methods or ()}))


def _place(location: Sequence[str | int]) -> str:
    """Name a field; where no JSON could be read, the location is an offset into the body."""
    return ".".join(part for part in location[1:] if isinstance(part, str)) or "body"
