"""Proves the ledger: nothing that was acknowledged is missing, and everything that was planned has a state.

Reads only, in little memory and in short snapshots, so it runs beside daemons without a false alarm and without being
in their way. What it reads in one snapshot was written in one transaction; what comes meanwhile is left to the next
audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from sqlalchemy import Connection

from subscriber.store import (
    auditing_alerts,
    auditing_deliveries,
    auditing_digests,
    auditing_losses,
    auditing_receipts,
    auditing_streams,
    auditing_windows,
)
from subscriber.store.auditing_alerts import Counts
from subscriber.store.database import Database
from subscriber.store.journals import audit_journal
from subscriber.store.ledger import (
    MOST_LISTED,
    Audit,
    AuditStopped,
    Findings,
    JournalLedger,
    SourceLedger,
    StreamLedger,
    listed,
)
from subscriber.store.settings import Settings
from subscriber.store.streams import Streams

_Found = TypeVar("_Found")

#: Called after each snapshot with the seconds that it took; it may rest, and returns whether to stop.
Rest = Callable[[float], bool]


def _no_rest(_seconds: float) -> bool:
    return False


class Auditing(Streams, Settings):
    """Checking the books."""

    def audit(self, journals: Iterable[Path] = (), *, rest: Rest = _no_rest) -> Audit:
        """Check alert by alert, channel by channel and stream by stream that everything is accounted for.

        Args:
            journals: Files of publishers, to be checked against what is stored; they are only read.
            rest: What to do between two snapshots: a daemon leaves time to others there.

        Raises:
            AuditStopped: `rest` said so.
            StoreError: The database can't be used at the moment.
        """
        began_us, began = self._now_us(), perf_counter()
        reading = _Reading(self.database, rest)
        findings, counts = Findings(), Counts()
        # journals first: what they say is settled is settled in every later state of the store
        journal_count, journal_ledgers = self._journals(reading, journals, findings)
        until = reading.snapshot(auditing_alerts.highest_number)
        number: int | None = 0
        while number is not None:
            number = reading.snapshot(
                partial(auditing_alerts.audit_group, after=number, until=until, counts=counts, findings=findings)
            )
        for step in (
            auditing_deliveries.audit_deliveries,
            auditing_deliveries.audit_attempts,
            auditing_deliveries.audit_duplicates,
            auditing_digests.audit_digests,
            auditing_digests.audit_folded,
            auditing_receipts.audit_receipts,
            auditing_receipts.audit_told_attempts,
        ):
            last: int | None = 0
            while last is not None:
                last = reading.snapshot(partial(step, after=last, findings=findings))
        _windows(reading, findings)
        _losses(reading, findings)
        sources, streams, stream_count = _streams(reading, findings)
        channels = reading.snapshot(partial(auditing_alerts.channel_ledgers, counts=counts, findings=findings))
        return Audit(
            began_us=began_us,
            seconds=perf_counter() - began,
            alerts=counts.alerts,
            deliveries=counts.deliveries,
            stream_count=stream_count,
            streams=streams,
            sources=sources,
            channels=channels,
            faults=findings.told,
            fault_counts=findings.counts,
            journal_count=journal_count,
            journals=journal_ledgers,
        )

    def _journals(
        self, reading: _Reading, files: Iterable[Path], findings: Findings
    ) -> tuple[int, tuple[JournalLedger, ...]]:
        ledgers: list[JournalLedger] = []
        count = 0
        for file in files:
            ledger = audit_journal(file, self.setting("store_id") or "", self.position, reading.snapshot, findings)
            if ledger is not None:
                count += 1
                ledgers.append(ledger)
                del ledgers[MOST_LISTED:]
        return count, tuple(ledgers)


class _Reading:
    """Reads one snapshot after the other, and rests between them."""

    def __init__(self, database: Database, rest: Rest) -> None:
        self._database = database
        self._rest = rest

    def snapshot(self, read: Callable[[Connection], _Found]) -> _Found:
        """Return what is read from one state of the database.

        Raises:
            AuditStopped: The audit is to end.
        """
        began = perf_counter()
        with self._connection() as connection:
            found = read(connection)
        if self._rest(perf_counter() - began):
            raise AuditStopped(AuditStopped.__doc__ or "")
        return found

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with self._database.reading() as connection:
            if self._database.is_postgresql:  # whose default shows each statement a state of its own
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection


def _windows(reading: _Reading, findings: Findings) -> None:
    countings = auditing_windows.Countings()
    last: int | None = 0
    while last is not None:
        last = reading.snapshot(
            partial(auditing_windows.read_windows, after=last, countings=countings, findings=findings)
        )
    reading.snapshot(partial(auditing_windows.judge_windows, countings=countings, findings=findings))


def _losses(reading: _Reading, findings: Findings) -> None:
    losses = auditing_losses.Losses()
    for step in (auditing_losses.read_losses, auditing_losses.read_tellings):
        last: int | None = 0
        while last is not None:
            last = reading.snapshot(partial(step, after=last, losses=losses))
    reading.snapshot(partial(auditing_losses.judge_losses, losses=losses, findings=findings))


def _streams(reading: _Reading, findings: Findings) -> tuple[tuple[SourceLedger, ...], tuple[StreamLedger, ...], int]:
    sources: dict[str, SourceLedger] = {}
    shown: tuple[StreamLedger, ...] = ()
    count = 0
    after: bytes | None = b""
    while after is not None:
        ledgers, after = reading.snapshot(partial(auditing_streams.audit_group, after=after, findings=findings))
        for ledger in ledgers:
            sources.setdefault(ledger.source, SourceLedger(ledger.source)).add(ledger)
        shown = listed((*shown, *ledgers))
        count += len(ledgers)
    name: str | None = ""
    while name is not None:
        name = reading.snapshot(partial(auditing_streams.audit_strangers, after=name, findings=findings))
    return tuple(sources[source] for source in sorted(sources)), shown, count
