"""The connection to SQLite or PostgreSQL: one engine, reading and writing transactions, and its errors in words.

Any thread may use it; each transaction has a connection of its own from the pool. SQLite has one writer at a time:
every writing transaction begins with BEGIN IMMEDIATE, because a read that is upgraded to a write fails at once when
somebody else wrote in between, whatever the busy timeout. The writers of this process wait for each other on a lock,
which wakes them in turn, where SQLite's own busy handler sleeps and tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from random import uniform
from sqlite3 import SQLITE_BUSY, OperationalError
from threading import RLock
from time import monotonic, sleep
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Table,
    bindparam,
    cast,
    create_engine,
    event,
    extract,
    func,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from bus.clock import MICROSECONDS, Clock
from bus.errors import ConfigurationError
from subscriber.errors import StoreError
from subscriber.store.failures import explained, was_undone

Given = ParamSpec("Given")
Result = TypeVar("Result")

#: Seconds that a statement waits for another process that writes to the same SQLite file.
DEFAULT_BUSY_TIMEOUT_SECONDS: Final = 5.0
_CONNECT_TIMEOUT_SECONDS: Final = 10
#: A daemon that is paused in mid-transaction must not hold its locks against the others for longer than this.
_POSTGRESQL_SESSION: Final = (
    "SET idle_in_transaction_session_timeout = '30s'",
    "SET lock_timeout = '30s'",
    "SET synchronous_commit = on",
)
_POOL_SIZE: Final = 8
_POOL_OVERFLOW: Final = 56  # the API's thread pool has 40 threads
_SYNCHRONOUS: Final = "alertbus_synchronous"
_WAL_RETRY_SECONDS: Final = 0.02
#: How long a transaction that was undone for a deadlock waits at most before its second and its third, last run: one
#: that came back at once could take a row that was just freed from whoever was woken for it, and meet it again.
_AGAIN_SECONDS: Final = (0.1, 0.4)


def repeated(transact: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let a function that is one transaction be run again where PostgreSQL undid it for a deadlock; at most 3 times.

    The function begins with nothing from a former run, and changes nothing but the database.
    """

    @wraps(transact)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        for longest in _AGAIN_SECONDS:
            try:
                return transact(*args, **kwargs)
            except StoreError as error:
                if not was_undone(error):
                    raise
            sleep(uniform(longest / 2, longest))  # noqa: S311 - so that two that met do not meet again
        return transact(*args, **kwargs)

    return run


