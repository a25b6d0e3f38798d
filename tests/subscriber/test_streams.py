"""When a stream's numbers are asked for: a hole at once, a tail only when nothing moves, and never in a storm."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from bus.wire import Heartbeat
from subscriber.intake.sequences import Observation, Position
from subscriber.intake.streams import REPLAY_WINDOW, OfferedStream
from tests.support.alerts import STREAM

NOW = 1000.0
LATER = NOW + 1.5


def offered(contiguous: int | None = 0, *, own: bool = True, ahead: Iterable[tuple[int, int]] = ()) -> OfferedStream:
    """A stream with everything up to a number stored, of which a publisher was heard."""
    beat = Heartbeat(
        stream=STREAM, source="trader-1", own=own, first_held=1, first_unacknowledged=1, last=0, clock_us=1
    )
    known = OfferedStream(STREAM, Position(contiguous, ahead))
    known.offers.heard(b"peer", beat, NOW)
    return known


def come(known: OfferedStream, numbers: Iterable[int], *, asked_for: bool = False) -> None:
    for number in numbers:
        known.observe(number, asked_for=asked_for)


def test_wanted_after_contiguous_data_is_nothing() -> None:
    """Data that arrives in order asks for nothing."""
    known = offered()
    come(known, range(1, 100))
    assert known.wanted() == 0


def test_wanted_hole_below_data_is_asked_for_at_once() -> None:
    """One connection keeps its order, so a number below one that came will not come any more."""
    known = offered()
    come(known, [1, 2, 6])
    assert known.wanted() == 6
    assert known.window(6, NOW) == [(3, 5)]


def test_wanted_while_a_window_is_open_is_nothing() -> None:
    """What was asked for is coming; live data behind it, and further holes, wait their turn."""
    known = offered()
    come(known, [1, 5])
    known.window(known.wanted(), NOW)
    come(known, [6, 7, 10])
    assert known.wanted() == 0
    come(known, [2, 3], asked_for=True)
    assert known.wanted() == 0
    come(known, [4], asked_for=True)
    assert known.wanted() == 10
    assert known.window(10, NOW) == [(8, 9)]


def test_wanted_of_a_stream_without_a_start_is_nothing() -> None:
    """Before a heartbeat says where the stream starts nothing is missing."""
    known = offered(None)
    come(known, [7, 9])
    assert known.wanted() == 0


def test_wanted_long_outage_comes_window_after_window() -> None:
    """A backlog is asked for in pieces, each when the one before it is there, and asked for once.

    With the oldest of each piece come some of the newest: what happened last must not wait for all of it.
    """
    known = offered()
    last = 2 * REPLAY_WINDOW + 500
    come(known, [last + 1])  # live, behind the outage
    asked: list[list[tuple[int, int]]] = []
    while wanted := known.wanted():
        asked.append(known.window(wanted, NOW))
        for first, end in asked[-1]:
            come(known, range(first, end + 1), asked_for=True)
    assert asked == [[(4001, 4500), (1, 1500)], [(3501, 4000), (1501, 3000)], [(3001, 3500)]]
    assert known.position.contiguous == last + 1


def test_window_of_many_holes_is_cut() -> None:
    """A publisher keeps only so many ranges: the rest is asked for when these are filled."""
    known = offered(ahead=[(number, number) for number in range(2, 302, 2)])
    ranges = known.window(known.wanted(), NOW)
    assert (len(ranges), ranges[:10], ranges[-1]) == (50, [(n, n) for n in range(299, 280, -2)], (79, 79))
    come(known, range(1, 80, 2), asked_for=True)
    come(known, range(281, 300, 2), asked_for=True)
    assert (81, 81) in known.window(known.wanted(), NOW)


def test_window_with_nothing_missing_stays_closed() -> None:
    """Another daemon may have stored all of it meanwhile."""
    known = offered(10)
    assert known.window(10, NOW) == []
    assert known.wanted() == 0


# --- heartbeats -------------------------------------------------------------------------------------------------


def test_noticed_tail_is_asked_for_only_without_progress() -> None:
    """Control messages overtake data under load, so the first word of a tail is only remembered."""
    known = offered(10)
    assert known.noticed(50, NOW) == 0
    assert known.noticed(50, NOW) == 50
    assert known.window(50, NOW) == [(11, 50)]


def test_noticed_tail_while_data_flows_is_never_asked_for() -> None:
    """A heartbeat that is far ahead of the data says nothing as long as the data moves."""
    known = offered()
    for turn in range(50):
        come(known, range(turn * 100 + 1, turn * 100 + 101))
        assert known.noticed(40_000, NOW + turn) == 0
        assert known.wanted() == 0


def test_noticed_tail_while_only_known_numbers_flow_is_never_asked_for() -> None:
    """A replay that was not needed puts us ahead of the data, which then moves although it brings nothing new."""
    known = offered(10_000)
    for turn in range(10):
        come(known, range(turn * 100 + 1, turn * 100 + 101))
        assert known.noticed(40_000, NOW + turn) == 0


def test_noticed_everything_there_is_nothing() -> None:
    """An idle publisher is not asked for anything, however often it beats."""
    known = offered(50)
    assert [known.noticed(50, NOW + turn) for turn in range(5)] == [0] * 5
    assert known.noticed(0, NOW) == 0


def test_noticed_adopted_stream_is_asked_for_at_once() -> None:
    """What a dead publisher left comes on no data connection."""
    known = offered(10, own=False)
    assert known.noticed(50, NOW) == 50


def test_noticed_adopted_stream_is_not_asked_for_twice_while_it_comes() -> None:
    """The window that is open is on its way."""
    known = offered(0, own=False)
    known.window(known.noticed(5000, NOW), NOW)
    come(known, range(1, 1001), asked_for=True)
    assert known.noticed(5000, LATER) == 0
    come(known, range(1001, 2001), asked_for=True)
    assert known.wanted() == 5000


def test_noticed_lost_answer_is_asked_for_again() -> None:
    """Whatever became of the replay, two heartbeats without progress ask again, and no heartbeat sooner."""
    known = offered(10)
    known.noticed(50, NOW)
    known.window(known.noticed(50, NOW), NOW)
    assert [known.noticed(50, NOW + part) for part in (0.0, 0.1, 0.3, 0.9)] == [0] * 4
    assert known.noticed(50, LATER) == 50


def test_noticed_lost_answer_for_a_hole_is_asked_for_again_under_load() -> None:
    """Live data behind the hole moves on, and does not hide that the hole stays."""
    known = offered()
    come(known, [1, 5])
    known.window(known.wanted(), NOW)
    for turn in range(4):
        come(known, range(6 + turn * 10, 16 + turn * 10))
        answers = known.noticed(100, NOW + turn)
    assert answers == known.position.highest == 45
    assert known.window(answers, LATER) == [(2, 4)]


def test_noticed_hole_that_fills_is_left_alone() -> None:
    """A replay that makes progress is not asked for again."""
    known = offered()
    come(known, [5000])
    known.window(known.wanted(), NOW)
    for turn in range(3):
        come(known, range(turn * 100 + 1, turn * 100 + 101), asked_for=True)
        assert known.noticed(5000, LATER + turn) == 0


def test_wanted_after_a_needless_window_leaves_the_rest_to_the_data() -> None:
    """A stalled connection that moves again delivers what is left of the tail by itself: no storm of windows."""
    known = offered(10_000)
    known.noticed(48_000, NOW)
    known.window(known.noticed(48_000, NOW), NOW)
    come(known, range(10_001, 12_001), asked_for=True)
    come(known, range(10_001, 10_500))
    assert known.wanted() == 0
    come(known, range(10_500, 48_001))
    assert known.wanted() == 0
    assert known.position.contiguous == 48_000


def test_wanted_after_one_live_number_still_asks_for_the_backlog() -> None:
    """Live data behind a tail that was lost turns the tail into a hole."""
    known = offered()
    known.noticed(5000, NOW)
    known.window(known.noticed(5000, NOW), NOW)
    come(known, range(1, 2001), asked_for=True)
    come(known, [5001])
    assert known.window(known.wanted(), NOW) == [(4501, 5000), (2001, 3500)]


def test_noticed_while_a_slow_window_comes_is_as_patient_as_the_last_one_took() -> None:
    """A machine that is busy answers late; asking again would only make it busier."""
    known = offered()
    known.noticed(50_000, NOW)
    for start in (NOW, NOW + 5):
        for first, last in known.window(known.wanted() or 50_000, start):
            come(known, range(first, last + 1), asked_for=True)
    known.window(known.wanted(), NOW + 10)
    assert [known.noticed(50_000, NOW + 10 + later) for later in (1, 5, 19)] == [0, 0, 0]
    assert known.noticed(50_000, NOW + 31) == 50_000


def test_noticed_after_a_pause_between_two_replays_is_not_patient_for_ever() -> None:
    """How long ago the last window was is not how long it took."""
    known = offered()
    come(known, [5])
    come(known, [number for first, last in known.window(known.wanted(), NOW) for number in range(first, last + 1)])
    assert known.wanted() == 0
    known.noticed(9, NOW + 3600)
    assert known.window(known.noticed(9, NOW + 3600), NOW + 3600) == [(6, 9)]
    assert known.noticed(9, NOW + 3602) == 9


def test_wanted_what_was_lost_in_mid_replay_comes_with_the_next_window() -> None:
    """Published while the data connection was being made, it must not wait for the whole backlog."""
    known = offered()
    known.noticed(50_000, NOW)
    (newest, oldest) = known.window(known.noticed(50_000, NOW), NOW)
    come(known, [*range(newest[0], newest[1] + 1), *range(1, oldest[1] + 1)], asked_for=True)
    come(known, [50_003])
    assert known.window(known.wanted(), NOW)[0] == (50_001, 50_002)


def test_noticed_tail_in_mid_replay_comes_with_the_next_window() -> None:
    """The same, where nothing comes on the data connection yet."""
    known = offered()
    known.noticed(50_000, NOW)
    (newest, oldest) = known.window(known.noticed(50_000, NOW), NOW)
    come(known, [*range(newest[0], newest[1] + 1), *range(1, oldest[1])], asked_for=True)
    assert known.noticed(50_002, NOW) == 0
    assert known.noticed(50_002, NOW) == 0
    come(known, [oldest[1]], asked_for=True)
    assert known.window(known.wanted(), NOW)[0] == (50_001, 50_002)


@pytest.mark.parametrize("last", [50, 0])
def test_noticed_without_a_start_opens_no_window(last: int) -> None:
    """A goodbye may come before any heartbeat did."""
    known = offered(None)
    known.noticed(last, NOW)
    assert known.window(known.noticed(last, NOW), NOW) == []


def test_forget_begins_again_from_the_store() -> None:
    """What was in memory may be ahead of the store: nothing of it is believed, and what was asked for is void."""
    known = offered(10)
    come(known, [11, 15])
    known.window(known.wanted(), NOW)
    known.forget()
    assert known.stale
    known.position.begin(11)
    assert known.wanted() == 0
    assert known.observe(11, asked_for=False) is Observation.NEW
    assert known.noticed(15, NOW) == 0
    assert known.noticed(15, NOW) == 15
