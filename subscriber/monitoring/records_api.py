"""The HTTP API of what was stored: history, one alert's story, digests, changes, export."""

from __future__ import annotations

from typing import Annotated, Final, Literal
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
from subscriber.store.exporting import EXPORTS
from subscriber.store.store import Store

_MOST: Final = 500

Word = Annotated[str | None, Query(max_length=128)]
Limit = Annotated[int, Query(ge=1, le=_MOST)]
Before = Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER, description="The id of the last one of the page before.")]
Moment = Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER, description="Microseconds of UTC since 1970.")]


def add_records(app: FastAPI, store: Store, access: Access) -> None:
    """Add the paths of what was stored to the application."""

    @app.get(f"{PREFIX}/history", dependencies=access.read)
    def history(  # noqa: PLR0913 - each is a filter of its own
        *,
        limit: Limit = 50,
        before: Annotated[
            int | None,
            Query(ge=1, le=LARGEST_NUMBER, description="The number of the last alert of the page before."),
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
    ) -> Fields:
        """List alerts with their deliveries, the newest first."""
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
        )
        return success(found)

    @app.get(PREFIX + "/alerts/{alert_id}", dependencies=access.read)
    def alert(alert_id: UUID) -> Fields:
        """Tell one alert's whole story: where it came from, its deliveries and every attempt."""
        story = store.story(alert_id)
        if story is None:
            raise ApiError(404, ErrorCode.UNKNOWN_ALERT, f"There is no alert {alert_id}.")
        return success(story)

    @app.get(PREFIX + "/digests/{number}", dependencies=access.read)
    def digest(number: Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]) -> Fields:
        """Show a digest: what it said, and of which alerts."""
        story = store.digest_story(number)
        if story is None:
            raise ApiError(404, ErrorCode.UNKNOWN_DIGEST, f"There is no digest {number}.")
        return success(story)

    @app.get(f"{PREFIX}/changes", dependencies=access.read)
    def changes(limit: Limit = 100, before: Before = None) -> Fields:
        """List what people changed, the newest first."""
        return success(store.changes(limit, before))

    @app.get(f"{PREFIX}/export", dependencies=access.read)
    def export(
        what: Annotated[str, Query(description=f"One of: {', '.join(EXPORTS)}.")] = "alerts",
        form: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
        since_us: Moment = None,
        until_us: Moment = None,
    ) -> StreamingResponse:
        """Stream everything of one kind, as JSON lines or CSV, the oldest first."""
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
