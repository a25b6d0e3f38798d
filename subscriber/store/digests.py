"""What happens to digests and their members, inside a writing transaction of somebody else's.

A digest is open while its members wait for it, told when its provider took it, and split when it was refused for good,
or nobody is left in it. `digest.members` is the number of deliveries that have it in their column `digest`, until it is
split: then it is how many there were. Who leaves a digest (a person decided, its channel was switched off, retention
removed it) is taken off.

What may become a member was never tried before, so all attempts of a member are attempts of its digest, or of the
digests of which that is a half: what is learned of one of them is true of every member.

Lock order: deliveries by their ids, attempts, receipts, digests.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    bindparam,
    case,
    delete,
    func,
    insert,
    null,
    select,
    true,
    update,
)

from subscriber.deliveries import Button, Delivery, Dialect, DigestKind, DigestState, Message
from subscriber.store import schema
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.part import chunks

_queue: Final = schema.notification_queue
_digest: Final = schema.digest

_OPEN: Final = DigestState.OPEN.value
_TOLD: Final = DigestState.TOLD.value
_SPLIT: Final = DigestState.SPLIT.value


@dataclass(frozen=True, slots=True)
class NewDigest:
    """What a digest says, fixed when its first attempt is opened."""

    kind: DigestKind
    message: Message  #: without what a retry adds in front, and without the reference of an attempt


@dataclass(frozen=True, slots=True)
class HeldDigest:
    """A digest all of whose members a worker holds."""

    id: int
    kind: DigestKind
    message: Message | None  #: None for a half that was not written out yet
    deliveries: tuple[Delivery, ...]  #: in the order in which a channel serves; the first one leads


def message_text(message: Message) -> str:
    """Return what the column `message` holds: ASCII, so that both databases take whatever is in it."""
    return json.dumps(asdict(replace(message, reference="")), separators=(",", ":"))


def message_from(text: str | None) -> Message | None:
    """Read the column; None where nothing was written yet, or it can't be read, and is to be written again."""
    try:
        said = json.loads(text or "null")
        said["dialect"] = Dialect(said["dialect"])
        said["parameters"] = tuple(said["parameters"])
        said["buttons"] = tuple(Button(**button) for button in said["buttons"])
        return Message(**said)
    except (ValueError, TypeError, KeyError):
        return None


def begin_digest(connection: Connection, deliveries: Sequence[Delivery], new: NewDigest, now_us: int) -> int:
    """Write down what a digest says: of a new one, or of a half that has its members already.

    Returns:
        Its number. The members are the caller's to mark.

    Raises:
        ValueError: Some of them are in other digests than the first one is, or one delivery is to be told alone.
    """
    known = {delivery.digest for delivery in deliveries}
    if len(known) != 1:
        raise ValueError("The members of a message are all of one digest, or of none.")
    (number,) = known
    if number is not None:
        connection.execute(_write, {"which": number, "said": message_text(new.message)})
        return number
    if len(deliveries) == 1:
        raise ValueError("What tells one delivery is no digest.")
    return _add(connection, deliveries[0].channel, new.kind.value, now_us, len(deliveries), message_text(new.message))


def end_told_digests(connection: Connection, digests: Collection[int], now_us: int) -> None:
    """Write down that digests were taken by their provider; their members have ended with that."""
    if digests:
        told = {"ids": sorted(digests), "new_state": _TOLD, "ended_us": now_us}
        connection.execute(_end, told)


def reopen_digest(connection: Connection, digest: int) -> None:
    """Let the members of a digest wait for it again; they are locked, and their states are the caller's to change."""
    members = members_of(connection, digest)
    _lead(connection, digest, [row.id for row in members])
    connection.execute(_end, {"ids": [digest], "new_state": _OPEN, "ended_us": None})


def split_digest(connection: Connection, digest: int, due_us: int, now_us: int) -> None:
    """Make two halves of a digest that was refused for good, each due at a time; who is alone then is in none.

    The members, of whom there are at least two, are locked, and wait.
    """
    parent = connection.execute(_which, {"which": digest}).one()
    ids = [row.id for row in members_of(connection, digest)]
    middle = (len(ids) + 1) // 2
    for half in (ids[:middle], ids[middle:]):
        if len(half) == 1:
            connection.execute(_leave, {"ids": half, "new_due_us": due_us})
            continue
        number = _add(connection, parent.channel, parent.kind, now_us, len(half), None, parent=digest)
        for some in chunks(half):
            connection.execute(_join, {"ids": some, "number": number, "lead": half[0], "new_due_us": due_us})
    connection.execute(_end, {"ids": [digest], "new_state": _SPLIT, "ended_us": now_us})


def dissolve_digest(connection: Connection, digest: int, now_us: int) -> None:
    """Let the members of a digest, who are locked, go each its own way."""
    connection.execute(_leave_all, {"which": digest})
    connection.execute(_end, {"ids": [digest], "new_state": _SPLIT, "ended_us": now_us})


