"""What quiet hours or a silence held is let go when these are no more, unless the rules hold it all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bus.clock import MICROSECONDS
from subscriber.deliveries import Handling, PlannedDelivery
from subscriber.errors import StoreError
from subscriber.store import Store
from subscriber.store.silences import NewSilence
from tests.support.alerts import incoming, risk_event
from tests.support.clock import START_US, FakeClock
from tests.support.holding import FREE, MORNING, holding

HOUR_US = 3600 * MICROSECONDS
LATER_US = START_US + HOUR_US
BY_DESK = Handling(route="desk")


def hold(store: Store, *held: tuple[str, Handling], severity: str = "WARNING") -> None:
    """Store alerts for telegram that wait for an hour, under these batches."""
    store.accept(
        [
            incoming(
                risk_event(severity=severity),
                number,
                published_us=START_US,
                planned=(
                    PlannedDelivery("telegram", LATER_US, batch=batch, handling=handling, max_age_us=HOUR_US * 2),
                ),
            )
            for number, (batch, handling) in enumerate(held, start=1)
        ]
    )


def due(store: Store) -> list[str]:
    return sorted(str(each.batch) for each in store.claim("telegram", "worker", 86_400.0, 10))


def test_let_go_makes_due_what_no_quiet_hours_hold_any_more(store: Store) -> None:
    hold(store, ("quiet:night", BY_DESK), ("quiet:lunch", Handling()), ("group:x", BY_DESK))
    assert store.let_go(FREE) == {"telegram": 2}
    assert due(store) == ["quiet:lunch", "quiet:night"]
    assert store.let_go(FREE) == {}


def test_let_go_leaves_what_the_rules_would_hold_now(store: Store, clock: FakeClock) -> None:
    """By hours of another name, too: it was held through the night and the morning that follows."""
    rules = holding(MORNING)
    hold(store, ("quiet:night", BY_DESK), ("quiet:morning", Handling(route="gone")))
    assert store.let_go(rules) == {"telegram": 1}
    assert due(store) == ["quiet:morning"]
    clock.advance(3600 - 1)
    assert store.let_go(rules) == {}
    clock.advance(1)
    assert due(store) == ["quiet:night"]


def test_let_go_tells_a_critical_that_passes_the_hours_of_now(store: Store) -> None:
    hold(store, ("quiet:morning", BY_DESK), severity="CRITICAL")
    assert store.let_go(holding(MORNING)) == {"telegram": 1}


def test_let_go_hands_what_it_finds_to_a_silence(store: Store) -> None:
    """What a silence holds stays, however its hours end; what is let go elsewhere may fall into it."""
    silence = store.add_silence(NewSilence({"symbol": "TNA"}, "kim", "", START_US, START_US + 3 * HOUR_US), "cli")
    hold(store, (silence.batch, BY_DESK), ("quiet:night", BY_DESK), ("silence:99", BY_DESK))
    assert store.let_go(FREE) == {}
    assert due(store) == []
    assert store.let_go(FREE) == {}
    store.end_silence(silence.id, "kim", "cli", FREE)
    assert due(store) == [silence.batch] * 3


def test_let_go_of_what_is_held_on_lets_it_grow_no_older(store: Store, clock: FakeClock) -> None:
    silence = NewSilence({}, "kim", "", START_US, START_US + 5 * HOUR_US)
    store.add_silence(silence, "cli")
    hold(store, ("quiet:night", BY_DESK))
    store.let_go(FREE)
    clock.advance(5 * 3600)
    (delivery,) = store.claim("telegram", "worker", 60.0, 10)
    assert delivery.expires_at_us == START_US + 6 * HOUR_US


def test_end_of_a_silence_leaves_what_quiet_hours_hold(store: Store, clock: FakeClock) -> None:
    silence = store.add_silence(NewSilence({}, "kim", "", START_US, START_US + 3 * HOUR_US), "cli")
    hold(store, (silence.batch, BY_DESK), (silence.batch, Handling()))
    assert store.end_silence(silence.id, "kim", "cli", holding(MORNING)) is not None
    assert due(store) == [silence.batch]
    clock.advance(4000)
    assert due(store) == ["quiet:morning"]


@pytest.mark.parametrize("drops", [False, True])
def test_end_of_a_silence_leaves_what_another_one_holds(store: Store, clock: FakeClock, drops: bool) -> None:
    """Also one that drops: what was held was promised."""
    new = NewSilence({}, "kim", "", START_US, START_US + 3 * HOUR_US)
    silence = store.add_silence(new, "cli")
    other = store.add_silence(replace(new, ends_us=START_US + 2 * HOUR_US, drops=drops), "cli")
    hold(store, (silence.batch, BY_DESK))
    store.end_silence(silence.id, "kim", "cli", FREE)
    clock.advance(7199)
    assert due(store) == []
    clock.advance(1)
    assert due(store) == [other.batch]


def test_let_go_of_a_closed_store_raises(store: Store) -> None:
    store.close()
    with pytest.raises(StoreError):
        store.let_go(FREE)
