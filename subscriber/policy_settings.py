"""What holds for every route unless the TOML says otherwise, each with its unit, range and default."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field
from pydantic.fields import FieldInfo

from bus.settings import SettingsGroup

OFF: Final = "off"

_DAY_SECONDS: Final = 86_400.0


def _none_where_off(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.strip().lower() == OFF:
        return None
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"must be a number, or {OFF}") from None


_READ_OFF: Final = BeforeValidator(_none_where_off)
#: A number that `off` turns into None.
NumberOrOff = Annotated[float | None, _READ_OFF]


def can_be_off(field: FieldInfo) -> bool:
    """Say whether a field's None is written as `off`."""
    return _READ_OFF in field.metadata


class PolicySettings(SettingsGroup):
    """How alerts are told: together, once, or by another channel."""

    max_delay_seconds: NumberOrOff = Field(
        default=30.0,
        ge=1,
        le=3600,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_MAX_DELAY",
        description="Seconds that an alert may wait for its turn at a channel before what waits is told together in "
        "one message, or `off`.",
    )
    dedup_window_seconds: NumberOrOff = Field(
        default=60.0,
        ge=1,
        le=_DAY_SECONDS,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_DEDUP_WINDOW",
        description="Seconds in which a risk event like one that was told is counted instead of sent, or `off`; routes "
        "may say otherwise.",
    )
    dedup_window_critical_seconds: NumberOrOff = Field(
        default=10.0,
        ge=1,
        le=_DAY_SECONDS,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_DEDUP_WINDOW_CRITICAL",
        description="The same for CRITICAL, or `off`.",
    )
    fallback_after_seconds: NumberOrOff = Field(
        default=300.0,
        ge=1,
        le=_DAY_SECONDS,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_FALLBACK_AFTER",
        description="Seconds that an alert may wait for a channel that is down before another one tells it, or `off`.",
    )
    telegram_commands: bool = Field(
        default=False,
        validation_alias="ALERTBUS_TELEGRAM_COMMANDS",
        description="Whether the Telegram bot has buttons and answers commands of its chat, by long polling.",
    )
