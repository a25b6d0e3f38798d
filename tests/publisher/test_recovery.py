"""Every way in which numbers go missing, and that each alert arrives all the same, once per store."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from bus.alerts import RiskEvent, Severity
from publisher import Publisher
from publisher.journal_folder import left_behind
from tests.publisher.builders import alert, numbers, python, remains
from tests.publisher.conftest import MakePublisher
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until


def publish(publisher: Publisher, first: int, last: int) -> None:
    for number in range(first, last + 1):
        assert publisher.publish(alert(number))


def everything(count: int) -> list[int]:
    return list(range(1, count + 1))


def test_publish_at_once_after_connecting_arrives_by_replay(
    daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """The slow joiner: PUB drops what is sent before the subscription is there, every bit of it."""
    publisher = make_publisher(daemon)
    publish(publisher, 1, 1_000)
    wait_until(lambda: publisher.stats().acknowledged == 1_000)
    record = daemon.record_of("trader")
    assert (numbers(record.alerts), record.lost) == (everything(1_000), [])
    assert publisher.stats().journal_alerts == 0


def test_publish_daemon_comes_later_gets_everything(make_publisher: MakePublisher, folder: Path) -> None:
    """A trader that starts first notices nothing, and neither does a daemon that starts last."""
    with ScriptedDaemon() as placeholder:
        endpoints = placeholder.endpoints
    publisher = make_publisher(data_endpoints=endpoints[0], control_endpoints=endpoints[1])
    publish(publisher, 1, 500)
    assert publisher.flush(10.0)
    assert publisher.stats().daemons[0].reachable is False
    with ScriptedDaemon(endpoints=endpoints) as daemon:
        wait_until(lambda: publisher.stats().acknowledged == 500)
        assert publisher.publish(alert(501), wait=10.0)
        assert numbers(daemon.record_of("trader").alerts) == everything(501)
        assert publisher.close(timeout=10.0)
    assert remains(folder) == []


def test_publish_daemon_dies_and_comes_back_loses_nothing(
    daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """Publishing goes on meanwhile; a daemon with its old database goes on where it stood."""
    publisher = make_publisher(daemon)
    publish(publisher, 1, 100)
    wait_until(lambda: publisher.stats().acknowledged == 100)
    daemon.stop()
    publish(publisher, 101, 400)
    assert publisher.flush(10.0)
    wait_until(lambda: publisher.stats().daemons[0].reachable is False)
    publish(publisher, 401, 500)

    with ScriptedDaemon(endpoints=daemon.endpoints, streams=daemon.streams) as again:
        wait_until(lambda: publisher.stats().acknowledged == 500)
        assert numbers(again.alerts) == everything(500)
        publish(publisher, 501, 600)
        wait_until(lambda: publisher.stats().acknowledged == 600)


def test_publish_daemon_with_an_empty_database_takes_over_without_false_losses(
    daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """It is offered what no known store has yet, and is not told of what was settled before."""
    publisher = make_publisher(daemon)
    publish(publisher, 1, 50)
    wait_until(lambda: publisher.stats().acknowledged == 50)
    daemon.stop()
    publish(publisher, 51, 80)
    with ScriptedDaemon(store_id="store-b", endpoints=daemon.endpoints) as other:
        wait_until(lambda: other.heartbeats and len(other.alerts) == 30)
        record = other.record_of("trader")
        assert (sorted(record.envelopes), record.lost) == (list(range(51, 81)), [])
        wait_until(lambda: publisher.stats().daemons[0].store_id == "store-b")
    assert publisher.stats().journal_alerts == 30  # store-a, which may come back, has not got them


def test_publish_two_stores_each_gets_everything(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, folder: Path
) -> None:
    """The slower one decides when an alert is forgotten."""
    with ScriptedDaemon(store_id="store-b") as second:
        second.acknowledges = False
        publisher = make_publisher(
            data_endpoints=f"{daemon.data_endpoint},{second.data_endpoint}",
            control_endpoints=f"{daemon.control_endpoint},{second.control_endpoint}",
        )
        wait_until(lambda: {each.store_id for each in publisher.stats().daemons} == {"store-a", "store-b"})
        publish(publisher, 1, 200)
        wait_until(lambda: len(daemon.alerts) == len(second.alerts) == 200)
        wait_until(lambda: daemon.heartbeats[-1].first_unacknowledged == 201)
        assert second.heartbeats[-1].first_unacknowledged == 1
        assert publisher.stats().journal_alerts == 200

        second.acknowledges = True
        wait_until(lambda: publisher.stats().journal_alerts == 0)
        assert numbers(daemon.alerts) == numbers(second.alerts) == everything(200)
        assert publisher.close(timeout=10.0)
        assert len(daemon.goodbyes) >= 1
        assert len(second.goodbyes) >= 1


def test_publish_daemon_hangs_never_holds_the_trader_up(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """It holds its connections and reads nothing; what it missed, it gets."""
    publisher = make_publisher(daemon)
    assert publisher.publish(alert(1), wait=10.0)
    daemon.paused = True
    publish(publisher, 2, 3_000)
    assert publisher.flush(10.0)
    assert publisher.publish(alert(3_001), wait=0.01) is False
    daemon.paused = False
    wait_until(lambda: publisher.stats().acknowledged == 3_001)
    assert numbers(daemon.alerts) == everything(3_001)


DAEMON = """
import sys
from tests.support.scripted_daemon import ScriptedDaemon
with ScriptedDaemon() as daemon:
    print(*daemon.endpoints, flush=True)
    sys.stdin.readline()
    print(len(daemon.alerts), flush=True)
