"""The proxy of docs/yooprl.md in a Flask app: everybody reads, only the owner of the token changes anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.support.browser import Site, running_site
from tests.support.daemon import PATIENCE_SECONDS, PREFIX
from tests.support.flask_backend import flask_backend

OPERATE: Final = "operate-token-of-the-tests-0001"
READ: Final = "read-token-of-the-tests-00000002"
_TOKENS: Final = {"ALERTBUS_API_TOKEN": OPERATE, "ALERTBUS_API_READ_TOKEN": READ}
_SWITCH: Final = f"{PREFIX}/channels/telegram"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Site]:
    """A daemon with both tokens."""
    with running_site(tmp_path, {**_TOKENS, "ALERTBUS_CORS_ORIGINS": "http://localhost:3000"}) as site:
        yield site


@pytest.fixture
def flask(guarded: Site) -> Iterator[httpx2.Client]:
    """A client of the backend in front of it."""
    with (
        flask_backend(guarded.url, READ) as url,
        httpx2.Client(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS) as client,
    ):
        yield client


def _switch(client: httpx2.Client, **headers: str) -> httpx2.Response:
    return client.patch(_SWITCH, json={"enabled": False, "author": "Ada", "via": "page"}, headers=headers)


def _is_on(site: Site) -> bool:
    return bool({each["name"]: each["enabled"] for each in site.daemon.get("/status")["channels"]}["telegram"])


def test_proxy_anybody_reads_and_is_told_so(flask: httpx2.Client) -> None:
    answer = flask.get(f"{PREFIX}/status", headers={"Origin": "http://evil.example"})
    assert answer.json()["data"]["access"] == {"scope": "read"}
    assert flask.get(f"{PREFIX}/history", params={"limit": 5}).json() == {"status": "success", "data": []}


def test_proxy_answers_never_hold_a_token(flask: httpx2.Client) -> None:
    answer = flask.get(f"{PREFIX}/status")
    assert READ not in answer.text + str(answer.headers)
    assert OPERATE not in answer.text + str(answer.headers)


def test_proxy_change_without_a_token_is_refused(flask: httpx2.Client, guarded: Site) -> None:
    answer = _switch(flask)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert _is_on(guarded)


@pytest.mark.parametrize(("token", "status"), [(READ, 403), ("wrong", 401)])
def test_proxy_change_with_less_than_the_token_is_refused(
    flask: httpx2.Client, guarded: Site, token: str, status: int
) -> None:
    assert _switch(flask, Authorization=f"Bearer {token}").status_code == status
    assert _is_on(guarded)


def test_proxy_change_with_the_token_from_a_foreign_page_is_refused(flask: httpx2.Client, guarded: Site) -> None:
    answer = _switch(flask, Authorization=f"Bearer {OPERATE}", Origin="http://evil.example")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_origin")
    assert _is_on(guarded)


def test_proxy_change_with_the_token_is_done(flask: httpx2.Client, guarded: Site) -> None:
    answer = _switch(flask, Authorization=f"Bearer {OPERATE}", Origin="http://localhost:3000")
    assert answer.json()["data"]["changed"] is True
    assert not _is_on(guarded)


def test_proxy_events_stream_while_they_happen(flask: httpx2.Client, guarded: Site) -> None:
    with flask.stream("GET", f"{PREFIX}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = _events(stream)
        assert next(events)[0] == "hello"
        alert = guarded.publish("streamed through Flask")
        assert any(kind == "alert" and data["alert"]["id"].replace("-", "") == alert.id.hex for kind, data in events)


def test_proxy_paths_outside_of_the_api_are_refused(flask: httpx2.Client) -> None:
    answer = flask.get(f"{PREFIX}/%2e%2e/%2e%2e/%2e%2e/metrics")
    assert answer.status_code == 404
    assert "alertbus_build_info" not in answer.text


def test_proxy_daemon_away_says_so(guarded: Site, flask: httpx2.Client) -> None:
    guarded.publisher.close()
    guarded.daemon.stop()
    answer = flask.get(f"{PREFIX}/status")
    assert (answer.status_code, answer.json()["code"]) == (502, "unreachable")


def test_proxy_of_a_daemon_without_tokens_changes_nothing(tmp_path: Path) -> None:
    with (
        running_site(tmp_path) as site,
        flask_backend(site.url, READ) as url,
        httpx2.Client(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS) as client,
    ):
        answer = _switch(client, Authorization="Bearer anything")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_configured")
        assert _is_on(site)


def test_proxy_without_a_token_of_its_own_serves_nothing(guarded: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALERTBUS_API_READ_TOKEN", raising=False)
    with flask_backend(guarded.url, None) as url, httpx2.Client(base_url=url, trust_env=False) as client:
        assert client.get(f"{PREFIX}/status").status_code == 503


def _events(stream: httpx2.Response) -> Iterator[tuple[str, Any]]:
    kind = ""
    for line in stream.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)
