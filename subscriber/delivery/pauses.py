"""Tells people that a channel is paused or held, by the other channels: it can't say itself any more that it can't."""

from __future__ import annotations

import logging
from collections.abc import Callable

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
        tell_pause(desk.name, outcome, clock=clock, announce=announce)
    held_until = desk.holds.take_untold()
    if held_until is not None:
        until_us = clock.now_us() + round((held_until - clock.monotonic()) * MICROSECONDS)
        tell_hold(desk.name, outcome, until_us, announce=announce)


def tell_pause(channel: str, outcome: Outcome, *, clock: Clock, announce: Announce) -> None:
    """Tell that a channel sends nothing until a person resumes it.

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
    announce(
        SystemEvent(
            id=system_event_id("CHANNEL_UNAUTHORIZED", channel, str(clock.now_us())),
            source="alertbus",
            event_type="CHANNEL_UNAUTHORIZED",
            severity=Severity.CRITICAL,
            description=f"The channel {channel} is paused: {outcome.detail or outcome.reason.value}. What it should "
            "send waits. Put its credentials or its target right, then resume it: "
            f"alertbus-subscriber resume {channel}, or a test of it, or a restart with new credentials.",
        )
    )


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
