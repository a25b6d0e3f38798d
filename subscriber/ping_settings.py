"""Which address hears that the daemon lives; it holds a token as a rule, so it is a secret as a whole."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from bus.settings import SettingsGroup

_DAY_SECONDS: Final = 86_400.0
_LABEL: Final = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|[0-9a-f:.]*:[0-9a-f:.]*", re.IGNORECASE)


class PingSettings(SettingsGroup):
    """How others notice that the daemon itself died."""

    url: SecretStr | None = Field(
        default=None,
        validation_alias="ALERTBUS_PING_URL",
        description="An address that is asked (GET) while all is well, such as that of a check at healthchecks.io, "
        "which raises the alarm when this ends.",
    )
    interval_seconds: float = Field(
        default=60.0,
        ge=5,
        le=_DAY_SECONDS,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_PING_INTERVAL",
        description="Seconds between two requests of `ALERTBUS_PING_URL`.",
    )

    @field_validator("url", mode="after")
    @classmethod
    def _check_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _is_web_address(url.get_secret_value()):
            raise ValueError("must be a whole address that begins with https:// or http://, without blanks, in ASCII")
        return url


def _is_web_address(text: str) -> bool:
    if not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        url = urlsplit(text)
        # What an HTTP client would refuse only when it asks is refused here.
        return url.scheme in {"http", "https"} and _HOST.fullmatch(url.hostname or "") is not None and url.port != 0
    except ValueError:
        return False
