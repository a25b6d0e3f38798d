"""The sender against a daemon: what leaves, what comes back, and what a broken daemon can't do to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from types import SimpleNamespace
from typing import cast

import pytest
import zmq

from bus.alerts import Alert, RiskEvent, Severity, SystemEvent
from bus.wire import Ack, Replay, Replayed, encode_control
from publisher import Publisher, PublisherSettings
from publisher import sender as module
from publisher.daemons import Daemon
from publisher.handover import Handover
from publisher.outbox import Entry
from tests.publisher.builders import HandClock, alert, numbers
from tests.publisher.conftest import MakePublisher
from tests.support.scripted_daemon import ScriptedDaemon, StreamRecord
from tests.support.waiting import wait_until


def stored(daemon: ScriptedDaemon, source: str = "trader") -> StreamRecord:
    """Wait for the first heartbeat of a publisher, and return what the daemon has of it."""
    wait_until(lambda: any(beat.source == source for beat in daemon.heartbeats))
    return daemon.record_of(source)


def publish(publisher: Publisher, first: int, last: int) -> None:
    for number in range(first, last + 1):
        assert publisher.publish(alert(number))


def test_publish_reaches_the_daemon_as_it_was_built(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """Every field, with the publisher's name filled in."""
    event = RiskEvent(event_type="DRAWDOWN", severity="CRITICAL", symbol="TNA", value=6.1, extra={"n": 1})
    assert make_publisher(daemon).publish(event, wait=10.0)
    assert daemon.alerts == [event.model_copy(update={"source": "trader"})]
    (envelope,) = stored(daemon).envelopes.values()
    assert envelope.topic == "severity.CRITICAL.TNA."


