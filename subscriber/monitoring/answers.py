"""The envelope of every answer of the API, as YoopRL's front end expects it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi.responses import JSONResponse

PREFIX: Final = "/api/monitoring/notifications"


def success(data: Any) -> dict[str, Any]:
    """Return the envelope of an answer."""
    return {"status": "success", "data": data}


def problem(status: int, text: str, data: Any = None, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the envelope of an error, with what is known beside its text."""
    envelope = {"status": "error", "error": text}
    return JSONResponse(envelope if data is None else {**envelope, "data": data}, status, headers)
