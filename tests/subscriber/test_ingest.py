"""From the sockets into the store: what is stored is acknowledged, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bus.alerts import Severity
from bus.errors import EndpointTaken
from bus.topics import topic_of
from bus.wire import Header, encode_alert, encode_frames
from subscriber.store import Store, schema
from tests.support.alerts import OTHER_STREAM, STREAM, risk_event
from tests.support.clock import START_US, FakeClock
from tests.support.running_intake import (
    Intake,
    free_endpoints,
    marked_in,
    on_sqlite,
    running_intake,
)
from tests.support.waiting import wait_until

pytestmark = on_sqlite


@pytest.fixture
def intake(store: Store, clock: FakeClock) -> Iterator[Intake]:
    with running_intake(store, clock) as running:
        yield running


def counted_duplicates(intake: Intake) -> float:
    return intake.metric("alerts_duplicate_total")


def test_ingest_alerts_are_stored_planned_and_counted(intake: Intake, store: Store) -> None:
    """An alert is stored byte by byte as it came, its deliveries are planned and their workers woken."""
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.alerts[2] = risk_event(severity=Severity.INFO, symbol=None)
        publisher.publish(1, 2)
        publisher.wait_for_ack(2)
        expected = [(number, START_US, encode_alert(publisher.alert(number))) for number in (1, 2)]
    alert = schema.alert.c
    with store.database.reading() as connection:
        rows = connection.execute(
            schema.alert.select()
            .with_only_columns(alert.sequence, alert.published_us, alert.body, alert.topic, alert.marks)
            .order_by(alert.sequence)
        ).all()
    assert [row[:3] for row in rows] == expected
    assert [(row.topic, row.marks) for row in rows] == [
        ("severity.CRITICAL.TNA.", ""),
        ("severity.INFO.", "not_routed"),
    ]
    assert intake.metric("alerts_received_total", topic="severity.CRITICAL") == 1
    assert intake.metric("alerts_received_total", topic="severity.INFO") == 1
    assert intake.metric("alerts_not_routed_total") == 1
    assert intake.metric("deliveries_total", channel="telegram", state="pending") == 1
    assert intake.woken == ["telegram"]


def test_ingest_data_before_any_heartbeat_is_stored_and_acknowledged_later(intake: Intake) -> None:
    """Without a heartbeat nobody knows where the stream starts, and whom to answer."""
    with intake.publisher() as publisher:
        publisher.publish(3, 4)
        intake.wait_for_numbers(3, 4)
        assert publisher.listen().heard == []
        publisher.first_held = publisher.first_unacknowledged = 3
        publisher.beat()
        publisher.wait_for_ack(4)
        assert publisher.replays == []


def test_ingest_restart_goes_on_where_the_store_stands(store: Store, clock: FakeClock) -> None:
    """A new daemon on the same database asks for what came while there was none, and repeats do no harm."""
    with running_intake(store, clock) as before, before.publisher() as publisher:
        publisher.meet()
        publisher.publish(1, 2, 3)
        publisher.wait_for_ack(3)
        alerts = dict(publisher.alerts)
    with running_intake(store, clock) as after, after.publisher() as publisher:
        publisher.alerts = alerts
        publisher.lose(4, 5)
        publisher.publish(2, 3, 6)
        after.wait_for_numbers(1, 2, 3, 6)
        publisher.meet()
        publisher.publish(7)
        publisher.answer_until_acknowledged(7)
        assert publisher.replays == [(4, 5)]
        assert after.numbers() == [1, 2, 3, 4, 5, 6, 7]
        assert counted_duplicates(after) == 2
        assert after.metric("alerts_received_total", topic="severity.CRITICAL") == 4


def test_ingest_same_alert_live_and_replayed_is_stored_once(intake: Intake) -> None:
    """Data and replays may cross on their way, even within one batch."""
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.publish(1, 2, 1)
        publisher.replay(1, 2, 3)
        publisher.wait_for_ack(3)
        publisher.publish(3)
        wait_until(lambda: counted_duplicates(intake) == 4)
        assert intake.numbers() == [1, 2, 3]
    assert intake.metric("alerts_received_total", topic="severity.CRITICAL") == 3
    assert intake.metric("deliveries_total", channel="telegram", state="pending") == 3
    assert intake.told("SEQUENCE_COLLISION") == []


def test_ingest_number_with_another_alert_keeps_both_and_tells(intake: Intake) -> None:
    """A copied journal gave the same numbers out twice: neither alert is a duplicate, and people hear of it once."""
    with intake.publisher() as publisher, intake.publisher() as copy:
        publisher.meet()
        publisher.publish(1, 2, 3)
        publisher.wait_for_ack(3)
        copy.publish(2, 3)
        intake.wait_for_numbers(1, 2, 2, 3, 3)
        wait_until(lambda: intake.told("SEQUENCE_COLLISION"))
        copy.publish(1)
        intake.wait_for_numbers(1, 1, 2, 2, 3, 3)
        publisher.meet()
    (told,) = intake.told("SEQUENCE_COLLISION")
    assert f"Number 2 of the stream {STREAM.hex()} holds two different alerts" in told
    assert counted_duplicates(intake) == 0


def test_ingest_alert_under_another_number_is_marked_as_duplicate(intake: Intake, store: Store) -> None:
    """Its number is settled, so that the stream goes on; the alert is told once."""
    with intake.publisher() as publisher:
        publisher.meet()
        publisher.alerts[2] = publisher.alert(1)
        publisher.publish(1, 2, 3)
        publisher.wait_for_ack(3)
        assert intake.numbers() == [1, 3]
        assert marked_in(store, "duplicate") == [(2, 2)]
    assert counted_duplicates(intake) == 1
    assert intake.metric("deliveries_total", channel="telegram", state="pending") == 2


def test_ingest_two_publishers_at_once_are_kept_apart(intake: Intake) -> None:
    """Each stream has its own numbers, acknowledgements and replays."""
    with intake.publisher() as one, intake.publisher(stream=OTHER_STREAM, source="script") as other:
        one.meet()
        other.meet()
        one.lose(2)
        for number in (1, 3, 4):
            one.publish(number)
            other.publish(number if number == 1 else number - 1)
        other.wait_for_ack(3)
        one.answer_until_acknowledged(4)
        assert (one.replays, other.replays) == ([(2, 2)], [])
        assert (intake.numbers(), intake.numbers(OTHER_STREAM)) == ([1, 2, 3, 4], [1, 2, 3])


def test_ingest_publisher_that_vanishes_costs_nothing(intake: Intake) -> None:
    """Answers to a peer that has gone are dropped, and the next connection gets them."""
    with intake.publisher() as gone:
        gone.meet()
        alerts = gone.alerts
    with intake.publisher() as back:
        back.alerts = alerts
        back.publish(1, 2)
        intake.wait_for_numbers(1, 2)
        back.meet()
        back.wait_for_ack(2)


def test_ingest_control_and_data_of_one_turn_are_taken_data_first(intake: Intake, store: Store) -> None:
    """A heartbeat that overtook its data is judged after it: nothing is asked for, and it answers for the data."""
    with intake.publisher() as publisher:
        publisher.beat()
        publisher.publish(1, 2, 3)
        publisher.meet()
        intake.wait_for_numbers(1, 2, 3)
        publisher.meet()
        publisher.wait_for_ack(3)
        assert publisher.replays == []


def test_ingest_topic_that_disagrees_is_counted_and_the_body_wins(intake: Intake, store: Store) -> None:
    """What the alert itself says decides about routes, metrics and history."""
    with intake.publisher() as publisher:
        publisher.meet()
        alert = publisher.alert(1)
        publisher.send_data(encode_frames("action.HOLD.", Header(STREAM, 1, START_US), encode_alert(alert)))
        publisher.wait_for_ack(1)
    assert intake.invalid("topic") == 1
    assert intake.metric("alerts_received_total", topic="severity.CRITICAL") == 1
    with store.database.reading() as connection:
        assert connection.scalars(schema.alert.select().with_only_columns(schema.alert.c.topic)).all() == [
            topic_of(alert)
        ]


def test_ingest_last_turn_moves_on_while_idle(intake: Intake, clock: FakeClock) -> None:
    """Readiness looks at it."""
    clock.advance(60.0)
    wait_until(lambda: intake.ingest.last_turn == clock.monotonic())


# --- start and stop ---------------------------------------------------------------------------------------------


def test_start_on_a_taken_port_says_which(intake: Intake, clock: FakeClock) -> None:
    """Two daemons on one port: the second one ends with a sentence that names the setting."""
    data, control = intake.endpoints
    for endpoints, name in (((data, free_endpoints()[1]), "DATA"), ((free_endpoints()[0], control), "CONTROL")):
        second = Intake(intake.store, clock, endpoints)
        with pytest.raises(EndpointTaken, match=f"ALERTBUS_{name}_ENDPOINT: .* is taken by another program"):
            second.ingest.start()
        second.ingest.stop(10.0)


def test_start_after_another_one_stopped_gets_its_port(store: Store, clock: FakeClock) -> None:
    """A daemon that stopped holds nothing any more."""
    endpoints = free_endpoints()
    for number in (1, 2, 3):
        with running_intake(store, clock, endpoints) as intake, intake.publisher() as publisher:
            publisher.publish(number)
            intake.wait_for_numbers(*range(1, number + 1))


def test_start_without_file_descriptors_says_so(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever keeps the bus from being opened ends the start, and does not leave a daemon that hears nothing."""

    def refuse(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("subscriber.intake.ingest.open_daemon_control", refuse)
    intake = Intake(store, clock, free_endpoints())
    with pytest.raises(Exception, match="The bus could not be opened: OSError"):
        intake.ingest.start()
    intake.ingest.stop(10.0)


def test_start_that_takes_too_long_is_an_error(store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start never waits for ever."""
    intake = Intake(store, clock, free_endpoints())
    monkeypatch.setattr(intake.ingest._ready, "wait", lambda _: False)
    with pytest.raises(Exception, match=r"was not bound within 0\.5 s"):
        intake.ingest.start(0.5)
    intake.ingest.stop(10.0)


def test_stop_before_start_is_harmless(store: Store, clock: FakeClock) -> None:
    """The end of a start that failed halfway."""
    Intake(store, clock, free_endpoints()).ingest.stop(1.0)
