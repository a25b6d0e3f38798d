"""Turns rows of the store into what people read of them: plain data for JSON. Asks for no more than one row each."""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, select

from bus.alerts import Alert
from subscriber.store import schema
from subscriber.store.changes import Fields, json_fields
from subscriber.store.handling import handling_of
from subscriber.store.part import BODY, alert_from

_alert: Final = schema.alert
_acknowledgement: Final = schema.acknowledgement
_escalation: Final = schema.escalation
_ID_BYTES: Final = 16

#: An alert as it is stored, for `alert_entry`.
STORED: Final = (*(column for column in _alert.c if column.name != "body"), BODY, _alert.c.id.label("alert_id"))
#: What is told of a delivery as it stands in its row.
_DELIVERY_FIELDS: Final = (
    "id",
    "channel",
    "step",
    "status",
    "why",
    "retries",
    "created_at",
    "due_at",
    "finished_at",
    "expires_at",
    "possible_repeat",
    "last_reason",
    "last_code",
    "last_detail",
    "batch",
    "more_since",
)


def alert_fields(alert: Alert) -> Fields:
    """Return an alert as plain data, without the agent's state, which is large and no part of a message."""
    return alert.model_dump(mode="json", exclude={"state"})


def alert_entry(row: Row[Any]) -> Fields:
    """Return a row of `STORED`."""
    return {
        "number": row.number,
        "alert": alert_fields(alert_from(row)),
        "topic": row.topic,
        "severity": row.severity,
        "stream": None if row.stream is None else row.stream.hex(),
        "sequence": row.sequence,
        "published_us": row.published_us,
        "stored_us": row.stored_us,
        "marks": [mark for mark in row.marks.split(",") if mark],
        "resolved_by": id_text(row.resolved_by),
    }


def delivery_entry(row: Row[Any]) -> Fields:
    """Return a row of the queue; `told_by` is the id of the alert that tells of it instead."""
    handling = handling_of(row.handling)
    return {
        **{name: getattr(row, name) for name in _DELIVERY_FIELDS},
        "route": handling.route,
        "silent": handling.silent,
        "template": handling.template,
        "more": row.more or 0,
        "told_by": id_text(row.told_by),
        "handed_over": bool(row.handed_over),
    }


def digest_entry(row: Row[Any]) -> Fields:
    """Return a row of `digest`, without its message."""
    return {"id": row.id, "kind": row.kind, "members": row.members, "state": row.state}


def acknowledgement_of(connection: Connection, key: bytes) -> Fields | None:
    """Return who acknowledged an alert, and when; None where nobody did."""
    row = connection.execute(select(_acknowledgement).where(_acknowledgement.c.alert_id == key)).one_or_none()
    return None if row is None else acknowledgement_entry(row)


def acknowledgement_entry(row: Row[Any]) -> Fields:
    """Return a row of `acknowledgement`."""
    return {"at_us": row.at_us, "author": row.author, "via": row.via, "note": row.note}


def escalation_of(connection: Connection, key: bytes) -> Fields | None:
    """Return how an alert's escalation stands; `turn` is the next one. None where it has none."""
    row = connection.execute(select(_escalation).where(_escalation.c.alert_id == key)).one_or_none()
    if row is None:
        return None
    return {
        "channels": list_of(row.channels),
        "ack_within_us": row.ack_within_us,
        "turn": row.turn,
        "due_us": row.due_us,
        "ended_us": row.ended_us,
        "ended_why": row.ended_why,
    }


def told_text(message: str | None) -> str | None:
    """Return what a stored message says to a person; None where none is stored."""
    return None if message is None else json_fields(message).get("text")


def list_of(text: str) -> list[str]:
    """Read a list of words; none where it can't be read."""
    try:
        words = json.loads(text)
    except ValueError:
        return []
    return [str(word) for word in words] if isinstance(words, list) else []


def id_text(key: bytes | None) -> str | None:
    """Return the id of an alert as people write it; None where the 16 bytes are no id."""
    return str(UUID(bytes=key)) if key is not None and len(key) == _ID_BYTES else None
