"""One machine in a folder: providers on loopback, a daemon as a real process, publishers as real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from tests.support.ports import free_port
from tests.support.provider_server import (
    TELEGRAM_CHAT,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
)
from tests.support.waiting import wait_until

#: Seconds for a process to start on a busy machine.
START_SECONDS: Final = 60.0
CREDENTIALS: Final = {
    "TELEGRAM_BOT_TOKEN": TELEGRAM_TOKEN,
    "TELEGRAM_CHAT_ID": str(TELEGRAM_CHAT),
    "TWILIO_ACCOUNT_SID": TWILIO_ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": TWILIO_AUTH_TOKEN,
    "WHATSAPP_FROM": TWILIO_SENDER,
    "WHATSAPP_TO": TWILIO_RECIPIENT,
}
_OURS: Final = ("ALERTBUS_", "TELEGRAM_", "TWILIO_", "WHATSAPP_", "NOTIFICATION_", "HTTP_PROXY", "HTTPS_PROXY")


class Rig:
    """A folder with ports of its own; every process in it has the same environment and needs no other."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.http_port = free_port()
        inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(_OURS)}
        self.environ = {
            **inherited,
            "XDG_STATE_HOME": str(folder / "state"),
            "ALERTBUS_DATA_ENDPOINT": f"tcp://127.0.0.1:{free_port()}",
            "ALERTBUS_CONTROL_ENDPOINT": f"tcp://127.0.0.1:{free_port()}",
            "ALERTBUS_HTTP_PORT": str(self.http_port),
            "ALERTBUS_DELIVERY_BACKOFF_BASE": "0.05",
            "ALERTBUS_DELIVERY_BACKOFF_CAP": "0.5",
            "ALERTBUS_MAX_DELAY": "off",  # each alert is a message of its own, unless a test says otherwise
            "ALERTBUS_DEDUP_WINDOW": "off",
            "ALERTBUS_DEDUP_WINDOW_CRITICAL": "off",
            **environ,
        }
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._daemons: list[Daemon] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End what a test that failed left running."""
        for daemon in self._daemons:
            if daemon.process.poll() is None:
                daemon.kill()

    def start(self, *options: str, command: Sequence[str] = ("-m", "subscriber")) -> Daemon:
        """Start a daemon and wait until it is ready."""
        daemon = Daemon(self, [sys.executable, *command, "run", "--interval", "0.05", *options])
        self._daemons.append(daemon)
        daemon.wait_ready()
        return daemon

    @contextlib.contextmanager
    def daemon(self, *options: str) -> Generator[Daemon]:
        """Run a daemon for as long as the test lasts, and stop it in order."""
        daemon = self.start(*options)
        try:
            yield daemon
        finally:
            daemon.stop()

    def publish(self, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `alertbus-publish`."""
        return self.run("publisher", *arguments, environ=environ)

    def run(
        self, module: str, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of ours to its end."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env={**self.environ, **(environ or {})},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )

    def get(self, path: str) -> str:
        """Return what the daemon answers on a path."""
        with self._opener.open(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as response:
            return str(response.read().decode())

    def api(self, path: str) -> Any:
        """Return the data of an API answer."""
        return json.loads(self.get(f"/api/monitoring/notifications{path}"))["data"]

    def metric(self, name: str) -> float:
        """Return one sample, named with its labels as the text format has them."""
        for line in self.get("/metrics").splitlines():
            if line.startswith(name + " "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"no sample {name}")


class Daemon:
    """A daemon process."""

    def __init__(self, rig: Rig, command: Sequence[str]) -> None:
        self._rig = rig
        self._log = rig.folder / "daemon.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=rig.environ, cwd=rig.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def output(self) -> str:
        """All that daemons of this rig printed and logged."""
        return self._log.read_text(errors="replace")

    def wait_ready(self) -> None:
        """Wait until /readyz says so."""

        def ready() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.output}")
            try:
                self._rig.get("/readyz")
            except OSError:
                return False
            return True

        wait_until(ready, START_SECONDS)

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL, or what Windows has for it."""
        self.process.kill()
        self.process.wait(START_SECONDS)

    def stop(self) -> int:
        """Stop it in order and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(START_SECONDS)
            raise AssertionError(f"the daemon did not stop:\n{self.output}") from None
