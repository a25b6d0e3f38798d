"""Workers on a bench: real store, desk, metrics and threads; the channel answers what a test says."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from bus.alerts import Alert, Severity, SystemEvent
from bus.clock import MICROSECONDS, Clock
from subscriber.channels.channel import Channel
from subscriber.channels.memory import ChannelMemory
from subscriber.deliveries import (
    Dialect,
    Limit,
    Message,
    MessageLimits,
    Outcome,
    PlannedDelivery,
    Reason,
    Window,
    severity_of,
)
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.meters import Meters
from subscriber.delivery.worker import DeliveryWorker, WorkerSettings
from subscriber.intake.announcing import Announcer
from subscriber.monitoring.metrics import Metrics
from subscriber.policy.retry import RetryPolicy
from subscriber.receipts import Receipt, ReceiptMode
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.clock import FakeClock
from tests.support.waiting import wait_until

DAY_US: Final = 24 * 3600 * MICROSECONDS
ACCEPTED: Final = Outcome(Reason.ACCEPTED, status=200)
#: Polls often, for the bench's clock stands still and only a test moves it.
SETTINGS: Final = WorkerSettings(zone=UTC, policy=RetryPolicy(), lease_seconds=60.0, interval_seconds=0.005)

Answer = Outcome | Exception | Callable[[Message], Outcome]


class ScriptedChannel:
    """A channel whose next answers are told beforehand; after them it accepts everything."""

    def __init__(
        self,
        name: str = "telegram",
        *answers: Answer,
        pace: tuple[Limit, ...] = (),
        concurrency: int = 1,
        probes: Iterable[Answer] = (),
        memory: ChannelMemory | None = None,
        receipts: ReceiptMode = ReceiptMode.NONE,
    ) -> None:
        self.name = name
        self.provider = "scripted"
        self.message_limits = MessageLimits(Dialect.PLAIN, 4096)
        self.pace = pace
        self.concurrency = concurrency
        self.answers = deque(answers)
        self.probes = deque(probes)
        self.memory = memory or ChannelMemory()
        self.receipts = receipts
        self.window = Window.NONE
        self.sent: list[Message] = []
        self.probed = 0

    def send(self, message: Message) -> Outcome:
        self.sent.append(message)
        return _given(self.answers, message)

    def rehearse(self, message: Message) -> str:
        return f"POST nowhere, {len(message.body)} characters"

    def probe(self) -> Outcome:
        self.probed += 1
        return _given(self.probes, Message("", "", Dialect.PLAIN))

    def ask_inbound(self) -> bool:
        return False

    def ask_receipt(self, message_id: str) -> Receipt | Outcome:
        raise NotImplementedError

    def judge_receipt(self, receipt: Receipt, *, by_template: bool) -> Outcome:
        raise NotImplementedError

    def close(self) -> None:
        pass


def _given(answers: deque[Answer], message: Message) -> Outcome:
    answer = answers.popleft() if answers else ACCEPTED
    if isinstance(answer, Exception):
        raise answer
    return answer if isinstance(answer, Outcome) else answer(message)


class HighestJitter(Random):
    """Waits as long as a backoff may, so that a test can say when."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Bench:
    """Starts workers on a store, and ends them with the block."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.metrics = Metrics()
        self.announced: list[SystemEvent] = []
        self.announcer = Announcer(store, lambda _alert: (), lambda _channels: None, self.metrics, clock)
        self.shown: list[tuple[str, str, str]] = []
        self.workers: list[DeliveryWorker] = []
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.ask_to_stop()
        for worker in self.workers:
            assert worker.join(60.0), f"{worker.name} did not stop"

    def desk(self, channel: Channel, meters: Meters | None = None) -> ChannelDesk:
        """Make a desk for a channel, with its metrics; its breaker waits as long as it may."""
        self.metrics.add_channel(channel.name, enabled=True)
        return ChannelDesk(channel, self.clock, meters=meters, rng=HighestJitter())

    def start(self, desk: ChannelDesk, name: str = "worker", **changes: Any) -> DeliveryWorker:
        """Start a worker; `changes` are fields of WorkerSettings."""
        worker = self.worker(desk, name, **changes)
        self.workers.append(worker)
        worker.start()
        return worker

    def worker(self, desk: ChannelDesk, name: str = "worker", **changes: Any) -> DeliveryWorker:
        """Make a worker that a test drives by `turn`; `changes` are fields of WorkerSettings."""
        return DeliveryWorker(
            name,
            desk,
            store=self.store,
            metrics=self.metrics,
            clock=self.clock,
            rng=HighestJitter(),
            settings=replace(SETTINGS, **changes),
            announce=self.announced.append,
            own_events=self.announcer,
            show_rehearsal=lambda channel, message, request: self.shown.append((channel, message.text, request)),
        )

    def add(self, alert: Alert | None = None, *channels: str, planned: tuple[PlannedDelivery, ...] = ()) -> Alert:
        """Store an alert that was published now, for `telegram` where no channel is named, as the default routes do."""
        told = risk_event() if alert is None else alert
        self.add_all([told], *channels, planned=planned)
        return told

    def add_all(self, alerts: Sequence[Alert], *channels: str, planned: tuple[PlannedDelivery, ...] = ()) -> None:
        """Store alerts as `add` does, in one transaction, each published a microsecond after the one before."""
        now_us = self.clock.now_us()
        names = channels or (() if planned else ("telegram",))
        items = []
        for place, alert in enumerate(alerts):
            self._sequence += 1
            age_us = None if severity_of(alert) is Severity.CRITICAL else DAY_US
            plan = planned or tuple(PlannedDelivery(name, now_us, max_age_us=age_us) for name in names)
            items.append(incoming(alert, self._sequence, published_us=now_us + place, planned=plan))
        self.store.accept(items)

    def deliveries(self, alert: Alert) -> dict[str, dict[str, Any]]:
        """Return an alert's deliveries with their attempts, by channel."""
        story = self.store.story(alert.id)
        assert story is not None
        return {delivery["channel"]: delivery for delivery in story["deliveries"]}

    def delivery(self, alert: Alert, channel: str = "telegram") -> dict[str, Any]:
        """Return one delivery of an alert."""
        return self.deliveries(alert)[channel]

    def wait_for(self, alert: Alert, state: str, channel: str = "telegram") -> dict[str, Any]:
        """Wait until a delivery is in a state and nobody works on it; return it."""
        wait_until(lambda: self._settled(alert, channel) == state)
        return self.delivery(alert, channel)

    def wait_for_attempts(self, alert: Alert, count: int, channel: str = "telegram") -> dict[str, Any]:
        """Wait until so many attempts for an alert have ended; return the delivery."""
        wait_until(lambda: self._closed(alert, channel) >= count)
        return self.delivery(alert, channel)

    def metric(self, name: str, **labels: str) -> float | None:
        """Return a sample of the bench's metrics."""
        return self.metrics.registry.get_sample_value(f"alertbus_{name}", labels)

    def _settled(self, alert: Alert, channel: str) -> str | None:
        delivery = self.delivery(alert, channel)
        closed = all(attempt["closed_us"] is not None for attempt in delivery["attempts"])
        status: str = delivery["status"]
        return status if closed else None

    def _closed(self, alert: Alert, channel: str) -> int:
        return sum(attempt["closed_us"] is not None for attempt in self.delivery(alert, channel)["attempts"])


def drive(worker: DeliveryWorker, clock: FakeClock, seconds: float) -> None:
    """Let a worker that has no thread take its turns for so long, by a clock that goes on when it waits."""
    end = clock.monotonic() + seconds
    while True:
        wait = worker.turn()
        left = end - clock.monotonic()
        if wait > 0:
            if left <= 0:
                return
            clock.advance(min(wait, left))
