"""Whether an alert is told by itself, with others in one message, or a little later. Pure.

A provider takes a message a second, or one in six seconds; a bad day has ten thousand alerts. What could not be told
one by one within `max_delay` is told together: of CRITICAL a line each, of the rest what happened and how often. While
such a storm lasts, the rest is told once in `max_delay`, and CRITICAL goes on all the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from subscriber.deliveries import Delivery, DeliveryState, DigestKind, priority_of

#: Alerts that one message tells, at most.
MOST_FOLDED: Final = 2_000
#: CRITICAL alerts that are taken for one message, at most, before it is known how many lines it holds.
MOST_LISTED: Final = 200
_MICROSECONDS: Final = 1_000_000
#: What is told later than so many seconds too late is on time: times are sums of parts of a second.
_ROUNDING_SECONDS: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Single:
    """Tell it by itself."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Tell it with others."""

    kind: DigestKind
    limit: int  #: how many at most, itself included


@dataclass(frozen=True, slots=True)
class Wait:
    """Tell it with what comes until then."""

    seconds: float  #: above 0


HowToTell = Single | Fold | Wait


@dataclass(frozen=True, slots=True)
class Room:
    """What a channel has room for."""

    max_delay_seconds: float | None  #: after its publication an alert is to be told within so long; None: whenever
    interval_seconds: float  #: between two messages in the long run; 0 where the channel has no pace
    #: When the messages after the one that goes now could go, in seconds from now; those within `max_delay` are enough.
    slots: Sequence[float] = ()
    #: Since the last message that told a storm was begun; None where there was none.
    since_storm_seconds: float | None = None


def kind_of_batch(batch: str) -> DigestKind:
    """Return why the deliveries of a batch are told together, by its first word."""
    return _BATCH_KINDS.get(batch.partition(":")[0], DigestKind.GROUP)


_BATCH_KINDS: Final = {kind.value: kind for kind in (DigestKind.GROUP, DigestKind.QUIET, DigestKind.SILENCE)}


def needs_others(head: Delivery, room: Room) -> bool:
    """Whether it has to be known what else waits to say how a delivery is told."""
    return not _tried(head) and head.batch is None and room.max_delay_seconds is not None and room.interval_seconds > 0


def how_to_tell(head: Delivery, others_us: Sequence[int], room: Room, now_us: int) -> HowToTell:
    """Say how the delivery that is next on a channel is told.

    Args:
        head: The next one. One that was tried before is told as it was then.
        others_us: When the others of its class (CRITICAL, or the rest) that are due without a batch and were never
            tried were published, in the order of sending; the first MOST_FOLDED are enough.
        room: What the channel has room for.
        now_us: The time, by the clock that published times are in.
    """
    if _tried(head):
        return Single()
    if head.batch is not None:
        return Fold(kind_of_batch(head.batch), MOST_FOLDED)
    max_delay = room.max_delay_seconds
    if max_delay is None or room.interval_seconds <= 0:
        return Single()
    in_time = _in_time(others_us, room.slots, max_delay, now_us)
    if priority_of(head.alert) == 0:
        return Single() if in_time else Fold(DigestKind.CRITICALS, MOST_LISTED)
    waiting, since = 1 + len(others_us), room.since_storm_seconds
    # Of a full message nothing is gained by waiting.
    if since is not None and since + _ROUNDING_SECONDS < max_delay and waiting < MOST_FOLDED:
        return _in_a_storm(waiting, room.interval_seconds, since, max_delay)
    return Single() if in_time else Fold(DigestKind.STORM, MOST_FOLDED)


def _in_a_storm(waiting: int, interval: float, since: float, max_delay: float) -> HowToTell:
    """Wait while more came since the last message than the channel could have told singly meanwhile.

    What comes at a pace that it can tell is no storm any more, and a lone alert is told at once. How long a wait lasts
    doubles at least, so few looks find out.
    """
    lasts = min(waiting * interval, max_delay)
    return Wait(lasts - since) if lasts > since + _ROUNDING_SECONDS else Single()


def _in_time(others_us: Sequence[int], slots: Sequence[float], max_delay: float, now_us: int) -> bool:
    """Whether each of the others would leave within `max_delay` of its publication, after the one that goes now."""
    if len(others_us) > len(slots):
        return False
    most = max_delay + _ROUNDING_SECONDS
    return all(
        (now_us - published_us) / _MICROSECONDS + slot <= most
        for published_us, slot in zip(others_us, slots, strict=False)
    )


def _tried(delivery: Delivery) -> bool:
    return delivery.retries > 0 or delivery.possible_repeat or delivery.state is DeliveryState.IN_DOUBT
