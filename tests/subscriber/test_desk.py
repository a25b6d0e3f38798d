"""What the threads of one channel share."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from bus.clock import MICROSECONDS
from subscriber.channels.memory import ChannelMemory
from subscriber.deliveries import Limit, Outcome, Reason, Remembered
from subscriber.delivery.breaker import BreakerState, Go
from subscriber.delivery.desk import ChannelDesk, Wake
from subscriber.delivery.meters import Meters
from subscriber.delivery.views import BreakerView, DeskView
from tests.support.clock import FakeClock
from tests.support.notebook import Notebook
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


def test_hold_makes_everyone_wait_whatever_the_pace(desk: ChannelDesk, clock: FakeClock) -> None:
    desk.hold(30)
    assert desk.turn() == 30
    desk.hold(5)  # never shortens what was asked for before
    assert desk.wait_needed() == 30
    clock.advance(30)
    assert desk.turn() == 0


def test_hold_lasts_over_a_step_of_the_wall_clock(desk: ChannelDesk, clock: FakeClock) -> None:
    desk.hold(30)
    clock.step(3600)
    assert desk.wait_needed() == 30


def test_hold_is_kept_and_goes_on_after_a_restart(clock: FakeClock) -> None:
    """Whatever the monotonic clock of the next run says, which begins anywhere."""
    notebook = Notebook()
    ChannelDesk(ScriptedChannel(memory=ChannelMemory(keep=notebook)), clock).hold(35)
    (changes,) = notebook.kept
    until_us = changes["held_until_us"]
    assert isinstance(until_us, int)
    next_run = FakeClock(clock.now_us() + 10 * MICROSECONDS)
    next_run._monotonic = 3.0
    desk = ChannelDesk(ScriptedChannel(memory=ChannelMemory(Remembered(held_until_us=until_us))), next_run)
    assert desk.wait_needed() == 25
    assert desk.view.held_until_us == until_us
    next_run.advance(25)
    assert desk.turn() == 0
    assert desk.view.held_until_us is None


def test_hold_that_is_shorter_than_one_that_lasts_is_not_kept(clock: FakeClock) -> None:
    channel = ScriptedChannel()
    desk = ChannelDesk(channel, clock)
    desk.hold(30)
    desk.hold(5)
    assert channel.memory.values.held_until_us == clock.now_us() + 30 * MICROSECONDS


@pytest.mark.parametrize(("ahead_us", "wait"), [(7 * DAY_US, 7 * 86_400.0), (7 * DAY_US + 1, 0.0), (-DAY_US, 0.0)])
def test_hold_remembered_beyond_any_providers_wait_is_forgotten(clock: FakeClock, ahead_us: int, wait: float) -> None:
    """A wall clock that was set back must not keep a channel silent for years; the provider's next answer tells."""
    channel = ScriptedChannel(memory=ChannelMemory(Remembered(held_until_us=clock.now_us() + ahead_us)))
    desk = ChannelDesk(channel, clock)
    assert desk.wait_needed() == wait
    if wait == 0:
        desk.hold(35)
        assert channel.memory.values.held_until_us == clock.now_us() + 35 * MICROSECONDS


def test_hold_of_a_shared_chat_holds_all_its_channels_over_a_restart(clock: FakeClock) -> None:
    """Two channels that write to one chat by one bot: the provider asked for both, and for no other chat."""
    bot = Limit(30, 1, burst=30, scope="bot")
    chat, other = Limit(3, 3, burst=3, scope="bot:1"), Limit(3, 3, burst=3, scope="bot:2")
    channels = [
        ScriptedChannel("first", pace=(chat, bot)),
        ScriptedChannel("second", pace=(chat, bot)),
        ScriptedChannel("elsewhere", pace=(other, bot)),
    ]
    for run in range(2):
        meters = Meters()
        desks = [ChannelDesk(channel, clock, meters=meters) for channel in channels]
        if run == 0:
            desks[0].hold(35)
        assert [desk.turn() for desk in desks] == [35, 35, 0]


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


