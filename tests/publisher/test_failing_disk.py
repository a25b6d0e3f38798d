"""A disk that is full or broken: alerts go on from memory, and everybody is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.alerts import Severity
from publisher import PublisherSettings
from publisher import notices as module
from publisher.handover import Counters
from publisher.journal import Journal
from publisher.outboxes import Outboxes
from tests.publisher.builders import HandClock, rows

DAY_SECONDS = 86_400


@pytest.fixture
def broken(tmp_path: Path, counters: Counters, clock: HandClock) -> Iterator[Outboxes]:
    """Its folder can't be made: it works from memory from the beginning."""
    (tmp_path / "file").touch()
    outboxes = Outboxes(PublisherSettings(journal=tmp_path / "file" / "journal", source="trader"), counters, clock)
    outboxes.open()
    yield outboxes
    outboxes.close()


def fail_own_disk(outboxes: Outboxes) -> Journal:
    """Leave the own journal's file no room; reading goes on."""
    own = outboxes.own
    assert isinstance(own, Journal)
    own._file.connection.execute("PRAGMA query_only = on")
    return own


def test_open_impossible_folder_goes_on_from_memory(tmp_path: Path, counters: Counters) -> None:
    """Whatever is wrong with the folder, the publisher starts."""
    outboxes = Outboxes(PublisherSettings(journal=tmp_path / ("n" * 300)), counters, HandClock())
    outboxes.open()
    assert outboxes.volatile
    assert counters.errors == 3  # it can neither be made nor listed, nor does it say which stores there are
    outboxes.close()


def test_open_folder_below_a_file_goes_on_from_memory_and_tells(broken: Outboxes, counters: Counters) -> None:
    """Sending goes on; a person hears that a restart loses what is not acknowledged."""
    assert broken.volatile
    (event,) = broken.notices.events
    assert (event.event_type, event.severity) == ("JOURNAL_FAILED", Severity.CRITICAL)
    assert broken.append(rows(2)) == 1
    assert (broken.held(), counters.errors) == (2, 1)


def test_tell_log_handler_that_raises_changes_nothing(broken: Outboxes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler of the trader's must not end the thread at the very moment a disk fails."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a broken handler")

    monkeypatch.setattr(module.logger, "log", fail)
    broken.notices.tell("JOURNAL_FAILED", "again")
    assert len(broken.notices.events) == 2


def test_append_disk_fails_begins_a_volatile_stream(outboxes: Outboxes, counters: Counters) -> None:
    """The batch that failed is in the new stream; what the old file holds stays on offer as adopted."""
    outboxes.append(rows(3))
    old = fail_own_disk(outboxes)

    assert outboxes.append(rows(2)) == 1

    assert outboxes.volatile
    assert outboxes.own.stream != old.stream
    assert set(outboxes) == {old, outboxes.own}
    assert (old.own, old.goodbye, old.held(), outboxes.held()) == (False, "journal failed", 3, 5)
    assert [event.event_type for event in outboxes.notices.events] == ["JOURNAL_FAILED"]
    assert (counters.errors, counters.dropped) == (1, 0)
    assert [entry.sequence for entry in old.read(1, 3, 3)] == [1, 2, 3]


def test_append_volatile_overflow_counts_what_is_dropped(
    broken: Outboxes, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded; what falls out unacknowledged is in `stats()`."""
    monkeypatch.setattr(broken.own, "_entries", type(broken.own._entries)(maxlen=3))  # type: ignore[attr-defined]
    broken.append(rows(2))
    broken.append(rows(2))
    assert (broken.held(), counters.dropped) == (3, 1)


def test_close_volatile_counts_what_is_lost_with_it(broken: Outboxes, counters: Counters) -> None:
    """What only memory held ends here, and says so."""
    broken.append(rows(4))
    broken.acknowledge(broken.own, "a", 1, goodbye_heard=False)
    broken.close()
    assert counters.dropped == 3


def test_store_seen_volatile_stream_keeps_for_it_too(outboxes: Outboxes) -> None:
    """The stream that begins when the disk fails knows the stores that are there."""
    outboxes.store_seen("slow")
    fail_own_disk(outboxes)
    outboxes.append(rows(3))
    outboxes.acknowledge(outboxes.own, "quick", 3, goodbye_heard=False)
    assert outboxes.own.held() == 3


def test_every_verb_on_a_failing_disk_is_counted_and_goes_on(
    outboxes: Outboxes, counters: Counters, clock: HandClock
) -> None:
    """No error of the disk leaves the sender's thread."""
    outboxes.append(rows(3))
    own = fail_own_disk(outboxes)
    clock.advance(DAY_SECONDS)

    outboxes.store_seen("a")
    outboxes.acknowledge(own, "a", 2, goodbye_heard=False)
    outboxes.say_goodbye("closed")
    outboxes.prune()
    clock.advance(10 * DAY_SECONDS)
    outboxes.prune()

    assert counters.errors == 4
    assert (counters.acknowledged, counters.dropped, own.held(), own.goodbye) == (2, 0, 1, None)
