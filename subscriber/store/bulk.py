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


def _arrays(rows: Sequence[Row]) -> dict[str, list[Any]]:
    return {f"c{index}": list(values) for index, values in enumerate(zip(*rows, strict=True))}


def _unnest_statement(table: Table, columns: Sequence[str], returning: str | None) -> str:
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy left it without types
    quote = dialect.identifier_preparer.quote
    names = ", ".join(map(quote, columns))
    arrays = ", ".join(f"%(c{index})b::{table.c[name].type.compile(dialect)}[]" for index, name in enumerate(columns))
    tail = f" RETURNING {quote(returning)}" if returning else ""
    # names of our own tables and columns; every value is a parameter
    return f"INSERT INTO {quote(table.name)} ({names}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING{tail}"  # noqa: S608
