"""Every stream that this publisher offers: its own, and those that dead publishers left in the same folder.

A journal that can't be written is replaced by a stream in memory; a damaged one is set aside; one that can't be read
now, or only by a newer version, stays for a later publisher. All are told as CRITICAL alerts, for the trader must not
be the one who finds out. Used by the sender's thread alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from bus.alerts import Severity, SystemEvent
from bus.clock import MICROSECONDS, Clock
from publisher.errors import JournalDamaged, JournalError
from publisher.handover import Counters
from publisher.journal import Journal
from publisher.journal_folder import left_behind, set_aside
from publisher.outbox import Outbox
from publisher.volatile import VolatileOutbox

logger = logging.getLogger(__name__)

#: Files that one publisher offers at a time; when one is settled, the next takes its place.
_MOST_ADOPTED: Final = 256


class Outboxes:
    """The publisher's own stream and the adopted ones."""

    own: Outbox

    def __init__(
        self, folder: Path, source: str, sync: Literal["normal", "full"], counters: Counters, clock: Clock
    ) -> None:
        """Store what is needed; `open` touches the disk."""
        self._folder = folder
        self._source = source
        self._sync = sync
        self._counters = counters
        self._clock = clock
        self._by_stream: dict[bytes, Outbox] = {}
        self._stores: set[str] = set()
        self._more_left = False
        #: Journals that could not be read, each of which is told once.
        self._unread: set[Path] = set()
        #: What happened to journals, still to be published by the sender.
        self.events: list[SystemEvent] = []

    def open(self) -> None:
        """Begin the publisher's own stream and adopt what lies in the folder."""
        try:
            self.own = Journal.create(self._folder, self._source, sync=self._sync)
        except JournalError as error:
            self._go_volatile(error)
        self._by_stream[self.own.stream] = self.own
        self._adopt()

    def __iter__(self) -> Iterator[Outbox]:
        """All streams on offer, the own one first."""
        return iter(list(self._by_stream.values()))

    def get(self, stream: bytes) -> Outbox | None:
        """Return the outbox of a stream, or None when it is not on offer here."""
        return self._by_stream.get(stream)

    @property
    def volatile(self) -> bool:
        """Whether the own stream is held in memory only."""
        return isinstance(getattr(self, "own", None), VolatileOutbox)

    def held(self) -> int:
        """Return how many alerts are held, adopted ones included."""
        return sum(outbox.held() for outbox in self)

    def append(self, batch: Sequence[tuple[int, str, bytes]]) -> int:
        """Keep a batch in the own stream, on disk as long as that works; return its first number."""
        held = self.own.held()
        try:
            first = self.own.append(batch)
        except JournalError as error:
            self.own.own = False  # what the file holds stays on offer as long as it can be read,
            self.own.goodbye = "journal failed"  # and that its beats end is no sign of the trader's death
            self._go_volatile(error)
            self._by_stream[self.own.stream] = self.own
            held, first = 0, self.own.append(batch)
        self._counters.dropped += held + len(batch) - self.own.held()  # memory holds only so many
        return first

    def store_seen(self, store_id: str) -> None:
        """Keep for a store, from now on, what it has not acknowledged: another one may be quicker."""
        if store_id in self._stores:  # it is told with each heartbeat of each stream
            return
        self._stores.add(store_id)
        for outbox in self:
            self._note_store(outbox, store_id)

    def _note_store(self, outbox: Outbox, store_id: str) -> None:
        try:
            outbox.acknowledge(store_id, outbox.first_unacknowledged(store_id) - 1, self._clock.now_us())
        except JournalError as error:
            self._counters.failed(error)

    def acknowledge(self, outbox: Outbox, store_id: str, up_to: int, *, goodbye_heard: bool) -> None:
        """Note an acknowledgement; an adopted stream that is settled is let go, and its file removed."""
        held = outbox.held()
        try:
            outbox.acknowledge(store_id, up_to, self._clock.now_us())
        except JournalError as error:
            self._counters.failed(error)
            return
        self._counters.acknowledged += held - outbox.held()
        outbox.goodbye_heard |= goodbye_heard
        settled = outbox.held() == 0 and (outbox.goodbye is None or outbox.goodbye_heard)
        if settled and outbox is not self.own:
            outbox.close()
            del self._by_stream[outbox.stream]
            if self._more_left:
                self._adopt()

    def say_goodbye(self, reason: str) -> None:
        """Note in the own journal that it ends on purpose."""
        if self.own.goodbye is None:
            try:
                self.own.say_goodbye(reason)
            except JournalError as error:
                self._counters.failed(error)

    def prune(self, most_age_seconds: float, most_bytes: int) -> None:
        """Keep every journal within its bounds; what leaves it unacknowledged is counted."""
        oldest_us = self._clock.now_us() - int(most_age_seconds * MICROSECONDS)
        for outbox in self:
            if isinstance(outbox, Journal) and outbox.held():
                try:
                    self._counters.dropped += outbox.prune(oldest_us, most_bytes)
                except JournalError as error:
                    self._counters.failed(error)

    def close(self) -> None:
        """Let go of every stream; what is not settled stays in its file, and what was in memory only is lost."""
        if self.volatile:
            self._counters.dropped += self.own.held()
        for outbox in self:
            outbox.close()

    def _adopt(self) -> None:
        try:
            paths = left_behind(self._folder)
        except JournalError as error:
            self._counters.failed(error)
            return
        self._more_left = False
        offered = {stream.hex() for stream in self._by_stream}
        for path in paths:
            if path in self._unread or path.stem in offered:
                continue
            if len(self._by_stream) > _MOST_ADOPTED:
                self._more_left = True
                return
            try:
                journal = Journal.adopt(path, sync=self._sync)
            except JournalError as error:
                self._unreadable(path, error)
                continue
            if journal is None:
                continue
            if journal.stream in self._by_stream:  # a copy of a file: its turn comes with the next publisher
                journal.close()
            else:
                self._by_stream[journal.stream] = journal

    def _unreadable(self, path: Path, error: JournalError) -> None:
        self._unread.add(path)
        self._counters.failed(error)
        where = "It stays where it is, and the next publisher tries it again."
        if isinstance(error, JournalDamaged):
            try:
                where = f"It was set aside as {set_aside(path).name}."
            except JournalError as second:
                where = f"It could not be set aside either: {second}"
        self._tell("JOURNAL_UNREADABLE", f"A journal can't be read, and what it holds was not sent. {error} {where}")

    def _go_volatile(self, error: JournalError) -> None:
        self._counters.failed(error)
        self.own = VolatileOutbox(self._source)
        for store_id in self._stores:
            self._note_store(self.own, store_id)
        self._tell("JOURNAL_FAILED", f"Alerts of this publisher are held in memory only until it restarts. {error}")

    def _tell(self, event_type: str, description: str) -> None:
        self.events.append(
            SystemEvent(event_type=event_type, severity=Severity.CRITICAL, source=self._source, description=description)
        )
        with suppress(Exception):  # a handler of the trader's may raise
            logger.critical("%s: %s", event_type, description)
