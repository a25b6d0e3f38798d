"""The HTTP API of what was stored: history, one alert's story, digests, changes, export."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import FastAPI, Path, Query
from fastapi.responses import StreamingResponse

from bus.alerts import Severity
from subscriber.deliveries import DeliveryState
from subscriber.exports import csv_of, json_lines_of
from subscriber.monitoring.access import Access
from subscriber.monitoring.answers import (
    CHANNEL_PATTERN,
    LARGEST_NUMBER,
    PREFIX,
    ApiError,
    ErrorCode,
    Fields,
    success,
)
from subscriber.monitoring.documented import told
from subscriber.monitoring.records_models import AlertStory, ChangeShown, DigestStory, HistoryEntry
from subscriber.store.exporting import EXPORTS
from subscriber.store.store import Store

_MOST: Final = 500
_UNIT: Final = "Microseconds of UTC since 1970."
_EXPORTED: Final[dict[str, Any]] = {
    "description": "The rows, in bounded memory however many there are.",
    "content": {
        "application/x-ndjson": {
            "schema": {"type": "string", "description": "One JSON object per line."},
            "example": '{"number": 1, "id": "0198a1b2-0000-7000-8000-000000000001", "severity": "CRITICAL"}\n',
        },
        "text/csv": {
            "schema": {"type": "string", "description": "A header, and one row per line; lines end in CR LF."},
            "example": "number,id,severity\r\n1,0198a1b2-0000-7000-8000-000000000001,CRITICAL\r\n",
        },
    },
}

Word = Annotated[str | None, Query(max_length=128)]
AlertKey = Annotated[UUID, Path(description="The alert's id.")]
Limit = Annotated[int, Query(ge=1, le=_MOST, description="How many at most.")]
Before = Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER, description="The id of the last one of the page before.")]
Moment = Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER)]


def add_records(app: FastAPI, store: Store, access: Access, channels: Collection[str] = ()) -> None:
    """Add the paths of what was stored to the application.

    Args:
        app: The application.
        store: Where it is stored.
        access: Who may ask.
        channels: The channels that are configured; those of earlier alerts are known beside them.
    """

    @app.get(
        f"{PREFIX}/history",
        dependencies=access.read,
        responses=told(list[HistoryEntry], ErrorCode.UNKNOWN_CHANNEL),
        response_model=None,
    )
    def history(  # noqa: PLR0913 - each is a filter of its own
        *,
        limit: Limit = 50,
        before: Annotated[
            int | None,
            Query(ge=1, le=LARGEST_NUMBER, description="The number of the last alert of the page before."),
        ] = None,
        channel: Annotated[
            str | None, Query(pattern=CHANNEL_PATTERN, description="Only alerts that were planned for this channel.")
        ] = None,
        state: Annotated[
            DeliveryState | None,
            Query(description="Only alerts with a delivery in this state, of that channel where one is given."),
        ] = None,
        severity: Annotated[
            Severity | None, Query(description="Only alerts of this severity; a trade counts as INFO.")
        ] = None,
        event_type: Annotated[Word, Query(description="Only this type of event, or this action.")] = None,
        symbol: Annotated[Word, Query(description="Only alerts about this symbol.")] = None,
        agent_name: Annotated[Word, Query(description="Only alerts of this agent.")] = None,
        source: Annotated[Word, Query(description="Only alerts of this publishing process.")] = None,
        kind: Annotated[
            Word, Query(description="Only this kind: risk_event, agent_action, system_event, opaque.")
        ] = None,
        acknowledged: Annotated[
            bool | None,
            Query(description="true: only alerts that somebody acknowledged; false: only CRITICAL that nobody did."),
        ] = None,
        since_us: Annotated[Moment, Query(description=f"Published then or later. {_UNIT}")] = None,
        until_us: Annotated[Moment, Query(description=f"Published before. {_UNIT}")] = None,
    ) -> Fields:
        """List alerts with their deliveries, the newest first.

        The next page begins before the `number` of the last alert of this one. A channel is known that is configured,
        or that stands in a stored delivery; any other is a mistake, and answered 404.
        """
        if channel is not None and channel not in channels and not store.knows_channel(channel):
            known = ", ".join(channels) or "none"
            raise ApiError(404, ErrorCode.UNKNOWN_CHANNEL, f"There is no channel {channel!r}; there are: {known}.")
        found = store.history(
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
            acknowledged=acknowledged,
        )
        return success(found)

    @app.get(
        PREFIX + "/alerts/{alert_id}",
        dependencies=access.read,
        responses=told(AlertStory, ErrorCode.UNKNOWN_ALERT),
        response_model=None,
    )
    def alert(alert_id: AlertKey) -> Fields:
        """Tell one alert's whole story: where it came from, its deliveries and every attempt."""
        story = store.story(alert_id)
        if story is None:
            raise ApiError(404, ErrorCode.UNKNOWN_ALERT, f"There is no alert {alert_id}.")
        return success(story)

    @app.get(
        PREFIX + "/digests/{number}",
        dependencies=access.read,
        responses=told(DigestStory, ErrorCode.UNKNOWN_DIGEST),
        response_model=None,
    )
    def digest(number: Annotated[int, Path(ge=1, le=LARGEST_NUMBER, description="The digest's number.")]) -> Fields:
        """Show a digest: what it said, and of which alerts."""
        story = store.digest_story(number)
        if story is None:
            raise ApiError(404, ErrorCode.UNKNOWN_DIGEST, f"There is no digest {number}.")
        return success(story)

    @app.get(f"{PREFIX}/changes", dependencies=access.read, responses=told(list[ChangeShown]), response_model=None)
    def changes(limit: Limit = 100, before: Before = None) -> Fields:
        """List what people changed, the newest first."""
        return success(store.changes(limit, before))

    @app.get(
        f"{PREFIX}/export",
        dependencies=access.read,
        responses={200: _EXPORTED},
        response_class=StreamingResponse,
    )
    def export(
        what: Annotated[
            str, Query(description="What is exported.", json_schema_extra={"enum": list(EXPORTS)})
        ] = "alerts",
        form: Annotated[
            Literal["json", "csv"], Query(alias="format", description="JSON lines, or CSV with a header.")
        ] = "json",
        since_us: Annotated[Moment, Query(description=f"What happened then or later. {_UNIT}")] = None,
        until_us: Annotated[Moment, Query(description=f"What happened before. {_UNIT}")] = None,
    ) -> StreamingResponse:
        """Stream everything of one kind, as JSON lines or CSV, the oldest first; times are microseconds of UTC."""
        if what not in EXPORTS:
            raise ApiError(
                422,
                ErrorCode.INVALID_REQUEST,
                f"Nothing is exported under {what!r}; write one of: {', '.join(EXPORTS)}.",
            )
        rows = store.export(what, since_us, until_us)
        text = csv_of(rows) if form == "csv" else json_lines_of(rows)
        name = f"alertbus-{what}.{'csv' if form == 'csv' else 'jsonl'}"
        kind = "text/csv; charset=utf-8" if form == "csv" else "application/x-ndjson"
        return StreamingResponse(
            text, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )
