"""Debian's Prometheus as a process: it scrapes what a test names, and answers what the test asks.

Only what a person would set is set; its HTTP API listens on a free port of loopback.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from tests.support.ports import free_port
from tests.support.tools import needed
from tests.support.waiting import wait_until

_START_SECONDS: Final = 60.0
_QUERY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of an answer."""

    labels: Mapping[str, str]
    at: float  #: Unix seconds
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """The numbers of one series over time: Unix seconds and value."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def numbers(self) -> list[float]:
        """The values but for NaN."""
        return [value for _at, value in self.points if not math.isnan(value)]


class Prometheus:
    """One Prometheus process; it ends with the block."""

    def __init__(self, folder: Path, configuration: Mapping[str, Any], *flags: str) -> None:
        """Start nothing yet.

        Args:
            folder: Of its own; gets its configuration, data and log.
            configuration: What `prometheus.yml` would hold.
            flags: Further ones of the command line.
        """
        self._folder = folder
        self._configuration = dict(configuration)
        self._flags = flags
        self._address = f"127.0.0.1:{free_port()}"
        #: Where it is, such as `http://127.0.0.1:40123`.
        self.url = f"http://{self._address}"
        self._http = httpx2.Client(base_url=self.url, timeout=_QUERY_SECONDS, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it, and wait until it is ready; the test is skipped, or fails in CI, where it is not installed.

        Raises:
            AssertionError: It did not start; it says what it wrote.
        """
        program = needed("prometheus", "apt install prometheus")
        self._folder.mkdir(parents=True, exist_ok=True)  # an earlier one may have left its data
        config = self._folder / "prometheus.json"
        config.write_text(json.dumps(self._configuration), encoding="utf-8")  # JSON is YAML
        with (self._folder / "prometheus.log").open("wb") as written:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={config}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={self._address}",
                    "--enable-feature=exemplar-storage",
                    *self._flags,
                ],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
            )
        try:
            process = self._process
            wait_until(lambda: process.poll() is not None or self._is_ready(), _START_SECONDS)
            assert process.poll() is None, self.log()
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

    def log(self) -> str:
        """Return what it wrote so far."""
        return (self._folder / "prometheus.log").read_text(encoding="utf-8", errors="replace")

    # --- what it is asked -----------------------------------------------------------------------------------

    def query(self, expression: str, at: float | None = None) -> list[Sample]:
        """Return what an expression gives at a time in Unix seconds, now where none is named.

        Raises:
            AssertionError: Prometheus refuses the expression; or it gives no vector and no scalar.
        """
        asked: dict[str, Any] = {"query": expression} if at is None else {"query": expression, "time": at}
        data = self._ask("/api/v1/query", asked)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][0]), float(data["result"][1]))]
        assert data["resultType"] == "vector", data["resultType"]
        return [Sample(_labels(row), float(row["value"][0]), float(row["value"][1])) for row in data["result"]]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """Return what an expression gives between two times, each `step` seconds.

        Raises:
            AssertionError: Prometheus refuses the expression.
        """
        data = self._ask("/api/v1/query_range", {"query": expression, "start": start, "end": end, "step": step})
        return [
            Series(_labels(row), tuple((float(at), float(value)) for at, value in row["values"]))
            for row in data["result"]
        ]

    def exemplars(self, expression: str, start: float, end: float) -> list[dict[str, Any]]:
        """Return the exemplars of the series of an expression: each with `labels`, `value` and `timestamp`."""
        data = self._ask("/api/v1/query_exemplars", {"query": expression, "start": start, "end": end})
        return [exemplar for series in data for exemplar in series["exemplars"]]

    def label_values(self, label: str, selector: str, start: float, end: float) -> list[str]:
        """Return the values of a label that the series of a selector had between two times."""
        values = self._ask(f"/api/v1/label/{label}/values", {"match[]": selector, "start": start, "end": end})
        return [str(value) for value in values]

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that are pending or firing now."""
        found: list[dict[str, Any]] = self._ask("/api/v1/alerts", {})["alerts"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule that it has loaded, with its health and its last error."""
        return [rule for group in self._ask("/api/v1/rules", {})["groups"] for rule in group["rules"]]

    def _ask(self, path: str, asked: Mapping[str, Any]) -> Any:
        answer = self._http.get(path, params=dict(asked)).json()
        assert answer["status"] == "success", f"{answer.get('error')}: {asked}"
        return answer["data"]

    def _is_ready(self) -> bool:
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx2.TransportError:
            return False


def _labels(row: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in row["metric"].items()}
