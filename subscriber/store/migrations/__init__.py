"""Alembic's migrations; `subscriber.store.migrating` runs them."""
