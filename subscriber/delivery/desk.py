"""What the threads of one channel share: its pace, its breaker, whether it is paused, and what is left to record."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from random import Random
from typing import Final

from bus.clock import MICROSECONDS, Clock
from subscriber.channels.channel import Channel
from subscriber.deliveries import Outcome, Reason
from subscriber.delivery.breaker import Breaker, BreakerState, Go
from subscriber.delivery.holds import Holds
from subscriber.delivery.late import LateAnswers
from subscriber.delivery.meters import Meters
from subscriber.delivery.storm import Storm
from subscriber.delivery.views import BreakerView, DeskView
from subscriber.delivery.waking import Wake

logger = logging.getLogger(__name__)

#: What nobody answered: it opens the breaker.
_NO_ANSWER: Final = frozenset({Reason.UNAVAILABLE, Reason.NETWORK, Reason.TIMEOUT})
#: A provider counts a message when it arrives, which is a little after an attempt was opened.
_SEED_MARGIN_SECONDS: Final = 1.0


class ChannelDesk:
    """One channel and its state; safe for all threads."""

    def __init__(
        self,
        channel: Channel,
        clock: Clock,
        *,
        enabled: bool = True,
        meters: Meters | None = None,
        rng: Random | None = None,
    ) -> None:
        """Begin well, and held for as long as the channel remembers that its provider asked for.

        Args:
            channel: Whose desk.
            clock: The daemon's.
            enabled: Whether it is switched on.
            meters: The paces of the whole daemon; without them nothing is shared with other channels.
            rng: For the breaker's waits.

        Raises:
            ValueError: A limit of the channel means nothing.
        """
        self.channel = channel
        #: Whether it is switched on.
        self.enabled = enabled
        self.wake = Wake()
        self.late = LateAnswers(channel.name, self.wake.set)
        #: Whether the database knows that it sends to people.
        self.sent_for_real = False
        self._clock = clock
        self._pace = (meters or Meters()).pace(channel.pace)
        self._lock = threading.Lock()
        self._breaker = Breaker(rng or Random())  # noqa: S311 - jitter of waits
        self._paused_at: float | None = None
        self._since = clock.monotonic()
        self.storm = Storm(clock)
        self.holds = Holds(channel, self._pace, clock)

    @property
    def name(self) -> str:
        """The channel's name."""
        return self.channel.name

    def switch(self, *, enabled: bool) -> bool:
        """Begin no further send, or send again; what is in flight ends as it ends. Whether that is a change."""
        changed, self.enabled = enabled is not self.enabled, enabled
        if changed:
            self.wake.set()
        return changed

    @property
    def paused(self) -> bool:
        """Whether nothing is sent until a person changed the credentials or resumes it."""
        return self._paused_at is not None

    @property
    def up(self) -> bool:
        """Whether the last attempts went well, and its provider does not ask to be left alone for long."""
        return not self.paused and self._breaker.state is BreakerState.CLOSED and not self.holds.long

    @property
    def since_us(self) -> int:
        """When it began, or was last resumed: what was sent before is no reason to pause it."""
        return self._wall_us(self._since)

    @property
    def breaker(self) -> BreakerView:
        """How its breaker stands."""
        with self._lock:
            at = self._breaker.next_probe_at
            return BreakerView(self._breaker.state, None if at is None else self._wall_us(at))

    @property
    def view(self) -> DeskView:
        """How it stands, for the status."""
        paused_at, held_seconds = self._paused_at, self.holds.seconds_left
        return DeskView(
            up=self.up,
            paused=paused_at is not None,
            paused_since_us=None if paused_at is None else self._wall_us(paused_at),
            breaker=self.breaker,
            held_until_us=self._clock.now_us() + round(held_seconds * MICROSECONDS) if held_seconds > 0 else None,
            wait_seconds=self.wait_needed(),
        )

    # --- the pace -------------------------------------------------------------------------------------------

    @property
    def interval_seconds(self) -> float:
        """Between two messages in the long run, by the slowest limit, shared ones included; 0 where it has no pace."""
        return self._pace.interval_seconds

    def slots(self, most: int, within_seconds: float, longest_gap: float | None = None) -> list[float]:
        """Return when further messages could go after one that goes now, in seconds from now.

        Args:
            most: How many to look for.
            within_seconds: What comes later than that is left out.
            longest_gap: As for `wait_needed`.
        """
        return self._pace.slots(self._clock.monotonic(), most, within_seconds, longest_gap)

    @property
    def pace_memory_seconds(self) -> float:
        """For how long a message counts in the pace: how far back `seed` has to look."""
        return self._pace.memory_seconds + _SEED_MARGIN_SECONDS

    def seed(self, opened_us: Sequence[int]) -> None:
        """Count the attempts of an earlier run, so that a restart never bursts into a limit.

        Args:
            opened_us: When they were begun, by the daemon's clock; the last `pace_memory_seconds` are enough.
        """
        now, now_us = self._clock.monotonic(), self._clock.now_us()
        self._pace.seed([now + (each - now_us) / MICROSECONDS + _SEED_MARGIN_SECONDS for each in opened_us], now)

    def turn(self, now: float | None = None) -> float:
        """Take a turn to send, or return the seconds until there may be one.

        Args:
            now: The monotonic time, where it is told to `answered` later.
        """
        return self._pace.turn(self._clock.monotonic() if now is None else now)

    def answered(self, taken_at: float) -> None:
        """Say that what took its turn at this monotonic time has ended now; the pace counts from here."""
        self._pace.ended(taken_at, self._clock.monotonic())

    def wait_needed(self, longest_gap: float | None = None) -> float:
        """Return the seconds until the next message may go, without taking a turn.

        Args:
            longest_gap: For how many seconds, about, no later message is to wait for the limits; None: as it comes.
        """
        return self._pace.wait_needed(self._clock.monotonic(), longest_gap)

    def hold(self, seconds: float) -> None:
        """Send nothing for so long, as the provider asked; kept over a restart."""
        self.holds.hold(seconds)

    # --- what its answers say -------------------------------------------------------------------------------

    def note(self, outcome: Outcome, hold_seconds: float = 0.0) -> bool:
        """Remember how an attempt ended; True when it is what pauses the channel.

        Args:
            outcome: How it ended.
            hold_seconds: How long nothing is to be sent after it.
        """
        self.holds.note(outcome, hold_seconds)
        with self._lock:
            before = self._breaker.state
            if outcome.reason in _NO_ANSWER:
                self._breaker.failed(self._clock.monotonic())
            else:
                self._breaker.close()
            pauses = self._pause(outcome)
            after = self._breaker.state
        self._tell(before, after, outcome)
        return pauses

    def note_failed(self, outcome: Outcome, hold_seconds: float, opened_us: int) -> bool:
        """Remember why a message failed that had been accepted; True when it is what pauses the channel.

        It may be hours old: it says nothing of whether the provider works now, and what was sent before a person
        resumed the channel, or before this daemon began, says nothing of what they have put right.

        Args:
            outcome: Why it failed.
            hold_seconds: How long nothing is to be sent after it.
            opened_us: When its attempt was begun, by the daemon's clock.
        """
        self.holds.note(outcome, hold_seconds)
        with self._lock:
            return opened_us >= self.since_us and self._pause(outcome)

    def probed(self, outcome: Outcome) -> None:
        """Take what a probe found.

        One that is refused pauses nothing, for a key may be allowed to send and nothing else: it shows that the
        provider answers, and the delivery that follows shows whether it takes one.
        """
        talks = outcome.accepted or outcome.reason is Reason.UNAUTHORIZED
        # An answer has a status; a service that can't be probed has been asked nothing.
        answered = outcome.status is not None or outcome.reason is Reason.UNAUTHORIZED
        with self._lock:
            before = self._breaker.state
            self._breaker.probed(self._clock.monotonic(), well=talks, answered=answered)
            after = self._breaker.state
        self._tell(before, after, outcome)

    def ask(self, who: str) -> Go | float:
        """Say what a thread may do now by the breaker, or how many seconds it is to wait; then it says `leave`."""
        with self._lock:
            return self._breaker.ask(who, self._clock.monotonic())

    def leave(self, who: str) -> None:
        """Let another thread do what this one might."""
        with self._lock:
            self._breaker.leave(who)

    def nothing_to_send(self) -> None:
        """Say that nothing waits: a good probe alone then ends the Error."""
        with self._lock:
            before = self._breaker.state
            self._breaker.nothing_to_send()
            after = self._breaker.state
        self._tell(before, after, None)

    def resume(self) -> bool:
        """Send again, after a person changed what was wrong; True when it was paused.

        What its provider asked for ends with it: the person decides.
        """
        self.holds.lift()
        return self._resume()

    def try_now(self) -> bool:
        """Let a person's test through: resume a paused channel, probe a failing one at once; True when it was paused.

        A hold that is long is lifted; a shorter one and the pace stay as they are, for the test can wait.
        """
        if self.holds.long:
            self.holds.lift()
        if self.paused:
            return self._resume()
        with self._lock:
            self._breaker.hurry(self._clock.monotonic())
        self.wake.set()
        return False

    # --- inside ---------------------------------------------------------------------------------------------

    def _resume(self) -> bool:
        with self._lock:
            paused, self._paused_at = self.paused, None
            self._since = self._clock.monotonic()
            if paused:
                self._breaker.close()
            else:  # nobody put anything right: a failing provider is asked at once, and nothing is sent into the dark
                self._breaker.hurry(self._since)
        self.wake.set()
        if paused:
            logger.warning("the channel is resumed", extra={"channel": self.name})
        return paused

    def _pause(self, outcome: Outcome) -> bool:
        pauses = outcome.reason is Reason.UNAUTHORIZED and self._paused_at is None
        if pauses:
            self._paused_at = self._clock.monotonic()
        return pauses

    def _wall_us(self, moment: float) -> int:
        return self._clock.now_us() + round((moment - self._clock.monotonic()) * MICROSECONDS)

    def _tell(self, before: BreakerState, after: BreakerState, outcome: Outcome | None) -> None:
        if before is after:
            return
        if after is BreakerState.CLOSED:
            self.wake.set()  # the others wait for what this thread finds out
            logger.info("the provider answers again", extra={"channel": self.name})
        elif before is BreakerState.CLOSED and outcome is not None:
            told = {"channel": self.name, "outcome": outcome.reason.value, "detail": outcome.detail}
            logger.error("the provider fails; it is probed before anything more is sent", extra=told)
