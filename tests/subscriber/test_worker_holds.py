"""A worker whose provider wants to be left alone for days, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bus.alerts import Severity
from bus.clock import MICROSECONDS
from subscriber.deliveries import Outcome, Reason
from subscriber.delivery.desk import ChannelDesk
from subscriber.store import Store
from tests.support.clock import FakeClock
from tests.support.waiting import wait_until
from tests.support.worker_bench import Bench, ScriptedChannel

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

DAY = 86_400
WEEK_LONG = Outcome(Reason.RATE_LIMITED, "Too Many Requests", status=429, retry_after_seconds=7 * DAY)


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[Bench]:
    with Bench(store, clock) as made:
        yield made


def test_worker_held_for_days_shows_an_error_and_tells_it_once(bench: Bench) -> None:
    """Nobody would look for it: a channel that is silent for a week has to say so by the others."""
    desk = bench.desk(ScriptedChannel("telegram", WEEK_LONG, WEEK_LONG, concurrency=2))
    alerts = [bench.add() for _ in range(2)]
    bench.start(desk)
    bench.wait_for_attempts(alerts[0], 1)
    wait_until(lambda: bench.announced)
    until_us = bench.clock.now_us() + 7 * DAY * MICROSECONDS
    (event,) = bench.announced
    assert (event.event_type, event.severity, event.source) == ("CHANNEL_HELD", Severity.WARNING, "alertbus")
    assert "sends nothing until 2025-10-16 08:53:20 UTC" in event.description
    assert "Too Many Requests" in event.description
    assert "alertbus-subscriber resume telegram" in event.description
    assert (desk.up, desk.view.held_until_us) == (False, until_us)
    assert bench.metric("channel_up", channel="telegram") == 0


@pytest.mark.parametrize("lift", [ChannelDesk.resume, ChannelDesk.try_now])
def test_worker_held_for_days_sends_what_waits_when_a_person_lifts_it(
    bench: Bench, clock: FakeClock, lift: Callable[[ChannelDesk], bool]
) -> None:
    """What came meanwhile at once; what was refused within minutes, too, and not after the week."""
    channel = ScriptedChannel("telegram", WEEK_LONG)
    desk = bench.desk(channel)
    refused = bench.add()
    worker = bench.start(desk)
    bench.wait_for_attempts(refused, 1)
    wait_until(lambda: bench.announced)
    clock.advance(3600)
    later = bench.add()
    assert worker._turn() > 0
    assert len(channel.sent) == 1
    lift(desk)
    bench.wait_for(later, "accepted")
    bench.wait_for(refused, "accepted")
    assert desk.up


def test_worker_told_by_a_failing_provider_to_wait_for_days_tries_again_after_minutes(
    bench: Bench, clock: FakeClock
) -> None:
    failed = Outcome(Reason.UNAVAILABLE, status=503, retry_after_seconds=3 * DAY)
    desk = bench.desk(ScriptedChannel("telegram", failed))
    alert = bench.add()
    bench.start(desk)
    bench.wait_for_attempts(alert, 1)
    clock.advance(600)
    bench.wait_for(alert, "accepted")
    assert bench.announced == []


def test_worker_whose_probe_is_told_to_wait_for_days_tells_it(bench: Bench, clock: FakeClock) -> None:
    network = Outcome(Reason.NETWORK)
    desk = bench.desk(ScriptedChannel("telegram", network, network, network, probes=[WEEK_LONG]))
    bench.add()
    bench.start(desk)
    wait_until(lambda: _moved_on(bench, clock))
    (event,) = bench.announced
    assert event.event_type == "CHANNEL_HELD"


def _moved_on(bench: Bench, clock: FakeClock) -> bool:
    """Let time pass until the three failures, the wait and the probe are through."""
    clock.advance(1)
    return bool(bench.announced)
