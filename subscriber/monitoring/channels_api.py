"""The HTTP API of the channels: how they and the publishers stand, and what a person does with a channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Path

from subscriber.monitoring.access import Access
from subscriber.monitoring.answers import CHANNEL_PATTERN, PREFIX, ApiError, ErrorCode, Fields, success

ChannelName = Annotated[str, Path(pattern=CHANNEL_PATTERN)]


@dataclass(frozen=True, slots=True)
class ChannelParts:
    """What is shown and done, given by the service."""

    names: tuple[str, ...]
    status: Callable[[], Fields]
    resume: Callable[[str], bool]  #: lets a paused channel send again; whether it was paused


def add_channels(app: FastAPI, parts: ChannelParts, access: Access) -> None:
    """Add the channels' paths to the application."""

    @app.get(f"{PREFIX}/status", dependencies=access.read)
    def status() -> Fields:
        """Say how every channel and publisher stands."""
        return success(parts.status())

    @app.post(PREFIX + "/channels/{name}/resume", dependencies=access.operate)
    def resume(name: ChannelName) -> Fields:
        """Let a channel send again that paused because its credentials or its target were refused."""
        return success({"channel": known_channel(name, parts.names), "was_paused": parts.resume(name)})


def known_channel(name: str, names: tuple[str, ...]) -> str:
    """Return a channel's name.

    Raises:
        ApiError: There is none of that name.
    """
    if name not in names:
        raise ApiError(404, ErrorCode.UNKNOWN_CHANNEL, f"There is no channel {name!r}; there are: {', '.join(names)}.")
    return name
