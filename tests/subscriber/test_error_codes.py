"""Every error code is answered by somebody: a table from codes to requests against running daemons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx2
import pytest

from subscriber.errors import StoreError
from subscriber.monitoring.answers import ErrorCode
from subscriber.monitoring.documented import CODES
from tests.support.daemon import PREFIX
from tests.support.provider_server import ProviderServer
from tests.support.running_service import ServiceThread, provider_environ, running_service

TOKEN, READ_TOKEN = "a-long-random-word", "another-long-random-word"
#: Codes whose cause is a matter of sockets, threads and time: their tests are with what they protect.
ELSEWHERE: Mapping[ErrorCode, str] = {
    ErrorCode.FORBIDDEN_HOST: "test_api_access",
    ErrorCode.BODY_TOO_SLOW: "test_api_limits",
    ErrorCode.BUSY: "test_api_limits",
    ErrorCode.TOO_MANY_STREAMS: "test_events",
    ErrorCode.NOT_RETRIABLE: "test_dead_letters_api",
    ErrorCode.NOT_READY: "test_api_health",
}


@dataclass(frozen=True)
class Call:
    """A request that is answered with a code."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    status: int | None = None  #: where it is not the one that usually goes with the code


JSON = {"Content-Type": "application/json"}
CALLS: Mapping[ErrorCode, tuple[Call, ...]] = {
    ErrorCode.INVALID_REQUEST: (
        Call("GET", f"{PREFIX}/history?limit=0"),
        Call("POST", f"{PREFIX}/silences", {"match": {"symboll": "TNA"}, "seconds": 60, "author": ""}),
        Call("POST", f"{PREFIX}/routes/explain", content=b"{", headers=JSON),
    ),
    ErrorCode.UNAUTHENTICATED: (
        Call("GET", f"{PREFIX}/status", headers={"Authorization": "Bearer wrong"}),
        Call("POST", f"{PREFIX}/reload", headers={"Authorization": ""}),
    ),
    ErrorCode.FORBIDDEN_SCOPE: (
        Call("POST", f"{PREFIX}/reload", headers={"Authorization": f"Bearer {READ_TOKEN}"}),
        Call("DELETE", f"{PREFIX}/silences/1", headers={"Authorization": f"Bearer {READ_TOKEN}"}),
    ),
    ErrorCode.FORBIDDEN_ORIGIN: (Call("POST", f"{PREFIX}/reload", headers={"Origin": "http://evil.example"}),),
    ErrorCode.NOT_FOUND: (Call("GET", f"{PREFIX}/nothing"), Call("GET", "/nothing")),
    ErrorCode.METHOD_NOT_ALLOWED: (Call("PUT", f"{PREFIX}/silences"), Call("DELETE", f"{PREFIX}/history")),
    ErrorCode.UNKNOWN_CHANNEL: (
        Call("GET", f"{PREFIX}/history?channel=telegramm"),
        Call("POST", f"{PREFIX}/test", {"channel": "telegramm"}),
        Call("POST", f"{PREFIX}/channels/telegramm/resume"),
        Call("PATCH", f"{PREFIX}/channels/telegramm", {"enabled": True}),
    ),
    ErrorCode.UNKNOWN_ALERT: (
        Call("GET", f"{PREFIX}/alerts/{uuid4()}"),
        Call("POST", f"{PREFIX}/alerts/{uuid4()}/ack"),
    ),
    ErrorCode.UNKNOWN_SILENCE: (Call("DELETE", f"{PREFIX}/silences/999"),),
    ErrorCode.UNKNOWN_DIGEST: (Call("GET", f"{PREFIX}/digests/999"),),
    ErrorCode.UNKNOWN_DEAD_LETTER: (
        Call("GET", f"{PREFIX}/dead-letters/999"),
        Call("POST", f"{PREFIX}/dead-letters/999/retry"),
    ),
    ErrorCode.BODY_TOO_LARGE: (Call("POST", f"{PREFIX}/routes/explain", {"description": "x" * 100_000}),),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: (
        Call("POST", f"{PREFIX}/reload", content=b"author=Kim", headers={"Content-Type": "text/plain"}),
    ),
    ErrorCode.WEBHOOK_REFUSED: (
        Call("POST", "/webhooks/twilio", content=b"MessageSid=SM1"),
        Call("GET", "/webhooks/nobody", status=404),
        Call("POST", "/webhooks/twilio", content=b"x" * 300_000, status=413),
    ),
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    environ = {"ALERTBUS_API_TOKEN": TOKEN, "ALERTBUS_API_READ_TOKEN": READ_TOKEN}
    folder = tmp_path_factory.mktemp("daemon")
    with ProviderServer() as providers:
        given = provider_environ(providers) | {"ALERTBUS_PUBLIC_URL": "https://alerts.example.org"}
        with running_service(given | environ, folder) as running:
            yield running


def refused(answer: httpx2.Response, code: ErrorCode, status: int | None = None) -> None:
    """Fail unless an answer is the envelope of a code, with its status."""
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status or CODES[code][0], code.value), answer.text
    assert body["status"] == "error"
    assert body["error"]


