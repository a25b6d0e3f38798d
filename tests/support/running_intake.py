"""A daemon's intake on free ports of 127.0.0.1 with a store of the test's choice, and a store that can fail."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

import pytest
from sqlalchemy import select

from bus.alerts import Alert, Severity, SystemEvent
from bus.clock import Clock
from bus.errors import EndpointTaken
from subscriber.deliveries import PlannedDelivery, severity_of
from subscriber.errors import StoreError
from subscriber.intake import ingest
from subscriber.intake.announcing import Announcer
from subscriber.intake.correspondence import Correspondence
from subscriber.intake.ingest import Ingest
from subscriber.intake.notices import Notices
from subscriber.intake.vigil import Vigil
from subscriber.monitoring.metrics import Metrics
from subscriber.store import Accepted, Incoming, Store, StreamPosition, StreamState, schema
from subscriber.store.streams import Lost, SignOfLife
from tests.support.alerts import STREAM
from tests.support.scripted_publisher import ScriptedPublisher
from tests.support.waiting import wait_until

#: For tests that need no second database: as a `pytestmark`, or as a decorator.
on_sqlite: Final = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
PUBLISHER_TIMEOUT_SECONDS: Final = 15.0
_PORT_TRIES: Final = 5
_GATE_SECONDS: Final = 60.0


class FaultyStore(Store):
    """A store that fails where a test says, by the names of its functions, or waits in the middle of `accept`."""

    def __init__(self, url: str, clock: Clock) -> None:
        super().__init__(url, clock)
        #: Functions that raise this at the moment.
        self.failing: dict[str, Exception] = {}
        self.calls: Counter[str] = Counter()
        #: The batches that were offered, as (stream, number), whatever became of them.
        self.offered: list[list[tuple[bytes | None, int | None]]] = []
        self.gate = threading.Event()
        self.gate.set()

    def break_down(self, *functions: str, error: Exception | None = None) -> None:
        """Let functions fail from now on."""
        self.failing.update(dict.fromkeys(functions, error or StoreError("The database is away.")))

    def _go(self, function: str) -> None:
        self.calls[function] += 1
        if function in self.failing:
            raise self.failing[function]

    def accept(self, batch: Sequence[Incoming], positions: Mapping[bytes, int] | None = None) -> Accepted:
        self.offered.append([(item.stream, item.sequence) for item in batch])
        self._go("accept")
        assert self.gate.wait(_GATE_SECONDS)
        return super().accept(batch, positions)

    def position(self, stream: bytes, last: int | None = None) -> StreamPosition:
        self._go("position")
        return super().position(stream, last)

    def begin(self, stream: bytes, source: str, first: int) -> None:
        self._go("begin")
        super().begin(stream, source, first)

    def record_lost(
        self,
        stream: bytes,
        ranges: Sequence[tuple[int, int]],
        reason: str,
        tell: Callable[[tuple[tuple[int, int], ...]], Incoming] | None = None,
    ) -> Lost:
        self._go("record_lost")
        return super().record_lost(stream, ranges, reason, tell)

    def heard(self, stream: bytes, sign: SignOfLife, now_us: int) -> None:
        self._go("heard")
        super().heard(stream, sign, now_us)

    def watched(self) -> list[StreamState]:
        self._go("watched")
        return super().watched()

    def said_goodbye(
        self, stream: bytes, source: str, reason: str, last: int, telling: Incoming | None = None
    ) -> Accepted | None:
        self._go("said_goodbye")
        return super().said_goodbye(stream, source, reason, last, telling)


class Intake:
    """The parts of a running intake."""

    def __init__(self, store: Store, clock: Clock, endpoints: tuple[str, str]) -> None:
        """Wire the parts; `running_intake` starts them."""
        self.store = store
        self.clock = clock
        self.endpoints = endpoints
        self.metrics = Metrics()
        #: Exceptions that the planner raises, one for each of the next alerts.
        self.planner_errors: list[Exception] = []
        #: Channels whose workers were woken.
        self.woken: list[str] = []
        self.announcer = Announcer(store, self.plan, self.woken.extend, self.metrics, clock)
        self.notices = Notices(store, self.announcer, self.metrics, clock)
        self.vigil = Vigil(
            store=store,
            announcer=self.announcer,
            metrics=self.metrics,
            clock=clock,
            timeout_seconds=PUBLISHER_TIMEOUT_SECONDS,
        )
        self.correspondence = Correspondence(
            store=store,
            notices=self.notices,
            vigil=self.vigil,
            metrics=self.metrics,
            clock=clock,
            publisher_timeout_seconds=PUBLISHER_TIMEOUT_SECONDS,
        )
        self.ingest = Ingest(
            data_endpoints=[endpoints[0]],
            control_endpoints=[endpoints[1]],
            store=store,
            planner=self.plan,
            waker=self.woken.extend,
            correspondence=self.correspondence,
            notices=self.notices,
            metrics=self.metrics,
            clock=clock,
        )

    def plan(self, alert: Alert) -> tuple[PlannedDelivery, ...]:
        """Send what is CRITICAL, and the end of it, to Telegram."""
        if self.planner_errors:
            raise self.planner_errors.pop(0)
        if isinstance(alert, SystemEvent) and alert.resolves is not None:
            return tuple(PlannedDelivery(name, self.clock.now_us()) for name in self.store.channels_of(alert.resolves))
        urgent = severity_of(alert) is Severity.CRITICAL
        return (PlannedDelivery("telegram", self.clock.now_us()),) if urgent else ()

    def publisher(self, *, stream: bytes = STREAM, source: str = "trader-1", own: bool = True) -> ScriptedPublisher:
        """Make a publisher that connects to it."""
        return ScriptedPublisher(self.endpoints, stream=stream, source=source, own=own)

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric's value."""
        value = self.metrics.registry.get_sample_value(f"alertbus_{name}", labels)
        assert value is not None, name
        return value

    def invalid(self, reason: str) -> float:
        """Return how many messages were counted as invalid for a reason."""
        return self.metric("messages_invalid_total", reason=reason)

    def numbers(self, stream: bytes = STREAM) -> list[int]:
        """Return the numbers of a stream that are stored."""
        return numbers_in(self.store, stream)

    def wait_for_numbers(self, *numbers: int, stream: bytes = STREAM) -> None:
        """Wait until exactly these numbers are stored."""
        wait_until(lambda: len(self.numbers(stream)) >= len(numbers))
        assert self.numbers(stream) == sorted(numbers)

    def told(self, event_type: str) -> list[str]:
        """Return what people were told of one type of event."""
        return told_in(self.store, event_type)


