"""What is said on the control channel: every heartbeat and goodbye is answered, and says who lives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bus.clock import from_us
from bus.wire import Ack
from subscriber.monitoring.metrics import alertbus_version
from subscriber.store import Store
from tests.support.alerts import OTHER_STREAM, STREAM
from tests.support.clock import FakeClock
from tests.support.running_intake import FaultyStore, Intake, on_sqlite, running_intake
from tests.support.waiting import wait_until

pytestmark = on_sqlite
_TIMEOUT_SECONDS = 15.0


@pytest.fixture
def store(store_url: str, clock: FakeClock) -> Iterator[FaultyStore]:
    with FaultyStore(store_url, clock) as opened:
        yield opened


@pytest.fixture
def intake(store: FaultyStore, clock: FakeClock) -> Iterator[Intake]:
    with running_intake(store, clock) as running:
        yield running


def up(intake: Intake, source: str = "trader-1") -> float:
    return intake.metric("publisher_up", source=source)


def test_hear_each_heartbeat_is_welcomed_and_acknowledged(intake: Intake, store: Store) -> None:
    """The answer to a heartbeat repeats everything, so that none of them has to arrive."""
    with intake.publisher() as publisher:
        publisher.publish(1, 2)
        intake.wait_for_numbers(1, 2)
        for _ in range(3):
            publisher.meet()
        assert {(welcome.store_id, welcome.version) for welcome in publisher.welcomes} == {
            (store.store_id, alertbus_version())
        }
        assert len(publisher.welcomes) == 3
        wait_until(lambda: publisher.acks.count(Ack(stream=STREAM, up_to=2)) >= 3)
        assert publisher.replays == []


def test_hear_of_an_empty_stream_acknowledges_nothing_of_it(intake: Intake) -> None:
    """The first heartbeat is the hello; it comes before there is any alert."""
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.wait_for_ack(0)
        assert publisher.acknowledged == 0


def test_hear_unknown_stream_starts_at_its_first_unacknowledged_number(intake: Intake, store: Store) -> None:
    """What another store acknowledged before is neither asked for nor lost here."""
    with intake.publisher() as publisher:
        publisher.first_held = publisher.first_unacknowledged = 501
        publisher.publish(501, 502)
        intake.wait_for_numbers(501, 502)
        publisher.meet()
        publisher.wait_for_ack(502)
        publisher.publish(503)
        publisher.wait_for_ack(503)
        assert publisher.replays == []
        assert store.position(STREAM).up_to == 503
    assert intake.metric("alerts_lost_total") == 0


def test_hear_publisher_keeps_the_metrics_of_its_journal(intake: Intake, store: Store) -> None:
    """What waits at the publisher, and what its queue refused, is seen here."""
    with intake.publisher() as publisher:
        publisher.beat(journal_alerts=7, refused=3)
        wait_until(lambda: publisher.welcomes)
    assert up(intake) == 1
    assert intake.metric("publisher_journal_alerts", source="trader-1") == 7
    assert intake.metric("publisher_refused_alerts_total", source="trader-1") == 3
    assert [(state.source, state.last_heard_us) for state in store.streams()] == [("trader-1", intake.clock.now_us())]


def test_hear_notes_the_time_now_and_then(intake: Intake, store: FaultyStore, clock: FakeClock) -> None:
    """Each note is a write, so that not every heartbeat makes one; a failed one is made good by the next."""
    with intake.publisher() as publisher:
        store.break_down("heard")
        publisher.meet()
        publisher.meet()
        assert store.calls["heard"] == 2
        store.failing.clear()
        publisher.meet()
        publisher.meet()
        assert store.calls["heard"] == 3
        clock.advance(5.0)
        publisher.meet()
        publisher.meet()
        assert store.calls["heard"] == 4
    assert store.streams()[0].last_heard_us == clock.now_us()
    assert intake.metric("store_errors_total") == 2


def test_hear_adopter_is_no_sign_of_life(intake: Intake, store: Store, clock: FakeClock) -> None:
    """Who offers a dead publisher's stream does not keep it alive, in no metric, view or row."""
    with intake.publisher() as publisher:
        publisher.meet()
    heard_us = clock.now_us()
    with intake.publisher(own=False) as adopter, intake.publisher(stream=OTHER_STREAM, source="script") as script:
        for _ in range(4):
            clock.advance(5.0)
            adopter.meet()
            script.meet()
        wait_until(lambda: up(intake) == 0)
    assert up(intake, "script") == 1
    views = {
        view["source"]: (view["up"], view["last_heard_seconds_ago"]) for view in intake.correspondence.publishers()
    }
    assert views == {"trader-1": (False, 20.0), "script": (True, 0.0)}
    assert {state.source: state.last_heard_us for state in store.streams()} == {
        "trader-1": heard_us,
        "script": clock.now_us(),
    }


