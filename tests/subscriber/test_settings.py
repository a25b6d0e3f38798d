"""The daemon's settings as a whole: every fault by name and at once, and no value in anything that is shown."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from bus.errors import ConfigurationError
from subscriber.channels.channel import TelegramConfig
from subscriber.policy.routing import Defaults
from subscriber.settings import (
    CredentialSettings,
    SubscriberSettings,
    channel_configs,
    effective,
    load_notification_settings,
    secret_values,
)

CANARY = "canary-4711"
TOKEN = "123456789:AAcanaryCanary_canary-Canary0123456"
TELEGRAM = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": "987654321"}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(environ: dict[str, str]) -> SubscriberSettings:
    return SubscriberSettings.from_environment(environ, env_file=None)


def problems_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(environ)
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    return list(caught.value.problems)


def test_defaults_are_a_dry_run_on_this_machine() -> None:
    settings = read({"TZ": "UTC"})
    assert settings == SubscriberSettings()
    assert channel_configs(settings) == ()
    assert settings.store.database_url.get_secret_value() == "sqlite:///alertbus.db"
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8787)
    assert settings.rules_for(("telegram",)).built_in


def test_from_environment_reads_every_group() -> None:
    settings = read(
        {
            **TELEGRAM,
            "ALERTBUS_DATA_ENDPOINT": "tcp://127.0.0.1:1,tcp://[::1]:2",
            "ALERTBUS_CONTROL_ENDPOINT": "tcp://127.0.0.1:3,tcp://[::1]:*",
            "ALERTBUS_DATABASE_URL": "postgresql+psycopg://ann:pw@db/alerts",
            "ALERTBUS_HTTP_HOST": "0.0.0.0",
            "ALERTBUS_HTTP_PORT": "9000",
            "ALERTBUS_API_TOKEN": "long-random-word",
            "ALERTBUS_PING_URL": "https://hc-ping.com/uuid",
            "ALERTBUS_PING_INTERVAL": "30",
            "ALERTBUS_TIMEZONE": "America/New_York",
            "ALERTBUS_PUBLISHER_TIMEOUT": "5",
            "ALERTBUS_LOG_LEVEL": "debug",
            "ALERTBUS_LOG_FORMAT": "JSON",
            "ALERTBUS_DELIVERY_BACKOFF_BASE": "0.5",
            "ALERTBUS_DELIVERY_BACKOFF_CAP": "30",
            "ALERTBUS_DELIVERY_DEADLINE": "3",
            "ALERTBUS_DELIVERY_LEASE": "4",
            "ALERTBUS_DELIVERY_MAX_AGE": "60",
            "ALERTBUS_TELEGRAM_URL": "http://127.0.0.1:8081/",
        }
    )
    assert settings.bus.data_endpoints == ("tcp://127.0.0.1:1", "tcp://[::1]:2")
    assert settings.http.api_token == SecretStr("long-random-word")
    assert (settings.ping.url, settings.ping.interval_seconds) == (SecretStr("https://hc-ping.com/uuid"), 30)
    assert str(settings.general.zone) == "America/New_York"
    assert (settings.general.log_level, settings.general.log_format) == ("DEBUG", "json")
    assert (settings.delivery.backoff_base_seconds, settings.delivery.backoff_cap_seconds) == (0.5, 30)
    assert (settings.delivery.deadline_seconds, settings.delivery.lease_seconds) == (3, 4)
    (config,) = channel_configs(settings)
    assert isinstance(config, TelegramConfig)
    assert (config.token, config.base_url, config.deadline_seconds) == (TOKEN, "http://127.0.0.1:8081", 3)


def test_every_fault_of_every_group_is_told_at_once() -> None:
    problems = problems_of(
        {
            "TELEGRAM_BOT_TOKEN": CANARY,
            "TWILIO_AUTH_TOKEN_FILE": f"/{CANARY}",
            "ALERTBUS_DATA_ENDPOINT": f"tcp://{CANARY}:1",
            "ALERTBUS_CONTROL_ENDPOINT": "",
            "ALERTBUS_DATABASE_URL": f"mysql://{CANARY}",
            "ALERTBUS_HTTP_HOST": f"http://{CANARY}",
            "ALERTBUS_HTTP_PORT": "0",
            "ALERTBUS_API_TOKEN": f"{CANARY} {CANARY}",
            "ALERTBUS_PING_URL": f"ftp://{CANARY}",
            "ALERTBUS_PING_INTERVAL": "4",
            "ALERTBUS_TIMEZONE": CANARY,
            "ALERTBUS_PUBLISHER_TIMEOUT": "-1",
            "ALERTBUS_LOG_LEVEL": CANARY,
            "ALERTBUS_LOG_FORMAT": CANARY,
            "ALERTBUS_DELIVERY_BACKOFF_BASE": "5",
            "ALERTBUS_DELIVERY_BACKOFF_CAP": "4",
            "ALERTBUS_DELIVERY_DEADLINE": "20",
            "ALERTBUS_DELIVERY_LEASE": "20",
            "ALERTBUS_DELIVERY_MAX_AGE": "nan",
            "ALERTBUS_TELEGRAM_URL": f"http://{CANARY}.example",
            "ALERTBUS_TWILIO_URL": CANARY,
            "ALERTBUS_META_URL": f"https://user:{CANARY}@graph.example",
            "ALERTBUS_PUBLIC_URL": f"http://{CANARY}.example",
            "WHATSAPP_TEMPLATE_PARAMETERS": "11",
            "ALERTBUS_HTP_PORT": CANARY,
        }
    )
    assert {problem.split()[0].rstrip(":") for problem in problems} == {
        "TELEGRAM_BOT_TOKEN",
        "TELEGRAM_CHAT_ID",
        "TWILIO_AUTH_TOKEN_FILE",
        "TWILIO_ACCOUNT_SID",
        "WHATSAPP_FROM",
        "WHATSAPP_TO",
        "ALERTBUS_DATA_ENDPOINT",
        "ALERTBUS_DATABASE_URL",
        "ALERTBUS_HTTP_HOST",
        "ALERTBUS_HTTP_PORT",
        "ALERTBUS_API_TOKEN",
        "ALERTBUS_PING_URL",
        "ALERTBUS_PING_INTERVAL",
        "ALERTBUS_TIMEZONE",
        "ALERTBUS_PUBLISHER_TIMEOUT",
        "ALERTBUS_LOG_LEVEL",
        "ALERTBUS_LOG_FORMAT",
        "ALERTBUS_DELIVERY_BACKOFF_CAP",
        "ALERTBUS_DELIVERY_LEASE",
        "ALERTBUS_DELIVERY_MAX_AGE",
        "ALERTBUS_TELEGRAM_URL",
        "ALERTBUS_TWILIO_URL",
        "ALERTBUS_META_URL",
        "ALERTBUS_PUBLIC_URL",
        "WHATSAPP_TEMPLATE_PARAMETERS",
        "ALERTBUS_HTP_PORT",
    }
    assert len(problems) == 26
    assert problems[-1] == "ALERTBUS_HTP_PORT is no setting of alertbus; did you mean ALERTBUS_HTTP_PORT?"


def test_faults_of_the_file_and_of_the_environment_come_together(tmp_path: Path) -> None:
    (tmp_path / "alertbus.toml").write_text("[channels.desk]\nurl = 1\n[[routes]]\nchanels = []\n")
    problems = problems_of({"ALERTBUS_HTTP_PORT": "x", "TELEGRAM_CHAT_ID": "1234567"})
    starts = [problem.split(" must ")[0].split(" is ")[0] for problem in problems]
    assert starts[0] == "ALERTBUS_CONFIG line 2: [channels.desk] url"
    assert {"ALERTBUS_HTTP_PORT", "TELEGRAM_BOT_TOKEN"} < set(starts)
    assert "ALERTBUS_CONFIG line 4: routes[0].chanels is not known; did you mean channels?" in problems


def test_channel_with_a_fault_is_no_unknown_one(tmp_path: Path) -> None:
    """What is wrong with a channel is told where it is, and not again by each route that names it."""
    (tmp_path / "alertbus.toml").write_text(
        '[channels.desk]\nurl = 1\n[[routes]]\nchannels = ["desk", "telegram", "pager"]\n'
    )
    problems = problems_of({"TELEGRAM_CHAT_ID": "1234567"})
    assert len(problems) == 3
    assert problems[-1].startswith("ALERTBUS_CONFIG line 4: routes[0].channels[2] is not the name of any channel")


def test_route_to_a_channel_without_credentials_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alertbus.toml").write_text('[[routes]]\nchannels = ["whatsapp"]\n')
    (problem,) = problems_of(TELEGRAM)
    assert problem.startswith("ALERTBUS_CONFIG line 2: routes[0].channels[0] is not the name of any channel")
    assert problem.endswith('("whatsapp"); there are: telegram.')


def test_file_for_both_channels_is_taken_in_a_dry_run(tmp_path: Path) -> None:
    (tmp_path / "alertbus.toml").write_text('[[routes]]\nchannels = ["whatsapp", "telegram"]\n')
    assert read({}).hints == ()


def test_hints_tell_of_a_route_that_is_never_reached(tmp_path: Path) -> None:
    (tmp_path / "alertbus.toml").write_text(
        '[[routes]]\nchannels = ["telegram"]\n[[routes]]\nchannels = ["telegram"]\n'
    )
    (hint,) = read(TELEGRAM).hints
    assert hint.startswith('ALERTBUS_CONFIG line 3: routes[1] is never reached: the route "routes[0]" takes all')


def test_policy_settings_are_the_rules_defaults() -> None:
    settings = read(
        {
            "ALERTBUS_DELIVERY_MAX_AGE": "60",
            "ALERTBUS_DEDUP_WINDOW": "5.5",
            "ALERTBUS_DEDUP_WINDOW_CRITICAL": "Off",
            "ALERTBUS_MAX_DELAY": "off",
            "ALERTBUS_FALLBACK_AFTER": "90",
            "ALERTBUS_TELEGRAM_COMMANDS": "true",
        }
    )
    assert settings.rules_for(("telegram",)).defaults == Defaults(60_000_000, 5_500_000, None)
    policy = settings.policy
    assert (policy.max_delay_seconds, policy.fallback_after_seconds, policy.telegram_commands) == (None, 90.0, True)


def test_publishers_names_and_nobodys_prefix_are_left_alone() -> None:
    read({"ALERTBUS_JOURNAL": "~nobody", "ALERTBUS_JOURNAL_SYNC": "x", "ALERTBUS_QUEUE_LIMIT": "x", "OTHER": "x"})


def test_variable_that_the_file_refers_to_is_known(tmp_path: Path) -> None:
    (tmp_path / "alertbus.toml").write_text('[channels.desk]\nurl = "env:ALERTBUS_DESK_URL"\n')
    settings = read({"ALERTBUS_DESK_URL": "json://127.0.0.1:9000/"})
    assert [config.name for config in channel_configs(settings)] == ["desk"]


def test_market_hours_without_a_zone_are_in_the_daemons(tmp_path: Path) -> None:
    (tmp_path / "alertbus.toml").write_text('[market_hours]\nwindows = ["Mon-Fri 09:30-16:00"]\n')
    hours = read({"ALERTBUS_TIMEZONE": "Asia/Tokyo"}).market_hours
    assert hours is not None
    assert str(hours.zone) == "Asia/Tokyo"


# --- what is shown -----------------------------------------------------------------------------------------------


def secretive(tmp_path: Path) -> SubscriberSettings:
    (tmp_path / "alertbus.toml").write_text(
        '[channels.desk]\nurl = "env:DESK"\n[market_hours]\nwindows = ["Sun 18:00-Fri 17:00"]\nclosed = [2026-12-25]\n'
    )
    return read(
        {
            **TELEGRAM,
            "TWILIO_ACCOUNT_SID": "AC" + "0123456789abcdef" * 2,
            "TWILIO_AUTH_TOKEN": "fedcba9876543210" * 2,
            "WHATSAPP_FROM": "whatsapp:+1 415 523 8886",
            "WHATSAPP_TO": "+15551234567",
            "TWILIO_CONTENT_SID": "HX" + "0123456789abcdef" * 2,
            "ALERTBUS_PUBLIC_URL": "https://alerts.example.org/",
            "ALERTBUS_API_TOKEN": "apitoken",
            "ALERTBUS_API_READ_TOKEN": "readtoken",
            "ALERTBUS_METRICS_TOKEN": "metricstoken",
            "ALERTBUS_DATABASE_URL": "postgresql+psycopg://ann:p%40ss@db:5433/alerts?password=second",
            "ALERTBUS_PING_URL": "https://me:passphrase@up.example.org/push/a1b2c3d4e5?key=5bf66975-d4c7-4bf5",
            "ALERTBUS_TIMEZONE": "America/New_York",
            "DESK": "slack://TokenAAAAAAAAA/TokenBBBBBBBBB/#room",
        }
    )


SECRETS = [
    TOKEN,
    "AAcanaryCanary_canary-Canary0123456",
    "987654321",
    "AC" + "0123456789abcdef" * 2,
    "fedcba9876543210" * 2,
    "15551234567",
    "14155238886",
    "apitoken",
    "readtoken",
    "metricstoken",
    "p%40ss",
    "p@ss",
    "TokenAAAAAAAAA",
    "passphrase",
    "/push/a1b2c3d4e5",
    "5bf66975-d4c7-4bf5",
]


def test_no_secret_is_in_a_repr(tmp_path: Path) -> None:
    settings = secretive(tmp_path)
    shown = repr(settings) + str(settings) + repr(channel_configs(settings))
    assert [secret for secret in SECRETS if secret in shown] == []


def test_effective_shows_all_settings_and_no_secret(tmp_path: Path) -> None:
    shown = effective(secretive(tmp_path))
    values = dict(shown)
    assert len(values) == len(shown) == 50
    assert values["TELEGRAM_BOT_TOKEN"] == "***"
    assert values["WHATSAPP_CLOUD_TOKEN"] == values["WHATSAPP_APP_SECRET"] == values["WHATSAPP_TEMPLATE"] == "not set"
    assert values["TWILIO_CONTENT_SID"] == "HX" + "0123456789abcdef" * 2
    assert values["WHATSAPP_TEMPLATE_PARAMETERS"] == "3"
    assert values["ALERTBUS_PUBLIC_URL"] == "https://alerts.example.org"
    assert values["ALERTBUS_DATABASE_URL"] == "postgresql+psycopg://db:5433/alerts"
    assert values["ALERTBUS_DATA_ENDPOINT"] == "tcp://127.0.0.1:5555"
    assert values["ALERTBUS_CONFIG [channels.desk] url"] == "***"
    assert values["ALERTBUS_CONFIG [market_hours]"] == (
        "Mon 00:00-Fri 17:00, Sun 18:00-24:00 (America/New_York), closed on 2026-12-25"
    )
    assert values["ALERTBUS_PING_URL"] == "***"
    assert [secret for secret in [*SECRETS, "second"] if secret in str(shown)] == []


def test_effective_says_off_where_a_number_is_off() -> None:
    values = dict(effective(read({"ALERTBUS_MAX_DELAY": "off"})))
    assert (values["ALERTBUS_MAX_DELAY"], values["ALERTBUS_RETENTION_SIZE"]) == ("off", "off")
    assert values["ALERTBUS_DEDUP_WINDOW"] == "60.0"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ALERTBUS_MAX_DELAY", CANARY, "must be a number, or off"),
        ("ALERTBUS_MAX_DELAY", "0", "must be 1 or more"),
        ("ALERTBUS_DEDUP_WINDOW", "nan", "must be a finite number"),
        ("ALERTBUS_DEDUP_WINDOW_CRITICAL", "86401", "must be 86400 or less"),
        ("ALERTBUS_FALLBACK_AFTER", "none", "must be a number, or off"),
        ("ALERTBUS_RETENTION_SIZE", "9", "must be 10 or more"),
        ("ALERTBUS_TELEGRAM_COMMANDS", CANARY, "must be"),
    ],
)
def test_fault_of_a_policy_setting_says_what_is_allowed(name: str, value: str, words: str) -> None:
    (problem,) = problems_of({name: value})
    assert problem.startswith(f"{name} {words}")


def test_effective_shows_the_default_database() -> None:
    assert dict(effective(SubscriberSettings()))["ALERTBUS_DATABASE_URL"] == "sqlite:///alertbus.db"


def test_secret_values_has_each_secret_and_its_parts(tmp_path: Path) -> None:
    assert {*SECRETS, "second"} <= secret_values(secretive(tmp_path))


def test_secret_values_has_what_metas_webhook_goes_by() -> None:
    credentials = CredentialSettings(
        whatsapp_app_secret=SecretStr("0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
        whatsapp_verify_token=SecretStr("our-own-word"),
    )
    assert {"0f1e2d3c4b5a69788796a5b4c3d2e1f0", "our-own-word"} <= secret_values(SubscriberSettings(credentials))


def test_secret_values_leaves_ordinary_words_alone() -> None:
    assert secret_values(SubscriberSettings()) == frozenset()
    small = SubscriberSettings(credentials=CredentialSettings(telegram_chat_id=SecretStr("12345")))
    assert secret_values(small) == frozenset()


# --- the plan's helper -------------------------------------------------------------------------------------------


def test_load_notification_settings_gives_channels_and_hidden_secrets() -> None:
    loaded = load_notification_settings(TELEGRAM, env_file=None)
    assert loaded.channels == ("telegram",)
    assert not loaded.dry_run
    assert loaded.secrets["TELEGRAM_BOT_TOKEN"].get_secret_value() == TOKEN
    assert TOKEN not in repr(loaded)
    assert "987654321" not in repr(loaded)


def test_load_notification_settings_without_credentials_is_a_dry_run() -> None:
    loaded = load_notification_settings({}, env_file=None)
    assert (loaded.channels, loaded.dry_run, dict(loaded.secrets)) == ((), True, {})


def test_load_notification_settings_reads_the_process_and_its_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"TELEGRAM_BOT_TOKEN={TOKEN}\n")
    monkeypatch.setenv("TELEGRAM_CHAT_ID", "@traders")
    assert load_notification_settings().channels == ("telegram",)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TELEGRAM_BOT_TOCKEN", "TELEGRAM_BOT_TOKEN"),
        ("TELEGRAM_CHATID", "TELEGRAM_CHAT_ID"),
        ("telegram_chat_id", "TELEGRAM_CHAT_ID"),
        ("TWILIO_ACCOUNT_SSID", "TWILIO_ACCOUNT_SID"),
        ("NOTIFICATION_CHANNEL", "NOTIFICATION_CHANNELS"),
        ("WHATSAPP_TEMPLATES", "WHATSAPP_TEMPLATE"),
    ],
)
def test_credential_that_is_misspelt_is_hinted_at(name: str, meant: str) -> None:
    """It is no fault, for the name may be another program's; but it must not pass for no credentials at all."""
    settings = SubscriberSettings.from_environment({name: "canary-value"}, env_file=None)
    assert settings.hints == (f"{name} is no setting of alertbus; did you mean {meant}?",)
    assert "canary" not in str(settings.hints)


@pytest.mark.parametrize("name", ["PATH", "TWILIO_REGION", "TELEGRAM_API_HASH", "WHATSAPP_WEBHOOK_SECRET", "HOME"])
def test_name_of_another_program_is_not_hinted_at(name: str) -> None:
    assert SubscriberSettings.from_environment({name: "x"}, env_file=None).hints == ()


@pytest.mark.parametrize("name", ["DATA", "CONTROL"])
def test_port_that_the_daemon_would_take_from_itself_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SubscriberSettings.from_environment({f"ALERTBUS_{name}_ENDPOINT": "tcp://127.0.0.1:8787"}, env_file=None)
    assert f"ALERTBUS_HTTP_PORT is also a port of ALERTBUS_{name}_ENDPOINT; set another one." in caught.value.problems
