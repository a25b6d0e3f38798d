"""What the store knows of streams: missing means missing in the store, and lost is never the last word."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from time import monotonic
from typing import Any

import pytest

from subscriber.store import Store, StreamPosition, accepting, numbering
from subscriber.store.streams import SignOfLife
from tests.subscriber.conftest import PostgresqlServer
from tests.support.alerts import OTHER_STREAM, STREAM, incoming, risk_event
from tests.support.clock import START_US, FakeClock


def accept_numbers(store: Store, *numbers: int, up_to: int | None = None) -> None:
    positions = {} if up_to is None else {STREAM: up_to}
    store.accept([incoming(risk_event(), number) for number in numbers], positions)


def test_position_of_unknown_stream_is_not_known(store: Store) -> None:
    """A stream that nobody placed begins at its first unacknowledged number, not at 1."""
    assert store.position(STREAM) == StreamPosition(0, (), known=False)
    accept_numbers(store, 500)
    assert store.position(STREAM) == StreamPosition(0, ((500, 500),), known=False)


def test_position_tells_what_is_settled_beyond(store: Store) -> None:
    """Stored, lost and duplicate numbers beyond the contiguous one are ranges that never touch."""
    accept_numbers(store, 1, 2, 5, 6, 9, up_to=2)
    store.record_lost(STREAM, [(7, 8)], "pruned")
    store.accept([incoming(known := risk_event(), 12)])
    store.accept([incoming(known, 14)])
    store.accept([incoming(risk_event(), 5, stream=OTHER_STREAM)])
    assert store.position(STREAM) == StreamPosition(2, ((5, 9), (12, 12), (14, 14)), known=True)


def test_position_moves_over_what_another_daemon_stored(store: Store) -> None:
    """What is stored right behind the position counts, whoever acknowledged how far."""
    accept_numbers(store, 1, 2, up_to=2)
    accept_numbers(store, 3, 4, 6)
    assert store.position(STREAM) == StreamPosition(4, ((6, 6),), known=True, behind=True)


def test_position_same_number_with_two_alerts_counts_once(store: Store) -> None:
    """A number that holds two alerts is one number."""
    accept_numbers(store, 2, 2, 3)
    assert store.position(STREAM).ahead == ((2, 3),)


def test_record_lost_leaves_stored_numbers_alone(store: Store) -> None:
    """Another daemon may have stored some of them in the meantime."""
    accept_numbers(store, 1, 4, 6, up_to=1)
    assert store.record_lost(STREAM, [(2, 8)], "pruned\0").ranges == ((2, 3), (5, 5), (7, 8))
    assert store.position(STREAM).up_to == 8


def test_record_lost_again_records_nothing(store: Store) -> None:
    """A repeat, or another daemon's, adds no row; a longer range adds only the rest."""
    assert store.record_lost(STREAM, [(3, 5)], "pruned").ranges == ((3, 5),)
    assert store.record_lost(STREAM, [(3, 5)], "pruned").ranges == ()
    assert store.record_lost(STREAM, [(1, 9)], "pruned").ranges == ((1, 2), (6, 9))
    assert store.position(STREAM).ahead == ((1, 9),)


@pytest.mark.parametrize(
    ("number", "left"), [(10, [(11, 20)]), (20, [(10, 19)]), (15, [(10, 14), (16, 20)]), (9, [(10, 20)])]
)
def test_accept_lost_number_that_arrives_is_no_longer_lost(
    store: Store, number: int, left: list[tuple[int, int]]
) -> None:
    """It is stored, and its lost range is cut or split."""
    store.record_lost(STREAM, [(10, 20)], "pruned")
    accepted = store.accept([incoming(risk_event(), number, "telegram")])
    assert accepted.recovered == (number != 9)
    assert accepted.deliveries == {"telegram": 1}
    assert lost_ranges(store) == left


def test_accept_whole_lost_range_that_arrives_leaves_no_mark(store: Store) -> None:
    """Nothing is lost any more; another stream's losses stay."""
    store.record_lost(STREAM, [(1, 3)], "pruned")
    store.record_lost(OTHER_STREAM, [(1, 3)], "pruned")
    assert store.accept([incoming(risk_event(), number) for number in (1, 2, 3)]).recovered == 3
    assert lost_ranges(store) == [(1, 3)]
    assert store.record_lost(OTHER_STREAM, [(1, 3)], "pruned").ranges == ()


def test_accept_numbers_around_a_lost_range_leave_it(store: Store) -> None:
    """What came before it and behind it says nothing about it."""
    store.record_lost(STREAM, [(5, 6)], "pruned")
    assert store.accept([incoming(risk_event(), number) for number in (4, 7)]).recovered == 0
    assert lost_ranges(store) == [(5, 6)]


