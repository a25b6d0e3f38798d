"""Runs the whole daemon for a test: in a thread of this process, or as a process of its own that can be killed.

Both listen on free ports of loopback, with database and journal in the test's folder, and are ready when they are
handed out. A daemon's `environ` is all that it was configured with: a publisher of the same environment finds it, and
another daemon of the same environment takes over where it ended.

    with ProviderServer() as providers, running_service(provider_environ(providers), tmp_path) as daemon:
        daemon.post("/test", {"channel": "telegram"})

    with daemon_process(provider_environ(providers), tmp_path) as daemon:
        daemon.kill()
    with daemon_process(daemon.environ, tmp_path) as daemon: ...
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import IO, Final
from unittest.mock import patch

from bus.clock import Clock
from subscriber.service import RunOptions, Service
from subscriber.settings import SubscriberSettings
from tests.support.daemon import CREDENTIALS, PATIENCE_SECONDS, PREFIX, Daemon, daemon_environ, provider_environ
from tests.support.waiting import wait_until

__all__ = [
    "CREDENTIALS",
    "PATIENCE_SECONDS",
    "PREFIX",
    "Daemon",
    "DaemonProcess",
    "ServiceThread",
    "daemon_environ",
    "daemon_process",
    "environment_of_a_process",
    "provider_environ",
    "running_service",
    "start_command",
]

ROOT: Final = Path(__file__).parents[2]
#: How HTTP leaves a machine: what the machine of the tests says of it must not count, what a test says must.
_HTTP_NAMES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
#: What a process needs of this one's environment to run at all, and to be measured.
_INHERITED: Final = re.compile(r"PATH|HOME|LANG|LC_.*|TMP|TEMP|TMPDIR|SYSTEMROOT|COVERAGE_.*", re.IGNORECASE)


class ServiceThread(Daemon):
    """A daemon in a thread of this process."""

    def __init__(
        self, environ: Mapping[str, str], *, options: RunOptions, clock: Clock | None = None, rng: Random | None = None
    ) -> None:
        super().__init__(environ)
        #: What it said to whoever started it.
        self.said: list[str] = []
        self.service = Service(
            self._settings(), options, say=self.said.append, clock=clock, rng=rng, reread=self._settings
        )
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="service", daemon=True)

    def start(self) -> None:
        """Run until it is ready; raise what kept it from that."""
        wanted = {
            name: self.environ[name] for each in _HTTP_NAMES for name in (each, each.lower()) if name in self.environ
        }
        others = {name: value for name, value in os.environ.items() if name.upper() not in _HTTP_NAMES}
        with patch.dict(os.environ, others | wanted, clear=True):  # channels read it while they are built
            self._thread.start()
            wait_until(lambda: self.service.ready.is_set() or not self._thread.is_alive(), PATIENCE_SECONDS)
        self._raise_failure()

    def stop(self) -> None:
        """Stop in order, and raise what went wrong; harmless when it is done twice."""
        self.service.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE_SECONDS)
            assert not self._thread.is_alive(), "the daemon did not stop"
        self.http.close()
        self._raise_failure()

    def _settings(self) -> SubscriberSettings:
        return SubscriberSettings.from_environment(self.environ, env_file=None)

    def _run(self) -> None:
        try:
            self.service.run()
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            self._failure = error

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


@contextmanager
def running_service(
    environ: Mapping[str, str],
    tmp_path: Path,
    *,
    options: RunOptions | None = None,
    clock: Clock | None = None,
    rng: Random | None = None,
) -> Iterator[ServiceThread]:
    """Run a daemon in a thread; it is ready inside the block, and stopped in order at its end."""
    daemon = ServiceThread(daemon_environ(environ, tmp_path), options=options or RunOptions(), clock=clock, rng=rng)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


class DaemonProcess(Daemon):
    """A daemon as a process: `python -m subscriber run`."""

    def __init__(self, environ: Mapping[str, str], tmp_path: Path, arguments: tuple[str, ...]) -> None:
        super().__init__(environ)
        #: Lines of standard output and of standard error so far.
        self.out: list[str] = []
        self.err: list[str] = []
        self.process = start_command(self.environ, tmp_path, "run", *arguments)
        self._readers = [
            threading.Thread(target=_collect, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def wait_ready(self) -> None:
        """Wait until it is ready; fail with what it wrote where it ends instead."""
        wait_until(lambda: self.process.poll() is not None or self.is_ready(), PATIENCE_SECONDS)
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with exit code {self.wait()}:\n" + "\n".join(self.out + self.err))

    def kill(self) -> None:
        """End it without a chance to do anything more, and wait for its end."""
        self.process.kill()
        self.wait()

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        """Send SIGTERM, as a service manager does."""
        self.process.terminate()

    def wait(self) -> int:
        """Return the exit code, once it has ended and all it wrote was read."""
        code = self.process.wait(PATIENCE_SECONDS)
        for reader in self._readers:
            reader.join(PATIENCE_SECONDS)
        return code

    def close(self) -> None:
        """Kill it if it still runs, and close its pipes."""
        self.kill()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.http.close()


@contextmanager
def daemon_process(environ: Mapping[str, str], tmp_path: Path, *arguments: str) -> Iterator[DaemonProcess]:
    """Run `alertbus-subscriber run ARGUMENTS` as a process; it is ready inside the block, and dead after it."""
    daemon = DaemonProcess(daemon_environ(environ, tmp_path), tmp_path, arguments)
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.close()


def start_command(environ: Mapping[str, str], tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `alertbus-subscriber ARGUMENTS` in the test's folder with this environment alone."""
    return subprocess.Popen(
        [sys.executable, "-m", "subscriber", *arguments],
        cwd=tmp_path,
        env=environment_of_a_process(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def environment_of_a_process(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a process of ours needs to run, and this environment, and nothing else."""
    inherited = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **environ}


def _collect(stream: IO[str], lines: list[str]) -> None:
    lines.extend(line.rstrip("\n") for line in stream)
