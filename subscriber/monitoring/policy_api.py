"""The HTTP API of the delivery policy: routes, silences, acknowledgements, templates.

Handlers run in uvicorn's thread pool. What a person does is recorded with who did it: `author`, as the request says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import FastAPI, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from bus.alerts import Alert
from bus.errors import ConfigurationError
from subscriber.monitoring.access import Access
from subscriber.monitoring.answers import (
    LARGEST_NUMBER,
    NAME_LIMIT,
    PREFIX,
    TEXT_LIMIT,
    ApiError,
    ErrorCode,
    Fields,
    problem,
    success,
)
from subscriber.monitoring.records_api import Before, Limit
from subscriber.policy.samples import sample_of
from subscriber.store.store import Store

_TEMPLATE_LIMIT: Final = 10_000
_LONGEST_SILENCE_SECONDS: Final = 366 * 86_400

Author = Annotated[str, Field(max_length=NAME_LIMIT, description="Who does it, for the record.")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RouteRequest(_Request):
    """An alert that might come."""

    kind: Literal["risk_event", "agent_action", "system_event"] | None = None
    severity: str | None = Field(default=None, max_length=NAME_LIMIT)
    action: str | None = Field(default=None, max_length=NAME_LIMIT)
    event_type: str | None = Field(default=None, max_length=NAME_LIMIT)
    symbol: str | None = Field(default=None, max_length=NAME_LIMIT)
    agent_name: str | None = Field(default=None, max_length=NAME_LIMIT)
    source: str | None = Field(default=None, max_length=NAME_LIMIT)
    quantity: float | None = None
    description: str | None = Field(default=None, max_length=TEXT_LIMIT)


class SilenceRequest(_Request):
    """What is not to be told for a while."""

    match: dict[str, Any] = Field(description='As the match of a route, for example {"symbol": "TNA"}; empty for all.')
    seconds: float | None = Field(default=None, gt=0, le=_LONGEST_SILENCE_SECONDS, description="From now on.")
    starts_us: int | None = Field(default=None, ge=0, le=LARGEST_NUMBER)
    ends_us: int | None = Field(default=None, ge=0, le=LARGEST_NUMBER, description="In place of `seconds`.")
    author: Author
    reason: str = Field(default="", max_length=TEXT_LIMIT)
    drops: bool = Field(default=False, description="What falls in it is not told at its end.")
    lets_critical: bool = Field(default=True, description="CRITICAL is told all the same.")


class AckRequest(_Request):
    """Who knows of an alert."""

    author: Author = ""
    note: str = Field(default="", max_length=TEXT_LIMIT)
    via: Literal["api", "cli", "page"] = Field(default="api", description="By which way, for the record.")


class ReloadRequest(_Request):
    """Who asks for it."""

    author: Author = ""


class PreviewRequest(_Request):
    """A template and what to show in it."""

    channel: str = Field(max_length=64)
    text: str | None = Field(
        default=None, max_length=_TEMPLATE_LIMIT, description="A template that is not in the file."
    )
    name: str | None = Field(default=None, max_length=NAME_LIMIT, description="One that is.")
    kind: Literal["risk_event", "agent_action", "system_event"] = "risk_event"
    alert_id: UUID | None = Field(default=None, description="A stored alert; a sample when left out.")


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

    @app.post(PREFIX + "/alerts/{alert_id}/ack", dependencies=access.operate)
    def acknowledge(alert_id: UUID, request: AckRequest | None = None) -> Fields:
        """Say that a person knows of an alert: nobody further is woken for it."""
        given = request or AckRequest()
        acknowledged = parts.acknowledge(alert_id, given.author, given.via, given.note)
        if acknowledged is None:
            raise ApiError(404, ErrorCode.UNKNOWN_ALERT, f"There is no alert {alert_id}.")
        return success(acknowledged)


def _add_routes(app: FastAPI, parts: PolicyParts, access: Access) -> None:
    @app.get(f"{PREFIX}/routes", dependencies=access.read)
    def routes() -> Fields:
        """Show the routes, quiet hours and templates in force, since when, and what was refused since."""
        return success(parts.rules())

    @app.post(f"{PREFIX}/routes/explain", dependencies=access.read)
    def explain(request: RouteRequest) -> Fields:
        """Say where such an alert would go now, and why."""
        try:
            alert = sample_of(request.model_dump())
        except ValueError as error:
            raise ApiError(422, ErrorCode.INVALID_REQUEST, f"There can be no such alert: {_said(error)}") from None
        return success(parts.explain_route(alert))

    @app.post(f"{PREFIX}/reload", dependencies=access.operate)
    def reload(request: ReloadRequest | None = None) -> JSONResponse:
        """Read the configuration again; one with a fault is refused (422), and what was in force stays."""
        result = parts.reload("api", (request or ReloadRequest()).author)
        if result["loaded"]:
            return JSONResponse(success(result))
        return problem(422, ErrorCode.CONFIGURATION_REFUSED, " ".join(result["problems"]), result)

    @app.post(f"{PREFIX}/templates/preview", dependencies=access.read)
    def preview(request: PreviewRequest) -> Fields:
        """Show what a template makes of an alert on a channel."""
        return success(parts.preview(request.model_dump()))


def _add_silences(app: FastAPI, store: Store, parts: PolicyParts, access: Access) -> None:
    @app.get(f"{PREFIX}/silences", dependencies=access.read)
    def silences(limit: Limit = 100, before: Before = None, *, ended: bool = False) -> Fields:
        """List silences, the newest first; those that have ended only where asked for."""
        return success([silence.fields() for silence in store.silences(ended=ended, limit=limit, before=before)])

    @app.post(f"{PREFIX}/silences", dependencies=access.operate)
    def add(request: SilenceRequest) -> Fields:
        """Hold what matches until an end, or drop it."""
        return success(parts.add_silence(request.model_dump(), "api"))

    @app.delete(PREFIX + "/silences/{number}", dependencies=access.operate)
    def end(
        number: Annotated[int, Path(ge=1, le=LARGEST_NUMBER)],
        author: Annotated[str, Query(max_length=NAME_LIMIT)] = "",
    ) -> Fields:
        """End a silence now; what it held is told at once."""
        ended = parts.end_silence(number, author, "api")
        if ended is None:
            raise ApiError(404, ErrorCode.UNKNOWN_SILENCE, f"There is no silence {number} that has not ended.")
        return success(ended)


def _said(error: ValueError) -> str:
    """Return pydantic's faults as sentences without the values, and other errors as they are."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return str(error)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in errors(include_input=False))
