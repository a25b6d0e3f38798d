"""Tells how much room the stored rows take, so that the oldest can go when it is too much.

SQLite says so exactly: the pages of the file that are in use; what is free in it is used again. The log beside the file
(WAL) is not counted, it is bounded by itself.

PostgreSQL does not give room back after a DELETE: its files stay as they are and are used again. So while the files are
below the limit they are what counts, and else the rows that are there do: of each table their number, times the mean
size of its oldest and newest rows as they stand on disk, and of its indexes the same share. Counting reads every row
once; nobody asks more than once a minute, and only of a database that is too large.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, func, literal_column, select, text, union_all

from subscriber.errors import StoreError
from subscriber.store import schema
from subscriber.store.part import StorePart

_alert: Final = schema.alert
#: Rows at each end of a table that are measured.
_SAMPLE: Final = 500
#: What PostgreSQL keeps beside each row: where in its page it stands.
_POINTER_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Size:
    """How much is stored."""

    bytes: int  #: what is used, in bytes
    alerts: int  #: how many alerts there are; with all that hangs on them they take nearly all of it

    def alerts_in(self, size_bytes: int) -> int:
        """Return how many alerts take so many bytes, by the mean; at least one, where there is any."""
        return min(self.alerts, max(1, -(-size_bytes * self.alerts // max(self.bytes, 1))))


@dataclass(frozen=True, slots=True)
class Room:
    """What the database takes of its disk, and what that disk has, in bytes."""

    database: int  #: SQLite: the file and its log; PostgreSQL: as the server says
    disk_free: int | None = None  #: None where a server keeps the database: its disk is not seen
    disk_size: int | None = None


class Sizing(StorePart):
    """Measuring."""

    def room(self) -> Room:
        """Return what the database takes, and what is left.

        Raises:
            StoreError: The database can't be used at the moment, or its disk can't be asked.
        """
        with self.database.reading() as connection:
            if self.database.is_postgresql:
                return Room(int(connection.scalar(_DATABASE_BYTES) or 0))
            file = Path(connection.execute(_FILE).scalar_one())
        try:
            disk = disk_usage(file.parent)
            return Room(file.stat().st_size + _size_of(Path(f"{file}-wal")), disk.free, disk.total)
        except OSError as error:
            raise StoreError(f"The disk of the database can't be asked: {error.strerror}.") from error

    def size(self, enough_bytes: int = 0) -> Size:
        """Return how much is stored.

        Args:
            enough_bytes: Below this nobody needs to know exactly: on PostgreSQL the size of the files will do.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            alerts = connection.scalar(_alerts) or 0
            if not self.database.is_postgresql:
                return Size(int(connection.execute(_USED_PAGES).scalar_one()), alerts)
            files = sum(_file_bytes(connection, table) for table in schema.metadata.tables.values())
            if files <= enough_bytes:
                return Size(files, alerts)
            return Size(sum(_row_bytes(connection, table) for table in schema.metadata.tables.values()), alerts)


def _size_of(file: Path) -> int:
    """Return how large a file is that may be gone."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _file_bytes(connection: Connection, table: Table) -> int:
    return int(connection.scalar(select(func.pg_total_relation_size(table.name))) or 0)


def _row_bytes(connection: Connection, table: Table) -> int:
    """Estimate what the rows of a table, and their part of its indexes, take."""
    count = connection.scalar(select(func.count()).select_from(table)) or 0
    mean = float(connection.scalar(_mean_row(table)) or 0)
    rows = round(count * (mean + _POINTER_BYTES))
    files = connection.scalar(select(func.pg_table_size(table.name))) or 0
    indexes = connection.scalar(select(func.pg_indexes_size(table.name))) or 0
    return rows + (round(indexes * min(1.0, rows / files)) if files else 0)


def _mean_row(table: Table) -> Select[Any]:
    """Build the statement for the mean size of a table's oldest and newest rows, as PostgreSQL stores them."""
    first = next(iter(table.primary_key))
    ends = [select(table).order_by(order).limit(_SAMPLE) for order in (first, first.desc())]
    rows = union_all(*ends).subquery("stored")
    return select(func.avg(func.pg_column_size(literal_column("stored")))).select_from(rows)


_alerts: Final = select(func.count()).select_from(_alert)
_DATABASE_BYTES: Final = text("SELECT pg_database_size(current_database())")
_FILE: Final = text("SELECT file FROM pragma_database_list WHERE name = 'main'")
_USED_PAGES: Final = text(
    "SELECT (pages.page_count - free.freelist_count) * size.page_size "
    "FROM pragma_page_count AS pages, pragma_freelist_count AS free, pragma_page_size AS size"
)
