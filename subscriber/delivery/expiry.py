"""Ends what is too old on one channel, in bulk, and lets one message tell what was never told.

It is done when the channel could send: while it can't, what gets too old waits, and is named in one message when it can
again, and not in one for each hour of an outage. That message is an alert of the daemon's own, which has no age.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Final, Protocol

from bus.alerts import Severity, SystemEvent
from bus.clock import Clock, from_us
from subscriber.deliveries import Delivery, DeliveryState, PlannedDelivery, system_event_id
from subscriber.delivery.reporting import Reporter
from subscriber.delivery.settings import PlanFor
from subscriber.policy.digest_text import expired_text
from subscriber.store.expiring import Expired
from subscriber.store.incoming import Incoming, is_held
from subscriber.store.inserting import Accepted
from subscriber.store.store import Store

#: Between two looks: what waits behind a storm gets too old one by one.
_LOOK_SECONDS: Final = 1.0
#: Between two messages that tell of it, at least.
_TELL_SECONDS: Final = 60.0
#: Deliveries that one message tells of, at most.
_MOST_TOLD: Final = 2_000
#: Ids that the event keeps; the others are found by `told_by`.
_MOST_IDS: Final = 100


class OwnEvents(Protocol):
    """Makes the daemon's own events ready to be stored."""

    def incoming(self, event: SystemEvent, planned: tuple[PlannedDelivery, ...] | None = None) -> Incoming:
        """Return an event as it is to be stored, with its deliveries."""
        ...

    def stored(self, accepted: Accepted) -> None:
        """Count what was stored, and wake those who deliver it."""
        ...


class Expiry:
    """What gets too old on one channel; used by one worker's thread."""

    def __init__(
        self,
        channel: str,
        store: Store,
        reporter: Reporter,
        clock: Clock,
        *,
        zone: tzinfo,
        own_events: OwnEvents,
        plan_for: PlanFor,
    ) -> None:
        """Begin with a look: what an earlier run ended may not be told yet.

        Args:
            channel: Its name.
            store: Where what waits is.
            reporter: Counts what has ended.
            clock: The daemon's.
            zone: Where the reader's clock is.
            own_events: Of the daemon.
            plan_for: Plans an event for the channel.
        """
        self._channel = channel
        self._store = store
        self._reporter = reporter
        self._clock = clock
        self._zone = zone
        self._own_events = own_events
        self._plan_for = plan_for
        self._look_at = self._tell_at = float("-inf")
        self._untold = True

    def look(self) -> None:
        """End what is too old, at most once a second, and tell of it, at most once a minute.

        Raises:
            StoreError: The database can't be used at the moment; what is not told yet is told later.
        """
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        ended = self._store.expire(self._channel, self._clock.now_us())
        self._look_at = now + _LOOK_SECONDS
        if ended:
            self._untold = True
            self._reporter.entered(DeliveryState.EXPIRED, ended)
        if self._untold and now >= self._tell_at:
            self._tell(now)

    def end(self, delivery: Delivery) -> None:
        """End one that a worker holds, and look for others at once.

        Raises:
            LeaseLost: Another worker holds it.
            StoreError: The database can't be used at the moment; it is ended later.
        """
        self._store.finish(delivery, DeliveryState.EXPIRED)
        self._reporter.entered(DeliveryState.EXPIRED)
        self.ended()

    def ended(self) -> None:
        """Say that one has ended as expired."""
        self._untold = True
        self._look_at = float("-inf")

    def _tell(self, now: float) -> None:
        expired = self._store.untold_expired(self._channel, _MOST_TOLD)
        if not expired:
            self._untold = False
            return
        event = _event(self._channel, expired, self._zone, self._clock)
        incoming = self._own_events.incoming(event, self._planned(event))
        accepted = self._store.tell_expired(self._channel, [each.delivery for each in expired], incoming)
        if accepted is None:  # another worker tells some of them: what is left is seen by the next look
            return
        self._tell_at = now + _TELL_SECONDS
        self._untold = len(expired) == _MOST_TOLD
        self._own_events.stored(accepted)

    def _planned(self, event: SystemEvent) -> tuple[PlannedDelivery, ...]:
        """Plan the event by the rules: quiet hours hold it, and nothing else counts it, groups it or ends it.

        Where nothing holds it, it has a batch of its own: a storm's message would hide what it tells.
        """
        planned = self._plan_for(event, self._channel) or (PlannedDelivery(self._channel, self._clock.now_us()),)
        return tuple(
            replace(
                each,
                max_age_us=None,
                dedup=None,
                grouping=None,
                batch=each.batch if is_held(each.batch) else f"expired:{event.id}",
            )
            for each in planned
        )


def _event(channel: str, expired: Sequence[Expired], zone: tzinfo, clock: Clock) -> SystemEvent:
    ids = [each.delivery for each in expired]
    return SystemEvent(
        id=system_event_id("ALERTS_EXPIRED", channel, *map(str, ids)),
        source="alertbus",
        occurred_at=from_us(clock.now_us()),
        event_type="ALERTS_EXPIRED",
        severity=Severity.WARNING,
        description=expired_text(expired, zone),
        extra={
            "channel": channel,
            "expired": len(expired),
            "counted": sum(each.more for each in expired),
            "may_have_arrived": sum(each.in_doubt for each in expired),
            "deliveries": ids[:_MOST_IDS],
        },
    )
