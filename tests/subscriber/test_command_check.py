"""`check` and the refusals of every command: each fault by its setting's name, no value, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import command
from tests.support.ports import free_port
from tests.support.provider_faults import error
from tests.support.provider_server import ProviderServer
from tests.support.running_service import daemon_environ, provider_environ

CANARY = "canary4711"
#: One malformed value for each setting that can be malformed, and the name that the fault begins with.
MALFORMED = {
    "TELEGRAM_BOT_TOKEN": f"12:{CANARY}",
    "TELEGRAM_CHAT_ID": CANARY,
    "TWILIO_ACCOUNT_SID": CANARY,
    "TWILIO_AUTH_TOKEN": CANARY,
    "WHATSAPP_FROM": CANARY,
    "WHATSAPP_TO": CANARY,
    "ALERTBUS_DATA_ENDPOINT": CANARY,
    "ALERTBUS_CONTROL_ENDPOINT": f"udp://{CANARY}",
    "ALERTBUS_DATABASE_URL": f"mysql://u:{CANARY}@h/d",
    "ALERTBUS_HTTP_HOST": f"http://{CANARY}",
    "ALERTBUS_HTTP_PORT": CANARY,
    "ALERTBUS_API_TOKEN": f"{CANARY} with blanks",
    "ALERTBUS_DELIVERY_BACKOFF_BASE": CANARY,
    "ALERTBUS_DELIVERY_BACKOFF_CAP": "-1",
    "ALERTBUS_DELIVERY_DEADLINE": "nan",
    "ALERTBUS_DELIVERY_LEASE": "1",
    "ALERTBUS_DELIVERY_MAX_AGE": "inf",
    "ALERTBUS_PUBLISHER_TIMEOUT": CANARY,
    "ALERTBUS_TIMEZONE": CANARY,
    "ALERTBUS_LOG_LEVEL": CANARY,
    "ALERTBUS_LOG_FORMAT": CANARY,
    "ALERTBUS_TELEGRAM_URL": f"ftp://{CANARY}",
    "ALERTBUS_TWILIO_URL": f"http://{CANARY}",
    "ALERTBUS_META_URL": CANARY,
    "ALERTBUS_CONFIG": f"{CANARY}.toml",
    "ALERTBUS_DATABSE_URL": CANARY,
}
COMMANDS = (("check",), ("check", "--online"), ("run",), ("status",), ("history",), ("test", "telegram"))


@pytest.fixture(scope="module")
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_command_with_every_setting_malformed_tells_all_faults_by_name(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """One run is enough to know what to change; exit 2, on standard error, and no value is shown."""
    ended = command(MALFORMED, tmp_path, *arguments)
    assert (ended.code, ended.out) == (2, "")
    told = {line.split()[1].rstrip(":") for line in ended.err.splitlines()}
    assert told >= MALFORMED.keys() - {"ALERTBUS_DELIVERY_LEASE"}
    assert all(line.startswith("alertbus-subscriber: ") for line in ended.err.splitlines())
    assert CANARY not in ended.err
    assert list(tmp_path.iterdir()) == []


def test_check_of_nothing_is_well_and_says_dry_run(tmp_path: Path) -> None:
    """A fresh machine; it leaves no database behind."""
    ended = command({}, tmp_path, "check")
    assert (ended.code, ended.err) == (0, "")
    assert "The configuration is well. Channels: none: the daemon would start as a dry run." in ended.out
    assert list(tmp_path.iterdir()) == []


def test_check_of_a_whole_configuration_shows_what_holds_without_secrets(
    tmp_path: Path, providers: ProviderServer
) -> None:
    environ = provider_environ(providers) | {
        "ALERTBUS_DATABASE_URL": f"postgresql+psycopg://ann:{CANARY}@db/alerts",
        "ALERTBUS_API_TOKEN": f"token-{CANARY}",
    }
    ended = command(environ, tmp_path, "check")
    assert ended.code == 0
    assert "Channels: whatsapp, telegram." in ended.out
    assert "postgresql+psycopg://db/alerts" in ended.out
    secrets = {value for name, value in environ.items() if not name.startswith("ALERTBUS_")} | {CANARY}
    assert not [secret for secret in secrets if secret in ended.out]


def test_check_as_json_is_one_document(tmp_path: Path, providers: ProviderServer) -> None:
    ended = command(provider_environ(providers, "telegram", "meta"), tmp_path, "check", "--json")
    assert ended.json["channels"] == ["whatsapp", "telegram"]
    assert ended.json["settings"]["TELEGRAM_BOT_TOKEN"] == "***"
    assert ended.json["dry_run"] is False


def test_check_builds_custom_channels_and_tells_all_that_are_unusable(tmp_path: Path) -> None:
    """What `run` would refuse, `check` tells before."""
    (tmp_path / "alertbus.toml").write_text(
        f'[channels.desk]\nurl = "nosuchservice://{CANARY}/"\n'
        f'[channels.pager]\nurl = "tgram://{CANARY}/"\n'
        '[channels.well]\nurl = "json://127.0.0.1:9/"\n'
    )
    ended = command({}, tmp_path, "check")
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 2
    assert "desk" in ended.err
    assert "pager" in ended.err
    assert CANARY not in ended.err


def test_check_with_a_missing_ca_bundle_names_the_variable(tmp_path: Path, providers: ProviderServer) -> None:
    environ = provider_environ(providers) | {"REQUESTS_CA_BUNDLE": str(tmp_path / "missing.pem")}
    ended = command(environ, tmp_path, "check")
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert "REQUESTS_CA_BUNDLE" in ended.err


def test_check_with_a_route_to_nowhere_names_it(tmp_path: Path) -> None:
    (tmp_path / "alertbus.toml").write_text('[[routes]]\nmatch = {}\nchannels = ["pager"]\n')
    ended = command({}, tmp_path, "check")
    assert ended.code == 2
    assert "pager" in ended.err


@pytest.mark.parametrize("whatsapp", ["twilio", "meta"])
def test_check_online_of_healthy_channels_sends_nothing(
    tmp_path: Path, providers: ProviderServer, whatsapp: str
) -> None:
    before = len(providers.accepted)
    ended = command(provider_environ(providers, "telegram", whatsapp), tmp_path, "check", "--online")
    assert (ended.code, ended.err) == (0, "")
    assert [line.split()[:3] for line in ended.out.splitlines()[1:]] == [
        ["whatsapp", whatsapp, "yes"],
        ["telegram", "telegram", "yes"],
    ]
    assert len(providers.accepted) == before


def test_check_online_with_a_wrong_token_names_the_channel_and_fails(tmp_path: Path, providers: ProviderServer) -> None:
    token = f"999999999:{'B' * 35}"
    environ = provider_environ(providers) | {"TELEGRAM_BOT_TOKEN": token}
    ended = command(environ, tmp_path, "check", "--online", "--json")
    assert ended.code == 1
    assert {probe["channel"]: probe["healthy"] for probe in ended.json} == {"whatsapp": True, "telegram": False}
    assert token not in ended.out + ended.err


def test_check_online_of_a_provider_that_fails_or_is_away_fails(tmp_path: Path) -> None:
    with ProviderServer() as failing:
        failing.telegram.always(error(503))
        environ = provider_environ(failing) | {"ALERTBUS_TWILIO_URL": f"http://127.0.0.1:{free_port()}"}
        ended = command(environ, tmp_path, "check", "--online", "--json")
    assert ended.code == 1
    answers = {probe["channel"]: probe["answer"] for probe in ended.json}
    assert "Error" in answers["telegram"]
    assert "refused" in answers["whatsapp"].lower()


def test_check_online_without_credentials_says_so(tmp_path: Path) -> None:
    ended = command({}, tmp_path, "check", "--online")
    assert (ended.code, ended.out) == (2, "")
    assert "No channel has credentials" in ended.err


@pytest.mark.parametrize(
    ("environ", "arguments", "code", "words"),
    [
        ({}, ("run", "--require-channels"), 2, "--require-channels"),
        ({"ALERTBUS_DATABASE_URL": "sqlite:///missing/alertbus.db"}, ("run",), 2, "ALERTBUS_DATABASE_URL"),
        ({"ALERTBUS_DATABASE_URL": "sqlite:///foreign.db"}, ("run",), 1, "is not an SQLite database"),
        ({"ALERTBUS_DATABASE_URL": "sqlite:///foreign.db"}, ("status",), 1, "is not an SQLite database"),
        ({"ALERTBUS_DATABASE_URL": "sqlite:///foreign.db"}, ("history",), 1, "is not an SQLite database"),
    ],
    ids=["no channel", "no folder", "foreign file", "status of a foreign file", "history of a foreign file"],
)
def test_command_that_can_not_begin_ends_with_a_sentence_and_its_code(
    tmp_path: Path, environ: dict[str, str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    """Exit 2 where a setting has to be changed, 1 for everything else."""
    (tmp_path / "foreign.db").write_bytes(b"some other file, and no database" * 100)
    ended = command(daemon_environ({}, tmp_path) | environ, tmp_path, *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert words in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--interval", "0"),
        ("run", "--interval", "nan"),
        ("run", "--interval", "inf"),
        ("run", "--interval", "soon"),
        ("history", "--limit", "0"),
        ("history", "--state", "sent"),
        ("history", "--channel", "\udcff"),
        ("history", "--channel", "a b"),
        ("test",),
        ("nothing",),
        ("check", "extra"),
    ],
    ids=str,
)
def test_command_misused_ends_with_usage_and_exit_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = command(daemon_environ({}, tmp_path), tmp_path, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Usage" in ended.err


def test_check_of_a_database_whose_folder_is_missing_says_what_run_would(tmp_path: Path) -> None:
    environ = daemon_environ({"ALERTBUS_DATABASE_URL": f"sqlite:///{tmp_path}/missing/alertbus.db"}, tmp_path)
    ended = command(environ, tmp_path, "check")
    assert (ended.code, ended.out) == (2, "")
    assert "does not exist" in ended.err


def test_check_hints_at_a_credential_that_looks_misspelt(tmp_path: Path) -> None:
    ended = command(daemon_environ({"TELEGRAM_BOT_TOCKEN": "canary"}, tmp_path), tmp_path, "check")
    assert ended.code == 0
    assert "TELEGRAM_BOT_TOCKEN is no setting of alertbus; did you mean TELEGRAM_BOT_TOKEN?" in ended.err
    assert "canary" not in ended.err + ended.out
