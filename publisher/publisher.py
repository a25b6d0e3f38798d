"""The publisher that a trading process holds: it takes alerts and returns at once, whatever the bus does.

`publish()` appends to a bounded deque on the caller's thread, and nothing else, and measures now and then how long that
took; one background thread (`Sender`)
journals and sends. Any number of threads may publish through one publisher.
"""

from __future__ import annotations

import os
import sys
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter_ns
from types import TracebackType
from typing import Final, Self

from bus.alerts import Alert
from bus.clock import Clock, SteadyClock, SystemClock
from publisher.cost import NANOSECONDS
from publisher.errors import PublisherClosed
from publisher.handover import Handover, Receipt
from publisher.sender import JOIN_GRACE_SECONDS, Sender
from publisher.settings import PublisherSettings
from publisher.shortcuts import Shortcuts, closing_reason, reason_of
from publisher.signals import ClosingSignals

#: How long the end of a process waits for a publisher that nobody closed.
_EXIT_SECONDS: Final = 1.0
#: How long a signal that ends the process waits for acknowledgements, and then for a disk that hangs.
_SIGNAL_SECONDS: Final = 0.8
_SIGNAL_GRACE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class DaemonStats:
    """One daemon, as this publisher sees it."""

    endpoint: str
    reachable: bool
    store_id: str | None  #: who stores there, or did when it was heard last
    answers: bool  #: whether it said so since it is reachable


@dataclass(frozen=True, slots=True)
class PublisherStats:
    """What a publisher did since it was made; the broken bus that never raises is told here."""

    refused: int  #: alerts that the full queue did not take
    queued: int  #: alerts that wait for the journal, in memory only
    journaled: int
    sent: int
    acknowledged: int  #: alerts that left the journal because every known store has them
    replayed: int
    altered: int  #: alerts with a field that could not be carried as given; the alert says which
    unencodable: int  #: alerts that were changed or built without validation, and could not be packed
    dropped: int  #: alerts no longer held although not every known store has them: by age, by size, or volatile
    journal_alerts: int  #: alerts that are held now, adopted ones included; after `close`, what stayed on disk
    unacknowledged: int  #: of these, what a daemon that answers now lacks; all of them where none answers
    waiting_journals: int  #: files of dead publishers that wait for their turn, or for an answer to their goodbye
    volatile: bool  #: whether the journal's disk fails and alerts are held in memory only
    attach_failures: int
    errors: int
    last_error: str | None
    timed_publishes: int  #: calls whose cost for the caller was measured: the first hundred, then each 16th
    publish_seconds_sum: float  #: seconds that the caller spent in these
    publish_seconds_max: float  #: seconds of the longest of these in the last minute, 0.0 when there was none
    running: bool
    daemons: tuple[DaemonStats, ...]


