"""docs/api.md is true: its table of errors is complete, its limits are the code's, its examples work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx2
import pytest

from subscriber.http_connections import IDLE_SECONDS, MOST_CONNECTIONS
from subscriber.monitoring.answers import ErrorCode
from subscriber.monitoring.documented import CODES
from subscriber.monitoring.limits import BODY_LIMIT, BODY_SECONDS, MOST_REQUESTS
from subscriber.monitoring.webhooks import BODY_LIMIT as WEBHOOK_LIMIT
from tests.support.provider_server import ProviderServer
from tests.support.running_service import ServiceThread, provider_environ, running_service

DOCUMENT: Final = (Path(__file__).parents[2] / "docs/api.md").read_text(encoding="utf-8")
TOKEN: Final = "a-long-random-word"
EXAMPLES: Final = re.findall(r"^curl .*$", DOCUMENT, re.MULTILINE)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    with ProviderServer() as providers:
        environ = provider_environ(providers) | {"ALERTBUS_API_TOKEN": TOKEN}
        with running_service(environ, tmp_path_factory.mktemp("daemon")) as running:
            yield running


def test_table_of_errors_has_each_code_with_its_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", DOCUMENT, re.MULTILINE)
    assert sorted(rows) == sorted((code.value, str(CODES[code][0])) for code in ErrorCode)


def test_limits_are_those_of_the_code() -> None:
    assert f"{BODY_LIMIT // 1024} KiB, whole within {BODY_SECONDS:g} s" in DOCUMENT
    assert f"(webhooks: {WEBHOOK_LIMIT // 1024} KiB)" in DOCUMENT
    assert f"| requests answered at a time | {MOST_REQUESTS}," in DOCUMENT
    assert f"| open connections | {MOST_CONNECTIONS}," in DOCUMENT
    assert f"about {IDLE_SECONDS:g} s" in DOCUMENT


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[-60:])
def test_example_is_answered(daemon: ServiceThread, example: str) -> None:
    words = shlex.split(example.replace("$TOKEN", TOKEN))[1:]
    options: dict[str, list[str]] = {}
    while len(words) > 1:
        option = words.pop(0)
        options.setdefault(option, []).append("" if option == "-N" else words.pop(0))
    (method,) = options.get("-X", ["GET"])
    headers = dict(header.split(": ") for header in options["-H"])
    body = "".join(options.get("-d", []))
    path = words[0].removeprefix("http://127.0.0.1:8787")
    assert path.startswith("/api/")
    with (
        httpx2.Client(base_url=daemon.url, timeout=30, trust_env=False) as http,
        http.stream(method, path, headers=headers, content=body) as answer,
    ):
        assert answer.status_code == 200
