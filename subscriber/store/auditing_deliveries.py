"""Audits deliveries: do each one's state, its attempts and the time of its end say the same?

Every transaction that changes a delivery keeps these rules, so a group that is read in one snapshot keeps them at any
time. A state that a person set by hand (`mark_notification_sent`) has an end of its own, which at most the attempt
shares that it interrupted; what was accepted before, and is to be sent again by hand, may end in any state.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, bindparam, case, func, or_, select

from subscriber.deliveries import OPEN_STATES, DeliveryState, Mark, Reason
from subscriber.store import schema
from subscriber.store.arrivals import ARRIVED
from subscriber.store.auditing_alerts import alert_named
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.interruptions import INTERRUPTED
from subscriber.store.ledger import FaultKind, Findings
from subscriber.store.part import SET_BY_HAND

#: Rows of one snapshot.
GROUP: Final = 20_000

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery
_alert: Final = schema.alert
_mark: Final = schema.stream_mark

_OPEN: Final = frozenset(state.value for state in OPEN_STATES)
#: States that an accepted attempt leads to; a digest's attempt folds what it told.
_TOLD: Final = frozenset({DeliveryState.ACCEPTED.value, DeliveryState.DELIVERED.value, DeliveryState.FOLDED.value})
_UNTOLD: Final = frozenset(state.value for state in DeliveryState) - _TOLD


def audit_deliveries(connection: Connection, after: int, findings: Findings) -> int | None:
    """Audit the next deliveries by their ids.

    Returns:
        The last id of the group; None where there are no more.
    """
    until = connection.scalar(_last_delivery, {"after": after})
    if until is None:
        return None
    given = {"after": after, "until": until}
    for row in connection.execute(_strays, given):
        findings.add(
            FaultKind.UNPLANNED_DELIVERY,
            f"{alert_named(row.alert_id)}, channel {row.channel}",
            f"The delivery {row.id} belongs to an alert that is not stored.",
        )
    for statement, text in _RULES:
        for row in connection.execute(statement, given):
            _two_states(row, text, findings)
    for found in connection.execute(_contradicted, given):
        _two_states(found, _contradiction(found), findings)
    return int(until)


def audit_attempts(connection: Connection, after: int, findings: Findings) -> int | None:
    """Audit the next attempts by their ids: is each one without an answer held by a delivery?

    Returns:
        The last id of the group; None where there are no more.
    """
    until = connection.scalar(_last_attempt, {"after": after})
    if until is None:
        return None
    for row in connection.execute(_forgotten, {"after": after, "until": until}):
        findings.add(
            FaultKind.TWO_STATES,
            f"attempt {row.id}, channel {row.channel}",
            "It is open, and no delivery waits for its answer.",
        )
    return int(until)


def audit_duplicates(connection: Connection, after: int, findings: Findings) -> int | None:
    """Audit the next marks of duplicate numbers: is each one's alert kept?

    Returns:
        The last id of the group; None where there are no more.
    """
    until = connection.scalar(_last_mark, {"after": after})
    if until is None:
        return None
    for row in connection.execute(_of_nothing, {"after": after, "until": until}):
        which = "no alert" if row.alert_id is None else alert_named(row.alert_id)
        findings.add(
            FaultKind.DUPLICATE_OF_NOTHING,
            f"stream {row.stream.hex()}",
            f"Number {row.first} counts as a duplicate of {which}, which is not stored.",
        )
    return int(until)


def _two_states(row: AnyRow, text: str, findings: Findings) -> None:
    where = f"{alert_named(row.alert_id)}, channel {row.channel}"
    findings.add(FaultKind.TWO_STATES, where, f"The delivery {row.id} is {row.status}, and {text}.")


def _contradiction(row: AnyRow) -> str:
    """Say what does not fit between a delivery's state and its attempts."""
    if row.status not in _TOLD:
        return "the attempt that ended it was accepted" if row.took else "its last attempt was accepted"
    if row.refused and not row.took:
        return "the attempt that ended it was not accepted"
    return "no receipt says that it arrived" if row.acceptances else "no attempt of it was accepted"


def _last_of(column: Any) -> Any:
    """Return the statement for the last of the next ids."""
    page = select(column).where(column > bindparam("after")).order_by(column).limit(GROUP).subquery()
    return select(func.max(page.c[0]))


_last_delivery: Final = _last_of(_queue.c.id)
_last_attempt: Final = _last_of(_attempt.c.id)
_last_mark: Final = _last_of(_mark.c.id)

