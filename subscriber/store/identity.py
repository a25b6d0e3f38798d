"""The store's id, which all daemons of one database share, and the names that attempts have by it."""

from __future__ import annotations

import re
from typing import Final
from uuid import uuid4

from subscriber.errors import StoreError
from subscriber.store import schema
from subscriber.store.database import Database
from subscriber.store.settings import Settings

_STORE_ID: Final = "store_id"
_PREFIX_LENGTH: Final = 12
_REFERENCE: Final = re.compile(r"([0-9a-f]{12})\.([1-9][0-9]{0,18})")
_HIGHEST: Final = 2**63 - 1


class Identity(Settings):
    """Who this store is."""

    def __init__(self, database: Database) -> None:
        """Know nothing yet; `Store.open` learns it."""
        super().__init__(database)
        self._store_id: str | None = None

    @property
    def store_id(self) -> str:
        """The id that all daemons of this database share: a random UUID, made once.

        Raises:
            StoreError: The store was never opened.
        """
        if self._store_id is None:
            raise StoreError("The store was never opened, so its id is not known.")
        return self._store_id

    def reference_of(self, attempt: int) -> str:
        """Return the name of an attempt that a provider may tell back with its receipts; harmless to show.

        Raises:
            StoreError: The store was never opened.
        """
        return f"{self._prefix()}.{attempt}"

    def attempt_of(self, reference: str) -> int | None:
        """Return the attempt of a name; None where it is none of this store's.

        Raises:
            StoreError: The store was never opened.
        """
        found = _REFERENCE.fullmatch(reference)
        if found is None or found[1] != self._prefix() or int(found[2]) > _HIGHEST:
            return None
        return int(found[2])

    def _learn_identity(self) -> None:
        """Read the id that all daemons of this database share; the first one makes it."""
        stored = self.setting(_STORE_ID)
        if stored is None:
            made = str(uuid4())
            row = {"name": _STORE_ID, "value": made, "changed_us": self._now_us()}
            with self.database.writing() as connection:
                connection.execute(self.database.insert(schema.setting).values(row).on_conflict_do_nothing())
            stored = self.setting(_STORE_ID) or made
        self._store_id = stored

    def _prefix(self) -> str:
        return self.store_id.replace("-", "")[:_PREFIX_LENGTH]
