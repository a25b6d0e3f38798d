"""Two daemons with a database each: neither misses an alert because it was away while the publisher started."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from publisher import Publisher, PublisherSettings
from publisher import known_stores as module
from publisher.errors import JournalError
from publisher.handover import Counters
from publisher.journal import Journal
from publisher.outboxes import Outboxes
from tests.publisher.builders import HandClock, alert, journals, numbers, remains, rows
from tests.publisher.conftest import MakePublisher
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until

DATA = ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:6555")
HERE, THERE = CONTROL = ("tcp://127.0.0.1:5556", "tcp://127.0.0.1:6556")


@pytest.fixture
def other() -> Iterator[ScriptedDaemon]:
    """A second daemon with a store of its own."""
    with ScriptedDaemon(store_id="store-b") as running:
        yield running


def both(first: ScriptedDaemon, second: ScriptedDaemon) -> dict[str, Any]:
    """Name both in a publisher's settings."""
    return {
        "data_endpoints": f"{first.data_endpoint},{second.data_endpoint}",
        "control_endpoints": f"{first.control_endpoint},{second.control_endpoint}",
    }


def publish(publisher: Publisher, first: int, last: int) -> None:
    for number in range(first, last + 1):
        assert publisher.publish(alert(number))
    assert publisher.flush(10.0)


def wait_held(publisher: Publisher, count: int) -> None:
    wait_until(lambda: publisher.stats().journal_alerts == count)


def wait_answers(publisher: Publisher) -> None:
    wait_until(lambda: all(daemon.answers for daemon in publisher.stats().daemons))


