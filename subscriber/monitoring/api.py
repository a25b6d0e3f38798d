"""The HTTP application: health and metrics, the answers to errors, and the API's paths, which have files of their own.

Served by the daemon's main thread; handlers run in uvicorn's thread pool and touch the store and the metrics only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from bus.errors import AlertBusError
from subscriber.monitoring.access import Access
from subscriber.monitoring.answers import ApiError, ErrorCode, Fields, problem, success
from subscriber.monitoring.channels_api import ChannelParts, add_channels
from subscriber.monitoring.metrics import Metrics, alertbus_version
from subscriber.monitoring.policy_api import PolicyParts, add_policy
from subscriber.monitoring.records_api import add_records
from subscriber.monitoring.trial_api import TrialParts, add_trial
from subscriber.store.store import Store

#: What an HTTP status means where nothing closer is known.
_CODES: Final = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.BODY_TOO_LARGE,
    415: ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    503: ErrorCode.STORE_UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the API shows and does, given by the service."""

    store: Store
    metrics: Metrics
    access: Access
    not_ready: Callable[[], list[str]]
    channels: ChannelParts
    trial: TrialParts
    policy: PolicyParts | None = None  #: None where nothing but the store is there


def build_app(parts: ApiParts) -> FastAPI:
    """Return the application; every answer but the metrics is `{"status": …, "data" | "error": …}`."""
    app = FastAPI(title="alertbus", version=alertbus_version(), openapi_url="/openapi.json", docs_url="/docs")
    _add_error_answers(app)
    _add_health(app, parts)
    add_channels(app, parts.channels, parts.access)
    add_trial(app, parts.trial, parts.access)
    add_records(app, parts.store, parts.access)
    if parts.policy is not None:
        add_policy(app, parts.store, parts.policy, parts.access)
    return app


def _add_health(app: FastAPI, parts: ApiParts) -> None:
    @app.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        content, content_type = parts.metrics.exposition(request.headers.get("accept", ""))
        return Response(content, headers={"content-type": content_type})

    @app.get("/healthz")
    async def healthz() -> Fields:  # in the loop itself: an answer needs no free thread
        """Say that the process answers; asks nobody else."""
        return success({"version": alertbus_version()})

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        """Say whether alerts are taken, stored and delivered: 503 with the reasons when not."""
        reasons = parts.not_ready()
        if reasons:
            return problem(503, ErrorCode.NOT_READY, " ".join(reasons))
        return JSONResponse(success({"ready": True}))


def _add_error_answers(app: FastAPI) -> None:
    @app.exception_handler(ApiError)
    async def answered(_request: Request, error: ApiError) -> JSONResponse:
        return error.answer()

    @app.exception_handler(StarletteHTTPException)
    async def refused(_request: Request, error: StarletteHTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code, ErrorCode.INVALID_REQUEST)
        return problem(error.status_code, code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = "; ".join(f"{_place(fault['loc'])}: {fault['msg']}" for fault in error.errors())
        return problem(422, ErrorCode.INVALID_REQUEST, f"The request can't be used: {faults}.")

    @app.exception_handler(AlertBusError)
    async def store_away(_request: Request, error: AlertBusError) -> JSONResponse:
        return problem(503, ErrorCode.STORE_UNAVAILABLE, str(error))

    @app.exception_handler(Exception)
    async def broken(_request: Request, _error: Exception) -> JSONResponse:
        return problem(500, ErrorCode.INTERNAL, "alertbus failed unexpectedly; its log says how.")


def _place(location: Sequence[str | int]) -> str:
    """Name a field; where no JSON could be read, the location is an offset into the body."""
    return ".".join(part for part in location[1:] if isinstance(part, str)) or "body"
