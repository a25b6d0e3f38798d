"""Keeps what each channel knows of its provider and target: holds, WhatsApp's window, moved chats, and its pace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from sqlalchemy import bindparam, select

from subscriber.deliveries import Remembered
from subscriber.store import schema
from subscriber.store.part import StorePart, storable

_memory: Final = schema.channel_memory
_attempt: Final = schema.attempt
#: By field of `Remembered`; in the table, as everywhere in it, times have no unit in their names.
_COLUMNS: Final = {each.name: each.name.removesuffix("_us") for each in fields(Remembered)}
#: Attempts that are read at once, newest first, until they are too old.
_PAGE: Final = 500
_HIGHEST: Final = 2**63 - 1


class Remembering(StorePart):
    """What channels know."""

    def remembered(self, channel: str) -> Remembered:
        """Return what a channel knows; nothing where it never learned anything.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            row = connection.execute(select(_memory).where(_memory.c.channel == channel)).one_or_none()
        if row is None:
            return Remembered()
        return Remembered(**{name: getattr(row, column) for name, column in _COLUMNS.items()})

    def remember_channel(self, channel: str, changes: Mapping[str, int | str | None]) -> None:
        """Keep what a channel has learned; what is not named stays as it is.

        Args:
            channel: Which one.
            changes: By the names of the fields of `Remembered`.

        Raises:
            ValueError: There is no such field.
            StoreError: The database can't be used at the moment; nothing was kept.
        """
        unknown = sorted(changes.keys() - _COLUMNS.keys())
        if unknown:
            raise ValueError(f"A channel remembers no {', '.join(unknown)}; it remembers: {', '.join(_COLUMNS)}.")
        if not changes:
            return
        values = {
            _COLUMNS[name]: storable(value) if isinstance(value, str) else value for name, value in changes.items()
        }
        statement = self.database.insert(_memory).values(channel=channel, **values)
        # A power loss may undo it: the channel then learns it again.
        with self.database.writing(forgettable=True) as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["channel"], set_=values))

    def recent_attempts(self, channel: str, since_us: int) -> list[int]:
        """Return when a channel's newest attempts were begun, the oldest first: what its pace has to know at a start.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        found: list[int] = []
        before = _HIGHEST
        with self.database.reading() as connection:
            while True:  # by their numbers, which rise with time: no index of times for what only a start asks
                rows = connection.execute(_page_before, {"before": before}).all()
                found += [row.opened_us for row in rows if row.channel == channel and row.opened_us >= since_us]
                if len(rows) < _PAGE or rows[-1].opened_us < since_us:
                    return sorted(found)
                before = rows[-1].id


_page_before: Final = (
    select(_attempt.c.id, _attempt.c.channel, _attempt.c.opened_us)
    .where(_attempt.c.id < bindparam("before"))
    .order_by(_attempt.c.id.desc())
    .limit(_PAGE)
)
