"""The stream in memory: what differs from the journal (the shared promises are tested in test_journal)."""

from __future__ import annotations

from publisher.volatile import VolatileOutbox
from tests.publisher.builders import rows


def held(outbox: VolatileOutbox) -> list[int]:
    return [entry.sequence for entry in outbox.read(1, outbox.last, 1_000)]


def test_append_beyond_the_limit_drops_the_oldest() -> None:
    """Memory is bounded; `first_held` tells the daemon what is gone."""
    outbox = VolatileOutbox("trader", limit=3)
    outbox.append(rows(5))
    assert (held(outbox), outbox.first_held(), outbox.last, outbox.held()) == ([3, 4, 5], 3, 5, 3)
    assert outbox.first_unacknowledged(None) == 1


def test_read_range_that_was_dropped_in_part_returns_the_rest() -> None:
    """A range that begins below what is held gives what is held of it."""
    outbox = VolatileOutbox("trader", limit=3)
    outbox.append(rows(5))
    assert [entry.sequence for entry in outbox.read(1, 4, 10)] == [3, 4]
    assert outbox.read(1, 2, 10) == []


def test_acknowledge_everything_holds_nothing() -> None:
    """The next number goes on behind what was acknowledged."""
    outbox = VolatileOutbox("trader")
    outbox.append(rows(4))
    outbox.acknowledge("a", 4, 1)
    assert (outbox.held(), outbox.first_held()) == (0, 5)
    assert outbox.append(rows(1)) == 5


def test_say_goodbye_and_close_forget_everything() -> None:
    """It ends with the process: there is nothing to adopt."""
    outbox = VolatileOutbox("trader")
    outbox.append(rows(2))
    outbox.say_goodbye("closed")
    outbox.close()
    assert (outbox.goodbye, outbox.held()) == ("closed", 0)


def test_stream_two_openings_never_share_an_id() -> None:
    """A number that somebody acknowledged is never given out again."""
    assert len({VolatileOutbox("trader").stream for _ in range(50)}) == 50
