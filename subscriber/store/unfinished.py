"""Tells how deliveries stand that had not ended yet: what changes without a number or a time to find it by.

The times in the database are those of whichever daemon wrote them. One whose clock is behind ends deliveries before
what others take for now; whoever knows which ones were open sees it all the same.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, select

from subscriber.deliveries import OPEN_STATES
from subscriber.store import schema, schema_policy
from subscriber.store.part import StorePart, chunks

_queue: Final = schema.notification_queue
_silence: Final = schema.silence
_OPEN: Final = frozenset(state.value for state in OPEN_STATES)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a delivery stands: another one where something happened to it that people see."""

    alert_id: bytes
    status: str
    retries: int
    open_attempt: int | None
    due_at: int
    finished_at: int | None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.status not in _OPEN


class Unfinished(StorePart):
    """What has not ended."""

    def unfinished(self, most: int) -> dict[int, Standing]:
        """Return the newest deliveries that have not ended, by their ids.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return _standings(connection.execute(_newest, {"most": most}))

    def unfinished_of(self, alert_ids: Collection[bytes]) -> dict[int, Standing]:
        """Return the deliveries of some alerts that have not ended, by their ids.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            found: dict[int, Standing] = {}
            for some in chunks(list(alert_ids)):
                found |= _standings(connection.execute(_of_alerts, {"ids": some}))
            return found

    def standings(self, deliveries: Collection[int]) -> dict[int, Standing]:
        """Return how some deliveries stand, by their ids; those that are no more are left out.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            found: dict[int, Standing] = {}
            for some in chunks(list(deliveries)):
                found |= _standings(connection.execute(_of_deliveries, {"ids": some}))
            return found

    def unended_silences(self) -> frozenset[int]:
        """Return the silences that have not ended, also those that have not begun.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return frozenset(connection.scalars(_unended))


def _standings(rows: Any) -> dict[int, Standing]:
    return {number: Standing(*rest) for number, *rest in rows}


_ids: Final[Any] = bindparam("ids", expanding=True)
_shown: Final = select(
    *(_queue.c[name] for name in ("id", "alert_id", "status", "retries", "open_attempt", "due_at", "finished_at"))
)
#: By the index of what is open: "+ 0" keeps SQLite from going through all that ever was instead.
_newest: Final = _shown.where(schema.OPEN).order_by((_queue.c.id + 0).desc()).limit(bindparam("most"))
_of_alerts: Final = _shown.where(_queue.c.alert_id.in_(_ids), schema.OPEN)
_of_deliveries: Final = _shown.where(_queue.c.id.in_(_ids))
_unended: Final = select(_silence.c.id).where(schema_policy.UNENDED)
