"""A worker whose provider fails on: it stops hammering, asks gently, and comes back by itself."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator

import pytest

from subscriber.deliveries import Message, Outcome, Reason
from subscriber.delivery.breaker import BreakerState
from subscriber.delivery.desk import ChannelDesk
from subscriber.store import Store
from tests.support.alerts import risk_event
from tests.support.clock import FakeClock
from tests.support.waiting import wait_until
from tests.support.worker_bench import ACCEPTED, Bench, ScriptedChannel

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

NETWORK = Outcome(Reason.NETWORK, "nothing was sent: ConnectionRefusedError")
UNAUTHORIZED = Outcome(Reason.UNAUTHORIZED, "Unauthorized", status=401, code="401")
Look = Callable[..., None]


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[Bench]:
    with Bench(store, clock) as made:
        yield made


def failing(*probes: Outcome | Callable[[Message], Outcome], answers: int = 3) -> ScriptedChannel:
    return ScriptedChannel("telegram", *[NETWORK] * answers, probes=probes)


def looked(desk: ChannelDesk, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Return what waits until so many of a desk's workers have looked at the breaker twice more: they send nothing."""
    asked: Counter[str] = Counter()
    real = desk.ask

    def ask(who: str) -> object:
        asked[who] += 1
        return real(who)

    monkeypatch.setattr(desk, "ask", ask)

    def wait(workers: int = 1) -> None:
        seen = Counter(asked)
        wait_until(lambda: sum(count >= seen[who] + 2 for who, count in dict(asked).items()) >= workers)

    return wait


