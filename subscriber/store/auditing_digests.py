"""Audits digests: is each one's number of members right, do they all stand where it stands, and was it sent to whom?

Every transaction that changes a digest or its members keeps these rules, so a group that is read in one snapshot keeps
them at any time. Who left a digest, or was removed by retention, is taken off its number.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BindParameter, Connection, bindparam, case, func, or_, select

from subscriber.deliveries import OPEN_STATES, DeliveryState, DigestKind, DigestState, Reason
from subscriber.store import schema
from subscriber.store.auditing_alerts import CHANNEL, alert_named
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.ledger import FaultKind, Findings
from subscriber.store.part import SET_BY_HAND

#: Digests of one snapshot; each may have thousands of members.
GROUP: Final = 100
#: Deliveries of one snapshot.
DELIVERIES: Final = 20_000

_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery
_digest: Final = schema.digest
_alert: Final = schema.alert
_total: Final = schema.ledger_total

_KINDS: Final = frozenset(kind.value for kind in DigestKind)
_STATES: Final = frozenset(state.value for state in DigestState)
_FOLDED: Final = DeliveryState.FOLDED.value


def audit_digests(connection: Connection, after: int, findings: Findings) -> int | None:
    """Audit the next digests by their ids.

    Returns:
        The last id of the group; None where there are no more.
    """
    until = connection.scalar(_last_digest, {"after": after})
    if until is None:
        return None
    given = {"after": after, "until": until}
    members = {row.digest: row for row in connection.execute(_members, given)}
    sent: dict[int, list[int]] = {}
    for row in connection.execute(_acceptances, given):
        if row.covered == members[row.digest].total:
            sent.setdefault(row.digest, []).append(row.attempt)
    for digest in connection.execute(_digests, given).all():
        there = members.get(digest.id)
        attempts = sent.get(digest.id, [])
        where = f"digest {digest.id}, channel {digest.channel}"
        for text in (*_judge_members(digest, there), *_judge_telling(connection, digest, there, attempts)):
            findings.add(FaultKind.WRONG_DIGEST, where, text)
    return int(until)


def audit_folded(connection: Connection, after: int, findings: Findings) -> int | None:
    """Audit the next deliveries by their ids: is each one that counts as told by something else really told by it?

    Returns:
        The last id of the group; None where there are no more.
    """
    until = connection.scalar(_last_delivery, {"after": after})
    if until is None:
        return None
    given = {"after": after, "until": until}
    for statement, text in _RULES:
        for row in connection.execute(statement, given):
            findings.add(FaultKind.WRONG_DIGEST, _named(row), f"The delivery {row.id} is {row.status}, and {text}.")
    for row in connection.execute(_untold, given):
        text = f"The delivery {row.id} expired, and no event of its channel tells of it."
        findings.add(FaultKind.UNTOLD_EXPIRY, _named(row), text)
    return int(until)


def _judge_members(digest: AnyRow, there: AnyRow | None) -> list[str]:
    """Say what is wrong with the members of a digest."""
    count, leads = (0, 0) if there is None else (there.total, there.leads)
    if digest.state not in _STATES or digest.kind not in _KINDS:
        return ["Its state or its kind is none."]
    if digest.state == DigestState.SPLIT:
        return [f"It was split, and {count} deliveries are still in it."] if count else []
    faults = []
    if count != digest.members:
        faults.append(f"It tells {digest.members} deliveries, and {count} are in it.")
    if there is None:
        return faults
    if there.strangers:
        faults.append(f"{there.strangers} of its deliveries are of another channel.")
    if digest.state == DigestState.OPEN:
        if there.waiting != count:
            faults.append(f"It is open, and {count - there.waiting} of its deliveries do not wait.")
        if leads != 1:
            faults.append(f"It is open, and {leads} of its deliveries lead.")
    elif there.folded != count or leads != count:
        faults.append(f"It was told, and {count - min(there.folded, leads)} of its deliveries still wait for it.")
    return faults


def _judge_telling(connection: Connection, digest: AnyRow, there: AnyRow | None, attempts: list[int]) -> list[str]:
    """Say what is wrong with how a digest was told: the first of the attempts that told all of it speaks for it."""
    if digest.state not in _STATES:
        return []
    faults = []
    if (digest.finished_us is None) != (digest.state == DigestState.OPEN):
        faults.append("Its state and its end contradict each other.")
    if digest.state != DigestState.TOLD or there is None:
        return faults
    if not attempts:
        faults.append("It was told, and no accepted attempt was made for all of its deliveries.")
    elif strangers := _strangers(connection, digest.id, attempts[0]):
        faults.append(f"The attempt {attempts[0]} that told it was made for {strangers} deliveries of other digests.")
    return faults


def _strangers(connection: Connection, digest: int, attempt: int) -> int:
    """Count the deliveries of an attempt that are in a digest which is no half of the same one."""
    root = _root_of(connection, digest)
    count = 0
    for row in connection.execute(_others_of, {"which": attempt, "digest": digest}):
        other = _root_of(connection, row.digest)
        count += row.total if None not in {root, other} and root != other else 0
    return count


def _root_of(connection: Connection, digest: int) -> int | None:
    """Return the digest of which one is a part; None where retention removed what would tell."""
    seen: set[int] = set()
    while digest not in seen:
        seen.add(digest)
        row = connection.execute(_parent_of, {"which": digest}).one_or_none()
        if row is None:
            return None
        if row.parent is None:
            return digest
        digest = row.parent
    return None


def _named(row: AnyRow) -> str:
    return f"{alert_named(row.alert_id)}, channel {row.channel}"


def _last_of(column: Any, most: int) -> Any:
    """Return the statement for the last of the next ids."""
    page = select(column).where(column > bindparam("after")).order_by(column).limit(most).subquery()
    return select(func.max(page.c[0]))


def _count(condition: Any) -> Any:
    return func.sum(case((condition, 1), else_=0))


_after: Final[BindParameter[int]] = bindparam("after")
_until: Final[BindParameter[int]] = bindparam("until")
_last_digest: Final = _last_of(_digest.c.id, GROUP)
_last_delivery: Final = _last_of(_queue.c.id, DELIVERIES)
_digests: Final = (
    select(*(_digest.c[name] for name in ("id", "channel", "kind", "state", "finished_us", "members")))
    .where(_digest.c.id > _after, _digest.c.id <= _until)
    .order_by(_digest.c.id)
)
#: Literal, so that SQLite uses the index that has the same condition.
_has_digest: Final = _queue.c.digest.is_not(None)
_of_group: Final = (_queue.c.digest > _after) & (_queue.c.digest <= _until)
_members: Final = (
    select(
        _queue.c.digest,
        func.count().label("total"),
        _count(_queue.c.status.in_(sorted(state.value for state in OPEN_STATES))).label("waiting"),
        _count(_queue.c.status == _FOLDED).label("folded"),
        _count(_queue.c.follows.is_(None)).label("leads"),
        _count(func.coalesce(_digest.c.channel, "") != _queue.c.channel).label("strangers"),
    )
    .outerjoin(_digest, _digest.c.id == _queue.c.digest)
    .where(_has_digest, _of_group)
    .group_by(_queue.c.digest)
)
_acceptances: Final = (
    select(_queue.c.digest, _attempt.c.id.label("attempt"), func.count().label("covered"))
    .join(_link, _link.c.delivery_id == _queue.c.id)
    .join(_attempt, _attempt.c.id == _link.c.attempt_id)
    .where(_has_digest, _of_group, _attempt.c.reason == Reason.ACCEPTED.value)
    .group_by(_queue.c.digest, _attempt.c.id)
    .order_by(_attempt.c.id)
)
_others_of: Final = (
    select(_queue.c.digest, func.count().label("total"))
    .join(_link, _link.c.delivery_id == _queue.c.id)
    .where(_link.c.attempt_id == bindparam("which"), _has_digest, _queue.c.digest != bindparam("digest"))
    .group_by(_queue.c.digest)
)
_parent_of: Final = select(_digest.c.parent).where(_digest.c.id == bindparam("which"))

_group: Final = (_queue.c.id > _after) & (_queue.c.id <= _until)
_shown: Final = (_queue.c.id, _queue.c.alert_id, _queue.c.channel, _queue.c.status)
_RULES: Final = (
    (
        select(*_shown).where(
            _group,
            _queue.c.status == _FOLDED,
            _queue.c.digest.is_(None),
            func.coalesce(_queue.c.last_detail, "") != SET_BY_HAND,
        ),
        "is in no digest",
    ),
    (select(*_shown).where(_group, _queue.c.follows.is_not(None), _queue.c.digest.is_(None)), "follows nobody"),
    (
        select(*_shown)
        .outerjoin(_digest, _digest.c.id == _queue.c.digest)
        .where(_group, _has_digest, _digest.c.id.is_(None)),
        "its digest is not there",
    ),
)
_teller: Final = _queue.alias("teller")
_planned: Final = (
    select(_teller.c.id).where(_teller.c.alert_id == _queue.c.told_by, _teller.c.channel == _queue.c.channel).exists()
)
_stored: Final = select(_alert.c.id).where(_alert.c.id == _queue.c.told_by).exists()
# An event that is not there any more may have been removed for its age, where retention ever removed anything there.
_pruned: Final = select(_total.c.total).where(_total.c.scope == CHANNEL, _total.c.name == _queue.c.channel).exists()
# What expired before there were such events has an empty teller.
_untold: Final = select(*_shown).where(
    _group,
    _queue.c.status == DeliveryState.EXPIRED.value,
    func.length(_queue.c.told_by) > 0,
    ~_planned,
    or_(_stored, ~_pruned),
)
