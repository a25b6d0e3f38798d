"""What the status says, from both databases and with or without a daemon."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bus.clock import from_us
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
from subscriber.receipts import ReceiptMode
from subscriber.status import ChannelView, status_of, view_of
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


def test_status_of_an_empty_store_has_every_field_and_no_numbers(store: Store) -> None:
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
        "receipts": None,
        "window": None,
    }
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
