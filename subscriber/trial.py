"""A test alert through the real route of a running daemon: queue, worker, plugin, provider.

What tests is a SystemEvent of the daemon's own, whatever alert it stands for: its event and its text begin with TEST,
it escalates to nobody, no other channel tells it, it is never counted instead of sent, and it is grouped with other
tests alone. So nobody takes it for real, and no real alert is counted as a repeat of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from bus.alerts import DESCRIPTION_LIMIT, NAME_LIMIT, Alert, Severity, SystemEvent
from bus.clock import MICROSECONDS, Clock, from_us
from subscriber.deliveries import (
    OPEN_STATES,
    TEST_PREFIX,
    DeliveryState,
    PlannedDelivery,
    Reason,
    Why,
    event_of,
    severity_of,
)
from subscriber.delivery.breaker import BreakerState
from subscriber.delivery.desk import ChannelDesk
from subscriber.policy.routing import plan_deliveries
from subscriber.policy.wording import description_of
from subscriber.receipts import ReceiptState
from subscriber.store.incoming import is_held
from subscriber.store.store import Store

TEST_EVENT: Final = f"{TEST_PREFIX}ALERT"
DEFAULT_TEXT: Final = "This is a test of alertbus. Nothing happened."
DEFAULT_WAIT_SECONDS: Final = 10.0
_SOURCE: Final = "alertbus"
_SIGN: Final = "TEST"
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

    def run(
        self, channels: Collection[str], enabled: Collection[str], text: str, wait_seconds: float | None = None
    ) -> TrialResult:
        """Tell a test alert on channels, and say for each what its provider answered and how long it took.

        A person who tests has put right what paused a channel, or wants to know whether it is: it is resumed first.

        Args:
            channels: Those to test.
            enabled: Those that are switched on.
            text: What the message says.
            wait_seconds: How long to wait for the providers, DEFAULT_WAIT_SECONDS when left out; what still waits then
                says what for.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        event = SystemEvent(source=_SOURCE, event_type=TEST_EVENT, severity=Severity.INFO, description=text)
        planned = plan_deliveries(event, channels, self._clock.now_us(), enabled=enabled, dry_run=self._dry_run)
        return self._run(event, planned, wait_seconds, lets_through=set(channels) & set(enabled))

    def run_routed(
        self,
        alert: Alert,
        plan: Callable[[Alert], tuple[PlannedDelivery, ...]],
        enabled: Collection[str],
        text: str | None = None,
        wait_seconds: float | None = None,
    ) -> TrialResult:
        """Tell a test alert where the routes send an alert, held and grouped as they say; and say what became of it.

        No channel is resumed for it: it shows what such an alert would meet now.

        Args:
            alert: Such a one.
            plan: Says where it goes now.
            enabled: The channels that are switched on.
            text: What the message says behind its mark; the alert's own words when left out.
            wait_seconds: As for `run`.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        planned = (_unanswered(each, enabled) for each in plan(alert))
        return self._run(stand_in(alert, text), planned, wait_seconds, routed=True)

    def _run(
        self,
        event: SystemEvent,
        planned: Iterable[PlannedDelivery],
        wait_seconds: float | None,
        *,
        lets_through: Collection[str] = (),
        routed: bool = False,
    ) -> TrialResult:
        wait_seconds = DEFAULT_WAIT_SECONDS if wait_seconds is None else wait_seconds
        harmless = tuple(map(_harmless, planned))
        began_us, began = self._clock.now_us(), self._clock.monotonic()
        stored = self._announce(event, harmless)
        resumed = self._let_through(lets_through)
        limit = began + wait_seconds
        while True:
            # Before the story: an attempt that pauses its channel is then in it, open or with its outcome.
            paused = {name for name, desk in self._desks.items() if desk.paused}
            story = self._store.story(event.id)
            deliveries: list[dict[str, Any]] = [] if story is None else story["deliveries"]
            left_us = max(limit - self._clock.monotonic(), 0.0) * MICROSECONDS
            latest_us = self._clock.now_us() + left_us
            settled = all(_settled(delivery, paused, latest_us) for delivery in deliveries)
            if not deliveries:  # it waits for the database, or goes nowhere
                settled = not stored or not harmless
            if settled or not left_us or self._stopping.wait(_POLL_SECONDS):
                told = deliveries or [_unstored(each.channel) for each in harmless]
                return {
                    "alert_id": str(event.id),
                    "dry_run": self._dry_run,
                    "route": next((each.handling.route for each in harmless), "") or None if routed else None,
                    "not_routed": routed and not harmless,
                    "seconds": round(self._clock.monotonic() - began, 3),
                    "channels": [
                        {**self._result(each, began_us), "resumed": each["channel"] in resumed} for each in told
                    ],
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
        desk = self._desks.get(delivery["channel"])
        return {
            "channel": delivery["channel"],
            "provider": "" if desk is None else desk.channel.provider,
            "state": state,
            "why": delivery.get("why"),
            "accepted": state in {DeliveryState.ACCEPTED.value, DeliveryState.DELIVERED.value},
            "waiting_for": self._waiting_for(delivery, last) if state in _OPEN else _receipt_waited_for(delivery),
            "outcome": last.get("reason"),
            "status": last.get("status"),
            "code": last.get("code"),
            "detail": last.get("detail"),
            "message_id": last.get("provider_message_id"),
            "seconds": None if not finished_us else round((finished_us - started_us) / MICROSECONDS, 3),
        }

    def _waiting_for(self, delivery: dict[str, Any], last: dict[str, Any]) -> str:
        if "id" not in delivery:
            return "the database, which takes nothing at the moment"
        desk = self._desks.get(delivery["channel"])
        if not last and delivery["due_at"] > self._clock.now_us():
            return _held_text(delivery)
        if desk is not None and not desk.enabled:
            return "somebody to switch a channel on: this one is switched off"
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
        seconds = 0.0 if desk is None else desk.wait_needed()
        if seconds > 0:
            return f"its turn: the channel's pace allows the next message in {seconds:.1f} s"
        return "its turn: other messages of the channel go first"


def stand_in(alert: Alert, text: str | None = None) -> SystemEvent:
    """Return the test that stands for an alert: who gets it sees what it is, and that nothing happened.

    Args:
        alert: Such a one.
        text: What it says behind its mark; the alert's own words when left out.
    """
    event = event_of(alert)
    what = " ".join(filter(None, (severity_of(alert).value, event, alert.symbol)))
    said = description_of(alert) if text is None else text
    said = said.strip() or f"so would an alert such as {what} reach you. Nothing happened."
    return SystemEvent(
        source=_SOURCE,
        event_type=f"{_SIGN}_{event}"[:NAME_LIMIT],
        severity=severity_of(alert),
        description=f"{_SIGN}: {said}"[:DESCRIPTION_LIMIT],
        symbol=alert.symbol,
        agent_name=alert.agent_name,
    )


def _harmless(planned: PlannedDelivery) -> PlannedDelivery:
    """Return the delivery of a test: it wakes nobody further, is not counted, and is grouped with tests alone."""
    batch = planned.batch
    if batch is not None and not is_held(batch):
        kind, _, rest = batch.partition(":")
        batch = f"{kind}:{_SIGN} {rest}"
    handling = replace(planned.handling, fallbacks=())
    return replace(planned, handling=handling, batch=batch, dedup=None, escalation=None)


def _unanswered(planned: PlannedDelivery, enabled: Collection[str]) -> PlannedDelivery:
    """Return a delivery that ends at once where its channel is off: a CRITICAL that waited another one would tell."""
    if planned.state is not DeliveryState.PENDING or planned.channel in enabled:
        return planned
    return replace(planned, state=DeliveryState.SUPPRESSED, why=Why.DISABLED, batch=None, grouping=None)


def _settled(delivery: dict[str, Any], paused: Collection[str], latest_us: float) -> bool:
    """Whether waiting tells no more: it has ended, is held for longer, or its channel is paused until a person acts."""
    if delivery["status"] == DeliveryState.ACCEPTED.value:
        return not _awaits_receipt(delivery)
    if delivery["status"] not in _OPEN or delivery["last_reason"] == Reason.UNAUTHORIZED.value:
        return True
    in_flight = any(attempt["reason"] is None for attempt in delivery["attempts"])
    return not in_flight and (delivery["channel"] in paused or delivery["due_at"] > latest_us)


def _held_text(delivery: dict[str, Any]) -> str:
    """Say what a delivery waits for that nobody has tried to send, because it is not due."""
    until = f"{from_us(delivery['due_at']):%Y-%m-%d %H:%M:%S} UTC"
    kind, _, name = (delivery["batch"] or "").partition(":")
    match kind:
        case "silence":
            return f"the end of silence {name}, until {until}"
        case "quiet":
            return f"the end of the quiet hours {name}, until {until}"
    return f"others of its group, which are told together, until {until}"


def _receipt_waited_for(delivery: dict[str, Any]) -> str | None:
    waits = delivery["status"] == DeliveryState.ACCEPTED.value and _awaits_receipt(delivery)
    return "the receipt: the provider has taken it and does not say yet that it arrived" if waits else None


def _awaits_receipt(delivery: dict[str, Any]) -> bool:
    """Whether the provider is still to say that the message arrived or failed."""
    return any(attempt["receipt"] in _PASSING for attempt in delivery["attempts"])


def _unstored(channel: str) -> dict[str, Any]:
    return {"channel": channel, "status": DeliveryState.PENDING.value}
