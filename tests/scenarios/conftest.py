"""The databases of the store's own tests, for the scenarios."""

from tests.subscriber.conftest import postgresql, postgresql_shared, sqlite_template, store_url

__all__ = ["postgresql", "postgresql_shared", "sqlite_template", "store_url"]
