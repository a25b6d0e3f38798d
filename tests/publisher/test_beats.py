"""When heartbeats are due."""

from __future__ import annotations

from itertools import pairwise

from publisher.beats import SHORTEST_SECONDS, Beats


def rounds(beats: Beats, start: float, stop: float, step: float = 0.01) -> list[float]:
    """Return the moments at which a round is due, when somebody looks every hundredth of a second."""
    moments = [start + step * number for number in range(round((stop - start) / step))]
    return [round(moment, 2) for moment in moments if beats.round_due(moment)]


def test_round_due_first_look_beats_at_once() -> None:
    """The first heartbeat is the hello."""
    assert Beats(1.0).round_due(100.0)


def test_round_due_idle_beats_each_interval() -> None:
    """Once a second by default."""
    beats = Beats(1.0)
    assert rounds(beats, 100.0, 103.5) == [100.0, 101.0, 102.0, 103.0]


def test_round_due_burst_ended_beats_at_once_and_soon_again() -> None:
    """A lost tail is found in a fraction of a second; then it is quiet again."""
    beats = Beats(10.0)
    beats.round_due(100.0)
    beats.burst_ended(101.0)
    assert rounds(beats, 101.0, 105.0) == [101.0, 101.1, 101.3]


def test_round_due_many_small_bursts_beat_no_closer_than_the_shortest() -> None:
    """An alert every few milliseconds is a burst each time."""
    beats = Beats(10.0)
    beats.round_due(100.0)
    due = []
    for number in range(100):
        now = 100.0 + number / 100
        beats.burst_ended(now)
        due += [now] if beats.round_due(now) else []
    assert 8 <= len(due) <= 10
    assert all(later - earlier >= SHORTEST_SECONDS - 1e-9 for earlier, later in pairwise(due))


def test_round_due_looked_at_late_makes_up_for_nothing() -> None:
    """A thread that was held up beats once, not once for each round that it missed."""
    beats = Beats(10.0)
    beats.round_due(100.0)
    beats.burst_ended(101.0)
    assert rounds(beats, 104.0, 106.0) == [104.0]


def test_try_due_daemon_away_is_tried_often() -> None:
    """So that it hears the hello within a tenth of a second of its start; a round counts as a try."""
    beats = Beats(10.0)
    beats.round_due(100.0)
    tries = [number for number in range(1, 50) if beats.try_due(100.0 + number / 100)]
    assert tries == [10, 20, 30, 40]
