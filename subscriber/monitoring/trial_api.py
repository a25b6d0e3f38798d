"""The HTTP API of test alerts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Final

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from subscriber.monitoring.access import Access
from subscriber.monitoring.answers import PREFIX, TEXT_LIMIT, ApiError, ErrorCode, Fields, success
from subscriber.monitoring.channels_api import known_channel

#: A test waits for its providers in one of the forty threads that answer requests; the others stay free.
_MOST_TESTS_AT_ONCE: Final = 8


class TestRequest(BaseModel):
    """What to test."""

    model_config = ConfigDict(extra="forbid")

    channel: str | None = Field(default=None, max_length=64, description="One channel; all of them when left out.")
    text: str | None = Field(default=None, min_length=1, max_length=TEXT_LIMIT, description="What the message says.")


@dataclass(frozen=True, slots=True)
class TrialParts:
    """What is done, given by the service."""

    channels: tuple[str, ...]
    send_test: Callable[[tuple[str, ...], str | None], Fields]


def add_trial(app: FastAPI, parts: TrialParts, access: Access) -> None:
    """Add the path of test alerts to the application."""
    tests = BoundedSemaphore(_MOST_TESTS_AT_ONCE)

    @app.post(f"{PREFIX}/test", dependencies=access.operate)
    def test(request: TestRequest | None = None) -> Fields:
        """Send a test alert through the real queue, and say what each provider answered."""
        wanted = request or TestRequest()
        names = parts.channels if wanted.channel is None else (known_channel(wanted.channel, parts.channels),)
        if not tests.acquire(blocking=False):
            raise ApiError(
                429,
                ErrorCode.TOO_MANY_TESTS,
                "Other tests still wait for their providers; try again in some seconds.",
                headers={"Retry-After": "10"},
            )
        try:
            return success(parts.send_test(names, wanted.text))
        finally:
            tests.release()