@pytest.mark.parametrize(
    ("code", "call"),
    [(code, call) for code, calls in CALLS.items() for call in calls],
    ids=lambda value: str(value)[:60],
)
def test_code_is_answered(daemon: ServiceThread, code: ErrorCode, call: Call) -> None:
    given: dict[str, Any] = {"content": call.content} if call.content is not None else {"json": call.body}
    refused(daemon.http.request(call.method, call.path, headers=dict(call.headers), **given), code, call.status)


def test_code_of_a_refused_configuration_comes_with_its_problems(daemon: ServiceThread) -> None:
    Path(daemon.environ["ALERTBUS_CONFIG"]).write_text('[[routes]]\nname = "all"\nchannels = ["nobody"]\n')
    answer = daemon.http.post(f"{PREFIX}/reload")
    refused(answer, ErrorCode.CONFIGURATION_REFUSED)
    assert answer.json()["data"]["problems"]


def test_code_of_too_many_tests_says_when_to_come_again(daemon: ServiceThread) -> None:
    answers = [daemon.http.post(f"{PREFIX}/test", json={"channel": "telegram"}) for _ in range(12)]
    refused(answers[-1], ErrorCode.TOO_MANY_TESTS)
    assert int(answers[-1].headers["retry-after"]) >= 1


def fail(error: Exception) -> Callable[..., object]:
    def raising(*_args: object, **_fields: object) -> object:
        raise error

    return raising


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreError("The database can't be used at the moment."), ErrorCode.STORE_UNAVAILABLE),
        (ZeroDivisionError("a secret may be in here"), ErrorCode.INTERNAL),
    ],
    ids=["store", "bug"],
)
def test_code_of_what_fails_inside_tells_nothing_of_it(
    daemon: ServiceThread, error: Exception, code: ErrorCode
) -> None:
    with patch("subscriber.store.changes.Changes.changes", fail(error)):
        answer = daemon.http.get(f"{PREFIX}/changes")
    refused(answer, code)
    assert "secret" not in answer.text


def test_codes_all_have_a_test() -> None:
    """Who adds a code adds a request that is answered with it, here or in the file that is named here."""
    own = {
        ErrorCode.CONFIGURATION_REFUSED,
        ErrorCode.TOO_MANY_TESTS,
        ErrorCode.STORE_UNAVAILABLE,
        ErrorCode.INTERNAL,
    }
    assert set(CALLS) | set(ELSEWHERE) | own == set(ErrorCode)
    for code, name in ELSEWHERE.items():
        (text,) = (file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob(f"{name}.py"))
        assert f'"{code.value}"' in text or f"ErrorCode.{code.name}" in text, (code, name)
