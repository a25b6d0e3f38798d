"""What a person reads when the database fails: which one, what is wrong, what to do; and never a password."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import event, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bus.errors import ConfigurationError
from subscriber.errors import StoreError
from subscriber.store import Store, database, schema
from subscriber.store.failures import explained
from tests.subscriber.conftest import PostgresqlServer
from tests.support.alerts import incoming, risk_event
from tests.support.clock import FakeClock

PASSWORD = "hunter2-very-secret"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alertbus.db"


@pytest.fixture
def impatient(path: Path, clock: FakeClock) -> Iterator[Store]:
    """A SQLite store that does not wait for others."""
    with Store(f"sqlite:///{path}", clock, busy_timeout_seconds=0) as store:
        yield store


def refused(url: str) -> str:
    """Open a store whose URL is wrong, and return what it says."""
    with pytest.raises(ConfigurationError) as error:
        Store(url).open()
    assert PASSWORD not in str(error.value)
    return str(error.value)


def failed(url: str) -> str:
    """Open a store whose database fails, and return what it says."""
    with pytest.raises(StoreError) as error:
        Store(url).open()
    assert PASSWORD not in str(error.value)
    return str(error.value)


def prepare(store: Store, pragma: str) -> None:
    """Give each connection of a store that is open a pragma more."""

    def set_pragma(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA {pragma}")

    event.listen(store.database.engine, "connect", set_pragma)
    store.database.engine.dispose()


def write_twice(store: Store, between: Callable[[], None]) -> None:
    """Write a setting twice in one transaction, which no database allows."""
    with store.database.writing() as connection:
        connection.execute(schema.setting.insert().values(name="a", value="b", changed_us=1))
        between()
        connection.execute(schema.setting.insert().values(name="a", value="c", changed_us=1))


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (f"postgresql://user:{PASSWORD}@host:port/x", "is no database URL"),
        (PASSWORD, "is no database URL"),
        ("", "is no database URL"),
        (f"mysql://user:{PASSWORD}@host/x", "names mysql; alertbus knows sqlite and postgresql"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_url_that_can_not_be_used_is_refused(url: str, text: str) -> None:
    """The text names the setting and an example, and never shows the value."""
    told = refused(url)
    assert text in told
    assert "ALERTBUS_DATABASE_URL" in told


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """SQLite says only that it can't open the file."""
    told = refused(f"sqlite:///{tmp_path / 'missing' / 'alertbus.db'}")
    assert f"The folder {tmp_path / 'missing'} of the database" in told
    assert "does not exist" in told


def test_folder_instead_of_file_is_named(tmp_path: Path) -> None:
    """A folder is no database."""
    assert "it has to name a file" in refused(f"sqlite:///{tmp_path}")


def test_file_that_is_no_database_is_named(path: Path) -> None:
    """Somebody else's file is neither read nor changed."""
    path.write_bytes(b"this is a text, and a rather long one " * 100)
    told = failed(f"sqlite:///{path}")
    assert f"The database {path} is not an SQLite database" in told
    assert "restore a backup" in told
    assert path.read_bytes().startswith(b"this is a text")


def test_corrupt_file_is_named(path: Path, impatient: Store) -> None:
    """Damaged pages are told, with what to do."""
    impatient.accept([incoming(risk_event(), number, "telegram") for number in range(200)])
    impatient.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)  # all but the first page, which names the tables
    path.write_bytes(content)
    told = failed(f"sqlite:///{path}")
    assert f"The database {path} is corrupt" in told
    assert "restore a backup" in told


def test_locked_file_is_told_and_works_again(path: Path, impatient: Store) -> None:
    """Another program writes: nothing is lost, and the next try stores it."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    item = incoming(risk_event(), 1, "telegram")
    with pytest.raises(StoreError, match="is locked by another program") as locked:
        impatient.accept([item])
    assert str(path) in str(locked.value)
    assert isinstance(locked.value.__cause__, OperationalError)
    assert impatient.history(10) == []  # reading goes on
    other.execute("ROLLBACK")
    other.close()
    assert impatient.accept([item]).deliveries == {"telegram": 1}


def test_read_only_file_is_told(path: Path, impatient: Store) -> None:
    """The daemon's user may not write."""
    prepare(impatient, "query_only = ON")
    with pytest.raises(StoreError, match="is read-only"):
        impatient.accept([incoming(risk_event(), 1)])


def test_full_disk_is_told_and_works_again(path: Path, impatient: Store) -> None:
    """A batch that does not fit leaves nothing; with space again it is stored."""
    prepare(impatient, "max_page_count = 60")
    batch = [incoming(risk_event(description="x" * 2000), number, "telegram") for number in range(1, 201)]
    with pytest.raises(StoreError, match="the disk is full"):
        impatient.accept(batch)
    assert impatient.history(1) == []
    impatient.close()
    with impatient as again:
        assert len(again.accept(batch).inserted) == 200


def test_file_that_can_not_be_opened_is_told(path: Path) -> None:
    """A database that has to be there already, and is not."""
    told = failed(f"sqlite:///file:{path}?mode=rw&uri=true")
    assert "can't be opened" in told
    assert not path.exists()


def test_closed_store_says_so(impatient: Store) -> None:
    """A use after close is a clear error."""
    impatient.close()
    impatient.close()
    with pytest.raises(StoreError, match="The store is not open"):
        impatient.history(1)


