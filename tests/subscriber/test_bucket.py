"""A bucket of turns: so many at once, and one more after each pause."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from subscriber.monitoring.bucket import Bucket
from tests.support.clock import FakeClock


def test_bucket_gives_what_it_holds_and_then_says_how_long_to_wait(clock: FakeClock) -> None:
    bucket = Bucket(3, 6.0, clock.monotonic)
    assert [bucket.take() for _ in range(4)] == [0.0, 0.0, 0.0, 6.0]
    clock.advance(2)
    assert bucket.take() == pytest.approx(4.0)
    clock.advance(4.001)
    assert bucket.take() == 0.0
    assert bucket.take() > 0


def test_bucket_never_holds_more_than_it_may(clock: FakeClock) -> None:
    bucket = Bucket(2, 6.0, clock.monotonic)
    clock.advance(3600)
    assert [bucket.take() == 0 for _ in range(3)] == [True, True, False]


def test_bucket_that_many_threads_ask_gives_no_turn_twice(clock: FakeClock) -> None:
    bucket = Bucket(50, 6.0, clock.monotonic)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: bucket.take() == 0, range(200)))
    assert sum(taken) == 50


@pytest.mark.parametrize(("most", "seconds"), [(0, 6.0), (1, 0.0)])
def test_bucket_that_never_gives_is_refused(clock: FakeClock, most: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="at least one turn"):
        Bucket(most, seconds, clock.monotonic)
