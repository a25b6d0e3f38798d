"""What OpenAPI says of an endpoint's answers: the model inside of the envelope, and the errors that it may give."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from subscriber.monitoring.answers import ErrorCode

Data = TypeVar("Data")


class Success(BaseModel, Generic[Data]):
    """The envelope of an answer."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["success"] = Field(description="Tells a success from an error.")
    data: Data = Field(description="What was asked for.")


class ErrorAnswer(BaseModel):
    """The envelope of an error."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["error"] = Field(description="Tells an error from a success.")
    error: str = Field(description="For people: what is wrong and what to do.")
    code: ErrorCode = Field(description="For programs: keeps its meaning.")
    data: Any = Field(default=None, description="What is known beside it.")


Described = dict[int | str, dict[str, Any]]

#: The HTTP status that goes with a code, and what its text says for example.
CODES: Final[dict[ErrorCode, tuple[int, str]]] = {
    ErrorCode.INVALID_REQUEST: (422, "The request can't be used: limit: Input should be greater than or equal to 1."),
    ErrorCode.UNAUTHENTICATED: (401, "Give the token of ALERTBUS_API_TOKEN as a bearer token."),
    ErrorCode.FORBIDDEN_SCOPE: (403, "This token may read and change nothing."),
    ErrorCode.FORBIDDEN_ORIGIN: (403, "Pages of this origin may not change anything."),
    ErrorCode.FORBIDDEN_HOST: (403, "Only pages and programs of this machine may ask; set ALERTBUS_API_TOKEN."),
    ErrorCode.NOT_FOUND: (404, "Not Found"),
    ErrorCode.METHOD_NOT_ALLOWED: (405, "Method Not Allowed"),
    ErrorCode.UNKNOWN_CHANNEL: (404, "There is no channel 'telegramm'; there are: whatsapp, telegram."),
    ErrorCode.UNKNOWN_ALERT: (404, "There is no alert 0198a1b2-0000-7000-8000-000000000000."),
    ErrorCode.UNKNOWN_SILENCE: (404, "There is no silence 7 that has not ended."),
    ErrorCode.UNKNOWN_DIGEST: (404, "There is no digest 7."),
    ErrorCode.UNKNOWN_DEAD_LETTER: (404, "There is no dead letter 7."),
    ErrorCode.NOT_RETRIABLE: (409, "This can't be retried: its channel is switched off."),
    ErrorCode.BODY_TOO_LARGE: (413, "More than 65536 bytes are not read."),
    ErrorCode.BODY_TOO_SLOW: (408, "The body did not come whole within 10 s."),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: (415, "The body must be JSON: Content-Type: application/json."),
    ErrorCode.CONFIGURATION_REFUSED: (422, "alertbus.toml: routes[0].channels: there is no channel 'telegramm'."),
    ErrorCode.TOO_MANY_TESTS: (429, "Too many tests; try again in 6 s."),
    ErrorCode.TOO_MANY_STREAMS: (503, "64 pages follow the events already; try again in 30 s."),
    ErrorCode.WEBHOOK_REFUSED: (403, "The signature is wrong."),
    ErrorCode.BUSY: (503, "Too many requests are being answered; ask again in some seconds."),
    ErrorCode.STORE_UNAVAILABLE: (503, "The database can't be used at the moment."),
    ErrorCode.NOT_READY: (503, "Ingest has not begun."),
    ErrorCode.INTERNAL: (500, "alertbus failed unexpectedly; its log says how."),
}

#: Where the document has the example of a code.
EXAMPLES: Final = "#/components/examples/{code}"
#: What every guarded endpoint may answer.
GUARDED: Final = (
    ErrorCode.INVALID_REQUEST,
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN_SCOPE,
    ErrorCode.FORBIDDEN_ORIGIN,
    ErrorCode.FORBIDDEN_HOST,
    ErrorCode.STORE_UNAVAILABLE,
    ErrorCode.BUSY,
)
#: What beside these one may answer that reads a body.
WITH_BODY: Final = (ErrorCode.BODY_TOO_SLOW, ErrorCode.BODY_TOO_LARGE, ErrorCode.UNSUPPORTED_MEDIA_TYPE)


def told(model: Any, *errors: ErrorCode, example: Any = None) -> Described:
    """Return what `responses=` of an endpoint takes.

    Args:
        model: Of the data of a success.
        errors: Those that the endpoint may give beside those that every guarded endpoint may.
        example: Of the data of a success.
    """
    success: dict[str, Any] = {"model": Success[model], "description": "Done."}
    if example is not None:
        # As text, which `describing` reads again: FastAPI leaves out of its document what is null.
        text = json.dumps({"status": "success", "data": example}, ensure_ascii=False)
        success["content"] = {"application/json": {"example": text}}
    return {200: success, **problems(errors)}


def problems(errors: Iterable[ErrorCode]) -> Described:
    """Return what `responses=` says of errors: each status once, with its codes and examples."""
    found: Described = {}
    for code in errors:
        status, _ = CODES[code]
        entry = found.setdefault(status, {"model": ErrorAnswer, "description": "", "content": {}})
        entry["description"] = ", ".join(filter(None, (entry["description"], f"`{code.value}`")))
        examples = entry["content"].setdefault("application/json", {"examples": {}})["examples"]
        examples[code.value] = {"$ref": EXAMPLES.format(code=code.value)}
    return found


def problem_examples() -> dict[str, Any]:
    """Return an example of the answer with each code, for the document's shared parts."""
    return {
        code.value: {"value": {"status": "error", "error": text, "code": code.value}}
        for code, (_, text) in CODES.items()
    }