"""


def test_publish_daemon_process_paused_by_the_system_gets_everything(make_publisher: MakePublisher) -> None:
    """SIGSTOP: its sockets stay open and nobody is behind them, ZeroMQ's own threads included."""
    with python(DAEMON) as child:
        assert child.stdout is not None
        data, control = child.stdout.readline().split()
        publisher = make_publisher(data_endpoints=data, control_endpoints=control)
        assert publisher.publish(alert(1), wait=20.0)
        os.kill(child.pid, signal.SIGSTOP)
        try:
            publish(publisher, 2, 5_000)
            assert publisher.flush(20.0)
        finally:
            os.kill(child.pid, signal.SIGCONT)
        wait_until(lambda: publisher.stats().acknowledged == 5_000, timeout=30.0)
        out, _ = child.communicate("\n", timeout=20.0)
        assert int(out) == 5_000


PUBLISH_FOR_EVER = """
import sys
from pathlib import Path
from publisher import Publisher, PublisherSettings
_, folder, data, control = sys.argv
settings = PublisherSettings(
    journal=Path(folder), data_endpoints=data, control_endpoints=control, source="killed"
)
publisher = Publisher(settings).start()
number = 0
while True:
    for _ in range(11):
        number += 1
        publisher.risk_event(f"TEST_{number}", "INFO")
    if publisher.flush(10.0):
        print(number, flush=True)
"""


