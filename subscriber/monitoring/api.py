"""The HTTP application: health and metrics, the answers to errors, and the API's paths, which have files of their own.

Served by the daemon's main thread; handlers run in a pool of threads and touch the store and the metrics only. Metrics
and readiness have another pool: they are answered while all threads of the API wait for a slow database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from subscriber.monitoring.access import Access, AccessGate
from subscriber.monitoring.answers import ErrorCode, Fields, problem, success
from subscriber.monitoring.channels_api import ChannelParts, add_channels
from subscriber.monitoring.counting import CountedAnswers
from subscriber.monitoring.describing import describe
from subscriber.monitoring.documented import told
from subscriber.monitoring.error_answers import Unbroken, add_error_answers
from subscriber.monitoring.headers import SafeHeaders, SharedWith
from subscriber.monitoring.health_models import Alive, Ready
from subscriber.monitoring.limits import BodyLimit, TurnLimit
from subscriber.monitoring.metrics import Metrics, alertbus_version
from subscriber.monitoring.page import add_page
from subscriber.monitoring.policy_api import PolicyParts, add_policy
from subscriber.monitoring.records_api import add_records
from subscriber.monitoring.trial_api import TrialParts, add_trial
from subscriber.store.store import Store


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
    page_folder: Path | None = None  #: of the page's files; None serves no page


def build_app(parts: ApiParts) -> FastAPI:
    """Return the application; every answer but the metrics is `{"status": …, "data" | "error": …}`."""
    app = FastAPI(
        title="alertbus",
        version=alertbus_version(),
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
    )
    # The last that is added sees a request first.
    app.add_middleware(BodyLimit)
    app.add_middleware(AccessGate, access=parts.access)
    app.add_middleware(TurnLimit)
    app.add_middleware(Unbroken)
    app.add_middleware(SharedWith, origins=parts.access.origins)
    app.add_middleware(SafeHeaders, origins=parts.access.origins)
    app.add_middleware(CountedAnswers, answered=parts.metrics.answered)
    add_error_answers(app)
    _add_health(app, parts)
    add_channels(app, parts.channels, parts.access)
    add_trial(app, parts.trial, parts.access)
    add_records(app, parts.store, parts.access, parts.channels.names)
    if parts.policy is not None:
        add_policy(app, parts.store, parts.policy, parts.access)
    if parts.page_folder is not None:
        add_page(app, parts.page_folder)
    describe(app, parts.access)
    return app


def _add_health(app: FastAPI, parts: ApiParts) -> None:
    @app.get("/metrics", include_in_schema=False, dependencies=parts.access.metrics)
    async def metrics(request: Request) -> Response:
        content, content_type = await asyncio.to_thread(parts.metrics.exposition, request.headers.get("accept", ""))
        return Response(content, headers={"content-type": content_type})

    @app.get("/healthz", responses=told(Alive), response_model=None)
    async def healthz() -> Fields:  # in the loop itself: an answer needs no free thread
        """Say that the process answers; asks nobody else."""
        return success({"version": alertbus_version()})

    @app.get("/readyz", responses=told(Ready, ErrorCode.NOT_READY), response_model=None)
    async def readyz() -> JSONResponse:
        """Say whether alerts are taken, stored and delivered: 503 with the reasons when not."""
        reasons = await asyncio.to_thread(parts.not_ready)
        if reasons:
            return problem(503, ErrorCode.NOT_READY, " ".join(reasons))
        return JSONResponse(success({"ready": True}))
