"""`audit`: from the database, with a daemon and without one, and from publishers' journals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from publisher import Publisher, PublisherSettings
from subscriber.ledger_words import MOST_LISTED
from subscriber.store import Store
from tests.support.alerts import STREAM, agent_action, incoming, risk_event
from tests.support.books import Books, spoil
from tests.support.clock import FakeClock
from tests.support.commands import command
from tests.support.journal_files import write_journal
from tests.support.provider_server import ProviderServer
from tests.support.running_service import daemon_environ, provider_environ, running_service
from tests.support.waiting import wait_until


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return daemon_environ({}, tmp_path)


@pytest.fixture
def store(environ: dict[str, str]) -> Iterator[Store]:
    with Store(environ["ALERTBUS_DATABASE_URL"], FakeClock()) as opened:
        yield opened


@pytest.fixture
def books(store: Store) -> Books:
    clock = store.database.clock
    assert isinstance(clock, FakeClock)
    made = Books(store, clock)
    made.write()
    return made


def test_audit_of_a_ledger_that_balances_says_so(books: Books, environ: dict[str, str], tmp_path: Path) -> None:
    ended = command(environ, tmp_path, "audit")
    assert (ended.code, ended.err) == (0, "")
    assert "The ledger balances." in ended.out
    assert "20 alerts, 15 deliveries, 2 streams" in ended.out
    assert all(len(line) <= 80 for line in ended.out.splitlines())
    assert "41..50" in ended.out
    assert "accepted 2, dead 1," in ended.out


def test_audit_of_one_that_does_not_lists_each_fault_and_exits_1(
    books: Books, environ: dict[str, str], tmp_path: Path
) -> None:
    row = books.row("pending")
    spoil(books.store, "DELETE FROM notification_queue WHERE id = :id", id=row["id"])
    spoil(books.store, "UPDATE stream SET up_to = 13 WHERE stream = :s", s=STREAM)
    ended = command(environ, tmp_path, "audit")
    assert (ended.code, ended.err) == (1, "")
    assert "The ledger does NOT balance: never_stored 2, missing_delivery 1." in ended.out
    wide = "".join(command(environ | {"COLUMNS": "300"}, tmp_path, "audit").out.split())
    assert f"alert{books.key('pending')},channeltelegram" in wide
    assert f"stream{STREAM.hex()}" in wide
    as_json = command(environ, tmp_path, "audit", "--json")
    assert (as_json.code, as_json.json["balanced"], as_json.json["fault_count"]) == (1, False, 3)
    assert {fault["kind"] for fault in as_json.json["faults"]} == {"missing_delivery", "never_stored"}
    assert [stream["balanced"] for stream in as_json.json["streams"]] == [False, True]


def test_audit_of_many_streams_sums_them_up_by_source(store: Store, environ: dict[str, str], tmp_path: Path) -> None:
    for number in range(MOST_LISTED + 1):
        stream = number.to_bytes(16, "big")
        store.begin(stream, f"trader-{number % 2}", 1)
        store.accept([incoming(agent_action(), 1, stream=stream)], {stream: 1})
    spoil(store, "DELETE FROM alert WHERE stream = :s", s=bytes(16))
    lines = [line.split() for line in command(environ, tmp_path, "audit").out.splitlines()]
    assert ["trader-1", "10", "10", "10", "0", "0", "0", "0", "yes"] in lines
    (wrong,) = [line for line in lines if line[:1] == ["trader-0"]]
    assert wrong[1:4] == ["11", "11", "10"]
    assert wrong[8] == "NO:"


def test_audit_with_journals_shows_the_publishers_side(store: Store, environ: dict[str, str], tmp_path: Path) -> None:
    alerts = {number: incoming(risk_event(), number, "telegram") for number in (1, 2, 3)}
    store.begin(STREAM, "trader-1", 1)
    store.accept([alerts[1]], {STREAM: 1})
    folder = tmp_path / "journals"
    path = write_journal(folder, alerts, {store.store_id: 1})
    for given in (folder, path):
        ended = command(environ, tmp_path, "audit", "--journal", str(given), "--json")
        assert (ended.code, ended.json["balanced"]) == (0, True)
        assert [(each["held"], each["outstanding"]) for each in ended.json["journals"]] == [(3, 2)]
    shown = command(environ, tmp_path, "audit", "--journal", str(folder))
    assert "1 journals" in shown.out
    assert "up to 1" in shown.out


def test_audit_with_a_journal_that_can_not_be_read_exits_1_and_names_it(
    store: Store, environ: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "x.journal"
    path.write_text("no journal " * 100)
    ended = command(environ, tmp_path, "audit", "--journal", str(path), "--json")
    assert ended.code == 1
    assert [(fault["kind"], fault["where"]) for fault in ended.json["faults"]] == [("unreadable_journal", str(path))]


def test_audit_with_a_journal_that_is_not_there_is_a_fault_of_the_command_line(
    store: Store, environ: dict[str, str], tmp_path: Path
) -> None:
    assert command(environ, tmp_path, "audit", "--journal", str(tmp_path / "nowhere")).code == 2


def test_audit_without_a_database_says_so_and_makes_none(environ: dict[str, str], tmp_path: Path) -> None:
    ended = command(environ, tmp_path, "audit")
    assert (ended.code, ended.out) == (1, "")
    assert "no daemon has run with it" in ended.err
    assert not (tmp_path / "alertbus.db").exists()


def test_audit_with_a_wrong_setting_exits_2(environ: dict[str, str], tmp_path: Path) -> None:
    ended = command(environ | {"ALERTBUS_RETENTION": "1"}, tmp_path, "audit")
    assert ended.code == 2
    assert "ALERTBUS_RETENTION" in ended.err


def test_audit_beside_a_running_daemon_and_publisher_balances(tmp_path: Path) -> None:
    """Everything at once: the trader publishes, the daemon stores and sends, and both sides of the ledger agree."""
    with ProviderServer() as providers, running_service(provider_environ(providers), tmp_path) as daemon:
        settings = PublisherSettings.from_environment(daemon.environ, None)
        with Publisher(settings) as publisher:
            for number in range(200):
                publisher.agent_action("ppo", "TNA", "HOLD", 0, 41.2, rationale=str(number))
                publisher.risk_event("DRAWDOWN", "CRITICAL", "deep") if number % 50 == 0 else None
                if number % 50 == 25:
                    ended = command(daemon.environ, tmp_path, "audit", "--journal", daemon.environ["ALERTBUS_JOURNAL"])
                    assert ended.code == 0, ended.out
            publisher.close(30)
        wait_until(lambda: len(providers.accepted) >= 8)
        wait_until(lambda: command(daemon.environ, tmp_path, "audit", "--json").json["alerts"] >= 204)
        ended = command(daemon.environ, tmp_path, "audit", "--json")
        assert (ended.code, ended.json["faults"]) == (0, [])
        (stream,) = ended.json["streams"]
        assert (stream["first"], stream["stored"]) == (1, 204)
