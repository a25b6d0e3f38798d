"""Replays: every number that was asked for is sent again or told unavailable, whatever the disk does."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
import zmq

from bus.wire import Control, Replay, Unavailable
from publisher.daemons import Daemon
from publisher.errors import JournalBusy, JournalError
from publisher.handover import Counters
from publisher.journal import Journal
from publisher.outbox import Entry
from publisher.outboxes import Outboxes
from publisher.replaying import Gap, Replaying, answers_of
from tests.publisher.builders import HandClock, alert, rows
from tests.publisher.conftest import MakePublisher
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until

PAGE_BYTES = 4096


class Listening(Daemon):
    """A daemon that keeps what it is sent, and takes only so much."""

    def __init__(self) -> None:
        super().__init__(cast("zmq.Socket[bytes]", None), "tcp://127.0.0.1:1")
        self.heard: list[tuple[int, int, str]] = []
        self.room = 1_000_000

    def send(self, message: Control) -> bool:
        assert isinstance(message, Unavailable)
        return self._take(message.first, message.last, message.reason)

    def send_again(self, stream: bytes, entry: Entry) -> bool:
        return self._take(entry.sequence, entry.sequence, "sent")

    def _take(self, first: int, last: int, what: str) -> bool:
        self.room -= 1
        if self.room < 0:
            return False
        self.heard.append((first, last, what))
        return True

    def numbers(self, what: str) -> list[int]:
        return [number for first, last, kind in self.heard if kind == what for number in range(first, last + 1)]


@pytest.fixture
def replaying(outboxes: Outboxes, counters: Counters, clock: HandClock) -> Replaying:
    return Replaying(outboxes, counters, clock)


@pytest.fixture
def listener() -> Listening:
    return Listening()


def ask(replaying: Replaying, listener: Listening, stream: bytes, first: int, last: int) -> None:
    replaying.ask(listener, Replay(stream=stream, first=first, last=last))


def serve(replaying: Replaying, listener: Listening) -> int:
    turns = 1
    while replaying.serve(listener):
        turns += 1
    return turns


def damaged(folder: Path, pages: Sequence[int], count: int = 2_000) -> Journal:
    """Leave a journal, overwrite pages of it (counted from the middle), and adopt it."""
    journal = Journal.create(folder, "dead", sync="normal")
    journal.append(rows(count))
    journal.close()
    middle = journal.path.stat().st_size // PAGE_BYTES // 2
    with journal.path.open("r+b") as file:
        for page in pages:
            file.seek((middle + page) * PAGE_BYTES)
            file.write(b"\xff" * PAGE_BYTES)
    adopted = Journal.adopt(journal.path, sync="normal")
    assert adopted is not None
    return adopted


def test_answers_range_beyond_both_ends_is_told_whole(outboxes: Outboxes) -> None:
    """Below what is held, what is held, above the last: nothing is left without an answer."""
    outboxes.append(rows(10))
    outboxes.acknowledge(outboxes.own, "a", 4, goodbye_heard=False)
    own = outboxes.own
    assert answers_of(own, 1, 9_999, 3) == ([Gap(1, 4, "not held any more")], 4)
    entries, end = answers_of(own, 5, 9_999, 3)
    assert ([entry.sequence for entry in entries if isinstance(entry, Entry)], end) == ([5, 6, 7], 7)
    assert answers_of(own, 11, 9_999, 3) == ([Gap(11, 9_999, "above the last")], 9_999)


def test_answers_hole_in_the_journal_is_told(folder: Path) -> None:
    """Rows that are gone between others never come, and must not be waited for."""
    journal = Journal.create(folder, "dead", sync="normal")
    journal.append(rows(10))
    with closing(sqlite3.connect(journal.path)) as other, other:
        other.execute("DELETE FROM outbox WHERE sequence IN (3, 4, 10)")
    answers, end = answers_of(journal, 1, 10, 256)
    journal.close()
    assert [answer for answer in answers if isinstance(answer, Gap)] == [Gap(3, 4, "damaged"), Gap(10, 10, "damaged")]
    assert ([answer.sequence for answer in answers if isinstance(answer, Entry)], end) == ([1, 2, 5, 6, 7, 8, 9], 10)


@pytest.mark.parametrize(
    "change",
    [
        "published_us = -5", "published_us = 'soon'", "topic = x'00'", "body = 'text'", "body = 7",
        "body = zeroblob(70000)",
    ],
)  # fmt: skip
def test_answers_row_that_is_no_alert_is_a_hole(folder: Path, change: str) -> None:
    """A damaged page may hold anything; what can't be put on the wire must not end the thread."""
    journal = Journal.create(folder, "dead", sync="normal")
    journal.append(rows(3))
    with closing(sqlite3.connect(journal.path)) as other, other:
        other.execute("PRAGMA ignore_check_constraints = on")
        other.execute(f"UPDATE outbox SET {change} WHERE sequence = 2")
    answers, _ = answers_of(journal, 1, 3, 256)
    journal.close()
    assert [type(answer) for answer in answers] == [Entry, Gap, Entry]


