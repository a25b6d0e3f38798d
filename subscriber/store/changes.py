"""Keeps what people changed: which settings hold, silences, acknowledgements, channels, states set by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from subscriber.store import schema
from subscriber.store.part import StorePart, storable

Fields = dict[str, Any]  #: plain data for JSON

_change: Final = schema.change


class ChangeKind(StrEnum):
    """What somebody changed; a closed set."""

    CONFIG_LOADED = "config_loaded"
    CONFIG_REFUSED = "config_refused"
    SILENCE_ADDED = "silence_added"
    SILENCE_ENDED = "silence_ended"  #: before its time
    ACKNOWLEDGED = "acknowledged"
    CHANNEL_RESUMED = "channel_resumed"
    CHANNEL_SWITCHED = "channel_switched"  #: off or on
    DEAD_LETTERS_RETRIED = "dead_letters_retried"
    STATE_SET = "state_set"  #: of a delivery, by hand


class Changes(StorePart):
    """What was changed, when, by whom and by which way."""

    def record_change(self, what: ChangeKind, author: str, via: str, detail: Mapping[str, Any]) -> None:
        """Keep one change that is no change of the store's own; `add_silence` and the like keep theirs themselves.

        Args:
            what: What was changed.
            author: Who did it, as far as that is known.
            via: By which way: api, cli, page, telegram, file, signal or start.
            detail: Plain data for JSON, without secrets.

        Raises:
            StoreError: The database can't be used at the moment; nothing was kept.
        """
        with self.database.writing() as connection:
            note_change(connection, what, author, via, detail, self._now_us())

    def changes(self, limit: int, before: int | None = None) -> list[Fields]:
        """Return changes, the newest first: each with id, at_us, what, author, via and detail.

        Args:
            limit: How many at most.
            before: The `id` of the last one of the page before.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        wanted = select(_change).order_by(_change.c.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(_change.c.id < before)
        with self.database.reading() as connection:
            return [change_fields(row) for row in connection.execute(wanted)]

    def last_change(self, what: ChangeKind) -> Fields | None:
        """Return the newest change of a kind, with the fields of `changes`; None where there is none.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        wanted = select(_change).where(_change.c.what == what.value).order_by(_change.c.id.desc()).limit(1)
        with self.database.reading() as connection:
            row = connection.execute(wanted).one_or_none()
        return None if row is None else change_fields(row)


def note_change(
    connection: Connection, what: ChangeKind, author: str, via: str, detail: Mapping[str, Any], now_us: int
) -> None:
    """Keep a change inside the writing transaction that makes it."""
    connection.execute(
        insert(_change).values(
            at_us=now_us,
            what=what.value,
            author=storable(author),
            via=storable(via),
            detail=json_text(detail),
        )
    )


def json_text(data: Mapping[str, Any]) -> str:
    """Return plain data as JSON that both databases take."""
    return storable(json.dumps(data, separators=(",", ":"), ensure_ascii=False))


def json_fields(text: str) -> Fields:
    """Read what `json_text` wrote; what can't be read is shown as it is."""
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    return data if isinstance(data, dict) else {"text": text}


def change_fields(row: Any) -> Fields:
    """Return a row of the table as plain data."""
    return {
        "id": row.id,
        "at_us": row.at_us,
        "what": row.what,
        "author": row.author,
        "via": row.via,
        "detail": json_fields(row.detail),
    }
