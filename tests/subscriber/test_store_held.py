"""What quiet hours hold is let go when a reload takes these hours away."""

from __future__ import annotations

import pytest

from subscriber.deliveries import PlannedDelivery
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.clock import START_US, FakeClock

LATER_US = START_US + 3_600_000_000


@pytest.fixture
def holding(store: Store) -> Store:
    """A store with two deliveries that one night holds, one of another night, and one of a silence."""
    batches = ("quiet:night", "quiet:night", "quiet:lunch", "silence:1")
    store.accept(
        [
            incoming(risk_event(), number, planned=(PlannedDelivery("telegram", LATER_US, batch=batch),))
            for number, batch in enumerate(batches, start=1)
        ]
    )
    return store


def due(store: Store) -> int:
    return len(store.claim("telegram", "worker", 60.0, 10))


def test_quiet_hours_that_hold_are_named(holding: Store) -> None:
    assert holding.quiet_hours_that_hold() == {"night", "lunch"}


def test_quiet_hours_that_are_over_hold_nothing(holding: Store, clock: FakeClock) -> None:
    clock.advance(3600)
    assert holding.quiet_hours_that_hold() == frozenset()


def test_let_go_makes_due_what_these_hours_hold_and_nothing_else(holding: Store) -> None:
    assert holding.let_go({"night"}) == {"telegram": 2}
    assert due(holding) == 2
    assert holding.quiet_hours_that_hold() == {"lunch"}
    assert holding.let_go({"night"}) == {}
