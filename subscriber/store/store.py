"""The store: everything the daemon keeps, behind one object that any thread may use."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from bus.clock import Clock, SystemClock
from subscriber.store.accepting import Accepting
from subscriber.store.anchoring import Anchoring
from subscriber.store.asking import Asking
from subscriber.store.auditing import Auditing
from subscriber.store.by_hand import ByHand
from subscriber.store.changes import Changes
from subscriber.store.database import DEFAULT_BUSY_TIMEOUT_SECONDS, Database
from subscriber.store.delivering import Delivering
from subscriber.store.escalating import Escalating
from subscriber.store.expiring import Expiring
from subscriber.store.exporting import Exporting
from subscriber.store.finding import Finding
from subscriber.store.folding import Folding
from subscriber.store.following import Following
from subscriber.store.held import Held
from subscriber.store.liveness import Liveness
from subscriber.store.migrating import migrate
from subscriber.store.receiving import Receiving
from subscriber.store.remembering import Remembering
from subscriber.store.retention import Retention
from subscriber.store.retrying import Retrying
from subscriber.store.settling import Settling
from subscriber.store.silencing import Silencing
from subscriber.store.streams import Streams
from subscriber.store.switching import Switching


class Store(
    Accepting,
    Auditing,
    Streams,
    Liveness,
    Folding,
    Delivering,
    ByHand,
    Expiring,
    Receiving,
    Settling,
    Switching,
    Silencing,
    Escalating,
    Changes,
    Remembering,
    Retention,
    Retrying,
    Asking,
    Finding,
    Following,
    Held,
    Exporting,
    Anchoring,
):
    """Alerts, deliveries, attempts and streams in SQLite or PostgreSQL.

    Every function that writes is one transaction: all of it is written, or nothing. Each raises StoreError while the
    database can't be used; nothing is lost then, because nothing was acknowledged.
    """

    def __init__(
        self,
        url: str,
        clock: Clock | None = None,
        *,
        busy_timeout_seconds: float = DEFAULT_BUSY_TIMEOUT_SECONDS,
    ) -> None:
        """Keep the settings; `open()` or `with` opens it.

        Args:
            url: `sqlite:///PATH` or `postgresql+psycopg://…`.
            clock: The daemon's clock.
            busy_timeout_seconds: How long to wait for another process that writes to the same SQLite file.

        Raises:
            ConfigurationError: The URL can't be read, or names another kind of database.
        """
        super().__init__(Database(url, clock or SystemClock(), busy_timeout_seconds=busy_timeout_seconds))

    def open(self) -> Self:
        """Connect, and bring the database to this program's schema; a new one is made.

        Raises:
            ConfigurationError: A setting has to be changed, or a newer alertbus wrote this database.
            StoreError: The database can't be used at the moment.
        """
        self.database.open()
        try:
            migrate(self.database)
            self._learn_identity()
        except BaseException:
            self.database.close()
            raise
        return self

    def close(self) -> None:
        """Close every connection; harmless when it is closed."""
        self.database.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
