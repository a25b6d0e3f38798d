"""Which channels there are: the credentials of the built-in ones, and the rules by which a channel comes to be. Pure.

No credentials at all means a dry run; a part of them, or malformed ones, is a fault of each setting concerned.
NOTIFICATION_CHANNELS chooses among what there is, and what it leaves out is not looked at: a channel that is switched
off can't stop the others. `whatsapp` is one channel, by Twilio or by Meta; what is set for the other one's templates or
webhooks is a fault, for it would do nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from bus.endpoints import is_loopback, split_list
from bus.settings import SettingsGroup, did_you_mean, variables
from subscriber.channels import credentials as wellformed
from subscriber.channels import whatsapp_options
from subscriber.channels.channel import (
    DEFAULT_TEMPLATE_PARAMETERS,
    Addresses,
    AppriseConfig,
    ChannelConfig,
    MetaConfig,
    TelegramConfig,
    TwilioConfig,
)

TELEGRAM: Final = "telegram"
WHATSAPP: Final = "whatsapp"
BUILT_IN: Final = (WHATSAPP, TELEGRAM)
CHANNELS_NAME: Final = "NOTIFICATION_CHANNELS"

#: Takes a setting's name and what is wrong with it.
Report = Callable[[str, str], None]
_Check = Callable[[str], str | None]

_TELEGRAM: Final[Mapping[str, _Check]] = {
    "TELEGRAM_BOT_TOKEN": wellformed.telegram_token_fault,
    "TELEGRAM_CHAT_ID": wellformed.telegram_chat_fault,
}
_TWILIO: Final[Mapping[str, _Check]] = {
    "TWILIO_ACCOUNT_SID": wellformed.twilio_sid_fault,
    "TWILIO_AUTH_TOKEN": wellformed.twilio_token_fault,
    "WHATSAPP_FROM": wellformed.phone_fault,
    "WHATSAPP_TO": wellformed.phone_fault,
}
_META: Final[Mapping[str, _Check]] = {
    "WHATSAPP_CLOUD_TOKEN": wellformed.meta_token_fault,
    "WHATSAPP_PHONE_NUMBER_ID": wellformed.meta_phone_id_fault,
    "WHATSAPP_TO": wellformed.phone_fault,
}
#: What says that somebody means this provider; WHATSAPP_TO belongs to both, WHATSAPP_FROM may be left from Twilio.
_MEANS_TWILIO: Final = frozenset({"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"})
_MEANS_META: Final = frozenset({"WHATSAPP_CLOUD_TOKEN", "WHATSAPP_PHONE_NUMBER_ID"})

_ADVICE: Final = {
    WHATSAPP: "set WHATSAPP_TO with TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and WHATSAPP_FROM, or with "
    "WHATSAPP_CLOUD_TOKEN and WHATSAPP_PHONE_NUMBER_ID",
    TELEGRAM: "set TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID",
}


class CredentialSettings(SettingsGroup):
    """What the built-in channels need, and which channels are used."""

    telegram_bot_token: SecretStr | None = Field(
        default=None, validation_alias="TELEGRAM_BOT_TOKEN", description="The bot's token, as @BotFather gives it."
    )
    telegram_chat_id: SecretStr | None = Field(
        default=None,
        validation_alias="TELEGRAM_CHAT_ID",
        description="The chat that the bot writes to: a number (a group's is negative) or a public `@name`.",
    )
    twilio_account_sid: SecretStr | None = Field(
        default=None, validation_alias="TWILIO_ACCOUNT_SID", description="Twilio's account SID, for WhatsApp by Twilio."
    )
    twilio_auth_token: SecretStr | None = Field(
        default=None, validation_alias="TWILIO_AUTH_TOKEN", description="Twilio's auth token."
    )
    whatsapp_from: SecretStr | None = Field(
        default=None,
        validation_alias="WHATSAPP_FROM",
        description="The WhatsApp sender at Twilio, like `+14155238886`, with or without `whatsapp:`.",
    )
    whatsapp_to: SecretStr | None = Field(
        default=None,
        validation_alias="WHATSAPP_TO",
        description="The phone that gets the alerts, like `+15551234567`, with or without `whatsapp:`.",
    )
    whatsapp_cloud_token: SecretStr | None = Field(
        default=None,
        validation_alias="WHATSAPP_CLOUD_TOKEN",
        description="The access token of Meta's Cloud API, for WhatsApp by Meta instead of Twilio.",
    )
    whatsapp_phone_number_id: SecretStr | None = Field(
        default=None, validation_alias="WHATSAPP_PHONE_NUMBER_ID", description="The sender's phone number id at Meta."
    )
    whatsapp_app_secret: SecretStr | None = Field(
        default=None,
        validation_alias="WHATSAPP_APP_SECRET",
        description="The secret of the app at Meta, by which its webhook calls are checked; no receipts without it.",
    )
    whatsapp_verify_token: SecretStr | None = Field(
        default=None,
        validation_alias="WHATSAPP_VERIFY_TOKEN",
        description="A word of your own, by which Meta's webhook is set up; goes with `WHATSAPP_APP_SECRET`.",
    )
    notification_channels: Annotated[tuple[str, ...], BeforeValidator(split_list)] | None = Field(
        default=None,
        validation_alias=CHANNELS_NAME,
        description="The channels to use, such as `whatsapp,telegram`; unset, all that have credentials.",
    )

    def given(self) -> dict[str, str]:
        """Return, by variable, the credentials that are set."""
        values = {name: getattr(self, attribute) for name, attribute, _ in variables(type(self))}
        return {name: value.get_secret_value() for name, value in values.items() if isinstance(value, SecretStr)}


class ProviderSettings(SettingsGroup):
    """WhatsApp's templates, where the providers reach this daemon, and where their APIs are."""

    twilio_content_sid: str | None = Field(
        default=None,
        validation_alias="TWILIO_CONTENT_SID",
        description="The approved template at Twilio (`HX…`), for WhatsApp outside of the 24-hour window.",
    )
    whatsapp_template: str | None = Field(
        default=None,
        validation_alias="WHATSAPP_TEMPLATE",
        description="The approved template's name at Meta, for WhatsApp outside of the 24-hour window.",
    )
    whatsapp_template_language: str = Field(
        default="en_US",
        validation_alias="WHATSAPP_TEMPLATE_LANGUAGE",
        description="The language of the template at Meta.",
    )
    whatsapp_template_parameters: int = Field(
        default=DEFAULT_TEMPLATE_PARAMETERS,
        ge=1,
        le=10,
        validation_alias="WHATSAPP_TEMPLATE_PARAMETERS",
        description="How many variables the template has.",
    )
    public_url: str | None = Field(
        default=None,
        validation_alias="ALERTBUS_PUBLIC_URL",
        description="Where Twilio reaches this daemon's webhooks, like `https://alerts.example.org`; receipts are "
        "polled without it.",
    )
    telegram_url: str = Field(
        default="https://api.telegram.org",
        validation_alias="ALERTBUS_TELEGRAM_URL",
        description="The address of Telegram's Bot API, for a Bot API server of your own.",
    )
    twilio_url: str = Field(
        default="https://api.twilio.com",
        validation_alias="ALERTBUS_TWILIO_URL",
        description="The address of Twilio's API.",
    )
    meta_url: str = Field(
        default="https://graph.facebook.com",
        validation_alias="ALERTBUS_META_URL",
        description="The address of Meta's Graph API.",
    )

    @field_validator("telegram_url", "twilio_url", "meta_url", mode="after")
    @classmethod
    def _check_url(cls, url: str) -> str:
        return _origin(url, "the address gets the credentials")

    @field_validator("public_url", mode="after")
    @classmethod
    def _check_public_url(cls, url: str | None) -> str | None:
        return None if url is None else _origin(url, "it is called over the internet")


