"""Where the day is lived: providers, a daemon and publishers, with a Prometheus and an Alertmanager that watch them.

Everything is a real process on loopback, but for the providers' stand-ins, the webhook of the alarms and one publisher,
which are threads of the test; a `with` block ends all of it, also when the day fails. Publishers of raw sockets beat in
the test's own thread: whoever waits, waits by `until`, which lets them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml  # type: ignore[import-untyped]

from publisher import Publisher
from tests.dashboards.live.ledger import Ledger
from tests.dashboards.live.raw_publisher import RawPublisher
from tests.dashboards.live.scaled import scaled_routes, scaled_rules
from tests.dashboards.live.substituted import SCRAPE_SECONDS
from tests.dashboards.live.webhook import Webhook
from tests.support.alertmanager import AlertmanagerProcess
from tests.support.daemon import daemon_environ, provider_environ
from tests.support.ping_server import PingServer
from tests.support.ports import free_port
from tests.support.prometheus import Prometheus
from tests.support.provider_server import ProviderServer
from tests.support.running_service import ROOT, DaemonProcess, environment_of_a_process
from tests.support.tools import needed
from tests.support.waiting import wait_until

RULES: Final = ROOT / "dashboards" / "prometheus" / "alertbus.rules.yml"
ROUTES: Final = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
#: By so much every time of the rules and of Alertmanager's routes is divided.
FACTOR: Final = 60.0
JOB: Final = "any_job"
#: How often publishers of raw sockets beat, and how long any publisher may be silent.
BEAT_SECONDS: Final = 0.4
TIMEOUT_SECONDS: Final = 2
#: The daemon looks at what it measures each second; what is scraped after so long shows what is now.
_MEASURED_SECONDS: Final = 1.6
_LOOK_SECONDS: Final = 0.2
_END_SECONDS: Final = 20.0

CONFIG: Final = """
[channels.desk]
url  = "json://127.0.0.1:{port}/hook/desk"
pace = "2/s"

[channels.ops]
url  = "json://127.0.0.1:{port}/hook/ops"

[templates.frail]
text = "{{{{ value / threshold }}}}"

[[routes]]
name     = "what the daemon itself tells"
match    = {{ kind = "system_event" }}
channels = ["ops"]
fallback = []

[[routes]]
match    = {{ event_type = "CALL*" }}
channels = ["telegram"]
fallback = []

[[routes]]
match    = {{ event_type = "TEXT*" }}
channels = ["whatsapp"]
fallback = []

[[routes]]
match    = {{ event_type = "TWICE" }}
channels = ["desk"]
dedup    = {{ by = ["event_type"], window = "4s" }}

[[routes]]
match    = {{ event_type = "STALE" }}
channels = ["desk"]
max_age  = "10min"

[[routes]]
match    = {{ event_type = "FRAIL" }}
channels = ["desk"]
template = "frail"

[[routes]]
match    = {{ event_type = "WAKE" }}
channels = ["desk"]
escalate = {{ ack_within = "2s", to = ["ops"] }}

[[routes]]
match    = {{ severity = ">=WARNING" }}
channels = ["desk"]

[[routes]]
match    = {{ action = ["BUY", "SELL"] }}
channels = ["desk"]

