"""Whole daemons whose WhatsApp hangs, or answers a byte a second: each send ends at its deadline, and Telegram goes on.

Two daemons share the database, so that somebody is there who could take over what another one still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from bus.clock import SystemClock
from subscriber.deliveries import PlannedDelivery
from subscriber.policy.wording import REPEAT_TEXT
from subscriber.service import RunOptions
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.daemon import provider_environ
from tests.support.provider_desk import RecordedRequest
from tests.support.provider_faults import Fault, drip, for_posts, hang
from tests.support.provider_server import ProviderServer
from tests.support.running_service import ServiceThread, running_service
from tests.support.waiting import wait_until

#: Real seconds.
DEADLINE: Final = 1.0
LEASE: Final = 20.0
PATIENCE: Final = 30.0
ALERTS: Final = 5
#: Looks often, so that nothing stays unclaimed because nobody looked.
OPTIONS: Final = RunOptions(interval_seconds=0.02)


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


def environ_for(providers: ProviderServer, url: str, deadline: float = DEADLINE) -> dict[str, str]:
    """Return what two daemons of one database have in common."""
    return provider_environ(providers) | {
        "ALERTBUS_DATABASE_URL": url,
        "ALERTBUS_DELIVERY_DEADLINE": str(deadline),
        "ALERTBUS_DELIVERY_LEASE": str(LEASE),
        "ALERTBUS_DELIVERY_BACKOFF_BASE": "0.05",
        "ALERTBUS_DELIVERY_BACKOFF_CAP": "0.05",
    }


def store_alerts(url: str, count: int, *channels: str) -> list[UUID]:
    """Store alerts that wait for channels and return their ids, the oldest first."""
    now_us = SystemClock().now_us()
    planned = tuple(PlannedDelivery(channel, now_us) for channel in channels)
    alerts = [risk_event(description=f"Drawdown {number}") for number in range(count)]
    with Store(url) as store:
        store.accept(
            [
                incoming(alert, number, published_us=now_us, planned=planned)
                for number, alert in enumerate(alerts, start=1)
            ]
        )
    return [alert.id for alert in alerts]


def sends(providers: ProviderServer) -> list[RecordedRequest]:
    """Return the messages that Twilio was asked to send."""
    return [request for request in providers.twilio.requests if request.request.method == "POST"]


def whatsapp(daemon: ServiceThread, alert: UUID) -> dict[str, Any]:
    """Return an alert's delivery on WhatsApp with its attempts."""
    (delivery,) = [one for one in daemon.get(f"/alerts/{alert}")["deliveries"] if one["channel"] == "whatsapp"]
    found: dict[str, Any] = delivery
    return found


@pytest.mark.parametrize("fault", [hang, lambda: drip(1, 1.0)], ids=["hangs", "drips"])
def test_send_to_a_slow_provider_ends_at_its_deadline_and_is_repeated_with_a_mark(
    providers: ProviderServer, store_url: str, tmp_path: Path, fault: Callable[[], Fault]
) -> None:
    """Neither daemon takes over what the other holds, and the one repeat says in its text that it may be one."""
    (alert,) = store_alerts(store_url, 1, "whatsapp")
    providers.twilio.script(for_posts(fault()))
    environ = environ_for(providers, store_url)
    with (
        running_service(environ, tmp_path, options=OPTIONS) as first,
        running_service(environ, tmp_path, options=OPTIONS),
    ):
        wait_until(lambda: whatsapp(first, alert)["status"] in {"accepted", "delivered"}, PATIENCE)
        delivery = whatsapp(first, alert)
    slow, repeat = delivery["attempts"]
    assert (slow["reason"], repeat["reason"]) == ("timeout", "accepted")
    assert DEADLINE <= slow["seconds"] < LEASE
    assert slow["closed_us"] <= repeat["opened_us"]
    assert (slow["possible_repeat"], repeat["possible_repeat"]) == (False, True)
    bodies = [request.request.form()["Body"] for request in sends(providers)]
    assert [REPEAT_TEXT in body for body in bodies] == [False, True]
    with Store(store_url) as store:
        assert store.audit([]).balanced


def test_telegram_tells_everything_while_whatsapps_first_still_hangs(
    providers: ProviderServer, store_url: str, tmp_path: Path
) -> None:
    """Both have the same alerts; when Telegram has told the last one, WhatsApp has not even ended its first send."""
    store_alerts(store_url, ALERTS, "whatsapp", "telegram")
    stuck = for_posts(hang())
    providers.twilio.always(stuck)
    environ = environ_for(providers, store_url, deadline=LEASE - 1)
    with running_service(environ, tmp_path, options=OPTIONS) as daemon:
        wait_until(lambda: sends(providers), PATIENCE)
        providers.wait_for_accepted(ALERTS, provider="telegram", timeout=PATIENCE)
        assert [request.verdict for request in sends(providers)] == ["pending"]
        assert daemon.states()["whatsapp"] == ["pending"] * ALERTS
        providers.twilio.behave()
        stuck.release()
        wait_until(lambda: set(daemon.states()["whatsapp"]) <= {"accepted", "delivered"}, PATIENCE)
    assert len(sends(providers)) == ALERTS
