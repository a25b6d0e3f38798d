"""Every setting of the daemon, read once and then handed to the parts as values.

`SubscriberSettings.from_environment()` reads environment, `.env`, secret files and the TOML, and tells all faults of
all of them at once. Nothing is read at import, and no secret is in any `repr` or error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, SecretStr

from bus.endpoints import CONTROL_NAME, DATA_NAME
from bus.settings import (
    PUBLISHER_NAMES,
    Faults,
    SettingsGroup,
    SettingsReader,
    known_names,
    lookalikes,
    unknown_names,
    variables,
)
from subscriber.channel_settings import BUILT_IN, CHANNELS_NAME, ChannelRules, CredentialSettings, ProviderSettings
from subscriber.channels.channel import AppriseConfig, ChannelConfig
from subscriber.config_file import CONFIG_NAME, read_config_file
from subscriber.errors import RoutingError
from subscriber.http_settings import HttpSettings
from subscriber.ping_settings import PingSettings
from subscriber.policy.hours_file import Zones
from subscriber.policy.market_hours import MarketHours
from subscriber.policy.reading import PolicyDocument
from subscriber.policy.routing import Defaults
from subscriber.policy.rules import Rules
from subscriber.policy.rules_file import rules_of
from subscriber.policy_settings import OFF, PolicySettings, can_be_off
from subscriber.setting_groups import (
    DATABASE_NAME,
    BusSettings,
    DeliverySettings,
    GeneralSettings,
    StoreSettings,
    system_timezone,
    zone_of,
)

__all__ = [
    "GROUPS",
    "BusSettings",
    "CredentialSettings",
    "DeliverySettings",
    "GeneralSettings",
    "HttpSettings",
    "NotificationSettings",
    "PingSettings",
    "PolicySettings",
    "ProviderSettings",
    "StoreSettings",
    "SubscriberSettings",
    "changed_names",
    "channel_configs",
    "effective",
    "load_notification_settings",
    "secret_values",
]

#: All groups, in the order in which people read them.
GROUPS: Final[tuple[type[SettingsGroup], ...]] = (
    CredentialSettings,
    BusSettings,
    StoreSettings,
    HttpSettings,
    PingSettings,
    DeliverySettings,
    PolicySettings,
    GeneralSettings,
    ProviderSettings,
)
#: What holds for every route that does not say otherwise.
_OF_RULES: Final = frozenset({"ALERTBUS_DEDUP_WINDOW", "ALERTBUS_DEDUP_WINDOW_CRITICAL", "ALERTBUS_DELIVERY_MAX_AGE"})
#: Parts of an Apprise URL at least this long are taken for a token of their own; shorter ones are ordinary words.
_TOKEN_LENGTH: Final = 12
#: A private text shorter than this, such as a small chat id, would blacken half of every log line.
_SHORTEST_PRIVATE: Final = 6


@dataclass(frozen=True, slots=True)
class SubscriberSettings:
    """All that can be set about a daemon."""

    credentials: CredentialSettings = field(default_factory=CredentialSettings)
    bus: BusSettings = field(default_factory=BusSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    ping: PingSettings = field(default_factory=PingSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    general: GeneralSettings = field(default_factory=GeneralSettings)
    providers: ProviderSettings = field(default_factory=ProviderSettings)
    custom_channels: tuple[AppriseConfig, ...] = ()  #: from the TOML
    rules_document: PolicyDocument = field(default_factory=PolicyDocument)  #: what the TOML says of the policy
    market_hours: MarketHours | None = None  #: the TOML's; without them silence counts at every hour
    hints: tuple[str, ...] = ()  #: what looks like a mistake and may be another program's

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] | None = None, env_file: str | os.PathLike[str] | None = ".env"
    ) -> Self:
        """Read all settings, and check that channels and routes can be built from them.

        Raises:
            ConfigurationError: Every fault, by the variable's full name and without its value.
        """
        reader = SettingsReader(environ, env_file)
        # A group with a fault is replaced by its defaults, only so that the faults of the others are found too.
        general = (
            reader.read(GeneralSettings, defaults={"ALERTBUS_TIMEZONE": system_timezone(reader.environment)})
            or GeneralSettings()
        )
        delivery = reader.read(DeliverySettings) or DeliverySettings()
        file = read_config_file(
            general.config,
            reader,
            explicit=bool(reader.environment.get(CONFIG_NAME, "").strip()),
            deadline_seconds=delivery.deadline_seconds,
            zone=general.zone,
        )
        settings = cls(
            credentials=reader.read(CredentialSettings, keep_empty={CHANNELS_NAME}) or CredentialSettings(),
            bus=reader.read(BusSettings) or BusSettings(),
            store=reader.read(StoreSettings) or StoreSettings(),
            http=reader.read(HttpSettings) or HttpSettings(),
            ping=reader.read(PingSettings) or PingSettings(),
            delivery=delivery,
            policy=reader.read(PolicySettings) or PolicySettings(),
            general=general,
            providers=reader.read(ProviderSettings) or ProviderSettings(),
            custom_channels=file.channels,
            rules_document=file.policy,
            market_hours=file.market_hours,
            hints=tuple(
                lookalikes(reader.environment, known_names(CredentialSettings) | known_names(ProviderSettings))
            ),
        )
        names = [config.name for config in _channels(settings, reader)] or BUILT_IN
        if reader.problems:  # a channel with a fault is no unknown one
            names = [*names, *file.names, *BUILT_IN]
        try:
            hints = settings.rules_for(names).hints
            settings = replace(settings, hints=(*settings.hints, *hints))
        except RoutingError as error:
            reader.problems += error.problems
        _check_ports(settings, reader)
        known = {name for group in GROUPS for name in known_names(group)} | {*PUBLISHER_NAMES, *file.variables}
        for name, sentence in unknown_names(reader.environment, known):
            reader.fault(name, sentence)
        return reader.complete(settings)

    def rules_for(self, channels: Iterable[str]) -> Rules:
        """Return the delivery policy for the channels that there are.

        Raises:
            RoutingError: What the TOML says of it has faults; it tells all of them, each with its line.
        """
        defaults = Defaults.of_seconds(
            self.delivery.max_age_seconds,
            self.policy.dedup_window_seconds,
            self.policy.dedup_window_critical_seconds,
        )
        return rules_of(self.rules_document, channels, defaults=defaults, zones=Zones(self.general.zone, zone_of))


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """Who is reached, and with which secrets; no `repr` shows any of them."""

    channels: tuple[str, ...]  #: the active channels' names
    configs: tuple[ChannelConfig, ...]
    secrets: Mapping[str, SecretStr]  #: by variable

    @property
    def dry_run(self) -> bool:
        """Whether there is no channel to send by."""
        return not self.channels


def load_notification_settings(
    environ: Mapping[str, str] | None = None, env_file: str | os.PathLike[str] | None = ".env"
) -> NotificationSettings:
    """Return the active channels and their secrets.

    Raises:
        ConfigurationError: Every fault, by the variable's full name and without its value.
    """
    settings = SubscriberSettings.from_environment(environ, env_file)
    configs = channel_configs(settings)
    secrets = {name: SecretStr(text) for name, text in settings.credentials.given().items()}
    return NotificationSettings(tuple(config.name for config in configs), configs, secrets)


def channel_configs(settings: SubscriberSettings) -> tuple[ChannelConfig, ...]:
    """Return what is needed to build each active channel; none at all is a dry run.

    Raises:
        ConfigurationError: Credentials are partial or malformed, or a chosen channel has none; it tells all faults.
    """
    faults = Faults()
    return faults.complete(_channels(settings, faults))


def effective(settings: SubscriberSettings) -> list[tuple[str, str]]:
    """Return every variable with the value that holds, secrets as `***`, for `check` and the status."""
    shown = [(name, _shown(value)) for name, value in _values(settings)]
    shown += [(f"{CONFIG_NAME} [channels.{channel.name}] url", "***") for channel in settings.custom_channels]
    if settings.market_hours is not None:
        shown.append((f"{CONFIG_NAME} [market_hours]", str(settings.market_hours)))
    database = settings.store.shown_database_url
    return [(name, database if name == DATABASE_NAME else text) for name, text in shown]


def changed_names(before: SubscriberSettings, after: SubscriberSettings) -> list[str]:
    """Return the names of what differs and can't change in a running daemon; no value is shown.

    What `SubscriberSettings.rules_for` reads can change.
    """
    then, now = dict(_values(before)), dict(_values(after))
    names = [name for name, value in now.items() if value != then[name] and name not in _OF_RULES]
    channels = {channel.name: channel for channel in before.custom_channels}
    wanted = {channel.name: channel for channel in after.custom_channels}
    names += [
        f"{CONFIG_NAME} [channels.{name}]"
        for name in sorted(channels.keys() | wanted.keys())
        if channels.get(name) != wanted.get(name)
    ]
    if before.market_hours != after.market_hours:
        names.append(f"{CONFIG_NAME} [market_hours]")
    return names


def secret_values(settings: SubscriberSettings) -> frozenset[str]:
    """Return every text that no log may show: tokens and their parts, passwords, phone numbers and chat ids."""
    given = settings.credentials.given()
    private = set(given.values())
    # A token's second half, and a phone number however its digits were grouped, are as telling as the whole.
    private |= {part for text in given.values() for part in (text.partition(":")[2], re.sub(r"\D", "", text))}
    for channel in settings.custom_channels:
        private |= _parts_of_address(channel.url)
    if settings.ping.url is not None:
        ping = settings.ping.url.get_secret_value()
        private |= {*_parts_of_address(ping), urlsplit(ping).path, urlsplit(ping).password or ""}
    secrets = {text for text in private if len(text) >= _SHORTEST_PRIVATE}
    database = urlsplit(settings.store.database_url.get_secret_value())
    secrets |= {database.password or "", *parse_qs(database.query).get("password", ())}
    http = settings.http
    secrets |= {
        token.get_secret_value()
        for token in (http.api_token, http.api_read_token, http.metrics_token)
        if token is not None
    }
    return frozenset((secrets | set(map(unquote, secrets))) - {""})


def _parts_of_address(url: str) -> set[str]:
    return {url, *(part for part in re.split(r"[/:@?&=,]+", url) if len(part) >= _TOKEN_LENGTH)}


def _check_ports(settings: SubscriberSettings, faults: Faults) -> None:
    """Report a port that the daemon would take from itself."""
    for name, endpoints in ((DATA_NAME, settings.bus.data_endpoints), (CONTROL_NAME, settings.bus.control_endpoints)):
        if str(settings.http.port) in {endpoint.rpartition(":")[2] for endpoint in endpoints}:
            faults.fault("ALERTBUS_HTTP_PORT", f"is also a port of {name}; set another one")


def _channels(settings: SubscriberSettings, faults: Faults) -> tuple[ChannelConfig, ...]:
    rules = ChannelRules(
        settings.credentials,
        settings.providers,
        settings.custom_channels,
        settings.delivery.deadline_seconds,
        faults.fault,
        frozenset(faults.faulty),
    )
    return rules.configs()


def _values(settings: SubscriberSettings) -> Iterator[tuple[str, object]]:
    groups: tuple[BaseModel, ...] = (
        settings.credentials,
        settings.bus,
        settings.store,
        settings.http,
        settings.ping,
        settings.delivery,
        settings.policy,
        settings.general,
        settings.providers,
    )
    for group in groups:
        for name, attribute, setting in variables(type(group)):
            value = getattr(group, attribute)
            yield name, OFF if value is None and can_be_off(setting) else value


def _shown(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, SecretStr):
        return "***"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
