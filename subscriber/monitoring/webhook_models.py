"""What OpenAPI says of the webhooks, whose calls and answers are as their providers want them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path

from subscriber.monitoring.answers import ErrorCode
from subscriber.monitoring.documented import Described, ErrorAnswer, problems

Provider = Annotated[
    str,
    Path(description="The provider's name, for example twilio or meta; one that is not configured is answered 404."),
]

_TWIML: Final = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
#: What each status of a refused call means.
_REFUSALS: Final[dict[int, str]] = {
    400: "the call can't be read, or ended in the middle",
    403: "it has no right signature",
    404: "no webhook of this provider is configured, or it asks nothing here",
    405: "this provider doesn't call by this method",
    408: "it did not come whole within 10 s",
    413: "it has more than 256 KiB",
}

#: What a greeting is answered with.
GREETED: Final[dict[str, Any]] = {
    "description": "The word that the provider sent to be told back.",
    "content": {"text/plain": {"schema": {"type": "string"}, "example": "1158201444"}},
}
#: What a call that was stored is answered with: as its provider wants it.
TAKEN: Final[dict[str, Any]] = {
    "description": "What the call says is stored.",
    "content": {
        "text/xml": {
            "schema": {"type": "string", "description": "For Twilio: no answer to the person."},
            "example": _TWIML,
        },
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"status": {"const": "success"}, "data": {"type": "object", "maxProperties": 0}},
                "required": ["status", "data"],
                "additionalProperties": False,
            },
            "example": {"status": "success", "data": {}},
        },
    },
}
#: A call, as far as it is the same for all providers: byte by byte what its provider signed.
CALL: Final[dict[str, Any]] = {
    "description": "As the provider's own documents have it; its signature is over exactly these bytes.",
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {"type": "object", "additionalProperties": {"type": "string"}},
            "example": {"MessageSid": "SM0123456789abcdef0123456789abcdef", "MessageStatus": "delivered"},
        },
        "application/json": {
            "schema": {"type": "object"},
            "example": {"object": "whatsapp_business_account", "entry": []},
        },
    },
}


def webhook_answers(success: dict[str, Any]) -> Described:
    """Return what `responses=` of a webhook takes."""
    example = {"status": "error", "code": ErrorCode.WEBHOOK_REFUSED.value}
    refused: Described = {
        status: {
            "model": ErrorAnswer,
            "description": f"`{ErrorCode.WEBHOOK_REFUSED.value}`: {meaning}.",
            "content": {"application/json": {"example": {**example, "error": f"{meaning.capitalize()}."}}},
        }
        for status, meaning in _REFUSALS.items()
    }
    return {200: success, **refused, **problems((ErrorCode.INTERNAL, ErrorCode.STORE_UNAVAILABLE))}
