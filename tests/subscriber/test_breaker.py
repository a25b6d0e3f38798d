"""When a channel stops hammering, how it finds out, and how it comes back."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriber.delivery.breaker import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, Breaker, BreakerState, Go
from tests.support.worker_bench import HighestJitter

NOW = 1000.0


def opened(now: float = NOW) -> Breaker:
    breaker = Breaker(HighestJitter())
    for _ in range(3):
        breaker.failed(now)
    return breaker


def half_open(now: float = NOW, who: str = "a") -> Breaker:
    breaker = opened(now - FIRST_WAIT_SECONDS)
    assert breaker.ask(who, now) is Go.PROBE
    return breaker


def test_breaker_opens_after_three_failures_in_a_row() -> None:
    breaker = Breaker(HighestJitter())
    for _ in range(2):
        breaker.failed(NOW)
        assert (breaker.state, breaker.ask("a", NOW), breaker.next_probe_at) == (BreakerState.CLOSED, Go.SEND, None)
    breaker.failed(NOW)
    assert (breaker.state, breaker.ask("a", NOW), breaker.next_probe_at) == (BreakerState.OPEN, 5.0, NOW + 5)


def test_breaker_after_an_answer_counts_from_the_beginning() -> None:
    """Two of ten that time out are no reason to stop the others."""
    breaker = Breaker(HighestJitter())
    for _ in range(5):
        breaker.failed(NOW)
        breaker.failed(NOW)
        breaker.close()
    assert breaker.state is BreakerState.CLOSED


def test_breaker_open_lets_nobody_send_until_its_wait_is_over() -> None:
    breaker = opened()
    assert breaker.ask("a", NOW + 4.5) == 0.5
    assert breaker.ask("b", NOW + 5) is Go.PROBE
    assert (breaker.state, breaker.next_probe_at) == (BreakerState.HALF_OPEN, None)


def test_breaker_half_open_lets_one_thread_probe_and_then_send_once() -> None:
    breaker = half_open()
    assert breaker.ask("b", NOW) == 1.0
    breaker.probed(NOW, well=True, answered=True)
    assert breaker.ask("b", NOW) == 1.0
    breaker.leave("a")
    assert breaker.ask("b", NOW) is Go.TRIAL
    assert breaker.ask("a", NOW) == 1.0
    breaker.close()
    assert (breaker.ask("a", NOW), breaker.state) == (Go.SEND, BreakerState.CLOSED)


def test_breaker_left_before_anything_was_found_out_is_probed_by_the_next() -> None:
    """A thread that ends, or meets a bug of ours, must not leave the channel shut for ever."""
    breaker = half_open()
    breaker.leave("a")
    assert breaker.ask("b", NOW) is Go.PROBE
    breaker.probed(NOW, well=True, answered=True)
    breaker.leave("b")
    assert breaker.ask("a", NOW) is Go.TRIAL
    breaker.leave("a")
    assert breaker.ask("c", NOW) is Go.TRIAL


def test_breaker_left_by_a_thread_that_does_not_act_is_still_another_ones() -> None:
    breaker = half_open()
    breaker.leave("b")
    assert breaker.ask("b", NOW) == 1.0


def test_breaker_failing_on_waits_twice_as_long_up_to_the_longest() -> None:
    """By failed probes and failed trials alike."""
    breaker, now, waits = opened(), NOW, []
    for number in range(6):
        wait = breaker.ask("a", now)
        assert isinstance(wait, float)
        waits.append(wait)
        now += wait
        assert breaker.ask("a", now) is Go.PROBE
        breaker.probed(now, well=number % 2 == 0, answered=True)
        if number % 2 == 0:
            assert breaker.ask("a", now) is Go.TRIAL
            breaker.failed(now)
        breaker.leave("a")
    assert waits == [5, 10, 20, 30, 30, 30]


def test_breaker_closed_again_begins_with_the_first_wait() -> None:
    breaker = half_open()
    breaker.failed(NOW)
    breaker.close()
    for _ in range(3):
        breaker.failed(NOW)
    assert breaker.ask("a", NOW) == FIRST_WAIT_SECONDS


def test_breaker_open_is_not_put_off_by_sends_that_were_under_way() -> None:
    """Four threads fail at once: that is one opening."""
    breaker = opened()
    breaker.failed(NOW + 1)
    assert breaker.next_probe_at == NOW + 5


def test_breaker_open_closes_by_the_answer_to_a_send_that_was_under_way() -> None:
    breaker = opened()
    breaker.close()
    assert breaker.ask("a", NOW) is Go.SEND


def test_breaker_with_nothing_to_send_closes_by_a_good_answer_alone() -> None:
    breaker = half_open()
    states = []
    breaker.nothing_to_send()
    states.append(breaker.state)
    breaker.probed(NOW, well=True, answered=True)
    breaker.nothing_to_send()
    states.append(breaker.state)
    assert states == [BreakerState.HALF_OPEN, BreakerState.CLOSED]


def test_breaker_with_nothing_to_send_and_no_probe_waits_for_a_delivery() -> None:
    """Of a service that can't be probed nobody knows more than that it failed."""
    breaker = half_open()
    breaker.probed(NOW, well=True, answered=False)
    breaker.nothing_to_send()
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.ask("a", NOW) is Go.TRIAL


@pytest.mark.parametrize("ready", [Breaker(HighestJitter()), opened()], ids=["closed", "open"])
def test_breaker_with_nothing_to_send_and_no_good_probe_stays_as_it_is(ready: Breaker) -> None:
    before = ready.state
    ready.nothing_to_send()
    assert ready.state is before


def test_breaker_hurried_asks_now() -> None:
    breaker = opened()
    breaker.hurry(NOW + 1)
    assert breaker.ask("a", NOW + 1) is Go.PROBE


@given(seed=st.integers(), failures=st.integers(min_value=3, max_value=2000))
def test_breaker_waits_are_jittered_and_never_beyond_the_longest(seed: int, failures: int) -> None:
    """Several daemons do not probe in step, and none hammers."""
    breaker, now = Breaker(Random(seed)), NOW
    for _ in range(failures):
        breaker.failed(now)
        if breaker.state is BreakerState.OPEN:
            wait = breaker.ask("a", now)
            assert isinstance(wait, float)
            assert FIRST_WAIT_SECONDS / 2 <= wait <= LONGEST_WAIT_SECONDS
            now += wait
            assert breaker.ask("a", now) is Go.PROBE
            breaker.leave("a")
