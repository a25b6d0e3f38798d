"""Who may ask the API for what: tokens and their scopes, the names it is asked by, pages of other origins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from subscriber.monitoring.answers import ErrorCode
from tests.support.running_service import PREFIX, ServiceThread, running_service

OPERATE: Final = "the-word-that-may-do-all"
READ: Final = "the-word-that-may-look"
METRICS: Final = "the-word-of-prometheus"
FRONT_END: Final = "http://localhost:3000"
ALERT: Final = f"{PREFIX}/alerts/01890000-0000-7000-8000-000000000000"
#: Each changes something.
CHANGES: Final = (
    ("POST", f"{PREFIX}/test"),
    ("POST", f"{PREFIX}/reload"),
    ("POST", f"{PREFIX}/silences"),
    ("DELETE", f"{PREFIX}/silences/1"),
    ("POST", f"{ALERT}/ack"),
    ("POST", f"{PREFIX}/channels/telegram/resume"),
)
#: Each only says something.
READS: Final = (
    ("GET", f"{PREFIX}/status"),
    ("GET", f"{PREFIX}/history"),
    ("GET", f"{PREFIX}/routes"),
    ("GET", f"{PREFIX}/silences"),
    ("GET", f"{PREFIX}/changes"),
    ("POST", f"{PREFIX}/routes/explain"),
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    """With all tokens, and a front end elsewhere."""
    environ = {
        "ALERTBUS_API_TOKEN": OPERATE,
        "ALERTBUS_API_READ_TOKEN": READ,
        "ALERTBUS_METRICS_TOKEN": METRICS,
        "ALERTBUS_CORS_ORIGINS": f"{FRONT_END}, HTTPS://Desk.Example.org:443",
    }
    with running_service(environ, tmp_path_factory.mktemp("guarded")) as running:
        yield running


@pytest.fixture(scope="module")
def open_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    """Without a token, and a front end elsewhere."""
    environ = {"ALERTBUS_CORS_ORIGINS": FRONT_END}
    with running_service(environ, tmp_path_factory.mktemp("open")) as running:
        yield running


def ask(daemon: ServiceThread, method: str, path: str, token: str | None = None, **headers: str) -> httpx2.Response:
    """Ask with exactly these headers; underscores stand for hyphens."""
    given = {name.replace("_", "-"): text for name, text in headers.items()}
    if token is not None:
        given["Authorization"] = f"Bearer {token}"
    with httpx2.Client(base_url=daemon.url, timeout=30, trust_env=False) as http:
        return http.request(method, path, headers=given)


def code_of(answer: httpx2.Response, status: int) -> ErrorCode:
    """Return the code of a refusal, whose envelope holds nothing else than it should."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"status", "error", "code"}
    assert body["status"] == "error"
    for secret in (OPERATE, READ, METRICS):
        assert secret not in answer.text
    return ErrorCode(body["code"])


# --- scopes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), READS)
@pytest.mark.parametrize("token", [OPERATE, READ])
def test_reading_takes_either_token(guarded: ServiceThread, method: str, path: str, token: str) -> None:
    assert ask(guarded, method, path, token).status_code in {200, 422}  # `explain` wants fields


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_changing_takes_no_token_that_may_read(guarded: ServiceThread, method: str, path: str) -> None:
    assert code_of(ask(guarded, method, path, READ), 403) is ErrorCode.FORBIDDEN_SCOPE
    assert ask(guarded, method, path, OPERATE).status_code not in {401, 403}


@pytest.mark.parametrize(("method", "path"), [*READS, *CHANGES, ("GET", f"{PREFIX}/nowhere"), ("PUT", PREFIX)])
@pytest.mark.parametrize("token", [None, METRICS, "wrong", OPERATE[:-1], f"{OPERATE} {READ}"])
def test_api_without_a_token_of_its_own_is_401_whether_the_path_exists_or_not(
    guarded: ServiceThread, method: str, path: str, token: str | None
) -> None:
    answer = ask(guarded, method, path, token)
    assert code_of(answer, 401) is ErrorCode.UNAUTHENTICATED
    assert answer.headers["www-authenticate"] == "Bearer"