def _origin(url: str, reason: str) -> str:
    """Return an address without its last slash.

    Raises:
        ValueError: It is none that may be used.
    """
    scheme, separator, rest = url.rstrip("/").partition("://")
    host = rest.rpartition(":")[0] if rest.rpartition(":")[2].isdigit() else rest
    if scheme not in {"http", "https"} or not separator or not host or set(host) & set("/?#@ "):
        raise ValueError("must be an address like https://api.example.org, without path or user")
    if scheme == "http" and not is_loopback(host):
        raise ValueError(f"must begin with https://: {reason}; http:// is for 127.0.0.1 only")
    return url.rstrip("/")


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """Turns settings into channels; every fault goes to `report`."""

    credentials: CredentialSettings
    providers: ProviderSettings
    custom: tuple[AppriseConfig, ...]
    deadline_seconds: float
    report: Report
    faulty: Collection[str] = ()  #: variables whose value could not be read, which is told already

    def configs(self) -> tuple[ChannelConfig, ...]:
        """Return the active channels; none at all is a dry run."""
        given = self.credentials.given()
        present = given.keys() | set(self.faulty)
        available = {channel.name for channel in self.custom}
        if present & (_TWILIO.keys() | _META.keys()) or self._options():
            available.add(WHATSAPP)
        if present & _TELEGRAM.keys():
            available.add(TELEGRAM)
        wanted = self._wanted(available)
        configs: list[ChannelConfig] = []
        if WHATSAPP in wanted:
            configs += self._whatsapp(given, present)
        if TELEGRAM in wanted and self._complete(_TELEGRAM, given):
            configs.append(self._telegram(given))
        addresses = Addresses(self.providers.telegram_url, self.providers.twilio_url, self.providers.meta_url)
        configs += [replace(channel, addresses=addresses) for channel in self.custom if channel.name in wanted]
        return tuple(configs)

    def _wanted(self, available: set[str]) -> set[str]:
        names = self.credentials.notification_channels
        if names is None:
            return available
        known = {*BUILT_IN, *available}
        if not names:
            choice = ", ".join(sorted(known))
            self.report(CHANNELS_NAME, f"is set but empty; list the channels to use ({choice}), or unset it to use all")
        wanted = set()
        for position, name in enumerate(map(str.lower, names), start=1):
            if name in available:
                wanted.add(name)
            elif name in known:
                self.report(CHANNELS_NAME, f"names {name}, which has no credentials; {_ADVICE[name]}, or leave it out")
            else:
                hint = did_you_mean(name, known) or f"; there are {', '.join(sorted(known))}"
                self.report(CHANNELS_NAME, f"number {position} of the list is no channel{hint}")
        return wanted

    def _whatsapp(self, given: Mapping[str, str], present: Collection[str]) -> list[ChannelConfig]:
        by_meta = bool(_MEANS_META & set(present))
        by_twilio = bool(_MEANS_TWILIO & set(present)) or ("WHATSAPP_FROM" in present and not by_meta)
        if not by_meta and not by_twilio:
            name = "WHATSAPP_TO" if "WHATSAPP_TO" in present else next(iter(self._options()))
            self.report(name, f"is set, but no provider that could send; {_ADVICE[WHATSAPP]}")
            return []
        if by_twilio is not by_meta:
            for name, fault in whatsapp_options.faults(self._options(), by_meta=by_meta):
                self._fault(name, fault)
        configs: list[ChannelConfig] = []
        if by_twilio and self._complete(_TWILIO, given):
            configs.append(self._twilio(given))
        if by_meta and self._complete(_META, given):
            configs.append(self._meta(given))
        if len(configs) > 1:
            self.report(
                "WHATSAPP_CLOUD_TOKEN",
                "whatsapp is one channel, and both Twilio and Meta have credentials; unset TWILIO_ACCOUNT_SID and "
                "TWILIO_AUTH_TOKEN, or WHATSAPP_CLOUD_TOKEN and WHATSAPP_PHONE_NUMBER_ID",
            )
        return configs

    def _options(self) -> dict[str, str]:
        """Return, by variable, what is set beside WhatsApp's credentials; a default is as good as nothing."""
        plain = {
            name: str(getattr(self.providers, attribute))
            for name, attribute, field in variables(ProviderSettings)
            if getattr(self.providers, attribute) != field.default
        }
        given = {**plain, **self.credentials.given()}
        return {name: given[name] for name in whatsapp_options.NAMES if name in given}

    def _fault(self, name: str, sentence: str) -> None:
        if name not in self.faulty:
            self.report(name, sentence)

    def _complete(self, checks: Mapping[str, _Check], given: Mapping[str, str]) -> bool:
        complete = True
        for name, check in checks.items():
            if name in given:
                fault = check(given[name])
            else:
                partners = " and ".join(other for other in checks if other != name)
                fault = f"is missing; it goes with {partners}: set it, or unset those"
            if fault is None:
                continue
            complete = False
            self._fault(name, fault)
        return complete

    def _telegram(self, given: Mapping[str, str]) -> TelegramConfig:
        return TelegramConfig(
            token=given["TELEGRAM_BOT_TOKEN"],
            chat_id=given["TELEGRAM_CHAT_ID"],
            base_url=self.providers.telegram_url,
            deadline_seconds=self.deadline_seconds,
        )

    def _twilio(self, given: Mapping[str, str]) -> TwilioConfig:
        return TwilioConfig(
            account_sid=given["TWILIO_ACCOUNT_SID"],
            auth_token=given["TWILIO_AUTH_TOKEN"],
            sender=wellformed.normalised_phone(given["WHATSAPP_FROM"]),
            recipient=wellformed.normalised_phone(given["WHATSAPP_TO"]),
            base_url=self.providers.twilio_url,
            deadline_seconds=self.deadline_seconds,
            content_sid=self.providers.twilio_content_sid,
            template_parameters=self.providers.whatsapp_template_parameters,
            public_url=self.providers.public_url,
        )

    def _meta(self, given: Mapping[str, str]) -> MetaConfig:
        return MetaConfig(
            access_token=given["WHATSAPP_CLOUD_TOKEN"],
            phone_number_id=given["WHATSAPP_PHONE_NUMBER_ID"],
            recipient=wellformed.normalised_phone(given["WHATSAPP_TO"]),
            base_url=self.providers.meta_url,
            deadline_seconds=self.deadline_seconds,
            template=self.providers.whatsapp_template,
            template_language=self.providers.whatsapp_template_language,
            template_parameters=self.providers.whatsapp_template_parameters,
            app_secret=given.get("WHATSAPP_APP_SECRET"),
            verify_token=given.get("WHATSAPP_VERIFY_TOKEN"),
        )
