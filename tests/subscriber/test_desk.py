"""What the threads of one channel share."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from bus.clock import MICROSECONDS
from subscriber.deliveries import Limit, Outcome, Reason
from subscriber.delivery.breaker import BreakerState, Go
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.meters import Meters
from subscriber.delivery.views import BreakerView, DeskView
from subscriber.delivery.waking import Wake
from tests.support.clock import FakeClock
from tests.support.waiting import wait_until
from tests.support.worker_bench import ACCEPTED, HighestJitter, ScriptedChannel

ONE_A_SECOND = (Limit(messages=1, seconds=1),)
DAY_US = 86_400 * MICROSECONDS
UNSAID = Outcome(Reason.RATE_LIMITED, status=400, code="131056")
UNAUTHORIZED = Outcome(Reason.UNAUTHORIZED, "Unauthorized", status=401, code="401")
FAILURES = [Outcome(reason) for reason in (Reason.UNAVAILABLE, Reason.NETWORK, Reason.TIMEOUT)]


@pytest.fixture
def desk(clock: FakeClock) -> ChannelDesk:
    return ChannelDesk(ScriptedChannel(pace=ONE_A_SECOND), clock, rng=HighestJitter())


def test_turn_on_fresh_desk_is_taken_at_once(desk: ChannelDesk) -> None:
    assert desk.wait_needed() == 0
    assert desk.turn() == 0


def test_turn_too_early_returns_seconds_and_takes_nothing(desk: ChannelDesk, clock: FakeClock) -> None:
    """Asking again and again does not push the next turn away."""
    desk.turn()
    assert [desk.turn(), desk.turn(), desk.wait_needed()] == [1, 1, 1]
    clock.advance(0.25)
    assert desk.turn() == pytest.approx(0.75)
    clock.advance(0.75)
    assert desk.turn() == 0


def test_turn_without_limits_never_waits(clock: FakeClock) -> None:
    free = ChannelDesk(ScriptedChannel(), clock)
    assert [free.turn() for _ in range(100)] == [0] * 100


def test_turn_of_a_shared_bot_is_taken_by_one_channel(clock: FakeClock) -> None:
    """In all limits at once, or in none: who has to wait for the bot takes nothing of its chat."""
    meters = Meters()
    bot = Limit(1, 10, scope="bot")
    first = ChannelDesk(ScriptedChannel("first", pace=(bot, Limit(1, 3600, scope="bot:1"))), clock, meters=meters)
    second = ChannelDesk(ScriptedChannel("second", pace=(bot, Limit(1, 3600, scope="bot:2"))), clock, meters=meters)
    assert (first.turn(), second.turn()) == (0, 10)
    clock.advance(10)
    assert second.turn() == 0


def test_turn_of_a_shared_bot_asked_by_many_threads_is_given_as_its_limit_says(clock: FakeClock) -> None:
    meters = Meters()
    bot = Limit(5, 1, burst=5, scope="bot")
    desks = [ChannelDesk(ScriptedChannel(str(number), pace=(bot,)), clock, meters=meters) for number in range(8)]
    start = threading.Barrier(8)
    waits: list[float] = []
    left = list(desks)

    def ask() -> None:
        desk = left.pop()
        start.wait()
        waits.extend(desk.turn() for _ in range(10))

    _in_threads(8, ask)
    assert sum(wait == 0 for wait in waits) == 5


def test_answered_lets_the_pace_count_from_the_answer(desk: ChannelDesk, clock: FakeClock) -> None:
    taken_at = clock.monotonic()
    assert desk.turn(taken_at) == 0
    clock.advance(0.5)
    desk.answered(taken_at)
    assert desk.wait_needed() == 1


def test_seed_counts_what_an_earlier_run_sent(clock: FakeClock) -> None:
    """With a second more for each, because the provider counts what arrives and not what was begun."""
    desk = ChannelDesk(ScriptedChannel(pace=(Limit(3, 60, burst=3),)), clock)
    assert desk.pace_memory_seconds == 61
    now_us = clock.now_us()
    desk.seed([now_us - each * MICROSECONDS for each in (58, 40, 1)])
    assert desk.turn() == 3
    clock.advance(3)
    assert (desk.turn(), desk.turn()) == (0, 18)


@pytest.mark.parametrize(("ahead_seconds", "wait"), [(30, 6), (3600, 0)])
def test_seed_with_times_that_lie_ahead_keeps_nobody_waiting_for_long(
    clock: FakeClock, ahead_seconds: int, wait: float
) -> None:
    """A clock that was set back a little while no daemon ran: they count as sent now, and by more not at all."""
    desk = ChannelDesk(ScriptedChannel(pace=(Limit(1, 6),)), clock)
    desk.seed([clock.now_us() + ahead_seconds * MICROSECONDS] * 1000)
    assert desk.turn() == wait


def test_turn_asked_by_many_threads_is_given_once(clock: FakeClock) -> None:
    """The pace is one for all threads of a channel."""
    desk = ChannelDesk(ScriptedChannel(pace=(Limit(messages=4, seconds=1, burst=4),), concurrency=8), clock)
    start = threading.Barrier(8)
    waits: list[float] = []

    def ask() -> None:
        start.wait()
        waits.extend(desk.turn() for _ in range(10))

    _in_threads(8, ask)
    assert len(waits) == 80
    assert sum(wait == 0 for wait in waits) == 4


def test_note_accepted_says_up(desk: ChannelDesk) -> None:
    assert desk.note(ACCEPTED) is False
    assert (desk.up, desk.paused) == (True, False)


def test_note_unauthorized_pauses_and_says_so_once(desk: ChannelDesk) -> None:
    """Several threads may meet the same refusal; people are told once."""
    assert desk.note(UNAUTHORIZED) is True
    assert desk.note(UNAUTHORIZED) is False
    assert (desk.paused, desk.up) == (True, False)


def test_note_accepted_while_paused_stays_paused(desk: ChannelDesk) -> None:
    """An older send of another thread may end well after the refusal."""
    desk.note(UNAUTHORIZED)
    desk.note(ACCEPTED)
    assert (desk.paused, desk.up) == (True, False)


def test_note_unauthorized_by_many_threads_is_told_by_one(desk: ChannelDesk) -> None:
    start = threading.Barrier(8)
    told: list[bool] = []

    def note() -> None:
        start.wait()
        told.append(desk.note(UNAUTHORIZED))

    _in_threads(8, note)
    assert sorted(told) == [False] * 7 + [True]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda outcome: str(outcome.reason))
def test_up_after_three_failures_in_a_row_is_false(desk: ChannelDesk, failure: Outcome) -> None:
    desk.note(failure)
    desk.note(failure)
    assert desk.up
    desk.note(failure)
    assert [desk.up, desk.note(ACCEPTED), desk.up] == [False, False, True]


@pytest.mark.parametrize("reason", [Reason.RATE_LIMITED, Reason.REJECTED])
def test_up_after_answers_about_one_message_stays_true(desk: ChannelDesk, reason: Reason) -> None:
    """A provider that refuses a message, or asks for patience, works."""
    for _ in range(5):
        desk.note(Outcome(reason))
    assert desk.up


@pytest.mark.parametrize("reason", [Reason.ACCEPTED, Reason.RATE_LIMITED, Reason.REJECTED])
def test_note_any_answer_closes_the_breaker_and_wakes_those_who_wait(desk: ChannelDesk, reason: Reason) -> None:
    """The provider talks."""
    for failure in FAILURES:
        desk.note(failure)
    assert desk.breaker.state is BreakerState.OPEN
    rings = desk.wake.rings
    desk.note(Outcome(reason))
    assert desk.breaker == BreakerView(BreakerState.CLOSED)
    assert (desk.up, desk.wake.rings) == (True, rings + 1)


def test_ask_by_many_threads_lets_one_probe(desk: ChannelDesk, clock: FakeClock) -> None:
    for failure in FAILURES:
        desk.note(failure)
    clock.advance(5)
    start = threading.Barrier(8)
    told: list[Go | float] = []

    def ask() -> None:
        start.wait()
        told.append(desk.ask(threading.current_thread().name))

    _in_threads(8, ask)
    assert sorted(str(each) for each in told) == ["1.0"] * 7 + [str(Go.PROBE)]


def test_probed_well_lets_one_delivery_through(desk: ChannelDesk, clock: FakeClock) -> None:
    for failure in FAILURES:
        desk.note(failure)
    clock.advance(5)
    assert desk.ask("a") is Go.PROBE
    desk.probed(ACCEPTED)
    desk.leave("a")
    assert (desk.ask("b"), desk.ask("a"), desk.up) == (Go.TRIAL, 1.0, False)
    desk.note(ACCEPTED)
    assert (desk.ask("a"), desk.up) == (Go.SEND, True)


def test_probed_badly_opens_for_longer(desk: ChannelDesk, clock: FakeClock) -> None:
    for failure in FAILURES:
        desk.note(failure)
    clock.advance(5)
    desk.ask("a")
    desk.probed(Outcome(Reason.REJECTED, status=400))
    assert desk.breaker == BreakerView(BreakerState.OPEN, clock.now_us() + 10 * MICROSECONDS)


def test_probed_unauthorized_lets_one_delivery_show_whether_it_may_go(desk: ChannelDesk, clock: FakeClock) -> None:
    """The provider is back; a key that may send need not be allowed to ask."""
    for failure in FAILURES:
        desk.note(failure)
    clock.advance(5)
    desk.ask("a")
    desk.probed(UNAUTHORIZED)
    assert (desk.paused, desk.breaker.state, desk.ask("a")) == (False, BreakerState.HALF_OPEN, Go.TRIAL)
    assert desk.note(UNAUTHORIZED) is True


@pytest.mark.parametrize("probe", [ACCEPTED, UNAUTHORIZED], ids=lambda outcome: str(outcome.reason))
def test_nothing_to_send_after_an_answered_probe_ends_the_error(
    desk: ChannelDesk, clock: FakeClock, probe: Outcome
) -> None:
    """What waited has expired; nobody would ever find out that the provider works."""
    for failure in FAILURES:
        desk.note(failure)
    clock.advance(5)
    desk.ask("a")
    desk.probed(probe)
    desk.nothing_to_send()
    assert desk.up


def test_note_failed_leaves_an_open_breaker_as_it_is(desk: ChannelDesk, clock: FakeClock) -> None:
    """What a receipt tells of a message of an hour ago is no answer of a provider that is down now."""
    for failure in FAILURES:
        desk.note(failure)
    desk.note_failed(UNSAID, 10, clock.now_us())
    desk.note_failed(UNAUTHORIZED, 0, clock.now_us())
    assert (desk.breaker.state, desk.paused, desk.wait_needed()) == (BreakerState.OPEN, True, 10)


def test_note_failed_of_what_was_sent_before_the_resume_pauses_nothing(desk: ChannelDesk, clock: FakeClock) -> None:
    began_us = clock.now_us()
    assert desk.note_failed(UNAUTHORIZED, 0, began_us - 1) is False
    assert desk.note_failed(UNAUTHORIZED, 0, began_us) is True
    clock.advance(60)
    desk.resume()
    assert desk.note_failed(UNAUTHORIZED, 0, began_us + 59 * MICROSECONDS) is False
    assert desk.note_failed(UNAUTHORIZED, 0, clock.now_us()) is True


def test_since_follows_a_step_of_the_wall_clock(desk: ChannelDesk, clock: FakeClock) -> None:
    """What is sent after the clock was set back is newer than the resume before it."""
    clock.advance(60)
    desk.resume()
    clock.step(-3600)
    assert desk.since_us == clock.now_us()
    assert desk.note_failed(UNAUTHORIZED, 0, clock.now_us()) is True


def test_view_of_a_desk_that_is_well_says_so(desk: ChannelDesk) -> None:
    assert desk.view == DeskView(
        up=True,
        paused=False,
        paused_since_us=None,
        breaker=BreakerView(BreakerState.CLOSED),
        held_until_us=None,
        wait_seconds=0,
    )


def test_view_tells_since_when_and_until_when(desk: ChannelDesk, clock: FakeClock) -> None:
    """In the daemon's wall clock, though the waits go by the monotonic one."""
    began_us = clock.now_us()
    desk.note(UNAUTHORIZED)
    for failure in FAILURES:
        desk.note(failure)
    desk.hold(60)
    clock.advance(4)
    assert desk.view == DeskView(
        up=False,
        paused=True,
        paused_since_us=began_us,
        breaker=BreakerView(BreakerState.OPEN, began_us + 5 * MICROSECONDS),
        held_until_us=began_us + 60 * MICROSECONDS,
        wait_seconds=56,
    )