def test_publish_own_source_is_kept(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """An alert that says where it comes from is believed."""
    assert make_publisher(daemon).publish(RiskEvent(event_type="A", severity="INFO", source="desk"), wait=10.0)
    assert [each.source for each in daemon.alerts] == ["desk"]


def test_publish_burst_arrives_once_in_order_and_is_forgotten(
    daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """Sequences are contiguous, and an acknowledged alert leaves the journal."""
    publisher = make_publisher(daemon)
    publish(publisher, 1, 3_000)
    wait_until(lambda: publisher.stats().acknowledged == 3_000)
    record = stored(daemon)
    assert sorted(record.envelopes) == list(range(1, 3_001))
    assert numbers(record.alerts) == list(range(1, 3_001))
    stats = publisher.stats()
    assert (stats.journaled, stats.sent, stats.queued, stats.journal_alerts) == (3_000, 3_000, 0, 0)
    assert (stats.refused, stats.errors, stats.last_error, stats.volatile, stats.running) == (0, 0, None, False, True)
    assert [(each.reachable, each.store_id) for each in stats.daemons] == [(True, "store-a")]


def test_heartbeat_tells_where_each_stream_stands(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """Self-sufficient: a daemon that knows nothing learns everything from one."""
    daemon.acknowledges = False
    publisher = make_publisher(daemon)
    publisher.progress(limit_seconds=30.0)
    publish(publisher, 1, 5)
    beat = wait_until(lambda: next((b for b in daemon.heartbeats if b.last == 5 and b.progressed_us), None))
    assert (beat.source, beat.own, beat.volatile, beat.refused) == ("trader", True, False, 0)
    assert (beat.first_held, beat.first_unacknowledged, beat.last, beat.journal_alerts) == (1, 1, 5, 5)
    assert beat.progress_limit_us == 30_000_000
    assert beat.progressed_us is not None
    assert 0 <= beat.clock_us - beat.progressed_us < 60_000_000

    daemon.acknowledges = True
    beat = wait_until(lambda: next((b for b in daemon.heartbeats if b.first_unacknowledged == 6), None))
    assert (beat.first_held, beat.last, beat.journal_alerts) == (6, 5, 0)


def test_heartbeat_names_the_store_that_its_first_missing_number_is_for(
    daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """Another store may listen at the same endpoint now: what the first one had must not count as this one's."""
    publisher = make_publisher(daemon)
    wait_until(lambda: any(beat.store_id == "store-a" for beat in daemon.heartbeats))
    assert daemon.heartbeats[0].store_id == ""
    daemon.stop()
    wait_until(lambda: not publisher.stats().daemons[0].reachable)
    with ScriptedDaemon(store_id="store-b", endpoints=daemon.endpoints) as another:
        wait_until(lambda: any(beat.store_id == "store-b" for beat in another.heartbeats))
        assert another.heartbeats[0].store_id == ""
        assert "store-a" not in {beat.store_id for beat in another.heartbeats}


def test_heartbeat_at_the_end_of_a_burst_comes_at_once(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """Long before the next one of the interval would be due: a lost tail is found early."""
    publisher = make_publisher(daemon, heartbeat_interval_seconds=10.0)
    stored(daemon)
    before = len(daemon.heartbeats)
    publisher.publish(alert())
    wait_until(lambda: [beat.last for beat in daemon.heartbeats[before:]].count(1) >= 3, timeout=5.0)


def test_heartbeat_to_a_reachable_daemon_keeps_its_interval_while_another_is_away(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, nowhere: tuple[str, str]
) -> None:
    """The one that is away is tried often; the other one must not pay for it, with hundreds of streams."""
    publisher = make_publisher(
        daemon,
        heartbeat_interval_seconds=10.0,
        data_endpoints=f"{daemon.data_endpoint},{nowhere[0]}",
        control_endpoints=f"{daemon.control_endpoint},{nowhere[1]}",
    )
    stored(daemon)
    tries = publisher._sender._beats
    first = tries._last_try
    wait_until(lambda: tries._last_try >= first + 0.5)
    assert len(daemon.heartbeats) <= 2
    assert [each.reachable for each in publisher.stats().daemons] == [True, False]


@pytest.mark.parametrize("limit", [-1.0, 0.0, float("nan"), float("inf"), 1e300])
def test_progress_odd_limit_never_stops_the_heartbeats(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, limit: float
) -> None:
    """It is cut to something between a second and a year."""
    make_publisher(daemon).progress(limit)
    beat = wait_until(lambda: next((b for b in daemon.heartbeats if b.progress_limit_us), None))
    assert beat.progress_limit_us in {1_000_000, 366 * 86_400 * 1_000_000}


def test_replay_sends_the_range_again_to_who_asked(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """On the control channel, in slices, whatever else was asked for."""
    daemon.acknowledges = daemon.asks_replays = False
    publisher = make_publisher(daemon)
    publish(publisher, 1, 700)
    wait_until(lambda: publisher.stats().journal_alerts == 700)
    record = stored(daemon)
    stream = daemon.heartbeats[0].stream
    daemon.send(Replay(stream=b"unknown stream !", first=1, last=9))
    daemon.send(Replay(stream=stream, first=699, last=10_000))
    daemon.send(Replay(stream=stream, first=1, last=600))
    wait_until(lambda: len(record.replayed) == 602)
    wait_until(lambda: record.unavailable)
    assert [(each.first, each.last, each.reason) for each in record.unavailable] == [(701, 10_000, "above the last")]
    (unknown,) = daemon.streams[b"unknown stream !"].unavailable
    assert (unknown.first, unknown.last, unknown.reason) == (1, 9, "not offered")
    assert sorted(record.replayed) == [*range(1, 601), 699, 700]
    assert [number for number in record.replayed if number <= 600] == list(range(1, 601))
    assert publisher.stats().replayed == 602


def test_replay_daemon_that_is_full_for_a_moment_gets_all_in_order(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it could not take waits a little, and holds up nothing else meanwhile."""
    daemon.acknowledges = daemon.asks_replays = False
    publisher = make_publisher(daemon)
    publish(publisher, 1, 3)
    record = stored(daemon)
    tried: list[int] = []

    def full(self: Daemon, stream: bytes, entry: Entry) -> bool:
        tried.append(entry.sequence)
        return False

    with monkeypatch.context() as patch:
        patch.setattr(Daemon, "send_again", full)
        daemon.send(Replay(stream=daemon.heartbeats[0].stream, first=1, last=3))
        wait_until(lambda: tried)
        assert publisher.flush(10.0)  # so it went on to the queue behind it
        assert (set(tried), publisher.stats().replayed) == ({1}, 0)
    wait_until(lambda: record.replayed == [1, 2, 3])


def test_stop_thread_that_never_ran_has_nothing_to_wait_for(settings: PublisherSettings) -> None:
    """A publisher may be forgotten between its making and its start."""
    assert module.Sender(settings, Handover(1_000), HandClock()).stop("closed", 60.0) is False


def test_replay_journal_that_is_damaged_is_answered_and_replaced(
    daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """The daemon hears what can't be had; people hear of the damage, and new alerts are journaled elsewhere."""
    daemon.acknowledges = daemon.asks_replays = False
    publisher = make_publisher(daemon)
    assert publisher.publish(alert(), wait=0.0) is False
    record = stored(daemon)
    wait_until(lambda: publisher.stats().sent == 1)
    (file,) = publisher.settings.journal_folder.glob("*.journal")
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("ALTER TABLE outbox RENAME TO gone")
    daemon.send(Replay(stream=daemon.heartbeats[0].stream, first=1, last=1))
    answer = wait_until(lambda: next(iter(record.unavailable), None))
    assert (answer.first, answer.last, answer.reason) == (1, 1, "damaged")
    assert record.replayed == []
    event = wait_until(
        lambda: next((e for e in daemon.alerts if e.source == "trader" and isinstance(e, SystemEvent)), None)
    )
    assert (event.event_type, event.severity) == ("JOURNAL_REPLACED", Severity.CRITICAL)
    assert (publisher.stats().volatile, publisher.stats().running) == (False, True)


@pytest.mark.parametrize(
    "frames",
    [
        [b"garbage"],
        [b"\x93\x63\xa3ack\x80"],
        [encode_control(Replayed())],
        [b"one", b"two"],
        [b"x" * 100_000],
    ],
)
def test_receive_garbage_is_counted_and_survived(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, frames: list[bytes]
) -> None:
    """Whatever a daemon sends, the next alert goes out."""
    publisher = make_publisher(daemon)
    stored(daemon)
    for _ in range(3):
        daemon.send_frames(frames)
    wait_until(lambda: publisher.stats().errors == 3)
    assert publisher.publish(alert(), wait=10.0)


def test_receive_flood_of_garbage_lets_alerts_through(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many messages are read before the queue has its turn."""
    monkeypatch.setattr(module, "_RECEIVE_SLICE", 2)
    publisher = make_publisher(daemon)
    stored(daemon)
    for _ in range(50):
        daemon.send_frames([b"garbage"])
    assert publisher.publish(alert(), wait=10.0)
    wait_until(lambda: publisher.stats().errors == 50)


def test_ack_of_odd_numbers_and_streams_changes_nothing_else(
    daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """Repeated, beyond the last, of an unknown stream: what comes next is still kept until it is stored."""
    daemon.acknowledges = False
    publisher = make_publisher(daemon)
    publish(publisher, 1, 3)
    stored(daemon)
    wait_until(lambda: publisher.stats().sent == 3)
    stream = daemon.heartbeats[0].stream
    daemon.send(Ack(stream=b"unknown stream !", up_to=99))
    for up_to in (2, 2, 1, 99):
        daemon.send(Ack(stream=stream, up_to=up_to))
    wait_until(lambda: publisher.stats().acknowledged == 3)
    publish(publisher, 4, 5)
    wait_until(lambda: publisher.stats().sent == 5)
    stats = publisher.stats()
    assert (stats.acknowledged, stats.journal_alerts, stats.errors) == (3, 2, 0)


def test_ack_before_the_welcome_is_not_believed(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """Nobody knows yet which store it speaks for."""
    daemon.welcomes = daemon.acknowledges = False
    publisher = make_publisher(daemon)
    publish(publisher, 1, 2)
    record = stored(daemon)
    wait_until(lambda: len(record.envelopes) == 2)
    stream = daemon.heartbeats[0].stream
    daemon.send(Ack(stream=stream, up_to=2))
    daemon.send_frames([b"a mark that is read behind it"])
    wait_until(lambda: publisher.stats().errors == 1)
    assert publisher.stats().acknowledged == 0
    assert publisher.stats().journal_alerts == 2

    daemon.welcomes = daemon.acknowledges = True
    wait_until(lambda: publisher.stats().acknowledged == 2)


def test_ack_of_an_adopted_goodbye_takes_nothing_back(
    settings: PublisherSettings, make_publisher: MakePublisher
) -> None:
    """A dead publisher's goodbye is answered again and again; only the own one says that the end was heard."""
    dead = make_publisher(source="dead")
    dead.publish(alert())
    dead.close(timeout=0.0)
    sender = module.Sender(settings, Handover(1_000), HandClock())
    daemon = Daemon(cast("zmq.Socket[bytes]", None), "tcp://127.0.0.1:1")
    daemon.store_id = "store-a"
    sender._outboxes.open()
    own, adopted = sender._outboxes
    sender._acknowledged(daemon, Ack(stream=own.stream, up_to=0, goodbye=True))
    sender._acknowledged(daemon, Ack(stream=adopted.stream, up_to=0, goodbye=True))
    assert sender._has_everything(daemon)
    sender._outboxes.close()


def test_publish_what_cannot_be_packed_holds_back_nobody(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, caplog: pytest.LogCaptureFixture
) -> None:
    """Changed after it was built, or no alert at all: counted, and the next one goes out."""
    publisher = make_publisher(daemon)
    changed, too_large = alert(1), alert(2)
    changed.extra["connection"] = object()
    too_large.extra["log"] = "x" * 70_000
    foreign = cast("Alert", SimpleNamespace(severity=Severity.CRITICAL, source=""))
    for odd in (changed, too_large, foreign):
        publisher.publish(odd)
    assert publisher.publish(alert(3), wait=10.0)
    assert numbers(daemon.alerts)[-1] == 3
    stats = publisher.stats()
    assert (stats.unencodable, stats.errors, stats.running) == (3, 3, True)
    assert "could not be packed" in caplog.text
