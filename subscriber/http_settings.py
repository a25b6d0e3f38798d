"""Where the API, the page and the metrics are served, and who may ask them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from bus.endpoints import is_loopback, origin_of, split_list
from bus.settings import SettingsGroup


class HttpSettings(SettingsGroup):
    """Where the API and the metrics are served."""

    host: str = Field(
        default="127.0.0.1",
        validation_alias="ALERTBUS_HTTP_HOST",
        description="The address to listen on; any other than this machine's own needs `ALERTBUS_API_TOKEN`.",
    )
    port: int = Field(
        default=8787, ge=1, le=65_535, validation_alias="ALERTBUS_HTTP_PORT", description="The port to listen on."
    )
    api_token: SecretStr | None = Field(
        default=None,
        validation_alias="ALERTBUS_API_TOKEN",
        validate_default=True,
        description="The bearer token that the API asks for; with it everything can be done.",
    )
    api_read_token: SecretStr | None = Field(
        default=None,
        validation_alias="ALERTBUS_API_READ_TOKEN",
        description="A second bearer token, which reads everything and changes nothing.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        validation_alias="ALERTBUS_METRICS_TOKEN",
        description="A bearer token for `/metrics` alone, which asks for no token otherwise.",
    )
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        default=(),
        validation_alias="ALERTBUS_CORS_ORIGINS",
        description="Other origins whose pages may use the API, a comma list such as `http://localhost:3000`.",
    )

    @field_validator("host", mode="after")
    @classmethod
    def _check_host(cls, host: str) -> str:
        if not host or not host.isprintable() or set(host) & set("/@ "):
            raise ValueError("must be an address or a host's name such as 127.0.0.1, without scheme and port")
        return host

    @field_validator("api_token", mode="after")
    @classmethod
    def _check_token(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        host = info.data.get("host")
        if token is None:
            if host is not None and not is_loopback(host):
                raise ValueError(
                    "must be set, because ALERTBUS_HTTP_HOST lets other machines in; set it to a long random word, or "
                    "ALERTBUS_HTTP_HOST to 127.0.0.1"
                )
            return None
        return _checked_token(token)

    @field_validator("api_read_token", "metrics_token", mode="after")
    @classmethod
    def _check_lesser_token(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if token is None:
            return None
        if info.field_name == "api_read_token" and "api_token" in info.data and info.data["api_token"] is None:
            raise ValueError("needs ALERTBUS_API_TOKEN beside it: without that one everybody here may do everything")
        greater = {"ALERTBUS_API_TOKEN": "api_token", "ALERTBUS_API_READ_TOKEN": "api_read_token"}
        for name, attribute in greater.items():
            if attribute != info.field_name and info.data.get(attribute) == token:
                raise ValueError(f"must differ from {name}, which allows more; make up another long random word")
        return _checked_token(token)

    @field_validator("cors_origins", mode="after")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        known = [origin_of(origin) for origin in origins]
        for position, origin in enumerate(known, start=1):
            if origin is None:
                place = "" if len(known) == 1 else f"number {position} of the list: "
                raise ValueError(
                    f"{place}write each as scheme://host or scheme://host:port with http or https, without a path or "
                    "a slash at its end, for example http://localhost:3000; there is no * for all"
                )
        return tuple(dict.fromkeys(origin for origin in known if origin is not None))


def _checked_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be one word of ASCII letters, digits and signs: it travels in an HTTP header")
    return token
