"""What publishing costs the trader's thread: some calls are timed, from the outermost entry until it returns.

The caller's thread appends a number to a bounded deque, without a lock; whoever asks adds up what lies there. Calls
that wait for a daemon on purpose are not timed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, cycle, repeat
from time import perf_counter_ns
from typing import Final

#: The first calls are all timed, and then one of so many: two readings of the clock cost a tenth of a call.
FIRST_CALLS: Final = 100
EACH: Final = 16
#: In a second.
NANOSECONDS: Final = 1_000_000_000
#: For how long the longest call is told: it must not be over before every daemon, and whoever asks that, has heard it.
LONGEST_SECONDS: Final = 60.0
#: Calls that wait to be added up, which heartbeats do; beyond it the oldest is as good as not timed.
_MOST_WAITING: Final = 16_384


@dataclass(frozen=True, slots=True)
class CostFigures:
    """What was measured so far."""

    timed: int = 0  #: calls
    total_ns: int = 0  #: time in all of these
    longest_ns: int = 0  #: the longest of the last `LONGEST_SECONDS`


class PublishCost:
    """Chooses calls, and keeps how long they took. Any thread may call everything."""

    def __init__(self) -> None:
        """Begin with nothing measured."""
        #: Whether this call is to be timed: an iterator in C, so that the answer costs no call of a function.
        self.due: Final[Callable[[], bool]] = chain(
            repeat(object=True, times=FIRST_CALLS), cycle((*[False] * (EACH - 1), True))
        ).__next__
        self._took: deque[int] = deque(maxlen=_MOST_WAITING)
        self._timed = 0
        self._total_ns = 0
        #: When calls were added up, and the longest of them: later ones are shorter, or they would be the longest.
        self._longest: tuple[tuple[float, int], ...] = ()
        # Reentrant: a signal handler may ask while its own thread is asking.
        self._lock = threading.RLock()

    def took(self, began_ns: int) -> None:
        """Note that a call is over; `began_ns` is what `perf_counter_ns` said when it began."""
        self._took.append(perf_counter_ns() - began_ns)

    def figures(self, now: float) -> CostFigures:
        """Add up what was measured; `now` is monotonic seconds, of one clock for all who ask."""
        with self._lock:
            longest_ns = 0
            for _ in range(len(self._took)):
                try:
                    took_ns = self._took.popleft()
                except IndexError:  # a signal handler asked meanwhile, and took the rest
                    break
                self._timed += 1
                self._total_ns += took_ns
                longest_ns = max(longest_ns, took_ns)
            # A new tuple, so that a handler that asks in between changes nothing that is being walked through.
            kept = tuple(
                (at, each_ns) for at, each_ns in self._longest if each_ns > longest_ns and now - at <= LONGEST_SECONDS
            )
            self._longest = (*kept, (now, longest_ns)) if longest_ns else kept
            return CostFigures(self._timed, self._total_ns, self._longest[0][1] if self._longest else 0)
