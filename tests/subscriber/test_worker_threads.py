"""Workers as threads: pauses, several of them on one channel, several channels, and their end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bus.alerts import Severity
from bus.clock import MICROSECONDS, SystemClock
from subscriber.deliveries import Limit, Message, Outcome, Reason
from subscriber.policy.retry import RetryPolicy
from subscriber.store import Store
from tests.support.alerts import risk_event
from tests.support.clock import START_US, FakeClock
from tests.support.waiting import wait_until
from tests.support.worker_bench import ACCEPTED, Bench, ScriptedChannel

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

UNAUTHORIZED = Outcome(Reason.UNAUTHORIZED, "Forbidden: bot was blocked by the user", status=403, code="403")


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[Bench]:
    with Bench(store, clock) as made:
        yield made


def test_worker_unauthorized_pauses_and_tells_the_others_once(bench: Bench, clock: FakeClock) -> None:
    """The refused alert waits, without an attempt that counts; nothing more is sent until a person resumes."""
    channel = ScriptedChannel("telegram", UNAUTHORIZED)
    desk = bench.desk(channel)
    first, second = bench.add(), bench.add()
    bench.start(desk)
    delivery = bench.wait_for_attempts(first, 1)
    assert (delivery["status"], delivery["retries"], delivery["possible_repeat"]) == ("pending", 0, False)
    (event,) = bench.announced
    assert (event.event_type, event.severity, event.source) == ("CHANNEL_UNAUTHORIZED", Severity.CRITICAL, "alertbus")
    assert "telegram" in event.description
    assert "bot was blocked by the user" in event.description
    assert bench.metric("channel_up", channel="telegram") == 0
    clock.advance(3600)
    desk.wake.set()
    third = bench.add()
    assert (len(channel.sent), len(bench.announced)) == (1, 1)
    desk.resume()
    for alert in (first, second, third):
        bench.wait_for(alert, "accepted")
    assert len(channel.sent) == 4
    assert [told.event_type for told in bench.announced] == ["CHANNEL_UNAUTHORIZED", "CHANNEL_WORKS"]


def test_worker_of_a_disabled_channel_sends_nothing_until_it_is_enabled(bench: Bench) -> None:
    channel, other = ScriptedChannel(), ScriptedChannel("whatsapp")
    desk = bench.desk(channel)
    desk.enabled = False
    alert = bench.add(None, "telegram", "whatsapp")
    bench.start(desk)
    bench.start(bench.desk(other), "other")
    bench.wait_for(alert, "accepted", "whatsapp")
    assert (channel.sent, bench.delivery(alert)["status"]) == ([], "pending")
    desk.enabled = True
    desk.wake.set()
    bench.wait_for(alert, "accepted")


def test_worker_is_woken_and_need_not_poll(bench: Bench) -> None:
    """With an interval far beyond this test, only the ring can be what it hears."""
    desk = bench.desk(ScriptedChannel())
    bench.start(desk, interval_seconds=3600.0)
    alert = bench.add()
    desk.wake.set()
    bench.wait_for(alert, "accepted")


def test_worker_polls_what_another_daemon_stored(bench: Bench) -> None:
    desk = bench.desk(ScriptedChannel())
    bench.start(desk)
    bench.wait_for(bench.add(), "accepted")
    bench.wait_for(bench.add(), "accepted")


def test_worker_whose_queue_is_due_but_held_looks_again_in_a_while(
    bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease ends by the server's clock; where that is behind, a thousand claims a second would help nobody."""
    desk = bench.desk(ScriptedChannel())
    waits: list[float] = []
    real = desk.wake.wait

    def wait(seen: int, seconds: float) -> None:
        waits.append(seconds)
        real(seen, 0.001)

    monkeypatch.setattr(desk.wake, "wait", wait)
    monkeypatch.setattr(store, "next_due_us", lambda channel: START_US - 60 * MICROSECONDS)
    bench.start(desk, interval_seconds=3600.0)
    wait_until(lambda: len(waits) > 3)
    assert min(waits) >= 0.05


