"""What the daemon knows of one stream: its position, who offers it, and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from subscriber.intake.offers import Offers
from subscriber.intake.publisher_clock import PublisherClock
from subscriber.intake.sequences import Observation, Position, Range

#: Numbers asked for at a time: the next ones when these came, so that a long backlog floods neither side's memory.
REPLAY_WINDOW: Final = 2_000
#: Of a backlog that is longer than a window, so many of its newest numbers are asked for with each window: what has
#: just happened, and was lost while a connection was made, must not wait for what happened hours ago.
NEWEST_SHARE: Final = 500
#: Ranges in one window; what is more broken than this is asked for in several turns.
_MOST_RANGES: Final = 40
_MOST_NEWEST_RANGES: Final = 10
#: How long an answer may take before the same numbers are asked for again: so long at least, and so many times as long
#: as the last window took, for a machine that is busy answers late.
_PATIENCE_SECONDS: Final = 1.0
_PATIENCE_WINDOWS: Final = 4.0
_LONGEST_PATIENCE_SECONDS: Final = 30.0


@dataclass(slots=True)
class OfferedStream:
    """A stream and its publishers. Used by the ingest thread alone."""

    stream: bytes
    position: Position
    offers: Offers = field(default_factory=Offers)
    heard_at: float = 0.0  #: monotonic seconds of the last heartbeat or goodbye
    noted_at: float = float("-inf")  #: monotonic seconds when the store last heard of it
    goodbye: str | None = None
    stale: bool = False  #: whether the position has to be read from the store before it is used again
    came: int = 0  #: the highest number on the data connection, which keeps its order
    announced: int = 0  #: the highest number of which a heartbeat or goodbye of this turn told
    asked_to: int = 0  #: the end of the window that was asked for; 0 when none is open
    asked_at: float = float("-inf")  #: monotonic seconds when it was
    told: int = 0  #: the highest number of which any heartbeat or goodbye told
    outstanding: int = 0  #: numbers that are missing, as the metric has them
    target: int = 0  #: up to where numbers are to be had, in several windows
    clock: PublisherClock = field(default_factory=PublisherClock)
    _patience_seconds: float = _PATIENCE_SECONDS
    #: What was missing when it was last looked at, rising.
    _holes: list[Range] = field(default_factory=list)
    _just_came: bool = False  #: whether the last window is complete, and the next one follows it
    _came_when_asked: int = 0
    _contiguous_then: int | None = None
    _progress_then: tuple[int, int] | None = None

    @property
    def settled_goodbye(self) -> bool:
        """Whether its publisher has ended on purpose, and everything of it is settled."""
        beat = self.offers.own
        return self.goodbye is not None and beat is not None and (self.position.contiguous or 0) >= beat.last

    def observe(self, sequence: int, *, asked_for: bool) -> Observation:
        """Settle a number that came, on the data connection or because it was asked for."""
        if not asked_for and sequence > self.came:
            self.came = sequence
        return self.position.observe(sequence)

    def forget(self) -> None:
        """Forget what may be ahead of the store: the position, and what was asked for by it."""
        self.position, self.stale = Position(), True
        self.came = self.announced = self.asked_to = self.target = self._came_when_asked = 0
        self._contiguous_then = self._progress_then = None

    def noticed(self, last: int, now: float) -> int:
        """Take a publisher's word for the last number; return up to where to ask, or 0.

        A hole is asked for again when nothing below it came since the last word; a tail, which control messages
        announce before the data connection delivers it, when that stream made no progress at all since then. An
        answer is given a second to arrive. Called once a turn, for the words that waited together say nothing about
        progress; data that waits in our own socket shows as progress, since connections are read in turn.

        Args:
            last: The last number that the publisher gave out.
            now: Monotonic seconds.
        """
        contiguous, highest = self.position.contiguous, self.position.highest
        progress = highest, self.came
        stuck = self.position.has_gap() and contiguous == self._contiguous_then
        tail = last > highest and (
            progress == self._progress_then or (self.offers.adopted_only() and not self.asked_to)
        )
        self._contiguous_then, self._progress_then = contiguous, progress
        if self.asked_to and now < self.asked_at + self._patience_seconds:
            if tail:  # of a backlog that is coming: its next window begins with it
                self.target = max(self.target, last)
            return 0
        if tail:
            return last
        return highest if stuck else 0

    def new_holes(self, missing: list[Range], last: int) -> int:
        """Remember what is missing up to `last`; return how many holes are new, and not the rest of one that was."""
        index = count = 0
        for first, end in missing:
            while index < len(self._holes) and self._holes[index][1] < first:
                index += 1
            count += index == len(self._holes) or self._holes[index][0] > end
        self._holes = missing + [(max(first, last + 1), end) for first, end in self._holes if end > last]
        return count

    def wanted(self) -> int:
        """Return up to where to ask now that data came, or 0: the next window, or a new hole."""
        contiguous = self.position.contiguous
        if contiguous is None:
            return 0
        if self.asked_to:
            if contiguous < self.asked_to:
                return 0  # the open window is still coming
            self.asked_to, self._just_came = 0, True
        if self.came > self._came_when_asked:  # the data connection moves again, and delivers what is above by itself
            self.target = min(self.target, self.came)
        # One connection keeps its order: nothing below `came` is still to come on it, nor below what the store has.
        last = max(self.target, self.came) or self.position.highest
        self._just_came &= contiguous < last
        return last if contiguous < last else 0

    def next_window(self, last: int) -> list[Range]:
        """Return what the next window is to hold: the oldest that is missing, after the newest of a long backlog."""
        oldest = self.position.missing(last, REPLAY_WINDOW)[:_MOST_RANGES]
        newest = self.position.missing_newest(last, NEWEST_SHARE)[:_MOST_NEWEST_RANGES]
        if not oldest or newest[-1][0] <= oldest[-1][1]:  # all that is missing is one window
            return oldest
        return [*newest, *self.position.missing(last, REPLAY_WINDOW - NEWEST_SHARE)[:_MOST_RANGES]]

    def window(self, last: int, now: float) -> list[Range]:
        """Open the next window of what is missing up to `last`; it is over when the end of its oldest part came."""
        ranges = self.next_window(last)
        if self._just_came:
            patience = _PATIENCE_WINDOWS * (now - self.asked_at)
            self._patience_seconds = min(max(patience, _PATIENCE_SECONDS), _LONGEST_PATIENCE_SECONDS)
        self._just_came = False
        self.asked_at = now
        self.asked_to = ranges[-1][1] if ranges else 0
        self.target = max(self.target, last)
        self._came_when_asked = self.came
        return ranges
