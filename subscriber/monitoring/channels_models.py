"""What is asked and answered where a person does something with a channel."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from subscriber.monitoring.answers import NAME_LIMIT

Count = Annotated[int, Field(ge=0)]


class SwitchRequest(BaseModel):
    """How a channel's switch is to be set, and by whom."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"enabled": False, "author": "Kim", "via": "page"}]}
    )

    enabled: bool = Field(strict=True, description="Whether the channel is to send.")
    author: str = Field(default="", max_length=NAME_LIMIT, description="Who does it, for the record.")
    via: Literal["api", "page", "cli"] = Field(default="api", description="By which way, for the record.")


class Switched(BaseModel):
    """How a channel's switch stands now, and what followed at once."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "channel": "whatsapp",
                    "enabled": False,
                    "changed": True,
                    "suppressed": 12,
                    "handed_over": 1,
                    "released": 0,
                }
            ]
        },
    )

    channel: str = Field(description="The channel's name.")
    enabled: bool = Field(description="Whether it sends.")
    changed: bool = Field(description="False: it was switched so already.")
    suppressed: Count = Field(description="Deliveries that waited for a channel that is off, and ended by that.")
    handed_over: Count = Field(description="CRITICAL alerts that nobody else told, and another channel tells now.")
    released: Count = Field(description="CRITICAL deliveries that waited for this channel to be switched on.")


class ResumeRequest(BaseModel):
    """Who lets a channel send again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"author": "Kim", "via": "page"}]})

    author: str = Field(default="", max_length=NAME_LIMIT, description="Who does it, for the record.")
    via: Literal["api", "page", "cli"] = Field(default="api", description="By which way, for the record.")


class Resumed(BaseModel):
    """What became of a channel that was paused in Error."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"channel": "telegram", "was_paused": True}]}
    )

    channel: str = Field(description="The channel's name.")
    was_paused: bool = Field(description="False: it was not paused, so there was nothing to do.")
