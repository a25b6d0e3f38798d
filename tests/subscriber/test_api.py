"""The HTTP API over real HTTP: its envelope, its token, its refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from tests.support.provider_server import ProviderServer
from tests.support.running_service import PREFIX, ServiceThread, provider_environ, running_service

TOKEN = "a-long-random-word"
GUARDED = ("/status", "/history", f"/alerts/{UUID(int=4)}")


@pytest.fixture(scope="module")
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture(scope="module")
def daemon(providers: ProviderServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    """Without a token, as on a developer's machine."""
    with running_service(provider_environ(providers), tmp_path_factory.mktemp("daemon")) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    """With a token, in a dry run."""
    with running_service({"ALERTBUS_API_TOKEN": TOKEN}, tmp_path_factory.mktemp("guarded")) as running:
        yield running


def error_of(answer: Any, status: int) -> str:
    """Return the sentence of a refusal, whose envelope holds nothing else."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"status", "error", "code"}
    assert body["status"] == "error"
    sentence: str = body["error"]
    return sentence


def test_status_without_token_setting_answers_anyone_on_loopback(daemon: ServiceThread) -> None:
    answer = daemon.http.get(f"{PREFIX}/status")
    assert answer.status_code == 200
    assert set(answer.json()) == {"status", "data"}
    assert answer.headers["content-type"] == "application/json"
    status = answer.json()["data"]
    assert (status["running"], status["dry_run"]) == (True, False)
    assert {channel["name"]: channel["state"] for channel in status["channels"]} == {"telegram": "ok", "whatsapp": "ok"}
    assert status["started_at"]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        "Bearer schl\u00fcssel",
    ],
)
def test_guard_without_the_token_is_401_and_says_which_setting(
    guarded: ServiceThread, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {b"Authorization": authorization.encode("latin-1")}
    del guarded.http.headers["Authorization"]
    try:
        answer = guarded.http.get(PREFIX + path, headers=headers)
    finally:
        guarded.http.headers["Authorization"] = f"Bearer {TOKEN}"
    sentence = error_of(answer, 401)
    assert "ALERTBUS_API_TOKEN" in sentence
    assert TOKEN not in answer.text
    assert answer.headers["www-authenticate"] == "Bearer"


def test_guard_refuses_tests_before_it_reads_them(guarded: ServiceThread) -> None:
    answer = guarded.http.post(f"{PREFIX}/test", content=b"{", headers={"Authorization": "Bearer wrong"})
    error_of(answer, 401)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_guard_with_the_token_lets_through(guarded: ServiceThread, scheme: str) -> None:
    answer = guarded.http.get(f"{PREFIX}/status", headers={"Authorization": f"{scheme} {TOKEN}"})
    assert answer.status_code == 200


def test_guard_compares_in_constant_time(guarded: ServiceThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of an answer tells nothing of how much of a guess was right."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, wanted: bytes) -> bool:
        compared.append((given, wanted))
        return given == wanted

    monkeypatch.setattr("subscriber.monitoring.access.secrets.compare_digest", compare)
    assert guarded.http.get(f"{PREFIX}/status", headers={"Authorization": "Bearer guess"}).status_code == 401
    assert guarded.http.get(f"{PREFIX}/status").status_code == 200
    assert compared == [(b"guess", TOKEN.encode()), (TOKEN.encode(), TOKEN.encode())]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"])
def test_guard_leaves_health_and_metrics_open(guarded: ServiceThread, path: str) -> None:
    """A scraper and an orchestrator have no token; nothing there is about an alert's content."""
    answer = guarded.http.get(path, headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 200
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", f"{PREFIX}/nowhere", 404), ("DELETE", f"{PREFIX}/status", 405)],
)
def test_path_unknown_is_refused_in_the_envelope(daemon: ServiceThread, method: str, path: str, status: int) -> None:
    assert error_of(daemon.http.request(method, path), status)


def test_test_of_unknown_channel_is_404_and_names_the_known(daemon: ServiceThread) -> None:
    sentence = error_of(daemon.http.post(f"{PREFIX}/test", json={"channel": "telegramm"}), 404)
    assert sentence == "There is no channel 'telegramm'; there are: whatsapp, telegram."


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "JSON"),
        (b"[]", "body"),
        (b'"telegram"', "body"),
        (b'{"channel": 7}', "channel"),
        (b'{"chanel": "telegram"}', "chanel"),
        (b'{"channel": "%s"}' % (b"x" * 65), "channel"),
        (b'{"text": ""}', "text"),
        (b'{"text": "%s"}' % (b"x" * 1001), "text"),
        (b'{"text": "\\ud800"}', "text"),
        (b"\xff\xfe", "body"),
        (b"[" * 60_000, "body"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_test_with_malformed_body_is_refused_and_names_the_field(
    daemon: ServiceThread, providers: ProviderServer, body: bytes, named: str
) -> None:
    before = len(providers.accepted)
    answer = daemon.http.post(f"{PREFIX}/test", content=body, headers={"Content-Type": "application/json"})
    assert named in error_of(answer, 422)
    assert len(providers.accepted) == before


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"before": "0"}, "before"),
        ({"before": str(2**63)}, "before"),
        ({"before": "9" * 5000}, "before"),
        ({"state": "sent"}, "state"),
        ({"channel": "a\0b"}, "channel"),
        ({"channel": "x" * 65}, "channel"),
        ({"channel": ""}, "channel"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_history_with_malformed_query_is_422_and_names_it(
    daemon: ServiceThread, query: dict[str, str], named: str
) -> None:
    assert f"{named}: " in error_of(daemon.http.get(f"{PREFIX}/history", params=query), 422)


def test_alert_with_malformed_id_is_422(daemon: ServiceThread) -> None:
    assert "alert_id: " in error_of(daemon.http.get(f"{PREFIX}/alerts/7"), 422)


def test_alert_unknown_is_404(daemon: ServiceThread) -> None:
    alert_id = uuid4()
    assert str(alert_id) in error_of(daemon.http.get(f"{PREFIX}/alerts/{alert_id}"), 404)


def test_bug_of_ours_is_500_in_the_envelope_without_its_words(
    daemon: ServiceThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_fields: object) -> None:
        raise ZeroDivisionError("a secret may be in here")

    monkeypatch.setattr("subscriber.service.status_of", fail)
    with httpx2.Client(base_url=daemon.http.base_url, trust_env=False) as http:  # it ends with a bug
        answer = http.get(f"{PREFIX}/status")
    assert "log" in error_of(answer, 500)
    assert "secret" not in answer.text


def test_answers_tell_nothing_of_the_server(daemon: ServiceThread) -> None:
    assert "server" not in daemon.http.get("/healthz").headers


def test_openapi_describes_every_path(daemon: ServiceThread) -> None:
    described = json.loads(daemon.http.get("/openapi.json").text)
    names = ("status", "test", "history", "alerts/{alert_id}")
    assert {f"{PREFIX}/{name}" for name in names} <= set(described["paths"])


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Host": "evil.example:8787"}, {"Origin": "null"}],
    ids=str,
)
def test_guard_without_a_token_refuses_pages_of_other_origins(
    daemon: ServiceThread, providers: ProviderServer, headers: dict[str, str]
) -> None:
    """A page anywhere on the web can make a browser on this machine ask."""
    before = len(providers.accepted)
    error_of(daemon.http.post(f"{PREFIX}/test", headers=headers), 403)
    error_of(daemon.http.get(f"{PREFIX}/history", headers=headers), 403)
    assert len(providers.accepted) == before
