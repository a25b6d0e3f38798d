"""What the status says, from both databases and with or without a daemon."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from bus.alerts import Severity, SystemEvent
from bus.clock import from_us
from subscriber.channel_problems import problem_of
from subscriber.deliveries import (
    Decision,
    DeliveryState,
    Done,
    GiveUp,
    Outcome,
    PlannedDelivery,
    Reason,
    Remembered,
    RetryAt,
    Window,
)
from subscriber.delivery.desk import ChannelDesk
from subscriber.latest_status import LatestStatus
from subscriber.policy.rules import Rules
from subscriber.receipts import ReceiptMode
from subscriber.status import RECENT, ChannelView, routes_to, status_of, view_of
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.clock import START_US, FakeClock
from tests.support.worker_bench import ScriptedChannel

TELEGRAM = ChannelView("telegram", "telegram", enabled=True, up=True)
UNAUTHORIZED = Outcome(Reason.UNAUTHORIZED, "Unauthorized", status=401, code="401")


def add(store: Store, clock: FakeClock, sequence: int, channel: str = "telegram") -> None:
    planned = (PlannedDelivery(channel, clock.now_us()),)
    store.accept([incoming(risk_event(), sequence, published_us=clock.now_us(), planned=planned)])


def attempt(store: Store, outcome: Outcome, decision: Decision) -> None:
    (delivery,) = store.claim("telegram", "worker", 60.0, 1)
    store.close_attempt(store.open_attempt([delivery]), [delivery], outcome, decision, 0.1)


def told_time(clock: FakeClock) -> str:
    return from_us(clock.now_us()).isoformat(timespec="milliseconds")


def channel_of(status: dict[str, Any], name: str = "telegram") -> dict[str, Any]:
    found: dict[str, Any] = next(channel for channel in status["channels"] if channel["name"] == name)
    return found


def test_status_of_an_empty_store_has_every_field_and_no_numbers(store: Store, clock: FakeClock) -> None:
    status = status_of(store, [TELEGRAM], dry_run=False, started_us=START_US, database="sqlite:///x")
    assert status["running"] is True
    assert status["started_at"] == "2025-10-09T08:53:20.000+00:00"
    assert (status["dry_run"], status["database"], status["store_id"]) == (False, "sqlite:///x", store.store_id)
    assert channel_of(status) == {
        "name": "telegram",
        "provider": "telegram",
        "enabled": True,
        "state": "ok",
        "paused": False,
        "backlog": 0,
        "oldest_published_at": None,
        "dead": 0,
        "deliveries": {state.value: 0 for state in DeliveryState},
        "last_success_at": None,
        "last_error": None,
        "paused_since": None,
        "breaker": None,
        "held_until": None,
        "wait_seconds": None,
        "pace": None,
        "receipts": None,
        "window": None,
        "problem": None,
        "latency": {"recent": [], "p50_seconds": None, "p95_seconds": None},
        "last_alert": None,
        "routes": [],
        "switched": None,
    }
    assert status["now_at"] == told_time(clock)
    assert (status["uncovered_critical"], status["unacknowledged_critical"]) == (0, 0)
    json.dumps(status)


def test_status_counts_what_waits_and_since_when(store: Store, clock: FakeClock) -> None:
    for sequence in (1, 2, 3, 4):
        add(store, clock, sequence)
        clock.advance(1)
    attempt(store, Outcome(Reason.ACCEPTED, status=200), Done())
    clock.advance(1)
    attempt(store, Outcome(Reason.REJECTED, "too long", status=400, code="400"), GiveUp(DeliveryState.DEAD))
    clock.advance(1)
    attempt(
        store,
        Outcome(Reason.TIMEOUT, "no answer", in_doubt=True),
        RetryAt(clock.now_us() + 60_000_000, in_doubt=True),
    )
    channel = channel_of(status_of(store, [TELEGRAM], dry_run=False))
    assert (channel["backlog"], channel["dead"]) == (2, 1)
    assert {state: count for state, count in channel["deliveries"].items() if count} == {
        "pending": 1,
        "in_doubt": 1,
        "accepted": 1,
        "dead": 1,
    }
    assert channel["oldest_published_at"] == "2025-10-09T08:53:22.000+00:00"
    assert channel["last_success_at"] == "2025-10-09T08:53:24.000+00:00"
    assert channel["last_error"]["reason"] == "timeout"
    assert channel["last_error"]["at"] == "2025-10-09T08:53:26.000+00:00"


def test_status_shows_what_waits_for_a_channel_that_no_setting_names(store: Store, clock: FakeClock) -> None:
    """Its alerts would otherwise wait for ever and nobody would see them."""
    add(store, clock, 1, "forgotten")
    status = status_of(store, [TELEGRAM], dry_run=False)
    assert [channel["name"] for channel in status["channels"]] == ["telegram", "forgotten"]
    assert (channel_of(status, "forgotten")["state"], channel_of(status, "forgotten")["backlog"]) == (
        "not_configured",
        1,
    )


@pytest.mark.parametrize(
    ("view", "dry_run", "state"),
    [
        (TELEGRAM, False, "ok"),
        (TELEGRAM, True, "dry_run"),
        (ChannelView("telegram", "telegram", enabled=True, up=False), False, "error"),
        (ChannelView("telegram", "telegram", enabled=False, up=False), False, "disabled"),
        (ChannelView("telegram", "telegram", enabled=False, up=True), True, "disabled"),
        (ChannelView("telegram", "", enabled=True, up=None), False, "not_running"),
    ],
)
def test_status_names_the_state_of_a_channel(store: Store, view: ChannelView, dry_run: bool, state: str) -> None:
    assert channel_of(status_of(store, [view], dry_run=dry_run))["state"] == state


def test_status_without_a_daemon_says_not_running(store: Store) -> None:
    status = status_of(store, [], dry_run=True)
    assert (status["running"], status["started_at"], status["channels"]) == (False, None, [])


def test_status_of_a_desk_tells_how_it_stands(store: Store, clock: FakeClock) -> None:
    """From well to paused, with when."""
    desk = ChannelDesk(ScriptedChannel("telegram"), clock)
    view = view_of(desk)
    assert (view.name, view.provider, view.enabled, view.up) == ("telegram", "scripted", True, True)
    desk.note(UNAUTHORIZED)
    channel = channel_of(status_of(store, [view_of(desk)], dry_run=False))
    assert (channel["state"], channel["paused"]) == ("error", True)
    assert channel["paused_since"] == told_time(clock)
    assert channel["breaker"] == {"state": "closed", "next_probe_at": None}
    desk.enabled = False
    assert channel_of(status_of(store, [view_of(desk)], dry_run=False))["state"] == "disabled"


def test_status_of_a_desk_tells_until_when_it_is_held_and_probed(store: Store, clock: FakeClock) -> None:
    """What an operator who is woken wants to know: it waits, and until when."""
    desk = ChannelDesk(ScriptedChannel("telegram"), clock)
    for _ in range(3):
        desk.note(Outcome(Reason.NETWORK, "refused"))
    desk.hold(35)
    channel = channel_of(status_of(store, [view_of(desk)], dry_run=False))
    assert (channel["state"], channel["breaker"]["state"]) == ("error", "open")
    assert channel["breaker"]["next_probe_at"] > told_time(clock)
    assert channel["wait_seconds"] == 35
    clock.advance(35)
    assert channel["held_until"] == told_time(clock)


def test_status_tells_of_receipts_and_of_the_window(store: Store, clock: FakeClock) -> None:
    """Whether anybody can know that a message arrived, and when the person last wrote."""
    known = Remembered(inbound_us=clock.now_us())
    view = ChannelView(
        "whatsapp", "twilio", enabled=True, up=True, receipts=ReceiptMode.OFF, window=Window.OPEN, remembered=known
    )
    channel = channel_of(status_of(store, [view], dry_run=False), "whatsapp")
    assert channel["receipts"] == {"mode": "off", "waiting": 0}
    assert channel["window"] == {
        "state": "open",
        "last_message_of_person_at": told_time(clock),
        "last_refusal_at": None,
    }


def test_status_tells_how_quick_a_channel_was_and_what_it_told_last(store: Store, clock: FakeClock) -> None:
    """Of more messages than are shown, the newest; each from publication to acceptance."""
    for number in range(1, RECENT + 3):
        add(store, clock, number)
        clock.advance(number)
        attempt(store, Outcome(Reason.ACCEPTED, status=200), Done())
    channel = channel_of(status_of(store, [TELEGRAM], dry_run=False))
    recent = channel["latency"]["recent"]
    assert [point["seconds"] for point in recent] == list(range(3, RECENT + 3))
    assert (channel["latency"]["p50_seconds"], channel["latency"]["p95_seconds"]) == (22, 40)
    assert recent[-1]["at"] == told_time(clock)
    newest = store.history(1)[0]["alert"]
    assert channel["last_alert"] == {
        "alert_id": newest["id"],
        "at": told_time(clock),
        "severity": newest["severity"],
        "event_type": newest["event_type"],
        "symbol": newest["symbol"],
        "text": newest["description"],
        "seconds": RECENT + 2,
    }


def test_status_counts_critical_alerts_that_nobody_acknowledged(store: Store, clock: FakeClock) -> None:
    """Those of the last day; whatever is less severe waits for nobody."""
    critical = [
        incoming(risk_event(severity=Severity.CRITICAL), number, published_us=clock.now_us(), planned=())
        for number in (1, 2)
    ]
    store.accept(
        [*critical, incoming(risk_event(severity=Severity.WARNING), 3, published_us=clock.now_us(), planned=())]
    )
    assert status_of(store, [], dry_run=False)["unacknowledged_critical"] == 2
    store.acknowledge(critical[0].alert.id, "anna", "api", "")
    assert status_of(store, [], dry_run=False)["unacknowledged_critical"] == 1
    clock.advance(86_401)
    assert status_of(store, [], dry_run=False)["unacknowledged_critical"] == 0


def test_status_counts_no_critical_that_is_a_test_or_over(store: Store, clock: FakeClock) -> None:
    """A test wakes nobody; what ended, as its own alert tells, waits for nobody."""
    begun = _own("PUBLISHER_SILENT", Severity.CRITICAL)
    for event in (_own("TEST_DRAWDOWN", Severity.CRITICAL), begun):
        store.accept([incoming(event, None, stream=None, published_us=clock.now_us(), planned=())])
    assert status_of(store, [], dry_run=False)["unacknowledged_critical"] == 1
    assert store.newest_unacknowledged() == begun.id
    ending = _own("PUBLISHER_BEATS_AGAIN", Severity.INFO, resolves=begun.id)
    store.accept([incoming(ending, None, stream=None, published_us=clock.now_us(), planned=())])
    assert status_of(store, [], dry_run=False)["unacknowledged_critical"] == 0
    assert (store.newest_unacknowledged(), store.history(9, acknowledged=False)) == (None, [])
    assert [entry["resolved_by"] for entry in store.history(9)] == [None, str(ending.id), None]


def _own(event_type: str, severity: Severity, resolves: UUID | None = None) -> SystemEvent:
    return SystemEvent(
        source="alertbus", event_type=event_type, severity=severity, description=event_type, resolves=resolves
    )


@pytest.mark.parametrize(
    ("provider", "status", "detail", "text"),
    [
        (
            "telegram",
            400,
            "chat not found",
            "Telegram refuses this chat: chat not found. Put TELEGRAM_CHAT_ID right, then resume the channel.",
        ),
        (
            "telegram",
            401,
            "Unauthorized",
            "Telegram refuses this bot's token: Unauthorized. Put TELEGRAM_BOT_TOKEN right, then resume the channel.",
        ),
        (
            "meta",
            401,
            "Expired",
            "Meta refuses this token: Expired. Put WHATSAPP_CLOUD_TOKEN right, then resume the channel.",
        ),
        ("json", 403, "", "desk refuses to send. Put the channel's address right, then resume the channel."),
    ],
)
def test_problem_of_a_paused_channel_says_what_to_put_right(
    provider: str, status: int, detail: str, text: str, clock: FakeClock
) -> None:
    desk = ChannelDesk(ScriptedChannel("desk"), clock)
    desk.note(UNAUTHORIZED)
    error = {"reason": "unauthorized", "status": status, "code": str(status), "detail": detail}
    problem = problem_of("desk", provider, desk.view, error)
    assert problem == {"kind": "paused", "text": text, "since_us": clock.now_us(), "until_us": None}


def test_status_tells_the_problem_of_a_channel(store: Store, clock: FakeClock) -> None:
    """Held is less than failing, and failing less than paused; a channel that is well has none."""
    desk = ChannelDesk(ScriptedChannel("telegram"), clock)

    def problem() -> Any:
        return channel_of(status_of(store, [view_of(desk)], dry_run=False))["problem"]

    assert problem() is None
    desk.hold(35)
    assert (problem()["kind"], problem()["until_at"]) == ("held", "2025-10-09T08:53:55.000+00:00")
    for _ in range(3):
        desk.note(Outcome(Reason.NETWORK, "refused"))
    assert problem()["kind"] == "failing"
    assert problem()["until_at"] > told_time(clock)
    desk.note(UNAUTHORIZED)
    assert (problem()["kind"], problem()["since_at"]) == ("paused", told_time(clock))


def test_status_tells_the_routes_that_lead_to_a_channel_and_its_pace(store: Store, clock: FakeClock) -> None:
    desk = ChannelDesk(ScriptedChannel("telegram"), clock)
    routes = routes_to(Rules.of_defaults(["telegram", "whatsapp"]))
    channel = channel_of(status_of(store, [view_of(desk)], dry_run=False, routes=routes))
    assert channel["routes"] == ["warnings", "trades"]
    assert channel["pace"] == {"interval_seconds": 0, "wait_seconds": 0}
    assert routes["whatsapp"] == ("warnings",)


def test_status_tells_who_switched_a_channel(store: Store, clock: FakeClock) -> None:
    store.switch_channel("telegram", enabled=False, author="anna", via="api")
    channel = channel_of(status_of(store, [TELEGRAM], dry_run=False))
    assert channel["switched"] == {"enabled": False, "at": told_time(clock), "author": "anna", "via": "api"}


def test_status_of_a_failed_attempt_names_its_alert(store: Store, clock: FakeClock) -> None:
    add(store, clock, 1)
    attempt(store, Outcome(Reason.REJECTED, "too long"), GiveUp(DeliveryState.DEAD))
    error = channel_of(status_of(store, [TELEGRAM], dry_run=False))["last_error"]
    assert error["alert_id"] == store.history(1)[0]["alert"]["id"]


class Counted:
    """A status that is found out, and how often."""

    def __init__(self) -> None:
        self.times, self.change, self.now, self.costs = 0, 0, 0.0, 0.0

    def find_out(self) -> dict[str, Any]:
        self.times += 1
        self.now += self.costs
        return {"time": self.times}

    def latest(self) -> LatestStatus:
        return LatestStatus(self.find_out, lambda: self.change, monotonic=lambda: self.now)


def test_latest_status_is_shared_for_half_a_second() -> None:
    counted = Counted()
    latest = counted.latest()
    assert [latest(), latest()] == [{"time": 1}] * 2
    counted.now = 0.5
    assert latest() == {"time": 2}


def test_latest_status_is_found_out_anew_after_a_change() -> None:
    """Whoever has switched a channel off sees it."""
    counted = Counted()
    latest = counted.latest()
    latest()
    counted.change = 1
    assert latest() == {"time": 2}


def test_latest_status_that_took_long_is_shared_for_longer() -> None:
    """However much is stored, pages that ask take a tenth of a core; no status is older than 5 seconds and its cost."""
    counted = Counted()
    counted.costs = 0.2
    latest = counted.latest()
    latest()
    counted.now += 1.9
    assert latest() == {"time": 1}
    counted.now += 0.2
    counted.costs = 3
    assert latest() == {"time": 2}
    counted.now += 5
    assert latest() == {"time": 3}


def test_latest_status_of_many_who_ask_at_once_is_found_out_once() -> None:
    counted = Counted()
    latest = counted.latest()
    with ThreadPoolExecutor(10) as askers:
        told = list(askers.map(lambda _: latest(), range(100)))
    assert (told, counted.times) == ([{"time": 1}] * 100, 1)
