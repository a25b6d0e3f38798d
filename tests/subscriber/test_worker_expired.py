"""What gets too old on a channel: ended in bulk, never sent one by one, and told in one message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import Dedup, Grouping, Limit, Message, Outcome, PlannedDelivery, Reason
from subscriber.store import Store
from tests.support.alerts import risk_event
from tests.support.clock import FakeClock
from tests.support.worker_bench import ACCEPTED, Bench, ScriptedChannel, drive

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

HOUR = 3600
TIMEOUT = Outcome(Reason.TIMEOUT, "no answer within 15 s", in_doubt=True)


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[Bench]:
    with Bench(store, clock) as made:
        yield made


def hourly(bench: Bench, clock: FakeClock, count: int, **fields: Any) -> list[Alert]:
    """Store alerts that are of use for an hour."""
    alerts: list[Alert] = [risk_event(**{"severity": "WARNING", **fields}) for _ in range(count)]
    planned = (PlannedDelivery("telegram", clock.now_us(), max_age_us=HOUR * MICROSECONDS),)
    bench.add_all(alerts, planned=planned)
    return alerts


def own_events(bench: Bench) -> list[dict[str, Any]]:
    return [each for each in bench.store.history(1000) if each["alert"]["event_type"] == "ALERTS_EXPIRED"]


def test_outage_of_hours_sends_nothing_stale_and_tells_of_it_once(bench: Bench, clock: FakeClock) -> None:
    """Three hundred alerts after a night: one message, and a CRITICAL that has no age."""
    channel = ScriptedChannel(pace=(Limit(messages=1, seconds=1),))
    worker = bench.worker(bench.desk(channel), max_delay_seconds=30.0, interval_seconds=1.0)
    stale = hourly(bench, clock, 300)
    critical = bench.add()
    clock.advance(5 * HOUR)
    fresh = hourly(bench, clock, 1, symbol="FRESH")
    drive(worker, clock, 5)
    assert {bench.delivery(alert)["status"] for alert in stale} == {"expired"}
    assert [bench.delivery(alert)["status"] for alert in (critical, *fresh)] == ["accepted"] * 2
    assert len(channel.sent) == 3
    (told,) = [message.text for message in channel.sent if "ALERTS_EXPIRED" in message.text]
    assert "300" in told
    assert bench.metric("deliveries_total", channel="telegram", state="expired") == 300
    assert bench.metric("deliveries_total", channel="telegram", state="pending") == 1  # of the event itself
    assert len(own_events(bench)) == 1
    assert bench.store.audit().balanced


def test_expired_that_may_have_arrived_says_so(bench: Bench, clock: FakeClock) -> None:
    """Its only try timed out, and it got too old before the next one."""

    def hang(_message: Message) -> Outcome:
        clock.advance(HOUR)
        return TIMEOUT

    channel = ScriptedChannel("telegram", hang)
    worker = bench.worker(bench.desk(channel), interval_seconds=1.0)
    (alert,) = hourly(bench, clock, 1)
    drive(worker, clock, 3)
    assert bench.delivery(alert)["status"] == "expired"
    told = channel.sent[-1].text
    assert "ALERTS_EXPIRED" in told
    assert "may have arrived" in told


def test_expiring_one_after_the_other_is_told_once_a_minute(bench: Bench, clock: FakeClock) -> None:
    """Behind a storm alerts get too old one by one; that is no reason for another storm."""
    channel = ScriptedChannel()
    worker = bench.worker(bench.desk(channel), interval_seconds=1.0)
    planned = tuple(
        PlannedDelivery("telegram", clock.now_us() + HOUR * MICROSECONDS, max_age_us=second * MICROSECONDS)
        for second in range(1, 101)
    )
    for each in planned:
        bench.add(risk_event(severity="WARNING"), planned=(each,))
    drive(worker, clock, 110)
    assert len(own_events(bench)) == 2
    drive(worker, clock, 60)
    assert len(own_events(bench)) == 2 + 1
    assert bench.metric("deliveries_total", channel="telegram", state="expired") == 100
    assert bench.store.untold_expired("telegram", 10) == []


def test_expired_in_an_earlier_run_and_untold_is_told_at_the_start(
    bench: Bench, clock: FakeClock, store: Store
) -> None:
    """A daemon that ended between the two leaves nothing in silence."""
    hourly(bench, clock, 3)
    clock.advance(2 * HOUR)
    assert store.expire("telegram", clock.now_us()) == 3
    channel = ScriptedChannel()
    drive(bench.worker(bench.desk(channel), interval_seconds=1.0), clock, 1)
    assert ["ALERTS_EXPIRED" in message.text for message in channel.sent] == [True]


def test_expired_while_the_channel_is_paused_is_told_when_it_is_resumed(bench: Bench, clock: FakeClock) -> None:
    """One message for the whole pause, and not one for each hour of it."""
    channel = ScriptedChannel("telegram", Outcome(Reason.UNAUTHORIZED, "blocked", status=403), ACCEPTED)
    desk = bench.desk(channel)
    worker = bench.worker(desk, interval_seconds=1.0)
    bench.add()
    drive(worker, clock, 1)
    assert desk.paused
    for _ in range(4):
        hourly(bench, clock, 2)
        clock.advance(2 * HOUR)
        drive(worker, clock, 2)
    assert own_events(bench) == []
    desk.resume()
    drive(worker, clock, 3)
    assert len(own_events(bench)) == 1
    assert ["8" in message.text for message in channel.sent if "ALERTS_EXPIRED" in message.text] == [True]


def test_expired_is_told_by_one_of_several_workers(bench: Bench, clock: FakeClock, store: Store) -> None:
    channel = ScriptedChannel(concurrency=2)
    desk = bench.desk(channel)
    workers = [bench.worker(desk, name, interval_seconds=1.0) for name in ("first", "second")]
    hourly(bench, clock, 3)
    clock.advance(2 * HOUR)
    for worker in workers:
        drive(worker, clock, 1)
    assert len(own_events(bench)) == 1
    assert store.audit().balanced


def test_expired_tells_how_many_it_had_counted(bench: Bench, clock: FakeClock) -> None:
    """Forty-two more came in the window of an alert that was sent; nobody else would tell of them."""
    channel = ScriptedChannel()
    worker = bench.worker(bench.desk(channel), interval_seconds=1.0)
    dedup = Dedup(b"like this one   ", 300 * MICROSECONDS)
    for _ in range(43):
        bench.add(
            risk_event(severity="WARNING"),
            planned=(PlannedDelivery("telegram", clock.now_us(), dedup=dedup, max_age_us=60 * MICROSECONDS),),
        )
    drive(worker, clock, 1)
    clock.advance(HOUR)
    drive(worker, clock, 2)
    first, told = (message.text for message in channel.sent)
    assert "more in" not in first
    assert "1 alert (+41 counted)" in told
    assert "expired: 1\ncounted: 41\n" in told
    assert bench.store.audit().balanced


@pytest.mark.parametrize("planned", [False, True])
def test_expired_is_told_by_itself_also_in_a_storm(bench: Bench, clock: FakeClock, planned: bool) -> None:
    """A storm's message would only count it, and so hide what nobody was told of; so would its group's."""
    grouping = Grouping(600 * MICROSECONDS, 600 * MICROSECONDS)
    plan = PlannedDelivery("telegram", 0, batch="group:all:", grouping=grouping, max_age_us=1)
    channel = ScriptedChannel(pace=(Limit(messages=1, seconds=6),))
    desk = bench.desk(channel)
    worker = bench.worker(
        desk,
        max_delay_seconds=30.0,
        interval_seconds=1.0,
        plan_for=lambda _alert, _channel: (plan,) if planned else (),
    )
    hourly(bench, clock, 3, event_type="STALE")
    clock.advance(2 * HOUR)
    hourly(bench, clock, 60)
    drive(worker, clock, 20)
    (told,) = [message.text for message in channel.sent if "ALERTS_EXPIRED" in message.text]
    assert "3 alerts" in told
    assert told.count("STALE") == 3
    assert any("60 alerts" in message.text for message in channel.sent)
    assert bench.store.audit().balanced


def test_expired_waits_for_the_end_of_quiet_hours(bench: Bench, clock: FakeClock) -> None:
    """It is told with what they held."""
    morning_us = clock.now_us() + 10 * HOUR * MICROSECONDS
    held = PlannedDelivery("telegram", morning_us, batch="quiet:night", max_age_us=11 * HOUR * MICROSECONDS)
    channel = ScriptedChannel()
    worker = bench.worker(
        bench.desk(channel), max_delay_seconds=30.0, interval_seconds=1.0, plan_for=lambda _alert, _channel: (held,)
    )
    hourly(bench, clock, 3)
    bench.add(risk_event(severity="WARNING"), planned=(held,))
    clock.advance(2 * HOUR)
    drive(worker, clock, 5)
    assert (channel.sent, len(own_events(bench))) == ([], 1)
    clock.advance(8 * HOUR)
    drive(worker, clock, 5)
    (told,) = channel.sent
    assert "2 alerts" in told.text
    assert "ALERTS_EXPIRED" in told.text
