"""Keeps the books of a running daemon: removes what is too old, and audits the ledger, in a thread of its own.

Both take small bites and rest between them, so neither storing nor sending waits for them; what the database can't do
at the moment is tried again at the next turn.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from bus.clock import MICROSECONDS, Clock
from bus.errors import AlertBusError
from subscriber.monitoring.metrics import Metrics
from subscriber.store.ledger import Audit, AuditStopped
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

#: Alerts that one transaction looks at: milliseconds for which nobody else writes to SQLite.
BITE: Final = 500
#: Between two rounds of pruning; and after one that found old alerts and none that may go.
_PRUNE_SECONDS: Final = 60.0
_NOTHING_TO_PRUNE_SECONDS: Final = 3600.0
#: After the start everything else goes first.
FIRST_AUDIT_SECONDS: Final = 30.0
_FAILED_AUDIT_SECONDS: Final = 60.0
#: A rest is so many times as long as what went before, and no longer than a second.
_REST_SHARE: Final = 3.0
_LONGEST_REST_SECONDS: Final = 1.0
_LEAST_REST_SECONDS: Final = 0.02
#: How often the clock is looked at.
_TURN_SECONDS: Final = 1.0


class Bookkeeper:
    """The thread that prunes and audits."""

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        clock: Clock,
        *,
        retention_seconds: float,
        audit_interval_seconds: float,
        trusts_clock: Callable[[], bool] = lambda: True,
        first_audit_seconds: float | None = None,
    ) -> None:
        """Store what is needed; `start` begins.

        Args:
            store: An open store.
            metrics: Where the result of an audit goes.
            clock: The daemon's clock.
            retention_seconds: How long alerts are kept.
            audit_interval_seconds: Between the end of one audit and the next one.
            trusts_clock: Whether the clock may be believed that something is old.
            first_audit_seconds: From the start to the first one; FIRST_AUDIT_SECONDS when left out.
        """
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._retention_us = round(retention_seconds * MICROSECONDS)
        self._audit_interval_seconds = audit_interval_seconds
        self._trusts_clock = trusts_clock
        now = clock.monotonic()
        self._prune_at = now
        self._audit_at = now + (FIRST_AUDIT_SECONDS if first_audit_seconds is None else first_audit_seconds)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bookkeeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End after the statement that runs now; an audit in progress says nothing."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except AlertBusError as error:
                self._metrics.store_error()
                logger.debug("bookkeeping waits: %s", error)
            except Exception:
                logger.exception("bookkeeping failed unexpectedly")
            self._stopping.wait(_TURN_SECONDS)

    def _turn(self) -> None:
        if self._clock.monotonic() >= self._prune_at:
            self._prune_at = self._clock.monotonic() + _PRUNE_SECONDS
            self._prune()
        if self._clock.monotonic() >= self._audit_at:
            self._audit_at = self._clock.monotonic() + _FAILED_AUDIT_SECONDS  # in case it fails
            try:
                audit = self._store.audit(rest=self._rest)
            except AuditStopped:
                return
            except AlertBusError as error:  # what it found before stays, with the time of before
                logger.warning("the ledger could not be audited, which is tried again in a minute: %s", error)
                raise
            self._tell(audit)
            self._audit_at = self._clock.monotonic() + self._audit_interval_seconds

    def _prune(self) -> None:
        if not self._trusts_clock():
            logger.warning("nothing is removed for its age: the wall clock was set within the last day")
            self._prune_at = self._clock.monotonic() + _NOTHING_TO_PRUNE_SECONDS
            return
        before_us = self._clock.now_us() - self._retention_us
        removed, looked = 0, False
        after: int | None = 0
        while after is not None and not self._stopping.is_set():
            began = self._clock.monotonic()
            pruned = self._store.prune(before_us, BITE, after)
            removed += pruned.alerts
            looked = looked or pruned.looked_at > 0
            after = pruned.next_after
            if after is not None:
                self._rest(self._clock.monotonic() - began)
        if removed:
            logger.info("removed old alerts", extra={"count": removed})
        elif looked:
            self._prune_at = self._clock.monotonic() + _NOTHING_TO_PRUNE_SECONDS

    def _rest(self, seconds: float) -> bool:
        """Leave time to others; whether to stop."""
        rest = min(max(seconds * _REST_SHARE, _LEAST_REST_SECONDS), _LONGEST_REST_SECONDS)
        return self._stopping.wait(rest)

    def _tell(self, audit: Audit) -> None:
        self._metrics.audited(audit.fault_count, self._clock.now_us())
        fields = {
            "alerts": audit.alerts,
            "deliveries": audit.deliveries,
            "streams": audit.stream_count,
            "seconds": round(audit.seconds, 3),
        }
        if audit.balanced:
            logger.info("the ledger balances", extra=fields)
            return
        kinds = ", ".join(f"{kind.value} {count}" for kind, count in audit.fault_counts.items())
        logger.error(
            "the ledger does not balance; `alertbus-subscriber audit` says where",
            extra={**fields, "faults": audit.fault_count, "kinds": kinds},
        )
