"""The envelope of every answer of the API, as YoopRL's front end expects it, and the closed set of its error codes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from fastapi.responses import JSONResponse

PREFIX: Final = "/api/monitoring/notifications"
LARGEST_NUMBER: Final = 2**63 - 1  # of both databases
CHANNEL_PATTERN: Final = "^[A-Za-z0-9_-]{1,64}$"
NAME_LIMIT: Final = 128
TEXT_LIMIT: Final = 1000

Fields = dict[str, Any]


class ErrorCode(StrEnum):
    """What went wrong, for programs: a code keeps its meaning; its text is for people and may change."""

    INVALID_REQUEST = "invalid_request"  #: a field, a query or the body can't be used; the text names it
    UNAUTHENTICATED = "unauthenticated"  #: no token, or a wrong one
    FORBIDDEN_SCOPE = "forbidden_scope"  #: the token may read and change nothing
    FORBIDDEN_ORIGIN = "forbidden_origin"  #: a page of another origin wants to change something
    FORBIDDEN_HOST = "forbidden_host"  #: without a token only this machine may ask, by a name of this machine
    NOT_FOUND = "not_found"  #: no such path
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNKNOWN_CHANNEL = "unknown_channel"
    UNKNOWN_ALERT = "unknown_alert"
    UNKNOWN_SILENCE = "unknown_silence"
    UNKNOWN_DIGEST = "unknown_digest"
    UNKNOWN_DEAD_LETTER = "unknown_dead_letter"
    NOT_RETRIABLE = "not_retriable"  #: it is dead no more, or its channel is switched off or gone
    BODY_TOO_LARGE = "body_too_large"
    BODY_TOO_SLOW = "body_too_slow"  #: a body that did not come whole in time
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"  #: a body that is no JSON
    CONFIGURATION_REFUSED = "configuration_refused"  #: what was in force stays
    TOO_MANY_TESTS = "too_many_tests"
    TOO_MANY_STREAMS = "too_many_streams"
    WEBHOOK_REFUSED = "webhook_refused"
    BUSY = "busy"  #: too many requests are being answered; the answer's Retry-After says when to ask again
    STORE_UNAVAILABLE = "store_unavailable"  #: the database can't be used at the moment; asking again is harmless
    NOT_READY = "not_ready"
    INTERNAL = "internal"  #: a fault of alertbus; its log says more


class ApiError(Exception):
    """An answer that is no success; an exception handler makes the envelope of it."""

    def __init__(
        self,
        status: int,
        code: ErrorCode,
        text: str,
        *,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep what is answered.

        Args:
            status: The HTTP status.
            code: For programs.
            text: For people: what is wrong and what to do, without any value that could be secret.
            data: What is known beside it.
            headers: Headers of the answer.
        """
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.data = data
        self.headers = headers

    def answer(self) -> JSONResponse:
        """Return the answer."""
        return problem(self.status, self.code, self.text, self.data, self.headers)


def success(data: Any) -> Fields:
    """Return the envelope of an answer."""
    return {"status": "success", "data": data}


def problem(
    status: int, code: ErrorCode, text: str, data: Any = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the envelope of an error, with what is known beside its text."""
    envelope = {"status": "error", "error": text, "code": code.value}
    return JSONResponse(envelope if data is None else {**envelope, "data": data}, status, headers)
