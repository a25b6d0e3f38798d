"""What became of sends after they had been given up, until a worker has recorded it.

A channel's lane tells it and must not wait, least of all for a database that is away; so it is kept here in memory,
bounded, and a worker of the channel records it. What the end of the daemon takes away stays in doubt.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bus.errors import AlertBusError
from subscriber.deliveries import DigestKind, Message, Outcome

logger = logging.getLogger(__name__)

#: Late answers that wait for the database, at most; each is of a send that hung until its deadline.
MOST_LATE: Final = 100


@dataclass(frozen=True, slots=True)
class LateAnswer:
    """What became of one send in the end."""

    reference: str  #: `Message.reference`
    outcome: Outcome
    kind: DigestKind | None = None  #: of a digest
    members: int = 1  #: how many deliveries were in the message


class LateAnswers:
    """Those of one channel; safe for all threads."""

    def __init__(self, channel: str, ring: Callable[[], None]) -> None:
        """Begin without any.

        Args:
            channel: Its name, for the log.
            ring: Wakes a worker of the channel.
        """
        self._channel = channel
        self._ring = ring
        self._lock = threading.Lock()
        self._waiting: deque[LateAnswer] = deque()
        self._in_flight: set[str] = set()
        #: Of digests that were begun lately: why, and how many deliveries they tell.
        self._digests: OrderedDict[str, tuple[DigestKind, int]] = OrderedDict()

    def add(self, message: Message | None, outcome: Outcome) -> None:
        """Take a late answer; never waits.

        Args:
            message: What was sent; None for a probe, of which nothing is recorded.
            outcome: What the provider did with it in the end.
        """
        if message is not None and message.reference:
            self._keep(LateAnswer(message.reference, outcome))
            self._ring()

    def begins(self, reference: str, kind: DigestKind | None = None, members: int = 1) -> None:
        """Say that an attempt is under way: the end that it is given goes before its late answer.

        Args:
            reference: `Message.reference`.
            kind: Of a digest.
            members: How many deliveries it tells.
        """
        with self._lock:
            self._in_flight.add(reference)
            if kind is not None:
                self._digests[reference] = (kind, members)
                if len(self._digests) > MOST_LATE:
                    self._digests.popitem(last=False)

    def ended(self, reference: str) -> None:
        """Say that the end of an attempt is recorded, or never will be."""
        with self._lock:
            self._in_flight.discard(reference)

    def record(self, settle: Callable[[LateAnswer], None]) -> None:
        """Let each be written down, the oldest first, but for those whose attempt is still under way.

        Args:
            settle: Writes one down.

        Raises:
            AlertBusError: The database can't be used; what is not written down is kept.
        """
        while (late := self._take()) is not None:
            try:
                settle(late)
            except AlertBusError:
                self._keep(late)
                raise
            except Exception:  # a bug of ours must not hold up what waits; the attempt stays in doubt
                logger.exception("a late answer could not be recorded", extra={"channel": self._channel})

    def _take(self) -> LateAnswer | None:
        with self._lock:
            for late in self._waiting:
                if late.reference not in self._in_flight:
                    self._waiting.remove(late)
                    kind, members = self._digests.get(late.reference, (late.kind, late.members))
                    return replace(late, kind=kind, members=members)
        return None

    def _keep(self, late: LateAnswer) -> None:
        with self._lock:
            full = len(self._waiting) >= MOST_LATE
            if full:
                self._waiting.popleft()
            self._waiting.append(late)
        if full:
            logger.warning("a late answer is not recorded: too many wait", extra={"channel": self._channel})
