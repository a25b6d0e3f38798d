"""The HTTP API of dead letters: what was refused for good, what another try would say, and having it sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import FastAPI, Path, Query

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
from subscriber.monitoring.dead_letters_models import (
    DeadLetterList,
    DeadLetterStory,
    RetriedOne,
    RetriedSome,
    RetryAllRequest,
    RetryRequest,
    RetrySomeRequest,
)
from subscriber.monitoring.documented import told
from subscriber.store.retrying import Retried

_MOST: Final = 500
_EXAMPLE: Final[Fields] = {
    "id": 17,
    "channel": "telegram",
    "step": "first",
    "alert_id": "0198a1b2-0000-7000-8000-000000000001",
    "severity": "CRITICAL",
    "event_type": "DRAWDOWN_BREACHED",
    "symbol": "TNA",
    "source": "live_trader",
    "text": "Drawdown of 5.2 % breaks the limit of 5 %",
    "published_at": "2026-11-23T14:30:00.000+00:00",
    "died_at": "2026-11-23T14:30:00.412+00:00",
    "attempts": 1,
    "reason": "rejected",
    "status": 400,
    "code": "400",
    "detail": "Bad Request: message is too long",
    "possible_repeat": False,
    "told_elsewhere": ["whatsapp"],
    "retriable": True,
    "why_not": None,
}
_STORY: Final[Fields] = {
    **_EXAMPLE,
    "message": {
        "text": "🔴 CRITICAL DRAWDOWN_BREACHED TNA\nDrawdown of 5.2 % breaks the limit of 5 %\n"
        "source live_trader\nid 00000001 · 2026-11-23 14:30:00 UTC",
        "dialect": "telegram_html",
        "template": None,
    },
    "attempts_made": [
        {
            "id": 41,
            "opened_us": 1795444200000000,
            "closed_us": 1795444200412000,
            "channel": "telegram",
            "reason": "rejected",
            "status": 400,
            "code": "400",
            "detail": "Bad Request: message is too long",
            "provider_message_id": None,
            "in_doubt": False,
            "seconds": 0.211,
            "possible_repeat": False,
            "receipt": None,
            "by_template": False,
            "receipt_at": None,
            "receipts": [],
        }
    ],
}
_RETRIED: Final[Fields] = {
    "retried": [17],
    "count": 1,
    "skipped": [{"id": 18, "why": "it is accepted, and not dead (any more)"}],
}

LetterKey = Annotated[int, Path(ge=1, le=LARGEST_NUMBER, description="The delivery's number.")]


@dataclass(frozen=True, slots=True)
class DeadLetterParts:
    """What is shown and done, given by the service."""

    listed: Callable[[int, int | None, str | None], Fields]  #: limit, before, channel
    one: Callable[[int], Fields | None]
    retry: Callable[[Iterable[int], str, str], Retried]  #: which, who, how
    retry_all: Callable[[str | None, str, str], Fields]  #: of which channel, who, how
    fields_of: Callable[[Retried], Fields]
    knows_channel: Callable[[str], bool]  #: whether there is, or ever was, such a channel


def add_dead_letters(app: FastAPI, parts: DeadLetterParts, access: Access) -> None:
    """Add the paths of dead letters to the application."""
    _add_reading(app, parts, access)
    _add_retrying(app, parts, access)


def _add_reading(app: FastAPI, parts: DeadLetterParts, access: Access) -> None:
    @app.get(
        f"{PREFIX}/dead-letters",
        dependencies=access.read,
        responses=told(DeadLetterList, ErrorCode.UNKNOWN_CHANNEL, example={"total": 1, "dead_letters": [_EXAMPLE]}),
        response_model=None,
    )
    def dead_letters(
        limit: Annotated[int, Query(ge=1, le=_MOST, description="How many at most.")] = 50,
        before: Annotated[
            int | None, Query(ge=1, le=LARGEST_NUMBER, description="The id of the last one of the page before.")
        ] = None,
        channel: Annotated[str | None, Query(pattern=CHANNEL_PATTERN, description="Only this channel's.")] = None,
    ) -> Fields:
        """List what was refused for good, the newest delivery first, and say of each whether it can be sent again."""
        return success(parts.listed(limit, before, _known(channel, parts)))

    @app.get(
        PREFIX + "/dead-letters/{letter_id:int}",
        dependencies=access.read,
        responses=told(DeadLetterStory, ErrorCode.UNKNOWN_DEAD_LETTER, example=_STORY),
        response_model=None,
    )
    def dead_letter(letter_id: LetterKey) -> Fields:
        """Show a dead letter with every attempt, and what another one would say now."""
        found = parts.one(letter_id)
        if found is None:
            raise _unknown(letter_id)
        return success(found)


def _add_retrying(app: FastAPI, parts: DeadLetterParts, access: Access) -> None:
    @app.post(
        f"{PREFIX}/dead-letters/retry",
        dependencies=access.operate,
        responses=told(RetriedSome, ErrorCode.UNKNOWN_CHANNEL, example=_RETRIED),
        response_model=None,
    )
    def retry_many(request: RetrySomeRequest | RetryAllRequest) -> Fields:
        """Have some dead letters sent again, or all; what can't be is skipped, with why. Doing it twice is harmless."""
        if isinstance(request, RetrySomeRequest):
            return success(parts.fields_of(parts.retry(request.ids, request.author, request.via)))
        return success(parts.retry_all(_known(request.channel, parts), request.author, request.via))

    @app.post(
        PREFIX + "/dead-letters/{letter_id:int}/retry",
        dependencies=access.operate,
        responses=told(
            RetriedOne,
            ErrorCode.UNKNOWN_DEAD_LETTER,
            ErrorCode.NOT_RETRIABLE,
            example={"retried": [17], "skipped": []},
        ),
        response_model=None,
    )
    def retry(letter_id: LetterKey, request: RetryRequest | None = None) -> Fields:
        """Have a dead letter sent again now, whatever silence or quiet hours hold others like it."""
        given = request or RetryRequest()
        retried = parts.retry([letter_id], given.author, given.via)
        if letter_id in retried.unknown:
            raise _unknown(letter_id)
        why = retried.skipped.get(letter_id)
        if why is not None:
            data: dict[str, Any] = {"id": letter_id, "why": why}
            raise ApiError(409, ErrorCode.NOT_RETRIABLE, f"The dead letter {letter_id} stays: {why}.", data=data)
        return success({"retried": [letter_id], "skipped": []})


def _known(channel: str | None, parts: DeadLetterParts) -> str | None:
    if channel is not None and not parts.knows_channel(channel):
        raise ApiError(404, ErrorCode.UNKNOWN_CHANNEL, f"There is no channel {channel!r}, and there was none.")
    return channel


def _unknown(letter_id: int) -> ApiError:
    return ApiError(404, ErrorCode.UNKNOWN_DEAD_LETTER, f"There is no dead letter {letter_id} (any more).")
