"""Keeps what the daemon has to remember about itself and its database, by name."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from subscriber.store import schema
from subscriber.store.database import Database
from subscriber.store.part import StorePart, storable

_setting: Final = schema.setting
_SENT_FOR_REAL: Final = "sent_for_real"


class Settings(StorePart):
    """Reading and writing small values that outlive the daemon."""

    def setting(self, name: str) -> str | None:
        """Return a value by its name, or None where it was never set.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return _read(connection, name)

    def remember(self, name: str, value: str) -> None:
        """Set a value, whatever it was.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        with self.database.writing() as connection:
            write_setting(self.database, connection, name, value, self._now_us())

    def sent_for_real(self) -> bool:
        """Return whether this database ever sent a message to a person, and not only in a dry run.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        return self.setting(_SENT_FOR_REAL) is not None

    def remember_sent_for_real(self) -> None:
        """Note that this database sends to people: a start without credentials is then refused.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        self.remember(_SENT_FOR_REAL, "1")


def write_setting(database: Database, connection: Connection, name: str, value: str, now_us: int) -> None:
    """Set a value inside a writing transaction."""
    values = {"value": storable(value), "changed_us": now_us}
    statement = database.insert(_setting).values(name=storable(name), **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def _read(connection: Connection, name: str) -> str | None:
    value: str | None = connection.scalar(select(_setting.c.value).where(_setting.c.name == name))
    return value