def test_answers_topic_that_is_no_text_is_read_as_far_as_it_goes(folder: Path) -> None:
    """The body is what counts; where the two disagree the body wins."""
    journal = Journal.create(folder, "dead", sync="normal")
    journal.append(rows(1))
    with closing(sqlite3.connect(journal.path)) as other, other:
        other.execute("UPDATE outbox SET topic = CAST(x'41ff42' AS TEXT)")
    answers, _ = answers_of(journal, 1, 1, 256)
    journal.close()
    assert [(answer.topic, answer.body) for answer in answers if isinstance(answer, Entry)] == [
        ("A\N{REPLACEMENT CHARACTER}B", b"body 1")
    ]


@pytest.mark.parametrize("pages", [[0], [0, 1, 2], [-3, 3]], ids=str)
def test_serve_damaged_pages_hide_only_what_is_in_them(
    folder: Path, tmp_path: Path, outboxes: Outboxes, replaying: Replaying, listener: Listening, pages: list[int]
) -> None:
    """The neighbours of a damaged page arrive, and each number of the stream is answered exactly once."""
    journal = damaged(tmp_path / "elsewhere", pages)
    outboxes._offer(journal)

    ask(replaying, listener, journal.stream, 1, 2_000)
    serve(replaying, listener)

    lost = listener.numbers("damaged")
    assert 0 < len(lost) <= 120 * len(pages)  # a page holds that many
    assert sorted([*listener.numbers("sent"), *lost]) == list(range(1, 2_001))
    assert journal.damaged


def test_serve_journal_of_which_nothing_can_be_read_is_answered(
    tmp_path: Path, outboxes: Outboxes, replaying: Replaying, listener: Listening
) -> None:
    """However much is damaged, the daemon is not left waiting."""
    journal = Journal.create(tmp_path / "elsewhere", "dead", sync="normal")
    journal.append(rows(600))
    outboxes._offer(journal)
    with closing(sqlite3.connect(journal.path)) as other, other:
        other.execute("DROP TABLE outbox")
    ask(replaying, listener, journal.stream, 1, 600)
    assert serve(replaying, listener) == 1  # a slice of one gap is quick
    assert (listener.numbers("damaged"), listener.numbers("sent")) == (list(range(1, 601)), [])


def test_serve_gives_live_alerts_their_turn(outboxes: Outboxes, replaying: Replaying, listener: Listening) -> None:
    """No turn sends more than a slice, in order."""
    outboxes.append(rows(1_000))
    ask(replaying, listener, outboxes.own.stream, 1, 1_000)
    assert replaying.serve(listener)
    assert listener.numbers("sent") == list(range(1, 257))
    assert serve(replaying, listener) == 3
    assert listener.numbers("sent") == list(range(1, 1_001))


def test_serve_stream_that_was_settled_meanwhile_is_not_offered(
    outboxes: Outboxes, replaying: Replaying, listener: Listening
) -> None:
    """It was let go between the question and the answer."""
    outboxes.append(rows(3))
    stream = outboxes.own.stream
    ask(replaying, listener, stream, 1, 3)
    del outboxes._by_stream[stream]
    serve(replaying, listener)
    outboxes._by_stream[stream] = outboxes.own
    assert listener.heard == [(1, 3, "not offered")]


def test_ask_unknown_stream_is_answered_at_once(replaying: Replaying, listener: Listening) -> None:
    """And takes no room."""
    ask(replaying, listener, b"unknown stream !", 5, 9)
    assert listener.heard == [(5, 9, "not offered")]
    assert not listener.asked


@pytest.fixture
def broken_reads(outboxes: Outboxes, monkeypatch: pytest.MonkeyPatch) -> dict[int, JournalError]:
    """Numbers whose reading fails, and how."""
    faults: dict[int, JournalError] = {}
    read = Journal.read

    def failing(self: Journal, first: int, last: int, limit: int) -> list[Entry]:
        for number, error in faults.items():
            if first <= number <= last:
                raise error
        return read(self, first, last, limit)

    monkeypatch.setattr(Journal, "read", failing)
    return faults


