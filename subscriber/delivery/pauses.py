"""Tells people that a channel is paused, by the other channels: it can't say itself any more that it can't."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bus.alerts import Severity, SystemEvent
from bus.clock import Clock
from subscriber.deliveries import Outcome, system_event_id

logger = logging.getLogger(__name__)

Announce = Callable[[SystemEvent], object]


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
