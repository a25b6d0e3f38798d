"""By which rules a channel comes to be, and that each missing or malformed credential is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr

from bus.errors import ConfigurationError
from subscriber.channels.channel import Addresses, AppriseConfig, MetaConfig, TelegramConfig, TwilioConfig
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


def test_custom_channel_goes_where_the_daemon_finds_the_providers() -> None:
    """A URL names a provider and no address: a Bot API server of one's own is meant for that, too."""
    url = f"tgram://{'123456789:' + 'a' * 35}/5550001001"
    settings = settings_of({}, None, AppriseConfig("desk", url))
    providers = ProviderSettings.model_validate(
        {"ALERTBUS_TELEGRAM_URL": "http://127.0.0.1:8081/", "ALERTBUS_META_URL": "https://graph.example.org"}
    )
    [config] = channel_configs(replace(settings, providers=providers))
    assert isinstance(config, AppriseConfig)
    assert config.addresses == Addresses("http://127.0.0.1:8081", "https://api.twilio.com", "https://graph.example.org")


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


# --- templates and webhooks ---------------------------------------------------------------------------------------

CONTENT_SID = "HX" + "0123456789abcdef" * 2
APP_SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
WEBHOOK = {"WHATSAPP_APP_SECRET": APP_SECRET, "WHATSAPP_VERIFY_TOKEN": "a-word-of-ours"}
TEMPLATE = {"WHATSAPP_TEMPLATE": "trading_alert", "WHATSAPP_TEMPLATE_LANGUAGE": "de"}


def read(environ: dict[str, str]) -> SubscriberSettings:
    return SubscriberSettings.from_environment({"TZ": "UTC", **environ}, env_file=None)


def faults_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(environ)
    assert CANARY not in str(caught.value)
    return list(caught.value.problems)


def test_twilio_takes_its_template_and_where_it_reaches_us() -> None:
    options = {"TWILIO_CONTENT_SID": CONTENT_SID, "ALERTBUS_PUBLIC_URL": "https://alerts.example.org/"}
    (config,) = channel_configs(read({**TWILIO, **options, "WHATSAPP_TEMPLATE_PARAMETERS": "1"}))
    assert isinstance(config, TwilioConfig)
    assert (config.content_sid, config.template_parameters) == (CONTENT_SID, 1)
    assert config.public_url == "https://alerts.example.org"


def test_meta_takes_its_template_and_what_its_webhook_goes_by() -> None:
    (config,) = channel_configs(read({**META, **TEMPLATE, **WEBHOOK}))
    assert isinstance(config, MetaConfig)
    assert (config.template, config.template_language, config.template_parameters) == ("trading_alert", "de", 3)
    assert (config.app_secret, config.verify_token) == (APP_SECRET, "a-word-of-ours")


def test_whatsapp_without_options_has_no_template_and_no_webhook() -> None:
    (twilio,), (meta,) = (channel_configs(read(environ)) for environ in (TWILIO, META))
    assert isinstance(twilio, TwilioConfig)
    assert isinstance(meta, MetaConfig)
    assert (twilio.content_sid, twilio.public_url, meta.template) == (None, None, None)
    assert (meta.app_secret, meta.verify_token, meta.template_language) == (None, None, "en_US")


@pytest.mark.parametrize(
    ("environ", "name", "value"),
    [
        (TWILIO, "TWILIO_CONTENT_SID", CONTENT_SID.replace("HX", "AC")),
        (META, "WHATSAPP_TEMPLATE", "Trading Alert"),
        ({**META, **TEMPLATE}, "WHATSAPP_TEMPLATE_LANGUAGE", "english"),
        ({**META, **WEBHOOK}, "WHATSAPP_APP_SECRET", "0" * 31),
        ({**META, **WEBHOOK}, "WHATSAPP_VERIFY_TOKEN", "short"),
        (TWILIO, "ALERTBUS_PUBLIC_URL", "http://alerts.example.org"),
        (TWILIO, "ALERTBUS_PUBLIC_URL", "https://alerts.example.org/path"),
    ],
)
def test_malformed_option_is_named(environ: dict[str, str], name: str, value: str) -> None:
    (problem,) = faults_of({**environ, name: value})
    assert problem.startswith(f"{name} must ")


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({**TWILIO, **TEMPLATE}, ["WHATSAPP_TEMPLATE", "WHATSAPP_TEMPLATE_LANGUAGE"]),
        ({**TWILIO, **WEBHOOK}, ["WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN"]),
        ({**META, "TWILIO_CONTENT_SID": CONTENT_SID}, ["TWILIO_CONTENT_SID"]),
    ],
)
def test_option_of_the_provider_that_is_not_used_is_named(environ: dict[str, str], names: list[str]) -> None:
    problems = faults_of(environ)
    assert [problem.split()[0] for problem in problems] == names
    assert all(" is for " in problem and "unset it" in problem for problem in problems)


@pytest.mark.parametrize("name", sorted(WEBHOOK))
def test_half_of_metas_webhook_names_the_other_half(name: str) -> None:
    rest = {other: value for other, value in WEBHOOK.items() if other != name}
    (problem,) = faults_of({**META, **rest})
    assert problem.startswith(f"{name} is missing; it goes with {next(iter(rest))}")


@pytest.mark.parametrize(("environ", "template"), [(TWILIO, "TWILIO_CONTENT_SID"), (META, "WHATSAPP_TEMPLATE")])
def test_number_of_parameters_without_a_template_is_named(environ: dict[str, str], template: str) -> None:
    (problem,) = faults_of({**environ, "WHATSAPP_TEMPLATE_PARAMETERS": "2"})
    assert problem == f"WHATSAPP_TEMPLATE_PARAMETERS is set, but no template; set {template}, or unset it."


def test_option_that_is_set_to_its_default_is_as_good_as_none() -> None:
    defaults = {"WHATSAPP_TEMPLATE_PARAMETERS": "3", "WHATSAPP_TEMPLATE_LANGUAGE": "en_US"}
    assert len(channel_configs(read({**TWILIO, **defaults}))) == 1


def test_option_without_any_credentials_is_no_dry_run() -> None:
    """Whoever sets a template means to send; a misspelt credential must not pass for none at all."""
    (problem,) = faults_of({**TELEGRAM, "WHATSAPP_TEMPLATE": "trading_alert"})
    assert problem.startswith("WHATSAPP_TEMPLATE is set, but no provider that could send; ")
    chosen = {**TELEGRAM, "WHATSAPP_TEMPLATE": CANARY, "NOTIFICATION_CHANNELS": "telegram"}
    assert [config.name for config in channel_configs(read(chosen))] == ["telegram"]


def test_faulty_number_of_parameters_hides_no_other_fault() -> None:
    problems = faults_of({**TWILIO, "TWILIO_AUTH_TOKEN": CANARY, "WHATSAPP_TEMPLATE_PARAMETERS": "0"})
    assert [problem.split()[0] for problem in problems] == ["WHATSAPP_TEMPLATE_PARAMETERS", "TWILIO_AUTH_TOKEN"]
