"""Workers on PostgreSQL: several daemons on one queue, and a server that goes away in the middle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bus.clock import SystemClock
from subscriber.deliveries import Limit, Message, Outcome, Reason
from subscriber.policy.retry import RetryPolicy
from subscriber.policy.wording import REPEAT_TEXT
from subscriber.store import Store
from tests.subscriber.conftest import PostgresqlServer
from tests.support.alerts import risk_event
from tests.support.clock import FakeClock
from tests.support.waiting import wait_until
from tests.support.worker_bench import ACCEPTED, Bench, ScriptedChannel, drive

on_postgresql = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subscriber.delivery.worker._STORE_BACKOFF_SECONDS", 0.005)


@pytest.fixture
def bench(store_url: str) -> Iterator[Bench]:
    with Store(store_url) as store, Bench(store, SystemClock()) as made:
        yield made


@on_postgresql
def test_delivery_failed_once_arrives_as_a_possible_repeat(bench: Bench) -> None:
    channel = ScriptedChannel("telegram", Outcome(Reason.TIMEOUT, "no answer", in_doubt=True))
    desk = bench.desk(channel)
    alert = bench.add()
    bench.start(desk, policy=RetryPolicy(backoff_base_seconds=0.01, backoff_cap_seconds=0.01))
    delivery = bench.wait_for(alert, "accepted")
    assert [attempt["reason"] for attempt in delivery["attempts"]] == ["timeout", "accepted"]
    assert [REPEAT_TEXT in message.text for message in channel.sent] == [False, True]


@on_postgresql
def test_workers_of_two_daemons_send_each_alert_once(bench: Bench, store_url: str) -> None:
    """Both claim from one queue, through stores of their own; no row is taken twice."""
    alerts = [bench.add() for _ in range(30)]
    channels = [ScriptedChannel(), ScriptedChannel()]
    with ExitStack() as opened:
        other = opened.enter_context(Bench(opened.enter_context(Store(store_url)), SystemClock()))
        bench.start(bench.desk(channels[0]), "daemon-1")
        other.start(other.desk(channels[1]), "daemon-2")
        wait_until(lambda: bench.store.channel_counts()["telegram"] == {"accepted": 30})
    assert sum(len(channel.sent) for channel in channels) == 30
    assert all(len(bench.delivery(alert)["attempts"]) == 1 for alert in alerts)


@on_postgresql
def test_storm_that_another_daemon_tells_is_collected_by_this_one_too(store_url: str, clock: FakeClock) -> None:
    """Else each would tell it for itself, and people would get twice as many messages."""
    channels = [ScriptedChannel(pace=(Limit(1, 1.0),)), ScriptedChannel(pace=(Limit(1, 1.0),))]
    with Store(store_url, clock) as store, Store(store_url, clock) as other:
        benches = [Bench(store, clock), Bench(other, clock)]
        workers = [
            bench.worker(bench.desk(channel), f"daemon-{place}", max_delay_seconds=30.0, interval_seconds=1.0)
            for place, (bench, channel) in enumerate(zip(benches, channels, strict=True))
        ]
        benches[0].add_all([risk_event(severity="WARNING") for _ in range(60)])
        drive(workers[0], clock, 3)
        assert "60 alerts" in channels[0].sent[-1].text
        benches[0].add_all([risk_event(severity="WARNING") for _ in range(60)])
        drive(workers[1], clock, 20)
        assert channels[1].sent == []
        drive(workers[1], clock, 12)
        assert ["60 alerts" in message.text for message in channels[1].sent] == [True]


def test_worker_whose_connections_are_cut_while_it_sends_records_the_answer(postgresql: PostgresqlServer) -> None:
    """A restart of the server costs a new connection, and not the result of an attempt."""
    url = postgresql.new_database()  # of its own: those of the other tests' fixtures would be cut as well
    cut = threading.Event()

    def restart(_message: Message) -> Outcome:
        postgresql.end_connections(url)
        cut.set()
        return ACCEPTED

    channel = ScriptedChannel("telegram", restart)
    with Store(url) as store, Bench(store, SystemClock()) as bench:
        alert = bench.add()
        bench.start(bench.desk(channel))
        assert cut.wait(10)
        delivery = bench.wait_for(alert, "accepted")
        assert (len(channel.sent), len(delivery["attempts"]), delivery["possible_repeat"]) == (1, 1, False)


@on_postgresql
def test_worker_lost_its_lease_while_sending_drops_the_result(bench: Bench) -> None:
    def taken_over(_message: Message) -> Outcome:
        (delivery,) = bench.store.fetch_pending_notifications()
        bench.store.mark_notification_sent(delivery["id"], "sent")
        return Outcome(Reason.REJECTED, "Bad Request", status=400)

    desk = bench.desk(ScriptedChannel("telegram", taken_over))
    alert = bench.add()
    bench.start(desk)
    wait_until(lambda: bench.metric("leases_lost_total") == 1)
    bench.wait_for(alert, "accepted")
    assert bench.metric("deliveries_total", channel="telegram", state="dead") == 0


@on_postgresql
def test_worker_sends_what_another_daemon_gives_back(bench: Bench) -> None:
    alert = bench.add()
    (held,) = bench.store.claim("telegram", "another daemon", 3600.0, 1)
    channel = ScriptedChannel()
    bench.start(bench.desk(channel))
    bench.store.release([held])
    bench.wait_for(alert, "accepted")
    assert len(channel.sent) == 1