def test_seed_with_times_that_lie_ahead_counts_them_as_now(clock: FakeClock) -> None:
    """A clock that was set back a little keeps nobody waiting for longer than the limit."""
    desk = ChannelDesk(ScriptedChannel(pace=(Limit(1, 6),)), clock)
    desk.seed([clock.now_us() + 3600 * MICROSECONDS])
    assert desk.turn() == 6


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
    assert desk.probed(ACCEPTED) is False
    desk.leave("a")
    assert (desk.ask("b"), desk.ask("a"), desk.up) == (Go.TRIAL, 1.0, False)
    desk.note(ACCEPTED)
    assert (desk.ask("a"), desk.up) == (Go.SEND, True)


def test_probed_badly_opens_for_longer(desk: ChannelDesk, clock: FakeClock) -> None:
    for failure in FAILURES:
        desk.note(failure)
    clock.advance(5)
    desk.ask("a")
    assert desk.probed(Outcome(Reason.REJECTED, status=400)) is False
    assert desk.breaker == BreakerView(BreakerState.OPEN, clock.now_us() + 10 * MICROSECONDS)


def test_probed_unauthorized_pauses(desk: ChannelDesk, clock: FakeClock) -> None:
    """The provider is back, and says that a person has to act."""
    for failure in FAILURES:
        desk.note(failure)
    clock.advance(5)
    desk.ask("a")
    assert [desk.probed(UNAUTHORIZED), desk.probed(UNAUTHORIZED)] == [True, False]
    assert (desk.paused, desk.breaker.state) == (True, BreakerState.CLOSED)


def test_nothing_to_send_after_a_good_probe_ends_the_error(desk: ChannelDesk, clock: FakeClock) -> None:
    """What waited has expired; nobody would ever find out that the provider works."""
    for failure in FAILURES:
        desk.note(failure)
    clock.advance(5)
    desk.ask("a")
    desk.probed(ACCEPTED)
    desk.nothing_to_send()
    assert desk.up


def test_unsaid_rate_limits_counts_those_in_a_row(desk: ChannelDesk, clock: FakeClock) -> None:
    """Each comes after the hold of the one before; an acceptance ends the row, a wait that is said does not."""
    counts = []
    for _ in range(3):
        counts.append(desk.unsaid_rate_limits)
        desk.note(UNSAID, hold_seconds=10)
        clock.advance(10)
    desk.note(Outcome(Reason.RATE_LIMITED, retry_after_seconds=1))
    counts.append(desk.unsaid_rate_limits)
    desk.note(ACCEPTED)
    counts.append(desk.unsaid_rate_limits)
    assert counts == [0, 1, 2, 3, 0]


def test_unsaid_rate_limits_told_to_several_threads_at_once_count_once(desk: ChannelDesk, clock: FakeClock) -> None:
    """They were all sending when the provider had enough; the hold of the first is in effect for the others."""
    for _ in range(4):
        assert desk.unsaid_rate_limits == 0
        desk.note(UNSAID, hold_seconds=10)
    clock.advance(10)
    assert desk.unsaid_rate_limits == 1


def test_note_with_a_hold_is_kept_over_a_restart(desk: ChannelDesk, clock: FakeClock) -> None:
    desk.note(Outcome(Reason.RATE_LIMITED, retry_after_seconds=35), hold_seconds=35)
    assert desk.wait_needed() == 35
    assert desk.channel.memory.values.held_until_us == clock.now_us() + 35 * MICROSECONDS


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


def test_try_now_ends_no_hold(desk: ChannelDesk) -> None:
    """A person's test is no reason to be refused again."""
    desk.note(UNAUTHORIZED)
    desk.hold(30)
    desk.try_now()
    assert desk.wait_needed() == 30


def test_resume_ends_pause_and_error_and_wakes_the_workers(desk: ChannelDesk) -> None:
    for outcome in (UNAUTHORIZED, *FAILURES):
        desk.note(outcome)
    rings = desk.wake.rings
    assert desk.resume() is True
    assert (desk.paused, desk.up, desk.view.paused_since_us) == (False, True, None)
    assert desk.wake.rings == rings + 1
    assert desk.resume() is False


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
        thread.join(10)


def test_wake_without_a_ring_ends_with_its_time() -> None:
    wake = Wake()
    wake.wait(wake.rings, 0)
    assert wake.rings == 0


def _in_threads(count: int, act: Callable[[], object]) -> None:
    threads = [threading.Thread(target=act, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
