"""All streams on offer: the own one, adopted ones, and what happens when a journal fails."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from bus.alerts import Severity
from publisher import PublisherSettings
from publisher import adopting as module
from publisher.handover import Counters
from publisher.journal import Journal
from publisher.outboxes import Outboxes
from tests.publisher.builders import HandClock, rows


def leave(folder: Path, count: int = 3, goodbye: str | None = None) -> Path:
    journal = Journal.create(folder, "dead", sync="normal")
    journal.append(rows(count))
    if goodbye is not None:
        journal.say_goodbye(goodbye)
    journal.close()
    return folder / f"{journal.stream.hex()}.journal"


def test_open_empty_folder_offers_the_own_stream_only(outboxes: Outboxes) -> None:
    """The usual start."""
    assert list(outboxes) == [outboxes.own]
    assert (outboxes.volatile, outboxes.held(), outboxes.notices.events) == (False, 0, [])
    assert outboxes.get(outboxes.own.stream) is outboxes.own
    assert outboxes.get(b"unknown") is None


def test_volatile_before_open_is_false(unopened: Outboxes) -> None:
    """`stats()` may ask before the thread has opened anything."""
    assert unopened.volatile is False
    assert unopened.held() == 0


def test_open_adopts_what_the_dead_left(folder: Path, unopened: Outboxes) -> None:
    """Each under its own stream and source, after the own one."""
    leave(folder, 2)
    leave(folder, 3)
    unopened.open()
    own, *adopted = unopened
    assert own.own
    assert [(each.own, each.source) for each in adopted] == [(False, "dead")] * 2
    assert unopened.held() == 5
    unopened.close()
    assert len(list(folder.glob("*.journal"))) == 2


def test_open_two_publishers_share_a_folder(folder: Path, outboxes: Outboxes, counters: Counters) -> None:
    """A live publisher's file is never adopted, from neither side."""
    outboxes.append(rows(2))
    second = Outboxes(PublisherSettings(journal=folder, source="second"), counters, HandClock())
    second.open()
    assert list(second) == [second.own]
    assert second.own.stream != outboxes.own.stream
    second.close()
    assert outboxes.append(rows(1)) == 3