def test_publisher_killed_leaves_everything_flushed_to_the_next_one(
    folder: Path, nowhere: tuple[str, str], daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """kill -9 while it publishes: the next publisher in the folder delivers it, under the dead one's name."""
    with python(PUBLISH_FOR_EVER, str(folder), *nowhere) as child:
        assert child.stdout is not None
        for _ in range(40):
            child.stdout.readline()
        child.kill()
        lines = child.stdout.read().splitlines(keepends=True)
    flushed = max([40 * 11, *(int(line) for line in lines if line.endswith("\n"))])

    publisher = make_publisher(daemon)
    held = publisher.stats().journal_alerts
    assert held >= flushed
    wait_until(lambda: publisher.stats().journal_alerts == 0)
    record = daemon.record_of("killed")
    assert (numbers(record.alerts), record.lost) == (everything(held), [])
    assert {beat.own for beat in daemon.heartbeats if beat.source == "killed"} == {False}
    assert {each.source for each in record.alerts} == {"killed"}
    wait_until(lambda: len(left_behind(folder)) == 1)


def test_publisher_closed_right_after_publishing_delivers_by_the_next_one(
    folder: Path, make_publisher: MakePublisher, daemon: ScriptedDaemon
) -> None:
    """Without a daemon, and without a moment's patience: the journal has it, and its goodbye is repeated."""
    first = make_publisher(source="short")
    publish(first, 1, 300)
    first.close(timeout=0.0)
    make_publisher(daemon)
    wait_until(lambda: any(beat.source == "short" for beat in daemon.heartbeats))
    record = daemon.record_of("short")
    wait_until(lambda: numbers(record.alerts) == everything(300))
    wait_until(lambda: {bye.reason for bye in record.goodbyes} == {"closed"})
    wait_until(lambda: len(left_behind(folder)) == 1)


def test_many_adopted_streams_are_all_drained(
    folder: Path, make_publisher: MakePublisher, daemon: ScriptedDaemon
) -> None:
    """Each with its own heartbeat, replay and acks, beside live alerts."""
    for number in range(10):
        short = make_publisher(source=f"short-{number}")
        publish(short, 1, 3)
        short.close(timeout=0.0)
        for path in left_behind(folder):
            path.rename(path.with_suffix(".held"))  # or each would adopt what the one before left
    for held in folder.glob("*.held"):
        held.rename(held.with_suffix(".journal"))
    publisher = make_publisher(daemon)
    assert publisher.stats().journal_alerts == 30
    assert publisher.publish(alert(), wait=20.0)
    wait_until(lambda: publisher.stats().journal_alerts == 0)
    wait_until(lambda: len(left_behind(folder)) == 1)
    assert len(daemon.alerts) == 31


def volatile_event(daemon: ScriptedDaemon) -> RiskEvent | None:
    found = [each for each in daemon.alerts if getattr(each, "event_type", "") == "JOURNAL_FAILED"]
    return found[0] if found else None  # type: ignore[return-value]


def test_journal_folder_that_cannot_be_made_goes_on_and_tells(
    tmp_path: Path, make_publisher: MakePublisher, daemon: ScriptedDaemon
) -> None:
    """Sending goes on from memory; the daemon, `stats()` and a person are told."""
    (tmp_path / "file").touch()
    publisher = make_publisher(daemon, journal=tmp_path / "file" / "journal")
    publish(publisher, 1, 100)
    event = wait_until(lambda: volatile_event(daemon))
    assert (event.severity, event.source) == (Severity.CRITICAL, "trader")
    wait_until(lambda: publisher.stats().acknowledged == 101)
    assert numbers(daemon.alerts) == everything(100)
    assert publisher.stats().volatile is True
    assert "file/journal" in (publisher.stats().last_error or "")
    assert daemon.heartbeats[-1].volatile is True
    assert publisher.close(timeout=10.0) is True


FILL_THE_DISK = """
import resource, sys
from pathlib import Path
from publisher import Publisher, PublisherSettings
_, folder, data, control = sys.argv
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
settings = PublisherSettings(journal=Path(folder), data_endpoints=data, control_endpoints=control, source="full")
with Publisher(settings) as publisher:
    for number in range(1, 2_001):
        assert publisher.risk_event(f"TEST_{number}", "INFO", "x" * 100)
        if number % 100 == 0:
            publisher.flush(10.0)  # False where it is in memory only
    assert publisher.risk_event("TEST_2001", "INFO", wait=20.0)
    stats = publisher.stats()
    print(stats.volatile, stats.running, stats.refused, stats.dropped, stats.last_error)
    assert publisher.close(timeout=20.0)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


def test_journal_disk_full_goes_on_from_memory_and_loses_nothing(folder: Path, daemon: ScriptedDaemon) -> None:
    """What the file took and what it did not: all of it arrives, in two streams of one source."""
    with python(FILL_THE_DISK, str(folder), *daemon.endpoints) as child:
        out, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    assert out.startswith("True True 0 0 JournalError: "), out
    streams = {beat.stream for beat in daemon.heartbeats}
    assert len(streams) == 2
    assert sorted(numbers(daemon.alerts)) == everything(2_001)
    assert volatile_event(daemon) is not None
    assert {bye.reason for bye in daemon.goodbyes} == {"journal failed", "closed"}
