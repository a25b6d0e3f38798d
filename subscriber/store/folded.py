"""What the end of an attempt makes of the members of a digest, inside a writing transaction of somebody else's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, bindparam, select

from subscriber.deliveries import Decision, Delivery, DeliveryState, Done, GiveUp, RetryAt
from subscriber.errors import LeaseLost
from subscriber.store import schema
from subscriber.store.auditing_streams import AnyRow
from subscriber.store.digests import (
    dissolve_digest,
    end_told_digests,
    members_of,
    reopen_digest,
    split_digest,
)
from subscriber.store.part import chunks

_queue: Final = schema.notification_queue


@dataclass(frozen=True, slots=True)
class Folded:
    """The members of a digest for which an attempt ends, or has failed after its end."""

    digest: int
    members: tuple[int, ...]  #: those that nobody has set by hand meanwhile
    alone: bool  #: nobody else is in it any more

    def splits(self, decision: Decision) -> bool:
        """Whether a decision makes two halves of it."""
        return isinstance(decision, GiveUp) and not self.alone


def folded_of(connection: Connection, deliveries: Sequence[Delivery]) -> Folded | None:
    """Return what of these deliveries, which are locked, is still held and in a digest; None where none is in one.

    Raises:
        LeaseLost: They were in a digest, and nobody of them is held any more.
    """
    if len(deliveries) == 1 and deliveries[0].digest is None:
        return None
    tokens = {delivery.id: delivery.lease for delivery in deliveries}
    rows = [row for some in chunks(list(tokens)) for row in connection.execute(_rows, {"ids": some})]
    members = {row.id: row.digest for row in rows if row.digest is not None and row.lease == tokens[row.id]}
    if not members:
        if any(row.digest is not None for row in rows):
            raise LeaseLost(LeaseLost.__doc__)
        return None
    return _folded(connection, next(iter(members.values())), sorted(members))


def failed_of(connection: Connection, rows: Sequence[AnyRow]) -> list[Folded]:
    """Return the digests of deliveries, which are locked, whose message failed after it was accepted."""
    members: defaultdict[int, list[int]] = defaultdict(list)
    for row in rows:
        if row.digest is not None:
            members[row.digest].append(row.id)
    return [_folded(connection, digest, ids) for digest, ids in sorted(members.items())]


def changes_of_digest(changes: dict[str, Any], decision: Decision, folded: Folded) -> dict[str, Any]:
    """Return what an attempt changes in the members of a digest, from what it would change in single deliveries.

    Raises:
        ValueError: The decision gives them up as something else than dead.
    """
    _check(decision)
    if isinstance(decision, Done):
        return {**changes, "new_status": DeliveryState.FOLDED.value, "follows_on": False}
    if folded.splits(decision):
        return {**changes, "new_status": None, "ended_us": None, "follows_on": True}
    return {**changes, "follows_on": not isinstance(decision, GiveUp)}


def end_digest(connection: Connection, folded: Folded, decision: Decision, now_us: int) -> None:
    """Let a digest follow a decision, after its members have."""
    match decision:
        case Done():
            end_told_digests(connection, [folded.digest], now_us)
        case GiveUp() if folded.splits(decision):
            split_digest(connection, folded.digest, now_us, now_us)
        case GiveUp():
            dissolve_digest(connection, folded.digest, now_us)
        case _:
            pass


def fail_digest(connection: Connection, folded: Folded, decision: Decision, now_us: int, *, halves: bool) -> None:
    """Let a digest that was told follow what was decided about its failure, after its members have.

    Args:
        connection: A writing transaction that has locked the members.
        folded: The digest.
        decision: What was decided.
        now_us: The time.
        halves: Whether its halves are told where it was given up; else every member has ended.

    Raises:
        ValueError: The decision gives the members up as something else than dead.
    """
    _check(decision)
    if isinstance(decision, RetryAt):
        reopen_digest(connection, folded.digest)
    elif halves and folded.splits(decision):
        split_digest(connection, folded.digest, now_us, now_us)
    else:
        dissolve_digest(connection, folded.digest, now_us)


def _check(decision: Decision) -> None:
    if isinstance(decision, GiveUp) and decision.state is not DeliveryState.DEAD:
        raise ValueError(f"A digest does not end as {decision.state.value}.")


def _folded(connection: Connection, digest: int, members: Sequence[int]) -> Folded:
    return Folded(digest, tuple(members), len(members_of(connection, digest)) == 1)


_ids: Final[BindParameter[int]] = bindparam("ids", expanding=True)
_rows: Final = select(_queue.c.id, _queue.c.digest, _queue.c.lease).where(_queue.c.id.in_(_ids))
