"""What the status says of silences, of what is held, and of a configuration that was refused."""

from __future__ import annotations

from subscriber.channel_notes import notes_of_policy
from subscriber.deliveries import PlannedDelivery
from subscriber.status import status_of
from subscriber.store import Store
from subscriber.store.silences import NewSilence
from tests.support.alerts import incoming, risk_event
from tests.support.clock import START_US, FakeClock

HOUR_US = 3_600_000_000


def test_notes_of_policy_that_holds_nothing_are_none(store: Store) -> None:
    assert notes_of_policy(status_of(store, [], dry_run=False)) == []


def test_notes_of_policy_tell_silences_what_is_held_and_a_refusal(store: Store, clock: FakeClock) -> None:
    store.add_silence(NewSilence({}, "Kim", "", START_US, START_US + HOUR_US), "cli")
    store.add_silence(NewSilence({}, "Kim", "", START_US + HOUR_US, START_US + 2 * HOUR_US), "cli")
    for number, batch in enumerate(("silence:1", "quiet:night", "group:x"), start=1):
        planned = (PlannedDelivery("telegram", START_US + HOUR_US, batch=batch),)
        store.accept([incoming(risk_event(), number, planned=planned)])
    told = notes_of_policy(status_of(store, [], dry_run=False, refused=True))
    assert [sentence.split(";")[0] for sentence in told] == [
        "Silences that hold or drop alerts now: 1",
        "Held until a silence or quiet hours end: 2 deliveries.",
        "A change of the configuration was refused",
    ]
    clock.advance(3601)
    assert status_of(store, [], dry_run=False)["held"] == 0
