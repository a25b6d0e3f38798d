"""How long stores and alerts count: by the monotonic clock, whatever the wall clock does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from publisher import PublisherSettings
from publisher.handover import Counters
from publisher.journal import Journal
from publisher.outbox import Outbox
from publisher.outboxes import Outboxes
from publisher.volatile import VolatileOutbox
from tests.publisher.builders import HandClock, rows

HOUR = 3_600.0
DAY = 24 * HOUR
YEARS_US = 30 * 365 * 86_400 * 1_000_000


@pytest.fixture
def settings(folder: Path) -> PublisherSettings:
    """Alerts and stores count for a day."""
    return PublisherSettings(journal=folder, source="trader", journal_max_age_seconds=DAY)


@pytest.fixture
def clock() -> HandClock:
    """Today, as far as the wall clock is right."""
    return HandClock(1_760_000_000 * 1_000_000)


def welcome_until(outboxes: Outboxes, clock: HandClock, store_id: str, hours: int) -> None:
    """Let time pass while a store goes on welcoming, and look after everything as the sender does."""
    for _ in range(2 * hours):
        clock.advance(HOUR / 2)
        outboxes.store_seen(store_id)
        outboxes.prune()


def seen_on_disk(outbox: Outbox) -> dict[str, int]:
    assert isinstance(outbox, Journal)
    with closing(sqlite3.connect(outbox.path)) as other:
        return dict(other.execute("SELECT store_id, seen_us FROM acknowledged").fetchall())


def leave(folder: Path, clock: HandClock, *, stores: dict[str, int], count: int = 5) -> None:
    """Leave a journal of alerts that were published now, acknowledged so far by each store."""
    journal = Journal.create(folder, "dead", sync="normal")
    journal.append(rows(count, published_us=clock.us))
    for store_id, up_to in stores.items():
        journal.note_store(store_id, clock.us)
        journal.acknowledge(store_id, up_to, clock.us)
    journal.close()


def test_store_that_is_gone_for_the_maximum_age_stops_counting(
    outboxes: Outboxes, clock: HandClock, counters: Counters
) -> None:
    """What the remaining stores have leaves the journal, the store's row goes, and it comes back as a new store."""
    outboxes.append(rows(5))
    outboxes.store_seen("gone")
    outboxes.store_seen("here")
    outboxes.acknowledge(outboxes.own, "gone", 2, goodbye_heard=False)
    outboxes.acknowledge(outboxes.own, "here", 5, goodbye_heard=False)
    welcome_until(outboxes, clock, "here", 24)
    assert outboxes.held() == 3
    welcome_until(outboxes, clock, "here", 1)
    assert (outboxes.held(), counters.acknowledged, counters.dropped) == (0, 5, 0)
    assert set(seen_on_disk(outboxes.own)) == {"here"}
    assert outboxes.own.first_unacknowledged("gone") == 6


def test_volatile_stream_obeys_the_same_rule(outboxes: Outboxes, clock: HandClock) -> None:
    """Memory is kept for no store that does not come back."""
    volatile = VolatileOutbox("trader")
    volatile.append(rows(4))
    outboxes._offer(volatile)
    outboxes.store_seen("gone")
    outboxes.store_seen("here")
    outboxes.acknowledge(volatile, "here", 4, goodbye_heard=False)
    welcome_until(outboxes, clock, "here", 25)
    assert (volatile.held(), volatile.acknowledged.stores) == (0, ("here",))


def test_only_store_that_is_gone_leaves_its_place(folder: Path, outboxes: Outboxes, clock: HandClock) -> None:
    """Over a restart as well: what it had acknowledged is no loss to whoever comes."""
    outboxes.append(rows(5))
    outboxes.store_seen("gone")
    outboxes.acknowledge(outboxes.own, "gone", 3, goodbye_heard=False)
    outboxes.prune()
    clock.advance(DAY + 1)
    outboxes.append(rows(1, first=6))
    outboxes.prune()
    assert outboxes.own.first_unacknowledged("new") == 4
    assert isinstance(outboxes.own, Journal)
    outboxes.own._file.close(settled=False)
    with closing(Journal.adopt(outboxes.own.path, sync="normal") or VolatileOutbox("none")) as again:
        assert (again.acknowledged.stores, again.first_unacknowledged("new"), again.last) == ((), 4, 6)


@pytest.mark.parametrize("step_us", [YEARS_US, -YEARS_US])
def test_wall_clock_that_jumps_drops_nothing_of_the_own_stream(
    outboxes: Outboxes, clock: HandClock, counters: Counters, step_us: int
) -> None:
    """From 1970 to today, or years ahead: neither store nor alert is older for it."""
    outboxes.append(rows(5, published_us=clock.us))
    outboxes.store_seen("slow")
    outboxes.acknowledge(outboxes.own, "quick", 5, goodbye_heard=False)
    clock.us += step_us
    welcome_until(outboxes, clock, "quick", 12)
    assert (outboxes.held(), counters.dropped, set(outboxes.own.acknowledged.stores)) == (5, 0, {"slow", "quick"})


def test_own_alerts_leave_at_the_maximum_age(outboxes: Outboxes, clock: HandClock, counters: Counters) -> None:
    """What nobody acknowledged is counted as dropped; younger ones stay, and the newest always."""
    outboxes.append(rows(5))
    welcome_until(outboxes, clock, "slow", 12)
    outboxes.append(rows(5, first=6))
    welcome_until(outboxes, clock, "slow", 12)
    assert (outboxes.own.first_held(), counters.dropped) == (1, 0)
    welcome_until(outboxes, clock, "slow", 1)
    assert (outboxes.own.first_held(), counters.dropped) == (6, 5)
    welcome_until(outboxes, clock, "slow", 24)
    assert (outboxes.own.first_held(), outboxes.held(), counters.dropped) == (10, 1, 9)


