"""GET /history and /alerts/{id} over real HTTP: paging, filters, the story, and alerts that hold anything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from bus.alerts import Alert
from subscriber.deliveries import DeliveryState, PlannedDelivery, Why
from subscriber.store import Store
from tests.support.alerts import agent_action, incoming, risk_event
from tests.support.running_service import PREFIX, ServiceThread, running_service
from tests.support.waiting import wait_until

OFF = PlannedDelivery("archive", 0, DeliveryState.SUPPRESSED, Why.OFF)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    with running_service({}, tmp_path_factory.mktemp("daemon")) as running:
        yield running


@pytest.fixture(scope="module")
def stored(daemon: ServiceThread) -> list[Alert]:
    """Six alerts, the oldest first; their channels are none of the daemon's, so nothing changes them."""
    alerts: list[Alert] = [*(risk_event(symbol=f"S{number}") for number in range(5)), agent_action(action="HOLD")]
    now = daemon.service._clock.now_us()
    pending = PlannedDelivery("archive", now)
    plans: list[tuple[PlannedDelivery, ...]] = [
        (pending,),
        (OFF,),
        (pending, PlannedDelivery("desk", now)),
        (),
        (OFF,),
        (),
    ]
    with Store(daemon.environ["ALERTBUS_DATABASE_URL"]) as store:
        for number, (alert, plan) in enumerate(zip(alerts, plans, strict=True), start=1):
            store.accept([incoming(alert, number, published_us=now, planned=plan)])
    return alerts


def ids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["alert"]["id"] for entry in entries]


def test_history_lists_the_newest_first_with_deliveries_and_marks(daemon: ServiceThread, stored: list[Alert]) -> None:
    entries = daemon.get("/history")
    assert ids(entries) == [str(alert.id) for alert in reversed(stored)]
    assert entries[0]["marks"] == ["not_routed"]
    assert entries[0]["deliveries"] == []
    assert {delivery["channel"]: delivery["status"] for delivery in entries[3]["deliveries"]} == {
        "archive": "pending",
        "desk": "pending",
    }
    assert "state" not in entries[0]["alert"]


def test_history_is_paged_by_the_number_of_the_last_alert(daemon: ServiceThread, stored: list[Alert]) -> None:
    """Pages never repeat or skip an alert, whatever comes in meanwhile."""
    seen: list[str] = []
    page = daemon.get("/history", limit=4)
    while page:
        seen += ids(page)
        page = daemon.get("/history", limit=4, before=page[-1]["number"])
    assert seen == [str(alert.id) for alert in reversed(stored)]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"channel": "archive"}, [4, 2, 1, 0]),
        ({"channel": "desk"}, [2]),
        ({"state": "suppressed"}, [4, 1]),
        ({"state": "pending"}, [2, 0]),
        ({"channel": "desk", "state": "suppressed"}, []),
        ({"channel": "archive", "state": "pending", "limit": "1"}, [2]),
    ],
    ids=str,
)
def test_history_filters_by_channel_and_state(
    daemon: ServiceThread, stored: list[Alert], query: dict[str, str], numbers: list[int]
) -> None:
    assert ids(daemon.get("/history", **query)) == [str(stored[number].id) for number in numbers]


@pytest.mark.parametrize(("channel", "found"), [("telegram", 200), ("desk", 200), ("nobody", 404)])
def test_history_of_a_channel_that_nothing_knows_is_404(
    daemon: ServiceThread, stored: list[Alert], channel: str, found: int
) -> None:
    """Known is what is configured, and what any stored alert was planned for; anything else is a slip of the pen."""
    answer = daemon.http.get(f"{PREFIX}/history", params={"channel": channel})
    assert answer.status_code == found
    if found == 404:
        assert answer.json()["code"] == "unknown_channel"
        assert "telegram" in answer.json()["error"]


def test_history_filters_by_who_acknowledged(daemon: ServiceThread, stored: list[Alert]) -> None:
    """False: CRITICAL that nobody knows of yet; a trade or a warning waits for nobody."""
    known, trade = stored[3], stored[5]
    for alert in (known, trade):
        daemon.post(f"/alerts/{alert.id}/ack", {"author": "Kim"})
    assert ids(daemon.get("/history", acknowledged=True)) == [str(trade.id), str(known.id)]
    waiting = [stored[number] for number in (4, 2, 1, 0)]
    assert ids(daemon.get("/history", acknowledged=False)) == [str(alert.id) for alert in waiting]
    page = daemon.get("/history", acknowledged=False, limit=2)
    rest = daemon.get("/history", acknowledged=False, before=page[-1]["number"])
    assert ids(page + rest) == [str(alert.id) for alert in waiting]
    assert daemon.http.get(f"{PREFIX}/history", params={"acknowledged": "maybe"}).status_code == 422


def test_alert_tells_its_whole_story(daemon: ServiceThread) -> None:
    """Also one of the daemon's own, which no stream numbers."""
    alert_id = daemon.post("/test", {"text": "A story"})["alert_id"]
    story = daemon.get(f"/alerts/{alert_id}")
    assert story["alert"]["description"] == "A story"
    assert (story["stream"], story["sequence"]) == (None, None)
    assert {delivery["why"] for delivery in story["deliveries"]} == {"dry_run"}
    assert all(delivery["attempts"] == [] for delivery in story["deliveries"])


@pytest.mark.parametrize(
    "fields",
    [
        {"value": math.nan, "threshold": math.inf},
        {"description": "\ud800 half a character, \0 and \x1b[31m"},
        {"symbol": 'B"R</K>\n', "extra": {"nested": [math.nan, {"deep": -math.inf}], "\ud800": 1}},
    ],
    ids=["no numbers", "no text", "extra"],
)
def test_alert_that_holds_anything_is_told_as_json(daemon: ServiceThread, fields: dict[str, Any]) -> None:
    alert = risk_event(**fields)
    with Store(daemon.environ["ALERTBUS_DATABASE_URL"]) as store:
        store.accept([incoming(alert, stream=None, sequence=None, planned=(OFF,))])
    wait_until(lambda: daemon.get(f"/alerts/{alert.id}")["alert"]["id"] == str(alert.id))
    assert str(alert.id) in ids(daemon.get("/history", limit=500))
