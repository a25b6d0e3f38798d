"""The policy over HTTP: what is in force, where an alert would go, silences, acknowledging, previews, the records."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from bus.clock import MICROSECONDS, SystemClock
from subscriber.deliveries import Outcome, Reason
from subscriber.store import Store
from subscriber.store.exporting import EXPORTS
from tests.support.alerts import incoming, risk_event
from tests.support.daemon import PREFIX
from tests.support.running_service import CREDENTIALS, ServiceThread, daemon_environ, running_service
from tests.support.waiting import wait_until

TOML = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
template = "short"

[templates.short]
text = "{{ severity }} {{ event }} {{ symbol }}"
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    """A daemon whose provider nobody answers for: nothing is delivered, everything is stored."""
    folder = tmp_path_factory.mktemp("policy")
    (folder / "alertbus.toml").write_text(TOML)
    environ = {
        **CREDENTIALS["telegram"],
        "ALERTBUS_TELEGRAM_URL": "http://127.0.0.1:9",
        "ALERTBUS_CONFIG": str(folder / "alertbus.toml"),
    }
    with running_service(daemon_environ(environ, folder), folder) as running:
        yield running


@pytest.fixture
def alert_id(daemon: ServiceThread) -> str:
    """An alert that the daemon's database holds."""
    alert = risk_event(event_type="DRAWDOWN_BREACHED", symbol="TNA")
    with Store(daemon.environ["ALERTBUS_DATABASE_URL"]) as store:
        store.accept([incoming(alert, None, "telegram", stream=None, published_us=SystemClock().now_us())])
    return str(alert.id)


def ask(daemon: ServiceThread, method: str, path: str, body: Any = None) -> httpx2.Response:
    return daemon.http.request(method, PREFIX + path, json=body)


def test_routes_show_what_is_in_force(daemon: ServiceThread) -> None:
    shown = daemon.get("/routes")
    assert [route["name"] for route in shown["routes"]] == ["all"]
    assert shown["templates"][0]["name"] == "short"
    assert shown["source"]["refused"] is None
    assert shown["source"]["digest"]


def test_explain_says_where_an_alert_would_go_and_why(daemon: ServiceThread) -> None:
    told = daemon.post("/routes/explain", {"severity": "CRITICAL", "symbol": "TNA"})
    assert [channel["channel"] for channel in told["channels"]] == ["telegram"]
    assert told["channels"][0]["template"] == "short"
    assert daemon.post("/routes/explain", {"action": "HOLD"})["not_routed"]


@pytest.mark.parametrize(
    ("body", "named"),
    [({"severity": "LOUD"}, "severity"), ({"action": "BUY", "severity": "CRITICAL"}, "severity"), ({"x": 1}, "x")],
)
def test_explain_of_what_can_not_be_names_the_field(daemon: ServiceThread, body: dict[str, Any], named: str) -> None:
    answer = ask(daemon, "POST", "/routes/explain", body)
    assert answer.status_code == 422
    assert named in answer.json()["error"]


def test_silence_is_added_holds_and_is_ended(daemon: ServiceThread) -> None:
    """It holds from the moment of the answer on, and is in the record with who did it."""
    added = daemon.post("/silences", {"match": {"symbol": "SOXL"}, "seconds": 600, "author": "Kim", "reason": "calm"})
    assert added["ends_us"] - added["starts_us"] == 600 * MICROSECONDS
    told = daemon.post("/routes/explain", {"severity": "WARNING", "symbol": "SOXL"})["channels"][0]
    assert told["held_by"] == f"silence:{added['id']}"
    assert daemon.post("/routes/explain", {"severity": "WARNING", "symbol": "TNA"})["channels"][0]["held_by"] is None
    assert [silence["id"] for silence in daemon.get("/silences")] == [added["id"]]
    assert [silence["id"] for silence in daemon.get("/routes")["silences"]] == [added["id"]]
    ended = ask(daemon, "DELETE", f"/silences/{added['id']}?author=Lee")
    assert ended.status_code == 200
    assert ended.json()["data"]["ended_by"] == "Lee"
    assert daemon.get("/silences") == []
    assert [silence["id"] for silence in daemon.get("/silences", ended=True)] == [added["id"]]
    assert ask(daemon, "DELETE", f"/silences/{added['id']}").status_code == 404
    assert [change["what"] for change in daemon.get("/changes")[:2]] == ["silence_ended", "silence_added"]


