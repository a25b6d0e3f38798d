"""What OpenAPI says of an endpoint's answers: the model inside of the envelope, and the errors that it may give."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from subscriber.monitoring.answers import ErrorCode

Data = TypeVar("Data")


class Success(BaseModel, Generic[Data]):
    """The envelope of an answer."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["success"]
    data: Data


class Problem(BaseModel):
    """The envelope of an error."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["error"]
    error: str = Field(description="For people: what is wrong and what to do.")
    code: ErrorCode = Field(description="For programs: keeps its meaning.")
    data: Any = Field(default=None, description="What is known beside it.")


#: The HTTP status that goes with a code.
_STATUSES: dict[ErrorCode, int] = {
    ErrorCode.INVALID_REQUEST: 422,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN_SCOPE: 403,
    ErrorCode.FORBIDDEN_ORIGIN: 403,
    ErrorCode.FORBIDDEN_HOST: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.UNKNOWN_CHANNEL: 404,
    ErrorCode.UNKNOWN_ALERT: 404,
    ErrorCode.UNKNOWN_SILENCE: 404,
    ErrorCode.UNKNOWN_DIGEST: 404,
    ErrorCode.UNKNOWN_DEAD_LETTER: 404,
    ErrorCode.NOT_RETRIABLE: 409,
    ErrorCode.BODY_TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.CONFIGURATION_REFUSED: 422,
    ErrorCode.TOO_MANY_TESTS: 429,
    ErrorCode.TOO_MANY_STREAMS: 503,
    ErrorCode.WEBHOOK_REFUSED: 403,
    ErrorCode.STORE_UNAVAILABLE: 503,
    ErrorCode.NOT_READY: 503,
    ErrorCode.INTERNAL: 500,
}


def told(model: Any, *errors: ErrorCode, example: Any = None) -> dict[int | str, dict[str, Any]]:
    """Return what `responses=` of an endpoint takes.

    Args:
        model: Of the data of a success.
        errors: Those that the endpoint may give beside those that every guarded endpoint may.
        example: Of the data of a success.
    """
    success: dict[str, Any] = {"model": Success[model], "description": "Done."}
    if example is not None:
        success["content"] = {"application/json": {"example": {"status": "success", "data": example}}}
    found: dict[int | str, dict[str, Any]] = {200: success}
    for status in sorted({_STATUSES[code] for code in errors}):
        codes = ", ".join(f"`{code.value}`" for code in errors if _STATUSES[code] == status)
        found[status] = {"model": Problem, "description": codes}
    return found
