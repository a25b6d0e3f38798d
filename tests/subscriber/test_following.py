"""What the store says of what changed since a cursor, on both databases."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from bus.alerts import Severity
from subscriber.deliveries import Done, Outcome, PlannedDelivery, Reason, RetryAt
from subscriber.store import Store
from subscriber.store.changes import ChangeKind
from subscriber.store.following import Changed, Cursor
from tests.support.alerts import incoming, risk_event
from tests.support.clock import FakeClock


def add(store: Store, clock: FakeClock, sequence: int, max_age_us: int | None = None) -> UUID:
    """Store an alert with a delivery for telegram, and return its id."""
    item = incoming(
        risk_event(),
        sequence,
        published_us=clock.now_us(),
        planned=(PlannedDelivery("telegram", clock.now_us(), max_age_us=max_age_us),),
    )
    store.accept([item])
    return item.alert.id


def attempt(store: Store) -> None:
    (delivery,) = store.claim("telegram", "worker", 60.0, 1)
    store.close_attempt(store.open_attempt([delivery]), [delivery], Outcome(Reason.ACCEPTED), Done(), 0.1)


def here(store: Store, clock: FakeClock) -> Cursor:
    """Return a cursor after all that was done so far."""
    clock.advance(1)
    return store.newest()


def ids(changed: Changed) -> set[UUID]:
    return {UUID(bytes=key) for key in changed.alerts.values()}


def test_cursor_text_is_read_again() -> None:
    cursor = Cursor(1, 2, 3, 4, 5, 6)
    assert Cursor.of(cursor.text("0123abcd-ffff"), "0123abcd-ffff") == cursor


@pytest.mark.parametrize(
    "given",
    [
        "",
        "-",
        "0123abcd",
        "0123abcd-1-2-3-4-5",
        "0123abcd-1-2-3-4-5-6-7",
        "0123abcd-1-2-3-4-5-x",
        "0123abcd-1-2-3-4-5--6",
        "0123abcd-1-2-3-4-5-²",
        "0123abcd-1-2-3-4-5-" + "9" * 30,
        "ffffffff-1-2-3-4-5-6",
        "\0" * 200,
    ],
)
def test_cursor_of_something_else_is_none(given: str) -> None:
    """Whatever a stranger sends, and the cursor of another database."""
    assert Cursor.of(given, "0123abcd-ffff") is None


def test_changed_since_now_is_nothing(store: Store, clock: FakeClock) -> None:
    add(store, clock, 1)
    attempt(store)
    changed = store.changed_since(here(store, clock))
    assert changed == Changed({}, {}, complete=True)


def test_changed_since_tells_what_was_stored(store: Store, clock: FakeClock) -> None:
    add(store, clock, 1)
    cursor = here(store, clock)
    later = add(store, clock, 2)
    assert ids(store.changed_since(cursor)) == {later}


@pytest.mark.parametrize("retried", [False, True])
def test_changed_since_tells_of_an_attempt_that_began_and_of_its_end(
    store: Store, clock: FakeClock, retried: bool
) -> None:
    alert = add(store, clock, 1)
    cursor = here(store, clock)
    (delivery,) = store.claim("telegram", "worker", 60.0, 1)
    assert ids(store.changed_since(cursor)) == set()
    number = store.open_attempt([delivery])
    assert ids(store.changed_since(cursor)) == {alert}
    began = here(store, clock)
    clock.advance(1)
    decision = RetryAt(clock.now_us()) if retried else Done()
    store.close_attempt(number, [delivery], Outcome(Reason.NETWORK if retried else Reason.ACCEPTED), decision, 0.1)
    assert ids(store.changed_since(began)) == {alert}


def test_changed_since_tells_of_what_ended_without_an_attempt(store: Store, clock: FakeClock) -> None:
    """Too old, and switched off: no attempt says so."""
    old = add(store, clock, 1, max_age_us=1_000_000)
    cursor = here(store, clock)
    clock.advance(5)
    assert store.expire("telegram", clock.now_us()) == 1
    assert ids(store.changed_since(cursor)) == {old}
    other = add(store, clock, 2)
    cursor = here(store, clock)
    clock.advance(1)
    assert store.switch_off_others(["whatsapp"]) == {"telegram": 1}
    assert other in ids(store.changed_since(cursor))


def test_changed_since_tells_of_a_dead_letter_and_of_what_a_person_set(store: Store, clock: FakeClock) -> None:
    """A state that ends nothing has no time of its end; the change says whose it is."""
    alert = add(store, clock, 1)
    delivery = store.history(1)[0]["deliveries"][0]["id"]
    cursor = here(store, clock)
    clock.advance(1)
    store.mark_notification_sent(delivery, "dead")
    changed = store.changed_since(cursor)
    assert (ids(changed), set(changed.changes.values())) == ({alert}, {"dead_letters"})
    cursor = here(store, clock)
    store.mark_notification_sent(delivery, "pending")
    assert ids(store.changed_since(cursor)) == {alert}


def test_changed_since_tells_of_an_acknowledgement(store: Store, clock: FakeClock) -> None:
    item = incoming(risk_event(severity=Severity.CRITICAL), 1, published_us=clock.now_us(), planned=())
    store.accept([item])
    cursor = here(store, clock)
    assert store.acknowledge(item.alert.id, "anna", "api", "") is not None
    assert ids(store.changed_since(cursor)) == {item.alert.id}


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (ChangeKind.SILENCE_ADDED, "silences"),
        (ChangeKind.CHANNEL_RESUMED, "channels"),
        (ChangeKind.CHANNEL_SWITCHED, "channels"),
        (ChangeKind.CONFIG_LOADED, "routes"),
        (ChangeKind.DEAD_LETTERS_RETRIED, "dead_letters"),
    ],
)
def test_changed_since_names_the_list_that_somebody_changed(
    store: Store, clock: FakeClock, kind: ChangeKind, what: str
) -> None:
    cursor = here(store, clock)
    store.record_change(kind, "anna", "api", {"alert_id": "no id", "delivery": "none", "deliveries": [None, 77]})
    changed = store.changed_since(cursor)
    assert (set(changed.changes.values()), changed.alerts) == ({what}, {})


def test_changed_since_tells_of_what_many_dead_letters_belong_to(store: Store, clock: FakeClock) -> None:
    alerts = {add(store, clock, sequence) for sequence in (1, 2, 3)}
    numbers = [entry["deliveries"][0]["id"] for entry in store.history(3)]
    cursor = here(store, clock)
    store.record_change(ChangeKind.DEAD_LETTERS_RETRIED, "", "api", {"deliveries": numbers})
    assert ids(store.changed_since(cursor)) == alerts


def test_changed_since_a_moment_finds_what_became_visible_late(store: Store, clock: FakeClock) -> None:
    """A transaction takes its time long before it ends: a cursor that lags finds what it wrote."""
    alert = add(store, clock, 1)
    attempt(store)
    newest = here(store, clock)
    lagging = replace(newest, at_us=newest.at_us - store.late_us)
    changed = store.changed_since(lagging)
    assert ids(changed) == {alert}
    again = store.changed_since(lagging)
    assert again.alerts.keys() == changed.alerts.keys(), "what is known already is known again by its key"


def test_entries_are_those_of_the_history(store: Store, clock: FakeClock) -> None:
    alerts = [add(store, clock, sequence) for sequence in (1, 2, 3)]
    told = store.entries([alerts[2].bytes, alerts[0].bytes, UUID(int=5).bytes])
    assert told == [entry for entry in reversed(store.history(10)) if entry["alert"]["id"] != str(alerts[1])]


def test_newest_change_grows_with_each_change(store: Store) -> None:
    assert store.newest_change() == 0
    store.record_change(ChangeKind.CHANNEL_RESUMED, "", "api", {})
    assert store.newest_change() == 1


def test_beyond_says_that_a_cursor_knows_more_than_there_is() -> None:
    """The database was put back from a copy."""
    assert Cursor(number=5).beyond(Cursor(number=4))
    assert not Cursor(number=4).beyond(Cursor(number=4, at_us=1))