def test_store_that_is_paused_at_the_first_start_of_all_misses_nothing(
    daemon: ScriptedDaemon, other: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """Nobody knows it yet: what the quicker one has stays for a while, and leaves when both have it."""
    other.paused = True
    publisher = make_publisher(**both(daemon, other))
    publish(publisher, 1, 100)
    wait_until(lambda: publisher.stats().unacknowledged == 0 and len(daemon.alerts) == 100)
    assert publisher.stats().journal_alerts == 100
    other.paused = False
    wait_answers(publisher)
    publish(publisher, 101, 110)
    wait_held(publisher, 0)
    assert numbers(daemon.alerts) == numbers(other.alerts) == list(range(1, 111))
    assert publisher.stats().acknowledged == 110
    assert all(record.lost == [] for record in other.streams.values())


def test_store_that_is_away_while_the_publisher_restarts_misses_nothing(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, folder: Path
) -> None:
    """The stream of before is kept for it, and so is the new one from its first number on."""
    streams = {}
    with ScriptedDaemon(store_id="store-b") as away:
        names = both(daemon, away)
        first = make_publisher(**names)
        wait_answers(first)
        publish(first, 1, 10)
        wait_held(first, 0)
        streams = away.streams
        away.stop()
        publish(first, 11, 30)
        wait_until(lambda: len(daemon.alerts) == 30)
        first.close(timeout=1.0)

    second = make_publisher(**names)
    publish(second, 31, 80)
    wait_until(lambda: len(daemon.alerts) == 80)
    wait_until(lambda: second.stats().unacknowledged == 0)
    wait_held(second, 70)
    with ScriptedDaemon(store_id="store-b", endpoints=away.endpoints, streams=streams) as back:
        wait_held(second, 0)
        assert sorted(numbers(back.alerts)) == list(range(1, 81))
        assert {beat.first_unacknowledged for beat in back.heartbeats if beat.own and beat.last} >= {1}
        assert all(record.lost == [] for record in back.streams.values())
        assert second.close(timeout=10.0)
    assert remains(folder) == []


def test_store_that_was_known_is_kept_for_after_the_end(
    daemon: ScriptedDaemon, other: ScriptedDaemon, make_publisher: MakePublisher, folder: Path
) -> None:
    """A short script between two starts of the daemon: its journal waits for the one that was away."""
    names = both(daemon, other)
    first = make_publisher(**names)
    wait_answers(first)
    assert first.close(timeout=10.0)
    assert remains(folder) == []
    other.stop()
    second = make_publisher(**names)
    assert second.publish(alert(1), wait=10.0)
    second.close(timeout=1.0)
    (journal,) = journals(folder)
    assert (journal.first_unacknowledged("store-a"), journal.first_unacknowledged("store-b")) == (2, 1)


def test_endpoint_that_never_answered_leaves_no_file(
    daemon: ScriptedDaemon, nowhere: tuple[str, str], make_publisher: MakePublisher, folder: Path
) -> None:
    """A daemon that was configured and never ran holds up no end."""
    data, control = daemon.endpoints
    publisher = make_publisher(data_endpoints=f"{data},{nowhere[0]}", control_endpoints=f"{control},{nowhere[1]}")
    assert publisher.publish(alert(1), wait=10.0)
    assert publisher.stats().journal_alerts == 1
    publisher.close(timeout=1.0)
    assert publisher.stats().journal_alerts == 0
    assert remains(folder) == []


def test_script_without_alerts_leaves_no_file_for_a_store_that_is_away(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, folder: Path
) -> None:
    """It never heard of the stream, and would never accuse it."""
    publisher = make_publisher(daemon)
    wait_answers(publisher)
    assert publisher.close(timeout=10.0)
    daemon.stop()
    publisher = make_publisher(daemon)
    publisher.close(timeout=0.0)
    assert remains(folder) == []


def test_failed_start_of_a_script_is_told_by_one_store(
    daemon: ScriptedDaemon, other: ScriptedDaemon, make_publisher: MakePublisher, folder: Path
) -> None:
    """Where one store heard it, the other, which never heard of the stream, is not waited for."""
    names = both(daemon, other)
    first = make_publisher(**names)
    wait_answers(first)
    assert first.close(timeout=10.0)
    other.stop()
    second = make_publisher(**names)
    wait_until(lambda: second.stats().daemons[0].answers)
    second.close(timeout=1.0, reason="exception: ValueError")
    assert remains(folder) == []
    assert [bye.reason for bye in daemon.goodbyes] == ["closed", "exception: ValueError"]


# --- by the hand-moved clock ------------------------------------------------------------------------------------


@pytest.fixture
def settings(folder: Path) -> PublisherSettings:
    """Two endpoints."""
    return PublisherSettings(journal=folder, source="trader", data_endpoints=DATA, control_endpoints=CONTROL)


def seen(outboxes: Outboxes, endpoint: str, store_id: str) -> None:
    """Let a store welcome, as the sender hears it."""
    outboxes.store_seen(store_id)
    outboxes.answered(endpoint, store_id)


def test_endpoint_that_does_not_answer_in_time_is_waited_for_no_longer(
    outboxes: Outboxes, clock: HandClock, counters: Counters
) -> None:
    """What was acknowledged leaves then, and a store that comes later begins behind it."""
    outboxes.append(rows(5))
    seen(outboxes, HERE, "here")
    outboxes.acknowledge(outboxes.own, "here", 4, goodbye_heard=False)
    clock.advance(module.GRACE_SECONDS - 1)
    outboxes.mend()
    assert (outboxes.held(), outboxes.own.first_unacknowledged("late"), counters.acknowledged) == (5, 1, 0)
    clock.advance(1)
    outboxes.mend()
    assert (outboxes.held(), outboxes.own.first_unacknowledged("late"), counters.acknowledged) == (1, 5, 4)


def test_endpoint_that_is_waited_for_gets_what_was_adopted_too(
    folder: Path, unopened: Outboxes, counters: Counters
) -> None:
    """Of what the dead left, from the first number that is still held."""
    dead = Journal.create(folder, "dead", sync="normal")
    dead.append(rows(5))
    dead.acknowledge("here", 2, 1)
    dead.close()
    unopened.open()
    _, adopted = unopened
    seen(unopened, HERE, "here")
    unopened.acknowledge(adopted, "here", 5, goodbye_heard=False)
    assert (adopted.held(), adopted.first_unacknowledged("there")) == (3, 3)
    seen(unopened, THERE, "there")
    assert (adopted.held(), adopted.first_unacknowledged("there")) == (3, 3)
    unopened.acknowledge(adopted, "there", 5, goodbye_heard=False)
    assert (counters.acknowledged, list(unopened)) == (3, [unopened.own])
    unopened.close()


def test_adopted_journal_whose_owner_was_waiting_is_settled(
    folder: Path, outboxes: Outboxes, settings: PublisherSettings, counters: Counters, clock: HandClock
) -> None:
    """The owner was killed while it kept what all known stores had: who adopts it for these alone needs none of it."""
    outboxes.append(rows(5))
    seen(outboxes, HERE, "here")
    outboxes.acknowledge(outboxes.own, "here", 5, goodbye_heard=False)
    assert isinstance(outboxes.own, Journal)
    outboxes.own._file.close(settled=False)
    alone = settings.model_copy(update={"control_endpoints": (HERE,), "data_endpoints": (DATA[0],)})
    later = Outboxes(alone, Counters(), clock)
    later.open()
    _, adopted = later
    assert (adopted.held(), adopted.last) == (0, 5)
    later.prune()
    assert list(later) == [later.own]
    later.close()
    assert not outboxes.own.path.exists()


def test_new_stream_says_in_its_file_for_whom_it_is_kept(
    folder: Path, outboxes: Outboxes, settings: PublisherSettings, clock: HandClock
) -> None:
    """So that whoever adopts it keeps it for them as well, from the first number on, and for as long."""
    seen(outboxes, HERE, "here")
    seen(outboxes, THERE, "there")
    clock.advance(60)
    second = Outboxes(settings, Counters(), clock)
    second.open()
    assert isinstance(second.own, Journal)
    with closing(sqlite3.connect(second.own.path)) as file:
        kept = sorted(file.execute("SELECT store_id, up_to, seen_us FROM acknowledged").fetchall())
    assert kept == [("here", 0, clock.us - 60_000_000), ("there", 0, clock.us - 60_000_000)]
    assert second.own.acknowledged.told == set()
    second.append(rows(3))
    second.store_seen("here")
    second.acknowledge(second.own, "here", 3, goodbye_heard=False)
    assert (second.held(), second.own.acknowledged.told) == (3, {"here"})
    second.close()


def test_stream_in_memory_is_kept_for_a_store_that_is_away(
    folder: Path, outboxes: Outboxes, settings: PublisherSettings, counters: Counters, clock: HandClock
) -> None:
    """As long as the process lives."""
    seen(outboxes, HERE, "here")
    seen(outboxes, THERE, "there")
    second = Outboxes(settings, Counters(), clock)
    second._known.open()
    second._go_volatile(JournalError("the disk is full"))
    second.append(rows(3))
    second.store_seen("here")
    second.acknowledge(second.own, "here", 3, goodbye_heard=False)
    assert (second.volatile, second.held(), second.own.first_unacknowledged("there")) == (True, 3, 1)
    second.acknowledge(second.own, "there", 3, goodbye_heard=False)
    assert second.held() == 0
    second.close()


def test_stream_is_kept_for_a_store_that_was_replaced_no_more(
    folder: Path, outboxes: Outboxes, settings: PublisherSettings, clock: HandClock
) -> None:
    """An empty database took its place: what runs is kept by its own rule, what begins is not."""
    seen(outboxes, HERE, "old")
    seen(outboxes, HERE, "new")
    assert set(outboxes.own.acknowledged.stores) == {"old", "new"}
    second = Outboxes(settings, Counters(), clock)
    second.open()
    assert second.own.acknowledged.stores == ("new",)
    second.close()
