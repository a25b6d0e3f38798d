"""The commands of the policy and of the records, with a running daemon or without one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Final

import pytest

from bus.clock import SystemClock
from subscriber.deliveries import Dialect, DigestKind, Done, Handling, MessageLimits, PlannedDelivery
from subscriber.policy.digest_text import render_digest
from subscriber.store import Store
from subscriber.store.digests import NewDigest
from tests.support.alerts import incoming, risk_event
from tests.support.commands import command
from tests.support.daemon import CREDENTIALS
from tests.support.running_service import ServiceThread, daemon_environ, running_service
from tests.support.worker_bench import ACCEPTED

LIMITS: Final = MessageLimits(Dialect.PLAIN, 4096)

TOML = """
[[routes]]
name = "tna"
match = { symbol = "TNA" }
channels = ["telegram"]
escalate = { ack_within = "5min", to = ["telegram"] }

[[routes]]
name = "rest"
match = { severity = ">=WARNING" }
channels = ["telegram"]

[templates.short]
text = "{{ severity }} {{ event }}"

[templates.wrong]
text = "{{ extra.nothing.there }}"
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "alertbus.toml").write_text(TOML)
    given = {**CREDENTIALS["telegram"], "ALERTBUS_TELEGRAM_URL": "http://127.0.0.1:9"}
    return daemon_environ({**given, "ALERTBUS_CONFIG": str(tmp_path / "alertbus.toml")}, tmp_path)


@pytest.fixture
def store(environ: dict[str, str]) -> Iterator[Store]:
    with Store(environ["ALERTBUS_DATABASE_URL"]) as opened:
        yield opened


@pytest.fixture
def daemon(environ: dict[str, str], tmp_path: Path) -> Iterator[ServiceThread]:
    with running_service(environ, tmp_path) as running:
        yield running


def plan(handling: Handling = Handling(route="tna")) -> tuple[PlannedDelivery, ...]:
    return (PlannedDelivery("telegram", SystemClock().now_us(), handling=handling),)


def told(store: Store) -> str:
    """Return the id of an alert that was delivered."""
    alert = risk_event()
    store.accept([incoming(alert, None, stream=None, published_us=SystemClock().now_us(), planned=plan())])
    claimed = store.claim("telegram", "worker", 60.0, 1)
    store.close_attempt(store.open_attempt(claimed), claimed, ACCEPTED, Done(), 0.1)
    return str(alert.id)


def test_route_without_a_daemon_goes_by_the_file(environ: dict[str, str], tmp_path: Path) -> None:
    done = command(environ, tmp_path, "route", "--severity", "CRITICAL", "--symbol", "TNA")
    assert done.code == 0
    assert "yes tna" in done.out
    assert "telegram: it is sent now" in done.out
    assert "not acknowledged within 5min: telegram" in done.out


def test_route_says_why_a_route_does_not_match_and_json_is_complete(environ: dict[str, str], tmp_path: Path) -> None:
    done = command(environ, tmp_path, "route", "--severity", "INFO", "--symbol", "SPY")
    assert "no  tna: symbol is SPY; it asks for TNA" in done.out
    assert "history only" in done.out
    given = command(environ, tmp_path, "route", "--action", "BUY", "--json").json
    assert given["alert"]["event"] == "BUY"


def test_route_of_what_can_not_be_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    assert command(environ, tmp_path, "route", "--severity", "CRITICAL", "--action", "BUY").code == 2


@pytest.mark.usefixtures("daemon")
def test_route_with_a_daemon_counts_its_silences(environ: dict[str, str], tmp_path: Path) -> None:
    added = command(environ, tmp_path, "silences", "add", "symbol=SPY", "--for", "30min", "--json").json
    daemon_knows = command(environ, tmp_path, "reload")  # which asks the daemon, and takes a while
    assert daemon_knows.code == 0
    for _ in range(50):
        out = command(environ, tmp_path, "route", "--severity", "WARNING", "--symbol", "SPY").out
        if "held" in out:
            break
    assert f"held by silence {added[0]['id']}" in out


def test_explain_tells_the_story_by_the_end_of_an_id(environ: dict[str, str], tmp_path: Path, store: Store) -> None:
    alert_id = told(store)
    done = command(environ, tmp_path, "explain", alert_id[-8:])
    assert done.code == 0
    for words in ("CRITICAL DRAWDOWN_BREACHED TNA", f"id {alert_id}", "telegram: accepted", "by route tna", "attempt "):
        assert words in done.out
    assert command(environ, tmp_path, "explain", alert_id, "--json").json["alert"]["id"] == alert_id


def test_explain_of_an_unknown_alert_says_so(environ: dict[str, str], tmp_path: Path, store: Store) -> None:
    told(store)
    done = command(environ, tmp_path, "explain", "00000000")
    assert done.code == 1
    assert "no alert" in done.err


def test_explain_tells_what_silences_dedup_and_digests_did(
    environ: dict[str, str], tmp_path: Path, store: Store
) -> None:
    alerts = [risk_event(severity="WARNING", symbol=f"S{number}") for number in range(3)]
    now = SystemClock().now_us()
    store.accept([incoming(alert, None, "telegram", stream=None, published_us=now) for alert in alerts])
    head = store.claim("telegram", "worker", 60.0, 1)[0]
    folded = store.fold(head, "worker", 60.0, 10)
    message = render_digest(folded, DigestKind.STORM, LIMITS, UTC, now_us=now)
    attempt = store.open_attempt(folded, digest=NewDigest(DigestKind.STORM, message))
    store.close_attempt(attempt, folded, ACCEPTED, Done(), 0.1)
    done = command(environ, tmp_path, "explain", str(alerts[1].id))
    assert "telegram: folded" in done.out
    assert "in digest 1 (storm, told) with 3 alerts" in done.out
    shown = command(environ, tmp_path, "digest", "1")
    assert "digest 1 (storm, told) on telegram" in shown.out
    assert str(alerts[2].id) in shown.out
    assert str(alerts[0].id) in command(environ, tmp_path, "digest", alerts[2].id.hex[-8:]).out
    assert command(environ, tmp_path, "digest", "2").code == 1


