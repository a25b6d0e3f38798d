"""Switches channels off and on, and keeps the desks of one daemon in step with the switches in the store.

The store says which channels are on; a desk only follows. So a switch outlives the daemon, every daemon of a database
follows it with its next turn, and one that the database did not take changes nothing.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bus.clock import Clock
from subscriber.deliveries import DeliveryState, Why
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.reporting import WakeChannels
from subscriber.errors import StoreError
from subscriber.monitoring.metrics import Metrics
from subscriber.store.receipts import SwitchedOff
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

Fields = dict[str, Any]

#: Deliveries of one transaction: others want to write meanwhile.
_CHUNK: Final = 200
#: How long one turn of the daemon, or one request, settles at most; the next turn goes on a second later.
_MOST_SECONDS: Final = 2.0


def settle_all(store: Store, channels: Sequence[str]) -> SwitchedOff:
    """Settle all that waits for channels that are switched off, where no daemon runs that would.

    Args:
        store: Where it waits.
        channels: Those that there are, in the order in which they tell what no other channel tells.

    Raises:
        StoreError: The database can't be used at the moment; a daemon settles the rest.
    """
    suppressed: Counter[str] = Counter()
    handed_over: Counter[str] = Counter()
    while done := store.settle_switched_off(channels, _CHUNK):
        suppressed.update(done.suppressed)
        handed_over.update(done.handed_over)
    return SwitchedOff(suppressed, handed_over)


class Switchboard:
    """The switches of one daemon's channels; safe for all threads."""

    def __init__(
        self, store: Store, desks: Mapping[str, ChannelDesk], *, metrics: Metrics, clock: Clock, wake: WakeChannels
    ) -> None:
        """Keep what is needed; the desks stand as the store said when they were set up.

        Args:
            store: Where the switches are.
            desks: The daemon's channels by name, in the order in which they tell what no other channel tells.
            metrics: Shows which channels are on, and counts.
            clock: The daemon's.
            wake: Wakes the workers of channels.
        """
        self._store = store
        self._desks = desks
        self._metrics = metrics
        self._clock = clock
        self._wake = wake
        # What was read before somebody switched is not applied after it.
        self._lock = threading.Lock()

    def switch(self, channel: str, enabled: bool, author: str, via: str) -> Fields:  # noqa: FBT001 - as the API calls it
        """Switch a channel on or off for every daemon of the database, and settle what follows from that.

        What is settled later, because it is too much for one request or the database went away meanwhile, is in none
        of the counts.

        Args:
            channel: One of the daemon's.
            enabled: Whether it is to send.
            author: Who wants it, as far as that is known.
            via: By which way: api, cli or page.

        Returns:
            `channel`, `enabled`, `changed`; how many deliveries were `suppressed`, how many CRITICAL alerts were
            `handed_over` to other channels, and how many CRITICAL deliveries that waited for this channel are
            `released`.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        with self._lock:
            waiting = self._store.waiting_critical(channel) if enabled else 0
            changed = self._store.switch_channel(channel, enabled=enabled, author=author, via=via)
            self._set(channel, enabled=enabled)
        try:
            done = self._settle()
        except StoreError as error:  # it is switched; the next turn settles the rest
            logger.warning("what a switch leaves behind is settled later: %s", error, extra={"channel": channel})
            done = SwitchedOff()
        return {
            "channel": channel,
            "enabled": enabled,
            "changed": changed,
            "suppressed": sum(done.suppressed.values()),
            "handed_over": sum(done.handed_over.values()),
            "released": waiting if changed else 0,
        }

    def enabled(self) -> frozenset[str]:
        """Return the channels that are switched on."""
        return frozenset(name for name, desk in self._desks.items() if desk.enabled)

    def follow(self) -> None:
        """Let the desks stand as the store says, and settle what waits for channels that are off.

        Raises:
            StoreError: The database can't be used at the moment; the desks stand as before.
        """
        with self._lock:
            switches = self._store.channel_switches()
            for name in self._desks:
                self._set(name, enabled=name not in switches or switches[name].enabled)
        self._settle()
        self._metrics.uncovered_critical(self._store.uncovered_critical())

    def _set(self, channel: str, *, enabled: bool) -> None:
        if self._desks[channel].switch(enabled=enabled):
            self._metrics.channel_enabled(channel, enabled=enabled)
            logger.warning("the channel is switched %s", "on" if enabled else "off", extra={"channel": channel})

    def _settle(self) -> SwitchedOff:
        suppressed: Counter[str] = Counter()
        handed_over: Counter[str] = Counter()
        end = self._clock.monotonic() + _MOST_SECONDS
        try:
            while done := self._store.settle_switched_off(tuple(self._desks), _CHUNK):
                suppressed.update(done.suppressed)
                handed_over.update(done.handed_over)
                if self._clock.monotonic() >= end:
                    break
        finally:  # what is settled is settled, whatever happened to the next
            self._tell(suppressed, handed_over)
        return SwitchedOff(suppressed, handed_over)

    def _tell(self, suppressed: Mapping[str, int], handed_over: Mapping[str, int]) -> None:
        for channel, count in suppressed.items():
            self._metrics.suppressed(channel, Why.DISABLED, count)
            told = {"channel": channel, "deliveries": count}
            logger.warning("suppressed what waited for a channel that is switched off", extra=told)
        for channel, count in handed_over.items():
            self._metrics.entered(channel, DeliveryState.PENDING, count)
            told = {"channel": channel, "deliveries": count}
            logger.warning("a channel tells what nobody else is left to tell", extra=told)
        self._wake(handed_over)