class Database:
    """One database by its URL. `open()` makes the engine, `close()` disposes of it."""

    def __init__(self, url: str, clock: Clock, *, busy_timeout_seconds: float = DEFAULT_BUSY_TIMEOUT_SECONDS) -> None:
        """Keep the settings; nothing is opened.

        Args:
            url: `sqlite:///PATH` or `postgresql+psycopg://…`.
            clock: The daemon's clock; leases on PostgreSQL use the server's instead.
            busy_timeout_seconds: How long to wait for another process that writes to the same SQLite file.

        Raises:
            ConfigurationError: The URL can't be read, or names another kind of database.
        """
        self.url = _parsed(url)
        self.clock = clock
        self.is_postgresql = self.url.get_backend_name() == "postgresql"
        self.lease_now: ColumnElement[int] = _server_clock() if self.is_postgresql else _bound_clock(clock)
        #: Called in the writer's thread when something was committed that is not forgettable; it has to be quick.
        self.on_commit: Callable[[], None] | None = None
        self._busy_timeout_seconds = busy_timeout_seconds
        self._writers: AbstractContextManager[object] = nullcontext() if self.is_postgresql else RLock()
        self._engine: Engine | None = None
        self._durable: Engine | None = None
        self._forgettable: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The open engine.

        Raises:
            StoreError: The database is not open.
        """
        if self._engine is None:
            raise StoreError("The store is not open: call open() first, and nothing after close().")
        return self._engine

    def open(self) -> None:
        """Make the engine; a connection is first made by the first transaction.

        Raises:
            ConfigurationError: The folder of the file is missing, or the PostgreSQL driver is not installed.
        """
        self.check_place()
        try:
            self._engine = self._made_engine()
        except ImportError as error:
            raise ConfigurationError(
                "ALERTBUS_DATABASE_URL names PostgreSQL, and its driver is not installed: "
                "pip install 'alertbus[postgres]'."
            ) from error
        # the same engine and pool; what differs is how `_begin_sqlite` begins
        self._durable = self._engine.execution_options(**{_SYNCHRONOUS: "FULL"})
        self._forgettable = self._engine.execution_options(**{_SYNCHRONOUS: "NORMAL"})

    def check_place(self) -> None:
        """Check without opening anything that there is a folder for an SQLite file.

        Raises:
            ConfigurationError: There is none, or the file is a folder itself.
        """
        if not self.is_postgresql:
            _check_place(self.url)

    def close(self) -> None:
        """Close every connection; harmless when it is not open."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = self._durable = self._forgettable = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run a transaction that only reads, and sees one state of the database on SQLite.

        Raises:
            StoreError: The database can't be used at the moment.
            ConfigurationError: A setting has to be changed.
        """
        with self._in_words(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, *, forgettable: bool = False) -> Iterator[Connection]:
        """Run a transaction that writes: committed when the block ends, undone when it raises.

        Args:
            forgettable: A power loss may undo it: a claim, a heartbeat. SQLite then saves the wait for the disk;
                what is committed after it brings it to the disk too, and a killed process loses nothing.

        Raises:
            StoreError: The database can't be used at the moment; nothing was written.
            ConfigurationError: A setting has to be changed.
        """
        writer = (self._forgettable if forgettable else self._durable) or self.engine
        with self._in_words(), self._writers, writer.begin() as connection:
            yield connection
        if self.on_commit is not None and not forgettable:
            self.on_commit()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other thread of this process write meanwhile; this one may."""
        with self._writers:
            yield

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """Begin an INSERT that knows ON CONFLICT, in the words of this database."""
        return postgresql.insert(table) if self.is_postgresql else sqlite.insert(table)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise explained(error, self.url) from error

    def _prepare_sqlite(self, connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: `_begin_sqlite` does
        _write_ahead(connection, self._busy_timeout_seconds)
        for pragma in ("synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    def _made_engine(self) -> Engine:
        common: dict[str, Any] = {
            "hide_parameters": True,  # alerts and provider's answers stay out of every error and log
            "pool_size": _POOL_SIZE,
            "max_overflow": _POOL_OVERFLOW,
        }
        if self.is_postgresql:
            # pre-ping: a server that was restarted costs a new connection, and not the result of an attempt
            engine = create_engine(
                self.url, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_TIMEOUT_SECONDS}, **common
            )
            event.listen(engine, "connect", _prepare_postgresql)
            return engine
        engine = create_engine(self.url, connect_args={"timeout": self._busy_timeout_seconds}, **common)
        event.listen(engine, "connect", self._prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        # the cause is left out: it quotes the URL, password included
        raise ConfigurationError(
            "ALERTBUS_DATABASE_URL is no database URL. Write sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE."
        ) from None
    if backend in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigurationError(
            f"ALERTBUS_DATABASE_URL names {backend}; alertbus knows sqlite and postgresql+psycopg."
        )
    if url.database in {None, "", ":memory:"}:
        raise ConfigurationError(
            "ALERTBUS_DATABASE_URL names no file; a queue in memory would lose alerts. Write sqlite:///alertbus.db."
        )
    return url.set(drivername="sqlite+pysqlite")


def _check_place(url: URL) -> None:
    """Say what SQLite does not: its error is the same for a missing folder and for a missing right."""
    if (url.database or "").startswith("file:"):
        return
    path = Path(url.database or "")
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"The folder {path.parent} of the database {path} does not exist. "
            "Make it, or correct ALERTBUS_DATABASE_URL."
        )
    if path.is_dir():
        raise ConfigurationError(f"ALERTBUS_DATABASE_URL names the folder {path}; it has to name a file.")


def _bound_clock(clock: Clock) -> ColumnElement[int]:
    return bindparam("lease_now", callable_=clock.now_us, type_=BigInteger())


def _server_clock() -> ColumnElement[int]:
    return cast(extract("epoch", func.clock_timestamp()) * MICROSECONDS, BigInteger)


def _write_ahead(connection: Any, busy_timeout_seconds: float) -> None:
    """Bring a file to WAL, in which readers and the writer don't wait for each other.

    SQLite changes the mode of a file that another process writes to only when that process is done, and then says
    BUSY at once instead of waiting (its own busy handler could deadlock there): two daemons that make one file
    together meet this.
    """
    end = monotonic() + busy_timeout_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except OperationalError as error:
            if error.sqlite_errorcode & 0xFF != SQLITE_BUSY or monotonic() > end:
                raise
        sleep(_WAL_RETRY_SECONDS)


def _begin_sqlite(connection: Connection) -> None:
    synchronous = connection.get_execution_options().get(_SYNCHRONOUS)
    if synchronous is None:
        connection.exec_driver_sql("BEGIN")
        return
    if connection.info.get(_SYNCHRONOUS, "FULL") != synchronous:  # it can be set between transactions only
        connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}")
        connection.info[_SYNCHRONOUS] = synchronous
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    for statement in _POSTGRESQL_SESSION:
        connection.execute(statement)
    connection.commit()