def test_unknown_path_with_a_token_is_404(guarded: ServiceThread) -> None:
    assert code_of(ask(guarded, "GET", f"{PREFIX}/nowhere", READ), 404) is ErrorCode.NOT_FOUND
    answer = ask(guarded, "PUT", f"{PREFIX}/status", READ)
    assert code_of(answer, 405) is ErrorCode.METHOD_NOT_ALLOWED
    assert answer.headers["allow"] == "GET"


def test_path_with_a_slash_at_its_end_leads_nowhere(guarded: ServiceThread) -> None:
    """A redirect would be made of the Host header, which the asker chooses."""
    assert code_of(ask(guarded, "GET", f"{PREFIX}/status/", READ), 404) is ErrorCode.NOT_FOUND


def test_every_token_is_compared_whichever_fits(guarded: ServiceThread, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(given: bytes, wanted: bytes) -> bool:
        compared.append(wanted)
        return given == wanted

    monkeypatch.setattr("subscriber.monitoring.access.secrets.compare_digest", compare)
    for token in (OPERATE, READ, "wrong", "schl\u00fcssel"):
        headers = {b"Authorization": f"Bearer {token}".encode("latin-1")}
        with httpx2.Client(base_url=guarded.url, trust_env=False) as http:
            http.get(f"{PREFIX}/status", headers=headers)
        assert compared == [OPERATE.encode(), READ.encode(), METRICS.encode()]
        compared.clear()


# --- metrics ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [OPERATE, READ, METRICS])
def test_metrics_take_any_token(guarded: ServiceThread, token: str) -> None:
    assert "alertbus_build_info" in ask(guarded, "GET", "/metrics", token).text


@pytest.mark.parametrize("token", [None, "wrong"])
def test_metrics_with_a_token_set_ask_for_one(guarded: ServiceThread, token: str | None) -> None:
    answer = ask(guarded, "GET", "/metrics", token)
    assert code_of(answer, 401) is ErrorCode.UNAUTHENTICATED
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "ALERTBUS_METRICS_TOKEN" in answer.text


def test_metrics_without_a_token_set_are_open(open_daemon: ServiceThread) -> None:
    assert ask(open_daemon, "GET", "/metrics").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/", "/docs", "/openapi.json", "/static/lit.js"])
def test_what_holds_no_data_asks_for_no_token(guarded: ServiceThread, path: str) -> None:
    assert ask(guarded, "GET", path).status_code == 200


# --- origins ------------------------------------------------------------------------------------------------

FOREIGN: Final = (
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost:3001"},
    {"Origin": "https://localhost:3000"},
    {"Origin": f"{FRONT_END}.evil.example"},
    {"Origin": f"{FRONT_END}/"},
    {"Origin": f"{FRONT_END} http://evil.example"},
    {"Origin": "http://evil.example@localhost:3000"},
    {"Sec_Fetch_Site": "cross-site"},
)


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_changing_takes_no_foreign_page_with_a_token_neither(
    guarded: ServiceThread, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = ask(guarded, method, path, OPERATE, **headers)
    assert code_of(answer, 403) is ErrorCode.FORBIDDEN_ORIGIN
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_reading_without_a_token_takes_no_foreign_page(open_daemon: ServiceThread, headers: dict[str, str]) -> None:
    for method, path in (*READS, *CHANGES):
        assert code_of(ask(open_daemon, method, path, **headers), 403) is ErrorCode.FORBIDDEN_ORIGIN


@pytest.mark.parametrize("origin", [FRONT_END, "https://desk.example.org"])
def test_page_of_an_allowed_origin_may_change_and_read_the_answer(guarded: ServiceThread, origin: str) -> None:
    answer = ask(guarded, "POST", f"{PREFIX}/reload", OPERATE, Origin=origin, Sec_Fetch_Site="cross-site")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]


def test_page_of_the_daemon_itself_may_change(open_daemon: ServiceThread) -> None:
    for host in ("localhost", "127.0.0.1"):
        own = f"{host}:{open_daemon.http.base_url.port}"
        answer = ask(open_daemon, "POST", f"{PREFIX}/reload", Host=own, Origin=f"http://{own}")
        assert answer.status_code == 200


def test_page_asked_by_another_name_of_this_machine_is_foreign(open_daemon: ServiceThread) -> None:
    port = open_daemon.http.base_url.port
    headers = {"Host": f"127.0.0.1:{port}", "Origin": f"http://localhost:{port}"}
    assert code_of(ask(open_daemon, "POST", f"{PREFIX}/reload", **headers), 403) is ErrorCode.FORBIDDEN_ORIGIN


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "[::2]:8787", "[::1", "localhost.evil", "0.0.0.0"],
)
def test_host_of_somebody_elses_is_refused_without_a_token(open_daemon: ServiceThread, host: str) -> None:
    """A name of a stranger's can lead to this machine: his page would be the daemon's own then."""
    for method, path in (READS[0], CHANGES[0]):
        answer = ask(open_daemon, method, path, Host=host, Origin=f"http://{host}")
        assert code_of(answer, 403) is ErrorCode.FORBIDDEN_HOST


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.8.9.1:80", "[::1]:8787"])
def test_host_of_this_machine_is_taken_without_a_token(open_daemon: ServiceThread, host: str) -> None:
    assert ask(open_daemon, "GET", f"{PREFIX}/status", Host=host).status_code == 200