def test_resume_of_a_paused_channel_is_recorded_once(daemon: ServiceThread) -> None:
    """Who did it is not known; one that was not paused is not changed."""
    refused = Outcome(Reason.UNAUTHORIZED, "the token was revoked")
    daemon.service._parts.desks["telegram"].note(refused)
    answers = [daemon.post("/channels/telegram/resume", {})["was_paused"] for _ in range(2)]
    assert answers == [True, False]
    resumed = [change for change in daemon.get("/changes") if change["what"] == "channel_resumed"]
    assert [(change["author"], change["via"], change["detail"]) for change in resumed] == [
        ("", "api", {"channel": "telegram"})
    ]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"match": {"symboll": "TNA"}, "seconds": 60, "author": ""}, "symboll"),
        ({"match": {"severity": "LOUD"}, "seconds": 60, "author": ""}, "severity"),
        ({"match": {}, "author": ""}, "seconds"),
        ({"match": {}, "seconds": 60, "ends_us": 1, "author": ""}, "seconds"),
        ({"match": {}, "ends_us": 1, "author": ""}, "future"),
        ({"match": {}, "seconds": -1, "author": ""}, "seconds"),
        ({"seconds": 60, "author": ""}, "match"),
    ],
)
def test_silence_that_can_not_be_is_refused(daemon: ServiceThread, body: dict[str, Any], named: str) -> None:
    answer = ask(daemon, "POST", "/silences", body)
    assert answer.status_code == 422
    assert named in answer.json()["error"]
    assert daemon.get("/silences") == []


def test_alert_is_acknowledged_once_and_the_first_stands(daemon: ServiceThread, alert_id: str) -> None:
    first = daemon.post(f"/alerts/{alert_id}/ack", {"author": "Kim", "note": "on it"})
    again = daemon.post(f"/alerts/{alert_id}/ack", {"author": "Lee"})
    assert (first["new"], first["author"]) == (True, "Kim")
    assert (again["new"], again["author"], again["note"]) == (False, "Kim", "on it")
    assert daemon.get(f"/alerts/{alert_id}")["acknowledgement"]["author"] == "Kim"
    assert ask(daemon, "POST", f"/alerts/{uuid4()}/ack").status_code == 404


def test_preview_shows_a_template_on_a_sample_and_on_an_alert(daemon: ServiceThread, alert_id: str) -> None:
    sample = daemon.post("/templates/preview", {"channel": "telegram", "name": "short"})
    assert sample["text"].startswith("CRITICAL DRAWDOWN_BREACH TNA")
    given = {"channel": "telegram", "text": "<b>{{ symbol }}</b>", "alert_id": alert_id}
    stored = daemon.post("/templates/preview", given)
    assert stored["text"].startswith("<b>TNA</b>")
    assert "&lt;b&gt;TNA" in stored["body"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"channel": "pager"}, "pager"),
        ({"channel": "telegram", "name": "long"}, "long"),
        ({"channel": "telegram", "text": "{{ symbol"}, "line 1"),
        ({"channel": "telegram", "alert_id": "01890000-0000-7000-8000-000000000000"}, "no alert"),
    ],
)
def test_preview_of_what_is_not_there_says_so(daemon: ServiceThread, body: dict[str, Any], named: str) -> None:
    answer = ask(daemon, "POST", "/templates/preview", body)
    assert answer.status_code == 422
    assert named in answer.json()["error"]


@pytest.mark.parametrize("what", EXPORTS)
def test_export_is_the_same_as_json_and_as_csv(daemon: ServiceThread, alert_id: str, what: str) -> None:
    exported: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]] = []

    def read_between_two_attempts() -> bool:
        lines = daemon.http.get(f"{PREFIX}/export", params={"what": what}).text.splitlines()
        text = daemon.http.get(f"{PREFIX}/export?what={what}&format=csv").text
        exported.append(([json.loads(line) for line in lines], list(csv.DictReader(io.StringIO(text)))))
        return len(exported[-1][0]) == len(exported[-1][1])

    wait_until(read_between_two_attempts)
    rows, table = exported[-1]
    for row, cells in zip(rows, table, strict=True):
        assert list(row) == list(cells)


def test_export_of_what_there_is_not_is_refused(daemon: ServiceThread) -> None:
    answer = daemon.http.get(f"{PREFIX}/export", params={"what": "secrets"})
    assert answer.status_code == 422
    assert "alerts" in answer.json()["error"]


def test_history_is_filtered(daemon: ServiceThread, alert_id: str) -> None:
    assert alert_id in [entry["alert"]["id"] for entry in daemon.get("/history", symbol="TNA", severity="CRITICAL")]
    assert daemon.get("/history", symbol="NONE") == []
    assert daemon.get("/history", until_us=1) == []


def test_digest_that_is_not_there_is_404(daemon: ServiceThread) -> None:
    assert ask(daemon, "GET", "/digests/999999").status_code == 404
