"""Writes many rows with few calls: what makes a batch of a thousand alerts cost microseconds each.

SQLAlchemy builds each statement once; the driver then gets plain tuples on SQLite, and one array per column on
PostgreSQL (`unnest`), where an executemany would wait for the server after every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Table, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

Row = tuple[Any, ...]

_DIALECT: Final[Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy left it without types

#: Values that one IN (…) may hold; SQLite's own limit of variables is 32,766.
CHUNK: Final = 10_000


class BulkInsert:
    """An INSERT of whole rows into the given columns; rows that are there already are passed over."""

    def __init__(self, table: Table, columns: Sequence[str], *, returning: str | None = None) -> None:
        """Build both databases' statements.

        Args:
            table: Where the rows go; its first column counts up by itself.
            columns: The names, in the order of each row's values.
            returning: The column that `run_returning` tells of.
        """
        self._on_sqlite = str(
            sqlite.insert(table).on_conflict_do_nothing().compile(dialect=sqlite.dialect(), column_keys=list(columns))
        )
        self._on_postgresql = _unnest_statement(table, columns, None)
        if returning is not None:
            self._position = tuple(columns).index(returning)
            self._on_postgresql = _unnest_statement(table, columns, returning)
            number = next(iter(table.c))
            self._newest = select(func.coalesce(func.max(number), 0))
            self._since = select(table.c[returning]).where(number > bindparam("newest"))

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Insert the rows."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(self._on_sqlite, list(rows))
        else:
            connection.exec_driver_sql(self._on_postgresql, _arrays(rows))

    def run_returning(self, connection: Connection, rows: Sequence[Row]) -> set[Any]:
        """Insert the rows; return the values of the `returning` column of those that were not there yet."""
        if not rows:
            return set()
        if connection.dialect.name != "sqlite":
            return {row[0] for row in connection.exec_driver_sql(self._on_postgresql, _arrays(rows))}
        # The driver can't return rows of an executemany; but nobody else writes now, so what is newer is ours.
        newest = connection.scalar(self._newest)
        if connection.exec_driver_sql(self._on_sqlite, list(rows)).rowcount == len(rows):
            return {row[self._position] for row in rows}
        return set(connection.scalars(self._since, {"newest": newest}))


class BulkUpsert:
    """Rows that two columns name: locked, and written whether they are there or not."""

    def __init__(self, table: Table, keys: tuple[str, str], values: Sequence[str]) -> None:
        """Build both databases' statements.

        Args:
            table: Where the rows are.
            keys: The columns of its primary key, in the order of each row's values.
            values: The columns that follow them.
        """
        self._keys = keys
        columns = (*keys, *values)
        written = sqlite.insert(table)
        self._write_on_sqlite = str(
            written.on_conflict_do_update(
                index_elements=list(keys), set_={name: written.excluded[name] for name in values}
            ).compile(dialect=sqlite.dialect(), column_keys=list(columns))
        )
        # cross products: SQLite would read the whole index for a list of pairs
        self._find_on_sqlite = select(*(table.c[name] for name in columns)).where(
            *(table.c[name].in_(bindparam(name, expanding=True)) for name in keys)
        )
        named = ", ".join(map(_quoted, keys))
        upsert = f"{_insert_of_arrays(table, columns)} ON CONFLICT ({named}) DO UPDATE SET"
        changes = ", ".join(f"{_quoted(name)} = excluded.{_quoted(name)}" for name in values)
        self._write_on_postgresql = f"{upsert} {changes}"
        same = f"{_quoted(values[0])} = {_quoted(table.name)}.{_quoted(values[0])}"
        self._lock_on_postgresql = f"{upsert} {same} RETURNING {', '.join(map(_quoted, columns))}"

    def locked(self, connection: Connection, rows: Sequence[Row]) -> list[Row]:
        """Lock the rows of these keys until the transaction ends, and return those that are there.

        On PostgreSQL those that were missing are there afterwards: a lock of what is not there yet would keep nobody
        from making it. On SQLite nobody else writes now; it may return more than was asked for.

        Args:
            connection: A writing transaction.
            rows: In one order for everybody, each once, with the values of those that are missing.
        """
        if not rows:
            return []
        if connection.dialect.name != "sqlite":
            return [tuple(row) for row in connection.exec_driver_sql(self._lock_on_postgresql, _arrays(rows))]
        found: list[Row] = []
        one, other = self._keys
        for start in range(0, len(rows), CHUNK):
            some = rows[start : start + CHUNK]
            given = {one: list({row[0] for row in some}), other: list({row[1] for row in some})}
            found += map(tuple, connection.execute(self._find_on_sqlite, given))
        return found

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write the rows, each once."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(self._write_on_sqlite, list(rows))
        else:
            connection.exec_driver_sql(self._write_on_postgresql, _arrays(rows))


class BulkUpdate:
    """An UPDATE of rows that their keys name."""

    def __init__(self, table: Table, values: Sequence[str], keys: Sequence[str]) -> None:
        """Build both databases' statements.

        Args:
            table: Where the rows are.
            values: The columns that change, in the order of each row's values.
            keys: The columns that follow them, which name a row.
        """
        name, columns = _quoted(table.name), (*values, *keys)
        # names of our own tables and columns; every value is a parameter
        changes = ", ".join(f"{_quoted(value)} = ?" for value in values)
        named = " AND ".join(f"{_quoted(key)} = ?" for key in keys)
        self._on_sqlite = f"UPDATE {name} SET {changes} WHERE {named}"  # noqa: S608 - our own names
        changes = ", ".join(f"{_quoted(value)} = given.{_quoted(value)}" for value in values)
        named = " AND ".join(f"{name}.{_quoted(key)} = given.{_quoted(key)}" for key in keys)
        given = f"unnest({_array_types(table, columns)}) AS given({', '.join(map(_quoted, columns))})"
        self._on_postgresql = f"UPDATE {name} SET {changes} FROM {given} WHERE {named}"  # noqa: S608 - our own names

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Change the rows, each once; this transaction has locked them, because no order is kept."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(self._on_sqlite, list(rows))
        else:
            connection.exec_driver_sql(self._on_postgresql, _arrays(rows))


def _arrays(rows: Sequence[Row]) -> dict[str, list[Any]]:
    return {f"c{index}": list(values) for index, values in enumerate(zip(*rows, strict=True))}


def _unnest_statement(table: Table, columns: Sequence[str], returning: str | None) -> str:
    tail = f" RETURNING {_quoted(returning)}" if returning else ""
    return f"{_insert_of_arrays(table, columns)} ON CONFLICT DO NOTHING{tail}"


def _insert_of_arrays(table: Table, columns: Sequence[str]) -> str:
    names = ", ".join(map(_quoted, columns))
    # names of our own tables and columns; every value is a parameter
    into = f"INSERT INTO {_quoted(table.name)} ({names})"
    return f"{into} SELECT * FROM unnest({_array_types(table, columns)})"  # noqa: S608 - our own names


def _array_types(table: Table, columns: Sequence[str]) -> str:
    return ", ".join(f"%(c{index})b::{table.c[name].type.compile(_DIALECT)}[]" for index, name in enumerate(columns))


def _quoted(name: str) -> str:
    return _DIALECT.identifier_preparer.quote(name)