def test_serve_read_that_fails_for_a_while_is_tried_at_the_next_request(
    outboxes: Outboxes, replaying: Replaying, listener: Listening, clock: HandClock, counters: Counters,
    broken_reads: dict[int, JournalError],
) -> None:  # fmt: skip
    """A lock or a hiccup of the disk loses nothing."""
    outboxes.append(rows(3))
    broken_reads[2] = JournalError("disk I/O error")
    for _ in range(50):
        ask(replaying, listener, outboxes.own.stream, 1, 3)
        assert replaying.serve(listener) is False
        clock.advance(1.0)
    assert (listener.heard, counters.errors) == ([], 50)
    broken_reads.clear()
    ask(replaying, listener, outboxes.own.stream, 1, 3)
    serve(replaying, listener)
    assert listener.numbers("sent") == [1, 2, 3]


def test_serve_read_that_fails_for_a_minute_is_unavailable(
    outboxes: Outboxes, replaying: Replaying, listener: Listening, clock: HandClock,
    broken_reads: dict[int, JournalError],
) -> None:  # fmt: skip
    """It never blocks what is behind it for ever, and what is beside it arrives; the next fault is not waited for."""
    outboxes.append(rows(600))
    broken_reads |= {2: JournalError("disk I/O error"), 300: JournalError("disk I/O error")}
    for _ in range(62):
        ask(replaying, listener, outboxes.own.stream, 1, 600)
        serve(replaying, listener)
        clock.advance(1.0)
    assert listener.numbers("unreadable")[:2] == [2, 300]
    assert sorted({*listener.numbers("sent"), 2, 300}) == list(range(1, 601))


def test_serve_journal_locked_for_a_minute_is_not_tried_number_by_number(
    outboxes: Outboxes, replaying: Replaying, listener: Listening, clock: HandClock, counters: Counters,
    broken_reads: dict[int, JournalError],
) -> None:  # fmt: skip
    """Each try would wait for the lock, and live alerts with it."""
    outboxes.append(rows(100))
    broken_reads[50] = JournalBusy("database is locked")
    for _ in range(61):
        ask(replaying, listener, outboxes.own.stream, 1, 100)
        serve(replaying, listener)
        clock.advance(1.0)
    assert listener.heard == [(1, 100, "unreadable")]
    assert counters.errors == 61


def test_serve_faults_far_apart_in_time_are_two_faults(
    outboxes: Outboxes, replaying: Replaying, listener: Listening, clock: HandClock,
    broken_reads: dict[int, JournalError],
) -> None:  # fmt: skip
    """An hour between two tries is no hour of failing."""
    outboxes.append(rows(1))
    broken_reads[1] = JournalError("disk I/O error")
    for _ in range(3):
        ask(replaying, listener, outboxes.own.stream, 1, 1)
        serve(replaying, listener)
        clock.advance(3_600.0)
    assert listener.heard == []


def test_serve_daemon_that_is_full_goes_on_where_it_stood(
    outboxes: Outboxes, replaying: Replaying, listener: Listening, clock: HandClock
) -> None:
    """What was not taken is kept for a moment, and then left to the daemon to ask for."""
    outboxes.append(rows(20))
    ask(replaying, listener, outboxes.own.stream, 1, 30)
    listener.room = 7
    assert replaying.serve(listener) is False
    listener.room = 100
    serve(replaying, listener)
    assert listener.numbers("sent") == list(range(1, 21))
    assert listener.numbers("above the last") == list(range(21, 31))

    ask(replaying, listener, outboxes.own.stream, 1, 30)
    listener.room = 0
    assert replaying.serve(listener) is False
    clock.advance(1.0)
    assert replaying.serve(listener) is False
    assert not listener.asked


def test_replay_giant_backlog_does_not_starve_a_hole_or_a_live_alert(
    daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """Over real sockets: the other stream's hole and what is published now arrive long before the backlog ends."""
    dead = make_publisher(source="dead")
    for number in range(30):
        dead.publish(alert(number))
    dead.close(timeout=0.0)
    publisher = make_publisher(daemon, source="live")
    daemon.asks_replays = daemon.acknowledges = False
    for number in range(8_000):
        publisher.publish(alert(number))
    assert publisher.flush(20.0)
    wait_until(lambda: {"dead", "live"} <= {beat.source for beat in daemon.heartbeats})
    live, hole = daemon.record_of("live"), daemon.record_of("dead")
    streams = {beat.source: beat.stream for beat in daemon.heartbeats}
    last = max(publisher.stats().sent, 8_000)
    backlog_when_answered: list[int] = []
    daemon.send(Replay(stream=streams["live"], first=1, last=last))
    daemon.send(Replay(stream=streams["dead"], first=7, last=7))
    publisher.publish(alert(99_999))
    wait_until(lambda: hole.replayed)
    backlog_when_answered.append(len(live.replayed))
    wait_until(lambda: last + 1 in live.envelopes)
    backlog_when_answered.append(len(live.replayed))
    wait_until(lambda: len(live.replayed) == last, timeout=60.0)
    assert hole.replayed == [7]
    assert max(backlog_when_answered) < last
