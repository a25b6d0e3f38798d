"""Schemathesis against a running daemon: `python -m tests.support.fuzz [--examples N] [--seed SEED]`.

The daemon is a process with a past of every kind, a token and the loopback provider; what its document says is what is
tried: all operations, all checks. One seed makes the same cases again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bus.alerts import Alert
from tests.support.eventful import eventful_environ, settled
from tests.support.provider_server import ProviderServer
from tests.support.running_service import DaemonProcess, daemon_process, environment_of_a_process

TOKEN: Final = "a-long-random-word"
SEED: Final = 1
#: What CI takes: one or two minutes, most of them for what the schemas alone make.
EXAMPLES: Final = 3
_LIMIT_SECONDS: Final = 3600
#: Rules between fields, which no schema says: what follows it and is refused all the same is refused with 422.
_RULED: Final = ("addSilence", "explainRoute", "previewTemplate", "sendTest", "retryDeadLetters")
_TAKEN: Final = ("2xx", 401, 403, 404, 409, 429)


@dataclass(frozen=True)
class Fuzzed:
    """What came of a run."""

    report: Mapping[str, Any]
    output: str  #: for people, with a curl of each failure
    alive: bool  #: whether the daemon still runs and answers; it may have no channel that is switched on

    @property
    def operations(self) -> int:
        """How many were tried."""
        return int(self.report["operations"]["tested"])

    @property
    def cases(self) -> int:
        """How many requests were made up."""
        return int(self.report["test_cases"]["generated"])

    @property
    def failures(self) -> int:
        """How many cases the daemon failed, and how many could not be tried."""
        return int(self.report["test_cases"]["with_failures"]) + len(self.report["errors"])


def fuzzed(
    folder: Path,
    *,
    examples: int = EXAMPLES,
    seed: int = SEED,
    only: str | None = None,
    change: Callable[[dict[str, Any]], None] | None = None,
) -> Fuzzed:
    """Try a daemon in a folder of its own.

    Args:
        folder: The test's own.
        examples: The most cases of each operation in the phase that makes them up.
        seed: Of what is made up.
        only: The id of the one operation that is tried; None for all.
        change: Spoils the document before it is compared with the daemon.
    """
    with _running(folder) as (daemon, alerts):
        config, report, page = folder / "schemathesis.toml", folder / "report.json", folder / "openapi.json"
        document: dict[str, Any] = daemon.http.get("/openapi.json").json()
        if change is not None:
            change(document)
        page.write_text(json.dumps(document), encoding="utf-8")
        config.write_text(_config(alerts, examples, seed), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
            *("run", str(page), "--url", daemon.url, "--no-color"),
            *(() if only is None else ("--include-operation-id", only)),
            *("--report", "json", "--report-json-path", str(report)),
        ]
        environ = environment_of_a_process({"NO_PROXY": "*", "API_TOKEN": TOKEN})
        done = subprocess.run(
            command, cwd=folder, env=environ, capture_output=True, timeout=_LIMIT_SECONDS, check=False, text=True
        )
        output = done.stdout + done.stderr
        assert report.exists(), output
        alive = daemon.process.poll() is None and daemon.http.get("/healthz").status_code == 200
        return Fuzzed(json.loads(report.read_text(encoding="utf-8")), output, alive)


@contextmanager
def _running(folder: Path) -> Iterator[tuple[DaemonProcess, Mapping[str, Alert]]]:
    with ProviderServer() as providers:
        environ, alerts = eventful_environ(providers, folder, {"ALERTBUS_API_TOKEN": TOKEN})
        with daemon_process(environ, folder) as daemon:
            settled(daemon, alerts)
            yield daemon, alerts


def _config(alerts: Mapping[str, Alert], examples: int, seed: int) -> str:
    """Return Schemathesis's configuration: deterministic, known ids among the random ones, and what is refused."""
    alert_ids = [str(alerts[name].id) for name in ("delivered", "dead", "escalated")]
    return f"""
seed = {seed}
workers = 1
continue-on-failure = true
max-stream-events = 2
request-timeout = 30.0
suppress-health-check = ["all"]

[headers]
Authorization = "Bearer ${{API_TOKEN}}"

[generation]
deterministic = true
max-examples = {examples}
database = "none"

[dictionaries.alerts]
values = {json.dumps(alert_ids)}
[dictionaries.numbers]
values = [1, 2, 3, 4]
[dictionaries.channels]
values = ["telegram", "whatsapp"]

[parameters]
alert_id = {{ dictionary = "alerts" }}
number = {{ dictionary = "numbers" }}
letter_id = {{ dictionary = "numbers" }}
name = {{ dictionary = "channels" }}

[checks.positive_data_acceptance]
expected-statuses = {json.dumps(_TAKEN)}

[[operations]]
include-operation-id = {json.dumps(_RULED)}
checks.positive_data_acceptance.expected-statuses = {json.dumps([*_TAKEN, 422])}

# Every channel may be switched off by then.
[[operations]]
include-operation-id = "isReady"
checks.positive_data_acceptance.expected-statuses = [200, 503]
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503]

# A test waits for its providers up to ten seconds: those that are sent are the made-up ones and the examples.
[[operations]]
include-operation-id = "sendTest"
phases.coverage.generation.mode = "negative"
generation.max-examples = 2

# It takes each event for an object of the schema; what streams hold is compared by their own tests.
[[operations]]
include-operation-id = "followEvents"
checks.response_schema_conformance.enabled = false
"""


def main() -> int:
    """Print what came of a run; 1 where anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=50, help="cases of each operation and phase at most")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = fuzzed(Path(folder), examples=given.examples, seed=given.seed)
    sys.stdout.write(f"{found.output}\n")
    sys.stdout.write(f"operations {found.operations}, cases {found.cases}, failures {found.failures}\n")
    return 0 if found.failures == 0 and found.alive else 1


if __name__ == "__main__":
    sys.exit(main())