def test_record_lost_waits_for_a_batch_that_is_being_stored(
    postgresql: PostgresqlServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another daemon's batch may hold the number: it is never both stored and lost."""
    url = postgresql.new_database()
    with Store(url, clock) as first, Store(url, clock) as second:
        first.accept([], {STREAM: 0})
        lost: list[tuple[int, int]] = []
        other = Thread(target=lambda: lost.extend(second.record_lost(STREAM, [(1, 3)], "pruned").ranges))

        def begin_and_wait_until_it_waits(*arguments: Any) -> None:
            other.start()
            wait_until(lambda: postgresql.waiting(url) == 1)
            numbering.move_streams(*arguments)

        monkeypatch.setattr(accepting, "move_streams", begin_and_wait_until_it_waits)
        first.accept([incoming(risk_event(), 2)])
        other.join()
    assert lost == [(1, 1), (3, 3)]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + 30
    while not condition():
        assert monotonic() < deadline, "waited for 30 seconds in vain"


def test_accept_duplicate_of_a_lost_number_settles_it(store: Store) -> None:
    """Its alert is kept under another number, so nothing of it is lost."""
    store.accept([incoming(alert := risk_event(), 1)])
    store.record_lost(STREAM, [(2, 2)], "pruned")
    assert store.accept([incoming(alert, 2)]).recovered == 1
    assert lost_ranges(store) == []


def lost_ranges(store: Store) -> list[tuple[int, int]]:
    with store.database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT first, last FROM stream_mark WHERE mark = 'lost' ORDER BY stream, first"
        )
        return [(row.first, row.last) for row in rows]


def test_heard_keeps_the_newest_time(store: Store) -> None:
    """Whichever daemon heard it last counts, in whatever order they say so; and the time always moves."""
    store.heard(STREAM, SignOfLife("trader-1", last=4, volatile=True), START_US + 5)
    store.heard(STREAM, SignOfLife("trader-1", last=3), START_US + 3)
    store.accept([incoming(risk_event(), 4)], {STREAM: 2})
    (state,) = store.streams()
    assert (state.source, state.up_to, state.last_seen, state.announced) == ("trader-1", 2, 4, 4)
    assert (state.first_seen_us, state.last_heard_us, state.volatile) == (START_US + 5, START_US + 6, False)


def test_begin_says_where_a_stream_starts_once(store: Store) -> None:
    """Whichever daemon says it first; what came before that is ahead."""
    store.accept([incoming(risk_event(), 8)])
    assert not store.position(STREAM).known
    store.begin(STREAM, "trader-1", 7)
    store.begin(STREAM, "trader-1", 3)
    assert store.position(STREAM) == StreamPosition(6, ((8, 8),), known=True)
    (state,) = store.streams()
    assert (state.first, state.up_to) == (7, 6)


def test_begin_after_the_alerts_came_notes_all_that_is_settled(store: Store) -> None:
    """What is acknowledged then is in the row: the ledger proves nothing beyond it."""
    accept_numbers(store, 1, 2, 3, 5)
    store.begin(STREAM, "trader-1", 1)
    (state,) = store.streams()
    assert (state.first, state.up_to) == (1, 3)
    store.record_lost(STREAM, [(4, 4), (6, 9)], "pruned")
    (state,) = store.streams()
    assert state.up_to == 9


def test_position_that_is_further_than_the_row_can_be_noted(store: Store) -> None:
    """Another daemon stored what was missing, and knew no position."""
    store.begin(STREAM, "trader-1", 1)
    accept_numbers(store, 1, 2)
    assert store.position(STREAM).behind
    store.advance(STREAM)
    assert not store.position(STREAM).behind
    (state,) = store.streams()
    assert state.up_to == 2


def test_said_goodbye_never_lowers_what_was_told_of(store: Store) -> None:
    store.heard(STREAM, SignOfLife("trader-1", last=100), START_US)
    store.said_goodbye(STREAM, "trader-1", "closed", 60)
    assert [state.announced for state in store.streams()] == [100]


def test_said_goodbye_keeps_the_reason(store: Store) -> None:
    """Why a stream ended is known after a restart."""
    assert store.said_goodbye(STREAM, "trader-1", "signal SIGTERM", 7) is not None
    assert store.said_goodbye(STREAM, "trader-1", "closed", 7) is None
    assert [(state.source, state.goodbye) for state in store.streams()] == [("trader-1", "signal SIGTERM")]


def test_streams_are_told_in_the_order_of_their_coming(store: Store) -> None:
    """The newest stream of a source is its last."""
    store.heard(OTHER_STREAM, SignOfLife("trader-1", 0), START_US)
    store.heard(STREAM, SignOfLife("trader-1", 0), START_US + 1)
    assert [state.stream for state in store.streams()] == [OTHER_STREAM, STREAM]


def test_position_at_the_highest_number_there_is_can_be_read(store: Store) -> None:
    """Only a forged frame gets there; it must not cost the others anything."""
    highest = 2**63 - 1
    store.accept([incoming(risk_event(), highest)], {STREAM: highest})
    assert store.position(STREAM).up_to == highest
