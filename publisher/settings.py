"""What a publisher can be told: in code, or from the environment. Plain pydantic; nothing is read at import.

pydantic-settings more than doubles the time that importing a publisher takes, so only `from_environment()` loads it.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from bus.alerts import NAME_LIMIT
from bus.conversion import shorten, valid_unicode
from bus.endpoints import CONTROL_NAME, DATA_NAME, checked_endpoints, checked_pairing, endpoint_fault, split_list
from bus.sockets import DEFAULT_CONTROL_ENDPOINT, DEFAULT_DATA_ENDPOINT

_DAY_SECONDS: Final = 86_400.0
_GIBIBYTE: Final = 2**30


def default_journal_folder(environ: Mapping[str, str], platform: str) -> Path:
    """Return the folder in which this platform keeps a program's state.

    Args:
        environ: Where the platform says its folders.
        platform: Like `sys.platform`.
    """
    if platform == "win32":
        local = environ.get("LOCALAPPDATA")
        base = Path(local) if local else _home(environ, "USERPROFILE") / "AppData" / "Local"
    elif platform == "darwin":
        base = _home(environ, "HOME") / "Library" / "Application Support"
    else:
        state = Path(environ.get("XDG_STATE_HOME", ""))
        # The XDG specification has relative paths ignored: they would differ with each working directory.
        base = state if state.is_absolute() else _home(environ, "HOME") / ".local" / "state"
    return base / "alertbus" / "journal"


def default_source(host: str, script: str) -> str:
    """Return the name under which a process publishes unless it is given one: `<host>/<script>`."""
    path = Path(script)
    name = path.parent.name if path.stem == "__main__" else path.stem
    if name in {"", "-c", "-m"}:  # an interactive interpreter, or code from the command line
        name = "python"
    return shorten(valid_unicode(f"{host or 'localhost'}/{name}"), NAME_LIMIT)


class PublisherSettings(BaseModel):
    """Everything about a publisher that can be set; frozen, and shared by its threads."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_by_name=True, validate_by_alias=True
    )

    data_endpoints: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        default=(DEFAULT_DATA_ENDPOINT,),
        validation_alias=DATA_NAME,
        description="Where daemons listen for alerts: `tcp://host:port` on this machine, a comma list for several.",
    )
    control_endpoints: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        default=(DEFAULT_CONTROL_ENDPOINT,),
        validation_alias=CONTROL_NAME,
        validate_default=True,
        description=f"Where daemons acknowledge and ask for replays: as many as in `{DATA_NAME}`, paired by position.",
    )
    publish_bind: str | None = Field(
        default=None,
        validation_alias="ALERTBUS_PUBLISH_BIND",
        description="An endpoint that the publisher binds as well, so that any ZeroMQ program can listen.",
    )
    journal: Path | None = Field(
        default=None,
        validation_alias="ALERTBUS_JOURNAL",
        description="The folder of journals, shared by any number of publishers.",
    )
    journal_sync: Literal["normal", "full"] = Field(
        default="normal",
        validation_alias="ALERTBUS_JOURNAL_SYNC",
        description="`normal` survives `kill -9`, `full` survives power loss too and is slower.",
    )
    journal_max_bytes: int = Field(
        default=_GIBIBYTE,
        ge=2**20,
        le=2**40,
        validation_alias="ALERTBUS_JOURNAL_MAX_BYTES",
        description="Bytes that one publisher's journal may take; the oldest alerts are dropped, and counted as lost.",
    )
    journal_max_age_seconds: float = Field(
        default=7 * _DAY_SECONDS,
        ge=60,
        le=365 * _DAY_SECONDS,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_JOURNAL_MAX_AGE",
        description="Seconds that a journal keeps an alert which nobody acknowledged.",
    )
    source: str = Field(
        default_factory=lambda: default_source(socket.gethostname(), sys.argv[0] if sys.argv else ""),
        min_length=1,
        max_length=NAME_LIMIT,
        validation_alias="ALERTBUS_SOURCE",
        description=f"The publisher's name in alerts and in the status, at most {NAME_LIMIT} characters.",
    )
    queue_limit: int = Field(
        default=100_000,
        ge=1_000,
        le=1_000_000,
        validation_alias="ALERTBUS_QUEUE_LIMIT",
        description="Alerts that may wait in memory for the journal; beyond it they are refused and counted.",
    )
    heartbeat_interval_seconds: float = Field(
        default=1.0,
        ge=0.05,
        le=10,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_HEARTBEAT_INTERVAL",
        description="Seconds between two heartbeats; a daemon's `ALERTBUS_PUBLISHER_TIMEOUT` is several of them.",
    )

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] | None = None, env_file: str | os.PathLike[str] | None = ".env"
    ) -> Self:
        """Read the settings from environment variables and, below them, from a `.env` file.

        Raises:
            ConfigurationError: Every fault, by the variable's full name and without its value.
        """
        from bus.settings import SettingsReader  # noqa: PLC0415 - it loads pydantic-settings

        reader = SettingsReader(environ, env_file)
        journal = default_journal_folder(reader.environment, sys.platform)
        settings = reader.read(cls, defaults={"ALERTBUS_JOURNAL": journal})
        return reader.complete(settings)

    @property
    def journal_folder(self) -> Path:
        """The folder of journals: the given one, or the platform's."""
        return self.journal or default_journal_folder(os.environ, sys.platform)

    @field_validator("data_endpoints", "control_endpoints", mode="after")
    @classmethod
    def _check_endpoints(cls, endpoints: tuple[str, ...]) -> tuple[str, ...]:
        return checked_endpoints(endpoints, bind=False)

    @field_validator("control_endpoints", mode="after")
    @classmethod
    def _check_pairing(cls, control: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "data_endpoints" in info.data:  # else it has a fault of its own, which is told
            checked_pairing(info.data["data_endpoints"], control)
        return control

    @field_validator("publish_bind", mode="after")
    @classmethod
    def _check_bind(cls, endpoint: str | None) -> str | None:
        fault = None if endpoint is None else endpoint_fault(endpoint, bind=True)
        if fault is not None:
            raise ValueError(fault)
        return endpoint

    @field_validator("journal", mode="after")
    @classmethod
    def _expand_home(cls, journal: Path | None) -> Path | None:
        try:
            return None if journal is None else journal.expanduser()
        except RuntimeError:
            raise ValueError("the home folder behind ~ is not known; write the whole path") from None

    @field_validator("source", mode="after")
    @classmethod
    def _check_source(cls, source: str) -> str:
        if not source.isprintable():
            raise ValueError("it must hold no control characters")
        return source


def _home(environ: Mapping[str, str], name: str) -> Path:
    return Path(environ.get(name) or Path("~").expanduser())
