"""The schema: made by migrations at the first opening, and a database that is not ours is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from bus.errors import ConfigurationError
from subscriber.store import Store, migrating, schema
from subscriber.store.migrating import HEAD, VERSION_TABLE
from tests.support.clock import FakeClock


def execute(store: Store, statement: str) -> None:
    with store.database.writing() as connection:
        connection.exec_driver_sql(statement)


def test_open_empty_database_makes_the_tables_of_the_schema(empty_url: str) -> None:
    """After the migrations nothing is left that Alembic would change."""
    with Store(empty_url) as store, store.database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, schema.metadata) == []
        assert migrating.revision_of(connection) == HEAD


def test_open_twice_keeps_everything(empty_url: str) -> None:
    """The second opening finds the first one's store."""
    with Store(empty_url) as first:
        pass
    with Store(empty_url) as second:
        assert second.store_id == first.store_id


def test_head_is_the_newest_migration(store: Store) -> None:
    """The revision that is compared at each start is the one that the files lead to."""
    with store.database.reading() as connection:
        scripts = ScriptDirectory.from_config(migrating.configuration(connection))
    assert scripts.get_heads() == [HEAD]


def test_migration_of_partial_indexes_is_the_schemas(store: Store) -> None:
    """What Alembic does not compare: the condition of each partial index on SQLite."""
    if not store.database.is_postgresql:
        with store.database.reading() as connection:
            found = {
                row["name"]: row["dialect_options"].get("sqlite_where")
                for name in schema.metadata.tables
                for row in inspect(connection).get_indexes(name)
            }
        declared = {
            index.name: index.dialect_options["sqlite"]["where"]
            for table in schema.metadata.tables.values()
            for index in table.indexes
        }
        assert {name: str(where) for name, where in found.items()} == {
            name: str(where) for name, where in declared.items()
        }


def test_open_newer_revision_is_refused(store: Store, store_url: str) -> None:
    """A newer alertbus wrote it: the text says which revision, and what to do."""
    execute(store, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match=f"has revision 9999, and this alertbus knows {HEAD}") as refused:
        Store(store_url).open()
    execute(store, f"UPDATE {VERSION_TABLE} SET version_num = '{HEAD}'")
    text = str(refused.value)
    assert "Upgrade alertbus, restore a backup" in text
    assert "ALERTBUS_DATABASE_URL" in text
    assert store_url not in text


def test_open_foreign_queue_is_refused(empty_url: str, clock: FakeClock) -> None:
    """A database that holds somebody else's notification_queue is left as it is."""
    store = Store(empty_url, clock)
    store.database.open()
    execute(store, "CREATE TABLE notification_queue (id INTEGER)")
    store.close()
    with pytest.raises(ConfigurationError, match="that alertbus did not make"):
        store.open()
    store.database.open()
    with store.database.reading() as connection:
        assert inspect(connection).get_table_names() == ["notification_queue"]
    store.close()


def test_migration_failure_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration is one transaction on SQLite too."""
    store = Store(empty_url)
    monkeypatch.setattr("alembic.op.create_index", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        store.open()
    store.database.open()
    with store.database.reading() as connection:
        assert inspect(connection).get_table_names() == []
    store.close()
    monkeypatch.undo()
    with Store(empty_url) as opened:
        assert opened.channel_counts() == {}


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("in the middle")


def test_open_works_from_any_folder(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The migrations are found beside the code, not in the working directory."""
    monkeypatch.chdir(tmp_path)
    with Store(empty_url) as store:
        assert store.history(1) == []