class Publisher(Shortcuts):
    """Publishes alerts; never blocks and never raises for load or for a broken bus.

    with Publisher.from_environment() as publisher:
        publisher.risk_event("DRAWDOWN_BREACH", "CRITICAL", "Drawdown 6.1 %", symbol="TNA", value=6.1, threshold=5)
    """

    def __init__(self, settings: PublisherSettings | None = None, *, clock: Clock | None = None) -> None:
        """Prepare a publisher; `start` opens it.

        Args:
            settings: Where to publish and how; the defaults reach a daemon on this machine.
            clock: For tests.
        """
        self.settings = settings or PublisherSettings()
        self._clock = SteadyClock(clock or SystemClock())
        self._handover = Handover(self.settings.queue_limit)
        self._cost = self._handover.cost
        self._sender = Sender(self.settings, self._handover, self._clock)
        self._ready = False
        self._closed = False
        self._finalizer: weakref.finalize[[Sender], Publisher] | None = None
        self._signals = ClosingSignals(weakref.WeakMethod(self._ended_by))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Make a publisher from ALERTBUS_ variables and `.env`; not started yet.

        Raises:
            ConfigurationError: Every fault of the environment, by name.
        """
        return cls(PublisherSettings.from_environment(os.environ if environ is None else environ))

    def start(self, timeout: float = 5.0) -> Self:
        """Open the sockets and the journal in the background thread.

        Args:
            timeout: Seconds to wait for that; no daemon needs to run.

        Raises:
            ConfigurationError: An endpoint can't be used.
            AlertBusError: The thread was not ready in time.
            PublisherClosed: This publisher was closed, or could not be started before.
        """
        if self._closed:
            raise PublisherClosed
        if not self._ready:
            self._begin()
            try:
                self._sender.start(timeout)
            except BaseException:  # nobody closes what was never open
                self._closed = True
                if self._finalizer is not None:
                    self._finalizer.detach()
                raise
            self._ready = True
        return self

    def publish(self, alert: Alert, *, wait: float | None = None) -> bool:
        """Hand an alert over to the background thread; the first one starts it, where `start` was not called.

        Args:
            alert: What to tell.
            wait: Seconds to wait until a daemon has stored it. None, the default, returns at once.

        Returns:
            Without `wait`, whether the queue took it: False means that it is full, and the alert was refused and
            counted. With `wait`, whether a daemon has stored it in time; it stays journaled otherwise.

        Raises:
            PublisherClosed: This publisher was closed.
        """
        if wait is not None or not self._cost.due():
            return self._take(alert, wait)
        began_ns = perf_counter_ns()
        taken = self._take(alert, None)
        self._cost.took(began_ns)
        return taken

    def _take(self, alert: Alert, wait: float | None) -> bool:
        if self._closed:
            raise PublisherClosed
        receipt = None if wait is None else Receipt()
        taken = self._handover.put((self._clock.now_us(), alert, receipt))
        if self._finalizer is None:  # nobody called `start`: better late than never sent
            self._begin()
        return taken and (receipt is None or wait is None or receipt.wait(wait))

    def _begin(self) -> None:
        """Start the thread without waiting for it."""
        if self._finalizer is None:
            # At the end of the process, or of this object, the thread journals what is queued. It must not hold
            # `self`, or a forgotten publisher would never be collected.
            self._finalizer = weakref.finalize(self, _end_of_process, self._sender)
        self._sender.begin()

    def progress(self, limit_seconds: float = 120.0) -> None:
        """Mark that the trading loop itself moves: a background thread would beat on while the loop hangs.

        Args:
            limit_seconds: When the next call is due at the latest; at least a second, at most a year.

        Raises:
            PublisherClosed: This publisher was closed.
        """
        if self._closed:
            raise PublisherClosed
        self._sender.progress(limit_seconds)

    def flush(self, timeout: float) -> bool:
        """Wait until everything published before is in the journal, or stored by a daemon.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether it is. False at once, too, where the disk fails and something is held in memory only.

        Raises:
            PublisherClosed: This publisher was closed.
        """
        if self._closed:
            raise PublisherClosed
        return self._handover.put_flush().done.wait(timeout) and not self._sender.held_in_memory

    def stats(self) -> PublisherStats:
        """Return what happened so far; cheap, and callable from any thread, also after `close`."""
        counters = self._handover.counters
        cost = self._cost.figures(self._clock.monotonic())
        return PublisherStats(
            refused=counters.refused,
            queued=len(self._handover.items),
            journaled=counters.journaled,
            sent=counters.sent,
            acknowledged=counters.acknowledged,
            replayed=counters.replayed,
            altered=counters.altered,
            unencodable=counters.unencodable,
            dropped=counters.dropped,
            journal_alerts=self._sender.journal_alerts,
            unacknowledged=self._sender.unacknowledged,
            waiting_journals=self._sender.waiting_journals,
            volatile=self._sender.volatile,
            attach_failures=counters.attach_failures,
            errors=counters.errors,
            last_error=counters.last_error,
            timed_publishes=cost.timed,
            publish_seconds_sum=cost.total_ns / NANOSECONDS,
            publish_seconds_max=cost.longest_ns / NANOSECONDS,
            running=self._sender.running,
            daemons=tuple(
                DaemonStats(daemon.endpoint, daemon.reachable, daemon.store_id, daemon.answering is not None)
                for daemon in list(self._sender.daemons)
            ),
        )

    def close(self, timeout: float = 2.0, *, reason: str | None = None) -> bool:
        """Journal and send what is queued, say goodbye and end; a second call does nothing more.

        Args:
            timeout: Seconds to wait for acknowledgements; half a second at most when no daemon answers.
            reason: Told to the daemon; anything that begins with `exception` or `signal` is told to people. When it
                is left out, `closed`, or the exception that is ending the program (a close by `atexit`).

        Returns:
            Whether every daemon acknowledged all that was published here. Otherwise it stays in the journal, and
            the next publisher on this machine, or `alertbus-publish --drain`, offers it.
        """
        self._signals.remove()
        return self._close(_ended_by("closed") if reason is None else reason, timeout, JOIN_GRACE_SECONDS)

    def close_on_signals(self) -> None:
        """Close with the reason `signal: NAME` when SIGTERM comes, and then let it end the process as it would have.

        SIGHUP and SIGBREAK, too, where they exist and nobody handles them. It takes a second at most; a handler that
        was there before is called afterwards. Handled until `close`, and only when this is called.

        Raises:
            AlertBusError: This is not the main thread.
            PublisherClosed: This publisher was closed.
        """
        if self._closed:
            raise PublisherClosed
        self._signals.install()

    def _ended_by(self, reason: str) -> None:
        self._close(reason, _SIGNAL_SECONDS, _SIGNAL_GRACE_SECONDS)

    def _close(self, reason: str, timeout: float, grace_seconds: float) -> bool:
        self._closed = True
        if self._finalizer is None:  # never started
            return not self._handover.items
        self._finalizer.detach()
        return self._sender.stop(reason, timeout, grace_seconds)

    def attach_failed(self, error: Exception) -> None:
        """Count what an attached database manager logged and could not be told."""
        self._handover.counters.failed(error, attached=True)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; an exception that passes through is the goodbye's reason."""
        self.close(reason=closing_reason(error))

    def __del__(self) -> None:
        """Warn about a publisher that was never closed: its last milliseconds would depend on luck."""
        if getattr(self, "_finalizer", None) is not None and not self._closed:
            warnings.warn(f"{self!r} was not closed; call close() or use it in a with statement",
                          ResourceWarning, stacklevel=2, source=self)  # fmt: skip


def _end_of_process(sender: Sender) -> None:
    """Journal what is queued when the process ends, or when a publisher that nobody closed is forgotten."""
    sender.stop(_ended_by("interpreter exit"), _EXIT_SECONDS)


def _ended_by(otherwise: str) -> str:
    """Return the reason of an end: the exception that ended the program, where one did."""
    # Where the interpreter keeps that; in a session at the prompt it ended nothing.
    error: type[BaseException] | None = None if hasattr(sys, "ps1") else getattr(sys, "last_type", None)
    return otherwise if error is None else reason_of(error)