def test_publishers_view_tells_what_is_known(intake: Intake, clock: FakeClock) -> None:
    """The status shows each publisher with its own stream, alive or not."""
    with intake.publisher() as publisher:
        publisher.publish(1, 2, 3)
        intake.wait_for_numbers(1, 2, 3)
        publisher.beat(journal_alerts=3, refused=1, volatile=True)
        publisher.wait_for_ack(3)
        expected = {
            "source": "trader-1",
            "up": True,
            "last_heard_seconds_ago": 0.0,
            "last_heard_at": from_us(clock.now_us()).isoformat(timespec="milliseconds"),
            "goodbye": None,
            "last_sequence": 3,
            "acknowledged": 3,
            "journal_alerts": 3,
            "refused": 1,
            "volatile": True,
            "hung": False,
        }
        assert intake.correspondence.publishers() == [expected]
        clock.advance(_TIMEOUT_SECONDS + 0.25)
        assert intake.correspondence.publishers() == [{**expected, "up": False, "last_heard_seconds_ago": 15.2}]


def test_watch_silent_publisher_is_down_until_it_beats_again(intake: Intake, clock: FakeClock) -> None:
    """Silence is seen by itself, and so is its end."""
    with intake.publisher() as publisher:
        publisher.meet()
        clock.advance(_TIMEOUT_SECONDS)
        publisher.meet()
        assert up(intake) == 1
        clock.advance(_TIMEOUT_SECONDS + 1)
        wait_until(lambda: up(intake) == 0)
        publisher.meet()
        assert up(intake) == 1


def test_watch_after_store_error_still_notices_silence(intake: Intake, store: FaultyStore, clock: FakeClock) -> None:
    """Positions that have to be read again make nobody forget who was alive."""
    with intake.publisher() as publisher, intake.publisher(stream=OTHER_STREAM, source="script") as other:
        publisher.meet()
        store.break_down("position")
        other.beat()
        wait_until(lambda: intake.metric("store_errors_total") == 1)
        store.failing.clear()
        other.meet()
        clock.advance(_TIMEOUT_SECONDS + 1)
        wait_until(lambda: up(intake) == 0)
        assert {view["source"] for view in intake.correspondence.publishers()} == {"trader-1", "script"}


def test_watch_restarted_publisher_of_the_same_name_is_up(intake: Intake, clock: FakeClock) -> None:
    """The stream of the one that died does not make the new one look dead."""
    with intake.publisher() as died:
        died.meet()
    with intake.publisher(stream=OTHER_STREAM) as restarted:
        clock.advance(_TIMEOUT_SECONDS)
        restarted.meet()
        clock.advance(_TIMEOUT_SECONDS - 1)
        restarted.meet()
        assert up(intake) == 1


def test_watch_lets_go_of_streams_of_which_nobody_speaks(intake: Intake, clock: FakeClock) -> None:
    """A script that runs each minute must not fill the memory; a publisher that died stays in view for a day."""
    with intake.publisher() as died, intake.publisher(stream=OTHER_STREAM, source="script") as closed:
        died.meet()
        closed.publish(1)
        closed.meet()
        closed.wait_for_ack(1)
        closed.say_goodbye()
        wait_until(lambda: any(ack.goodbye for ack in closed.acks))
        clock.advance(3_700.0)
        wait_until(lambda: [view["source"] for view in intake.correspondence.publishers()] == ["trader-1"])
        closed.publish(2)  # and if it comes back after all, the store knows how far it was
        closed.meet()
        closed.wait_for_ack(2)
        assert closed.replays == []
        clock.advance(90_000.0)
        wait_until(lambda: not intake.correspondence.publishers())
