"""Adoption: finds in the folder what dead publishers left, opens it, and tells of what can't be read.

A damaged file is set aside; one that can't be read now, or only by a newer version, stays where it is. Used by the
sender's thread alone.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

from bus.clock import Clock
from publisher.errors import JournalDamaged, JournalError, JournalNewer
from publisher.handover import Counters
from publisher.journal import Journal
from publisher.journal_folder import left_behind, set_aside
from publisher.notices import Notices

#: Files that one publisher offers at a time; when one is settled, the next takes its place.
_MOST_ADOPTED: Final = 256
#: What an open journal takes of the files that a process may have open: database, two beside it, lock. The trader needs
#: its own: only so much of the limit is ever used here.
_FILES_PER_JOURNAL: Final = 4
_SHARE_OF_FILES: Final = 0.25
#: When a file that could not be read is tried again.
_RETRY_SECONDS: Final = 60.0
#: An unreadable file of a newer version is told by an event whose id every publisher makes alike.
_NAMESPACE: Final = UUID("5f0e7c1e-6f0a-5e0e-9a52-2f6b3c1d8a47")


class Adopter:
    """Looks after one folder."""

    def __init__(self, folder: Path, sync: str, counters: Counters, notices: Notices, clock: Clock) -> None:
        """Store what is needed; `look` touches the disk."""
        self._folder = folder
        self._sync = sync
        self._counters = counters
        self._notices = notices
        self._clock = clock
        #: Journals that could not be read, each of which is told once, and when they are tried again.
        self._unread: dict[str, float] = {}
        #: Copies of a file whose stream is on offer already, by name.
        self._copies: dict[str, bytes] = {}
        self._folder_fault = ""
        #: Files that wait until another one is settled.
        self.waiting = 0

    def look(self, offered: Iterable[Journal], streams: Collection[bytes], most: int) -> list[Journal]:
        """Open what nobody holds, oldest first, up to `most` files.

        Args:
            offered: The open journals of this publisher, which are not tried.
            streams: The streams on offer: a copy of one waits until that is settled.
            most: How many to open now, however many there is room for.
        """
        journals = list(offered)
        held = {journal.path.name for journal in journals}
        try:
            paths = left_behind(self._folder, held)
        except JournalError as error:
            if str(error) != self._folder_fault:  # it is looked at every other second
                self._counters.failed(error)
            self._folder_fault = str(error)
            return []
        self._folder_fault = ""
        names = {path.name for path in paths}
        self._unread = {name: at for name, at in self._unread.items() if name in names}
        self._copies = {name: stream for name, stream in self._copies.items() if name in names}
        room = min(most, most_adopted() - sum(not journal.own for journal in journals))
        found: dict[bytes, Journal] = {}
        self.waiting = 0
        for path in paths:
            if self._clock.monotonic() < self._unread.get(path.name, float("-inf")):
                continue
            if len(found) >= room or self._copies.get(path.name) in streams:
                self.waiting += 1
                continue
            journal = self._adopted(path)
            if journal is None:
                continue
            if journal.stream in streams or journal.stream in found:
                self._copies[path.name] = journal.stream
                self.waiting += 1
                journal.close()
            else:
                found[journal.stream] = journal
        return list(found.values())

    def _adopted(self, path: Path) -> Journal | None:
        try:
            journal = Journal.adopt(path, sync=self._sync)
        except JournalError as error:
            self._unreadable(path, error)
            return None
        self._unread.pop(path.name, None)
        return journal

    def _unreadable(self, path: Path, error: JournalError) -> None:
        told = path.name in self._unread
        lasting = isinstance(error, JournalNewer | JournalDamaged)
        self._unread[path.name] = float("inf") if lasting else self._clock.monotonic() + _RETRY_SECONDS
        if told:
            return
        self._counters.failed(error)
        where = "It stays where it is, and is tried again."
        same: dict[str, Any] = {}
        if isinstance(error, JournalNewer):
            where = "It stays where it is."
            same = {"id": uuid5(_NAMESPACE, f"{path.name} {error.version}")}
        if isinstance(error, JournalDamaged):
            try:
                where = f"It was set aside as {set_aside(path).name}."
            except JournalError as second:
                where = f"It could not be set aside either: {second}"
        description = f"A journal can't be read, and what it holds was not sent. {error} {where}"
        self._notices.tell("JOURNAL_UNREADABLE", description, **same)


def most_adopted() -> int:
    """Return how many files may be on offer at a time: the trader's process must never run out of open files."""
    if sys.platform == "win32":
        return _MOST_ADOPTED
    import resource  # noqa: PLC0415 - POSIX only

    (limit, _) = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return _MOST_ADOPTED
    return max(1, min(_MOST_ADOPTED, int(limit * _SHARE_OF_FILES / _FILES_PER_JOURNAL)))
