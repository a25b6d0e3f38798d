"""What the threads of one channel share."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from subscriber.deliveries import Limit, Outcome, Reason
from subscriber.delivery.desk import ChannelDesk, Wake
from tests.support.clock import FakeClock
from tests.support.waiting import wait_until
from tests.support.worker_bench import ACCEPTED, ScriptedChannel

ONE_A_SECOND = (Limit(messages=1, seconds=1),)
UNAUTHORIZED = Outcome(Reason.UNAUTHORIZED, "Unauthorized", status=401, code="401")
FAILURES = [Outcome(reason) for reason in (Reason.UNAVAILABLE, Reason.NETWORK, Reason.TIMEOUT)]


@pytest.fixture
def desk(clock: FakeClock) -> ChannelDesk:
    return ChannelDesk(ScriptedChannel(pace=ONE_A_SECOND), clock)


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


def test_resume_ends_pause_and_error_and_wakes_the_workers(desk: ChannelDesk) -> None:
    for outcome in (UNAUTHORIZED, *FAILURES):
        desk.note(outcome)
    rings = desk.wake.rings
    desk.resume()
    assert (desk.paused, desk.up) == (False, True)
    assert desk.wake.rings == rings + 1


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
