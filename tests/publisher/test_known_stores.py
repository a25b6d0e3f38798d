"""The file that says which stores there are: who writes what, what a new stream is kept for, and what damage does."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from publisher import PublisherSettings
from publisher import known_stores as module
from publisher.handover import Counters
from publisher.known_stores import GRACE_SECONDS, KnownStores
from publisher.locks import FileLock
from tests.publisher.builders import HandClock

HOUR = 3_600.0
DAY = 24 * HOUR
HERE, THERE = "tcp://127.0.0.1:5556", "tcp://127.0.0.1:6556"
TODAY_US = 1_760_000_000 * 1_000_000


@pytest.fixture
def clock() -> HandClock:
    """Today, in the same run of the machine for all."""
    return HandClock(TODAY_US)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that exists: the stores' file is never the first in it."""
    return tmp_path


@pytest.fixture(autouse=True)
def boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine was not restarted, and says so on every system."""
    monkeypatch.setattr("bus.clock.boot_id", lambda: "this boot")


def known(folder: Path, clock: HandClock, *endpoints: str, counters: Counters | None = None) -> KnownStores:
    """Open what a publisher with these endpoints knows; a day is the maximum age."""
    control = endpoints or (HERE, THERE)
    data = tuple(endpoint.replace("556", "555") for endpoint in control)
    settings = PublisherSettings(
        journal=folder, data_endpoints=data, control_endpoints=control, journal_max_age_seconds=DAY
    )
    opened = KnownStores(settings, counters or Counters(), clock)
    opened.open()
    return opened


def on_disk(folder: Path) -> dict[str, tuple[str, int]]:
    content = json.loads((folder / "stores").read_text())
    return {endpoint: (row[0], row[1]) for endpoint, row in content.items()}


def test_open_without_a_file_knows_nobody_and_waits_for_a_while(folder: Path, clock: HandClock) -> None:
    """The first publisher of all: who may still come is not known."""
    stores = known(folder, clock)
    assert (stores.inherited(), stores.waiting()) == ({}, True)
    stores.answered(HERE, "a")
    assert stores.waiting()
    clock.advance(GRACE_SECONDS)
    assert not stores.waiting()
    stores.close()
    assert not stores.waiting()


def test_waiting_ends_when_every_endpoint_has_answered(folder: Path, clock: HandClock) -> None:
    stores = known(folder, clock)
    stores.answered(HERE, "a")
    stores.answered(THERE, "b")
    assert not stores.waiting()
    assert not known(folder, clock).waiting()


def test_waiting_single_endpoint_is_never_waited_for(folder: Path, clock: HandClock) -> None:
    """Nobody else could acknowledge anything."""
    assert not known(folder, clock, HERE).waiting()


def test_inherited_are_the_stores_of_the_own_endpoints(folder: Path, clock: HandClock) -> None:
    """Another publisher's daemons in the same folder keep nothing here."""
    before = known(folder, clock)
    before.answered(HERE, "a")
    before.answered(THERE, "b")
    clock.advance(10)
    assert known(folder, clock).inherited() == {"a": TODAY_US, "b": TODAY_US}
    assert known(folder, clock, THERE).inherited() == {"b": TODAY_US}


def test_inherited_store_of_several_endpoints_is_one(folder: Path, clock: HandClock) -> None:
    """Daemons that share a database; when the last of them was heard counts."""
    stores = known(folder, clock)
    stores.answered(HERE, "shared")
    clock.advance(5)
    stores.answered(THERE, "shared")
    assert stores.inherited() == {"shared": TODAY_US + 5_000_000}


def test_inherited_store_that_was_replaced_keeps_no_new_stream(folder: Path, clock: HandClock) -> None:
    """A database that was replaced by an empty one never comes back: only the newest at an endpoint counts."""
    first = known(folder, clock)
    first.answered(HERE, "old")
    second = known(folder, clock)
    assert set(second.inherited()) == {"old"}
    second.answered(HERE, "new")
    assert set(second.inherited()) == {"new"}
    clock.advance(1)
    first.close()  # what it heard is older
    assert set(known(folder, clock).inherited()) == {"new"}


def test_inherited_store_that_is_gone_too_long_is_not_known(folder: Path, clock: HandClock) -> None:
    """Neither to the next publisher nor to one that runs on; but it is waited for, as a new one would be."""
    stores = known(folder, clock)
    stores.answered(HERE, "a")
    stores.answered(THERE, "b")
    clock.advance(DAY)
    assert set(known(folder, clock).inherited()) == {"a", "b"}
    clock.advance(1)
    later = known(folder, clock)
    assert (stores.inherited(), later.inherited(), later.waiting()) == ({}, {}, True)


@pytest.mark.parametrize("step_us", [-30 * 365 * 86_400 * 1_000_000, 30 * 365 * 86_400 * 1_000_000])
def test_inherited_wall_clock_that_was_set_changes_nothing(folder: Path, clock: HandClock, step_us: int) -> None:
    """Within one run of the machine the monotonic clock says how long ago it was."""
    known(folder, clock).answered(HERE, "a")
    clock.us += step_us
    clock.advance(HOUR)
    assert known(folder, clock).inherited() == {"a": max(clock.us - int(HOUR * 1_000_000), 0)}
    clock.advance(DAY)
    assert known(folder, clock).inherited() == {}


