"""POST /test with an alert: where the routes send such a one and what it waits for; and how many tests there may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from subscriber.deliveries import Outcome, Reason
from subscriber.monitoring.trial_models import TrialShown
from tests.support.alerts import STREAM, incoming, risk_event
from tests.support.provider_faults import error, for_posts
from tests.support.provider_server import ProviderServer
from tests.support.running_service import PREFIX, ServiceThread, provider_environ, running_service
from tests.support.waiting import wait_until

TOML = """
[quiet_hours.always]
windows = ["Mon-Sun NOW"]

[[routes]]
name = "night"
match = { symbol = "NIGHT" }
channels = ["telegram"]
quiet_hours = ["always"]

[[routes]]
name = "counted"
match = { symbol = "COUNTED" }
channels = ["telegram"]
dedup = { window = "10min" }

[[routes]]
name = "grouped"
match = { symbol = "GROUPED" }
channels = ["telegram"]
group = { by = ["symbol"], wait = "10min", interval = "10min" }

[[routes]]
name = "woken"
match = { severity = "CRITICAL" }
channels = ["telegram"]
fallback = ["whatsapp"]
escalate = { ack_within = "1min", to = ["whatsapp"] }

[[routes]]
name = "rest"
match = { severity = "WARNING" }
channels = ["telegram"]
"""


@pytest.fixture(scope="module")
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture(scope="module")
def daemon(providers: ProviderServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    """A daemon with routes, that takes more tests in a row than a real one; its books balance at the end."""
    folder = tmp_path_factory.mktemp("daemon")
    now = datetime.now(UTC)
    quiet = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=12):%H:%M}"
    (folder / "alertbus.toml").write_text(TOML.replace("NOW", quiet))
    config = {"ALERTBUS_CONFIG": str(folder / "alertbus.toml"), "ALERTBUS_TIMEZONE": "UTC"}
    environ = provider_environ(providers) | config
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("subscriber.monitoring.trial_api.MOST_TESTS", 1000)
            running = stack.enter_context(running_service(environ, folder))
        yield running
        assert running.service._store.audit().faults == ()


def tried(daemon: ServiceThread, **alert: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Send a test as an alert; return the answer, and the result of its only channel."""
    answer = daemon.post("/test", {"alert": alert})
    TrialShown.model_validate(answer)
    (result,) = answer["channels"]
    return answer, result


def switch(daemon: ServiceThread, channel: str, *, enabled: bool) -> None:
    assert daemon.http.patch(f"{PREFIX}/channels/{channel}", json={"enabled": enabled}).status_code == 200


def texts(providers: ProviderServer, part: str) -> list[str]:
    return [message.text for message in providers.accepted if part in message.text]


def test_test_as_an_alert_goes_by_its_route_and_says_that_it_is_a_test(
    daemon: ServiceThread, providers: ProviderServer
) -> None:
    answer, result = tried(daemon, severity="WARNING", event_type="SPREAD", symbol="TNA", description="Spread is wide")
    assert (answer["route"], answer["not_routed"]) == ("rest", False)
    assert (result["channel"], result["accepted"], result["waiting_for"]) == ("telegram", True, None)
    (text,) = texts(providers, "Spread is wide")
    head, said, *_ = text.split("\n")
    assert head.endswith("WARNING TEST_SPREAD TNA")
    assert said == "TEST: Spread is wide"


def test_test_as_a_trade_says_that_it_is_a_test(daemon: ServiceThread, providers: ProviderServer) -> None:
    """A trade that nobody made must not look like one."""
    answer = daemon.post("/test", {"channel": "telegram", "alert": {"action": "BUY", "symbol": "UPRO"}})
    assert answer["channels"][0]["accepted"]
    (text,) = texts(providers, "UPRO")
    assert "TEST_BUY UPRO" in text.split("\n")[0]
    assert text.split("\n")[1].startswith("TEST: ")


def test_test_that_no_route_takes_says_so_at_once(daemon: ServiceThread) -> None:
    answer = daemon.post("/test", {"alert": {"severity": "INFO"}})
    assert (answer["not_routed"], answer["route"], answer["channels"]) == (True, None, [])
    assert daemon.get(f"/alerts/{answer['alert_id']}")["marks"] == ["not_routed"]


def test_test_in_quiet_hours_says_until_when_it_is_held_without_waiting(daemon: ServiceThread) -> None:
    _, result = tried(daemon, severity="WARNING", symbol="NIGHT")
    assert (result["accepted"], result["state"]) == (False, "pending")
    assert result["waiting_for"].startswith("the end of the quiet hours always, until 2")


def test_test_in_a_silence_says_which_holds_it(daemon: ServiceThread) -> None:
    silence = daemon.post("/silences", {"match": {"symbol": "MUTED"}, "seconds": 3600, "author": "Kim"})
    _, result = tried(daemon, severity="WARNING", symbol="MUTED")
    assert result["waiting_for"].startswith(f"the end of silence {silence['id']}, until 2")


def test_test_in_a_silence_that_drops_says_so(daemon: ServiceThread) -> None:
    daemon.post("/silences", {"match": {"symbol": "DROPPED"}, "seconds": 3600, "author": "Kim", "drops": True})
    _, result = tried(daemon, severity="WARNING", symbol="DROPPED")
    assert (result["state"], result["why"], result["waiting_for"]) == ("suppressed", "silence", None)


