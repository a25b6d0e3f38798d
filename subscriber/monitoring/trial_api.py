"""The HTTP API of test alerts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Final

from fastapi import FastAPI

from bus.alerts import Alert
from bus.clock import Clock
from subscriber.monitoring.access import Access
from subscriber.monitoring.answers import PREFIX, ApiError, ErrorCode, Fields, success
from subscriber.monitoring.bucket import Bucket
from subscriber.monitoring.channels_api import known_channel
from subscriber.monitoring.documented import told
from subscriber.monitoring.policy_requests import asked_alert
from subscriber.monitoring.trial_models import TrialRequest, TrialShown

#: A test waits for its providers in one of the forty threads that answer requests; the others stay free.
_MOST_TESTS_AT_ONCE: Final = 8
#: Tests of the whole daemon that may follow each other at once, and the pause that one more takes.
MOST_TESTS: Final = 10
SECONDS_EACH: Final = 6.0
#: When whoever is refused for other tests that still wait may ask again.
_BUSY_SECONDS: Final = 10
_EXAMPLE: Final[Fields] = {
    "alert_id": "0198a1b2-0000-7000-8000-000000000009",
    "dry_run": False,
    "route": None,
    "not_routed": False,
    "seconds": 0.31,
    "channels": [
        {
            "channel": "telegram",
            "provider": "telegram",
            "state": "accepted",
            "why": None,
            "accepted": True,
            "waiting_for": None,
            "outcome": "accepted",
            "status": 200,
            "code": None,
            "detail": "",
            "message_id": "4711",
            "seconds": 0.284,
            "resumed": False,
        }
    ],
}


@dataclass(frozen=True, slots=True)
class TrialParts:
    """What is done, given by the service."""

    channels: tuple[str, ...]
    send_test: Callable[[tuple[str, ...], str | None], Fields]  #: to these channels, with this text
    #: As the routes send such an alert, with this text; to these channels alone where they are given.
    send_routed: Callable[[Alert, str | None, tuple[str, ...] | None], Fields]
    clock: Clock


def add_trial(app: FastAPI, parts: TrialParts, access: Access) -> None:
    """Add the path of test alerts to the application."""
    waiting = BoundedSemaphore(_MOST_TESTS_AT_ONCE)
    bucket = Bucket(MOST_TESTS, SECONDS_EACH, parts.clock.monotonic)

    @app.post(
        f"{PREFIX}/test",
        dependencies=access.operate,
        responses=told(TrialShown, ErrorCode.UNKNOWN_CHANNEL, ErrorCode.TOO_MANY_TESTS, example=_EXAMPLE),
        response_model=None,
    )
    def test(request: TrialRequest | None = None) -> Fields:
        """Send a test alert through the real queue, and say what each provider answered, within about ten seconds.

        Ten tests may follow each other at once, and one more comes each six seconds, for the whole daemon.
        """
        wanted = request or TrialRequest()
        names = parts.channels if wanted.channel is None else (known_channel(wanted.channel, parts.channels),)
        alert = None if wanted.alert is None else asked_alert(wanted.alert)
        if not waiting.acquire(blocking=False):
            raise _too_many("Other tests still wait for their providers", _BUSY_SECONDS)
        try:
            wait_seconds = bucket.take()
            if wait_seconds > 0:
                raise _too_many("Too many tests", math.ceil(wait_seconds))
            if alert is None:
                return success(parts.send_test(names, wanted.text))
            return success(parts.send_routed(alert, wanted.text, None if wanted.channel is None else names))
        finally:
            waiting.release()


def _too_many(text: str, seconds: int) -> ApiError:
    return ApiError(
        429,
        ErrorCode.TOO_MANY_TESTS,
        f"{text}; try again in {seconds} s.",
        headers={"Retry-After": str(seconds)},
    )
