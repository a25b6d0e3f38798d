"""How much room the rows take, and what goes that hangs on no alert."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from bus.clock import MICROSECONDS
from subscriber.store import Store, schema
from subscriber.store.changes import ChangeKind
from subscriber.store.silences import NewSilence
from subscriber.store.sizing import Size
from tests.support.alerts import STREAM, incoming, risk_event
from tests.support.books import spoil
from tests.support.clock import START_US, FakeClock
from tests.support.holding import FREE

DAY_SECONDS = 86_400
ALERT_BYTES = 2_000


def fill(store: Store, count: int, first: int = 1) -> None:
    """Store alerts of about two kilobytes that nobody is told."""
    store.begin(STREAM, "trader-1", 1)
    numbers = range(first, first + count)
    words = Random(first)  # PostgreSQL makes what repeats itself small
    batch = [
        incoming(risk_event(description=words.randbytes(ALERT_BYTES // 2).hex()), number, "desk") for number in numbers
    ]
    store.accept(batch, {STREAM: first + count - 1})
    spoil(store, "UPDATE notification_queue SET status = 'suppressed', why = 'off', finished_at = 1")


def count(store: Store, table: str) -> int:
    with store.database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(schema.metadata.tables[table])) or 0


def put(store: Store, table: str, **values: Any) -> None:
    with store.database.writing() as connection:
        connection.execute(insert(schema.metadata.tables[table]).values(**values))


def test_size_grows_and_shrinks_with_what_is_stored(store: Store, clock: FakeClock) -> None:
    """Also where the files stay as large as they were: what is free in them does not count."""
    fill(store, 1000)
    full = store.size()
    assert full.alerts == 1000
    assert 1000 * ALERT_BYTES < full.bytes < 6 * 1000 * ALERT_BYTES  # once in its body, once in what is to be sent
    clock.advance(1)
    assert store.prune(clock.now_us(), 500).alerts == 500
    half = store.size()
    assert half.alerts == 500
    assert 0.4 * full.bytes < half.bytes < 0.65 * full.bytes
    fill(store, 500, first=1001)
    assert 0.9 * full.bytes < store.size().bytes < 1.1 * full.bytes


def test_size_that_is_small_enough_is_that_of_the_files(store: Store) -> None:
    fill(store, 100)
    whole = store.size(10**12)
    assert whole.alerts == 100
    assert whole.bytes >= store.size().bytes


@pytest.mark.parametrize(
    ("size", "excess", "alerts"),
    [(Size(1000, 10), 100, 1), (Size(1000, 10), 101, 2), (Size(1000, 10), 5000, 10), (Size(1000, 0), 10, 0)],
)
def test_alerts_in_is_how_many_have_to_go(size: Size, excess: int, alerts: int) -> None:
    assert size.alerts_in(excess) == alerts


def test_tidy_removes_silences_that_ended_and_changes_with_age(store: Store, clock: FakeClock) -> None:
    new = NewSilence({}, "kim", "", START_US, START_US + 1000 * DAY_SECONDS * MICROSECONDS)
    ended, stays = store.add_silence(new, "api"), store.add_silence(new, "api")
    store.end_silence(ended.id, "kim", "api", FREE)
    clock.advance(DAY_SECONDS)
    store.record_change(ChangeKind.CONFIG_LOADED, "kim", "api", {})
    assert store.tidy(START_US, 100) == 0
    assert store.tidy(START_US + 1, 2) == 3  # at most two of each kind
    assert store.tidy(START_US + 1, 2) == 1
    assert store.tidy(START_US + 1, 2) == 0
    assert [each.id for each in store.silences(ended=True)] == [stays.id]
    assert [change["what"] for change in store.changes(10)] == ["config_loaded"]


def test_tidy_removes_windows_that_decide_nothing_any_more(store: Store, clock: FakeClock) -> None:
    put(store, "dedup_window", channel="a", fingerprint=b"1" * 16, until_us=START_US)
    put(store, "group_window", channel="a", batch="group:x", flush_us=START_US)
    clock.advance(3 * DAY_SECONDS)
    put(store, "dedup_window", channel="a", fingerprint=b"2" * 16, until_us=START_US + 1)
    put(store, "group_window", channel="a", batch="group:y", flush_us=START_US + 1)
    assert store.tidy(0, 100) == 0
    clock.advance(0.000001)
    assert store.tidy(0, 100) == 2
    assert (count(store, "dedup_window"), count(store, "group_window")) == (1, 1)


def test_tidy_leaves_a_window_whose_message_waits_or_ended_lately(store: Store, clock: FakeClock) -> None:
    """A channel that was down tells of a window days later; the next one begins then."""
    alert = risk_event()
    store.accept([incoming(alert, 1, "a", "b")])
    for channel in ("a", "b"):
        put(store, "dedup_window", channel=channel, fingerprint=b"1" * 16, until_us=START_US, carrier=alert.id.bytes)
    clock.advance(10 * DAY_SECONDS)
    assert store.tidy(0, 100) == 0
    spoil(
        store,
        "UPDATE notification_queue SET status = 'suppressed', why = 'off', finished_at = :now",
        now=clock.now_us(),
    )
    clock.advance(3 * DAY_SECONDS)
    assert store.tidy(0, 100) == 0
    clock.advance(1)
    assert store.tidy(0, 100) == 2


def test_tidy_removes_digests_that_were_split(store: Store, clock: FakeClock) -> None:
    for state, finished_us in (("split", START_US), ("told", START_US), ("open", None)):
        put(
            store,
            "digest",
            channel="a",
            kind="storm",
            state=state,
            created_us=START_US,
            finished_us=finished_us,
            members=0,
        )
    assert store.tidy(START_US, 100) == 0
    assert store.tidy(START_US + 1, 100) == 1
    assert count(store, "digest") == 2
