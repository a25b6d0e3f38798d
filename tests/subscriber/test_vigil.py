"""Whoever falls silent, hangs or fails is told of once, on any database and after any restart, and so is the end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

import pytest
from sqlalchemy import select

from bus.clock import MICROSECONDS
from bus.wire import Goodbye, Heartbeat
from subscriber.errors import StoreError
from subscriber.intake.vigil import Vigil
from subscriber.policy.market_hours import MarketHours
from subscriber.store import schema
from subscriber.store.streams import SignOfLife
from tests.support.alerts import OTHER_STREAM, STREAM
from tests.support.clock import FakeClock
from tests.support.running_intake import PUBLISHER_TIMEOUT_SECONDS, FaultyStore, Intake

_SECOND_US = MICROSECONDS


class Watched:
    """A vigil that looks twice a second, over publishers that beat when a test says so."""

    def __init__(self, store: FaultyStore, clock: FakeClock, hours: MarketHours | None = None) -> None:
        self.store = store
        self.clock = clock
        self.intake = Intake(store, clock, ("", ""))
        self.hours = hours
        self.vigil = self.another()
        self.beating: dict[bytes, Heartbeat] = {}

    def another(self) -> Vigil:
        """Make a vigil as a daemon does that starts with this database."""
        return Vigil(
            store=self.store,
            announcer=self.intake.announcer,
            metrics=self.intake.metrics,
            clock=self.clock,
            timeout_seconds=PUBLISHER_TIMEOUT_SECONDS,
            market_hours=self.hours,
        )

    def begin(self, stream: bytes = STREAM, *, source: str = "live_trader", own: bool = True, last: int = 7) -> None:
        """Let a stream beat from now on."""
        self.beating[stream] = Heartbeat(
            stream=stream,
            source=source,
            own=own,
            first_held=1,
            first_unacknowledged=1,
            last=last,
            clock_us=self.clock.now_us(),
        )
        self.store.begin(stream, source, 1)

    def progress(self, stream: bytes = STREAM, *, at_us: int, limit_seconds: int = 60) -> None:
        """Let its loop have moved at a time."""
        fields = {"progressed_us": at_us, "progress_limit_us": limit_seconds * _SECOND_US}
        self.beating[stream] = self.beating[stream].model_copy(update=fields)

    def end(self, stream: bytes = STREAM, reason: str | None = None) -> None:
        """Let a stream end: without a reason, as a killed process does."""
        beat = self.beating.pop(stream)
        if reason is not None:
            self.vigil.said_goodbye(Goodbye(stream=stream, source=beat.source, last=beat.last, reason=reason))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds * 2)):
            self.clock.advance(0.5)
            for stream, beat in self.beating.items():
                now_us = self.clock.now_us()
                self.vigil.heard(beat.model_copy(update={"clock_us": now_us}))
                if beat.own:
                    self.store.heard(stream, SignOfLife(beat.source, beat.last), now_us)
            self.vigil.look()

    def told(self) -> list[str]:
        """Return the types of all that people were told, in order."""
        with self.store.database.reading() as connection:
            return list(connection.scalars(select(schema.alert.c.event_type).order_by(schema.alert.c.number)))

    def text(self, event_type: str) -> str:
        (text,) = self.intake.told(event_type)
        return text


@pytest.fixture
def store(store_url: str, clock: FakeClock) -> Iterator[FaultyStore]:
    with FaultyStore(store_url, clock) as opened:
        yield opened


@pytest.fixture
def watched(store: FaultyStore, clock: FakeClock) -> Watched:
    watched = Watched(store, clock)
    watched.wait(1)
    return watched


def test_silent_publisher_is_told_once_with_name_and_number(watched: Watched) -> None:
    watched.begin(last=42)
    watched.wait(30)
    assert watched.told() == []
    watched.end()
    watched.wait(14.5)
    assert watched.told() == []
    watched.wait(3600)
    assert watched.told() == ["PUBLISHER_SILENT"]
    assert "live_trader is silent" in watched.text("PUBLISHER_SILENT")
    assert "the number 42" in watched.text("PUBLISHER_SILENT")


def test_silent_publisher_that_beats_again_is_told_to_the_same_people(watched: Watched) -> None:
    """It was paused; and it may fall silent once more."""
    watched.begin()
    watched.wait(5)
    beat = watched.beating.pop(STREAM)
    watched.wait(20)
    watched.beating[STREAM] = beat
    watched.wait(20)
    assert watched.told() == ["PUBLISHER_SILENT", "PUBLISHER_HEARD"]
    with watched.store.database.reading() as connection:
        planned = connection.execute(select(schema.notification_queue.c.channel)).scalars().all()
    assert planned == ["telegram", "telegram"]
    watched.end()
    watched.wait(20)
    assert watched.told() == ["PUBLISHER_SILENT", "PUBLISHER_HEARD", "PUBLISHER_SILENT"]


def test_silent_publisher_whose_source_runs_again_is_accused_all_the_same(watched: Watched) -> None:
    """Killed and started anew within the timeout: nobody said goodbye, and that is told, with its end."""
    watched.begin()
    watched.wait(5)
    watched.end()
    watched.wait(3)
    watched.begin(OTHER_STREAM)
    watched.begin(STREAM, own=False)  # the new one offers what the old one left, which is no sign of life
    watched.wait(60)
    assert watched.told() == ["PUBLISHER_SILENT", "PUBLISHER_HEARD"]
    assert "runs again" in watched.text("PUBLISHER_HEARD")


def test_silence_after_the_clock_was_set_back_is_told_and_so_is_its_end(watched: Watched) -> None:
    """The time of the last heartbeat stands still by the clock, and yet every silence is told, and every return."""
    watched.begin()
    watched.wait(5)
    beat = watched.beating.pop(STREAM)
    watched.wait(20)
    watched.clock.step(-3600)
    watched.beating[STREAM] = beat
    watched.wait(20)
    assert watched.told() == ["PUBLISHER_SILENT", "PUBLISHER_HEARD"]
    watched.end()
    watched.wait(20)
    assert watched.told() == ["PUBLISHER_SILENT", "PUBLISHER_HEARD", "PUBLISHER_SILENT"]
    watched.begin(OTHER_STREAM)
    watched.wait(5)
    assert watched.told() == ["PUBLISHER_SILENT", "PUBLISHER_HEARD", "PUBLISHER_SILENT", "PUBLISHER_HEARD"]


def test_failed_goodbye_that_comes_late_ends_the_silence_and_is_told(watched: Watched) -> None:
    """Each beginning has an end of its own."""
    watched.begin()
    watched.wait(5)
    watched.beating.pop(STREAM)
    watched.wait(20)
    watched.begin(own=False)
    watched.end(reason="exception: ValueError")
    watched.wait(5)
    assert watched.told() == ["PUBLISHER_SILENT", "PUBLISHER_HEARD", "PUBLISHER_FAILED"]
    watched.begin(OTHER_STREAM)
    watched.wait(5)
    assert watched.told() == ["PUBLISHER_SILENT", "PUBLISHER_HEARD", "PUBLISHER_FAILED", "PUBLISHER_HEARD"]


def test_publisher_that_was_heard_before_the_store_could_note_it_is_accused(watched: Watched) -> None:
    """The first note failed, and it died before the second."""
    watched.begin()
    watched.vigil.heard(watched.beating[STREAM])
    watched.end()
    watched.wait(20)
    assert watched.told() == ["PUBLISHER_SILENT"]


def test_silent_publisher_of_another_name_ends_no_silence(watched: Watched) -> None:
    """The test script comes and goes, and is not the trader."""
    watched.begin()
    watched.wait(5)
    watched.end()
    watched.begin(OTHER_STREAM, source="alertbus-publish")
    watched.wait(60)
    assert watched.told() == ["PUBLISHER_SILENT"]


def test_goodbye_before_the_end_is_no_silence(watched: Watched) -> None:
    watched.begin()
    watched.wait(5)
    watched.end(reason="closed")
    watched.wait(60)
    assert watched.told() == []


@pytest.mark.parametrize("reason", ["exception: ValueError", "signal: SIGTERM"])
def test_goodbye_from_a_failure_is_told_once_and_so_is_the_next_start(watched: Watched, reason: str) -> None:
    watched.begin()
    watched.wait(5)
    watched.end(reason=reason)
    watched.vigil.said_goodbye(Goodbye(stream=STREAM, source="live_trader", last=7, reason=reason))
    watched.wait(60)
    assert watched.told() == ["PUBLISHER_FAILED"]
    assert reason in watched.text("PUBLISHER_FAILED")
    watched.begin(OTHER_STREAM)
    watched.wait(5)
    assert watched.told() == ["PUBLISHER_FAILED", "PUBLISHER_HEARD"]


def test_goodbye_that_an_adopter_brings_in_time_prevents_the_accusation(watched: Watched) -> None:
    """It closed cleanly while no daemon listened."""
    watched.begin()
    watched.wait(5)
    watched.beating.pop(STREAM)
    watched.wait(10)
    watched.begin(own=False)
    watched.end(reason="closed")
    watched.wait(60)
    assert watched.told() == []


def test_goodbye_that_an_adopter_brings_late_ends_the_accusation(watched: Watched) -> None:
    watched.begin()
    watched.wait(5)
    watched.beating.pop(STREAM)
    watched.wait(20)
    watched.begin(own=False)
    watched.end(reason="closed")
    watched.wait(60)
    assert watched.told() == ["PUBLISHER_SILENT", "PUBLISHER_HEARD"]
    assert "its goodbye (closed)" in watched.text("PUBLISHER_HEARD")


def test_publisher_that_died_while_no_daemon_ran_is_told_of_by_what_it_left(watched: Watched) -> None:
    """`--drain` offers its journal: nobody ever heard the stream itself."""
    watched.begin(own=False, last=9)
    watched.wait(20)
    assert watched.told() == ["PUBLISHER_SILENT"]
    assert "while no daemon heard it" in watched.text("PUBLISHER_SILENT")
    watched.wait(60)
    assert watched.told() == ["PUBLISHER_SILENT"]


def test_restarted_daemon_accuses_who_died_meanwhile_and_nobody_twice(watched: Watched) -> None:
    watched.begin()
    watched.begin(OTHER_STREAM, source="other_trader")
    watched.wait(5)
    watched.end(OTHER_STREAM)
    watched.wait(20)
    watched.end()
    watched.clock.advance(3600)
    watched.vigil = watched.another()
    watched.wait(15)
    assert watched.told() == ["PUBLISHER_SILENT"]
    watched.wait(60)
    assert watched.told() == ["PUBLISHER_SILENT", "PUBLISHER_SILENT"]
    watched.vigil = watched.another()
    watched.wait(60)
    assert watched.told() == ["PUBLISHER_SILENT", "PUBLISHER_SILENT"]


def test_paused_daemon_accuses_nobody(watched: Watched) -> None:
    """What waits in its sockets is heard before it judges."""
    watched.begin()
    watched.wait(5)
    for _ in range(3):
        watched.clock.advance(600)
        watched.vigil.look()
        watched.wait(10)
    assert watched.told() == []


def test_two_daemons_of_one_database_tell_once(watched: Watched) -> None:
    """One of them never hears the publisher, and believes the store."""
    other = Watched(watched.store, watched.clock)
    watched.begin()
    for _ in range(100):
        watched.wait(0.5)
        other.vigil.look()
    assert watched.told() == []
    watched.end()
    for _ in range(100):
        other.vigil.look()
        watched.wait(0.5)
    assert watched.told() == ["PUBLISHER_SILENT"]


def test_hung_loop_is_told_once_and_so_is_its_end(watched: Watched) -> None:
    """The process beats on, its trading loop does not."""
    watched.wait(100)
    watched.begin()
    watched.progress(at_us=watched.clock.now_us())
    watched.wait(59)
    assert watched.told() == []
    watched.wait(60)
    assert watched.told() == ["PUBLISHER_HUNG"]
    assert "has not called progress() for 60 s" in watched.text("PUBLISHER_HUNG")
    assert watched.intake.metric("publisher_hung", source="live_trader") == 1
    watched.progress(at_us=watched.clock.now_us())
    watched.wait(30)
    assert watched.told() == ["PUBLISHER_HUNG", "PUBLISHER_MOVES"]
    assert watched.intake.metric("publisher_hung", source="live_trader") == 0
    watched.wait(60)
    assert watched.told() == ["PUBLISHER_HUNG", "PUBLISHER_MOVES", "PUBLISHER_HUNG"]


@pytest.mark.parametrize("reason", [None, "closed"])
def test_hung_publisher_that_is_started_anew_is_told_to_have_ended(watched: Watched, reason: str | None) -> None:
    watched.wait(100)
    watched.begin()
    watched.progress(at_us=watched.clock.now_us())
    watched.wait(70)
    watched.end(reason=reason)
    watched.wait(1)
    watched.begin(OTHER_STREAM)
    watched.wait(30)
    beginnings = ["PUBLISHER_HUNG"] if reason else ["PUBLISHER_HUNG", "PUBLISHER_SILENT", "PUBLISHER_HEARD"]
    assert sorted(watched.told()) == sorted([*beginnings, "PUBLISHER_MOVES"])


def test_hung_publisher_that_ends_is_told_to_have_ended(watched: Watched) -> None:
    watched.wait(100)
    watched.begin()
    watched.progress(at_us=watched.clock.now_us())
    watched.wait(70)
    watched.end(reason="closed")
    watched.wait(5)
    assert watched.told() == ["PUBLISHER_HUNG", "PUBLISHER_MOVES"]
    assert "has ended (closed)" in watched.text("PUBLISHER_MOVES")


def test_silent_and_hung_outside_of_the_market_hours_are_told_when_it_opens(
    store: FaultyStore, clock: FakeClock
) -> None:
    """FakeClock begins on Thursday 2025-10-09 at 08:53:20 UTC; the market opens at nine."""
    watched = Watched(store, clock, MarketHours.of(UTC, [(3 * 1440 + 540, 3 * 1440 + 960)]))
    watched.wait(1)
    watched.begin()
    watched.begin(OTHER_STREAM, source="other_trader")
    watched.progress(OTHER_STREAM, at_us=clock.now_us())
    watched.wait(60)
    watched.end()
    watched.wait(338)  # until nine
    assert watched.told() == []
    watched.wait(20)
    assert watched.told() == ["PUBLISHER_SILENT"]
    watched.wait(60)
    assert watched.told() == ["PUBLISHER_SILENT", "PUBLISHER_HUNG"]


def test_look_while_the_database_is_away_tells_later(watched: Watched, store: FaultyStore) -> None:
    watched.begin()
    watched.wait(5)
    watched.end()
    store.break_down("watched", error=StoreError("The database is locked."))
    watched.wait(30)
    store.failing.clear()
    assert watched.told() == []
    watched.wait(1)
    assert watched.told() == ["PUBLISHER_SILENT"]
