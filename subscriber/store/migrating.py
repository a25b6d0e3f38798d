"""Brings a database to the schema of this program, by Alembic and without any alembic.ini; or says why it can't."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, Connection, MetaData, Table, Text, func, inspect, select

from bus.errors import ConfigurationError
from subscriber.store.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

#: The revision of `schema.py`; a test holds it to the newest file in migrations/versions.
HEAD: Final = "0005"
#: Not Alembic's usual name, so that alertbus can share a PostgreSQL database with a program that uses Alembic too.
VERSION_TABLE: Final = "alertbus_revision"

_version: Final = Table(VERSION_TABLE, MetaData(), Column("version_num", Text))
_ADVISORY_LOCK: Final = 0x616C657274627573  # "alertbus": two daemons that start at once migrate one after the other


def migrate(database: Database) -> None:
    """Bring the database to `HEAD` in one transaction; quick when it is there already.

    Raises:
        ConfigurationError: A newer program wrote it, or it holds a queue that is not alertbus's own.
        StoreError: It can't be used at the moment.
    """
    with database.reading() as connection:
        if revision_of(connection) == HEAD:
            return
    with database.writing() as connection:
        if database.is_postgresql:
            connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        revision = revision_of(connection)
        if revision != HEAD:
            _upgrade(connection, revision)


def revision_of(connection: Connection) -> str | None:
    """Return the revision that a database says it has, or None where alertbus has made nothing yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(select(_version.c.version_num))


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for a connection, with the migrations of the installed package."""
    from alembic.config import Config  # noqa: PLC0415 - half a second, and only a new database needs it

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection, revision: str | None) -> None:
    from alembic import command  # noqa: PLC0415 - see configuration()
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - only where there is something to migrate

    config = configuration(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise ConfigurationError(
            f"The database has revision {revision}, and this alertbus knows {HEAD} at most: a newer version wrote it. "
            "Upgrade alertbus, restore a backup from before, or let ALERTBUS_DATABASE_URL name another database."
        )
    if revision is None and inspect(connection).has_table("notification_queue"):
        raise ConfigurationError(
            "The database holds a table notification_queue that alertbus did not make. "
            "Let ALERTBUS_DATABASE_URL name a database that alertbus has for itself."
        )
    command.upgrade(config, "head")
