"""The path of the event streams: who may listen, how many at once, and the end of a stream that nobody reads."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Final

from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from subscriber.monitoring.access import Access
from subscriber.monitoring.answers import PREFIX, ApiError, ErrorCode
from subscriber.monitoring.documented import told
from subscriber.monitoring.events_models import EVENTS
from subscriber.monitoring.feed import MOST_STREAMS, Feed
from subscriber.monitoring.listener import Listener

logger = logging.getLogger(__name__)

#: A comment each so many seconds shows both sides that the other one is there.
PING_SECONDS: Final = 15
#: A listener that takes nothing for so long is cut off.
_SEND_SECONDS: Final = 10.0
_RETRY_AFTER_SECONDS: Final = 30
_CURSOR_LIMIT: Final = 256

_DOCUMENTED: Final = "\n".join(
    [
        "Server-sent events, until either side ends them. Each has a name, and JSON as its data:",
        "",
        "- `hello` first: who speaks.",
        "- `status`: the data of `GET /status`, at once, when it changed (at most once a second), and each 5 s.",
        "- `alert`: an entry as of `GET /history`, when it is stored or something about it changed. Its id, given",
        "  back as `Last-Event-ID` or `after`, begins a later stream with what changed since; some is told twice.",
        "- `change`: somebody changed a list; read it again.",
        "- `reset`: more changed than is told one by one, or the id means nothing here; read the history again.",
        "",
        f"At most {MOST_STREAMS} streams are open at once. A listener that does not read is cut off.",
    ]
)
_EXAMPLE: Final = (
    "retry: 2000\n\n"
    "event: hello\n"
    'data: {"version":"0.1.0","store_id":"0b9f8a4e-6f0e-4a53-8f1e-0d6c1f9f6c1a",'
    '"started_at":"2025-10-09T08:53:20.000+00:00"}\n\n'
    "event: change\n"
    'data: {"what":"silences"}\n\n'
)


class _Stream(EventSourceResponse):
    """The answer that a stream is; the listener joins when it begins, and leaves whatever ends it."""

    def __init__(self, feed: Feed, listener: Listener) -> None:
        super().__init__(
            listener.events(),
            ping=PING_SECONDS,
            ping_message_factory=lambda: ServerSentEvent(comment="ping", sep="\n"),
            send_timeout=_SEND_SECONDS,
            sep="\n",
        )
        self._feed = feed
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._feed.full:  # others came between the look and the beginning
            self._feed.refused()
            await _too_many().answer()(scope, receive, send)
            return
        self._feed.join(self._listener)
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:  # the server closes a connection of which nobody takes anything
            logger.info("a listener does not read, and is cut off")
        finally:
            self._feed.leave(self._listener)


def add_events(app: FastAPI, feed: Feed, access: Access) -> None:
    """Add the path to the application."""
    app.state.end_streams = feed.close

    @app.get(
        f"{PREFIX}/events",
        dependencies=access.read,
        response_class=Response,
        responses=_responses(),
        description=_DOCUMENTED,
    )
    async def events(
        request: Request,
        after: Annotated[
            str | None, Query(max_length=_CURSOR_LIMIT, description="As `Last-Event-ID`, which counts first.")
        ] = None,
        last_event_id: Annotated[
            str | None, Header(max_length=_CURSOR_LIMIT, description="The id of the last event that was had.")
        ] = None,
    ) -> Response:
        if feed.full:
            feed.refused()
            raise _too_many()
        return _Stream(feed, Listener(access.scope_of(request), last_event_id or after or None))


def _too_many() -> ApiError:
    return ApiError(
        503,
        ErrorCode.TOO_MANY_STREAMS,
        f"{MOST_STREAMS} event streams are open, or the daemon is stopping; come again, or ask GET /status.",
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
    )


def _responses() -> dict[int | str, dict[str, Any]]:
    schemas = {name: f"`{name}`: {(model.__doc__ or '').strip()}" for name, model in EVENTS.items()}
    stream = {
        "description": "The stream.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string", "description": " ".join(schemas.values())},
                "example": _EXAMPLE,
            }
        },
    }
    refused = {code: answer for code, answer in told(str, ErrorCode.TOO_MANY_STREAMS).items() if code != 200}
    return {200: stream, **refused}
