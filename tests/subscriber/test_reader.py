"""What the reader behind the streams makes of the store: each change once, and none skipped."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from subscriber.deliveries import DeliveryState, Done, GiveUp, Outcome, PlannedDelivery, Reason
from subscriber.monitoring.reader import MOST_TOLD, Reader
from subscriber.store import Store, schema
from subscriber.store.following import Changed, Cursor
from subscriber.store.silences import NewSilence
from tests.subscriber.conftest import PostgresqlServer
from tests.support.alerts import incoming, risk_event
from tests.support.clock import FakeClock


@pytest.fixture
def on_postgresql(postgresql: PostgresqlServer, clock: FakeClock) -> Iterator[Store]:
    with Store(postgresql.new_database(), clock) as store:
        yield store


def add(store: Store, number: int, *, count: int = 1) -> list[str]:
    items = [incoming(risk_event(), number + each, planned=()) for each in range(count)]
    store.accept(items)
    return [str(item.alert.id) for item in items]


def told(reader: Reader) -> list[str]:
    """Return the alerts, or the kind of event that one look tells."""
    return [
        event.kind if event.kind != "alert" else UUID(event.data.split('"id":"')[1][:36]).urn.removeprefix("urn:uuid:")
        for event in reader.look()
    ]


def test_look_tells_each_alert_once(store: Store, clock: FakeClock) -> None:
    """Though a cursor lags, and finds it again and again."""
    old = add(store, 1)
    reader = Reader(store)
    reader.begin()
    assert told(reader) == []
    new = add(store, 2)
    assert told(reader) == new
    for _ in range(5):
        clock.advance(7)
        assert told(reader) == []
    assert old != new


def test_look_tells_what_ended_without_an_attempt_and_became_visible_late(store: Store, clock: FakeClock) -> None:
    """Its time is before the last look."""
    item = incoming(risk_event(), 1, planned=(PlannedDelivery("telegram", clock.now_us(), max_age_us=1),))
    store.accept([item])
    reader = Reader(store)
    reader.begin()
    told(reader)
    ended_us = clock.now_us() + 3_000_000
    clock.advance(8)
    assert told(reader) == []
    assert store.expire("telegram", ended_us) == 1
    assert told(reader) == [str(item.alert.id)]
    assert told(reader) == []


def test_look_on_postgresql_tells_a_lower_number_that_became_visible_later(
    on_postgresql: Store, clock: FakeClock
) -> None:
    """Two daemons store at once, and the one that took its number first commits last."""
    store = on_postgresql
    add(store, 1)
    reader = Reader(store)
    reader.begin()
    late = UUID(int=77)
    with store.database.engine.begin() as connection:
        number = connection.exec_driver_sql("SELECT nextval(pg_get_serial_sequence('alert', 'number'))").scalar_one()
        columns = ["stream", "published_us", "stored_us", "topic", "kind", "event_type", "severity"]
        columns += ["symbol", "agent_name", "source", "body", "marks", "planned", "digest"]
        names = ", ".join(columns)
        connection.exec_driver_sql(
            f"INSERT INTO alert (number, id, sequence, {names}) "
            f"SELECT {number}, %s, 77, {names} FROM alert ORDER BY number LIMIT 1",
            (late.bytes,),
        )
        quick = add(store, 2)
        assert told(reader) == quick
        clock.advance(20)
        assert told(reader) == []
    tidings = reader.look()
    assert [f'"number":{number}' in event.data for event in tidings] == [True]
    assert told(reader) == []


def test_since_a_cursor_of_another_reader_tells_what_came_after_it(store: Store, clock: FakeClock) -> None:
    """As a daemon that was started again does."""
    reader = Reader(store)
    here = reader.begin()
    new = add(store, 1)
    clock.advance(3_600)
    events = Reader(store).since(here)
    assert [event.kind for event in events] == ["alert"]
    assert new[0] in events[0].data


def test_look_at_more_than_is_told_one_by_one_says_to_read_again_and_goes_on(store: Store) -> None:
    reader = Reader(store)
    reader.begin()
    add(store, 1, count=MOST_TOLD + 1)
    assert told(reader) == ["reset"]
    new = add(store, 1_000)
    assert told(reader) == new


def test_look_after_the_clock_was_set_back_says_to_read_again(store: Store, clock: FakeClock) -> None:
    """What ends from now on has times that were read already: nobody knows what was missed."""
    reader = Reader(store)
    reader.begin()
    told(reader)
    clock.step(-3_600)
    assert told(reader) == ["reset"]
    assert told(reader) == []
    new = add(store, 1)
    assert told(reader) == new


def test_since_a_cursor_of_the_future_says_to_read_again(store: Store, clock: FakeClock) -> None:
    reader = Reader(store)
    clock.advance(3_600)
    here = reader.begin()
    clock.step(-3_600)
    assert [event.kind for event in reader.since(here)] == ["reset"]


@pytest.mark.parametrize("seconds_behind", [5, 60, 3_600])
def test_look_tells_what_a_daemon_ended_whose_clock_is_behind(
    store: Store, store_url: str, clock: FakeClock, seconds_behind: int
) -> None:
    """By its times, all of it happened before the reader began."""
    item = incoming(risk_event(), 1, planned=(PlannedDelivery("telegram", 1), PlannedDelivery("whatsapp", 1)))
    store.accept([item])
    reader = Reader(store)
    reader.begin()
    later = incoming(risk_event(), 2, planned=(PlannedDelivery("telegram", 1),))
    store.accept([later])
    assert told(reader) == [str(later.alert.id)]
    behind = FakeClock(clock.now_us() - seconds_behind * 1_000_000)
    with Store(store_url, behind) as other:
        deliveries = other.claim("telegram", "worker", 60.0, 2)
        attempts = [other.open_attempt([delivery]) for delivery in deliveries]
        assert set(told(reader)) == {str(item.alert.id), str(later.alert.id)}
        for delivery, attempt in zip(deliveries, attempts, strict=True):
            other.close_attempt(attempt, [delivery], Outcome(Reason.ACCEPTED), Done(), 0.1)
            assert told(reader) == [str(delivery.alert.id)]
        (first,) = other.claim("whatsapp", "worker", 60.0, 1)
        dead = GiveUp(DeliveryState.DEAD, fallback=False)
        other.close_attempt(other.open_attempt([first]), [first], Outcome(Reason.REJECTED), dead, 0.1)
        assert set(told(reader)) == {"change", str(item.alert.id)}
        other.retry_dead_letters([first.id], lambda _: None, "anna", "api")
        assert set(told(reader)) == {"change", str(item.alert.id)}
        (again,) = other.claim("whatsapp", "worker", 60.0, 1)
        other.close_attempt(other.open_attempt([again]), [again], Outcome(Reason.ACCEPTED), Done(), 0.1)
        assert told(reader) == [str(item.alert.id)]
    assert told(reader) == []


def test_look_tells_of_a_silence_that_a_daemon_ended_whose_clock_is_behind(
    store: Store, store_url: str, clock: FakeClock
) -> None:
    now_us = clock.now_us()
    store.add_silence(NewSilence({}, "anna", "", now_us, now_us + 1_000_000), "api")
    reader = Reader(store)
    reader.begin()
    told(reader)
    with Store(store_url, FakeClock(now_us - 3_600_000_000)) as other, other.database.writing() as connection:
        connection.execute(schema.silence.update().values(ended_us=now_us - 3_600_000_000))
    assert told(reader) == ["change"]
    assert told(reader) == []


def test_look_watches_the_newest_of_what_is_open(
    store: Store, store_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more, nobody keeps count."""
    monkeypatch.setattr("subscriber.monitoring.watch.MOST_WATCHED", 2)
    items = [incoming(risk_event(), number, planned=(PlannedDelivery("telegram", 1),)) for number in (1, 2, 3)]
    store.accept(items)
    reader = Reader(store)
    reader.begin()
    told(reader)
    with Store(store_url, FakeClock(clock.now_us() - 3_600_000_000)) as other:
        for delivery in other.claim("telegram", "worker", 60.0, 3):
            other.mark_notification_sent(delivery.id, "expired")
    assert len(reader._watch._open.deliveries) == 2
    told(reader)
    assert reader._watch._open.deliveries == {}


def test_look_in_a_storm_says_to_read_again_without_reading_all_of_it(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look of it says so, one of five reads it, and what comes after the storm is told."""
    reads: list[int] = []
    changed_since = store.changed_since

    def counted(cursor: Cursor) -> Changed:
        reads.append(1)
        return changed_since(cursor)

    monkeypatch.setattr(store, "changed_since", counted)
    reader = Reader(store)
    reader.begin()
    reads.clear()
    for turn in range(10):
        add(store, turn * (MOST_TOLD + 1) + 1, count=MOST_TOLD + 1)
        clock.advance(1)
        (event,) = reader.look()
        assert event.kind == "reset"
        assert event.id is not None
        assert [each.kind for each in Reader(store).since(event.id)] in ([], ["reset"])
    assert len(reads) == 2 + 10, "ten of them are those of the other readers"
    assert told(reader) in ([], ["reset"])
    new = add(store, 100_000)
    assert told(reader) == new
