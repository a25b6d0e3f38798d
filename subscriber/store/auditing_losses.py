"""Audits lost numbers: were people told of each stream that has some?

A loss and the alert that tells of it are written in one transaction. The marks are read first and the alerts after
them, so what is lost meanwhile is no false alarm. Which alert tells of which numbers is not asked: ranges are split
when a number arrives after all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, bindparam, exists, select

from bus.errors import UndecodableFrames
from bus.wire import decode_alert
from subscriber.deliveries import Mark
from subscriber.store import schema
from subscriber.store.auditing_alerts import CHANNEL, NOBODY
from subscriber.store.ledger import FaultKind, Findings
from subscriber.store.part import BODY

#: The event that tells of lost numbers; its description names the stream in hex.
TELLING: Final = "ALERTS_LOST"
#: Marks, and alerts, of one snapshot.
GROUP: Final = 10_000
_GROUP_OF_ALERTS: Final = 500

_STREAM_IN_HEX: Final = re.compile(r"\b[0-9a-f]{32}\b")

_alert: Final = schema.alert
_mark: Final = schema.stream_mark
_stream: Final = schema.stream
_total: Final = schema.ledger_total


@dataclass(slots=True)
class Losses:
    """Streams with lost numbers, of which no alert was found yet."""

    newest: dict[bytes, int] = field(default_factory=dict)  #: when the newest loss of each was noted, in microseconds


def read_losses(connection: Connection, after: int, losses: Losses) -> int | None:
    """Read the next marks of lost numbers by their ids.

    Returns:
        The last id of the group; None where there are no more.
    """
    rows = connection.execute(_marks_after, {"after": after}).all()
    for row in rows:
        losses.newest[row.stream] = max(losses.newest.get(row.stream, row.noted_us), row.noted_us)
    return rows[-1].id if rows else None


def read_tellings(connection: Connection, after: int, losses: Losses) -> int | None:
    """Read the next alerts that tell of losses by their numbers, and take out the streams that they name.

    Returns:
        The last number of the group; None where there are no more, or nothing is left to be told.
    """
    if not losses.newest:
        return None
    rows = connection.execute(_tellings_after, {"after": after}).all()
    for row in rows:
        for name in _STREAM_IN_HEX.findall(_described(row.body)):
            losses.newest.pop(bytes.fromhex(name), None)
    return rows[-1].number if rows else None


def judge_losses(connection: Connection, losses: Losses, findings: Findings) -> None:
    """Tell the streams that are left, unless retention may have removed the alert that told of them."""
    if not losses.newest:
        return
    pruned = connection.scalar(_anything_pruned)
    kept_us = connection.scalar(_oldest_that_could_go) if pruned else None
    for stream, noted_us in sorted(losses.newest.items()):
        if not pruned or (kept_us is not None and kept_us < noted_us):
            findings.add(
                FaultKind.UNTOLD_LOSS, f"stream {stream.hex()}", "It has lost numbers, and no stored alert tells of it."
            )


def _described(body: bytes) -> str:
    try:
        return getattr(decode_alert(body), "description", None) or ""
    except UndecodableFrames:
        return ""


_marks_after: Final = (
    select(_mark.c.id, _mark.c.stream, _mark.c.noted_us)
    .where(_mark.c.id > bindparam("after"), _mark.c.mark == Mark.LOST.value)
    .order_by(_mark.c.id)
    .limit(GROUP)
)
_tellings_after: Final = (
    select(_alert.c.number, BODY)
    .where(_alert.c.number > bindparam("after"), _alert.c.stream.is_(None), _alert.c.event_type == TELLING)
    .order_by(_alert.c.number)
    .limit(_GROUP_OF_ALERTS)
)
# Who tells of a loss is always planned for somebody, so no total of a channel means that none was ever removed.
_anything_pruned: Final = select(exists().where(_total.c.scope == CHANNEL))
# Retention goes by age and spares what is not settled. An alert for nobody, acknowledged as soon as it was stored, was
# never spared: as long as it is there, nothing that was stored after it is gone.
_lower: Final = _alert.alias("lower")
_stored_later: Final = exists().where(
    _lower.c.stream == _alert.c.stream,
    _lower.c.sequence < _alert.c.sequence,
    _lower.c.stored_us > _alert.c.stored_us,
)
_marked_later: Final = exists().where(
    _mark.c.stream == _alert.c.stream, _mark.c.first < _alert.c.sequence, _mark.c.noted_us > _alert.c.stored_us
)
_oldest_that_could_go: Final = (
    select(_alert.c.stored_us)
    .join(_stream, _stream.c.stream == _alert.c.stream)
    .where(_alert.c.planned == NOBODY, _alert.c.sequence <= _stream.c.up_to, ~_stored_later, ~_marked_later)
    .order_by(_alert.c.number)
    .limit(1)
)
