"""The ranges that a daemon asked for: joined, in order, and in turn."""

from __future__ import annotations

from publisher import asked as module
from publisher.asked import Asked

A, B = b"a" * 16, b"b" * 16


def taken(asked: Asked) -> list[tuple[bytes, int, int]]:
    result = []
    while asked:
        result.append(asked.take())
    return result


def test_add_ranges_of_one_stream_are_joined_in_order() -> None:
    """Whatever order they came in, and however often."""
    asked = Asked()
    for first, last in ((20, 30), (1, 5), (31, 40), (4, 9), (1, 5)):
        asked.add(A, first, last)
    assert taken(asked) == [(A, 1, 9), (A, 20, 40)]


def test_add_empty_range_opens_nothing() -> None:
    """A daemon may ask for 9 to 8."""
    asked = Asked()
    asked.add(A, 9, 8)
    assert not asked


def test_take_streams_have_their_turn() -> None:
    """A backlog that is given back after each slice lets the other stream's hole through."""
    asked = Asked()
    asked.add(A, 1, 1_000_000)
    asked.add(B, 7, 7)
    stream, first, last = asked.take()
    asked.add(stream, first + 256, last)
    assert asked.take() == (B, 7, 7)
    assert asked.take() == (A, 257, 1_000_000)


def test_take_several_ranges_of_a_stream_do_not_jump_the_queue() -> None:
    """Fifty holes of one stream are fifty turns."""
    asked = Asked()
    asked.add(A, 1, 1)
    asked.add(A, 3, 3)
    asked.add(B, 1, 1)
    assert [(stream, first) for stream, first, _ in taken(asked)] == [(A, 1), (B, 1), (A, 3)]


def test_add_more_streams_than_a_publisher_offers_drops_none() -> None:
    """Each has a place of its own: no stream pushes another one out."""
    asked = Asked()
    streams = [number.to_bytes(16, "big") for number in range(300)]
    for stream in streams:
        asked.add(stream, 1, 2_000)
    assert [stream for stream, _, _ in taken(asked)] == streams


def test_add_too_many_ranges_keeps_the_lowest() -> None:
    """Memory is bounded; the daemon asks again for what is higher."""
    asked = Asked()
    for number in range(2 * module._MOST_RANGES, 0, -2):
        asked.add(A, number, number)
    for number in range(2 * module._MOST_RANGES + 2, 4 * module._MOST_RANGES, 2):
        asked.add(A, number, number)
    assert [first for _, first, _ in taken(asked)] == list(range(2, 2 * module._MOST_RANGES + 1, 2))


def test_clear_forgets_everything() -> None:
    """A daemon that is away asks again when it is back."""
    asked = Asked()
    asked.add(A, 1, 2)
    asked.clear()
    assert not asked
