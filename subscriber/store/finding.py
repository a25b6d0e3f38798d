"""Finds alerts for a person: by the last digits of an id, the newest that nobody acknowledged, and words of alerts."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, Integer, LargeBinary, bindparam, func, select

from bus.alerts import Alert
from subscriber.store import schema
from subscriber.store.part import StorePart, alerts_of, storable
from subscriber.store.unacknowledged import UNACKNOWLEDGED

_alert: Final = schema.alert
_ID_BYTES: Final = 16
#: Digits of an id below which too many alerts would fit.
SHORTEST: Final = 8


class Finding(StorePart):
    """Looking up alerts."""

    def find_alerts(self, text: str, limit: int = 5) -> list[UUID]:
        """Return the alerts that an id, or the end of one, names, the newest first.

        Args:
            text: At least 8 hexadecimal digits, with or without dashes; anything else finds nothing.
            limit: How many at most.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        digits = text.strip().lower().replace("-", "")
        try:
            tail = bytes.fromhex(digits[len(digits) % 2 :])
        except ValueError:
            return []
        if not SHORTEST <= len(digits) <= 2 * _ID_BYTES:
            return []
        given = {"start": _ID_BYTES - len(tail) + 1, "tail": tail, "most": limit}
        with self.database.reading() as connection:
            if len(tail) == _ID_BYTES:
                found = connection.scalars(_whole, {"tail": tail}).all()
            else:
                found = connection.scalars(_ending, given).all()
        return [each for each in map(_uuid, found) if each.hex.endswith(digits)]

    def alert(self, alert_id: UUID) -> Alert | None:
        """Return a stored alert; None where there is none.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return alerts_of(connection, [alert_id.bytes]).get(alert_id.bytes)

    def newest_unacknowledged(self) -> UUID | None:
        """Return the newest CRITICAL alert that nobody acknowledged; None where there is none.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            key: bytes | None = connection.scalar(_newest_unacknowledged)
        return None if key is None else UUID(bytes=key)

    def field_of(self, word: str) -> str | None:
        """Say whether a word is the `symbol` or the `event_type` of a stored alert; None where it is neither.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            for name, statement in _KNOWN.items():
                if connection.execute(statement, {"word": storable(word)}).first() is not None:
                    return name
        return None


def _uuid(key: bytes) -> UUID:
    return UUID(bytes=key)


_tail: Final = bindparam("tail", type_=LargeBinary)
_whole: Final = select(_alert.c.id).where(_alert.c.id == _tail)
_ending: Final = (
    select(_alert.c.id)
    .where(func.substr(_alert.c.id, bindparam("start", type_=Integer)) == _tail)
    .order_by(_alert.c.number.desc())
    .limit(bindparam("most", type_=BigInteger))
)
_newest_unacknowledged: Final = select(_alert.c.id).where(UNACKNOWLEDGED).order_by(_alert.c.number.desc()).limit(1)
_KNOWN: Final = {
    name: select(_alert.c.number).where(_alert.c[name] == bindparam("word")).limit(1)
    for name in ("symbol", "event_type")
}
