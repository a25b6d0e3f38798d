"""Tells how quick the channels were: their newest messages, from publication to the provider's acceptance.

And how many CRITICAL alerts nobody has acknowledged. Each question reads as many rows as it answers with, however much
is stored: the newest attempts stand at the end of `attempt_channel_reason_closed`, CRITICAL alerts in `alert_critical`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, func, select

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import Reason
from subscriber.store import schema
from subscriber.store.part import StorePart, alerts_of
from subscriber.store.unacknowledged import UNACKNOWLEDGED

_alert: Final = schema.alert
_queue: Final = schema.notification_queue
_attempt: Final = schema.attempt
_link: Final = schema.attempt_delivery

#: What is counted of CRITICAL alerts at most: nobody reads a larger number otherwise.
MOST_COUNTED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A message that a provider took."""

    alert_id: UUID  #: of a digest, the alert that leads it
    at_us: int  #: when it was taken, in microseconds of UTC
    published_us: int

    @property
    def seconds(self) -> float:
        """From publication to acceptance; 0 where the clocks disagree."""
        return max(self.at_us - self.published_us, 0) / MICROSECONDS


class Unacknowledged(NamedTuple):
    """The CRITICAL alerts that nobody acknowledged."""

    alerts: int  #: at most MOST_COUNTED
    oldest_us: int | None  #: when the first of these was stored; None without any


class Latencies(StorePart):
    """How quick the channels were, and what nobody has seen."""

    def acceptances(self, channel: str, limit: int) -> list[Acceptance]:
        """Return the newest messages that a channel's provider took, the oldest of them first.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            rows = connection.execute(_accepted, {"channel_name": channel, "most": limit}).all()
        return [Acceptance(UUID(bytes=row.alert_id), row.closed_us, row.published_us) for row in reversed(rows)]

    def alert(self, alert_id: UUID) -> Alert | None:
        """Return one alert; None where it is not stored.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return alerts_of(connection, [alert_id.bytes]).get(alert_id.bytes)

    def alert_of_attempt(self, attempt: int) -> UUID | None:
        """Return the alert of which an attempt was, of a digest the one that leads it; None where nobody knows.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            key = connection.scalar(_alert_of, {"attempt": attempt})
        return None if key is None else UUID(bytes=key)

    def unacknowledged_critical(self, since_us: int) -> int:
        """Count the CRITICAL alerts, published since then, that nobody acknowledged, tests aside; at most 10,000.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return connection.scalar(_unacknowledged, {"since_us": since_us}) or 0

    def unacknowledged_since(self, since_us: int) -> Unacknowledged:
        """Tell the same, and since when the oldest of these alerts is stored.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return Unacknowledged(*connection.execute(_unacknowledged_oldest, {"since_us": since_us}).one())


_lead: Final = (
    select(func.min(_link.c.delivery_id))
    .where(_link.c.attempt_id == _attempt.c.id)
    .correlate(_attempt)
    .scalar_subquery()
)
_newest: Final = (
    select(_attempt.c.closed_us, _lead.label("lead"))
    .where(
        _attempt.c.channel == bindparam("channel_name"),
        _attempt.c.reason == Reason.ACCEPTED.value,
        _attempt.c.closed_us.is_not(None),
    )
    .order_by(_attempt.c.closed_us.desc())
    .limit(bindparam("most"))
    .subquery()
)
_accepted: Final = (
    select(_newest.c.closed_us, _queue.c.alert_id, _queue.c.published_us)
    .join(_queue, _queue.c.id == _newest.c.lead)
    .order_by(_newest.c.closed_us.desc())
)
_alert_of: Final = (
    select(_queue.c.alert_id)
    .join(_link, _link.c.delivery_id == _queue.c.id)
    .where(_link.c.attempt_id == bindparam("attempt"))
    .order_by(_link.c.delivery_id)
    .limit(1)
)
_waiting: Final = (
    select(_alert.c.stored_us)
    .where(
        UNACKNOWLEDGED,
        _alert.c.published_us >= bindparam("since_us", type_=BigInteger),
    )
    .order_by(_alert.c.published_us)
    .limit(MOST_COUNTED)
    .subquery()
)
_unacknowledged: Final = select(func.count()).select_from(_waiting)
_unacknowledged_oldest: Final = select(func.count(), func.min(_waiting.c.stored_us))
