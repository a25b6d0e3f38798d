"""Silence is judged by what could have been heard: a daemon that was away itself accuses nobody."""

from __future__ import annotations

from subscriber.intake.liveness import Liveness
from tests.support.alerts import OTHER_STREAM, STREAM

TIMEOUT = 15.0


def looked(liveness: Liveness, start: float, end: float, *, judging: bool = True) -> None:
    """Look twice a second, as the daemon does."""
    for half_seconds in range(int(start * 2), int(end * 2) + 1):
        liveness.look(half_seconds / 2, judging=judging)


def test_silent_after_the_timeout() -> None:
    liveness = Liveness(TIMEOUT)
    looked(liveness, 0, 100)
    liveness.told(STREAM, 1, 100.0)
    liveness.heard(STREAM, 100.0)
    looked(liveness, 100, 115)
    assert not liveness.silent(STREAM, 115.0)
    assert liveness.beats(STREAM, 115.0)
    looked(liveness, 115, 116)
    assert liveness.silent(STREAM, 115.5)
    assert not liveness.beats(STREAM, 115.5)


def test_silent_stream_of_the_store_is_waited_for_once_more_after_a_restart() -> None:
    """What another run of the daemon heard long ago could be heard again only since this one listens."""
    liveness = Liveness(TIMEOUT)
    looked(liveness, 0, 1)
    liveness.told(STREAM, 1, 1.0)
    assert not liveness.beats(STREAM, 1.0)
    looked(liveness, 1, 16)
    assert not liveness.silent(STREAM, 16.0)
    looked(liveness, 16, 17)
    assert liveness.silent(STREAM, 16.5)


def test_silent_after_a_pause_of_the_daemon_waits_anew() -> None:
    """It was stopped itself, and what waits for it was not heard yet."""
    liveness = Liveness(TIMEOUT)
    looked(liveness, 0, 10)
    liveness.heard(STREAM, 10.0)
    liveness.look(100.0)
    assert not liveness.silent(STREAM, 100.0)
    looked(liveness, 100, 115)
    assert not liveness.silent(STREAM, 115.0)
    looked(liveness, 115, 116)
    assert liveness.silent(STREAM, 116.0)


def test_beat_that_another_daemon_heard_counts() -> None:
    """The time in the store moved; whether its clock agrees with ours does not matter."""
    liveness = Liveness(TIMEOUT)
    looked(liveness, 0, 1)
    for second in range(1, 61):
        liveness.told(STREAM, 10_000 - second, float(second))
        looked(liveness, second, second + 1)
    assert liveness.beats(STREAM, 61.0)
    assert not liveness.silent(STREAM, 61.0)
    looked(liveness, 61, 80)
    assert liveness.silent(STREAM, 80.0)


def test_silent_while_the_market_is_closed_counts_from_its_opening() -> None:
    liveness = Liveness(TIMEOUT)
    looked(liveness, 0, 1)
    liveness.heard(STREAM, 1.0)
    looked(liveness, 1, 500, judging=False)
    assert not liveness.silent(STREAM, 500.0)
    looked(liveness, 500, 515)
    assert not liveness.silent(STREAM, 515.0)
    looked(liveness, 515, 516)
    assert liveness.silent(STREAM, 516.0)
    assert liveness.listening_seconds(516.0) == 16.0


def test_keep_forgets_who_has_ended() -> None:
    """A year of publishers must not stay in memory."""
    liveness = Liveness(TIMEOUT)
    for stream in (STREAM, OTHER_STREAM):
        liveness.told(stream, 1, 0.0)
        liveness.heard(stream, 0.0)
    liveness.keep({STREAM})
    assert liveness.beats(STREAM, 1.0)
    assert not liveness.beats(OTHER_STREAM, 1.0)
