"""Sets up the desk of every channel with what is known of an earlier run: its memory, its hold and its pace."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from random import Random

from bus.clock import MICROSECONDS, Clock
from bus.errors import AlertBusError
from subscriber.channels.building import build_channel
from subscriber.channels.channel import ChannelConfig
from subscriber.channels.memory import Changes, ChannelMemory
from subscriber.deliveries import DigestKind, Message, Outcome, Window
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.meters import Meters
from subscriber.monitoring.metrics import Metrics
from subscriber.store.store import Store

logger = logging.getLogger(__name__)


def set_up_desks(
    configs: Iterable[ChannelConfig],
    store: Store,
    *,
    metrics: Metrics,
    clock: Clock,
    rng: Random,
    rehearsal: bool,
) -> dict[str, ChannelDesk]:
    """Build every channel and its desk, by name; nothing is sent.

    Args:
        configs: Of all channels.
        store: An open store, which holds what the channels remember, when they sent last, and which are switched off.
        metrics: Gets the channels' children.
        clock: The daemon's.
        rng: For the waits of breakers.
        rehearsal: Nothing is ever requested.

    Raises:
        ConfigurationError: A channel can't be built.
        StoreError: The database can't be used at the moment.
    """
    meters = Meters()
    desks: dict[str, ChannelDesk] = {}
    off = {name for name, switch in store.channel_switches().items() if not switch.enabled}

    def late(channel: str, message: Message | None, outcome: Outcome) -> None:
        desks[channel].late.add(message, outcome)

    for config in configs:
        name = config.name
        channel = build_channel(
            config,
            rehearsal=rehearsal,
            on_late=partial(late, name),
            memory=ChannelMemory(store.remembered(name), partial(_keep, store, name)),
            now_us=clock.now_us,
        )
        has_window = channel.window is not Window.NONE
        metrics.add_channel(name, enabled=name not in off, receipts=channel.receipts.comes, window=has_window)
        metrics.channel_succeeded(name, store.last_success_us(name))
        desks[name] = ChannelDesk(channel, clock, enabled=name not in off, meters=meters, rng=rng)
    for name, desk in desks.items():
        since_us = clock.now_us() - round(desk.pace_memory_seconds * MICROSECONDS)
        desk.seed(store.recent_attempts(name, since_us))
        desk.storm.seed(store.last_digest_us(name, DigestKind.STORM))
    return desks


def fallbacks_of(desks: Mapping[str, ChannelDesk]) -> Callable[[str], list[str]]:
    """Return who may tell an alert that a channel refuses for good: the other enabled ones, those that are well first.

    Args:
        desks: All of them; they are looked at anew each time.
    """

    def fallbacks(channel: str) -> list[str]:
        others = [desk for name, desk in desks.items() if name != channel and desk.enabled]
        return [desk.name for desk in sorted(others, key=lambda desk: not desk.up)]

    return fallbacks


def _keep(store: Store, channel: str, changes: Changes) -> bool:
    try:
        store.remember_channel(channel, changes)
    except AlertBusError as error:  # the channel itself knows it; it is kept later
        logger.warning("what a channel learned is not kept yet: %s", error, extra={"channel": channel})
        return False
    return True
