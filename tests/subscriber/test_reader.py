"""What the reader behind the streams makes of the store: each change once, and none skipped."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from subscriber.deliveries import PlannedDelivery
from subscriber.monitoring.reader import MOST_TOLD, Reader
from subscriber.store import Store
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
