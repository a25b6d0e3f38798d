"""What the metrics say of publishers: who lives, what they hold, and what they counted since they were last heard.

A publisher counts for as long as it runs, under one `run` whatever its streams; of an older one, which names none, for
as long as its stream lasts. Counted here is by how much that grew between two heartbeats. The first heartbeat of a run
that is new to the store counts from 0: nobody has counted it before. Of a run that was heard before, by another daemon
of this database or before this one was restarted, the first heartbeat here counts nothing: what it tells was counted
then, and `increase()` over the restart would count it twice. Used by the ingest thread alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bus.clock import MICROSECONDS, Clock
from bus.wire import Goodbye, Heartbeat
from subscriber.monitoring.metrics import Metrics

_NANOSECONDS: Final = 1_000_000_000
#: What a count may grow by between two heartbeats; more is no count, and would drown all that comes after it.
_MOST_GROWN: Final = 10**12
#: The same of times, in nanoseconds: eleven days, of many threads or of a daemon that was away.
_MOST_GROWN_NS: Final = 10**15
#: Sources, and runs of one source, that are remembered; beyond it the one goes that was not heard for longest, and if
#: it is heard again, it counts on from there. So nobody can fill the memory with names.
_MOST_SOURCES: Final = 1_000
_MOST_RUNS: Final = 64


@dataclass(slots=True)
class _Run:
    """One running publisher; the highest counts that it told of."""

    stream: bytes
    heard_at: float  #: monotonic seconds
    lives: bool = True  #: whether it said no goodbye
    refused: int = 0
    timed: int = 0
    publish_ns: int = 0
    longest_ns: int = 0  #: of its last minute
    journal_alerts: int = 0
    volatile: bool = False


class PublisherFigures:
    """Feeds the metrics of publishers; of several that live under one source, all count."""

    def __init__(
        self, metrics: Metrics, clock: Clock, *, timeout_seconds: float, shown_seconds: float, ended_seconds: float
    ) -> None:
        """Begin with nobody.

        Args:
            metrics: Shows the figures.
            clock: The daemon's.
            timeout_seconds: After how long without a heartbeat a publisher counts as silent.
            shown_seconds: For how long one is remembered that died without a word.
            ended_seconds: For how long one is remembered that said goodbye.
        """
        self._metrics = metrics
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._shown_seconds = shown_seconds
        self._ended_seconds = ended_seconds
        #: By source, then by run, or by stream where a publisher names no run.
        self._runs: dict[str, dict[bytes, _Run]] = {}
        #: By source, monotonic seconds of the last heartbeat, while the metric says that it is up.
        self._beating: dict[str, float] = {}

    def heard(self, beat: Heartbeat, *, new: bool, closing: bool, ahead_us: int) -> None:
        """Take a heartbeat of a stream's own publisher.

        Args:
            beat: What it said.
            new: Whether the store did not know the stream before.
            closing: Whether it has said goodbye, and beats until that is acknowledged.
            ahead_us: How far its clock is ahead of ours.
        """
        now = self._clock.monotonic()
        run = self._run_of(beat, new=new, now=now)
        refused, timed, publish_ns = run.refused, run.timed, run.publish_ns
        _note_counts(run, beat)
        run.stream, run.heard_at, run.lives = beat.stream, now, not closing
        run.longest_ns = beat.publish_longest_ns or 0
        run.journal_alerts, run.volatile = beat.journal_alerts, beat.volatile
        living = self._living(beat.source)
        if living:
            self._beating[beat.source] = now
            self._metrics.publisher(beat.source, up=True, journal_alerts=sum(each.journal_alerts for each in living))
        self._metrics.publisher_heard(
            beat.source,
            at_us=self._clock.now_us(),
            volatile=any(each.volatile for each in living),
            clock_offset_seconds=ahead_us / MICROSECONDS,
        )
        self._metrics.publisher_counted(
            beat.source,
            refused=min(run.refused - refused, _MOST_GROWN),
            timed=min(run.timed - timed, _MOST_GROWN),
            publish_seconds=min(run.publish_ns - publish_ns, _MOST_GROWN_NS) / _NANOSECONDS,
            longest_seconds=max(each.longest_ns for each in living or [run]) / _NANOSECONDS,
        )

    def said_goodbye(self, goodbye: Goodbye) -> None:
        """Note that a stream ended on purpose; its publisher may go on in another one."""
        for run in self._runs.get(goodbye.source, {}).values():
            run.lives &= run.stream != goodbye.stream
        if not self._living(goodbye.source):
            self._beating.pop(goodbye.source, None)
            self._metrics.publisher(goodbye.source, up=False)

    def settled(self, source: str) -> None:
        """Note that everything of a publisher that said goodbye is stored."""
        if not self._living(source):
            self._metrics.publisher(source, up=False, journal_alerts=0)

    def watch(self) -> None:
        """Notice who is not heard any more."""
        now = self._clock.monotonic()
        for source in [source for source, at in self._beating.items() if now - at > self._timeout_seconds]:
            del self._beating[source]
            self._metrics.publisher(source, up=False)

    def sweep(self, accused: frozenset[str]) -> None:
        """Forget whoever ended long ago, and let go of the series of sources of which nobody is left.

        Args:
            accused: Sources that people were told of, and of no end of that: these stay.
        """
        now = self._clock.monotonic()
        for source, runs in list(self._runs.items()):
            for key, run in list(runs.items()):
                if now - run.heard_at > (self._shown_seconds if run.lives else self._ended_seconds):
                    del runs[key]
            if not runs:
                del self._runs[source]
        self._metrics.keep_publishers(accused | self._runs.keys())

    def _run_of(self, beat: Heartbeat, *, new: bool, now: float) -> _Run:
        runs = self._runs.pop(beat.source, {})
        self._runs[beat.source] = runs  # at the end: the newest
        key = beat.run or beat.stream
        run = runs.pop(key, None)
        if run is None:
            run = _Run(beat.stream, now)
            if not new:
                _note_counts(run, beat)
        runs[key] = run
        if len(runs) > _MOST_RUNS:
            del runs[next(iter(runs))]
        if len(self._runs) > _MOST_SOURCES:
            del self._runs[next(iter(self._runs))]
        return run

    def _living(self, source: str) -> list[_Run]:
        now = self._clock.monotonic()
        runs = self._runs.get(source, {})
        return [run for run in runs.values() if run.lives and now - run.heard_at <= self._timeout_seconds]


def _note_counts(run: _Run, beat: Heartbeat) -> None:
    """Take what is higher than before: a count never falls, so what is lower came late, or is not true."""
    run.refused = max(run.refused, beat.refused)
    run.timed = max(run.timed, beat.timed_publishes or 0)
    run.publish_ns = max(run.publish_ns, beat.publish_ns or 0)
