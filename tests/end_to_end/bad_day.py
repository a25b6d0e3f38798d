"""A daemon's bad day, as real processes at DEBUG: everything that can go wrong, and all that was written meanwhile.

The credentials are unmistakable, the providers repeat them in their errors as bad providers do, in every encoding,
and what comes back is all that anybody could read: output, logs, files, database rows, metrics and API answers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Self

import httpx2
from sqlalchemy import create_engine

from tests.end_to_end.unmistakable import (
    API_TOKEN,
    VERIFY_TOKEN,
    environ_of,
    faults_of,
    refusal_by,
)
from tests.support.daemon import PREFIX, daemon_environ
from tests.support.ping_server import PingServer
from tests.support.provider_desk import ProviderDesk
from tests.support.provider_server import (
    META_APP_SECRET,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    ProviderServer,
)
from tests.support.running_service import environment_of_a_process
from tests.support.waiting import wait_until
from tests.support.webhook_sender import WebhookAnswer

#: Seconds; the pace of a chat stretches a day to a quarter of a minute.
DAY_SECONDS: Final = 120.0

_ROUTES: Final = """
[channels.desk]
url = "env:DESK_URL"
[[routes]]
channels = ["whatsapp", "telegram", "desk"]
"""
_SETTLED: Final = frozenset({"accepted", "delivered", "dead"})


class BadDay:
    """One daemon, its trader, its providers and everything that they wrote."""

    def __init__(self, folder: Path, *, whatsapp: str, database_url: str | None = None, tricks: str = "-") -> None:
        """Prepare.

        Args:
            folder: Where all of it happens.
            whatsapp: Its provider, `twilio` or `meta`.
            database_url: SQLite in the folder, where none is given.
            tricks: What the daemon is run with, as `canary_runner` says.
        """
        self.folder = folder
        self.whatsapp = whatsapp
        self.tricks = tricks
        self.providers = ProviderServer()
        self.pings = PingServer()
        #: What was written, by the place; standard error of the daemon is its log.
        self.evidence: dict[str, bytes] = {}
        #: How attempts ended, as far as the stories told so far.
        self.reasons: set[str | None] = set()
        self._database_url = database_url
        self._published = 0
        self._daemon: subprocess.Popen[bytes] | None = None
        self.environ: dict[str, str] = {}
        self._http = httpx2.Client(timeout=30.0, trust_env=False)

    def __enter__(self) -> Self:
        self.providers.start()
        self.pings.start()
        (self.folder / "alertbus.toml").write_text(_ROUTES)
        given = environ_of(self.whatsapp, self.providers, self.pings.port)
        given["ALERTBUS_CONFIG"] = str(self.folder / "alertbus.toml")
        if self._database_url is not None:
            given["ALERTBUS_DATABASE_URL"] = self._database_url
        self.environ = daemon_environ(given, self.folder)
        self._http.base_url = f"http://127.0.0.1:{self.environ['ALERTBUS_HTTP_PORT']}"
        return self

    def __exit__(self, *_: object) -> None:
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.kill()
            self._daemon.wait(30.0)
        self._http.close()
        self.pings.close()
        self.providers.close()

    # --- processes ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the daemon and wait until it is ready."""
        files = [(self.folder / name).open("ab") for name in ("stdout.log", "stderr.log")]
        self._daemon = subprocess.Popen(
            [sys.executable, "-m", "tests.support.canary_runner", self.tricks, "run", "--interval", "0.05"],
            cwd=self.folder,
            env=environment_of_a_process(self.environ),
            stdin=subprocess.DEVNULL,
            stdout=files[0],
            stderr=files[1],
        )
        for file in files:
            file.close()
        wait_until(self._ready, DAY_SECONDS)

    def kill(self) -> None:
        """End the daemon as a power cut would, so that its write-ahead log stays."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait(30.0)

    def run(self, module: str, *arguments: str, **environ: str) -> int:
        """Run a command to its end, keep what it wrote, and return its exit code."""
        ended = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env=environment_of_a_process(self.environ | environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DAY_SECONDS,
            check=False,
        )
        place = f"{module} {' '.join(arguments)} #{len(self.evidence)}"
        self.evidence |= {f"{place}, stdout": ended.stdout, f"{place}, stderr": ended.stderr}
        return ended.returncode

    def publish(self, count: int) -> None:
        """Let a trader publish alerts, and wait until the daemon has them."""
        self._published += count
        arguments = ("Drawdown breached", "--severity", "CRITICAL", "--count", str(count), "--wait", "30")
        assert self.run("publisher", *arguments) == 0

    def _ready(self) -> bool:
        assert self._daemon is not None
        if self._daemon.poll() is not None:
            raise AssertionError(f"the daemon ended:\n{(self.folder / 'stderr.log').read_text()}")
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx2.TransportError:
            return False

    # --- what happens ---------------------------------------------------------------------------------------

    @property
    def desks(self) -> tuple[ProviderDesk[Any], ...]:
        """The providers that this day has to do with."""
        whatsapp = self.providers.twilio if self.whatsapp == "twilio" else self.providers.meta
        return (self.providers.telegram, whatsapp, self.providers.hook)

    def everything_fails(self) -> None:
        """Let the providers fail in every way, and wait until each alert is told or refused."""
        for desk in self.desks:
            desk.script(*faults_of(desk.name))
        self.pings.answers.extend([500, 404])
        self.publish(4 if self.whatsapp == "meta" else 7)  # Meta's pace lets five go at once, then one in six seconds
        self.wait_settled()

    def credentials_are_refused(self) -> None:
        """Let every provider refuse the credentials; the channels pause, and a person resumes them."""
        for desk in self.desks:
            desk.behave()  # what nobody has met yet
            desk.always(refusal_by(desk.name, 401, 190 if desk.name == "meta" else 20003))
        self.publish(1)
        channels = ("whatsapp", "telegram")
        wait_until(lambda: all(self.metric("channel_up", channel=name) == 0 for name in channels), DAY_SECONDS)
        self.keep("/status")
        for desk in self.desks:
            desk.behave()
        for name in ("whatsapp", "telegram", "desk"):
            assert self.keep(f"/channels/{name}/resume", method="POST") == 200
        self.wait_settled()

    def nobody_listens(self) -> None:
        """Take the providers away, so that connections are refused."""
        self.providers.close()
        self.publish(1)
        wait_until(
            lambda: all(
                self.metric("attempts_total", channel=name, outcome="network") for name in ("telegram", "desk")
            ),
            DAY_SECONDS,
        )

    def webhooks_are_called(self) -> None:
        """Call the webhooks as strangers would, with the right secrets in the wrong places, and as the provider."""
        form = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "delivered", "AccountSid": TWILIO_ACCOUNT_SID}
        self._call("POST", "/webhooks/twilio", data=form, headers={"X-Twilio-Signature": TWILIO_AUTH_TOKEN})
        body = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": META_APP_SECRET}]})
        self._call("POST", "/webhooks/meta", content=body, headers={"X-Hub-Signature-256": f"sha256={META_APP_SECRET}"})
        query = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": VERIFY_TOKEN + "x"}
        self._call("GET", "/webhooks/meta", params=query)
        self._call("GET", f"/webhooks/{VERIFY_TOKEN}/{TELEGRAM_TOKEN}")
        if self.whatsapp == "meta":
            rules = self.providers.meta.rules
            answers: list[WebhookAnswer | None] = [
                rules.subscribe(f"{self._http.base_url}/webhooks/meta", VERIFY_TOKEN)
            ]
            (message, *_) = self.providers.meta.accepted
            answers.append(rules.report(message.message_id, "failed", code=131026))
        else:
            (message, *_) = self.providers.twilio.accepted
            via = str(self._http.base_url)
            answers = [self.providers.twilio.rules.report(message.message_id, "read", via=via)]
        assert all(answer is not None and answer.status == 200 for answer in answers), answers

    def wait_settled(self) -> None:
        """Wait until every alert of the trader's was told on every channel, or refused for good."""
        wait_until(lambda: self._open() == 0, DAY_SECONDS)

    def _open(self) -> int:
        history = self._http.get(f"{PREFIX}/history", params={"limit": 500}, headers=_AUTHORIZED).json()["data"]
        states = [delivery["status"] for entry in history for delivery in entry["deliveries"]]
        assert len(states) >= 3 * self._published
        return sum(state not in _SETTLED for state in states)

    # --- what was written -----------------------------------------------------------------------------------

    def keep(self, path: str, *, method: str = "GET") -> int:
        """Keep what the API answers on a path, and return the status."""
        return self._call(method, PREFIX + path, headers=_AUTHORIZED)

    def keep_everything(self) -> None:
        """Ask the daemon everything that it answers, with the right token, a wrong one and none."""
        for path in ("/metrics", "/healthz", "/readyz", "/openapi.json", "/docs", "/", "/nothing"):
            self._call("GET", path)
        self._call("GET", "/metrics", headers={"Accept": "application/openmetrics-text"})
        history = self._http.get(f"{PREFIX}/history", params={"limit": 500}, headers=_AUTHORIZED).json()["data"]
        for entry in history:
            path = f"{PREFIX}/alerts/{entry['alert']['id']}"
            assert self._call("GET", path, headers=_AUTHORIZED) == 200
            story = self._http.get(path, headers=_AUTHORIZED).json()["data"]
            self.reasons |= {attempt["reason"] for delivery in story["deliveries"] for attempt in delivery["attempts"]}
        for path in ("/status", "/history?limit=500", "/history?channel=nobody", "/alerts/none", "/nothing"):
            self.keep(path)
            self._call("GET", PREFIX + path)
            self._call("GET", PREFIX + path, headers={"Authorization": f"Bearer {API_TOKEN}x"})

    def keep_files(self) -> None:
        """Keep every file of the folder, the database's journal included, or every row of a server's tables."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.evidence[path.relative_to(self.folder).as_posix()] = path.read_bytes()
        if self._database_url is not None:
            self.evidence["rows"] = _rows(self._database_url)

    def metric(self, name: str, **labels: str) -> float | None:
        """Return a sample of the daemon's metrics."""
        wanted = f"alertbus_{name}" + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
        for line in self._http.get("/metrics").text.splitlines():
            if line.startswith(wanted + " "):
                return float(line.rpartition(" ")[2])
        return None

    def _call(self, method: str, path: str, **request: Any) -> int:
        answer = self._http.request(method, path, **request)
        place = f"answer {len(self.evidence)}, {method} {path.partition('?')[0][:40]}"
        self.evidence[place] = answer.content + repr(dict(answer.headers)).encode()
        return answer.status_code


_AUTHORIZED: Final = {"Authorization": f"Bearer {API_TOKEN}"}


def _rows(url: str) -> bytes:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            names = connection.exec_driver_sql(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            ).scalars()
            texts = [
                str(row)
                for name in names.all()
                for row in connection.exec_driver_sql(f'SELECT row_to_json(t)::text FROM "{name}" t').scalars()
            ]
    finally:
        engine.dispose()
    assert texts
    return "\n".join(texts).encode()