def test_test_of_what_is_counted_is_told_each_time(daemon: ServiceThread) -> None:
    """Whoever tests twice is answered twice, whatever window alerts like it have."""
    alert = {"severity": "WARNING", "event_type": "SPREAD", "symbol": "COUNTED"}
    assert [tried(daemon, **alert)[1]["accepted"] for _ in range(2)] == [True, True]


def test_test_of_what_is_grouped_waits_for_its_group(daemon: ServiceThread) -> None:
    _, result = tried(daemon, severity="WARNING", symbol="GROUPED")
    assert result["waiting_for"].startswith("others of its group, which are told together, until 2")


def test_test_as_a_critical_escalates_to_nobody_and_has_no_fallback(
    daemon: ServiceThread, providers: ProviderServer
) -> None:
    providers.telegram.script(for_posts(error(400)))
    answer, result = tried(daemon, severity="CRITICAL", symbol="TNA")
    assert (answer["route"], result["state"]) == ("woken", "dead")
    story = daemon.get(f"/alerts/{answer['alert_id']}")
    assert (story["escalation"], [each["channel"] for each in story["deliveries"]]) == (None, ["telegram"])


@pytest.mark.parametrize(
    ("names", "asked"), [({"channel": "telegram"}, ["telegram"]), ({}, ["telegram", "whatsapp"])], ids=["one", "routes"]
)
def test_test_as_a_critical_of_channels_that_are_off_wakes_nobody(
    daemon: ServiceThread, providers: ProviderServer, names: dict[str, str], asked: list[str]
) -> None:
    """A real one would wait, and be told by the first that is on; of a test nobody else hears."""
    for name in asked:
        switch(daemon, name, enabled=False)
    answer = daemon.post("/test", {**names, "alert": {"severity": "CRITICAL", "symbol": "OFF", "description": "Off"}})
    assert {(each["state"], each["why"]) for each in answer["channels"]} == {("suppressed", "disabled")}
    assert daemon.get("/status")["uncovered_critical"] == 0
    for name in asked:
        switch(daemon, name, enabled=True)
    assert daemon.service._store.settle_switched_off(("telegram", "whatsapp"), 10).suppressed == {}
    told = daemon.get(f"/alerts/{answer['alert_id']}")["deliveries"]
    assert [each["channel"] for each in told] == [each["channel"] for each in answer["channels"]]
    assert texts(providers, "TEST: Off") == []


def test_test_as_an_alert_of_a_channel_that_is_paused_resumes_nothing(daemon: ServiceThread) -> None:
    """It shows what such an alert would meet now; a test of the channel itself resumes it."""
    desk = daemon.service._parts.desks["telegram"]
    desk.note(Outcome(Reason.UNAUTHORIZED, "blocked"))
    _, result = tried(daemon, severity="WARNING", symbol="PAUSED")
    assert (result["resumed"], desk.paused) == (False, True)
    assert result["waiting_for"].startswith("a person")
    desk.resume()
    wait_until(lambda: not desk.paused)


def test_test_as_an_alert_that_can_not_be_is_refused(daemon: ServiceThread) -> None:
    answer = daemon.http.post(f"{PREFIX}/test", json={"alert": {"action": "BUY", "severity": "CRITICAL"}})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "A trade has an action" in answer.json()["error"]


def test_real_alert_after_a_test_of_its_like_is_told_at_once(daemon: ServiceThread) -> None:
    """No test opens a window in which a real alert is counted; the next real one is, as the route says."""
    like = {"severity": "WARNING", "event_type": "REAL", "symbol": "COUNTED", "source": "trader-1"}
    tried(daemon, **like)
    parts = daemon.service._parts
    parts.store.begin(STREAM, "trader-1", 1)
    due_at = []
    for number in (1, 2):
        alert = risk_event(**like)
        now_us = parts.clock.now_us()
        planned, told = parts.plan(alert), {STREAM: number}
        parts.announcer.stored(
            parts.store.accept([incoming(alert, number, planned=planned, published_us=now_us)], told)
        )
        (delivery,) = daemon.get(f"/alerts/{alert.id}")["deliveries"]
        due_at.append(delivery["due_at"])
    assert due_at[0] <= parts.clock.now_us() < due_at[1]


def test_tests_beyond_ten_are_refused_until_there_is_one_more(providers: ProviderServer, tmp_path: Path) -> None:
    """For the whole daemon; the answer says when to try again, and then it is taken."""
    with running_service(provider_environ(providers), tmp_path) as daemon:
        body = {"alert": {"severity": "INFO"}}
        codes = [daemon.http.post(f"{PREFIX}/test", json=body).status_code for _ in range(11)]
        assert codes == [200] * 10 + [429]
        refused = daemon.http.post(f"{PREFIX}/test", json={"channel": "telegram"})
        assert refused.json()["code"] == "too_many_tests"
        wait = int(refused.headers["retry-after"])
        assert 1 <= wait <= 6
        assert refused.json()["error"] == f"Too many tests; try again in {wait} s."