def test_worker_stopped_while_it_sends_finishes_and_records(bench: Bench) -> None:
    """The end of the daemon waits for the answer; nothing further is begun."""
    began, answer = threading.Event(), threading.Event()

    def slow(_message: Message) -> Outcome:
        began.set()
        assert answer.wait(10)
        return ACCEPTED

    channel = ScriptedChannel("telegram", slow)
    desk = bench.desk(channel)
    first, second = bench.add(), bench.add()
    worker = bench.start(desk)
    assert began.wait(10)
    worker.ask_to_stop()
    assert worker.join(0) is False
    answer.set()
    assert worker.join(60) is True
    assert bench.delivery(first)["status"] == "accepted"
    assert (bench.delivery(second)["status"], len(channel.sent)) == ("pending", 1)


def test_worker_stopped_before_it_started_ends_at_once(bench: Bench) -> None:
    channel = ScriptedChannel()
    worker = bench.start(bench.desk(channel))
    worker.ask_to_stop()
    assert worker.join(60)
    bench.add()
    assert channel.sent == []


def test_workers_idle_for_long_all_end_when_asked(bench: Bench) -> None:
    """None of them sleeps over its end because another one took the ring for itself."""
    desk = bench.desk(ScriptedChannel(concurrency=6))
    workers = [bench.start(desk, f"worker-{number}", interval_seconds=3600.0) for number in range(6)]
    alert = bench.add()
    desk.wake.set()
    bench.wait_for(alert, "accepted")
    for worker in workers:
        worker.ask_to_stop()
    assert all(worker.join(60) for worker in workers)


def test_workers_of_one_channel_send_at_once_but_share_its_pace(bench: Bench, clock: FakeClock) -> None:
    """Four threads, each alert sent by one of them, never more than the channel's limit in its time."""
    together = threading.Barrier(2)

    def meet(_message: Message) -> Outcome:
        together.wait(10)
        return ACCEPTED

    channel = ScriptedChannel("telegram", *[meet] * 4, pace=(Limit(messages=2, seconds=1, burst=2),), concurrency=4)
    desk = bench.desk(channel)
    alerts = [bench.add() for _ in range(4)]
    for number in range(4):
        bench.start(desk, f"worker-{number}")
    for sent in (2, 4):
        wait_until(lambda sent=sent: sum(bench.delivery(alert)["status"] == "accepted" for alert in alerts) == sent)  # type: ignore[misc]
        assert len(channel.sent) == sent
        assert desk.wait_needed() > 0
        clock.advance(1)
    assert all(len(bench.delivery(alert)["attempts"]) == 1 for alert in alerts)
    assert bench.metric("attempts_total", channel="telegram", outcome="accepted") == 4


def test_worker_whose_provider_hangs_delays_no_other_channel(bench: Bench) -> None:
    began, answer = threading.Event(), threading.Event()

    def hang(_message: Message) -> Outcome:
        began.set()
        assert answer.wait(10)
        return ACCEPTED

    bench.start(bench.desk(ScriptedChannel("whatsapp", hang)), "whatsapp")
    bench.start(bench.desk(ScriptedChannel("telegram")), "telegram")
    first = bench.add(None, "whatsapp", "telegram")
    assert began.wait(10)
    bench.wait_for(first, "accepted", "telegram")
    later = bench.add(risk_event(severity="WARNING"), "whatsapp", "telegram")
    bench.wait_for(later, "accepted", "telegram")
    assert bench.delivery(later, "whatsapp")["status"] == "pending"
    answer.set()
    bench.wait_for(later, "accepted", "whatsapp")


def test_worker_by_the_real_clock_retries_by_itself(store_url: str) -> None:
    """Nobody wakes it: it waits for the due time of what waits, well below its interval."""
    with Store(store_url) as store, Bench(store, SystemClock()) as bench:
        channel = ScriptedChannel("telegram", Outcome(Reason.NETWORK), Outcome(Reason.NETWORK))
        desk = bench.desk(channel)
        alert = bench.add()
        bench.start(
            desk, interval_seconds=3600.0, policy=RetryPolicy(backoff_base_seconds=0.02, backoff_cap_seconds=0.02)
        )
        delivery = bench.wait_for(alert, "accepted")
        assert delivery["retries"] == 2
