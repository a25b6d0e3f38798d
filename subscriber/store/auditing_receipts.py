"""Audits receipts: did everything follow from each one that had to, and does each record say what its receipts told?

Every transaction that notes a receipt, or ends an attempt, keeps these rules, so a group that is read in one snapshot
keeps them at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, or_, select

from bus.clock import MICROSECONDS
from subscriber.deliveries import DeliveryState, Reason
from subscriber.receipts import ReceiptState
from subscriber.store import schema
from subscriber.store.arrivals import ARRIVED, receipt_state
from subscriber.store.auditing_alerts import alert_named
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.ledger import FaultKind, Findings
from subscriber.store.part import SET_BY_HAND

#: Rows of one snapshot.
GROUP: Final = 20_000

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery
_receipt: Final = schema.receipt

_WORDS: Final = frozenset(state.value for state in ReceiptState)
_ACCEPTED: Final = Reason.ACCEPTED.value
#: A receipt that comes later may be about a channel that is configured no more, and then belongs to nobody.
_SOON_US: Final = 60 * MICROSECONDS


def audit_receipts(connection: Connection, after: int, findings: Findings) -> int | None:
    """Audit the next receipts by their ids.

    Returns:
        The last id of the group; None where there are no more.
    """
    until = connection.scalar(_last_receipt, {"after": after})
    if until is None:
        return None
    given = {"after": after, "until": until}
    for row in connection.execute(_unknown_words, given):
        findings.add(FaultKind.UNKNOWN_STATE, _where(row), "Its state is none.")
    for statement, text in _LOST:
        for row in connection.execute(statement, given):
            findings.add(FaultKind.LOST_RECEIPT, _where(row), text)
    return int(until)


def audit_told_attempts(connection: Connection, after: int, findings: Findings) -> int | None:
    """Audit the next attempts of which receipts are expected, by their ids.

    Returns:
        The last id of the group; None where there are no more.
    """
    until = connection.scalar(_last_told, {"after": after})
    if until is None:
        return None
    given = {"after": after, "until": until}
    rows = connection.execute(_told, given).all()
    for _number, group in groupby(rows, key=lambda row: row.id):
        _judge(list(group), findings)
    for row in connection.execute(_not_promoted, given):
        findings.add(
            FaultKind.TWO_STATES,
            f"{alert_named(row.alert_id)}, channel {row.channel}",
            f"The delivery {row.id} is {row.status}, and its message arrived.",
        )
    return int(until)


def _judge(rows: Sequence[AnyRow], findings: Findings) -> None:
    """Judge an attempt: one row for each of its receipts, or one without."""
    attempt = rows[0]
    where = f"attempt {attempt.id}, channel {attempt.channel}"
    state = receipt_state(attempt.receipt)
    if state is None:
        findings.add(FaultKind.UNKNOWN_STATE, where, "What its receipts say is no state of a receipt.")
        return
    told = [found for row in rows if (found := receipt_state(row.state)) is not None]
    newest = ReceiptState.QUEUED
    for found in told:
        newest = found if found.follows(newest) else newest
    if newest is not state:
        text = f"Its record says that its message is {state.value}, and its receipts that it is {newest.value}."
        findings.add(FaultKind.LOST_RECEIPT, where, text)
    if attempt.closed_us is None:
        return
    if state.arrived and attempt.reason != _ACCEPTED:
        findings.add(FaultKind.TWO_STATES, where, f"Its message arrived, and it counts as {attempt.reason}.")
    unsettled = {found for row in rows if row.settled_us is None and (found := receipt_state(row.state)) is not None}
    if state is ReceiptState.FAILED and attempt.reason == _ACCEPTED and state not in unsettled:
        findings.add(FaultKind.LOST_RECEIPT, where, "Its message failed, and it still counts as accepted.")
    waits: frozenset[ReceiptState] = frozenset()
    if state is ReceiptState.FAILED:
        waits = frozenset({state})  # for somebody to draw the consequences
    elif attempt.being_sent:
        waits = _FINAL  # for the end of that
    if idle := unsettled - waits:
        words = ", ".join(sorted(word.value for word in idle))
        findings.add(FaultKind.LOST_RECEIPT, where, f"Nothing followed from what its receipts told: {words}.")


def _where(row: AnyRow) -> str:
    return f"receipt {row.id}, provider {row.provider}"


def _last_of(column: Any, *conditions: Any) -> Any:
    """Return the statement for the last of the next ids."""
    page = select(column).where(column > bindparam("after"), *conditions).order_by(column).limit(GROUP).subquery()
    return select(func.max(page.c[0]))


_FINAL: Final = frozenset(state for state in ReceiptState if state.arrived or state is ReceiptState.FAILED)
_last_receipt: Final = _last_of(_receipt.c.id)
_last_told: Final = _last_of(_attempt.c.id, _attempt.c.receipt.is_not(None))

_receipts: Final = (_receipt.c.id > bindparam("after")) & (_receipt.c.id <= bindparam("until"))
_shown: Final = (_receipt.c.id, _receipt.c.provider)
_unknown_words: Final = select(*_shown).where(_receipts, _receipt.c.state.not_in(sorted(_WORDS)))
_LOST: Final = (
    (
        select(*_shown).where(_receipts, _receipt.c.attempt_id.is_(None), _receipt.c.settled_us.is_not(None)),
        "Nobody knows its message, and it counts as settled.",
    ),
    (
        select(*_shown)
        .join(_attempt, _attempt.c.provider_message_id == _receipt.c.message_id)
        .where(
            _receipts,
            _receipt.c.attempt_id.is_(None),
            _attempt.c.receipt.is_not(None),
            or_(_attempt.c.closed_us.is_(None), _receipt.c.received_us <= _attempt.c.closed_us + _SOON_US),
        ),
        "An attempt has sent its message, and does not know of it.",
    ),
    (
        select(*_shown)
        .join(_attempt, _attempt.c.id == _receipt.c.attempt_id)
        .where(_receipts, _attempt.c.receipt.is_(None)),
        "Its attempt does not know of it.",
    ),
)
_being_sent: Final = (
    select(_queue.c.id)
    .join(_link, _link.c.delivery_id == _queue.c.id)
    .where(_link.c.attempt_id == _attempt.c.id, _queue.c.open_attempt.is_not(None))
    .exists()
)
_attempts: Final = (
    (_attempt.c.id > bindparam("after")) & (_attempt.c.id <= bindparam("until")) & _attempt.c.receipt.is_not(None)
)
_told: Final = (
    select(
        *(_attempt.c[name] for name in ("id", "channel", "reason", "closed_us", "receipt")),
        _receipt.c.state,
        _receipt.c.settled_us,
        _being_sent.label("being_sent"),
    )
    .outerjoin(_receipt, _receipt.c.attempt_id == _attempt.c.id)
    .where(_attempts)
    .order_by(_attempt.c.id)
)
_later: Final = _attempt.alias("later")
_later_link: Final = _link.alias("later_link")
#: Accepted by an attempt whose message arrived; one that was sent again by hand may be accepted by a later one.
_not_promoted: Final = (
    select(_queue.c.id, _queue.c.alert_id, _queue.c.channel, _queue.c.status)
    .join(_link, _link.c.delivery_id == _queue.c.id)
    .join(_attempt, _attempt.c.id == _link.c.attempt_id)
    .where(
        _attempts,
        _attempt.c.receipt.in_(sorted(ARRIVED)),
        _queue.c.status == DeliveryState.ACCEPTED.value,
        func.coalesce(_queue.c.last_detail, "") != SET_BY_HAND,
        ~select(_later.c.id)
        .join(_later_link, _later_link.c.attempt_id == _later.c.id)
        .where(_later_link.c.delivery_id == _queue.c.id, _later.c.id > _attempt.c.id, _later.c.reason == _ACCEPTED)
        .exists(),
    )
)
