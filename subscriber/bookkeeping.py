"""Keeps the books of a running daemon: removes what is too old or too much, and audits the ledger, in its own thread.

All of it is done in small bites with a rest after each, so neither storing nor sending waits for it; what the database
can't do at the moment is tried again at the next turn.
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
from subscriber.store.retention import Pruned
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

#: Alerts that one transaction looks at: milliseconds for which nobody else writes to SQLite.
BITE: Final = 500
#: And where no more than a few have to go: what must stay is passed over by so many.
_LEAST_BITE: Final = 20
#: Between two rounds of pruning; and after one that found old alerts and none that may go.
_PRUNE_SECONDS: Final = 60.0
_NOTHING_TO_PRUNE_SECONDS: Final = 3600.0
#: A database that is too large is brought to this share of its limit, so that it is not at once too large again.
_ROOMY_SHARE: Final = 0.95
#: One that is too large, and in which all is still needed, is looked through so often, and told of so often.
_STILL_NEEDED_SECONDS: Final = 600.0
_TOO_LARGE_SECONDS: Final = 3600.0
#: Later than everything that is stored.
_ANY_AGE_US: Final = 2**63 - 1
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
        retention_size_bytes: int | None = None,
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
            retention_size_bytes: How large the database may become before the oldest alerts go, whatever their age;
                None for any size.
            trusts_clock: Whether the clock may be believed that something is old.
            first_audit_seconds: From the start to the first one; FIRST_AUDIT_SECONDS when left out.
        """
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._retention_us = round(retention_seconds * MICROSECONDS)
        self._audit_interval_seconds = audit_interval_seconds
        self._retention_size_bytes = retention_size_bytes
        self._trusts_clock = trusts_clock
        now = clock.monotonic()
        self._prune_at = self._measure_at = self._tell_size_at = now
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
        if self._retention_size_bytes is not None and self._clock.monotonic() >= self._measure_at:
            self._measure_at = self._clock.monotonic() + _PRUNE_SECONDS
            self._prune_to_size(self._retention_size_bytes)
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
            pruned = self._bite(before_us, after, BITE)
            removed += pruned.alerts
            looked = looked or pruned.looked_at > 0
            after = pruned.next_after
        while not self._stopping.is_set() and self._store.tidy(before_us, BITE):
            self._rest(0.0)
        if removed:
            logger.info("removed old alerts", extra={"count": removed})
        elif looked:
            self._prune_at = self._clock.monotonic() + _NOTHING_TO_PRUNE_SECONDS

    def _prune_to_size(self, limit_bytes: int) -> None:
        """Remove the oldest alerts while the database is too large; measured anew when as many went as should do."""
        size = self._store.size(limit_bytes)
        if size.bytes <= limit_bytes:
            return
        roomy_bytes = round(limit_bytes * _ROOMY_SHARE)
        removed = 0
        after: int | None = 0
        while size.bytes > roomy_bytes and after is not None and not self._stopping.is_set():
            wanted = removed + size.alerts_in(size.bytes - roomy_bytes)
            while removed < wanted and after is not None and not self._stopping.is_set():
                pruned = self._bite(_ANY_AGE_US, after, min(BITE, max(wanted - removed, _LEAST_BITE)))
                removed += pruned.alerts
                after = pruned.next_after
            size = self._store.size()
        if removed:
            logger.info("removed the oldest alerts, because the database was too large", extra={"count": removed})
        if size.bytes <= limit_bytes or self._stopping.is_set():
            return
        self._measure_at = self._clock.monotonic() + _STILL_NEEDED_SECONDS
        if self._clock.monotonic() >= self._tell_size_at:
            self._tell_size_at = self._clock.monotonic() + _TOO_LARGE_SECONDS
            logger.warning(
                "the database is larger than it should be, and what is left in it is still needed",
                extra={"bytes": size.bytes, "limit_bytes": limit_bytes, "alerts": size.alerts},
            )

    def _bite(self, before_us: int, after: int, limit: int) -> Pruned:
        """Remove some, and leave time to others where there is more."""
        began = self._clock.monotonic()
        pruned = self._store.prune(before_us, limit, after)
        if pruned.next_after is not None:
            self._rest(self._clock.monotonic() - began)
        return pruned

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
