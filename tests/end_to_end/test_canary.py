"""No secret leaves: a daemon's bad day at DEBUG is searched for each credential, in every form.

That the search would find them is proved beside it: the same day without redaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import quote

import pytest

from subscriber.deliveries import Reason
from tests.end_to_end.bad_day import BadDay
from tests.end_to_end.unmistakable import PASSWORD, PING_TOKEN, SECRETS, VERIFY_TOKEN
from tests.subscriber.conftest import PostgresqlServer
from tests.support.canary import Canary, Leak
from tests.support.commands import command
from tests.support.daemon import daemon_environ

_ROLE: Final = "canary"
#: What a daemon with SQLite that sends by Twilio never heard of.
_NOT_BY_TWILIO: Final = frozenset(
    {"meta token", "meta phone id", "meta recipient", "app secret", "verify token", "database password"}
)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    """A server with a role that has a password."""
    with TemporaryDirectory(prefix="alertbus-tests-") as folder:
        server = PostgresqlServer(Path(folder) / "data")
        quoted = PASSWORD.replace("'", "''")
        server.run(f"CREATE ROLE {_ROLE} SUPERUSER LOGIN PASSWORD '{quoted}'")
        yield server
        server.stop()


def told(leaks: list[Leak]) -> str:
    """Return what was found, a line each, without the secrets themselves."""
    return "\n".join(f"{leak.secret} ({leak.form}) in {leak.place}: {leak.context}" for leak in leaks)


def live(day: BadDay) -> list[Leak]:
    """Let everything of a bad day happen and return the secrets that were found in what was written."""
    day.start()
    day.everything_fails()
    day.webhooks_are_called()
    day.credentials_are_refused()
    tested = "telegram" if day.whatsapp == "meta" else "all"  # Meta's pace would let a person wait
    for arguments in (("check",), ("check", "--online"), ("status",), ("history",), ("audit",), ("test", tested)):
        day.run("subscriber", *arguments)
    day.keep_everything()
    day.nobody_listens()
    day.keep_everything()
    day.kill()
    for arguments in (("status", "--json"), ("history", "--json"), ("test", "telegram"), ("check", "--online")):
        day.run("subscriber", *arguments)
    day.keep_files()
    assert day.reasons >= {reason.value for reason in Reason}, "the day was not bad enough"
    assert "crashed with" in day.evidence["stderr.log"].decode()
    return Canary(SECRETS).leaks(day.evidence)


def test_bad_day_at_debug_leaves_no_secret_with_sqlite_and_twilio(tmp_path: Path) -> None:
    """Success, 4xx, 5xx, timeouts, resets, refused connections, refused credentials and crashes."""
    with BadDay(tmp_path, whatsapp="twilio", tricks="crash") as day:
        leaks = live(day)
    assert {"alertbus.db", "stderr.log"} <= day.evidence.keys()
    assert not leaks, told(leaks)


def test_bad_day_at_debug_leaves_no_secret_with_postgresql_and_meta(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    """The same with a database that has a password, and logs as JSON."""
    url = postgresql.new_database().replace("//postgres@", f"//{_ROLE}:{quote(PASSWORD, safe='')}@")
    assert _ROLE in url
    with BadDay(tmp_path, whatsapp="meta", database_url=url, tricks="crash") as day:
        leaks = live(day)
    assert {"rows", "stderr.log"} <= day.evidence.keys()
    assert not leaks, told(leaks)


def test_bad_day_without_redaction_is_found_out(tmp_path: Path) -> None:
    """The search is no check that can't fail: every credential is found once nothing hides it.

    The log has the crashes; what is in the database, providers and libraries said by themselves.
    """
    with BadDay(tmp_path, whatsapp="twilio", tricks="crash,unredacted") as day:
        day.start()
        day.everything_fails()
        day.kill()
        day.keep_files()
    leaks = Canary(SECRETS).leaks(day.evidence)
    logged = {leak.secret for leak in leaks if leak.place == "stderr.log"}
    stored = {leak.secret for leak in leaks if leak.place.startswith("alertbus.db")}
    assert logged >= set(SECRETS) - _NOT_BY_TWILIO
    assert stored >= {"bot token", "chat id", "account sid", "auth token", "desk token"}
    assert {leak.form for leak in leaks} >= {"plain", "percent", "base64 at 0"}


#: By setting, a malformed value with something of a real one in it, and what must not be shown.
_MALFORMED: Final = {
    "TELEGRAM_BOT_TOKEN": "987654321-AACanaryMalformedToken",
    "TELEGRAM_CHAT_ID": "chat of canary-malformed-5559998887",
    "TWILIO_ACCOUNT_SID": "ACcanary-malformed-badc0ffee",
    "TWILIO_AUTH_TOKEN": "canary-malformed-deadbeef",
    "WHATSAPP_FROM": "canary-malformed-12025559998",
    "WHATSAPP_TO": "canary-malformed-12025559997",
    "WHATSAPP_CLOUD_TOKEN": "EAAcanary-malformed/cloud",
    "WHATSAPP_PHONE_NUMBER_ID": "canary-malformed-777666555",
    "WHATSAPP_APP_SECRET": "canary-malformed-app-secret",
    "WHATSAPP_VERIFY_TOKEN": "canary malformed verify",
    "TWILIO_CONTENT_SID": "HXcanary-malformed-content",
    "ALERTBUS_PUBLIC_URL": "ftp://user:canary-malformed-public@example.com",
    "ALERTBUS_API_TOKEN": "canary malformed api token",
    "ALERTBUS_DATABASE_URL": "postgresql+psycopg//user:canary-malformed-password@host",
    "ALERTBUS_PING_URL": f"ping://canary-malformed/{PING_TOKEN}",
    "DESK_URL": "nosuchservice://canary-malformed-desk",
}
_COMPLETE: Final = {
    "TELEGRAM_BOT_TOKEN": "987654321:" + "CanaryTelegramToken" + "x" * 16,
    "TELEGRAM_CHAT_ID": "5559998887",
    "DESK_URL": "json://127.0.0.1:9/canary-desk-path",
    "ALERTBUS_CONFIG": "alertbus.toml",
}
_TWILIO: Final = {
    "TWILIO_ACCOUNT_SID": "AC" + "badc0ffee0ddf00d" * 2,
    "TWILIO_AUTH_TOKEN": "deadbeefcafef00d" * 2,
    "WHATSAPP_FROM": "+12025559998",
    "WHATSAPP_TO": "+12025559997",
}
_META: Final = {
    "WHATSAPP_CLOUD_TOKEN": "EAACanaryMetaToken" + "9" * 40,
    "WHATSAPP_PHONE_NUMBER_ID": "777666555444",
    "WHATSAPP_TO": "+12025559997",
    "WHATSAPP_APP_SECRET": "badc0ffee0ddf00d" * 2,
    "WHATSAPP_VERIFY_TOKEN": VERIFY_TOKEN,
}
_OF_META: Final = frozenset(_META) - {"WHATSAPP_TO"}


@pytest.mark.parametrize("name", _MALFORMED)
def test_malformed_setting_is_named_and_its_value_is_not_shown(name: str, tmp_path: Path) -> None:
    """Neither by `check` nor by `run`, whose exit code says that the configuration has to be changed."""
    (tmp_path / "alertbus.toml").write_text('[channels.desk]\nurl = "env:DESK_URL"\n')
    whatsapp = _META if name in _OF_META else _TWILIO
    given = _COMPLETE | whatsapp | {"ALERTBUS_LOG_LEVEL": "DEBUG", name: _MALFORMED[name]}
    environ = daemon_environ(given, tmp_path)
    secrets = {other: value for other, value in given.items() if other in _COMPLETE | whatsapp or other == name}
    secrets.pop("ALERTBUS_CONFIG")
    hidden = Canary(secrets)
    for arguments in (("check",), ("run",), ("status",)):
        ended = command(environ, tmp_path, *arguments)
        written = ended.out + ended.err
        if (name, arguments) != ("DESK_URL", ("status",)):  # which builds no channel, and so has no fault to tell
            assert ended.code == 2, written
            assert ("channel desk" if name == "DESK_URL" else name) in written
        leaks = hidden.leaks({"output": written.encode()})
        assert not leaks, told(leaks)


def test_daemon_that_cannot_start_leaves_no_secret(tmp_path: Path) -> None:
    """A database that nobody serves, and a daemon that breaks at once: tracebacks with all that the process knows."""
    away = f"postgresql+psycopg://{_ROLE}:{quote(PASSWORD, safe='')}@127.0.0.1:9/nobody"
    with BadDay(tmp_path, whatsapp="meta", database_url=away) as day:
        assert day.run("subscriber", "run") == 1
        assert day.run("subscriber", "status") == 1
        with BadDay(tmp_path, whatsapp="twilio") as other:
            assert other.run("tests.support.canary_runner", "broken", "run") == 1
    evidence = day.evidence | other.evidence
    assert any(b"crashed with" in written for written in evidence.values())
    leaks = Canary(SECRETS).leaks(evidence)
    assert not leaks, told(leaks)
