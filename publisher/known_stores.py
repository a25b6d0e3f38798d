"""Which store answered last at each daemon's endpoint, kept in the folder of journals for the publishers to come.

    <folder>/stores    {"<control endpoint>": ["<store id>", <when: wall clock>, <monotonic clock>, "<boot>"], …}

A new stream is kept for these stores from its first number on, so that one that is away while a publisher starts misses
nothing. An endpoint that answers for another store has replaced the one of before, which then keeps no new stream. A
file that can't be read counts as empty: then its stores are waited for as those are that nobody knows. Several
processes write it, each what it knows better. Used by the sender's thread alone.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bus.clock import MICROSECONDS, Clock, Moment
from publisher.errors import JournalError
from publisher.handover import Counters
from publisher.journal_folder import told
from publisher.locks import FileLock
from publisher.settings import PublisherSettings

logger = logging.getLogger(__name__)

NAME: Final = "stores"
#: How long an endpoint that nobody knows is waited for after the start.
GRACE_SECONDS: Final = 30.0
#: How often it is written that the same stores are still there,
_WRITE_SECONDS: Final = 3_600.0
#: and when a write that failed is tried again.
_RETRY_SECONDS: Final = 60.0
#: Endpoints that are remembered, for they come and go; the ones that were silent longest are forgotten.
_MOST_ENDPOINTS: Final = 100
#: A file of more bytes is none of ours.
_MOST_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class _Seen:
    """Who stores at an endpoint, and when it said so last."""

    store_id: str
    at: Moment

    def age_us(self, now: Moment) -> int:
        """Return how long ago that was; by the wall clock, which may be wrong, where the machine was restarted."""
        unset_us = self.at.unset_us(now)
        return (now.wall_us if unset_us is None else unset_us) - self.at.wall_us


class KnownStores:
    """The file, and what this publisher heard itself since it started."""

    def __init__(self, settings: PublisherSettings, counters: Counters, clock: Clock) -> None:
        """Store what is needed; `open` reads the file."""
        self._path = settings.journal_folder / NAME
        self._endpoints = frozenset(settings.control_endpoints)
        self._most_age_us = int(settings.journal_max_age_seconds * MICROSECONDS)
        self._counters = counters
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        #: Endpoints that answered this publisher: only of these it may know better than the file.
        self._heard: set[str] = set()
        self._opened_at = 0.0
        self._write_due = 0.0
        self._unwritten = False

    def open(self) -> None:
        """Read what earlier publishers knew."""
        self._opened_at = self._clock.monotonic()
        self._write_due = self._opened_at + _WRITE_SECONDS
        now = Moment.now(self._clock)
        try:
            read = self._read()
        except JournalError as error:
            self._failed(error)
            return
        self._seen = {endpoint: seen for endpoint, seen in read.items() if seen.age_us(now) <= self._most_age_us}

    def inherited(self) -> dict[str, int]:
        """Return the stores that a new stream is kept for, and when each was last seen by today's wall clock.

        They answered last at one of this publisher's endpoints, within the maximum age; in microseconds since 1970.
        """
        now = Moment.now(self._clock)
        found: dict[str, int] = {}
        for endpoint, seen in self._seen.items():
            age_us = seen.age_us(now)
            if endpoint in self._endpoints and age_us <= self._most_age_us:
                found[seen.store_id] = max(now.wall_us - max(age_us, 0), found.get(seen.store_id, 0), 0)
        return found

    def waiting(self) -> bool:
        """Whether an endpoint is still waited for that neither answered nor stands in the file.

        Where there is only one endpoint, nobody acknowledges anything before it has answered.
        """
        in_time = self._clock.monotonic() - self._opened_at < GRACE_SECONDS
        return in_time and len(self._endpoints) > 1 and not self._endpoints <= self._seen.keys()

    def answered(self, endpoint: str, store_id: str) -> None:
        """Note who stores at an endpoint; it is written at once when that is new, else rarely."""
        now = Moment.now(self._clock)
        before = self._seen.get(endpoint)
        old = before is not None and endpoint not in self._heard and before.age_us(now) > _WRITE_SECONDS * MICROSECONDS
        self._seen[endpoint] = _Seen(store_id, now)
        self._heard.add(endpoint)
        self._unwritten = True
        if before is None or before.store_id != store_id or old or self._clock.monotonic() >= self._write_due:
            self._write()

    def close(self) -> None:
        """Write when the stores were last seen."""
        if self._unwritten:
            self._write()

    def _write(self) -> None:
        """Replace the file by what it says now, and what this publisher knows better."""
        self._write_due = self._clock.monotonic() + _RETRY_SECONDS
        try:
            with told(self._path):
                lock = FileLock.acquire(self._path.with_suffix(".lock"))
            if lock is None:  # another publisher is writing
                return
            try:
                self._replace(self._merged())
            finally:
                lock.release(remove=True)
        except JournalError as error:
            self._failed(error)
            return
        self._write_due = self._clock.monotonic() + _WRITE_SECONDS
        self._unwritten = False

    def _merged(self) -> dict[str, _Seen]:
        try:
            merged = self._read()
        except JournalError as error:
            self._failed(error)
            merged = {}
        now = Moment.now(self._clock)
        for endpoint in self._heard:
            theirs, ours = merged.get(endpoint), self._seen[endpoint]
            # One of the future was written by a clock that was wrong.
            if theirs is None or not 0 <= theirs.age_us(now) < ours.age_us(now):
                merged[endpoint] = ours
        newest_first = sorted(merged.items(), key=lambda item: item[1].age_us(now))
        return dict(newest_first[:_MOST_ENDPOINTS])

    def _read(self) -> dict[str, _Seen]:
        """Return what stands in the file; nothing where there is none.

        Raises:
            JournalError: It can't be read, or is damaged.
        """
        with told(self._path):
            try:
                with self._path.open("rb") as file:
                    content = file.read(_MOST_BYTES + 1)
            except (FileNotFoundError, NotADirectoryError):
                return {}
        try:
            if len(content) > _MOST_BYTES:
                raise ValueError("it is too large")
            return _parsed(json.loads(content))
        except (ValueError, RecursionError) as error:
            raise JournalError(f"{self._path} can't be read and counts as empty: {error}") from error

    def _replace(self, content: Mapping[str, _Seen]) -> None:
        new = self._path.with_suffix(".new")
        text = json.dumps(
            {
                endpoint: [seen.store_id, seen.at.wall_us, seen.at.monotonic_us, seen.at.boot]
                for endpoint, seen in content.items()
            }
        )
        with told(self._path):
            with os.fdopen(os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            new.replace(self._path)

    def _failed(self, error: JournalError) -> None:
        self._counters.failed(error)
        with suppress(Exception):  # a handler of the trader's may raise
            logger.warning("which stores there are could not be read or written: %s", error)


def _parsed(content: object) -> dict[str, _Seen]:
    """Read what `_replace` wrote.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(content, dict):
        raise ValueError("it is no mapping")
    parsed: dict[str, _Seen] = {}
    for endpoint, row in content.items():
        match row:
            case [str(store_id), int(wall_us), int(monotonic_us), str(boot)] if store_id:
                parsed[endpoint] = _Seen(store_id, Moment(wall_us, monotonic_us, boot))
            case _:
                raise ValueError(f"it says nothing that is known of {endpoint[:100]!r}")
    return parsed