def test_adopted_file_is_believed_after_an_hour_only(
    folder: Path, unopened: Outboxes, clock: HandClock, counters: Counters
) -> None:
    """Its times are of another process's clock: a store has the time to show up before it is forgotten."""
    leave(folder, clock, stores={"gone": 1, "here": 4})
    clock.us += 3 * 86_400 * 1_000_000
    unopened.open()
    _, adopted = unopened
    clock.advance(HOUR / 2)
    unopened.store_seen("here")
    unopened.prune()
    assert (adopted.held(), counters.dropped, set(adopted.acknowledged.stores)) == (4, 0, {"gone", "here"})
    clock.advance(HOUR)
    unopened.prune()
    assert adopted.acknowledged.stores == ("here",)
    assert (adopted.first_held(), counters.dropped, counters.acknowledged) == (5, 0, 3)
    unopened.close()


def test_adopted_file_of_a_clock_years_ahead_is_forgotten_by_the_monotonic_one(
    folder: Path, unopened: Outboxes, clock: HandClock
) -> None:
    """Else a store that never comes back would count until the wall clock is there."""
    clock.us += YEARS_US
    leave(folder, clock, stores={"gone": 1, "here": 4})
    clock.us -= YEARS_US
    unopened.open()
    _, adopted = unopened
    welcome_until(unopened, clock, "here", 23)
    assert adopted.held() == 4
    welcome_until(unopened, clock, "here", 2)
    assert adopted.acknowledged.stores == ("here",)
    unopened.close()


def test_adopted_store_that_welcomes_counts_again(folder: Path, unopened: Outboxes, clock: HandClock) -> None:
    """However old the file is: what it lacks is still there for it."""
    leave(folder, clock, stores={"slow": 1, "quick": 5})
    clock.us += 20 * 3_600 * 1_000_000
    unopened.open()
    _, adopted = unopened
    welcome_until(unopened, clock, "slow", 10)
    assert "slow" in adopted.acknowledged.stores
    assert adopted.first_unacknowledged("slow") == 2
    unopened.close()


def test_store_that_was_there_before_a_file_was_adopted_is_known_to_it(
    folder: Path, outboxes: Outboxes, clock: HandClock
) -> None:
    """A quicker store must not settle what the other one lacks."""
    outboxes.store_seen("slow")
    outboxes.store_seen("quick")
    leave(folder, clock, stores={})
    outboxes.adopt()
    _, adopted = outboxes
    outboxes.acknowledge(adopted, "quick", 5, goodbye_heard=False)
    assert (adopted.held(), adopted.first_unacknowledged("slow")) == (5, 1)


def test_welcome_is_written_once_an_hour_and_at_the_end(outboxes: Outboxes, clock: HandClock) -> None:
    """In memory at once; the disk is not written for each heartbeat."""
    outboxes.append(rows(1))
    outboxes.store_seen("a")
    written = seen_on_disk(outboxes.own)["a"]
    assert written == clock.us
    for _ in range(59):
        clock.advance(60)
        outboxes.store_seen("a")
    assert seen_on_disk(outboxes.own)["a"] == written
    clock.advance(60)
    outboxes.store_seen("a")
    assert seen_on_disk(outboxes.own)["a"] == clock.us
    clock.advance(600)
    outboxes.store_seen("a")
    clock.us += YEARS_US
    clock.advance(30)
    before_step_us = clock.us - 30 * 1_000_000
    outboxes.close()
    assert seen_on_disk(outboxes.own)["a"] == before_step_us  # 30 s ago, as the wall clock has it now


def test_store_that_could_not_be_written_counts_at_once_and_is_written_later(
    outboxes: Outboxes, clock: HandClock, counters: Counters
) -> None:
    """A disk that hesitates must not let a quicker store settle for both."""
    outboxes.append(rows(3))
    assert isinstance(outboxes.own, Journal)
    outboxes.own._file.connection.execute("PRAGMA query_only = on")
    outboxes.store_seen("slow")
    outboxes.own._file.connection.execute("PRAGMA query_only = off")
    outboxes.acknowledge(outboxes.own, "quick", 3, goodbye_heard=False)
    assert (outboxes.held(), counters.errors) == (3, 1)
    clock.advance(10)
    outboxes.store_seen("slow")
    assert set(seen_on_disk(outboxes.own)) == {"slow", "quick"}


def test_store_that_was_forgotten_and_comes_back_counts_at_once(
    folder: Path, counters: Counters, clock: HandClock
) -> None:
    """Also where the maximum age is shorter than the pause between two writes."""
    settings = PublisherSettings(journal=folder, source="trader", journal_max_age_seconds=60)
    outboxes = Outboxes(settings, counters, clock)
    outboxes.open()
    outboxes.append(rows(2))
    outboxes.store_seen("slow")
    outboxes.prune()
    clock.advance(61)
    outboxes.prune()
    assert outboxes.own.acknowledged.stores == ()
    outboxes.store_seen("slow")
    outboxes.append(rows(2, first=3))
    outboxes.acknowledge(outboxes.own, "quick", 4, goodbye_heard=False)
    assert set(outboxes.own.acknowledged.stores) == {"slow", "quick"}
    assert outboxes.held() >= 2
    outboxes.close()
