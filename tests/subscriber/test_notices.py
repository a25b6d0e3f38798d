"""What intake says about odd things: counted each time, logged now and then, told once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from subscriber.intake import notices
from subscriber.intake.notices import Notices
from subscriber.store import Store
from tests.support.clock import FakeClock
from tests.support.running_intake import FaultyStore, Intake, on_sqlite

pytestmark = on_sqlite


@pytest.fixture
def store(store_url: str, clock: FakeClock) -> Iterator[FaultyStore]:
    with FaultyStore(store_url, clock) as opened:
        yield opened


@pytest.fixture
def parts(store: FaultyStore, clock: FakeClock) -> Intake:
    return Intake(store, clock, ("", ""))


@pytest.fixture
def told(parts: Intake) -> Notices:
    return parts.notices


def test_invalid_counts_each_and_logs_one_a_minute(
    told: Notices, parts: Intake, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A flood of garbage is a number in a metric and a line a minute."""
    for _ in range(100):
        told.invalid("header", "It was no header.")
    told.invalid("body", "It was no body.")
    clock.advance(60.0)
    told.invalid("header", "It was no header.")
    assert (parts.invalid("header"), parts.invalid("body")) == (101, 1)
    assert [(record.message, record.__dict__["held_back"]) for record in caplog.records] == [
        ("It was no header.", 0),
        ("It was no body.", 0),
        ("It was no header.", 99),
    ]


def test_failed_logs_the_traceback_once_a_minute(
    told: Notices, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug that every message meets does not fill the disk."""
    for _ in range(3):
        told.failed("an alert was skipped", ValueError("why"))
    clock.advance(60.0)
    told.failed("an alert was skipped", ValueError("why"))
    assert [(record.levelname, record.__dict__["held_back"]) for record in caplog.records] == [
        ("ERROR", 0),
        ("ERROR", 2),
    ]
    assert all(record.exc_info and isinstance(record.exc_info[1], ValueError) for record in caplog.records)


def test_tell_same_thing_is_told_once_and_costs_nothing_more(told: Notices, parts: Intake, store: FaultyStore) -> None:
    """A foreign publisher beats each second: not every heartbeat may cost a transaction."""
    for _ in range(5):
        told.tell("UNSUPPORTED_VERSION", "It speaks 2.", "2")
    told.tell("UNSUPPORTED_VERSION", "It speaks 3.", "3")
    assert len(parts.told("UNSUPPORTED_VERSION")) == 2
    assert store.calls["accept"] == 2


def test_tell_after_restart_is_still_told_once(
    told: Notices, parts: Intake, store: FaultyStore, tmp_path: Path
) -> None:
    """The id is made of what is told and of the store, so that the store knows it."""
    told.tell("ALERTS_LOST", "3 alerts are lost.", "stream", "1", "3")
    again = Notices(store, parts.announcer, parts.metrics, parts.clock)
    again.tell("ALERTS_LOST", "3 alerts are lost.", "stream", "1", "3")
    with Store(f"sqlite:///{tmp_path / 'another.db'}", parts.clock) as another:
        elsewhere = Notices(another, parts.announcer, parts.metrics, parts.clock)
        elsewhere.tell("ALERTS_LOST", "3 alerts are lost.", "stream", "1", "3")
    assert len(parts.told("ALERTS_LOST")) == 2


def test_tell_while_the_database_is_away_is_told_later(told: Notices, parts: Intake, store: FaultyStore) -> None:
    """The announcer keeps it; saying it again adds nothing."""
    store.break_down("accept")
    told.tell("ALERTS_LOST", "3 alerts are lost.", "stream")
    told.tell("ALERTS_LOST", "3 alerts are lost.", "stream")
    store.failing.clear()
    assert parts.announcer.retry()
    assert len(parts.told("ALERTS_LOST")) == 1


def test_tell_remembers_only_so_many(told: Notices, parts: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is forgotten is found in the store."""
    monkeypatch.setattr(notices, "_MOST_TOLD", 2)
    for about in ("1", "2", "3", "1"):
        told.tell("ALERTS_LOST", "Some alerts are lost.", about)
    assert len(parts.told("ALERTS_LOST")) == 3
    assert len(told._told) <= 2