def test_ack_names_who_and_the_first_stands(environ: dict[str, str], tmp_path: Path, store: Store) -> None:
    alert_id = told(store)
    assert "Acknowledged by Kim" in command(environ, tmp_path, "ack", alert_id[-8:], "--author", "Kim").out
    assert "before by Kim" in command(environ, tmp_path, "ack", alert_id, "--author", "Lee").out
    assert "acknowledged by Kim (cli)" in command(environ, tmp_path, "explain", alert_id).out
    changes = command(environ, tmp_path, "changes")
    assert "acknowledged" in changes.out
    assert "Kim" in changes.out


def test_ack_with_a_daemon_is_counted_by_it(
    environ: dict[str, str], tmp_path: Path, daemon: ServiceThread, store: Store
) -> None:
    alert_id = told(store)
    assert "Acknowledged by Kim" in command(environ, tmp_path, "ack", alert_id, "--author", "Kim").out
    assert daemon.get(f"/alerts/{alert_id}")["acknowledgement"]["via"] == "cli"
    assert daemon.metric("alertbus_acknowledgements_total", via="cli") == 1


def test_silences_are_added_listed_and_ended(environ: dict[str, str], tmp_path: Path, store: Store) -> None:
    assert store.silences() == []
    given = ("symbol=TNA", "symbol=UPRO", "--for", "2h", "--reason", "maintenance", "--author", "Kim", "--drop")
    [added] = command(environ, tmp_path, "silences", "add", *given, "--json").json
    assert added["matchers"] == {"symbol": ["TNA", "UPRO"]}
    assert (added["drops"], added["lets_critical"]) == (True, True)
    listed = command(environ, tmp_path, "silences", "list").out
    assert "maintenance" in listed
    assert "dropped" in listed
    assert command(environ, tmp_path, "silences", "end", str(added["id"])).code == 0
    assert "no silence" in command(environ, tmp_path, "silences", "list").out
    assert command(environ, tmp_path, "silences", "end", str(added["id"])).code == 1
    assert "ended" in command(environ, tmp_path, "silences", "list", "--ended").out


@pytest.mark.parametrize(
    "given",
    [
        *(("symbol",), ("symboll=TNA",), ("severity=LOUD",), ("--for", "ever"), ("--for", "never")),
        *(("--for", "0s"), ("--for", "367d"), ("--for", "900000000d")),
    ],
)
def test_silence_that_can_not_be_is_refused(
    environ: dict[str, str], tmp_path: Path, store: Store, given: tuple[str, ...]
) -> None:
    done = command(environ, tmp_path, "silences", "add", *given)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert store.silences() == []


def test_reload_without_a_daemon_says_so_and_with_a_fault_names_it(environ: dict[str, str], tmp_path: Path) -> None:
    assert command(environ, tmp_path, "reload").code == 1
    (tmp_path / "alertbus.toml").write_text(TOML.replace('"TNA"', "7"))
    done = command(environ, tmp_path, "reload")
    assert done.code == 2
    assert "line 4" in done.err


@pytest.mark.usefixtures("daemon")
def test_reload_with_a_daemon_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    done = command(environ, tmp_path, "reload", "--author", "Kim")
    assert (done.code, done.out.strip()) == (0, "The configuration is loaded again.")


def test_templates_preview_shows_samples_texts_and_faults(environ: dict[str, str], tmp_path: Path) -> None:
    shown = command(environ, tmp_path, "templates", "preview", "telegram", "--name", "short").out
    assert "CRITICAL DRAWDOWN_BREACH" in shown
    given = ("templates", "preview", "telegram", "--kind", "agent_action", "--text", "{{ action }}!")
    assert "BUY!" in command(environ, tmp_path, *given).out
    failed = command(environ, tmp_path, "templates", "preview", "telegram", "--name", "wrong")
    assert failed.code == 1
    assert command(environ, tmp_path, "templates", "preview", "pager").code == 2


def test_export_writes_json_lines_and_csv(environ: dict[str, str], tmp_path: Path, store: Store) -> None:
    alert_id = told(store)
    lines = command(environ, tmp_path, "export", "alerts").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [alert_id]
    table = command(environ, tmp_path, "export", "deliveries", "--format", "csv").out
    assert [row["channel"] for row in csv.DictReader(io.StringIO(table))] == ["telegram"]
    assert command(environ, tmp_path, "export", "alerts", "--until", "2020-01-01").out == ""
    assert command(environ, tmp_path, "export", "alerts", "--since", "2020-01-01T10:00+02:00").out != ""
    assert command(environ, tmp_path, "export", "everything").code == 2
    assert command(environ, tmp_path, "export", "alerts", "--since", "soon").code == 2


def test_history_is_filtered(environ: dict[str, str], tmp_path: Path, store: Store) -> None:
    alert_id = told(store)
    given = ("--severity", "CRITICAL", "--symbol", "TNA", "--since", "2020-01-01", "--json")
    assert [entry["alert"]["id"] for entry in command(environ, tmp_path, "history", *given).json] == [alert_id]
    assert command(environ, tmp_path, "history", "--symbol", "SPY", "--json").json == []
