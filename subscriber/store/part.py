"""What the parts of the store have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection, LargeBinary, bindparam, cast, select

from bus.alerts import Alert, OpaqueAlert, Severity
from bus.conversion import valid_unicode
from bus.errors import UndecodableFrames
from bus.wire import decode_alert
from subscriber.store import schema
from subscriber.store.bulk import CHUNK
from subscriber.store.database import Database

Item = TypeVar("Item")

#: An alert's body as bytes, whatever SQLite has there: a value that was changed may be of another type than its column,
#: and a text that is no UTF-8 could not even be read.
BODY: Final = cast(schema.alert.c.body, LargeBinary).label("body")
_bodies: Final = select(
    schema.alert.c.id.label("alert_id"),
    BODY,
    *(schema.alert.c[name] for name in ("source", "kind", "event_type", "severity", "symbol", "agent_name")),
).where(schema.alert.c.id.in_(bindparam("ids", expanding=True)))
#: What a delivery's record says when a person said how it stands.
SET_BY_HAND: Final = "set by hand"
#: The 16 bytes of a UUID.
_ID_BYTES: Final = 16
#: What stands for a name that is empty.
_UNKNOWN: Final = "unknown"


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


def alerts_of(connection: Connection, ids: Iterable[bytes]) -> dict[bytes, Alert]:
    """Read alerts by the 16 bytes of their ids."""
    found: dict[bytes, Alert] = {}
    for some in chunks(list(ids)):
        found.update({row.alert_id: alert_from(row) for row in connection.execute(_bodies, {"ids": some})})
    return found


def alert_from(row: Any) -> Alert:
    """Read a stored alert; one whose body was damaged is told by its columns, so that it blocks no channel.

    Args:
        row: A row with `BODY`, and with the columns of `alert` that describe it, whatever they say.
    """
    try:
        return decode_alert(row.body)
    except UndecodableFrames:
        return OpaqueAlert(
            id=UUID(bytes=row.alert_id[:_ID_BYTES].ljust(_ID_BYTES, b"\0")),
            source=row.source or _UNKNOWN,
            original_kind=row.kind or _UNKNOWN,
            event_type=row.event_type or _UNKNOWN,
            severity=_severity(row.severity),
            symbol=row.symbol,
            agent_name=row.agent_name,
            fields={"alertbus": "the stored body can't be read"},
        )


def _severity(word: str) -> Severity:
    """Read the column; a person has to look at an alert of which nobody knows how severe it is."""
    try:
        return Severity(word)
    except ValueError:
        return Severity.CRITICAL