_group: Final = (_queue.c.id > bindparam("after")) & (_queue.c.id <= bindparam("until"))
_shown: Final = (_queue.c.id, _queue.c.alert_id, _queue.c.channel, _queue.c.status)
_is_open: Final = _queue.c.status.in_(sorted(_OPEN))
_strays: Final = (
    select(*_shown).outerjoin(_alert, _alert.c.id == _queue.c.alert_id).where(_group, _alert.c.id.is_(None))
)
_has_link: Final = (
    select(_link.c.attempt_id)
    .where(_link.c.attempt_id == _queue.c.open_attempt, _link.c.delivery_id == _queue.c.id)
    .exists()
)
_RULES: Final = (
    (select(*_shown).where(_group, _is_open, _queue.c.finished_at.is_not(None)), "has an end"),
    (select(*_shown).where(_group, ~_is_open, _queue.c.finished_at.is_(None)), "has no end"),
    (
        select(*_shown).where(_group, _is_open, _queue.c.last_reason == Reason.ACCEPTED.value),
        "its record says that it was accepted",
    ),
    (
        select(*_shown).where(_group, ~_is_open, _queue.c.open_attempt.is_not(None)),
        "waits for the answer to an attempt",
    ),
    (
        select(*_shown)
        .outerjoin(_attempt, _attempt.c.id == _queue.c.open_attempt)
        .where(
            _group,
            _queue.c.open_attempt.is_not(None),
            or_(
                _attempt.c.id.is_(None),
                _attempt.c.closed_us.is_not(None),
                ~_has_link,
            ),
        ),
        "waits for the answer to an attempt that has ended, or is not its own",
    ),
)
_accepted: Final = _attempt.c.reason == Reason.ACCEPTED.value
_at_the_end: Final = _attempt.c.closed_us == _queue.c.finished_at
# What was taken over, or interrupted by hand, says nothing about the state that followed.
_answered: Final = func.coalesce(_attempt.c.detail, "") != INTERRUPTED


def _count(condition: Any) -> Any:
    return func.sum(case((condition, 1), else_=0))


_is_told: Final = _queue.c.status.in_(sorted(_TOLD))
_is_untold: Final = _queue.c.status.in_(sorted(_UNTOLD))
_is_delivered: Final = _queue.c.status == DeliveryState.DELIVERED.value
_by_hand: Final = func.coalesce(_queue.c.last_detail, "") == SET_BY_HAND
_acceptances: Final = _count(_accepted)
_arrivals: Final = _count(_attempt.c.receipt.in_(sorted(ARRIVED)))
# Ids of one delivery's attempts rise in time. One after an acceptance was asked for by hand.
_accepted_last: Final = func.max(case((_accepted, _attempt.c.id))) == func.max(_attempt.c.id)
_took: Final = _count(_accepted & _at_the_end)
_refused: Final = _count(~_accepted & _at_the_end & _answered)
_contradicted: Final = (
    select(*_shown, _took.label("took"), _refused.label("refused"), _acceptances.label("acceptances"))
    .select_from(_queue)
    .outerjoin(_link, _link.c.delivery_id == _queue.c.id)
    .outerjoin(_attempt, _attempt.c.id == _link.c.attempt_id)
    .where(_group)
    .group_by(*_shown, _queue.c.last_detail, _queue.c.open_attempt)
    .having(
        or_(
            _is_told & (_refused > 0) & (_took == 0),
            ~_is_told & ~_is_open & ~_by_hand & (_took > 0) & (_refused == 0),
            _is_untold & ~_by_hand & _accepted_last & _queue.c.open_attempt.is_(None),
            _is_told & ~_by_hand & (_acceptances == 0),
            _is_delivered & ~_by_hand & (_arrivals == 0),
        )
    )
)
_holders: Final = (
    select(_queue.c.id)
    .join(_link, _link.c.delivery_id == _queue.c.id)
    .where(_link.c.attempt_id == _attempt.c.id, _queue.c.open_attempt == _attempt.c.id)
    .exists()
)
_forgotten: Final = select(_attempt.c.id, _attempt.c.channel).where(
    _attempt.c.id > bindparam("after"), _attempt.c.id <= bindparam("until"), _attempt.c.closed_us.is_(None), ~_holders
)
_of_nothing: Final = (
    select(_mark.c.stream, _mark.c.first, _mark.c.alert_id)
    .outerjoin(_alert, _alert.c.id == _mark.c.alert_id)
    .where(
        _mark.c.id > bindparam("after"),
        _mark.c.id <= bindparam("until"),
        _mark.c.mark == Mark.DUPLICATE.value,
        _alert.c.id.is_(None),
    )
)
