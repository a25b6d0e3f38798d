"""Intake on SQLite and on PostgreSQL: the same alerts, whatever happens on their way, and with several daemons."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from subscriber.store import Store
from tests.subscriber.conftest import PostgresqlServer
from tests.support.alerts import STREAM
from tests.support.clock import FakeClock
from tests.support.running_intake import Intake, lost_in, running_intake


@pytest.fixture
def intake(store: Store, clock: FakeClock) -> Iterator[Intake]:
    with running_intake(store, clock) as running:
        yield running


def test_intake_whatever_is_lost_arrives_exactly_once(intake: Intake, store: Store) -> None:
    """Lost beginnings, middles and ends, a range that nobody holds, and duplicates of everything."""
    rng = random.Random(7)
    with intake.publisher() as publisher:
        publisher.lose(*range(1, 301))
        publisher.first_held = 4
        sent = [*(number for number in range(10, 295) if rng.random() < 0.7), 295]
        publisher.meet()
        publisher.publish(*sent, *rng.sample(sent, 20))
        publisher.answer_until_acknowledged(295)
        publisher.meet()
        publisher.meet()
        publisher.answer_until_acknowledged(300)
        assert intake.numbers() == list(range(4, 301))
    assert lost_in(store) == [(1, 3)]
    assert len(intake.told("ALERTS_LOST")) == 1
    position = store.position(STREAM)
    assert (position.up_to, position.ahead) == (300, ())
    assert intake.metric("deliveries_total", channel="telegram", state="pending") == 297 + 1


def test_intake_of_two_daemons_on_one_database_stores_once(store: Store, clock: FakeClock) -> None:
    """Both hear every alert; each is stored and planned once, and nobody asks for what the other one has."""
    numbers = range(1, 401)
    with (
        running_intake(store, clock) as one,
        running_intake(store, clock) as other,
        one.publisher() as to_one,
        other.publisher() as to_other,
    ):
        to_other.alerts = to_one.alerts
        to_one.meet()
        to_other.meet()
        for number in numbers:
            if number % 50:
                to_one.publish(number)
            if number % 30:
                to_other.publish(number)
            to_one.lose(number)
        to_one.beat_until_acknowledged(400, clock)  # 400 never came on its data connection: only a beat tells of it
        to_other.beat_until_acknowledged(400, clock)
        assert one.numbers() == list(numbers)
        for daemon in (one, other):
            assert daemon.metric("alerts_lost_total") == 0
        received = [daemon.metric("alerts_received_total", topic="severity.CRITICAL") for daemon in (one, other)]
        assert sum(received) == 400


def test_intake_after_the_server_restarted_goes_on(
    postgresql: PostgresqlServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that died cost nothing but a wait."""
    monkeypatch.setattr("subscriber.intake.ingest._STORE_BACKOFF_SECONDS", (0.01,))
    url = postgresql.new_database()
    with Store(url, clock) as store, running_intake(store, clock) as intake, intake.publisher() as publisher:
        publisher.meet()
        for number in range(1, 6):
            publisher.publish(number)
            postgresql.end_connections(url)
        publisher.beat_until_acknowledged(5, clock)
        intake.wait_for_numbers(1, 2, 3, 4, 5)
