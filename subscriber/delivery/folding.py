"""Says what is told with a delivery that a worker has claimed, and takes it: alone, with others, or a little later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bus.clock import Clock
from subscriber.deliveries import Delivery, DigestKind, priority_of
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.parcels import Parcel
from subscriber.delivery.settings import WorkerSettings
from subscriber.policy.digest import MOST_FOLDED, Fold, Room, Single, Wait, how_to_tell, needs_others
from subscriber.policy.digest_text import fits_lines
from subscriber.store.store import Store

#: What another worker holds is free again soon: by its own end, or by that of its lease.
_CONTENDED_WAIT_SECONDS: Final = 0.05
#: While a storm is collected, it is looked so often whether enough has come for a full message.
_LOOK_SECONDS: Final = 1.0
#: No message is to wait for the pace for longer than this part of `max_delay`, as far as the limits allow it: the rest
#: is for what comes meanwhile, and for the message itself.
_GAP_SHARE: Final = 0.5


class Folder:
    """Folds for one worker of a channel."""

    def __init__(self, worker: str, desk: ChannelDesk, store: Store, clock: Clock, settings: WorkerSettings) -> None:
        """Keep what is needed.

        Args:
            worker: The worker's name, by which it holds deliveries.
            desk: The channel.
            store: Where what waits is.
            clock: The daemon's.
            settings: What is told of leases, `max_delay` and the reader's clock.
        """
        self._worker = worker
        self._desk = desk
        self._store = store
        self._clock = clock
        self._lease_seconds = settings.lease_seconds
        self._max_delay_seconds = settings.max_delay_seconds
        self._zone = settings.zone

    @property
    def longest_gap(self) -> float | None:
        """For how many seconds, about, no message is to wait for the pace; None: as it comes."""
        return None if self._max_delay_seconds is None else self._max_delay_seconds * _GAP_SHARE

    def plan(self, head: Delivery) -> Parcel | Fold | Wait:
        """Say how a claimed delivery is told; what waits is the caller's to give back.

        Raises:
            LeaseLost: Another worker holds it.
            StoreError: The database can't be used at the moment.
        """
        if head.digest is not None:
            held = self._store.claim_digest(head, self._worker, self._lease_seconds)
            if held is None:
                return Wait(_CONTENDED_WAIT_SECONDS)
            return Parcel(held.deliveries, held.kind, held.message)
        room = self._room()
        others: Sequence[int] = ()
        if needs_others(head, room):
            if self._store.database.is_postgresql:  # another daemon may tell the same storm
                self._desk.storm.follow(lambda: self._store.last_digest_us(self._desk.name, DigestKind.STORM))
                room = replace(room, since_storm_seconds=self._desk.storm.since_seconds)
            others = self._others(head)
        if others:
            room = replace(room, slots=self._slots(len(others)))
        how = how_to_tell(head, others, room, self._clock.now_us())
        if isinstance(how, Wait):
            self._desk.storm.collect(min(how.seconds, _LOOK_SECONDS))
        return Parcel((head,)) if isinstance(how, Single) else how

    def fold(self, head: Delivery, how: Fold) -> Parcel:
        """Take what is told with a delivery: no more CRITICAL alerts than the message has a line for.

        Raises:
            LeaseLost: Another worker holds the delivery.
            StoreError: The database can't be used at the moment.
        """
        taken = self._store.fold(head, self._worker, self._lease_seconds, how.limit)
        if len(taken) > 1 and any(priority_of(delivery.alert) == 0 for delivery in taken):
            fitting = fits_lines(taken, self._desk.channel.message_limits, self._zone)
            if fitting < len(taken):
                self._store.release(taken[fitting:])
                taken = taken[:fitting]
        return Parcel(tuple(taken), how.kind) if len(taken) > 1 else Parcel((head,))

    def _room(self) -> Room:
        return Room(
            max_delay_seconds=self._max_delay_seconds,
            interval_seconds=self._desk.interval_seconds,
            since_storm_seconds=self._desk.storm.since_seconds,
        )

    def _others(self, head: Delivery) -> Sequence[int]:
        critical = priority_of(head.alert) == 0
        return self._store.backlog(self._desk.name, critical=critical, limit=MOST_FOLDED)

    def _slots(self, most: int) -> Sequence[float]:
        max_delay = self._max_delay_seconds
        return () if max_delay is None else self._desk.slots(most, max_delay, self.longest_gap)
