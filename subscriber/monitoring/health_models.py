"""Models of the daemon's health, for OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from subscriber.monitoring.alert_models import Shown


class Alive(Shown):
    """The process answers."""

    version: str = Field(description="The version of alertbus.")


class Ready(Shown):
    """Alerts are taken, stored and delivered."""

    ready: Literal[True] = Field(description="Where it is not, the answer is 503 `not_ready` and says why.")