[[routes]]
channels = []
"""
_SETTINGS: Final = {
    "ALERTBUS_PUBLISHER_TIMEOUT": str(TIMEOUT_SECONDS),
    "ALERTBUS_HEARTBEAT_INTERVAL": "0.2",
    "ALERTBUS_DELIVERY_BACKOFF_BASE": "0.2",
    "ALERTBUS_DELIVERY_BACKOFF_CAP": "1",
    "ALERTBUS_MAX_DELAY": "4",
    "ALERTBUS_PING_INTERVAL": "5",
    "ALERTBUS_TELEGRAM_COMMANDS": "true",
}


class Town:
    """Everything that runs, and the ledger of what is driven."""

    def __init__(self, folder: Path) -> None:
        """Prepare.

        Args:
            folder: Empty; gets the database, the journals, configurations and logs.
        """
        self.folder = folder
        self.ledger = Ledger()
        self.providers = ProviderServer()
        self.pinged = PingServer()
        self.alarms = Webhook()
        #: What is done now and then while anybody waits.
        self.chores: list[Callable[[], object]] = []
        #: Publishers of raw sockets that beat.
        self.beating: list[RawPublisher] = []
        self._beat_at = 0.0
        self._dead_logs: list[str] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._stack = stack
            self._enter(stack)
            self._stack = stack.pop_all()
        return self

    def _enter(self, stack: ExitStack) -> None:
        for server in (self.providers, self.pinged, self.alarms):
            stack.enter_context(server)
        port = str(free_port())
        given = {
            **provider_environ(self.providers),
            **_SETTINGS,
            "ALERTBUS_PING_URL": self.pinged.url,
            "ALERTBUS_HTTP_PORT": port,
            "ALERTBUS_PUBLIC_URL": f"http://127.0.0.1:{port}",  # by which the stand-in's receipts come
        }
        self.environ = daemon_environ(given, self.folder)
        self.config = Path(self.environ["ALERTBUS_CONFIG"])
        self.good_config = CONFIG.format(port=self.providers.port)
        self.config.write_text(self.good_config, encoding="utf-8")
        needed("prometheus-alertmanager", "apt install prometheus-alertmanager", "alertmanager")
        self.alertmanager = stack.enter_context(
            AlertmanagerProcess(self.folder / "alertmanager", _told_here(_read(ROUTES), self.alarms.url))
        )
        stack.callback(self._kill_daemon)
        self.start_daemon()
        rules = self.folder / "scaled.rules.yml"
        rules.write_text(yaml.safe_dump(scaled_rules(_read(RULES), FACTOR)), encoding="utf-8")
        self.prometheus = stack.enter_context(
            Prometheus(self.folder / "prometheus", self._watching(rules), "--rules.alert.resend-delay=2s")
        )
        self.ledger.moments["dawn"] = time.time()
        self.trader = stack.enter_context(self.publisher("trader"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # --- the daemon -----------------------------------------------------------------------------------------

    def start_daemon(self) -> None:
        """Start the daemon, which takes over where an earlier one ended, and wait until it is ready."""
        self.daemon = DaemonProcess(self.environ, self.folder, ())
        limit = time.monotonic() + 60.0
        self.until(lambda: self.daemon.process.poll() is not None or self.daemon.is_ready() or time.monotonic() > limit)
        self.daemon.wait_ready()

    def kill_daemon(self) -> None:
        """End the daemon as a power cut would."""
        self._kill_daemon()
        self._dead_logs += self.daemon.out + self.daemon.err

    def daemon_logs(self) -> list[str]:
        """Return what all daemons of the day wrote."""
        return self._dead_logs + self.daemon.out + self.daemon.err

    def _kill_daemon(self) -> None:
        if hasattr(self, "daemon"):
            self.daemon.close()

    # --- publishers -----------------------------------------------------------------------------------------

    def publisher(self, source: str) -> Publisher:
        """Make a publisher of this process; `with` opens it."""
        return Publisher.from_environment({**self.environ, "ALERTBUS_SOURCE": source})

    def raw_publisher(self, source: str, stream: bytes) -> RawPublisher:
        """Open a publisher of raw sockets; it beats once it is among `beating`."""
        endpoints = (self.environ["ALERTBUS_DATA_ENDPOINT"], self.environ["ALERTBUS_CONTROL_ENDPOINT"])
        return self._stack.enter_context(RawPublisher(endpoints, stream=stream, source=source))

    def trading_process(self, source: str) -> subprocess.Popen[str]:
        """Start a publisher as a process of its own, which can be killed; it ends with the end of its input."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.demo.trader"],
            cwd=self.folder,
            env=environment_of_a_process({**self.environ, "ALERTBUS_SOURCE": source}),
            stdin=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(end_process, process)
        return process

    # --- time -----------------------------------------------------------------------------------------------

    def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> None:
        """Wait for a condition; publishers of raw sockets beat meanwhile.

        Raises:
            AssertionError: It did not become true in time.
        """

        def beating_until() -> Any:
            now = time.monotonic()
            if now >= self._beat_at:
                self._beat_at = now + BEAT_SECONDS
                for publisher in self.beating:
                    publisher.turn()
                for chore in self.chores:
                    chore()
            return condition()

        wait_until(beating_until, seconds)

    def asked_until(self, condition: Callable[[], Any], seconds: float = 60.0) -> None:
        """Wait for what is asked of another process, which is not asked more often than needed."""
        ask_at = 0.0

        def asking() -> Any:
            nonlocal ask_at
            if time.monotonic() < ask_at:
                return None
            ask_at = time.monotonic() + _LOOK_SECONDS
            return condition()

        self.until(asking, seconds)

    def moment(self, name: str) -> float:
        """Wait until Prometheus has what the daemon measured from now on, and name that time, in Unix seconds."""
        wanted = time.time() + _MEASURED_SECONDS
        seen: list[float] = []

        def scraped() -> bool:
            seen[:] = [sample.value for sample in self.prometheus.query(f'timestamp(up{{job="{JOB}"}})')]
            return bool(seen) and seen[0] >= wanted

        self.asked_until(scraped)
        self.ledger.moments[name] = seen[0]
        return seen[0]

    def fires(self, alert: str, seconds: float = 60.0) -> None:
        """Wait until the webhook was told that an alert fires."""
        self.asked_until(lambda: alert in self.alarms.names("firing"), seconds)

    def resolves(self, alert: str, seconds: float = 60.0) -> None:
        """Wait until the webhook was told that an alert is over."""
        self.asked_until(lambda: alert in self.alarms.names("resolved"), seconds)

    def _watching(self, rules: Path) -> dict[str, Any]:
        return {
            "global": {"scrape_interval": f"{SCRAPE_SECONDS * 1000:.0f}ms", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [self.alertmanager.address]}]}]},
            "scrape_configs": [
                {
                    "job_name": JOB,
                    "static_configs": [{"targets": [f"127.0.0.1:{self.environ['ALERTBUS_HTTP_PORT']}"]}],
                }
            ],
        }


def end_process(process: subprocess.Popen[str]) -> None:
    """End a process at once, and close its input."""
    process.kill()
    process.wait(_END_SECONDS)
    if process.stdin is not None:
        process.stdin.close()


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def _told_here(example: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Return the example of `deploy/` with its times divided and each receiver's addresses replaced by one webhook."""
    receivers = [
        {
            "name": receiver["name"],
            "webhook_configs": [{"url": url, "send_resolved": receiver["name"] != "dead-mans-switch"}],
        }
        for receiver in example["receivers"]
    ]
    return {
        "route": scaled_routes(example["route"], FACTOR),
        "inhibit_rules": example.get("inhibit_rules", []),
        "receivers": receivers,
    }
