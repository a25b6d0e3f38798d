"""What the caller's thread and the sender's thread share: a bounded deque, counters, and the waits between them.

Appending to a deque that the sender polls costs a tenth of waking the sender, which is why nothing here wakes it.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from bus.alerts import Action, AgentAction, Alert, Severity
from bus.conversion import text_of
from publisher.cost import PublishCost

#: Of the queue's room, the share that is kept for what must not be refused, a CRITICAL or a trade.
_RESERVED_SHARE: Final = 0.1
_ERROR_LIMIT: Final = 500


class Receipt:
    """A wait for one alert: set when a daemon has stored it."""

    __slots__ = ("_stored",)

    def __init__(self) -> None:
        """Begin unset."""
        self._stored = threading.Event()

    def confirm(self) -> None:
        """Tell the waiting thread."""
        self._stored.set()

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds`; True when it is stored."""
        return self._stored.wait(seconds)


@dataclass(frozen=True, slots=True)
class Flush:
    """A mark in the queue: set when everything before it is journaled."""

    done: threading.Event = field(default_factory=threading.Event)


#: When it was published, the alert, and who waits for it.
Given = tuple[int, Alert, Receipt | None]
Item = Given | Flush


@dataclass(slots=True)
class Counters:
    """What happened so far. What the caller's threads count is counted under the lock; reading an int is atomic."""

    refused: int = 0
    attach_failures: int = 0
    journaled: int = 0
    sent: int = 0
    acknowledged: int = 0
    replayed: int = 0
    altered: int = 0
    unencodable: int = 0
    dropped: int = 0  #: no longer held, by age, size or the end of a volatile stream, before every store had it
    errors: int = 0
    last_error: str | None = None
    # Reentrant: a signal handler may publish while its own thread is counting.
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def refuse(self) -> None:
        """Count an alert that was not taken."""
        with self._lock:
            self.refused += 1

    def failed(self, error: Exception, *, attached: bool = False) -> None:
        """Count an error that nobody else hears of; never raises, whatever the error's text does."""
        text = f"{type(error).__name__}: {text_of(error, _ERROR_LIMIT)}"
        with self._lock:
            self.errors += 1
            self.attach_failures += attached
            self.last_error = text


class Handover:
    """The bounded queue from the trader's threads to the sender."""

    def __init__(self, limit: int) -> None:
        """Take at most `limit` alerts, the last tenth of which only urgent ones may use."""
        self.items: deque[Item] = deque()
        self.counters = Counters()
        self.cost = PublishCost()
        self._ended = False
        self._limit = limit
        self._ordinary_limit = limit - max(int(limit * _RESERVED_SHARE), 1)

    def put(self, item: Given) -> bool:
        """Append an alert, or refuse it and count that; never waits."""
        waiting = len(self.items)
        if waiting < self._ordinary_limit or (waiting < self._limit and _urgent(item[1])):
            self.items.append(item)  # the deque is the lock: append is atomic, and a few over the limit do no harm
            if not self._ended or not self._taken_back(item):
                return True
        self.counters.refuse()
        return False

    def end(self) -> None:
        """Refuse every alert from now on; whoever calls this takes once more what came before."""
        self._limit = self._ordinary_limit = 0
        self._ended = True

    def _taken_back(self, item: Given) -> bool:
        """Remove an alert that came when the end had begun, unless the last look into the queue took it."""
        while True:
            try:
                self.items.remove(item)
            except ValueError:
                return False
            except IndexError:  # another thread took or added one while this one compared
                continue
            return True

    def put_flush(self) -> Flush:
        """Append a mark; marks are never refused."""
        mark = Flush()
        self.items.append(mark)
        return mark

    def take(self, most: int) -> list[Item]:
        """Remove up to `most` items, oldest first; the sender's thread only."""
        pop = self.items.popleft
        return [pop() for _ in range(min(len(self.items), most))]


def _urgent(alert: Alert) -> bool:
    """Whether an alert may use the room that is kept when ordinary ones fill the queue."""
    if isinstance(alert, AgentAction):
        return alert.action is not Action.HOLD
    return alert.severity is Severity.CRITICAL
