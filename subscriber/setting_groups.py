"""The daemon's own settings, by what they are about, each with its unit, range and default."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from bus.endpoints import (
    CONTROL_NAME,
    DATA_NAME,
    checked_endpoints,
    checked_pairing,
    split_list,
)
from bus.settings import SettingsGroup
from bus.sockets import DEFAULT_CONTROL_ENDPOINT, DEFAULT_DATA_ENDPOINT
from subscriber.channels.channel import DEFAULT_DEADLINE_SECONDS
from subscriber.policy_settings import NumberOrOff

DATABASE_NAME: Final = "ALERTBUS_DATABASE_URL"
DEFAULT_CONFIG_FILE: Final = Path("alertbus.toml")

_DAY_SECONDS: Final = 86_400.0
#: A send that hangs is given up at its deadline, and ends a moment later.
_LEASE_MARGIN_SECONDS: Final = 1.0


def zone_of(name: str) -> tzinfo:
    """Return the time zone of this name.

    Raises:
        ValueError: There is none.
    """
    if name == "UTC":  # known without the zone database, which a small container may lack
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone's name such as Europe/Berlin, America/New_York or UTC") from None


def system_timezone(environ: Mapping[str, str], localtime: Path = Path("/etc/localtime")) -> str:
    """Return the name of this machine's time zone, or UTC where it can't be told (Windows has names of its own)."""
    linked = str(localtime.resolve()).replace("\\", "/").partition("/zoneinfo/")[2]
    for name in (environ.get("TZ", "").removeprefix(":"), linked):
        try:
            zone_of(name)
        except ValueError:
            continue
        return name
    return "UTC"


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class GeneralSettings(SettingsGroup):
    """What concerns the whole daemon."""

    config: Path = Field(
        default=DEFAULT_CONFIG_FILE,
        validation_alias="ALERTBUS_CONFIG",
        description="The TOML file with further channels and routes; the default may be missing.",
    )
    timezone: str = Field(
        default="UTC",
        validation_alias="ALERTBUS_TIMEZONE",
        description="The time zone of times in messages, by its IANA name.",
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)] = Field(
        default="INFO",
        validation_alias="ALERTBUS_LOG_LEVEL",
        description="The least level that is logged; no level shows a secret.",
    )
    log_format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = Field(
        default="text",
        validation_alias="ALERTBUS_LOG_FORMAT",
        description="`text` for people, `json` for one JSON object per line.",
    )

    @property
    def zone(self) -> tzinfo:
        """The time zone itself."""
        return zone_of(self.timezone)

    @field_validator("timezone", mode="after")
    @classmethod
    def _check_zone(cls, name: str) -> str:
        zone_of(name)
        return name


class BusSettings(SettingsGroup):
    """Where the daemon listens, and how long a publisher may be silent."""

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
    publisher_timeout_seconds: float = Field(
        default=15.0,
        ge=1,
        le=3600,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_PUBLISHER_TIMEOUT",
        description="Seconds without a heartbeat after which a publisher counts as silent.",
    )

    @field_validator("data_endpoints", "control_endpoints", mode="after")
    @classmethod
    def _check_endpoints(cls, endpoints: tuple[str, ...]) -> tuple[str, ...]:
        return checked_endpoints(endpoints, bind=True)

    @field_validator("control_endpoints", mode="after")
    @classmethod
    def _check_pairing(cls, control: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "data_endpoints" in info.data:  # else it has a fault of its own, which is told
            checked_pairing(info.data["data_endpoints"], control)
        return control


class StoreSettings(SettingsGroup):
    """Where alerts and deliveries are kept, and for how long."""

    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///alertbus.db"),
        validation_alias=DATABASE_NAME,
        description="The database: `sqlite:///FILE`, or a server's: `postgresql+psycopg://user:password@host/name`.",
    )
    retention_seconds: float = Field(
        default=365 * _DAY_SECONDS,
        ge=_DAY_SECONDS,
        le=3650 * _DAY_SECONDS,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_RETENTION",
        description="Seconds that alerts and what became of them are kept; what still waits is never removed.",
    )
    retention_size_megabytes: NumberOrOff = Field(
        default=None,
        ge=10,
        le=1_000_000,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_RETENTION_SIZE",
        description="Megabytes that the database may hold before the oldest alerts are removed earlier, or `off`.",
    )
    audit_interval_seconds: float = Field(
        default=3600.0,
        ge=60,
        le=7 * _DAY_SECONDS,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_AUDIT_INTERVAL",
        description="Seconds between two audits of the ledger by the running daemon.",
    )

    @property
    def retention_size_bytes(self) -> int | None:
        """How much the database may hold; None for as much as it takes."""
        return None if self.retention_size_megabytes is None else round(self.retention_size_megabytes * 1_000_000)

    @property
    def shown_database_url(self) -> str:
        """The URL without user, password and options."""
        url = urlsplit(self.database_url.get_secret_value())
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"

    @field_validator("database_url", mode="after")
    @classmethod
    def _check_url(cls, secret: SecretStr) -> SecretStr:
        scheme, separator, rest = secret.get_secret_value().partition("://")
        if scheme == "sqlite" and rest.startswith("/") and rest.strip("/") not in {"", ":memory:"}:
            return secret
        if scheme == "postgresql+psycopg" and separator and _is_url(secret.get_secret_value()):
            return secret
        raise ValueError("must be sqlite:///FILE or postgresql+psycopg://user:password@host/name")


class DeliverySettings(SettingsGroup):
    """How deliveries are tried, and tried again."""

    backoff_base_seconds: float = Field(
        default=1.0,
        ge=0.01,
        le=3600,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_DELIVERY_BACKOFF_BASE",
        description="Seconds before the second attempt, at most; doubled with each further one.",
    )
    backoff_cap_seconds: float = Field(
        default=60.0,
        ge=0.01,
        le=_DAY_SECONDS,
        allow_inf_nan=False,
        validate_default=True,
        validation_alias="ALERTBUS_DELIVERY_BACKOFF_CAP",
        description="Seconds between two attempts, at most; not below `ALERTBUS_DELIVERY_BACKOFF_BASE`.",
    )
    deadline_seconds: float = Field(
        default=DEFAULT_DEADLINE_SECONDS,
        ge=0.1,
        le=300,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_DELIVERY_DEADLINE",
        description="Seconds that one send may take, everything included.",
    )
    lease_seconds: float = Field(
        default=60.0,
        ge=0.2,
        le=3600,
        allow_inf_nan=False,
        validate_default=True,
        validation_alias="ALERTBUS_DELIVERY_LEASE",
        description="Seconds after which another worker takes over from one that died; above "
        "`ALERTBUS_DELIVERY_DEADLINE`.",
    )
    max_age_seconds: float = Field(
        default=_DAY_SECONDS,
        ge=1,
        le=365 * _DAY_SECONDS,
        allow_inf_nan=False,
        validation_alias="ALERTBUS_DELIVERY_MAX_AGE",
        description="Seconds after which an alert is too old to be sent, unless its route says otherwise; CRITICAL "
        "never is.",
    )

    @field_validator("backoff_cap_seconds", mode="after")
    @classmethod
    def _check_cap(cls, cap: float, info: ValidationInfo) -> float:
        if cap < info.data.get("backoff_base_seconds", 0):
            raise ValueError("must not be below ALERTBUS_DELIVERY_BACKOFF_BASE; raise it, or lower the base")
        return cap

    @field_validator("lease_seconds", mode="after")
    @classmethod
    def _check_lease(cls, lease: float, info: ValidationInfo) -> float:
        if lease < info.data.get("deadline_seconds", 0) + _LEASE_MARGIN_SECONDS:
            raise ValueError(
                f"must be at least {_LEASE_MARGIN_SECONDS:g} s above ALERTBUS_DELIVERY_DEADLINE, or a delivery is "
                "taken over while it is being sent; raise it, or lower the deadline"
            )
        return lease


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        # Without a host it is libpq's `?host=/folder`, the server's socket on this machine.
        return bool(url.hostname or "host=" in url.query) and (url.port is None or url.port > 0)
    except ValueError:
        return False