def test_open_more_files_than_the_limit_leaves_the_rest(
    folder: Path, unopened: Outboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with very many is drained by several publishers, one after the other."""
    monkeypatch.setattr(module, "_MOST_ADOPTED", 2)
    for _ in range(4):
        leave(folder)
    unopened.open()
    assert len(list(unopened)) == 3
    unopened.close()
    assert len(list(folder.glob("*.journal"))) == 4


def test_open_copy_of_a_file_offers_the_stream_once(folder: Path, unopened: Outboxes) -> None:
    """Two files of one stream must not take each other's place while both are open."""
    path = leave(folder)
    (folder / "copy.journal").write_bytes(path.read_bytes())
    unopened.open()
    assert len(list(unopened)) == 2
    unopened.close()
    assert len(list(folder.glob("*.journal"))) == 2


def test_open_damaged_file_is_set_aside_and_told(
    folder: Path, unopened: Outboxes, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    """Loudly, because what it held can't be sent; the others are adopted."""
    leave(folder).write_bytes(b"garbage" * 1000)
    leave(folder)
    unopened.open()
    (event,) = unopened.notices.events
    assert (event.event_type, event.severity, event.source) == ("JOURNAL_UNREADABLE", Severity.CRITICAL, "trader")
    assert ".corrupt" in event.description
    assert counters.errors == 1
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]
    assert len(list(unopened)) == 2
    unopened.close()
    assert len(list(folder.glob("*.corrupt"))) == 1


def test_open_damaged_file_that_cannot_be_renamed_is_told_all_the_same(
    folder: Path, unopened: Outboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both faults are in the alert, and the start goes on."""

    def refused(*_: object) -> Path:
        raise PermissionError("somebody looks at it")

    leave(folder).write_bytes(b"garbage" * 1000)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        unopened.open()
    (event,) = unopened.notices.events
    assert "could not be set aside either" in event.description
    unopened.close()


def test_open_newer_or_busy_file_stays_and_is_told(folder: Path, unopened: Outboxes) -> None:
    """What another version, or another moment, can read is not moved out of its reach."""
    (folder / f"{'1' * 32}.journal").mkdir(parents=True)
    unopened.open()
    (event,) = unopened.notices.events
    assert (event.event_type, event.severity) == ("JOURNAL_UNREADABLE", Severity.CRITICAL)
    assert "stays where it is" in event.description
    unopened.close()
    assert [path.name for path in folder.glob("*.journal")] == [f"{'1' * 32}.journal"]


def test_held_after_close_says_what_stayed_on_disk(outboxes: Outboxes) -> None:
    """`stats()` can be asked after `close()`."""
    outboxes.append(rows(4))
    outboxes.close()
    assert outboxes.held() == 4


def test_acknowledge_adopted_and_settled_removes_its_file(folder: Path, unopened: Outboxes, counters: Counters) -> None:
    """A drained stream is let go at once; the own one stays open."""
    leave(folder)
    unopened.open()
    _, adopted = unopened
    unopened.acknowledge(adopted, "a", 2, goodbye_heard=False)
    assert (counters.acknowledged, adopted in list(unopened)) == (2, True)
    unopened.acknowledge(adopted, "a", 3, goodbye_heard=False)
    assert (counters.acknowledged, list(unopened)) == (3, [unopened.own])
    unopened.acknowledge(unopened.own, "a", 0, goodbye_heard=False)
    assert list(unopened) == [unopened.own]
    unopened.close()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("goodbye_first", [True, False])
def test_acknowledge_adopted_with_a_goodbye_waits_until_it_was_heard(
    folder: Path, unopened: Outboxes, goodbye_first: bool
) -> None:
    """Alerts and goodbye may be acknowledged in any order, by different acks."""
    leave(folder, goodbye="exception: ValueError")
    unopened.open()
    _, adopted = unopened
    unopened.acknowledge(adopted, "a", 0 if goodbye_first else 3, goodbye_heard=goodbye_first)
    assert adopted in list(unopened)
    unopened.acknowledge(adopted, "a", 3, goodbye_heard=not goodbye_first)
    assert adopted not in list(unopened)
    unopened.close()


def test_store_seen_quicker_store_prunes_nothing_of_the_other(outboxes: Outboxes) -> None:
    """A store that welcomed but has not stored yet is a known one."""
    outboxes.append(rows(3))
    outboxes.store_seen("slow")
    outboxes.store_seen("quick")
    outboxes.acknowledge(outboxes.own, "quick", 3, goodbye_heard=False)
    assert (outboxes.held(), outboxes.own.first_unacknowledged("slow")) == (3, 1)
    outboxes.acknowledge(outboxes.own, "slow", 3, goodbye_heard=False)
    assert outboxes.held() == 0


def test_say_goodbye_twice_keeps_the_first(outboxes: Outboxes) -> None:
    """It is said again and again until it is heard."""
    outboxes.say_goodbye("exception: ValueError")
    outboxes.say_goodbye("closed")
    assert outboxes.own.goodbye == "exception: ValueError"


def test_acknowledge_the_first_of_many_files_offers_the_next(
    folder: Path, unopened: Outboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drain is done when the folder is empty, not when the first ones are."""
    monkeypatch.setattr(module, "_MOST_ADOPTED", 2)
    for _ in range(5):
        leave(folder, 1)
    unopened.open()
    rounds = 0
    while adopted := [outbox for outbox in unopened if outbox is not unopened.own]:
        rounds += 1
        assert len(adopted) <= 2
        unopened.acknowledge(adopted[0], "store", 1, goodbye_heard=False)
    unopened.close()
    assert (rounds, list(folder.glob("*.journal"))) == (5, [])


def test_close_clean_and_empty_leaves_nothing_where_no_store_ever_heard_of_it(outboxes: Outboxes, folder: Path) -> None:
    """A script that published nothing while no daemon ran has nothing to tell."""
    outboxes.say_goodbye("closed")
    outboxes.close()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("reason", ["exception: ValueError", "signal: SIGTERM"])
def test_close_failed_and_empty_is_kept_until_a_store_hears_of_it(
    outboxes: Outboxes, settings: PublisherSettings, counters: Counters, folder: Path, reason: str
) -> None:
    """A trader that fails before its first alert fails all the same, and one store has to tell that."""
    outboxes.say_goodbye(reason)
    outboxes.close()
    (path,) = folder.glob("*.journal")
    later = Outboxes(settings, counters, HandClock())
    later.open()
    _, failed = later
    later.prune()
    assert (failed.goodbye, failed in list(later), later.unheard(())) == (reason, True, 1)
    later.store_seen("a")
    later.acknowledge(failed, "a", 0, goodbye_heard=False)
    assert (failed in list(later), later.unheard({"a"})) == (True, 1)
    later.acknowledge(failed, "a", 0, goodbye_heard=True)
    assert (failed in list(later), path.exists()) == (False, False)
    later.close()
