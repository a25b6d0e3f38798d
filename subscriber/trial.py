"""A test alert through the real route of a running daemon: queue, worker, plugin, provider."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from bus.alerts import Severity, SystemEvent
from bus.clock import MICROSECONDS, Clock
from subscriber.deliveries import OPEN_STATES, DeliveryState, PlannedDelivery, Reason
from subscriber.delivery.breaker import BreakerState
from subscriber.delivery.desk import ChannelDesk
from subscriber.policy.routing import plan_deliveries
from subscriber.receipts import ReceiptState
from subscriber.store.store import Store

TEST_EVENT: Final = "TEST_ALERT"
DEFAULT_TEXT: Final = "This is a test of alertbus. Nothing happened."
DEFAULT_WAIT_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05
_OPEN: Final = frozenset(state.value for state in OPEN_STATES)
#: A failure has its consequences a moment after it is known.
_PASSING: Final = frozenset({ReceiptState.QUEUED.value, ReceiptState.SENT.value, ReceiptState.FAILED.value})
_NO_DESKS: Final[Mapping[str, ChannelDesk]] = MappingProxyType({})

Announce = Callable[[SystemEvent, tuple[PlannedDelivery, ...]], bool]
TrialResult = dict[str, Any]


class Trial:
    """Sends test alerts and waits for what became of them. Any thread may call it."""

    def __init__(
        self,
        store: Store,
        announce: Announce,
        clock: Clock,
        *,
        dry_run: bool,
        desks: Mapping[str, ChannelDesk] = _NO_DESKS,
        stopping: threading.Event | None = None,
    ) -> None:
        """Store what is needed.

        Args:
            store: Where the test alert goes.
            announce: Stores it.
            clock: The daemon's.
            dry_run: Whether nothing is really sent.
            desks: The channels by name: a test resumes one that is paused, and probes one that fails at once.
            stopping: Nothing is waited for once it is set.
        """
        self._store = store
        self._announce = announce
        self._clock = clock
        self._dry_run = dry_run
        self._desks = desks
        self._stopping = stopping or threading.Event()

    def run(self, channels: Collection[str], enabled: Collection[str], text: str, wait_seconds: float) -> TrialResult:
        """Tell a test alert on channels, and say for each what its provider answered and how long it took.

        A person who tests has put right what paused a channel, or wants to know whether it is: it is resumed first.

        Args:
            channels: Those to test.
            enabled: Those that are switched on.
            text: What the message says.
            wait_seconds: How long to wait for the providers; what still waits then says what for.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        event = SystemEvent(source="alertbus", event_type=TEST_EVENT, severity=Severity.INFO, description=text)
        now_us = self._clock.now_us()
        planned = plan_deliveries(event, channels, now_us, enabled=enabled, dry_run=self._dry_run)
        stored = self._announce(event, planned)
        resumed = self._let_through(set(channels) & set(enabled))
        limit = self._clock.monotonic() + wait_seconds
        while True:
            # Before the story: an attempt that pauses its channel is then in it, open or with its outcome.
            paused = {name for name, desk in self._desks.items() if desk.paused}
            story = self._store.story(event.id)
            deliveries: list[dict[str, Any]] = [] if story is None else story["deliveries"]
            settled = all(_settled(delivery, paused) for delivery in deliveries) if deliveries else not stored
            if settled or self._clock.monotonic() >= limit or self._stopping.wait(_POLL_SECONDS):
                told = [self._result(delivery, now_us) for delivery in deliveries or map(_unstored, channels)]
                return {
                    "alert_id": str(event.id),
                    "dry_run": self._dry_run,
                    "channels": [{**each, "resumed": each["channel"] in resumed} for each in told],
                }

    def _let_through(self, channels: Collection[str]) -> set[str]:
        """Return those that were paused, and are resumed now that the test is there to show how they are."""
        if self._dry_run:
            return set()
        return {name for name in channels if name in self._desks and self._desks[name].try_now()}

    def _result(self, delivery: dict[str, Any], started_us: int) -> TrialResult:
        attempts = delivery.get("attempts") or []
        last = attempts[-1] if attempts else {}
        finished_us = delivery.get("finished_at")
        state = delivery["status"]
        return {
            "channel": delivery["channel"],
            "state": state,
            "why": delivery.get("why"),
            "accepted": state in {DeliveryState.ACCEPTED.value, DeliveryState.DELIVERED.value},
            "waiting_for": self._waiting_for(delivery, last) if state in _OPEN else _receipt_waited_for(delivery),
            "outcome": last.get("reason"),
            "status": last.get("status"),
            "code": last.get("code"),
            "detail": last.get("detail"),
            "seconds": None if not finished_us else round((finished_us - started_us) / MICROSECONDS, 3),
        }

    def _waiting_for(self, delivery: dict[str, Any], last: dict[str, Any]) -> str:
        if "id" not in delivery:
            return "the database, which takes nothing at the moment"
        desk = self._desks.get(delivery["channel"])
        if last.get("reason") == Reason.UNAUTHORIZED.value or (desk is not None and desk.paused):
            error = self._store.last_error(delivery["channel"])
            said = f" ({error['detail']})" if error is not None and error["detail"] else ""
            return f"a person: the channel is paused until its credentials or its target are put right{said}"
        if desk is not None and desk.breaker.state is not BreakerState.CLOSED:
            return "the provider, which fails and is asked again and again until it works"
        if last:
            return f"the next attempt, after {last['reason'] or 'an attempt that is still open'}"
        if desk is not None and (held_until_us := desk.view.held_until_us) is not None:
            seconds = (held_until_us - self._clock.now_us()) / MICROSECONDS
            return f"the provider, which asked to be left alone for {seconds:.0f} more seconds"
        return "its turn: the channel is paused, or its pace does not allow a message yet"


def _settled(delivery: dict[str, Any], paused: Collection[str]) -> bool:
    """Whether waiting tells no more: it has ended, or its channel is paused until a person does something."""
    if delivery["status"] == DeliveryState.ACCEPTED.value:
        return not _awaits_receipt(delivery)
    if delivery["status"] not in _OPEN or delivery["last_reason"] == Reason.UNAUTHORIZED.value:
        return True
    in_flight = any(attempt["reason"] is None for attempt in delivery["attempts"])
    return delivery["channel"] in paused and not in_flight


def _receipt_waited_for(delivery: dict[str, Any]) -> str | None:
    waits = delivery["status"] == DeliveryState.ACCEPTED.value and _awaits_receipt(delivery)
    return "the receipt: the provider has taken it and does not say yet that it arrived" if waits else None


def _awaits_receipt(delivery: dict[str, Any]) -> bool:
    """Whether the provider is still to say that the message arrived or failed."""
    return any(attempt["receipt"] in _PASSING for attempt in delivery["attempts"])


def _unstored(channel: str) -> dict[str, Any]:
    return {"channel": channel, "status": DeliveryState.PENDING.value}
