"""Replays: answers, number by number, what daemons ask for again: the alert, or that it can't be had here.

Answers come in slices, between which live alerts have their turn; so a backlog of a million floods neither side. Used
by the sender's thread alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bus.clock import Clock
from bus.wire import NOT_OFFERED, Replay, Unavailable
from publisher.daemons import Daemon
from publisher.errors import JournalBusy, JournalDamaged, JournalError
from publisher.handover import Counters
from publisher.outbox import Entry, Outbox
from publisher.outboxes import Outboxes

NOT_HELD: Final = "not held any more"
ABOVE_LAST: Final = "above the last"
DAMAGED: Final = "damaged"
UNREADABLE: Final = "unreadable"

#: Numbers answered to one daemon before the live alerts get their turn,
_SLICE: Final = 256
#: and ranges that are looked up for that.
_MOST_READS: Final = 32
#: How long a place in a journal may fail to be read before it counts as unreadable,
_PATIENCE_SECONDS: Final = 60.0
#: in tries that are not further apart than this.
_APART_SECONDS: Final = 30.0
#: How long answers are kept for a daemon that does not take them; it asks again.
_BLOCKED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that can't be had, and why."""

    first: int
    last: int
    reason: str


Answer = Entry | Gap
Answers = tuple[list[Answer], int]


class Replaying:
    """Answers every daemon in turn."""

    def __init__(self, outboxes: Outboxes, counters: Counters, clock: Clock) -> None:
        """Store what is needed."""
        self._outboxes = outboxes
        self._counters = counters
        self._clock = clock
        #: By stream and number, when a read there began to fail, and when it failed last; monotonic seconds.
        self._failing: dict[tuple[bytes, int], tuple[float, float]] = {}
        #: By endpoint, since when a daemon takes no answer.
        self._blocked_since: dict[str, float] = {}

    def ask(self, daemon: Daemon, replay: Replay) -> None:
        """Note what a daemon asks for; what is not on offer at all is answered at once."""
        if self._outboxes.get(replay.stream) is not None:
            daemon.asked.add(replay.stream, replay.first, replay.last)
        else:
            daemon.send(_unavailable(replay.stream, Gap(replay.first, replay.last, NOT_OFFERED)))

    def serve(self, daemon: Daemon) -> bool:
        """Send a daemon a slice of what it asked for; True when it can have more at once."""
        budget = _SLICE
        for _ in range(_MOST_READS):
            if budget <= 0 or not daemon.asked:
                break
            stream, first, last = daemon.asked.take()
            found = self._look_up(stream, first, last, budget)
            if found is None:
                continue  # it can't be read now, and the daemon asks again
            answers, end = found
            budget -= max(len(answers), 1)
            taken = self._send(daemon, stream, answers, end)
            daemon.asked.add(stream, taken + 1, last)
            if taken < end:
                return self._blocked(daemon)
        self._blocked_since.pop(daemon.endpoint, None)
        return bool(daemon.asked)

    def _look_up(self, stream: bytes, first: int, last: int, most: int) -> Answers | None:
        """Return what there is of a range, or None when it can't be read now."""
        outbox = self._outboxes.get(stream)
        if outbox is None:  # it was settled while the range waited
            return [Gap(first, last, NOT_OFFERED)], last
        try:
            answers = answers_of(outbox, first, last, most)
        except JournalError as error:
            self._counters.failed(error)
            gap = Gap(first, min(last, outbox.last, first + most - 1), UNREADABLE)
            if not self._given_up(stream, gap):
                return None
            busy = isinstance(error, JournalBusy)  # then each try would wait for the lock
            return ([gap] if busy else list(_joined(_around(outbox, gap, JournalError)))), gap.last
        self._failing.pop((stream, first), None)
        return answers

    def _send(self, daemon: Daemon, stream: bytes, answers: list[Answer], end: int) -> int:
        """Send answers; return up to which number the daemon took them."""
        for answer in answers:
            if isinstance(answer, Gap):
                if not daemon.send(_unavailable(stream, answer)):
                    return answer.first - 1
            elif daemon.send_again(stream, answer):
                self._counters.replayed += 1
            else:
                return answer.sequence - 1
        return end

    def _given_up(self, stream: bytes, gap: Gap) -> bool:
        """Whether a place failed for so long that it counts as unreadable; then what follows is not waited for."""
        now = self._clock.monotonic()
        self._failing = {place: at for place, at in self._failing.items() if now - at[1] <= _APART_SECONDS}
        since, _ = self._failing.pop((stream, gap.first), (now, now))
        given_up = now - since >= _PATIENCE_SECONDS
        self._failing[stream, gap.last + 1 if given_up else gap.first] = since, now
        return given_up

    def _blocked(self, daemon: Daemon) -> bool:
        """Keep what is open for a daemon that is away or full, but not for long: it asks again."""
        since = self._blocked_since.setdefault(daemon.endpoint, self._clock.monotonic())
        if self._clock.monotonic() - since >= _BLOCKED_SECONDS:
            daemon.asked.clear()
            del self._blocked_since[daemon.endpoint]
        return False


def answers_of(outbox: Outbox, first: int, last: int, most: int) -> Answers:
    """Say what there is of a range, lowest first, and up to where that was said: at most `most` numbers are read.

    Raises:
        JournalError: The outbox can't be read now. Damage is no error: what is around it is read.
    """
    held = outbox.first_held()
    if first < held:
        end = min(last, held - 1)
        return [Gap(first, end, NOT_HELD)], end
    if first > outbox.last:
        return [Gap(first, last, ABOVE_LAST)], last
    gap = Gap(first, min(last, outbox.last, first + most - 1), DAMAGED)
    try:
        return list(_filled(outbox.read(gap.first, gap.last, most), gap)), gap.last
    except JournalDamaged:
        return list(_joined(_around(outbox, gap, JournalDamaged))), gap.last


def _around(outbox: Outbox, gap: Gap, expected: type[JournalError]) -> Iterator[Answer]:
    """Read a range that fails as a whole by halves, down to the numbers that can't be read."""
    if gap.first < gap.last:
        middle = (gap.first + gap.last) // 2
        for half in (Gap(gap.first, middle, gap.reason), Gap(middle + 1, gap.last, gap.reason)):
            try:
                yield from _filled(outbox.read(half.first, half.last, half.last - half.first + 1), half)
            except expected:
                yield from _around(outbox, half, expected)
    else:
        yield gap


def _filled(entries: list[Entry], gap: Gap) -> Iterator[Answer]:
    """Put gaps where a range has no entry."""
    due = gap.first
    for entry in entries:
        if due < entry.sequence:
            yield Gap(due, entry.sequence - 1, gap.reason)
        yield entry
        due = entry.sequence + 1
    if due <= gap.last:
        yield Gap(due, gap.last, gap.reason)


def _joined(answers: Iterator[Answer]) -> Iterator[Answer]:
    """Make one gap of those that touch."""
    open_gap: Gap | None = None
    for answer in answers:
        if isinstance(answer, Gap):
            open_gap = answer if open_gap is None else Gap(open_gap.first, answer.last, answer.reason)
            continue
        if open_gap is not None:
            yield open_gap
            open_gap = None
        yield answer
    if open_gap is not None:
        yield open_gap


def _unavailable(stream: bytes, gap: Gap) -> Unavailable:
    return Unavailable(stream=stream, first=gap.first, last=gap.last, reason=gap.reason)
