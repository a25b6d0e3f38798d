"""Runs the migrations inside the transaction that `subscriber.store.migrating` has begun."""

from __future__ import annotations

from alembic import context

from subscriber.store.migrating import VERSION_TABLE
from subscriber.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # on SQLite too: the transaction is ours, and all of it is kept or nothing
)
with context.begin_transaction():
    context.run_migrations()
