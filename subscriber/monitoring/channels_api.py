"""The HTTP API of the channels: how they and the publishers stand, and what a person does with a channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Path, Request

from subscriber.monitoring.access import Access
from subscriber.monitoring.answers import CHANNEL_PATTERN, PREFIX, ApiError, ErrorCode, Fields, success
from subscriber.monitoring.channels_models import Resumed, ResumeRequest, Switched, SwitchRequest
from subscriber.monitoring.documented import told
from subscriber.monitoring.status_models import StatusAnswer

ChannelName = Annotated[str, Path(pattern=CHANNEL_PATTERN)]


@dataclass(frozen=True, slots=True)
class ChannelParts:
    """What is shown and done, given by the service."""

    names: tuple[str, ...]
    status: Callable[[], Fields]
    resume: Callable[[str, str, str], bool]  #: lets a paused channel send again: which, who, how; whether it was paused
    switch: Callable[[str, bool, str, str], Fields]  #: which, whether it is to send, who, how; what followed
    was_known: Callable[[str], bool]  #: whether the database knows a channel that is not configured


def add_channels(app: FastAPI, parts: ChannelParts, access: Access) -> None:
    """Add the channels' paths to the application."""

    @app.get(f"{PREFIX}/status", dependencies=access.read, responses=told(StatusAnswer), response_model=None)
    def status(request: Request) -> Fields:
        """Say how every channel and publisher stands; asked again within half a second, it says the same."""
        return success({**parts.status(), "access": {"scope": access.scope_of(request)}})

    @app.post(
        PREFIX + "/channels/{name}/resume",
        dependencies=access.operate,
        responses=told(Resumed, ErrorCode.UNKNOWN_CHANNEL),
        response_model=None,
    )
    def resume(name: ChannelName, request: ResumeRequest | None = None) -> Fields:
        """Let a channel send again that paused because its credentials or its target were refused."""
        known, by = known_channel(name, parts.names), request or ResumeRequest()
        return success({"channel": known, "was_paused": parts.resume(known, by.author, by.via)})

    @app.patch(
        PREFIX + "/channels/{name}",
        dependencies=access.operate,
        responses=told(Switched, ErrorCode.UNKNOWN_CHANNEL),
        response_model=None,
    )
    def switch(name: ChannelName, request: SwitchRequest) -> Fields:
        """Switch a channel off or on, for good and for every daemon of the database; the same again changes nothing.

        Off: nothing more is begun to be sent by it, and what waits for it, and what comes, is suppressed for good. A
        CRITICAL that nobody else tells goes to another channel that is on; where there is none, it waits for the first
        that is switched on. On: what was suppressed stays so.
        """
        if name not in parts.names and parts.was_known(name):
            raise ApiError(
                404,
                ErrorCode.UNKNOWN_CHANNEL,
                f"The channel {name!r} is in the database, but it is not configured: it has no credentials, or "
                f"NOTIFICATION_CHANNELS leaves it out. There are: {', '.join(parts.names)}.",
            )
        return success(parts.switch(known_channel(name, parts.names), request.enabled, request.author, request.via))


def known_channel(name: str, names: tuple[str, ...]) -> str:
    """Return a channel's name.

    Raises:
        ApiError: There is none of that name.
    """
    if name not in names:
        raise ApiError(404, ErrorCode.UNKNOWN_CHANNEL, f"There is no channel {name!r}; there are: {', '.join(names)}.")
    return name
