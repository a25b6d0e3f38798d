"""The desk of one stand-in provider: its rules, the faults that wait in line, and what it has seen.

Owns the records. The server's connection threads write them and tests read copies, all under the one
condition that the server shares between its desks, so a test can wait for any of them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Generic, TypeVar

from tests.support.provider_faults import Fault
from tests.support.provider_rules import Message, ProviderRequest, ProviderRules

Rules_co = TypeVar("Rules_co", bound=ProviderRules, covariant=True)


@dataclass(frozen=True, kw_only=True)
class AcceptedMessage(Message):
    """A message that the provider took, with when (monotonic seconds) and over which connection."""

    provider: str
    at: float
    connection: int


@dataclass(frozen=True, kw_only=True)
class RecordedRequest:
    """One request and what became of it.

    Attributes:
        verdict: `pending` while it is served, then `accepted`, `answered`, `refused` or the fault's name.
        status: the HTTP status that was sent, None while pending and when there was no answer.
    """

    request: ProviderRequest
    connection: int
    at: float
    verdict: str = "pending"
    status: int | None = None
    fault: str | None = None

    @property
    def path(self) -> str:
        """The path that was asked for, token and all."""
        return self.request.path

    @property
    def endpoint(self) -> str:
        """The last part of the path, such as `sendMessage`."""
        return self.request.path.rpartition("/")[2]


class ProviderDesk(Generic[Rules_co]):
    """One provider as the server and the tests see it."""

    def __init__(
        self,
        name: str,
        rules: Rules_co,
        changed: threading.Condition,
        on_accepted: Callable[[AcceptedMessage], None] | None,
    ) -> None:
        self.name = name
        self.rules = rules
        self._changed = changed
        self._on_accepted = on_accepted
        self._scripted: deque[Fault] = deque()
        self._standing: Fault | None = None
        self._met: list[Fault] = []
        self._requests: list[RecordedRequest] = []
        self._accepted: list[AcceptedMessage] = []

    @property
    def accepted(self) -> list[AcceptedMessage]:
        """Every accepted message so far, in order."""
        with self._changed:
            return list(self._accepted)

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request so far, in order of arrival, with its verdict."""
        with self._changed:
            return list(self._requests)

    def script(self, *faults: Fault) -> None:
        """Put faults in line; each next request takes the first that is meant for its method."""
        with self._changed:
            self._scripted.extend(faults)

    def always(self, fault: Fault | None) -> None:
        """Apply a fault to every request that finds no scripted one; None ends that."""
        with self._changed:
            self._standing = fault

    def behave(self) -> None:
        """Drop every fault that waits in line, and the standing one."""
        with self._changed:
            self._scripted.clear()
            self._standing = None

    def next_fault(self, method: str) -> Fault | None:
        """Take the fault for the request that is being served, by its HTTP method."""
        with self._changed:
            fitting = [fault for fault in self._scripted if fault.method in (None, method)]
            if fitting:
                self._scripted.remove(fitting[0])
            standing = self._standing if self._standing and self._standing.method in (None, method) else None
            fault = fitting[0] if fitting else standing
            if fault is not None:
                self._met.append(fault)
            return fault

    def arrived(self, request: ProviderRequest, connection: int, fault: Fault | None) -> int:
        """Record a request and return its number, for `settled`."""
        record = RecordedRequest(
            request=request,
            connection=connection,
            at=time.monotonic(),
            fault=None if fault is None else fault.name,
        )
        with self._changed:
            self._requests.append(record)
            self._changed.notify_all()
            return len(self._requests) - 1

    def settled(self, number: int, verdict: str, status: int | None) -> None:
        """Record what became of a request."""
        with self._changed:
            self._requests[number] = replace(self._requests[number], verdict=verdict, status=status)
            self._changed.notify_all()

    def accept(self, message: Message, connection: int) -> None:
        """Record a message as accepted; whoever listens hears of it before the client does."""
        accepted = AcceptedMessage(**asdict(message), provider=self.name, at=time.monotonic(), connection=connection)
        with self._changed:
            self._accepted.append(accepted)
            if self._on_accepted is not None:
                self._on_accepted(accepted)
            self._changed.notify_all()

    def release_all(self) -> None:
        """End every pause that a request has met."""
        with self._changed:
            met = list(self._met)
        for fault in met:
            fault.release()
