"""Tells people that a channel is paused or held, by the other channels: it can't say itself any more that it can't."""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from bus.alerts import Severity, SystemEvent
from bus.clock import MICROSECONDS, Clock, from_us
from subscriber.deliveries import Outcome, system_event_id
from subscriber.delivery.desk import ChannelDesk

logger = logging.getLogger(__name__)

Announce = Callable[[SystemEvent], object]


def tell_stop(desk: ChannelDesk, outcome: Outcome, *, pauses: bool, clock: Clock, announce: Announce) -> None:
    """Tell what an outcome has stopped: that it pauses the channel, and a long hold of which nobody was told yet.

    Args:
        desk: The channel's, which has taken the outcome.
        outcome: What stopped it.
        pauses: Whether it is what pauses the channel.
        clock: The daemon's.
        announce: Tells an event by the other channels.
    """
    if pauses:
        _pause(desk, outcome, clock=clock, announce=announce)
    held_until = desk.holds.take_untold()
    if held_until is not None:
        until_us = clock.now_us() + round((held_until - clock.monotonic()) * MICROSECONDS)
        tell_hold(desk.name, outcome, until_us, announce=announce)


def tell_works(desk: ChannelDesk, *, clock: Clock, announce: Announce) -> None:
    """Tell that a channel works again, where people were told that it is paused; its provider has taken a message.

    Args:
        desk: The channel's.
        clock: The daemon's.
        announce: Tells an event by the other channels: where the pause was told.
    """
    paused_by = desk.channel.memory.values.paused_by
    if paused_by is None:
        return
    desk.channel.memory.change(paused_by=None)
    logger.info("the channel works again", extra={"channel": desk.name})
    announce(
        SystemEvent(
            id=system_event_id("CHANNEL_WORKS", desk.name, paused_by),
            source="alertbus",
            occurred_at=from_us(clock.now_us()),
            event_type="CHANNEL_WORKS",
            severity=Severity.INFO,
            description=f"The channel {desk.name} works again; what waited for it is sent now.",
            resolves=UUID(hex=paused_by),
        )
    )


def _pause(desk: ChannelDesk, outcome: Outcome, *, clock: Clock, announce: Announce) -> None:
    """Tell people once: each resume that does not help pauses it again, and they know it until it works."""
    if desk.channel.memory.values.paused_by is not None:
        logger.error("the channel is paused again", extra={"channel": desk.name, "detail": outcome.detail})
        return
    event = tell_pause(desk.name, outcome, clock=clock, announce=announce)
    desk.channel.memory.change(paused_by=event.hex)


def tell_pause(channel: str, outcome: Outcome, *, clock: Clock, announce: Announce) -> UUID:
    """Tell that a channel sends nothing until a person resumes it; return the alert's id.

    Args:
        channel: Its name.
        outcome: What paused it.
        clock: The daemon's.
        announce: Tells an event by the other channels.
    """
    logger.critical(
        "the channel is paused: put its credentials or its target right, then resume it",
        extra={"channel": channel, "detail": outcome.detail},
    )
    event = SystemEvent(
        id=system_event_id("CHANNEL_UNAUTHORIZED", channel, str(clock.now_us())),
        source="alertbus",
        event_type="CHANNEL_UNAUTHORIZED",
        severity=Severity.CRITICAL,
        description=f"The channel {channel} is paused: {outcome.detail or outcome.reason.value}. What it should "
        "send waits. Put its credentials or its target right, then resume it: "
        f"alertbus-subscriber resume {channel}, or a test of it, or a restart with new credentials.",
    )
    announce(event)
    return event.id


def tell_hold(channel: str, outcome: Outcome, until_us: int, *, announce: Announce) -> None:
    """Tell that a channel sends nothing for long, because its provider asked for it.

    Args:
        channel: Its name.
        outcome: What the provider said.
        until_us: Until when, by the daemon's clock.
        announce: Tells an event by the other channels.
    """
    until = f"{from_us(until_us):%Y-%m-%d %H:%M:%S} UTC"
    logger.error(
        "the provider asks to be left alone for long; nothing is sent until then",
        extra={"channel": channel, "until": until, "detail": outcome.detail},
    )
    announce(
        SystemEvent(
            id=system_event_id("CHANNEL_HELD", channel, str(until_us)),
            source="alertbus",
            event_type="CHANNEL_HELD",
            severity=Severity.WARNING,
            description=f"The channel {channel} sends nothing until {until}, because its provider asks to be left "
            f"alone: {outcome.detail or outcome.reason.value}. What it should send waits. To send all the same: "
            f"alertbus-subscriber resume {channel}, or a test of it.",
        )
    )
