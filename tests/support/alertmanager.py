"""Debian's Alertmanager as a process, and the webhook that it tells: one chat that takes what its limit lets through.

Only what a person would set is set: routes to two receivers, by what alerts are grouped and how long a group waits.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from tests.support.loopback_server import LoopbackServer
from tests.support.ports import free_port
from tests.support.storm import StormAlert, Turnstile
from tests.support.waiting import wait_until

#: What Debian and what the project itself call the program.
_PROGRAMS: Final = ("prometheus-alertmanager", "alertmanager")
_START_SECONDS: Final = 60.0
_POST_SECONDS: Final = 60.0
#: A new alert of a group that was told is told after so long; the default of 5 min would leave the storm untold.
_GROUP_INTERVAL: Final = "30s"


def alertmanager_program() -> str | None:
    """Return where Alertmanager is, or None where it is not installed."""
    return next((found for name in _PROGRAMS if (found := shutil.which(name))), None)


@dataclass(frozen=True, slots=True)
class Notification:
    """One message that a receiver took."""

    at: float  #: monotonic seconds
    numbers: tuple[int, ...]  #: the alerts that it lists, in its order
    lines: tuple[str, ...]  #: one for each: what a chat would show at least


class Receiver(LoopbackServer):
    """A webhook in front of one chat: takes what the chat's limit lets through, and answers 429 to the rest."""

    def __init__(self, limit: Turnstile) -> None:
        super().__init__(0, _Handler, name="receiver")
        self.limit = limit
        self.url = f"http://127.0.0.1:{self.port}/"
        self._taken: list[Notification] = []
        self._taken_lock = threading.Lock()

    @property
    def taken(self) -> list[Notification]:
        """Every message so far, in order."""
        with self._taken_lock:
            return list(self._taken)

    def take(self, payload: Mapping[str, Any]) -> int | None:
        """Take a notification, or return the seconds to wait."""
        now = time.monotonic()
        wait = self.limit.wait_asked()
        if wait is None:
            alerts = payload["alerts"]
            told = Notification(
                now,
                tuple(int(alert["labels"]["number"]) for alert in alerts),
                tuple(_line(alert) for alert in alerts),
            )
            with self._taken_lock:
                self._taken.append(told)
        return wait

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _line(alert: Mapping[str, Any]) -> str:
    labels = alert["labels"]
    return f"{labels['severity']} {labels['alertname']} {alert['annotations']['description']}"


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Receiver

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is BaseHTTPRequestHandler's
        """Keep quiet."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True  # the process was ended

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        wait = self.server.take(json.loads(body))
        self.send_response(200 if wait is None else 429)
        if wait is not None:
            self.send_header("Retry-After", str(wait))
        self.send_header("Content-Length", "0")
        self.end_headers()


class AlertmanagerProcess:
    """One Alertmanager process; it ends with the block."""

    def __init__(self, folder: Path, configuration: Mapping[str, Any]) -> None:
        """Start nothing yet.

        Args:
            folder: Of its own; gets its configuration, data and log.
            configuration: What `alertmanager.yml` would hold.
        """
        self._folder = folder
        self._configuration = dict(configuration)
        #: Where Prometheus finds it: host and port.
        self.address = f"127.0.0.1:{free_port()}"
        self._http = httpx2.Client(base_url=f"http://{self.address}", timeout=_POST_SECONDS, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it, and wait until it is ready.

        Raises:
            AssertionError: It is not installed, or did not start; it says what it wrote.
        """
        program = alertmanager_program()
        assert program is not None, "prometheus-alertmanager is not installed"
        self._folder.mkdir(parents=True)
        config, log = self._folder / "alertmanager.json", self._folder / "alertmanager.log"
        config.write_text(json.dumps(self._configuration), encoding="utf-8")  # JSON is YAML
        with log.open("wb") as written:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={config}",
                    f"--storage.path={self._folder / 'data'}",
                    f"--web.listen-address={self.address}",
                    "--cluster.listen-address=",
                ],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
            )
        try:
            process = self._process
            wait_until(lambda: process.poll() is not None or self._is_ready(), _START_SECONDS)
            assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, without a chance to do anything more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_START_SECONDS)
        self._http.close()

    def _is_ready(self) -> bool:
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx2.TransportError:
            return False


class Alertmanager(AlertmanagerProcess):
    """One that tells two chats."""

    def __init__(self, folder: Path, receivers: Mapping[str, Receiver], *, group_wait: str) -> None:
        """Start nothing yet.

        Args:
            folder: Of its own; gets its configuration, data and log.
            receivers: By name; each is told everything.
            group_wait: Such as `30s`.
        """
        super().__init__(folder, _to_every_receiver(receivers, group_wait))

    def take(self, alerts: Sequence[StormAlert]) -> None:
        """Send it alerts, as Prometheus does."""
        answer = self._http.post("/api/v2/alerts", json=[_posted(alert) for alert in alerts])
        assert answer.status_code == 200, answer.text


def _to_every_receiver(receivers: Mapping[str, Receiver], group_wait: str) -> dict[str, Any]:
    return {
        "route": {
            "receiver": next(iter(receivers)),
            "group_by": ["severity", "alertname"],
            "group_wait": group_wait,
            "group_interval": _GROUP_INTERVAL,
            "repeat_interval": "4h",
            "routes": [{"receiver": name, "continue": True} for name in receivers],
        },
        "receivers": [
            {"name": name, "webhook_configs": [{"url": receiver.url, "send_resolved": False}]}
            for name, receiver in receivers.items()
        ],
    }


def _posted(alert: StormAlert) -> dict[str, Any]:
    return {
        "labels": {
            "alertname": alert.event_type,
            "severity": "critical" if alert.critical else "warning",
            "symbol": alert.symbol,
            "agent_name": alert.agent_name,
            "number": f"{alert.number:05d}",  # each alert of the stream is one of its own
        },
        "annotations": {"description": alert.description, "value": f"{alert.value}"},
    }
