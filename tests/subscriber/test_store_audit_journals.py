"""The trader's side of the ledger: what a publisher's journal holds, beside what the store has."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from publisher import Publisher, PublisherSettings
from subscriber.errors import StoreError
from subscriber.store import Incoming, Store, journals
from subscriber.store.journals import journal_files
from subscriber.store.ledger import FaultKind, JournalLedger
from tests.support.alerts import OTHER_STREAM, STREAM, agent_action, incoming, risk_event
from tests.support.books import lose, spoil
from tests.support.clock import FakeClock
from tests.support.journal_files import write_journal


@pytest.fixture
def alerts(store: Store) -> dict[int, Incoming]:
    """Ten alerts, of which the store has the first six."""
    held = {number: incoming(risk_event(), number, "telegram") for number in range(1, 11)}
    store.begin(STREAM, "trader-1", 1)
    store.accept([held[number] for number in range(1, 7)], {STREAM: 6})
    return held


def test_journal_that_is_ahead_is_outstanding(store: Store, alerts: dict[int, Incoming], tmp_path: Path) -> None:
    path = write_journal(tmp_path, alerts, {store.store_id: 5, "another": 2})
    audit = store.audit([path])
    assert audit.faults == ()
    assert audit.journals == (
        JournalLedger(str(path), STREAM.hex(), "trader-1", acknowledged=5, held=10, outstanding=4),
    )


def test_journal_of_an_unknown_stream_is_outstanding_as_a_whole(
    store: Store, alerts: dict[int, Incoming], tmp_path: Path
) -> None:
    path = write_journal(tmp_path, alerts, stream=OTHER_STREAM)
    (ledger,) = store.audit([path]).journals
    assert (ledger.acknowledged, ledger.held, ledger.outstanding) == (None, 10, 10)


def test_journal_without_alerts_balances(store: Store, alerts: dict[int, Incoming], tmp_path: Path) -> None:
    path = write_journal(tmp_path, {}, {store.store_id: 6})
    audit = store.audit([path])
    assert audit.balanced
    assert (audit.journals[0].held, audit.journals[0].outstanding) == (0, 0)


@pytest.mark.parametrize("stream", [STREAM, OTHER_STREAM])
def test_journal_finds_what_was_acknowledged_and_never_stored(
    store: Store, alerts: dict[int, Incoming], tmp_path: Path, stream: bytes
) -> None:
    """As after a backup was restored, or where the acknowledgement goes before the commit."""
    path = write_journal(tmp_path, {}, {store.store_id: 7}, stream=stream)
    (fault,) = store.audit([path]).faults
    assert (fault.kind, fault.where) == (FaultKind.NEVER_STORED, f"stream {stream.hex()}")
    assert "up to 7" in fault.text


def test_journal_of_settled_numbers_that_no_position_covers_balances(
    store: Store, alerts: dict[int, Incoming], tmp_path: Path
) -> None:
    """What is lost at the end is acknowledged, though no alert has moved the position since."""
    lose(store, STREAM, 7, 8)
    path = write_journal(tmp_path, {number: alerts[number] for number in (9, 10)}, {store.store_id: 8})
    audit = store.audit([path])
    assert audit.balanced
    assert audit.journals[0].outstanding == 2


def test_journal_finds_a_body_that_is_not_the_one_stored(
    store: Store, alerts: dict[int, Incoming], tmp_path: Path
) -> None:
    path = write_journal(tmp_path, alerts | {3: incoming(agent_action(), 3)})
    (fault,) = store.audit([path]).faults
    assert (fault.kind, fault.where) == (FaultKind.CHANGED_BODY, f"stream {STREAM.hex()}")
    assert fault.text.startswith("Number 3 ")


def test_journal_tells_that_it_still_holds_what_is_missing(
    store: Store, alerts: dict[int, Incoming], tmp_path: Path
) -> None:
    path = write_journal(tmp_path, alerts)
    spoil(store, "DELETE FROM notification_queue WHERE alert_id = :id", id=alerts[4].alert.id.bytes)
    spoil(store, "DELETE FROM alert WHERE sequence = 4")
    texts = [fault.text for fault in store.audit([path]).faults if fault.kind is FaultKind.HOLE]
    assert any(path.name in text for text in texts)


def test_journal_of_marked_pruned_and_foreign_numbers_balances(store: Store, clock: FakeClock, tmp_path: Path) -> None:
    """Lost, a duplicate, below the start, twice in collision, and removed by retention: nothing of it need be there."""
    held = {number: incoming(agent_action(), number) for number in range(1, 10)}
    store.begin(STREAM, "trader-1", 3)
    store.accept([held[3], held[4], incoming(agent_action(), 4), incoming(held[3].alert, 5)], {STREAM: 5})
    lose(store, STREAM, 6, 8)
    store.accept([held[9]], {STREAM: 9})
    path = write_journal(tmp_path, held)
    assert store.audit([path]).faults == ()
    clock.advance(100)
    assert store.prune(clock.now_us(), 2).alerts == 2
    assert store.audit([path]).faults == ()


def test_journal_longer_than_a_page_is_read_to_its_end(
    store: Store, alerts: dict[int, Incoming], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_PAGE", 2)
    path = write_journal(tmp_path, alerts | {6: incoming(agent_action(), 6)})
    (fault,) = store.audit([path]).faults
    assert fault.text.startswith("Number 6 ")


def unreadable(folder: Path) -> Iterator[Path]:
    """Make files that are no journals, each in its own way."""
    held = {1: incoming(risk_event(), 1)}
    text = folder / "text.journal"
    text.write_text("no database " * 100)
    yield text
    yield write_journal(folder / "newer", held, version=9)
    for name, statement in (
        ("tables", "DROP TABLE outbox"),
        ("stream", "DELETE FROM meta WHERE key = 'stream'"),
        ("short", "UPDATE meta SET value = x'00' WHERE key = 'stream'"),
        ("number", "UPDATE meta SET value = 7 WHERE key = 'stream'"),
        ("body", "UPDATE outbox SET body = 'text'"),
        ("acknowledged", "UPDATE acknowledged SET up_to = 'all'"),
        ("sequence", "INSERT INTO outbox VALUES (-5, 0, '', x'80')"),
    ):
        path = write_journal(folder / name, held, {"store": 1})
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)
        yield path


def test_journals_that_can_not_be_read_are_named(store: Store, tmp_path: Path) -> None:
    """The others are checked all the same."""
    spoil(store, "UPDATE setting SET value = 'store' WHERE name = 'store_id'")
    store.begin(STREAM, "trader-1", 1)
    item = incoming(risk_event(), 1, "telegram")
    store.accept([item], {STREAM: 1})
    files = list(unreadable(tmp_path))
    well = write_journal(tmp_path / "well", {1: item}, {"store": 1})
    audit = store.audit([*files, well])
    assert {fault.kind for fault in audit.faults} == {FaultKind.UNREADABLE_JOURNAL}
    assert [fault.where for fault in audit.faults] == list(map(str, files))
    assert [journal.file for journal in audit.journals] == [str(well)]


def test_journals_that_are_gone_or_were_never_written_are_passed_over(store: Store, tmp_path: Path) -> None:
    """A publisher settles and removes its file at any moment, and may die before its first commit."""
    empty = tmp_path / "empty.journal"
    empty.touch()
    audit = store.audit([tmp_path / "gone.journal", empty])
    assert (audit.balanced, audit.journals) == (True, ())


def test_journal_files_are_those_of_a_folder_or_the_one_named(tmp_path: Path) -> None:
    for name in ("b.journal", "a.journal", "a.lock", "c.corrupt"):
        (tmp_path / name).touch()
    assert journal_files(tmp_path) == [tmp_path / "a.journal", tmp_path / "b.journal"]
    assert journal_files(tmp_path / "c.corrupt") == [tmp_path / "c.corrupt"]


def test_journal_files_of_a_closed_folder_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty list would look like an answer."""

    def closed(_path: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", closed)
    with pytest.raises(StoreError, match="can't be read: Permission denied"):
        journal_files(tmp_path)


def test_journal_of_a_running_publisher_is_read_while_it_writes(store: Store, tmp_path: Path) -> None:
    """The real file, held and written by its owner; names with signs that a URI would take for its own."""
    folder = tmp_path / "jour?nal #1 %41"
    settings = PublisherSettings(
        journal=folder, data_endpoints=("tcp://127.0.0.1:1",), control_endpoints=("tcp://127.0.0.1:2",)
    )
    with Publisher(settings) as publisher:
        for number in range(300):
            assert publisher.risk_event("DRAWDOWN_BREACH", "WARNING", f"{number}")
            if number in {10, 100, 200}:
                assert publisher.flush(10)
                (ledger,) = store.audit(journal_files(folder)).journals
                assert ledger.outstanding == ledger.held >= number
        assert publisher.flush(10)
        (ledger,) = store.audit(journal_files(folder)).journals
        assert (ledger.held, ledger.outstanding) == (300, 300)
        publisher.close(0)
