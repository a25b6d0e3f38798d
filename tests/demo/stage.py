"""Where the demo is played: providers of loopback, a daemon and a trader as processes, all in a folder of its own.

The bus is always on free ports, so that no real trader ever delivers to the demo's daemon.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from tests.demo.play import Fault, Person, Progress, Risk, Step, Trade, Trader
from tests.support.daemon import Daemon, daemon_environ, provider_environ
from tests.support.groups import interrupt, own_group
from tests.support.provider_faults import error, fails_later, for_posts
from tests.support.provider_server import TELEGRAM_BLOCKED_CHAT, TELEGRAM_CHAT, ProviderServer
from tests.support.running_service import environment_of_a_process

#: Of Twilio: "Message cannot be sent for the channel's policy", and "Meta chose not to deliver it".
_REFUSED_FOR_GOOD: Final = 63013
_UNDELIVERABLE: Final = 63049
_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.05

_CONFIG: Final = """
[channels.desk]
url  = "json://127.0.0.1:{port}/hook"
pace = "20/s"

[[routes]]
name     = "risk"
match    = {{ severity = ">=WARNING" }}
channels = ["whatsapp", "telegram"]

[[routes]]
name     = "trades"
match    = {{ action = ["BUY", "SELL"] }}
channels = ["telegram", "desk"]
"""
_SETTINGS: Final = {
    "ALERTBUS_SOURCE": "live_trader",
    "ALERTBUS_PUBLISHER_TIMEOUT": "5",
    "ALERTBUS_HEARTBEAT_INTERVAL": "0.5",
    "ALERTBUS_MAX_DELAY": "5",
    "ALERTBUS_DEDUP_WINDOW": "10",
    "ALERTBUS_DEDUP_WINDOW_CRITICAL": "10",
    "ALERTBUS_FALLBACK_AFTER": "20",
    "ALERTBUS_DELIVERY_BACKOFF_CAP": "5",
}


class DemoFailedError(Exception):
    """The daemon could not start, or ended by itself; the text holds the end of its log."""


class Stage:
    """Everything that runs while the demo is shown; a `with` block ends all of it in order."""

    def __init__(
        self, folder: Path, *, http_port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        """Prepare.

        Args:
            folder: For the database, journal, configuration and logs; empty.
            http_port: Where the page is; None takes any free port.
            settings: Of the daemon, before the demo's own.
        """
        self._folder = folder
        self._providers = ProviderServer()
        self._http_port = http_port
        self._settings = dict(settings or {})
        self._running = ExitStack()
        self._trader: subprocess.Popen[str] | None = None
        self._ways: dict[type[Any], Callable[[Any], None]] = {
            Risk: lambda step: self._order("risk_event", step.fields),
            Trade: lambda step: self._order("agent_action", step.fields),
            Progress: lambda _step: self._order("progress"),
            Fault: self._fault,
            Person: self._person,
            Trader: lambda step: self.start_trader() if step.does == "starts" else self.kill_trader(),
        }

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._providers)
            port = {} if self._http_port is None else {"ALERTBUS_HTTP_PORT": str(self._http_port)}
            given = {**provider_environ(self._providers), **_SETTINGS, **port, **self._settings}
            self._environ = daemon_environ(given, self._folder)
            config = Path(self._environ["ALERTBUS_CONFIG"])
            config.write_text(_CONFIG.format(port=self._providers.port), encoding="utf-8")
            self.daemon = Daemon(self._environ)
            stack.callback(self.daemon.http.close)
            self.log = self._folder / "daemon.log"
            log = stack.enter_context(self.log.open("w", encoding="utf-8"))
            self._process = self._start("subscriber", "run", out=log)
            stack.callback(_stop, self._process)
            self._wait_ready()
            stack.callback(self.end_trader)
            self._running = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the trader, which says goodbye, then the daemon, then the providers."""
        self._running.close()

    @property
    def providers(self) -> ProviderServer:
        """The stand-ins of Telegram, Twilio, Meta and a webhook."""
        return self._providers

    def perform(self, step: Step) -> None:
        """Carry out one step of the play.

        Raises:
            DemoFailedError: The daemon has ended.
        """
        if self._process.poll() is not None:
            raise self._failure("the daemon ended")
        self._ways[type(step)](step)

    def start_trader(self) -> None:
        """Start the trading process, unless it runs."""
        if self._trader is None:
            self._trader = self._start("tests.demo.trader", given=subprocess.PIPE)

    def kill_trader(self) -> None:
        """End the trading process as a power cut would."""
        if self._trader is not None:
            self._trader.kill()
            self._close_trader()

    def end_trader(self) -> None:
        """End the trading process in order."""
        if self._trader is not None:
            self._close_trader()

    def _close_trader(self) -> None:
        trader, self._trader = self._trader, None
        if trader is None or trader.stdin is None:
            return
        with suppress(OSError):  # it is dead, and what was written last can't be flushed
            trader.stdin.close()
        trader.wait(_END_SECONDS)

    def _start(
        self, module: str, *arguments: str, out: IO[str] | None = None, given: int = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        # Ctrl-C is for the demo alone, which then ends its processes one after the other.
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self._folder,
            env=environment_of_a_process(self._environ),
            stdin=given,
            stdout=out,
            stderr=None if out is None else subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            **own_group(),
        )

    def _wait_ready(self) -> None:
        limit = time.monotonic() + _START_SECONDS
        while not self.daemon.is_ready():
            if self._process.poll() is not None:
                raise self._failure("the daemon did not start")
            if time.monotonic() > limit:
                raise self._failure(f"the daemon was not ready within {_START_SECONDS:g} s")
            time.sleep(_LOOK_SECONDS)

    def _failure(self, what: str) -> DemoFailedError:
        return DemoFailedError(f"{what}:\n{self.log.read_text(encoding='utf-8')[-2000:]}")

    def _order(self, do: str, fields: dict[str, Any] | None = None) -> None:
        if self._trader is None or self._trader.stdin is None:
            return
        self._trader.stdin.write(json.dumps({"do": do, "fields": fields}) + "\n")
        self._trader.stdin.flush()

    def _fault(self, step: Fault) -> None:
        if step.provider == "telegram":
            chats = self._providers.telegram.rules.chats
            chats[TELEGRAM_CHAT] = chats[TELEGRAM_BLOCKED_CHAT] if step.kind == "blocked" else None
            return
        desk = self._providers.twilio
        if step.kind == "failing":
            desk.always(for_posts(error(503)))
        elif step.kind == "refuses_next":
            desk.script(for_posts(error(400, code=_REFUSED_FOR_GOOD)))
        elif step.kind == "fails_next_later":
            desk.script(for_posts(fails_later(_UNDELIVERABLE)))
        else:
            desk.behave()

    def _person(self, step: Person) -> None:
        if step.does == "resume":
            self.daemon.post(f"/channels/{step.fields['channel']}/resume")
        elif step.does == "silence":
            self.daemon.post("/silences", step.fields)
        else:
            waiting = [
                entry["alert"]["id"]
                for entry in self.daemon.get("/history", severity="CRITICAL", limit=20)
                if entry["alert"].get("event_type") == "DRAWDOWN_BREACH"
            ]
            if waiting:
                self.daemon.post(f"/alerts/{waiting[0]}/ack", step.fields)


def _stop(process: subprocess.Popen[str]) -> None:
    """Ask the daemon to stop, and wait for its end; one that does not is killed."""
    if process.poll() is None:
        interrupt(process)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_END_SECONDS)