def counted(bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with each call of a function of the store."""
    calls: list[str] = []
    real = getattr(bench.store, name)

    def call(*args: object, **kwargs: object) -> object:
        calls.append(name)
        return real(*args, **kwargs)

    monkeypatch.setattr(bench.store, name, call)
    return calls


def fail_three_times(bench: Bench, clock: FakeClock, desk: ChannelDesk) -> None:
    """Let one alert meet three failures, which opens the breaker for five seconds from now."""
    alert = bench.add()
    bench.start(desk)
    for attempt, wait in enumerate((1, 2), start=1):
        bench.wait_for_attempts(alert, attempt)
        clock.advance(wait)
    bench.wait_for_attempts(alert, 3)
    wait_until(lambda: desk.breaker.state is BreakerState.OPEN)


def test_worker_of_a_failing_provider_sends_nothing_until_a_probe_succeeds(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes meanwhile is not even claimed, and goes out as soon as one delivery went through."""
    channel = failing()
    desk = bench.desk(channel)
    look = looked(desk, monkeypatch)
    fail_three_times(bench, clock, desk)
    assert bench.metric("channel_up", channel="telegram") == 0
    claims = counted(bench, "claim", monkeypatch)
    later = bench.add()
    look()
    clock.advance(4.9)
    look()
    assert (len(channel.sent), channel.probed, claims) == (3, 0, [])
    assert (bench.delivery(later)["status"], desk.up) == ("pending", False)
    clock.advance(0.1)
    bench.wait_for(later, "accepted")
    assert (channel.probed, len(channel.sent), desk.up) == (1, 5, True)
    assert bench.metric("channel_up", channel="telegram") == 1
    assert bench.metric("attempts_total", channel="telegram", outcome="network") == 3


@pytest.mark.parametrize(
    "probe",
    [NETWORK, Outcome(Reason.UNAVAILABLE, status=502), Outcome(Reason.REJECTED, status=400)],
    ids=lambda outcome: str(outcome.reason),
)
def test_worker_whose_probe_fails_asks_again_later(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, probe: Outcome
) -> None:
    channel = failing(probe)
    desk = bench.desk(channel)
    look = looked(desk, monkeypatch)
    fail_three_times(bench, clock, desk)
    clock.advance(5)
    wait_until(lambda: desk.breaker.next_probe_us == clock.now_us() + 10_000_000)
    clock.advance(9.9)
    look()
    assert (channel.probed, len(channel.sent)) == (1, 3)
    clock.advance(0.1)
    wait_until(lambda: desk.up)
    assert (channel.probed, len(channel.sent)) == (2, 4)


def test_worker_whose_probe_raises_asks_again_later(
    bench: Bench, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in a channel ends no thread and opens no flood."""

    def broken(_message: Message) -> Outcome:
        raise ZeroDivisionError

    channel = failing(broken)
    desk = bench.desk(channel)
    fail_three_times(bench, clock, desk)
    clock.advance(5)
    wait_until(lambda: desk.breaker.next_probe_us == clock.now_us() + 10_000_000)
    assert "a channel raised" in caplog.text
    assert len(channel.sent) == 3


def test_worker_whose_probe_is_refused_lets_one_delivery_show_it(bench: Bench, clock: FakeClock) -> None:
    """A key that may send and nothing else: the refusal shows that the provider answers, and the alert goes out."""
    channel = failing(UNAUTHORIZED)
    desk = bench.desk(channel)
    fail_three_times(bench, clock, desk)
    clock.advance(5)
    wait_until(lambda: len(channel.sent) == 4)
    wait_until(lambda: desk.up)
    assert (channel.probed, desk.paused, bench.announced) == (1, False, [])


def test_worker_whose_probe_and_send_are_refused_pauses_and_tells_the_others(bench: Bench, clock: FakeClock) -> None:
    """The credentials were revoked while the provider was away: an end of its failure, and a person's task."""
    channel = failing(UNAUTHORIZED)
    channel.answers.append(UNAUTHORIZED)
    desk = bench.desk(channel)
    fail_three_times(bench, clock, desk)
    clock.advance(5)
    wait_until(lambda: bench.announced)
    assert (desk.paused, desk.breaker.state) == (True, BreakerState.CLOSED)
    assert bench.announced[0].event_type == "CHANNEL_UNAUTHORIZED"
    assert len(channel.sent) == 4
    assert desk.resume()
    wait_until(lambda: len(channel.sent) == 5)


def test_worker_whose_probe_is_told_to_wait_leaves_the_provider_alone(bench: Bench, clock: FakeClock) -> None:
    channel = failing(Outcome(Reason.RATE_LIMITED, status=429, retry_after_seconds=35))
    desk = bench.desk(channel)
    fail_three_times(bench, clock, desk)
    clock.advance(5)
    wait_until(lambda: desk.wait_needed() == 35)
    wait_until(lambda: desk.breaker.state is BreakerState.OPEN)
    clock.advance(35)
    wait_until(lambda: desk.up)
    assert (channel.probed, len(channel.sent)) == (2, 4)


def test_worker_whose_trial_fails_opens_for_longer(bench: Bench, clock: FakeClock) -> None:
    """The probe went well, and messages still don't go: one more was tried, not all that wait."""
    channel = failing(answers=4)
    desk = bench.desk(channel)
    fail_three_times(bench, clock, desk)
    waiting = [bench.add() for _ in range(3)]
    clock.advance(5)
    wait_until(lambda: desk.breaker.next_probe_us == clock.now_us() + 10_000_000)
    assert (channel.probed, len(channel.sent)) == (1, 4)
    clock.advance(10)
    for alert in waiting:
        bench.wait_for(alert, "accepted")


def test_worker_with_a_first_failure_delays_a_critical_by_its_backoff_only(bench: Bench, clock: FakeClock) -> None:
    channel = failing(answers=1)
    desk = bench.desk(channel)
    alert = bench.add()
    bench.start(desk)
    bench.wait_for_attempts(alert, 1)
    clock.advance(1)
    bench.wait_for(alert, "accepted")
    assert (channel.probed, desk.up) == (0, True)


def test_worker_whose_queue_was_emptied_meanwhile_shows_no_error_for_ever(bench: Bench, clock: FakeClock) -> None:
    """With nothing to try a delivery by, the provider's good answer to the probe is enough."""
    channel = failing(Outcome(Reason.ACCEPTED, status=200))
    desk = bench.desk(channel)
    fail_three_times(bench, clock, desk)
    (waiting,) = bench.store.fetch_pending_notifications()
    bench.store.mark_notification_sent(waiting["id"], "suppressed")
    clock.advance(60)
    wait_until(lambda: desk.up)
    assert (channel.probed, len(channel.sent)) == (1, 3)


def test_worker_whose_queue_expired_meanwhile_tries_by_telling_of_it(bench: Bench, clock: FakeClock) -> None:
    """What got too old while nobody could be told is told by the first message after the probe, and not sent."""
    channel = failing(Outcome(Reason.ACCEPTED, status=200))
    desk = bench.desk(channel)
    alert = bench.add(risk_event(severity="WARNING"))
    bench.start(desk)
    for attempt, wait in enumerate((1, 2), start=1):
        bench.wait_for_attempts(alert, attempt)
        clock.advance(wait)
    bench.wait_for_attempts(alert, 3)
    wait_until(lambda: desk.breaker.state is BreakerState.OPEN)
    clock.advance(25 * 3600)
    bench.wait_for(alert, "expired")
    wait_until(lambda: desk.up)
    assert (channel.probed, len(channel.sent)) == (1, 4)
    assert "ALERTS_EXPIRED" in channel.sent[-1].text


def test_workers_of_one_channel_let_one_of_them_find_out(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four threads: one probe, then one delivery, and when that is accepted all go on."""
    probe_may_end, trial_may_end = threading.Event(), threading.Event()

    def slow_probe(_message: Message) -> Outcome:
        assert probe_may_end.wait(10)
        return ACCEPTED

    def slow_trial(_message: Message) -> Outcome:
        assert trial_may_end.wait(10)
        return ACCEPTED

    channel = ScriptedChannel("telegram", *[NETWORK] * 100, probes=[slow_probe], concurrency=4)
    desk = bench.desk(channel)
    look = looked(desk, monkeypatch)
    alerts = [bench.add() for _ in range(8)]
    for number in range(4):
        bench.start(desk, f"worker-{number}")
    wait_until(lambda: desk.breaker.state is BreakerState.OPEN)
    look(4)
    channel.answers = deque([slow_trial])
    tried = len(channel.sent)
    clock.advance(5)
    wait_until(lambda: channel.probed)
    look(3)
    assert (channel.probed, len(channel.sent)) == (1, tried)
    probe_may_end.set()
    wait_until(lambda: len(channel.sent) == tried + 1)
    look(3)
    assert (channel.probed, len(channel.sent), desk.up) == (1, tried + 1, False)
    trial_may_end.set()
    for alert in alerts:
        bench.wait_for(alert, "accepted")
    assert desk.up
