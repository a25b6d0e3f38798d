"""What the parts of the store have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar
from uuid import UUID

from bus.alerts import Alert, OpaqueAlert, Severity
from bus.conversion import valid_unicode
from bus.errors import UndecodableFrames
from bus.wire import decode_alert
from subscriber.store.bulk import CHUNK
from subscriber.store.database import Database

Item = TypeVar("Item")


class StorePart:
    """A part of the store: some functions over one database."""

    def __init__(self, database: Database) -> None:
        """Keep the database; it is opened by the Store."""
        self.database = database

    def _now_us(self) -> int:
        return self.database.clock.now_us()


def storable(text: str) -> str:
    """Return a text that both databases take: PostgreSQL knows no NUL, and neither knows half a character."""
    if text.isascii() and "\0" not in text:
        return text
    return valid_unicode(text).replace("\0", "\ufffd")


def chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Cut what stands in an IN (…) into pieces that SQLite takes."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def alert_from(row: Any) -> Alert:
    """Read a stored alert; one whose body was damaged is told by its columns, so that it blocks no channel.

    Args:
        row: A row with `body`, and with the columns of `alert` that describe it.
    """
    try:
        return decode_alert(row.body)
    except UndecodableFrames:
        return OpaqueAlert(
            id=UUID(bytes=row.alert_id),
            source=row.source,
            original_kind=row.kind,
            event_type=row.event_type,
            severity=Severity(row.severity),
            symbol=row.symbol,
            agent_name=row.agent_name,
            fields={"alertbus": "the stored body can't be read"},
        )