@contextmanager
def running_intake(store: Store, clock: Clock, endpoints: tuple[str, str] | None = None) -> Iterator[Intake]:
    """Run an intake on free ports, or on those of an earlier one."""
    for tries_left in reversed(range(_PORT_TRIES)):
        intake = Intake(store, clock, endpoints or free_endpoints())
        try:
            intake.ingest.start()
            break
        except EndpointTaken:
            if endpoints is not None or not tries_left:  # else somebody was quicker
                raise
    try:
        with patch.object(ingest, "_POLL_MILLISECONDS", 5):  # so that a test's end does not wait for a poll's
            yield intake
    finally:
        intake.ingest.stop(60.0)
        assert not intake.ingest._thread.is_alive()


def free_endpoints() -> tuple[str, str]:
    """Return two endpoints where nobody listens at the moment."""
    with socket.socket() as data, socket.socket() as control:
        for each in (data, control):
            each.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{data.getsockname()[1]}", f"tcp://127.0.0.1:{control.getsockname()[1]}"


def numbers_in(store: Store, stream: bytes = STREAM) -> list[int]:
    """Return the numbers of a stream that are stored, one for each alert."""
    alert = schema.alert.c
    with store.database.reading() as connection:
        return list(connection.scalars(select(alert.sequence).where(alert.stream == stream).order_by(alert.sequence)))


def lost_in(store: Store, stream: bytes = STREAM) -> list[tuple[int, int]]:
    """Return the ranges of a stream that are recorded as lost."""
    return marked_in(store, "lost", stream)


def marked_in(store: Store, mark: str, stream: bytes = STREAM) -> list[tuple[int, int]]:
    """Return the ranges of a stream that have a mark."""
    column = schema.stream_mark.c
    statement = select(column.first, column.last).where(column.stream == stream, column.mark == mark)
    with store.database.reading() as connection:
        return [(row.first, row.last) for row in connection.execute(statement.order_by(column.first))]


def told_in(store: Store, event_type: str) -> list[str]:
    """Return the payloads of the deliveries that tell of one type of event."""
    alert, queue = schema.alert.c, schema.notification_queue.c
    statement = select(queue.payload).join(schema.alert, alert.id == queue.alert_id)
    with store.database.reading() as connection:
        return list(connection.scalars(statement.where(alert.event_type == event_type)))