def test_write_time_of_the_future_does_not_outlast_a_new_store(
    folder: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written before a restart, by a clock that was years ahead."""
    clock.us += 30 * 365 * 86_400 * 1_000_000
    known(folder, clock).answered(HERE, "old")
    clock.us = TODAY_US
    monkeypatch.setattr("bus.clock.boot_id", lambda: "the next boot")
    stores = known(folder, clock)
    assert stores.inherited() == {"old": TODAY_US}
    stores.answered(HERE, "new")
    assert set(known(folder, clock).inherited()) == {"new"}


def test_write_is_rare(folder: Path, clock: HandClock) -> None:
    """When a store is new, once an hour, and at the end."""
    stores = known(folder, clock)
    stores.answered(HERE, "a")
    for _ in range(59):
        clock.advance(60)
        stores.answered(HERE, "a")
    assert on_disk(folder) == {HERE: ("a", TODAY_US)}
    clock.advance(60)
    stores.answered(HERE, "a")
    assert on_disk(folder) == {HERE: ("a", clock.us)}
    clock.advance(60)
    stores.answered(HERE, "a")
    stores.close()
    assert on_disk(folder) == {HERE: ("a", clock.us)}


def test_write_by_a_publisher_that_never_lives_for_an_hour_keeps_the_time_young(folder: Path, clock: HandClock) -> None:
    """One that is killed again and again writes nothing at its end."""
    known(folder, clock).answered(HERE, "a")
    clock.advance(HOUR / 2)
    known(folder, clock).answered(HERE, "a")
    assert on_disk(folder) == {HERE: ("a", TODAY_US)}
    clock.advance(HOUR)
    known(folder, clock).answered(HERE, "a")
    assert on_disk(folder) == {HERE: ("a", clock.us)}


def test_write_keeps_what_other_publishers_know(folder: Path, clock: HandClock) -> None:
    """Both have the file open; neither takes anything from the other."""
    one, two = known(folder, clock, HERE), known(folder, clock, THERE)
    one.answered(HERE, "a")
    two.answered(THERE, "b")
    one.close()
    two.close()
    assert on_disk(folder) == {HERE: ("a", TODAY_US), THERE: ("b", TODAY_US)}
    assert [path.name for path in folder.iterdir()] == ["stores"]


def test_write_while_another_publisher_writes_is_repeated_later(folder: Path, clock: HandClock) -> None:
    """Nobody waits, and nothing counts as an error."""
    counters = Counters()
    stores = known(folder, clock, counters=counters)
    lock = FileLock.acquire(folder / "stores.lock")
    assert lock is not None
    stores.answered(HERE, "a")
    lock.release()
    assert not (folder / "stores").exists()
    clock.advance(60)
    stores.answered(HERE, "a")
    assert on_disk(folder) == {HERE: ("a", clock.us)}
    assert counters.errors == 0


def test_write_forgets_the_endpoints_that_were_silent_longest(
    folder: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Endpoints come and go, and the file does not grow for ever."""
    monkeypatch.setattr(module, "_MOST_ENDPOINTS", 2)
    for endpoint in ("tcp://127.0.0.1:1556", HERE, THERE):
        known(folder, clock, endpoint).answered(endpoint, "a")
        clock.advance(1)
    assert set(on_disk(folder)) == {HERE, THERE}


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[" * 100_000, b"[]", b'{"a": 1}', b'{"a": ["", 1, 2, ""]}', b'{"a": ["s", 1.5, 2, ""]}',
     b"0" * (2**20 + 1)],
)  # fmt: skip
def test_open_damaged_file_counts_as_empty_and_is_told(
    folder: Path, clock: HandClock, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """The start goes on, and the next write mends it."""
    (folder / "stores").write_bytes(content)
    counters = Counters()
    stores = known(folder, clock, counters=counters)
    assert (stores.inherited(), stores.waiting(), counters.errors) == ({}, True, 1)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    stores.answered(HERE, "a")
    assert on_disk(folder) == {HERE: ("a", TODAY_US)}
    assert known(folder, clock).inherited() == {"a": TODAY_US}


def test_write_that_fails_is_told_and_tried_again_each_minute(folder: Path, clock: HandClock) -> None:
    """In memory it counts at once."""
    counters = Counters()
    (folder / "stores.new").mkdir()
    stores = known(folder, clock, counters=counters)
    stores.answered(HERE, "a")
    for _ in range(5):
        clock.advance(10)
        stores.answered(HERE, "a")
    assert (counters.errors, set(stores.inherited())) == (1, {"a"})
    (folder / "stores.new").rmdir()
    clock.advance(10)
    stores.answered(HERE, "a")
    assert on_disk(folder) == {HERE: ("a", clock.us)}