def test_refusal_can_be_read_by_the_page_of_an_allowed_origin(
    guarded: ServiceThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also that of a bug: the page says what happened."""

    def fail(*_args: object, **_fields: object) -> None:
        raise ZeroDivisionError

    answers = [ask(guarded, "GET", f"{PREFIX}/status", "wrong", Origin=FRONT_END)]
    monkeypatch.setattr("subscriber.service.status_of", fail)
    answers.append(ask(guarded, "GET", f"{PREFIX}/status", READ, Origin=FRONT_END))
    assert [answer.status_code for answer in answers] == [401, 500]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == FRONT_END
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", [f"{PREFIX}/status", f"{PREFIX}/channels/telegram", "/static/lit.js"])
def test_preflight_of_an_allowed_origin_needs_no_token(guarded: ServiceThread, path: str) -> None:
    asked = {
        "Origin": FRONT_END,
        "Access_Control_Request_Method": "PATCH",
        "Access_Control_Request_Headers": "authorization, content-type, last-event-id",
    }
    answer = ask(guarded, "OPTIONS", path, **asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == FRONT_END
    assert answer.headers["access-control-allow-methods"] == "GET, POST, PATCH, DELETE"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "changed",
    [
        {"Origin": "http://evil.example"},
        {"Access_Control_Request_Method": "PUT"},
        {"Access_Control_Request_Headers": "x-other"},
    ],
    ids=str,
)
def test_preflight_of_anything_else_is_refused_in_the_envelope(guarded: ServiceThread, changed: dict[str, str]) -> None:
    asked = {"Origin": FRONT_END, "Access_Control_Request_Method": "POST", **changed}
    answer = ask(guarded, "OPTIONS", f"{PREFIX}/test", **asked)
    assert code_of(answer, 403) is ErrorCode.FORBIDDEN_ORIGIN
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/", "/docs", "/webhooks/twilio"])
def test_what_is_not_shared_has_no_word_for_other_origins(open_daemon: ServiceThread, path: str) -> None:
    answer = ask(open_daemon, "GET", path, Origin=FRONT_END)
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_daemon_without_a_list_shares_with_nobody(tmp_path: Path) -> None:
    with running_service({}, tmp_path) as daemon:
        for path in (f"{PREFIX}/status", "/static/lit.js"):
            answer = ask(daemon, "GET", path, Origin=FRONT_END)
            assert "access-control-allow-origin" not in answer.headers
        assert ask(daemon, "GET", "/static/lit.js").headers["cross-origin-resource-policy"] == "same-origin"


# --- headers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/metrics", "/static/lit.js", f"{PREFIX}/status", "/none"])
def test_answers_have_the_headers_that_keep_browsers_from_misusing_them(guarded: ServiceThread, path: str) -> None:
    for token in (None, OPERATE):
        headers = ask(guarded, "GET", path, token).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == (
            "cross-origin" if path.startswith("/static/") else "same-origin"
        )
        assert ("no-store" in headers.get("cache-control", "")) == path.startswith("/api/")
