"""The HTTP API: status, test, history, one alert's story, resuming, metrics and health, in YoopRL's envelope.

Served by the daemon's main thread; handlers run in uvicorn's thread pool and touch the store and the metrics only.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from bus.alerts import Severity
from bus.endpoints import is_loopback
from bus.errors import AlertBusError
from subscriber.deliveries import DeliveryState
from subscriber.monitoring.answers import PREFIX, problem, success
from subscriber.monitoring.metrics import Metrics, alertbus_version
from subscriber.monitoring.policy_api import Moment, PolicyParts, add_policy
from subscriber.store.store import Store

_MOST_HISTORY: Final = 500
_LARGEST_NUMBER: Final = 2**63 - 1  # of both databases
#: A test waits for its providers in one of the forty threads that answer requests; the others stay free.
_MOST_TESTS_AT_ONCE: Final = 8
Word = Annotated[str | None, Query(max_length=128)]
CHANNEL_PATTERN: Final = "^[A-Za-z0-9_-]{1,64}$"
TEXT_LIMIT: Final = 1000


class TestRequest(BaseModel):
    """What to test."""

    model_config = ConfigDict(extra="forbid")

    channel: str | None = Field(default=None, max_length=64, description="One channel; all of them when left out.")
    text: str | None = Field(default=None, min_length=1, max_length=TEXT_LIMIT, description="What the message says.")


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the API shows and does, given by the service."""

    store: Store
    metrics: Metrics
    channels: tuple[str, ...]
    token: str | None
    status: Callable[[], dict[str, Any]]
    send_test: Callable[[tuple[str, ...], str | None], dict[str, Any]]
    not_ready: Callable[[], list[str]]
    resume: Callable[[str], bool]  #: lets a paused channel send again; whether it was paused
    policy: PolicyParts | None = None  #: None where nothing but the store is there


def build_app(parts: ApiParts) -> FastAPI:
    """Return the application; every answer but the metrics is `{"status": …, "data" | "error": …}`."""
    app = FastAPI(title="alertbus", version=alertbus_version(), openapi_url="/openapi.json", docs_url="/docs")
    _add_error_answers(app)
    _add_health(app, parts)
    guard = [Depends(_guard(parts.token))]
    tests = BoundedSemaphore(_MOST_TESTS_AT_ONCE)

    @app.get(f"{PREFIX}/status", dependencies=guard)
    def status() -> dict[str, Any]:
        """Say how every channel and publisher stands."""
        return success(parts.status())

    @app.post(f"{PREFIX}/test", dependencies=guard)
    def test(request: TestRequest | None = None) -> dict[str, Any]:
        """Send a test alert through the real queue, and say what each provider answered."""
        wanted = request or TestRequest()
        names = parts.channels if wanted.channel is None else (_known(wanted.channel, parts),)
        if not tests.acquire(blocking=False):
            raise HTTPException(429, "Other tests still wait for their providers; try again in some seconds.")
        try:
            return success(parts.send_test(names, wanted.text))
        finally:
            tests.release()

    @app.get(f"{PREFIX}/history", dependencies=guard)
    def history(  # noqa: PLR0913 - each is a filter of its own
        *,
        limit: Annotated[int, Query(ge=1, le=_MOST_HISTORY)] = 50,
        before: Annotated[
            int | None,
            Query(ge=1, le=_LARGEST_NUMBER, description="The number of the last alert of the page before."),
        ] = None,
        channel: Annotated[str | None, Query(pattern=CHANNEL_PATTERN)] = None,
        state: DeliveryState | None = None,
        severity: Severity | None = None,
        event_type: Word = None,
        symbol: Word = None,
        agent_name: Word = None,
        source: Word = None,
        kind: Word = None,
        since_us: Moment = None,
        until_us: Moment = None,
    ) -> dict[str, Any]:
        """List alerts with their deliveries, the newest first."""
        found = parts.store.history(
            limit,
            before,
            channel,
            None if state is None else state.value,
            since_us=since_us,
            until_us=until_us,
            severity=None if severity is None else severity.value,
            event_type=event_type,
            symbol=symbol,
            agent_name=agent_name,
            source=source,
            kind=kind,
        )
        return success(found)

    @app.get(PREFIX + "/alerts/{alert_id}", dependencies=guard)
    def alert(alert_id: UUID) -> dict[str, Any]:
        """Tell one alert's whole story: where it came from, its deliveries and every attempt."""
        story = parts.store.story(alert_id)
        if story is None:
            raise HTTPException(404, f"There is no alert {alert_id}.")
        return success(story)

    @app.post(PREFIX + "/channels/{name}/resume", dependencies=guard)
    def resume(name: Annotated[str, Path(pattern=CHANNEL_PATTERN)]) -> dict[str, Any]:
        """Let a channel send again that paused because its credentials or its target were refused."""
        return success({"channel": _known(name, parts), "was_paused": parts.resume(name)})

    if parts.policy is not None:
        add_policy(app, parts.store, parts.policy, guard)
    return app


def _known(channel: str, parts: ApiParts) -> str:
    if channel not in parts.channels:
        raise HTTPException(404, f"There is no channel {channel!r}; there are: {', '.join(parts.channels)}.")
    return channel


def _add_health(app: FastAPI, parts: ApiParts) -> None:
    @app.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        content, content_type = parts.metrics.exposition(request.headers.get("accept", ""))
        return Response(content, headers={"content-type": content_type})

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:  # in the loop itself: an answer needs no free thread
        """Say that the process answers; asks nobody else."""
        return success({"version": alertbus_version()})

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        """Say whether alerts are taken, stored and delivered: 503 with the reasons when not."""
        reasons = parts.not_ready()
        if reasons:
            return problem(503, " ".join(reasons))
        return JSONResponse(success({"ready": True}))


def _guard(token: str | None) -> Callable[[Request], None]:
    """Return the check of the bearer token; without a token the daemon listens on loopback only.

    Then any page in a browser on this machine could reach it: a request that changes something must not come from a
    page of another origin, and the host that is asked for must be this machine (or a page could name itself so).
    """

    def check(request: Request) -> None:
        if token is None:
            host = request.url.hostname or ""
            origin = request.headers.get("origin")
            if not is_loopback(host) or (origin is not None and not is_loopback(urlsplit(origin).hostname or "")):
                raise HTTPException(403, "Only pages and programs of this machine may ask; set ALERTBUS_API_TOKEN.")
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(given.encode(), token.encode()):
            raise HTTPException(
                401, "Give the token of ALERTBUS_API_TOKEN as a bearer token.", {"WWW-Authenticate": "Bearer"}
            )

    return check


def _add_error_answers(app: FastAPI) -> None:
    @app.exception_handler(StarletteHTTPException)
    async def refused(_request: Request, error: StarletteHTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = "; ".join(f"{_place(fault['loc'])}: {fault['msg']}" for fault in error.errors())
        return problem(422, f"The request can't be used: {faults}.")

    @app.exception_handler(AlertBusError)
    async def store_away(_request: Request, error: AlertBusError) -> JSONResponse:
        return problem(503, str(error))

    @app.exception_handler(Exception)
    async def broken(_request: Request, _error: Exception) -> JSONResponse:
        return problem(500, "alertbus failed unexpectedly; its log says how.")


def _place(location: Sequence[str | int]) -> str:
    """Name a field; where no JSON could be read, the location is an offset into the body."""
    return ".".join(part for part in location[1:] if isinstance(part, str)) or "body"