def test_error_text_holds_no_parameters(store: Store) -> None:
    """What a statement carried stays out of every error."""
    with pytest.raises(StoreError) as error, store.database.writing() as connection:
        connection.execute(schema.setting.insert(), [{"name": PASSWORD, "value": None, "changed_us": 1}])
    assert "refused a statement" in str(error.value)
    assert PASSWORD not in str(error.value)
    assert PASSWORD not in str(error.value.__cause__).partition("DETAIL")[0]


def test_failed_transaction_is_undone(store: Store) -> None:
    """What was written before the failure never was."""
    with pytest.raises(StoreError):
        write_twice(store, lambda: None)
    assert store.setting("a") is None


def test_sqlite_is_opened_to_survive_power_loss(impatient: Store) -> None:
    """WAL, a sync at each commit, foreign keys."""
    with impatient.database.reading() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


def test_sqlite_waits_for_the_disk_only_where_it_matters(impatient: Store) -> None:
    """A claim that a power loss undoes is claimed again; an alert that was acknowledged has to be there."""
    impatient.accept([incoming(risk_event(), 1, "telegram")])
    found = []
    for forgettable in (True, False, True, False):
        with impatient.database.writing(forgettable=forgettable) as connection:
            found.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())
    assert found == [1, 2, 1, 2]


def test_new_file_that_another_process_writes_to_is_waited_for(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite refuses to change a file's mode at once while another makes it; the store tries again."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE first (value)")
    other.execute("BEGIN IMMEDIATE")
    waits: list[float] = []

    def end_the_write(seconds: float) -> None:
        waits.append(seconds)
        other.execute("COMMIT")

    monkeypatch.setattr(database, "sleep", end_the_write)
    with Store(f"sqlite:///{path}", clock) as store:
        assert store.store_id
    assert len(waits) == 1
    other.close()


def test_error_of_sqlalchemy_itself_names_the_database(path: Path) -> None:
    """A pool that is used up is told as any other failure."""
    told = str(explained(PoolTimeoutError(PASSWORD), make_url(f"sqlite:///{path}")))
    assert told == f"The database {path} can't be used: TimeoutError."


def test_threads_share_a_store(store: Store) -> None:
    """Writers wait for each other instead of failing."""

    def work(first: int) -> None:
        for number in range(first, first + 20):
            store.accept([incoming(risk_event(), number, "telegram")])
            store.channel_counts()

    threads = [Thread(target=work, args=(first,)) for first in (1, 101, 201, 301)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.channel_counts() == {"telegram": {"pending": 80}}


def test_writers_of_two_stores_on_one_file_wait_for_each_other(path: Path, clock: FakeClock) -> None:
    """Two processes, or two stores, on one SQLite file: BEGIN IMMEDIATE never fails for a read that became a write."""
    url = f"sqlite:///{path}"
    with Store(url, clock) as first, Store(url, clock) as second:

        def work(store: Store, start: int) -> None:
            for number in range(start, start + 25):
                store.accept([incoming(risk_event(), number, "telegram")])

        threads = [Thread(target=work, args=pair) for pair in ((first, 1), (second, 100))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert first.channel_counts() == {"telegram": {"pending": 50}}


def test_postgresql_that_is_down_is_told(tmp_path: Path) -> None:
    """The text says where it was looked for."""
    told = failed(f"postgresql+psycopg://alertbus:{PASSWORD}@/alerts?host={tmp_path}")
    assert f"The PostgreSQL database alerts at {tmp_path} can't be reached" in told


def test_postgresql_wrong_password_is_told_without_it(postgresql: PostgresqlServer) -> None:
    """Who, where, and which setting to correct."""
    postgresql.run("CREATE ROLE stranger LOGIN PASSWORD 'another'")
    rules = postgresql.folder / "pg_hba.conf"
    rules.write_text("local all stranger scram-sha-256\n" + rules.read_text())
    postgresql.run("SELECT pg_reload_conf()")
    told = refused(postgresql.url("postgres", f"stranger:{PASSWORD}"))
    assert "refuses the user or the password. Correct ALERTBUS_DATABASE_URL." in told


def test_postgresql_missing_database_is_told(postgresql: PostgresqlServer) -> None:
    """A name that nobody made."""
    assert "has no such database" in refused(postgresql.url("nowhere"))


def test_postgresql_connection_that_was_ended_is_replaced(postgresql: PostgresqlServer, clock: FakeClock) -> None:
    """A restarted server costs a new connection, and no alert and no attempt's result."""
    with Store(url := postgresql.new_database(), clock) as store:
        store.accept([incoming(risk_event(), 1, "telegram")])
        postgresql.end_connections(url)
        assert len(store.claim("telegram", "a", 60, 1)) == 1


def test_postgresql_that_goes_away_in_mid_transaction_is_told(postgresql: PostgresqlServer, clock: FakeClock) -> None:
    """The transaction never was; the store works again with the next one."""
    with Store(url := postgresql.new_database(), clock) as store:
        with pytest.raises(StoreError, match="The PostgreSQL database test_"):
            write_twice(store, lambda: postgresql.end_connections(url))
        assert store.setting("a") is None


def test_postgresql_without_its_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver is an extra of its own."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'alertbus[postgres]'" in refused("postgresql+psycopg://host/alerts")
