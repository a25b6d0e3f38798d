"""The HTTP API of the delivery policy: routes, silences, acknowledgements, templates.

Handlers run in uvicorn's thread pool. What a person does is recorded with who did it: `author`, as the request says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import FastAPI, Path, Query
from fastapi.responses import JSONResponse

from bus.alerts import Alert
from bus.errors import ConfigurationError
from subscriber.monitoring.access import Access
from subscriber.monitoring.answers import (
    LARGEST_NUMBER,
    NAME_LIMIT,
    PREFIX,
    ApiError,
    ErrorCode,
    Fields,
    problem,
    success,
)
from subscriber.monitoring.documented import told
from subscriber.monitoring.policy_models import Acknowledged, Explanation, Preview, Reloaded, RulesShown
from subscriber.monitoring.policy_requests import (
    AckRequest,
    PreviewRequest,
    ReloadRequest,
    RouteRequest,
    SilenceRequest,
    asked_alert,
)
from subscriber.monitoring.records_api import AlertKey, Before, Limit
from subscriber.monitoring.silence_models import SilenceShown
from subscriber.store.store import Store


@dataclass(frozen=True, slots=True)
class PolicyParts:
    """What the API shows and does beside the store, given by the service."""

    rules: Callable[[], Fields]  #: what is in force
    explain_route: Callable[[Alert], Fields]
    reload: Callable[[str, str], Fields]  #: how it was asked for, by whom
    add_silence: Callable[
        [Mapping[str, Any], str], Fields
    ]  #: `SilenceRequest`, how; ConfigurationError for a bad match
    end_silence: Callable[[int, str, str], Fields | None]  #: which, who, how; None where there is none
    acknowledge: Callable[[UUID, str, str, str], Fields | None]  #: which, who, how, note
    preview: Callable[[Mapping[str, Any]], Fields]  #: `PreviewRequest`


def add_policy(app: FastAPI, store: Store, parts: PolicyParts, access: Access) -> None:
    """Add the policy's paths to the application."""

    @app.exception_handler(ConfigurationError)
    async def refused(_request: object, error: ConfigurationError) -> JSONResponse:
        return problem(422, ErrorCode.INVALID_REQUEST, " ".join(error.problems))

    _add_routes(app, parts, access)
    _add_silences(app, store, parts, access)

    @app.post(
        PREFIX + "/alerts/{alert_id}/ack",
        dependencies=access.operate,
        responses=told(Acknowledged, ErrorCode.UNKNOWN_ALERT),
        response_model=None,
    )
    def acknowledge(alert_id: AlertKey, request: AckRequest | None = None) -> Fields:
        """Say that a person knows of an alert: nobody further is woken for it."""
        given = request or AckRequest()
        acknowledged = parts.acknowledge(alert_id, given.author, given.via, given.note)
        if acknowledged is None:
            raise ApiError(404, ErrorCode.UNKNOWN_ALERT, f"There is no alert {alert_id}.")
        return success(acknowledged)


def _add_routes(app: FastAPI, parts: PolicyParts, access: Access) -> None:
    @app.get(
        f"{PREFIX}/routes",
        dependencies=access.read,
        responses=told(RulesShown),
        response_model=None,
    )
    def routes() -> Fields:
        """Show the routes, quiet hours and templates in force, since when, and what was refused since."""
        return success(parts.rules())

    @app.post(
        f"{PREFIX}/routes/explain",
        dependencies=access.read,
        responses=told(Explanation),
        response_model=None,
    )
    def explain(request: RouteRequest) -> Fields:
        """Say where such an alert would go now, and why."""
        return success(parts.explain_route(asked_alert(request)))

    @app.post(
        f"{PREFIX}/reload",
        dependencies=access.operate,
        responses=told(Reloaded, ErrorCode.CONFIGURATION_REFUSED),
        response_model=None,
    )
    def reload(request: ReloadRequest | None = None) -> JSONResponse:
        """Read the configuration again; one with a fault is refused (422), and what was in force stays."""
        result = parts.reload("api", (request or ReloadRequest()).author)
        if result["loaded"]:
            return JSONResponse(success(result))
        return problem(422, ErrorCode.CONFIGURATION_REFUSED, " ".join(result["problems"]), result)

    @app.post(
        f"{PREFIX}/templates/preview",
        dependencies=access.read,
        responses=told(Preview),
        response_model=None,
    )
    def preview(request: PreviewRequest) -> Fields:
        """Show what a template makes of an alert on a channel."""
        return success(parts.preview(request.model_dump()))


def _add_silences(app: FastAPI, store: Store, parts: PolicyParts, access: Access) -> None:
    @app.get(
        f"{PREFIX}/silences",
        dependencies=access.read,
        responses=told(list[SilenceShown]),
        response_model=None,
    )
    def silences(
        limit: Limit = 100,
        before: Before = None,
        *,
        ended: Annotated[bool, Query(description="Those that have ended, too.")] = False,
    ) -> Fields:
        """List silences, the newest first; those that have ended only where asked for."""
        return success([silence.fields() for silence in store.silences(ended=ended, limit=limit, before=before)])

    @app.post(
        f"{PREFIX}/silences",
        dependencies=access.operate,
        responses=told(SilenceShown),
        response_model=None,
    )
    def add(request: SilenceRequest) -> Fields:
        """Hold what matches until an end, or drop it."""
        return success(parts.add_silence(request.model_dump(exclude={"via"}), request.via))

    @app.delete(
        PREFIX + "/silences/{number}",
        dependencies=access.operate,
        responses=told(SilenceShown, ErrorCode.UNKNOWN_SILENCE),
        response_model=None,
    )
    def end(
        number: Annotated[int, Path(ge=1, le=LARGEST_NUMBER, description="The silence's number.")],
        author: Annotated[str, Query(max_length=NAME_LIMIT, description="Who does it, for the record.")] = "",
        via: Annotated[Literal["api", "cli", "page"], Query(description="By which way, for the record.")] = "api",
    ) -> Fields:
        """End a silence now; what it held is told at once."""
        ended = parts.end_silence(number, author, via)
        if ended is None:
            raise ApiError(404, ErrorCode.UNKNOWN_SILENCE, f"There is no silence {number} that has not ended.")
        return success(ended)
