"""What the threads of one channel share: its pace, whether it is paused, and how it fared."""

from __future__ import annotations

import threading
from typing import Final

from bus.clock import Clock
from subscriber.channels.channel import Channel
from subscriber.deliveries import Outcome, Reason
from subscriber.policy.pacing import Pacing

#: Failures in a row after which a channel is shown as in Error.
_ERROR_AFTER: Final = 3


class Wake:
    """Wakes every thread of a channel, those too that are busy now and only then begin to wait.

    An Event would be cleared by the first thread that it wakes; the others would sleep over it, and over their end.
    """

    def __init__(self) -> None:
        """Begin without a ring."""
        self._condition = threading.Condition()
        self._rings = 0

    @property
    def rings(self) -> int:
        """How often it rang; to be read before the look for work that a `wait` follows."""
        return self._rings

    def set(self) -> None:
        """Wake all."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def wait(self, seen: int, seconds: float) -> None:
        """Wait so long, or until it rings; not at all where it rang after `seen` rings."""
        with self._condition:
            self._condition.wait_for(lambda: self._rings != seen, seconds)


class ChannelDesk:
    """One channel and its state; safe for all threads."""

    def __init__(self, channel: Channel, clock: Clock, *, enabled: bool = True) -> None:
        """Begin well and unpaced."""
        self.channel = channel
        self.enabled = enabled
        self.wake = Wake()
        #: Whether the database knows that it sends to people.
        self.sent_for_real = False
        self._clock = clock
        self._pacing = Pacing(channel.pace)
        self._lock = threading.Lock()
        self._failures = 0
        self._paused = False

    @property
    def name(self) -> str:
        """The channel's name."""
        return self.channel.name

    @property
    def paused(self) -> bool:
        """Whether nothing is sent until a person changed the credentials or resumes it."""
        return self._paused

    @property
    def up(self) -> bool:
        """Whether the last attempts went well."""
        return not self._paused and self._failures < _ERROR_AFTER

    def turn(self) -> float:
        """Take a turn to send, or return the seconds until there may be one."""
        with self._lock:
            now = self._clock.monotonic()
            wait = self._pacing.wait_needed(now)
            if wait <= 0:
                self._pacing.take(now)
            return wait

    def wait_needed(self) -> float:
        """Return the seconds until the next message may go, without taking a turn."""
        with self._lock:
            return self._pacing.wait_needed(self._clock.monotonic())

    def hold(self, seconds: float) -> None:
        """Send nothing for so long, as the provider asked."""
        with self._lock:
            self._pacing.hold_until(self._clock.monotonic() + seconds)

    def note(self, outcome: Outcome) -> bool:
        """Remember how an attempt ended; True when it is what pauses the channel."""
        with self._lock:
            if outcome.accepted:
                self._failures = 0
                return False
            if outcome.reason in {Reason.UNAVAILABLE, Reason.NETWORK, Reason.TIMEOUT}:
                self._failures += 1
            pauses = outcome.reason is Reason.UNAUTHORIZED and not self._paused
            self._paused = self._paused or pauses
            return pauses

    def resume(self) -> None:
        """Send again, after a person changed what was wrong."""
        with self._lock:
            self._paused = False
            self._failures = 0
        self.wake.set()