def test_try_now_resumes_a_paused_channel_and_says_so(desk: ChannelDesk) -> None:
    desk.note(UNAUTHORIZED)
    assert [desk.try_now(), desk.paused, desk.try_now()] == [True, False, False]


def test_try_now_lets_a_failing_channel_be_probed_at_once(desk: ChannelDesk, clock: FakeClock) -> None:
    """And not sent to: the breaker stays what it is."""
    for failure in FAILURES:
        desk.note(failure)
    rings = desk.wake.rings
    assert desk.try_now() is False
    assert (desk.up, desk.wake.rings, desk.ask("a")) == (False, rings + 1, Go.PROBE)


def test_resume_ends_pause_and_error_and_wakes_the_workers(desk: ChannelDesk) -> None:
    for outcome in (UNAUTHORIZED, *FAILURES):
        desk.note(outcome)
    rings = desk.wake.rings
    assert desk.resume() is True
    assert (desk.paused, desk.up, desk.view.paused_since_us) == (False, True, None)
    assert desk.wake.rings == rings + 1
    assert desk.resume() is False


def test_resume_of_a_failing_channel_that_is_not_paused_has_it_probed_at_once(desk: ChannelDesk) -> None:
    """And not sent to."""
    for failure in FAILURES:
        desk.note(failure)
    assert desk.resume() is False
    assert (desk.up, desk.ask("a")) == (False, Go.PROBE)


def test_resume_lets_the_next_refusal_be_told_again(desk: ChannelDesk) -> None:
    desk.note(UNAUTHORIZED)
    desk.resume()
    assert desk.note(UNAUTHORIZED) is True


def test_wake_rung_before_the_wait_ends_it_at_once() -> None:
    """What comes between the look for work and the wait is not slept over."""
    wake = Wake()
    seen = wake.rings
    wake.set()
    _in_threads(1, lambda: wake.wait(seen, 3600))


def test_wake_rings_for_every_thread_that_waits() -> None:
    """An Event would be cleared by the first; the others would sleep on, and over the end of the daemon."""
    wake = Wake()
    seen = wake.rings
    woken: list[int] = []

    def wait() -> None:
        wake.wait(seen, 3600)
        woken.append(1)

    threads = [threading.Thread(target=wait, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    wake.set()
    wait_until(lambda: len(woken) == 4)
    for thread in threads:
        thread.join(60)


def test_wake_without_a_ring_ends_with_its_time() -> None:
    wake = Wake()
    wake.wait(wake.rings, 0)
    assert wake.rings == 0


def _in_threads(count: int, act: Callable[[], object]) -> None:
    threads = [threading.Thread(target=act, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
