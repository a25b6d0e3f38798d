"""The rules of leases, for whoever changes a delivery that a worker holds.

A delivery is held by a token until a time. A result is recorded only while the row still has the token, so a worker
that was taken over can't change anything. The times of leases are the server's clock on PostgreSQL and this machine's
on SQLite; when a delivery is due is the daemon's clock.

Whoever ends a lease while an attempt is open settles it: see `interruptions.py`.

Lock order: deliveries, then attempts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Update, bindparam, null, select, update

from subscriber.deliveries import Delivery
from subscriber.errors import LeaseLost
from subscriber.store import schema
from subscriber.store.part import chunks

_queue: Final = schema.notification_queue

#: The values of a row that nobody holds.
FREE: Final[Mapping[str, Any]] = {
    "lease": null(),
    "lease_owner": null(),
    "lease_until": null(),
    "lease_length": null(),
    "open_attempt": null(),
}


def by_token(deliveries: Iterable[Delivery]) -> dict[str, list[int]]:
    """Group the ids of deliveries by the claim that holds them."""
    grouped: dict[str, list[int]] = defaultdict(list)
    for delivery in deliveries:
        grouped[delivery.lease].append(delivery.id)
    return grouped


def lock_in_order(connection: Connection, ids: Sequence[int]) -> None:
    """Lock deliveries by their ids, as everybody does who locks several; an UPDATE of several has no such order."""
    for some in chunks(sorted(ids)):
        connection.execute(_in_order, {"ids": some})


def update_of_held(values: Mapping[str, Any]) -> Update:
    """Build the statement for `update_held`: once, because building it costs more than running it.

    Args:
        values: By column; a value may be a `bindparam` under a name that is no column.
    """
    return (
        update(_queue)
        .where(_queue.c.id.in_(bindparam("ids", expanding=True)), _queue.c.lease == bindparam("token"))
        .values(values)
    )


def update_held(
    connection: Connection, deliveries: Sequence[Delivery], statement: Update, parameters: Mapping[str, Any]
) -> None:
    """Change deliveries that their claims still hold, by a statement of `update_of_held`.

    Several are locked in their order first.

    Raises:
        LeaseLost: Another worker holds one of them; the transaction has to be undone, which raising this does.
    """
    if len(deliveries) > 1:
        lock_in_order(connection, [delivery.id for delivery in deliveries])
    changed = 0
    for token, ids in by_token(deliveries).items():
        for some in chunks(ids):
            changed += connection.execute(statement, {**parameters, "ids": some, "token": token}).rowcount
    if changed != len(deliveries):
        raise LeaseLost(
            f"{LeaseLost.__doc__} Lost: {len(deliveries) - changed} of {len(deliveries)} deliveries of this claim."
        )


_in_order: Final = (
    select(_queue.c.id).where(_queue.c.id.in_(bindparam("ids", expanding=True))).order_by(_queue.c.id).with_for_update()
)
