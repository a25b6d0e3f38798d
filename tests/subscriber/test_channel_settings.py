"""By which rules a channel comes to be, and that each missing or malformed credential is named."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from bus.errors import ConfigurationError
from subscriber.channels.channel import AppriseConfig, MetaConfig, TelegramConfig, TwilioConfig
from subscriber.settings import CredentialSettings, ProviderSettings, SubscriberSettings, channel_configs

CANARY = "canary 4711"
TELEGRAM = {"TELEGRAM_BOT_TOKEN": "123456789:AAcanaryCanary_canary-Canary0123456", "TELEGRAM_CHAT_ID": "-1001234567890"}
TWILIO = {
    "TWILIO_ACCOUNT_SID": "AC" + "0123456789abcdef" * 2,
    "TWILIO_AUTH_TOKEN": "fedcba9876543210" * 2,
    "WHATSAPP_FROM": "whatsapp:+14155238886",
    "WHATSAPP_TO": "+1 (555) 123-4567",
}
META = {
    "WHATSAPP_CLOUD_TOKEN": "EAA" + "canaryCANARY0123" * 4,
    "WHATSAPP_PHONE_NUMBER_ID": "123456789012345",
    "WHATSAPP_TO": "whatsapp:+15551234567",
}
DESK = AppriseConfig("desk", "json://127.0.0.1:9000/")


def settings_of(environ: dict[str, str], channels: str | None = None, *custom: AppriseConfig) -> SubscriberSettings:
    chosen = {} if channels is None else {"NOTIFICATION_CHANNELS": channels}
    return SubscriberSettings(
        credentials=CredentialSettings.model_validate({**environ, **chosen}), custom_channels=custom
    )


def names_of(environ: dict[str, str], channels: str | None = None, *custom: AppriseConfig) -> list[str]:
    return [config.name for config in channel_configs(settings_of(environ, channels, *custom))]


def problems_of(environ: dict[str, str], channels: str | None = None, *custom: AppriseConfig) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        channel_configs(settings_of(environ, channels, *custom))
    assert CANARY not in str(caught.value)
    return list(caught.value.problems)


def test_no_credentials_is_no_channel() -> None:
    assert names_of({}) == []


def test_telegram_is_built_with_its_provider_and_deadline() -> None:
    (config,) = channel_configs(settings_of(TELEGRAM))
    assert config == TelegramConfig(TELEGRAM["TELEGRAM_BOT_TOKEN"], "-1001234567890")


def test_twilio_numbers_lose_their_prefix_and_separators() -> None:
    (config,) = channel_configs(settings_of(TWILIO))
    assert isinstance(config, TwilioConfig)
    assert (config.name, config.sender, config.recipient) == ("whatsapp", "+14155238886", "+15551234567")


def test_meta_needs_no_sender_of_twilio_and_ignores_a_left_one() -> None:
    for environ in (META, {**META, "WHATSAPP_FROM": TWILIO["WHATSAPP_FROM"]}):
        (config,) = channel_configs(settings_of(environ))
        assert isinstance(config, MetaConfig)
        assert (config.name, config.recipient) == ("whatsapp", "+15551234567")


def test_providers_can_be_elsewhere() -> None:
    providers = ProviderSettings(twilio_url="http://127.0.0.1:1", meta_url="http://127.0.0.1:2")
    for environ, url in ((TWILIO, "http://127.0.0.1:1"), (META, "http://127.0.0.1:2")):
        settings = SubscriberSettings(credentials=CredentialSettings.model_validate(environ), providers=providers)
        (config,) = channel_configs(settings)
        assert not isinstance(config, AppriseConfig)
        assert config.base_url == url


def test_all_that_have_credentials_are_used_unless_chosen() -> None:
    assert names_of({**TELEGRAM, **META}, None, DESK) == ["whatsapp", "telegram", "desk"]
    assert names_of({**TELEGRAM, **META}, "telegram", DESK) == ["telegram"]
    assert names_of({**TELEGRAM, **META}, "desk,whatsapp", DESK) == ["whatsapp", "desk"]
    assert names_of({}, None, DESK) == ["desk"]


@pytest.mark.parametrize("channels", ["whatsapp,telegram", " Telegram , WHATSAPP ", "telegram,whatsapp,telegram,"])
def test_choice_is_tolerant_of_blanks_case_and_order(channels: str) -> None:
    assert names_of({**TELEGRAM, **TWILIO}, channels) == ["whatsapp", "telegram"]


@pytest.mark.parametrize("channels", ["", " ", ","])
def test_empty_choice_says_what_to_write(channels: str) -> None:
    assert problems_of(TELEGRAM, channels) == [
        "NOTIFICATION_CHANNELS is set but empty; list the channels to use (telegram, whatsapp), or unset it to use all."
    ]


def test_unknown_choice_names_the_setting_and_the_position_only() -> None:
    assert problems_of(TELEGRAM, f"telegram,{CANARY},telgram") == [
        "NOTIFICATION_CHANNELS: number 2 of the list is no channel; there are telegram, whatsapp.",
        "NOTIFICATION_CHANNELS: number 3 of the list is no channel; did you mean telegram?",
    ]


def test_choice_without_credentials_says_which_to_set() -> None:
    first, second = problems_of({}, "whatsapp,telegram")
    assert first.startswith(
        "NOTIFICATION_CHANNELS names whatsapp, which has no credentials; set WHATSAPP_TO with TWILIO_"
    )
    assert second == (
        "NOTIFICATION_CHANNELS names telegram, which has no credentials; set TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID, "
        "or leave it out."
    )


def test_what_is_not_chosen_may_be_incomplete() -> None:
    """Somebody switched WhatsApp off; its half-removed credentials must not stop Telegram."""
    assert names_of({**TELEGRAM, "TWILIO_AUTH_TOKEN": CANARY}, "telegram") == ["telegram"]


@pytest.mark.parametrize(("complete", "name"), [(c, n) for c in (TELEGRAM, TWILIO, META) for n in c])
def test_missing_credential_is_named(complete: dict[str, str], name: str) -> None:
    rest = {other: value for other, value in complete.items() if other != name}
    (problem,) = problems_of(rest)
    assert problem.startswith(f"{name} is missing; it goes with ")
    assert all(other in problem for other in rest)


@pytest.mark.parametrize(("complete", "name"), [(c, n) for c in (TELEGRAM, TWILIO, META) for n in c])
def test_malformed_credential_is_named_without_its_value(complete: dict[str, str], name: str) -> None:
    (problem,) = problems_of({**complete, name: CANARY})
    assert problem.startswith(f"{name} must ")


def test_faults_of_all_channels_are_told_at_once() -> None:
    problems = problems_of({"TELEGRAM_BOT_TOKEN": CANARY, "WHATSAPP_CLOUD_TOKEN": CANARY}, "telegram,whatsapp,desk")
    assert [problem.split()[0].rstrip(":") for problem in problems] == [
        "NOTIFICATION_CHANNELS",
        "WHATSAPP_CLOUD_TOKEN",
        "WHATSAPP_PHONE_NUMBER_ID",
        "WHATSAPP_TO",
        "TELEGRAM_BOT_TOKEN",
        "TELEGRAM_CHAT_ID",
    ]


def test_recipient_without_a_provider_names_both() -> None:
    (problem,) = problems_of({"WHATSAPP_TO": "+15551234567"})
    assert problem.startswith("WHATSAPP_TO is set, but no provider that could send; ")
    assert "TWILIO_ACCOUNT_SID" in problem
    assert "WHATSAPP_CLOUD_TOKEN" in problem


def test_sender_alone_means_twilio() -> None:
    assert [problem.split()[0] for problem in problems_of({"WHATSAPP_FROM": "+14155238886"})] == [
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "WHATSAPP_TO",
    ]


def test_two_providers_for_one_channel_say_what_to_unset() -> None:
    (problem,) = problems_of({**TWILIO, **META})
    assert "both Twilio and Meta have credentials; unset TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or" in problem


def test_complete_provider_beside_a_partial_one_names_what_is_missing() -> None:
    (problem,) = problems_of({**TWILIO, "WHATSAPP_CLOUD_TOKEN": META["WHATSAPP_CLOUD_TOKEN"]})
    assert problem.startswith("WHATSAPP_PHONE_NUMBER_ID is missing")


def test_given_says_what_is_set_by_variable() -> None:
    assert CredentialSettings(telegram_chat_id=SecretStr("1")).given() == {"TELEGRAM_CHAT_ID": "1"}