def leave_digests(connection: Connection, deliveries: Sequence[int], now_us: int) -> None:
    """Take deliveries, which are locked, out of the digests that they are in; another member leads where one did."""
    leaving: Counter[int] = Counter()
    for some in chunks(deliveries):
        leaving.update(connection.scalars(_digests_of, {"ids": some}))
    if not leaving:
        return
    for some in chunks(deliveries):
        connection.execute(_leave, {"ids": some, "new_due_us": None})
    for digest, count in sorted(leaving.items()):
        connection.execute(_take_off, {"which": digest, "gone": count})
        row = connection.execute(_which, {"which": digest}).one_or_none()
        if row is None or row.state != _OPEN:
            continue
        members = members_of(connection, digest)
        if not members:
            connection.execute(_end, {"ids": [digest], "new_state": _SPLIT, "ended_us": now_us})
        elif all(member.follows for member in members):
            _lead(connection, digest, [member.id for member in members])


def forget_members(connection: Connection, deliveries: Sequence[int]) -> None:
    """Take deliveries that are about to be removed off their digests, and remove those in which nobody is left."""
    leaving: Counter[int] = Counter()
    for some in chunks(deliveries):
        leaving.update(connection.scalars(_digests_of, {"ids": some}))
    for digest, count in sorted(leaving.items()):
        connection.execute(_take_off, {"which": digest, "gone": count})
        connection.execute(_forget, {"which": digest})


def forget_split(connection: Connection, before_us: int, limit: int) -> int:
    """Remove digests that were split before a time, at most so many; return how many went."""
    ids = connection.scalars(_old_split, {"before_us": before_us, "most": limit}).all()
    for some in chunks(ids):
        connection.execute(_forget_all, {"ids": some})
    return len(ids)


def lock_members(connection: Connection, digest: int) -> None:
    """Lock the members of a digest in the order in which everybody locks deliveries."""
    connection.execute(_lock_members, {"which": digest})


def members_of(connection: Connection, digest: int) -> Sequence[AnyRow]:
    """Return `id` and `follows` of the members of a digest, in the order in which a channel serves."""
    return connection.execute(_members, {"which": digest}).all()


def _add(  # the row of a digest has as many columns
    connection: Connection,
    channel: str,
    kind: str,
    now_us: int,
    members: int,
    message: str | None,
    *,
    parent: int | None = None,
) -> int:
    row = {
        "channel": channel,
        "kind": kind,
        "state": _OPEN,
        "created_us": now_us,
        "members": members,
        "message": message,
        "parent": parent,
    }
    number: int = connection.execute(_insert, row).scalar_one()
    return number


def _lead(connection: Connection, digest: int, members: Sequence[int]) -> None:
    """Let the first member of a digest lead, and the others follow."""
    for some in chunks(members):
        connection.execute(_join, {"ids": some, "number": digest, "lead": members[0], "new_due_us": None})


_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_insert: Final = insert(_digest).returning(_digest.c.id)
_write: Final = update(_digest).where(_digest.c.id == bindparam("which")).values(message=bindparam("said"))
_end: Final = (
    update(_digest)
    .where(_digest.c.id.in_(_ids))
    .values(state=bindparam("new_state"), finished_us=bindparam("ended_us", type_=BigInteger))
)
_take_off: Final = (
    update(_digest)
    .where(_digest.c.id == bindparam("which"))
    .values(members=_digest.c.members - bindparam("gone", type_=BigInteger))
)
_which: Final = select(_digest).where(_digest.c.id == bindparam("which"))
_forget: Final = delete(_digest).where(_digest.c.id == bindparam("which"), _digest.c.members <= 0)
_old_split: Final = (
    select(_digest.c.id)
    .where(_digest.c.state == _SPLIT, _digest.c.finished_us < bindparam("before_us"))
    .order_by(_digest.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_forget_all: Final = delete(_digest).where(_digest.c.id.in_(_ids), _digest.c.state == _SPLIT)
_of_digest: Final = _queue.c.digest == bindparam("which")
_members: Final = (
    select(_queue.c.id, _queue.c.follows)
    .where(_of_digest)
    .order_by(_queue.c.priority, _queue.c.published_us, _queue.c.id)
)
_lock_members: Final = select(_queue.c.id).where(_of_digest).order_by(_queue.c.id).with_for_update()
_digests_of: Final = select(_queue.c.digest).where(_queue.c.id.in_(_ids), _queue.c.digest.is_not(None))
_due: Final = func.coalesce(bindparam("new_due_us", type_=BigInteger), _queue.c.due_at)
_join: Final = (
    update(_queue)
    .where(_queue.c.id.in_(_ids))
    .values(
        digest=bindparam("number"),
        follows=case((_queue.c.id == bindparam("lead", type_=BigInteger), null()), else_=true()),
        due_at=_due,
    )
)
_leave: Final = update(_queue).where(_queue.c.id.in_(_ids)).values(digest=null(), follows=null(), due_at=_due)
_leave_all: Final = update(_queue).where(_of_digest).values(digest=null(), follows=null())
